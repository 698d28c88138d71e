#include "runtime/report/load_check.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

bool ShapesFit(const Shape& found, const Shape& wanted) {
  if (found.size() != wanted.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (wanted[i] != -1 && found[i] != wanted[i]) return false;
  }
  return true;
}

bool DTypesFit(DType found, DType wanted) { return wanted == DType::kAny || found == wanted; }

// MindSpore's only tolerance: surplus trailing axes of size 1. It compares nothing else of the
// shapes and then reshapes, so equal counts are enough.
bool MindSporeReshapes(const Shape& found, const Shape& wanted) {
  if (found.size() <= wanted.size()) return false;
  for (size_t i = wanted.size(); i < found.size(); ++i) {
    if (found[i] != 1) return false;
  }
  return true;
}

// dtypes that MindSpore converts into each other, in any direction, without strict_load.
bool MindSporeConverts(DType from, DType to) {
  constexpr DType kFloats[] = {DType::kF16, DType::kF32, DType::kF64, DType::kBF16};
  constexpr DType kInts[] = {DType::kI8, DType::kI16, DType::kI32, DType::kI64, DType::kI4};
  const auto both = [&](const auto& group) {
    return std::find(std::begin(group), std::end(group), from) != std::end(group) &&
           std::find(std::begin(group), std::end(group), to) != std::end(group);
  };
  return both(kFloats) || both(kInts);
}

std::string DescribeTensor(const TensorInfo& tensor) {
  return fmt::format("{} {}", DTypeName(tensor.dtype), FormatShape(tensor.shape));
}

Issue MakeIssue(std::string code, IssueSeverity severity, const std::string& tensor, std::string message,
                std::vector<std::string> notes = {}, std::string help = "") {
  return {std::move(code), severity, tensor, std::move(message), std::move(notes), std::move(help)};
}

constexpr const char* kMigrate = "write rules for it: `ckmapc suggest` makes a first draft from two such files";

class MindSpore {
 public:
  MindSpore(const MindSporeDict& dict, const Manifest& network, bool strict)
      : dict_(dict), network_(network), strict_(strict) {}

  LoadVerdict Run();

 private:
  void Update(size_t net, const MindSporeDict::Entry& found);
  void Raise(const std::string& tensor, std::string message, std::string raised);
  void FillByPrefix();
  // The first entry of the dict whose name ends with `name`, as plain text.
  const MindSporeDict::Entry* FirstEndingWith(std::string_view name) const;

  const MindSporeDict& dict_;
  const Manifest& network_;
  const bool strict_;
  std::vector<size_t> missing_;
  std::vector<std::pair<std::string, size_t>> reversed_;  // names read backwards, sorted
  LoadVerdict verdict_;
};

void MindSpore::Raise(const std::string& tensor, std::string message, std::string raised) {
  verdict_.issues.push_back(
      MakeIssue("CK1502", IssueSeverity::kError, tensor, std::move(message), {"MindSpore raises " + raised}));
}

void MindSpore::Update(size_t net, const MindSporeDict::Entry& found) {
  const TensorInfo& want = network_[net];
  const TensorInfo& have = found.tensor;
  if (found.text) {
    return Raise(want.name, fmt::format("`{}` is a text, the network wants a tensor", have.name),
                 "AttributeError: a text has no data");
  }
  if (!ShapesFit(have.shape, want.shape)) {
    const bool counts = NumElements(have.shape) == NumElements(want.shape);
    if (!MindSporeReshapes(have.shape, want.shape) || !counts) {
      return Raise(want.name,
                   fmt::format("`{}` has shape {}, the network wants {}", have.name, FormatShape(have.shape),
                               FormatShape(want.shape)),
                   "RuntimeError: should have the same shape");
    }
    verdict_.issues.push_back(
        MakeIssue("CK1505", IssueSeverity::kWarning, want.name,
                  fmt::format("`{}` of shape {} is taken for {}: the network's parameter changes its shape", have.name,
                              FormatShape(have.shape), FormatShape(want.shape))));
  }
  if (!DTypesFit(have.dtype, want.dtype)) {
    if (strict_ || !MindSporeConverts(have.dtype, want.dtype)) {
      return Raise(
          want.name,
          fmt::format("`{}` is {}, the network wants {}", have.name, DTypeName(have.dtype), DTypeName(want.dtype)),
          "RuntimeError: should have the same type");
    }
    verdict_.issues.push_back(MakeIssue("CK1506", IssueSeverity::kWarning, want.name,
                                        fmt::format("`{}` is converted from {} to {} without a check of its values",
                                                    have.name, DTypeName(have.dtype), DTypeName(want.dtype))));
  }
  ++verdict_.loaded;
}

