// Parts that only one of the two networks has: norms, which also shift the numbers of a sequence; experts; branches;
// adapters. What they leave unused or unwritten is one cause, and not a list of tensors.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxPartPatterns = 12;

std::string ParentPath(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string LastSegment(const std::string& name) { return name.substr(name.rfind('.') + 1); }

bool IsCount(std::string_view segment) {
  return !segment.empty() && std::all_of(segment.begin(), segment.end(), IsDigit);
}

bool LiesBeneath(const std::string& name, const std::set<std::string>& paths) {
  for (std::string path = ParentPath(name); !path.empty(); path = ParentPath(path)) {
    if (paths.contains(path)) return true;
  }
  return paths.contains("");
}

// A norm that keeps running means.
bool IsBatchNormLeaf(std::string_view leaf) { return leaf == "running_mean" || leaf == "moving_mean"; }

bool IsAdapterSegment(std::string_view segment) {
  static const std::set<std::string, std::less<>> kSegments = {
      "lora_A",           "lora_B",           "lora_a",
      "lora_b",           "lora_down",        "lora_up",
      "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector",
      "hada_w1_a",        "hada_w1_b",        "hada_w2_a",
      "hada_w2_b",        "lokr_w1",          "lokr_w2"};
  return kSegments.contains(segment);
}

class PartFinder {
 public:
  explicit PartFinder(const Findings& findings) : findings_(findings), situation_(findings.situation) {
    for (size_t i = 0; i < findings.unused.size(); ++i) unused_.push_back(findings.Unused(i).name);
    for (size_t i = 0; i < findings.missing.size(); ++i) missing_.push_back(findings.Missing(i).name);
  }

  void Suggest(Hypotheses& out) const {
    Adapters(out);
    BatchNorms(out);
    Experts(out);
    Branches(true, out);
    Branches(false, out);
  }

 private:
  // The parts lie outside of the rules: what is left when both sides are looked at without them.
  void Explain(std::string kind, std::string message, std::vector<std::string> notes, std::set<std::string> of_source,
               std::set<std::string> of_target, int order, Hypotheses& out) const {
    out.push_back({.kind = std::move(kind),
                   .message = std::move(message),
                   .notes = std::move(notes),
                   .apply =
                       [of_source = std::move(of_source), of_target = std::move(of_target)](Situation& s) {
                         s.RenameSources(
                             [&](const std::string& name) { return of_source.contains(name) ? std::string() : name; });
                         s.target = Without(s.target, of_target);
                       },
                   .edit = {},
                   .evident = true,
                   .order = order});
  }

  // ---- adapters ---------------------------------------------------------------------------------------------

  void Adapters(Hypotheses& out) const {
    std::vector<std::string> adapters;
    for (const std::string& name : unused_) {
      const Segments segments = SplitName(name);
      if (std::any_of(segments.begin(), segments.end(), IsAdapterSegment)) adapters.push_back(name);
    }
    if (adapters.empty()) return;
    std::vector<std::string> patterns;
    for (const auto& [pattern, count] : FoldAll(adapters)) patterns.push_back(pattern);
    const std::set<std::string> gone(adapters.begin(), adapters.end());
    const bool wrapped =
        std::any_of(situation_.source.tensors().begin(), situation_.source.tensors().end(),
                    [](const TensorInfo& tensor) { return tensor.name.find(".base_layer.") != std::string::npos; });
    out.push_back(
        {.kind = "adapter",
         .message = fmt::format("the source holds adapters (LoRA) beside its weights, {} tensors: {}", adapters.size(),
                                Listed(patterns)),
         .notes = {fmt::format("merge them into the weights: `use {};` does, and so does PEFT's merge_and_unload(); "
                               "dropping them loses what was trained",
                               wrapped ? "lora/merge_peft_model" : "lora/onto_base")},
         .apply =
             [gone](Situation& s) {
               // PEFT puts what it wraps beneath base_layer, and all of it beneath base_model.model.
               s.RenameSources([&](const std::string& name) {
                 if (gone.contains(name)) return std::string();
                 std::string base = name;
                 const size_t at = base.find(".base_layer.");
                 if (at != std::string::npos) base.replace(at, 12, ".");
                 if (base.starts_with("base_model.model.")) base = base.substr(17);
                 return base;
               });
             },
         .edit = {},
         .evident = true,
         .order = 11});
  }

  // ---- norms ------------------------------------------------------------------------------------------------

  static std::set<std::string> BatchNormsOf(const Manifest& manifest) {
    std::set<std::string> modules;
    for (const TensorInfo& tensor : manifest.tensors()) {
      if (IsBatchNormLeaf(LastSegment(tensor.name))) modules.insert(ParentPath(tensor.name));
    }
    return modules;
  }

  // Whether both networks have the same matrices and kernels, whatever stands between them.
  bool SameMatrices() const {
    std::map<Shape, int64_t> counts;
    int64_t all = 0, common = 0;
    const auto sorted = [](Shape shape) {
      std::sort(shape.begin(), shape.end());
      return shape;
    };
    for (const TensorInfo& tensor : situation_.source.tensors()) {
      if (tensor.shape.size() >= 2) ++counts[sorted(tensor.shape)], ++all;
    }
    int64_t others = 0;
    for (const TensorInfo& tensor : situation_.target.tensors()) {
      if (tensor.shape.size() < 2) continue;
      ++others;
      if (counts[sorted(tensor.shape)]-- > 0) ++common;
    }
    return all > 0 && common * 10 >= std::max(all, others) * 9;
  }

  // Batch norms there or not. In a sequence they count as modules, so that the layers behind them have other numbers.
  void BatchNorms(Hypotheses& out) const {
    const std::set<std::string> left = BatchNormsOf(situation_.source), right = BatchNormsOf(situation_.target);
    if (left.empty() == right.empty() || !SameMatrices()) return;
    const bool of_source = right.empty();
    const std::set<std::string>& norms = of_source ? left : right;
    std::set<std::string> sequences;
    for (const std::string& norm : norms) {
      if (IsCount(LastSegment(norm))) sequences.insert(ParentPath(norm));
    }
    std::set<std::string> source_gone, target_gone;
    const auto collect = [&](const Manifest& manifest, bool has_norms, std::set<std::string>& gone) {
      for (const TensorInfo& tensor : manifest.tensors()) {
        const bool norm = has_norms && norms.contains(ParentPath(tensor.name));
        if (norm || LiesBeneath(tensor.name, sequences)) gone.insert(tensor.name);
      }
    };
    collect(situation_.source, of_source, source_gone);
    collect(situation_.target, !of_source, target_gone);
    // A layer in front of a norm has no bias in most networks, and has one where there is no norm.
    for (const std::vector<std::string>* names : {&unused_, &missing_}) {
      for (const std::string& name : *names) {
        if (LastSegment(name) == "bias") (names == &unused_ ? source_gone : target_gone).insert(name);
      }
    }
    const std::string first = *norms.begin();
    std::vector<std::string> notes;
    if (!sequences.empty()) {
      notes.push_back(
          fmt::format("norms count as modules of a sequence: the numbers of {} mean other layers on the "
                      "two sides",
                      Listed({sequences.begin(), sequences.end()})));
    }
    notes.push_back(of_source ? "make the target with batch norms, or fold the norms into the layers in front of them "
                                "before converting"
                              : "make the target without batch norms, or take the checkpoint of the network that has "
                                "them");
    Explain("norms",
            fmt::format("the {} has {} batch norms (`{}`, …), the {} has none: they are two networks",
                        of_source ? "source" : "target", norms.size(), first, of_source ? "target" : "source"),
            std::move(notes), std::move(source_gone), std::move(target_gone), 5, out);
  }

  // ---- experts ----------------------------------------------------------------------------------------------

  // How many experts each layer has, by what stands in front of their numbers; nullopt: the layers differ, or none has.
  static std::optional<int64_t> ExpertsOf(const Manifest& manifest) {
    std::map<std::string, std::set<std::string>> numbers;
    for (const TensorInfo& tensor : manifest.tensors()) {
      const Segments segments = SplitName(tensor.name);
      for (size_t k = 1; k < segments.size(); ++k) {
        if (IsCount(segments[k]) && HasWord(segments[k - 1], {"expert", "experts"}))
          numbers[JoinName(segments, 0, k)].insert(segments[k]);
      }
    }
    std::set<size_t> counts;
    for (const auto& [path, some] : numbers) counts.insert(some.size());
    if (counts.size() != 1) return std::nullopt;
    return static_cast<int64_t>(*counts.begin());
  }

  static bool IsExpertFrom(const std::string& name, int64_t first) {
    const Segments segments = SplitName(name);
    for (size_t k = 1; k < segments.size(); ++k) {
      if (IsCount(segments[k]) && segments[k].size() < 9 && HasWord(segments[k - 1], {"expert", "experts"}))
        return std::stoll(segments[k]) >= first;
    }
    return false;
  }

  void Experts(Hypotheses& out) const {
    const auto left = ExpertsOf(situation_.source), right = ExpertsOf(situation_.target);
    if (!left || !right || *left == *right) return;
    const int64_t common = std::min(*left, *right);
    std::set<std::string> source_gone, target_gone;
    for (const TensorInfo& tensor : situation_.source.tensors()) {
      if (IsExpertFrom(tensor.name, common)) source_gone.insert(tensor.name);
    }
    for (const TensorInfo& tensor : situation_.target.tensors()) {
      if (IsExpertFrom(tensor.name, common)) target_gone.insert(tensor.name);
    }
    // The router has a row for each expert.
    std::set<std::string> routers;
    for (const Misfit& misfit : findings_.shapes) {
      const Shape &given = misfit.facts->given, &wanted = misfit.facts->wanted;
      bool router = given.size() == wanted.size();
      for (size_t k = 0; router && k < given.size(); ++k)
        router = given[k] == wanted[k] || (given[k] == *left && wanted[k] == *right);
      if (!router) continue;
      routers.insert(situation_.target[misfit.target].name);
    }
    const int64_t from = *left, to = *right;
    out.push_back({.kind = "experts",
                   .message = fmt::format("the source has {} experts in each layer, the target {}", from, to),
                   .notes = {"is the target made with the source's number of experts? without some of them, the router "
                             "chooses among others"},
                   .apply =
                       [=](Situation& s) {
                         s.RenameSources([&](const std::string& name) {
                           return source_gone.contains(name) ? std::string() : name;
                         });
                         s.target = Without(s.target, target_gone);
                         for (size_t i = 0; i < s.target.size(); ++i) {
                           if (!routers.contains(s.target[i].name)) continue;
                           for (int64_t& size : s.target.at(i).shape) size = size == to ? from : size;
                         }
                       },
                   .edit = {},
                   .evident = true,
                   .order = 9});
  }

  // ---- branches ---------------------------------------------------------------------------------------------

  // The names of one side that others lack, by the first segment that no name of the other side has.
  void Branches(bool of_source, Hypotheses& out) const {
    const std::vector<std::string>& names = of_source ? unused_ : missing_;
    if (names.size() < 2) return;
    const std::vector<std::string>& renamed = of_source ? findings_.renamed : missing_;
    // Biases are another cause.
    if (std::all_of(names.begin(), names.end(),
                    [](const std::string& name) { return LeafKind(LastSegment(name)) == 2; }))
      return;
    std::set<std::string> known;
    const auto know = [&](const std::string& name) {
      for (std::string& segment : SplitName(name)) known.insert(std::move(segment));
    };
    for (const TensorInfo& tensor : (of_source ? situation_.target : situation_.source).tensors()) know(tensor.name);
    if (!of_source) {
      for (const std::string& name : findings_.renamed) know(name);
    }
    std::map<std::string, std::vector<std::string>> by_part;
    for (size_t i = 0; i < names.size(); ++i) {
      const Segments segments = SplitName(renamed[i]);
      const auto part = std::find_if(segments.begin(), segments.end() - 1, [&](const std::string& segment) {
        return !IsCount(segment) && segment.find(':') == std::string::npos && !known.contains(segment) &&
               !LeafKind(segment);
      });
      if (part != segments.end() - 1) by_part[*part].push_back(names[i]);
    }
    // Names that nobody matched yet are another cause: of these nothing else may be left over.
    constexpr size_t kMaxParts = 3;
    if ((of_source ? !missing_.empty() : !unused_.empty()) || by_part.size() > kMaxParts) return;
    size_t explained = 0;
    std::vector<std::string> parts;
    for (const auto& [part, some] : by_part) {
      explained += some.size();
      parts.push_back(part);
    }
    if (explained == names.size()) Branch(of_source, parts, names, out);
  }

  void Branch(bool of_source, const std::vector<std::string>& parts, const std::vector<std::string>& names,
              Hypotheses& out) const {
    std::set<std::string> modules;
    std::vector<std::string> patterns;
    for (const std::string& name : names) modules.insert(ParentPath(name));
    for (const auto& [pattern, count] : FoldAll(names)) {
      if (Quoted(pattern) || count > 1) patterns.push_back(pattern);
    }
    if (patterns.empty() || patterns.size() > kMaxPartPatterns) return;
    const bool norm = std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
      return HasWord(part, {"norm", "layernorm", "rmsnorm", "ln", "bn"});
    });
    const std::string listed = Listed(parts, parts.size());
    std::vector<std::string> paths(modules.begin(), modules.end());
    std::string text;
    for (const std::string& pattern : patterns) {
      text += (text.empty() ? "" : "\n") +
              (of_source ? fmt::format("drop \"{}\" because \"the target has no such part\";", pattern)
                         : fmt::format("init \"{}\" = keep;", pattern));
    }
    out.push_back(
        {.kind = norm ? "norms" : "branch",
         .message = fmt::format("the {} has {} in {} (`{}`{}), the {} nowhere: {}", of_source ? "source" : "target",
                                listed, Plural(static_cast<int64_t>(paths.size()), "place"), paths.front(),
                                paths.size() > 1 ? ", …" : "", of_source ? "target" : "source",
                                Plural(static_cast<int64_t>(names.size()), "tensor")),
         .notes = {of_source ? "is the target made with this part? without it, it computes something else"
                             : "is it in another file? `keep` leaves it as it was initialised"},
         .apply =
             [patterns, of_source](Situation& s) {
               for (const std::string& pattern : patterns) {
                 if (of_source) {
                   AddDrop(s.plan, pattern);
                 } else {
                   AddInit(s.plan, pattern, plan::Init::KEEP);
                 }
               }
             },
         .edit = {.file = EditedFile(situation_.plan), .new_text = text},
         .evident = false,
         .order = 75});
  }

  const Findings& findings_;
  const Situation& situation_;
  std::vector<std::string> unused_, missing_;
};

}  // namespace

void SuggestParts(const Findings& findings, Hypotheses& out) { PartFinder(findings).Suggest(out); }

}  // namespace ckmap
