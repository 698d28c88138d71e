#include "compiler/suggest/draft.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/format/format.h"
#include "compiler/program/loader.h"
#include "runtime/base/text.h"
#include "runtime/bind/bind.h"

namespace ckmap::suggest {
namespace {

constexpr const char* kFile = "suggested.ckmap";
constexpr size_t kMaxListed = 30;
constexpr int kMaxTries = 8;

std::string Framework(const std::string& name, const char* other) {
  const bool word = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return word ? name : other;
}

// "[A, 1, B]": a name for each axis, 1 as it is.
std::string Sizes(const Shape& shape, bool ones) {
  std::string out;
  char name = 'A';
  for (const int64_t size : shape) {
    if (size == 1 && !ones) continue;
    if (!out.empty()) out += ", ";
    if (size == 1) {
      out += "1";
    } else {
      out += name++;
    }
  }
  return out;
}

}  // namespace

Draft::Draft(const Manifest& source, const Manifest& target, const SuggestOptions& options)
    : source_(source), target_(target), options_(options), source_used_(source.size(), false), target_used_(target.size(), false) {
  // What is a join by its name is no candidate for anything else.
  const std::set<std::string> shared = SharedNames();
  std::vector<bool> left = source_used_, right = target_used_;
  for (size_t i = 0; i < source.size(); ++i) left[i] = shared.contains(source[i].name);
  for (size_t i = 0; i < target.size(); ++i) right[i] = shared.contains(target[i].name);
  named_joins_ = FindJoins(source, left, target, right, JoinNames::kTelling);
  for (const Join& join : named_joins_) {
    for (const size_t tensor : join.source) source_used_[tensor] = true;
    for (const size_t tensor : join.target) target_used_[tensor] = true;
  }
  left_ = ReadNetwork(source, source_used_);
  right_ = ReadNetwork(target, target_used_);
  SourceMap sources;
  DiagnosticSink ignored;
  std_ = !FindPack("std", {options.pack_path, {}}, sources, ignored).folder.empty();
  matches_ = MatchModules(left_, right_);
  Expect();
}

// Names that both sides have.
std::set<std::string> Draft::SharedNames() const {
  std::set<std::string> shared;
  for (const TensorInfo& tensor : source_.tensors()) {
    if (target_.Find(tensor.name)) shared.insert(tensor.name);
  }
  return shared;
}

void Draft::Expect() {
  for (size_t m = 0; m < matches_.size(); ++m) {
    for (const auto& [a, b] : matches_[m].modules) {
      for (const auto& [kind, leaf] : left_.modules[a].leaves) {
        const auto found = right_.modules[b].leaves.find(kind);
        if (kind == "count" || found != right_.modules[b].leaves.end()) source_used_[leaf.tensor] = true;
        if (found == right_.modules[b].leaves.end()) continue;
        target_used_[found->second.tensor] = true;
        expected_.push_back({leaf.tensor, found->second.tensor, m, kind});
      }
    }
  }
}

bool Draft::Met(const Expected& expected, const Outcome& outcome) const {
  const auto found = outcome.from.find(expected.target);
  return found != outcome.from.end() && found->second == expected.source;
}

std::set<size_t> Draft::UnmetMatches(const Outcome& outcome) const {
  std::set<size_t> unmet;
  for (const Expected& expected : expected_) {
    if (!Met(expected, outcome)) unmet.insert(expected.match);
  }
  return unmet;
}

// ---- trying ------------------------------------------------------------------------------------------------

Result<Draft::Outcome> Draft::Try(const std::string& text) const {
  std::string tried = text + "target { allow missing \"**\"; allow unused \"**\"; }\n";
  CompileOptions options;
  options.pack_path = options_.pack_path;
  options.memory_files[kFile] = tried;
  const CompileResult compiled = Compile(kFile, options);
  if (!compiled.plan) {
    return Error(ErrorCode::kMismatch, "the draft does not compile:\n" + RenderText(compiled.diagnostics, compiled.sources));
  }
  std::set<std::string> left_out;
  for (int round = 0; round < kMaxTries; ++round) {
    Manifest source, target;
    for (const TensorInfo& tensor : source_.tensors()) {
      if (!left_out.contains("<" + tensor.name)) source.Add(tensor);
    }
    for (const TensorInfo& tensor : target_.tensors()) {
      if (!left_out.contains(">" + tensor.name)) target.Add(tensor);
    }
    CKMAP_ASSIGN_OR_RETURN(const BindResult bound, Bind(*compiled.plan, std::move(source), std::move(target), {}));
    if (bound.plan) {
      Outcome outcome;
      for (const BoundTensor& tensor : bound.plan->tensors) {
        const size_t index = *target_.Find(tensor.name);
        outcome.written.insert(index);
        if (tensor.inputs.size() == 1) outcome.from[index] = *source_.Find(bound.plan->source[tensor.inputs[0].source].name);
      }
      return outcome;
    }
    const size_t before = left_out.size();
    for (const Issue& issue : bound.issues) {
      if (issue.severity != IssueSeverity::kError || issue.tensor.empty()) continue;
      if (target_.Find(issue.tensor)) left_out.insert(">" + issue.tensor);
      if (source_.Find(issue.tensor)) left_out.insert("<" + issue.tensor);
    }
    if (left_out.size() == before) break;
  }
  return Outcome{};
}

// ---- lines -------------------------------------------------------------------------------------------------

void Draft::AddRenames(const std::set<size_t>& matches, bool whole) {
  for (const size_t m : matches) {
    const Match& match = matches_[m];
    std::vector<std::pair<Index, Index>> indices;
    for (const auto& [a, b] : match.modules) indices.emplace_back(left_.modules[a].index, right_.modules[b].index);
    std::vector<std::vector<size_t>> members;
    const std::string& from = left_.modules[match.modules[0].first].form;
    const std::string& to = right_.modules[match.modules[0].second].form;
    for (const NamePair& pair : Fold(from, to, indices, members)) {
      const NamePair core = whole ? pair : Core(pair);
      const auto left = Written(core.left);
      const auto right = core.right.empty() ? std::optional<std::string>("\"\"") : Written(core.right);
      if (!left || !right || *left == *right) continue;
      const auto [found, fresh] = renames_.try_emplace(*left);
      if (fresh) {
        rename_order_.push_back(*left);
        rename_right_[*left] = *right;
        found->second.text = fmt::format("{} -> {};", *left, *right);
      } else if (rename_right_[*left] != *right) {
        continue;  // said otherwise already: a rule by name will do
      }
      Line& line = found->second;
      line.certain = line.certain && match.certain;
      for (const std::string& other : match.alternatives) {
        if (!match.certain && std::find(line.alternatives.begin(), line.alternatives.end(), other) == line.alternatives.end()) line.alternatives.push_back(other);
      }
    }
  }
}

void Draft::AddRules(const Outcome& outcome) {
  std::map<std::pair<size_t, std::string>, std::vector<const Expected*>> open;
  for (const Expected& expected : expected_) {
    if (!Met(expected, outcome)) open[{expected.match, expected.kind}].push_back(&expected);
  }
  for (const auto& [key, members] : open) AddRulesOf(key.first, key.second, members);
}

// As Fold, but no name on the left stands for a module that is not meant: a rule that does would write what the target
// lacks.
std::vector<NamePair> Draft::FoldExactly(const std::string& left, const std::string& right, const std::vector<std::pair<Index, Index>>& indices) const {
  const auto group = std::find_if(left_.groups.begin(), left_.groups.end(), [&](const Group& g) { return g.form == left; });
  std::vector<std::vector<size_t>> members;
  const std::vector<NamePair> folded = Fold(left, right, indices, members);
  std::vector<NamePair> exact;
  for (size_t i = 0; i < folded.size(); ++i) {
    const size_t meant = members[i].size();
    // Numbers of the left that the pattern fixes are the same in all members.
    const Index& first = indices[members[i][0]].first;
    const auto varies = [&](size_t k) { return std::any_of(members[i].begin(), members[i].end(), [&](size_t m) { return indices[m].first[k] != first[k]; }); };
    size_t matched = 0;
    for (const size_t module : group->modules) {
      const Index& index = left_.modules[module].index;
      bool fits = true;
      for (size_t k = 0; k < index.size(); ++k) fits = fits && (index[k] == first[k] || varies(k) || IsCapture(folded[i].left, k));
      matched += fits ? 1 : 0;
    }
    if (matched == meant) {
      exact.push_back(folded[i]);
      continue;
    }
    for (const size_t m : members[i]) exact.push_back(Literal(left, right, indices[m]));
  }
  return exact;
}

void Draft::AddRulesOf(size_t m, const std::string& kind, const std::vector<const Expected*>& members) {
  const Match& match = matches_[m];
  // Of those members, the modules; leaves of one match have one name on each side in all networks that are known.
  std::vector<std::pair<Index, Index>> indices;
  const Expected& first = *members[0];
  std::string left_leaf, right_leaf, left_form, right_form;
  for (const auto& [a, b] : match.modules) {
    const auto leaf = left_.modules[a].leaves.find(kind);
    if (leaf == left_.modules[a].leaves.end()) continue;
    const bool open = std::any_of(members.begin(), members.end(), [&](const Expected* e) { return e->source == leaf->second.tensor; });
    if (!open) continue;
    left_leaf = leaf->second.raw;
    right_leaf = right_.modules[b].leaves.at(kind).raw;
    left_form = left_.modules[a].form;
    right_form = right_.modules[b].form;
    indices.emplace_back(left_.modules[a].index, right_.modules[b].index);
  }
  const Shape& from = source_[first.source].shape;
  const Shape& to = target_[first.target].shape;
  const Layout layout = LayoutOf(from, to);
  for (NamePair pair : FoldExactly(left_form, right_form, indices)) {
    if (!left_leaf.empty()) pair.left.push_back(left_leaf);
    if (!right_leaf.empty()) pair.right.push_back(right_leaf);
    const auto left = Written(pair.left), right = Written(pair.right);
    if (!left || !right) continue;
    Line line{"", match.certain, match.alternatives};
    if (layout == Layout::kTransposed) {
      line.text = fmt::format("{} [A, B] | transpose() <-> {} [B, A];", *left, *right);
    } else if (layout == Layout::kSqueezed) {
      line.text = fmt::format("{} [{}] | reshape({}) <-> {} [{}];", *left, Sizes(from, true), Sizes(to, true), *right, Sizes(to, true));
    } else {
      line.text = fmt::format("{} <-> {};", *left, *right);
    }
    rules_.push_back(std::move(line));
  }
}

// Each join is kept if it compiles and writes what it should.
Result<void> Draft::AddJoins() {
  std::vector<Join> found = std::move(named_joins_);
  for (const Join& join : found) {
    for (const size_t tensor : join.source) source_used_[tensor] = false;
    for (const size_t tensor : join.target) target_used_[tensor] = false;
  }
  std::vector<bool> left = source_used_, right = target_used_;
  for (const Join& join : found) {
    for (const size_t tensor : join.source) left[tensor] = true;
    for (const size_t tensor : join.target) right[tensor] = true;
  }
  for (Join& join : FindJoins(source_, left, target_, right, JoinNames::kAny)) found.push_back(std::move(join));
  for (Join& join : found) {
    joins_.push_back(std::move(join));
    const Result<Outcome> outcome = Try(Text(false));
    const std::vector<size_t>& targets = joins_.back().target;
    const bool good = outcome && std::all_of(targets.begin(), targets.end(), [&](size_t t) { return outcome->written.contains(t); });
    if (!good) {
      joins_.pop_back();
      continue;
    }
    for (const size_t tensor : joins_.back().source) source_used_[tensor] = true;
    for (const size_t tensor : targets) target_used_[tensor] = true;
  }
  return {};
}

// ---- the text ------------------------------------------------------------------------------------------------

void Draft::Append(std::string& text, const Line& line, const std::string& indent, bool comments) {
  if (comments && !line.certain) {
    text += indent + "# TODO decide:";
    for (size_t i = 0; i < line.alternatives.size(); ++i) text += fmt::format("{}{}", i == 0 ? " or " : "; or ", EscapeText(line.alternatives[i]));
    text += line.alternatives.empty() ? " nothing proves it\n" : "\n";
  }
  text += indent + line.text + "\n";
}

std::string Draft::Casts(bool comments) const {
  std::set<std::pair<std::string, std::string>> casts;
  const auto add = [&](size_t source, size_t target) {
    const DType from = source_[source].dtype, to = target_[target].dtype;
    if (from != to && to != DType::kAny) casts.emplace(DTypeName(from), DTypeName(to));
  };
  for (const Expected& expected : expected_) add(expected.source, expected.target);
  for (const Join& join : joins_) add(join.source[0], join.target[0]);
  if (casts.empty()) return "";
  std::string text = "\ntarget {\n";
  for (const auto& [from, to] : casts) {
    const bool widens = (to == "f32" && (from == "f16" || from == "bf16")) || (to == "f64" && from == "f32");
    Append(text, {fmt::format("cast {} -> {};", from, to), widens, {"leave it out: a cast from " + from + " to " + to + " may lose values"}}, "  ", comments);
  }
  return text + "}\n";
}

// What no line speaks of, as a comment.
std::string Draft::Rests(const std::vector<bool>& used, const Manifest& manifest, bool source) const {
  std::string list;
  size_t count = 0;
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (used[i] || ++count > kMaxListed) continue;
    const TensorInfo& tensor = manifest[i];
    list += fmt::format("#   {} {} {}\n", EscapeText(tensor.name), DTypeName(tensor.dtype), FormatShape(tensor.shape));
  }
  if (count == 0) return "";
  if (count > kMaxListed) list += fmt::format("#   … and {} more\n", count - kMaxListed);
  return fmt::format("\n# TODO decide: nothing here {} these; {}\n{}", source ? "uses" : "writes",
                     source ? "write a rule, or: drop \"…\" because \"…\";" : "write a rule, or: init \"…\" = keep;", list);
}