const MindSporeDict::Entry* MindSpore::FirstEndingWith(std::string_view name) const {
  const std::string reversed(name.rbegin(), name.rend());
  auto it = std::lower_bound(reversed_.begin(), reversed_.end(), std::pair(reversed, size_t{0}));
  std::optional<size_t> first;
  for (; it != reversed_.end() && it->first.starts_with(reversed); ++it) {
    if (!first || it->second < *first) first = it->second;
  }
  return first ? &dict_.entries()[*first] : nullptr;
}

// Follows `_load_dismatch_prefix_params`, loop by loop: the prefix of the first entry that ends with a missing name is
// tried on all of them, without regard for dots and for entries that are in use. A prefix that equals the name that was
// missing first does not count, and ends the loop where no later name has another one.
void MindSpore::FillByPrefix() {
  for (size_t i = 0; i < dict_.entries().size(); ++i) {
    const std::string& name = dict_.entries()[i].tensor.name;
    reversed_.emplace_back(std::string(name.rbegin(), name.rend()), i);
  }
  std::sort(reversed_.begin(), reversed_.end());
  const std::string longest = network_[missing_[0]].name;  // MindSpore's name for it
  // What was searched in vain once stays so: names only leave the list, and the dict does not change.
  size_t searched = 0;
  while (!missing_.empty()) {
    std::optional<std::string> prefix;
    for (; searched < missing_.size() && !prefix; ++searched) {
      const std::string& name = network_[missing_[searched]].name;
      const MindSporeDict::Entry* found = FirstEndingWith(name);
      if (found == nullptr) continue;
      std::string before = found->tensor.name.substr(0, found->tensor.name.size() - name.size());
      if (before != longest) prefix = std::move(before);
    }
    if (!prefix) return;
    std::vector<size_t> still;
    size_t passed = 0;
    for (size_t i = 0; i < missing_.size(); ++i) {
      const std::string& wanted = network_[missing_[i]].name;
      const MindSporeDict::Entry* source = dict_.Find(*prefix + wanted);
      if (source == nullptr) {
        still.push_back(missing_[i]);
        if (i + 1 < searched) ++passed;
        continue;
      }
      verdict_.issues.push_back(
          MakeIssue("CK1504", IssueSeverity::kWarning, wanted,
                    fmt::format("`{}` is filled from `{}`: MindSpore takes away the prefix `{}`", wanted,
                                source->tensor.name, *prefix),
                    {"it compares the ends of names only, so that optimizer state can pass for weights"}));
      Update(missing_[i], *source);
    }
    missing_ = std::move(still);
    searched = passed;
  }
}

