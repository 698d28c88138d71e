// Dtypes that differ, and weights that are quantised.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

// Whether each value of the one is a value of the other.
bool Widens(DType from, DType to) {
  const bool half = from == DType::kF16 || from == DType::kBF16;
  return (half && (to == DType::kF32 || to == DType::kF64)) || (from == DType::kF32 && to == DType::kF64);
}

bool IsQuantised(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kU8 || dtype == DType::kI32 || dtype == DType::kU32 ||
         dtype == DType::kI4 || dtype == DType::kF4 || (IsFloat(dtype) && DTypeBits(dtype) <= 8);
}

// What quantised weights are stored with.
bool IsScale(std::string_view leaf) {
  static const std::set<std::string, std::less<>> kLeaves = {"scales",
                                                             "qzeros",
                                                             "g_idx",
                                                             "zeros",
                                                             "zero_point",
                                                             "weight_scale",
                                                             "weight_scale_inv",
                                                             "scale",
                                                             "SCB",
                                                             "absmax",
                                                             "quant_map",
                                                             "input_scale",
                                                             "weight_zero_point",
                                                             "weight_shape",
                                                             "weight_format",
                                                             "quant_state",
                                                             "nested_absmax",
                                                             "nested_quant_map",
                                                             "scale_weight",
                                                             "weight_scale_2",
                                                             "k_scale",
                                                             "v_scale"};
  return kLeaves.contains(leaf) || leaf.find("quant_state") != std::string_view::npos;
}
bool IsPacked(std::string_view leaf) { return leaf == "qweight" || leaf == "weight_packed"; }

struct Quantised {
  std::string weight, scale, target;
  DType dtype = DType::kF32;  // of the target
  std::optional<OpText> op;   // nullopt: the scale's shape does not tell how it is meant
};

// How a scale of this shape serves a weight of that.
std::optional<OpText> Dequantize(const Shape& weight, const Shape& scale, DType to) {
  OpText op{.name = "dequantize", .words = {{"to", std::string(DTypeName(to))}}};
  if (NumElements(scale) == 1) return op;
  if (weight.size() != 2) return std::nullopt;
  if (scale == Shape{weight[0]}) {
    if (weight[0] == weight[1]) return std::nullopt;
    op.numbers = {{"axis", 0}};
    return op;
  }
  if (scale.size() != 2) return std::nullopt;
  if (scale[0] == weight[0] && scale[1] == 1) return op;
  for (const int64_t block : {128, 64, 32, 16}) {
    const auto blocks = [&](int64_t size) { return (size + block - 1) / block; };
    if (scale == Shape{blocks(weight[0]), blocks(weight[1])}) {
      op.lists = {{"block", {block, block}}};
      return op;
    }
  }
  return std::nullopt;
}

class DTypeSearch {
 public:
  explicit DTypeSearch(const Findings& findings) : findings_(findings), situation_(findings.situation) {
    for (const size_t source : findings.unused) {
      const std::string leaf = SplitName(situation_.source[source].name).back();
      if (IsScale(leaf)) scales_.push_back(situation_.source[source].name);
      if (IsPacked(leaf)) packed_.push_back(situation_.source[source].name);
    }
  }

  void Suggest(Hypotheses& out) const {
    const bool integers = std::any_of(findings_.dtypes.begin(), findings_.dtypes.end(), [](const Misfit& misfit) {
      return IsQuantised(misfit.facts->given_dtype) && IsFloat(misfit.facts->wanted_dtype) &&
             DTypeBits(misfit.facts->wanted_dtype) >= 16;
    });
    if (integers || (!packed_.empty() && !scales_.empty())) SuggestQuantised(out);
    SuggestCasts(out);
  }

 private:
  void SuggestCasts(Hypotheses& out) const {
    std::map<std::pair<DType, DType>, std::vector<size_t>> pairs;
    for (const Misfit& misfit : findings_.dtypes)
      pairs[{misfit.facts->given_dtype, misfit.facts->wanted_dtype}].push_back(misfit.target);
    for (const auto& [pair, targets] : pairs) {
      const auto [from, to] = pair;
      if (IsQuantised(from) && IsFloat(to)) continue;  // a number without its scale is not the weight
      const std::string a(DTypeName(from)), b(DTypeName(to));
      out.push_back({.kind = "dtype",
                     .message = fmt::format("{} of the target's tensors are {}, the source's {}", targets.size(), b, a),
                     .apply = [a, b](Situation& s) { AddPolicy(s.plan, plan::TargetPolicy::CAST, "", a, b); },
                     .edit = {.file = EditedFile(situation_.plan),
                              .new_text = fmt::format("target {{ cast {} -> {}; }}", a, b),
                              .why = Widens(from, to) ? "exact: each value is one of the wider dtype"
                                                      : "values are rounded, and one that is too large stops the run"},
                     .evident = Widens(from, to),
                     .order = 15});
    }
  }