std::string Draft::Text(bool comments) const {
  std::string text = "ckmap 1;\n\n";
  if (comments) text += "@SUMMARY@";
  text += fmt::format("migration suggested from {} to {};\n\n", Framework(source_.framework, "pytorch"), Framework(target_.framework, "mindspore"));
  if (std_) text += "use std;\n";
  if (!rename_order_.empty()) {
    text += "\nrename {\n";
    for (const std::string& left : rename_order_) Append(text, renames_.at(left), "  ", comments);
    text += "}\n";
  }
  if (!rules_.empty()) text += "\n";
  for (const Line& line : rules_) Append(text, line, "", comments);
  for (const Join& join : joins_) {
    text += "\n";
    Append(text, join.line, "", comments);
  }
  text += Casts(comments);
  if (comments) text += Rests(source_used_, source_, true) + Rests(target_used_, target_, false);
  return text;
}

Result<Suggestion> Draft::Write() {
  CKMAP_ASSIGN_OR_RETURN(Outcome outcome, Try(Text(false)));
  AddRenames(UnmetMatches(outcome), false);
  CKMAP_ASSIGN_OR_RETURN(outcome, Try(Text(false)));
  if (const std::set<size_t> unmet = UnmetMatches(outcome); !unmet.empty()) {
    // Whole paths, for what the short ones did not reach or reached by mistake.
    const auto before = std::make_tuple(renames_, rename_right_, rename_order_);
    const size_t met = expected_.size() - static_cast<size_t>(std::count_if(expected_.begin(), expected_.end(), [&](const Expected& e) { return !Met(e, outcome); }));
    AddRenames(unmet, true);
    Result<Outcome> second = Try(Text(false));
    const size_t now = second ? static_cast<size_t>(std::count_if(expected_.begin(), expected_.end(), [&](const Expected& e) { return Met(e, *second); })) : 0;
    if (now > met) {
      outcome = *std::move(second);
    } else {
      std::tie(renames_, rename_right_, rename_order_) = before;
    }
  }
  AddRules(outcome);
  CKMAP_RETURN_IF_ERROR(AddJoins());
  CKMAP_ASSIGN_OR_RETURN(outcome, Try(Text(false)));

  for (const Expected& expected : expected_) {
    if (!Met(expected, outcome)) source_used_[expected.source] = target_used_[expected.target] = false;
  }
  Suggestion suggestion;
  suggestion.targets = static_cast<int64_t>(target_.size());
  for (const Expected& expected : expected_) {
    if (Met(expected, outcome)) (matches_[expected.match].certain ? suggestion.certain : suggestion.open).push_back(target_[expected.target].name);
  }
  for (const Join& join : joins_) {
    for (const size_t tensor : join.target) suggestion.open.push_back(target_[tensor].name);
  }
  std::string text = Text(true);
  const std::string summary = fmt::format(
      "/// A draft by `ckmapc suggest`, from the names and shapes of {} and {}: {} of {} targets, {} of them for sure.\n",
      EscapeText(options_.source_name), EscapeText(options_.target_name), suggestion.certain.size() + suggestion.open.size(), suggestion.targets, suggestion.certain.size());
  text.replace(text.find("@SUMMARY@"), 9, summary);
  SourceMap sources;
  const FileId file = sources.Add(kFile, text);
  DiagnosticSink sink;
  const auto formatted = Format(sources.file(file), file, sink);
  if (!formatted) return Error(ErrorCode::kMismatch, "the draft cannot be read:\n" + RenderText(sink.Sorted(), sources));
  suggestion.text = *formatted;
  return suggestion;
}

}  // namespace ckmap::suggest