LoadVerdict MindSpore::Run() {
  verdict_.rules = strict_ ? "load_param_into_net, strict_load=True" : "load_param_into_net";
  for (const std::string& ignored : dict_.ignored()) {
    verdict_.issues.push_back(MakeIssue("CK1509", IssueSeverity::kWarning, "", "load_checkpoint: " + ignored));
  }
  if (!dict_.raises().empty()) {
    verdict_.issues.push_back(MakeIssue("CK1508", IssueSeverity::kError, "",
                                        "load_checkpoint raises an error: " + dict_.raises(), {},
                                        "convert it: `ckmap apply` writes .ckpt and .safetensors files that load"));
    return std::move(verdict_);
  }
  std::vector<bool> loaded(dict_.entries().size(), false);
  for (size_t i = 0; i < network_.size(); ++i) {
    // A tied parameter is one parameter in a Cell, under the other name.
    if (!network_[i].tied_to.empty()) continue;
    const MindSporeDict::Entry* found = dict_.Find(network_[i].name);
    if (found == nullptr) {
      if (!network_[i].name.starts_with("accu_grads")) missing_.push_back(i);
    } else if (!found->text) {  // under a text a parameter keeps its own value, and no list names it
      Update(i, *found);
      loaded[static_cast<size_t>(found - dict_.entries().data())] = true;
    } else {
      verdict_.issues.push_back(
          MakeIssue("CK1501", IssueSeverity::kWarning, network_[i].name,
                    fmt::format("`{}` keeps the network's own value: the file has a text of that name, and MindSpore "
                                "does not even log it",
                                network_[i].name)));
    }
  }
  if (!strict_ && !missing_.empty()) FillByPrefix();
  for (const size_t i : missing_) {
    verdict_.param_not_load.push_back(network_[i].name);
    verdict_.issues.push_back(
        MakeIssue("CK1501", IssueSeverity::kWarning, network_[i].name,
                  fmt::format("`{}` keeps the network's own value: MindSpore only logs it", network_[i].name)));
  }
  // MindSpore's list does not regard what was filled by a prefix.
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (!loaded[i]) verdict_.ckpt_not_load.push_back(dict_.entries()[i].tensor.name);
  }
  verdict_.missing = static_cast<int64_t>(verdict_.param_not_load.size());
  verdict_.unused = static_cast<int64_t>(verdict_.ckpt_not_load.size());
  verdict_.fits = std::none_of(verdict_.issues.begin(), verdict_.issues.end(),
                               [](const Issue& issue) { return issue.severity == IssueSeverity::kError; });
  return std::move(verdict_);
}

// Unused tensors of the checkpoint that could be what `want` means: equal in dtype and shape, those
// whose names end alike first.
std::vector<std::string> Candidates(const TensorInfo& want, const Manifest& checkpoint,
                                    const std::vector<size_t>& unused) {
  constexpr size_t kShown = 2;
  std::vector<std::pair<size_t, size_t>> ranked;  // common end, index
  for (const size_t i : unused) {
    const TensorInfo& have = checkpoint[i];
    if (!ShapesFit(have.shape, want.shape) || !DTypesFit(have.dtype, want.dtype)) continue;
    const auto mismatch = std::mismatch(have.name.rbegin(), have.name.rend(), want.name.rbegin(), want.name.rend());
    ranked.emplace_back(static_cast<size_t>(mismatch.first - have.name.rbegin()), i);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < ranked.size() && i < kShown; ++i)
    names.push_back(fmt::format("`{}`", checkpoint[ranked[i].second].name));
  return names;
}

LoadVerdict CheckStrict(const Manifest& checkpoint, const Manifest& network) {
  constexpr size_t kMostCandidates = 4'000'000;  // comparisons; beyond, candidates are left out
  LoadVerdict verdict{.rules = "strict", .issues = {}};
  std::vector<bool> used(checkpoint.size(), false);
  std::vector<size_t> missing;
  for (size_t i = 0; i < network.size(); ++i) {
    const TensorInfo& want = network[i];
    const auto found = checkpoint.Find(want.name);
    if (!found) {
      if (!want.optional) missing.push_back(i);
      continue;
    }
    used[*found] = true;
    const TensorInfo& have = checkpoint[*found];
    if (!have.unreadable.empty()) {
      verdict.issues.push_back(MakeIssue("CK1507", IssueSeverity::kError, want.name,
                                         fmt::format("`{}` cannot be read: {}", have.name, have.unreadable)));
    } else if (!ShapesFit(have.shape, want.shape) || !DTypesFit(have.dtype, want.dtype)) {
      verdict.issues.push_back(MakeIssue(
          "CK1502", IssueSeverity::kError, want.name,
          fmt::format("`{}` is {}, the network wants {}", have.name, DescribeTensor(have), DescribeTensor(want))));
    } else {
      ++verdict.loaded;
    }
  }
  std::vector<size_t> unused;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unused.push_back(i);
  }
  for (const size_t i : missing) {
    std::vector<std::string> notes;
    if (missing.size() * unused.size() < kMostCandidates) {
      const auto names = Candidates(network[i], checkpoint, unused);
      if (!names.empty()) notes.push_back(fmt::format("unused, of that dtype and shape: {}", fmt::join(names, ", ")));
    }
    verdict.issues.push_back(
        MakeIssue("CK1501", IssueSeverity::kError, network[i].name,
                  fmt::format("the checkpoint has no `{}` ({})", network[i].name, DescribeTensor(network[i])),
                  std::move(notes), kMigrate));
  }
  for (const size_t i : unused) {
    verdict.issues.push_back(
        MakeIssue("CK1503", IssueSeverity::kError, checkpoint[i].name,
                  fmt::format("the network has no `{}` ({})", checkpoint[i].name, DescribeTensor(checkpoint[i]))));
  }
  for (const size_t i : missing) verdict.param_not_load.push_back(network[i].name);
  for (const size_t i : unused) verdict.ckpt_not_load.push_back(checkpoint[i].name);
  verdict.missing = static_cast<int64_t>(missing.size());
  verdict.unused = static_cast<int64_t>(unused.size());
  verdict.fits = verdict.issues.empty();
  return verdict;
}

}  // namespace