  std::vector<Quantised> Find() const {
    std::vector<Quantised> found;
    for (const Misfit& misfit : findings_.dtypes) {
      if (misfit.facts->sources.size() != 1 || misfit.facts->line > 0 || !IsQuantised(misfit.facts->given_dtype))
        continue;
      const TensorInfo& weight = situation_.source[misfit.facts->sources[0]];
      for (const std::string& scale : scales_) {
        const std::string stem = scale.substr(0, scale.rfind('.') + 1);
        if (!weight.name.starts_with(stem) || weight.name.find('.', stem.size()) != std::string::npos) continue;
        if (scale.find("scale") == std::string::npos || scale.ends_with("input_scale")) continue;
        const TensorInfo& info = situation_.source[*situation_.source.Find(scale)];
        found.push_back({weight.name, scale, situation_.target[misfit.target].name, misfit.facts->wanted_dtype,
                         Dequantize(weight.shape, info.shape, misfit.facts->wanted_dtype)});
        break;
      }
    }
    return found;
  }

  void SuggestQuantised(Hypotheses& out) const {
    const std::vector<Quantised> found = Find();
    std::vector<std::string> names;
    for (const Quantised& one : found) names.push_back(one.weight);
    if (names.empty()) names = packed_;
    if (names.empty()) {
      for (const Misfit& misfit : findings_.dtypes) names.push_back(situation_.target[misfit.target].name);
    }
    std::vector<std::string> patterns;
    for (const auto& [pattern, count] : FoldAll(names)) patterns.push_back(pattern);
    Hypothesis hypothesis{
        .kind = "quantised",
        .message =
            fmt::format("the source is quantised, the target is not: {} weights ({}){}", names.size(), Listed(patterns),
                        scales_.empty() ? "; their scales are not in the file"
                                        : fmt::format(" with {} scales and the like", scales_.size())),
        .notes = {"a cast would take the integers for the weights: `dequantize` multiplies with the scales"},
        .apply = {},
        .edit = {},
        .evident = false,
        .order = 8};
    if (!Rules(found, hypothesis)) {
      hypothesis.notes.push_back("take the checkpoint that is not quantised, or dequantize it with what wrote it");
      hypothesis.apply = Diagnosis();
    }
    out.push_back(std::move(hypothesis));
  }

  // A rule for each pattern, if every scale tells how it is meant.
  bool Rules(const std::vector<Quantised>& found, Hypothesis& hypothesis) const {
    std::vector<RuleText> rules;
    std::set<std::string> seen;
    std::string text;
    for (const Quantised& one : found) {
      const auto weight = FoldName(one.weight), scale = FoldName(one.scale), target = FoldName(one.target);
      if (!one.op || !weight || !scale || !target || weight->numbers != target->numbers) return false;
      if (!seen.insert(weight->pattern + one.op->Text()).second) continue;
      rules.push_back({.sources = {weight->pattern, scale->pattern},
                       .ops = {*one.op},
                       .targets = {target->reference},
                       .both_ways = false,
                       .exactly = {}});
      text += (text.empty() ? "" : "\n") + rules.back().Text();
    }
    if (rules.empty() || rules.size() > 12) return false;
    hypothesis.apply = [rules](Situation& s) {
      for (const RuleText& rule : rules) AddRule(s.plan, rule);
    };
    hypothesis.edit = {.file = EditedFile(situation_.plan),
                       .new_text = text,
                       .why = "how a scale is meant is read from its shape: compare with what wrote the file"};
    return true;
  }

  // As if the source were not quantised.
  std::function<void(Situation&)> Diagnosis() const {
    std::set<std::string> gone(scales_.begin(), scales_.end()), stems;
    gone.insert(packed_.begin(), packed_.end());
    for (const std::string& name : packed_) stems.insert(name.substr(0, name.rfind('.') + 1));
    std::vector<std::pair<size_t, DType>> dtypes;
    for (const Misfit& misfit : findings_.dtypes) {
      if (IsQuantised(misfit.facts->given_dtype)) dtypes.emplace_back(misfit.target, misfit.facts->given_dtype);
    }
    std::set<std::string> missing;
    if (!stems.empty()) {
      for (const size_t target : findings_.missing) missing.insert(situation_.target[target].name);
    }
    return [gone, missing, dtypes](Situation& s) {
      for (const auto& [target, dtype] : dtypes) s.target.at(target).dtype = dtype;
      s.RenameSources([&](const std::string& name) { return gone.contains(name) ? std::string() : name; });
      s.target = Without(s.target, missing);
    };
  }

  const Findings& findings_;
  const Situation& situation_;
  std::vector<std::string> scales_, packed_;
};

}  // namespace

void SuggestDTypes(const Findings& findings, Hypotheses& out) { DTypeSearch(findings).Suggest(out); }

}  // namespace ckmap