std::vector<LoadVerdict> CheckLoad(const MindSporeDict& dict, const Manifest& checkpoint, const Manifest& network) {
  return {MindSpore(dict, network, false).Run(), MindSpore(dict, network, true).Run(),
          CheckStrict(checkpoint, network)};
}

std::vector<LoadVerdict> CheckLoad(const Manifest& checkpoint, const Manifest& network) {
  return CheckLoad(MindSporeDict(checkpoint), checkpoint, network);
}

void CheckNesting(const Manifest& checkpoint, const Nesting* checkpoint_nesting, const Manifest& network,
                  const Nesting* network_nesting, std::vector<LoadVerdict>& verdicts) {
  if (checkpoint.framework != "torch" || network.framework != "torch") return;
  if (checkpoint_nesting == nullptr && network_nesting == nullptr) return;
  const auto paths = [](const Nesting* nesting) {
    return nesting == nullptr ? std::unordered_map<std::string_view, std::string>() : KeyPaths(*nesting);
  };
  const auto have = paths(checkpoint_nesting), want = paths(network_nesting);
  const auto path = [](const auto& known, const std::string& name) {
    const auto found = known.find(name);
    return found == known.end() ? fmt::format("[{}]", SpellKey(name)) : found->second;
  };
  LoadVerdict& strict = verdicts.back();
  for (const TensorInfo& tensor : network.tensors()) {
    if (!checkpoint.Find(tensor.name)) continue;
    const std::string found = path(have, tensor.name), wanted = path(want, tensor.name);
    if (found == wanted) continue;
    strict.fits = false;
    strict.issues.push_back(
        MakeIssue("CK1510", IssueSeverity::kError, tensor.name,
                  fmt::format("`{}` is at {} in the checkpoint, the network has it at {}", tensor.name, found, wanted),
                  {}, "`ckmap apply` writes the dicts of its --target, and the one of --target-root"));
  }
}

std::string LoadCheckJson(const std::string& source, const std::string& target,
                          const std::vector<LoadVerdict>& verdicts) {
  JsonWriter json;
  json.BeginObject().OnLines().Key("source").String(source).Key("target").String(target);
  json.Key("ok").Bool(!verdicts.empty() && verdicts.back().fits);
  json.Key("verdicts").BeginArray().OnLines();
  for (const LoadVerdict& verdict : verdicts) {
    json.BeginObject().Key("rules").String(verdict.rules).Key("fits").Bool(verdict.fits);
    json.Key("loaded").Int(verdict.loaded).Key("missing").Int(verdict.missing).Key("unused").Int(verdict.unused);
    for (const auto& [key, names] :
         {std::pair("param_not_load", &verdict.param_not_load), std::pair("ckpt_not_load", &verdict.ckpt_not_load)}) {
      json.Key(key).BeginArray();
      for (const std::string& name : *names) json.String(name);
      json.EndArray();
    }
    json.Key("issues");
    WriteIssues(json, verdict.issues);
    json.EndObject();
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

std::string LoadCheckText(const std::vector<LoadVerdict>& verdicts, const Style& style) {
  TextTable table({"rules", "", "loaded", "missing", "unused"});
  for (size_t column = 2; column < 5; ++column) table.AlignRight(column);
  for (const LoadVerdict& verdict : verdicts) {
    const bool strict = verdict.rules == "strict";
    table.AddRow({verdict.rules,
                  verdict.fits ? style.Green("loads") : style.Red(strict ? "does not fit" : "raises an error"),
                  FormatCount(verdict.loaded), FormatCount(verdict.missing), FormatCount(verdict.unused)});
  }
  return table.Render();
}

}  // namespace ckmap
