// One tensor on one side, its parts on the other: fused against split.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/causes/difference.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxParts = 4, kMaxJoins = 12;

// Where parts stand by custom: query, key, value; the gate before what goes up.
int Rank(const std::string& part) {
  const auto words = WordsOf(part);
  const auto has = [&](std::initializer_list<std::string_view> list) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      return std::find(list.begin(), list.end(), word) != list.end();
    });
  };
  if (has({"q", "query", "wq", "gate", "queries"})) return 0;
  if (has({"k", "key", "wk", "up", "keys"})) return 1;
  if (has({"v", "value", "wv", "values"})) return 2;
  return 3;
}

// Names that differ in one segment, with what stands there; folded over their numbers.
struct Family {
  std::string before, after;       // of the pattern, around the part
  std::vector<std::string> parts;  // in order
  std::vector<Shape> shapes;       // of the parts
};

std::vector<Family> Families(const std::vector<const TensorInfo*>& tensors) {
  std::map<std::pair<std::string, std::string>, std::map<std::string, Shape>> groups;
  std::vector<std::pair<std::string, std::string>> order;
  for (const TensorInfo* tensor : tensors) {
    const auto fold = FoldName(tensor->name);
    if (!fold) continue;
    const Segments segments = SplitName(fold->pattern);
    for (size_t k = segments.size() > 3 ? segments.size() - 3 : 0; k < segments.size(); ++k) {
      if (segments[k].front() == '{') continue;
      const std::pair key(JoinName(segments, 0, k) + (k > 0 ? "." : ""),
                          (k + 1 < segments.size() ? "." : "") + JoinName(segments, k + 1, segments.size()));
      auto [at, made] = groups.try_emplace(key);
      if (made) order.push_back(key);
      at->second.try_emplace(segments[k], tensor->shape);
    }
  }
  std::vector<Family> families;
  for (const auto& key : order) {
    const auto& parts = groups[key];
    if (parts.size() < 2) continue;
    Family family{.before = key.first, .after = key.second, .parts = {}, .shapes = {}};
    for (const auto& [part, shape] : parts) family.parts.push_back(part);
    std::stable_sort(family.parts.begin(), family.parts.end(),
                     [](const std::string& a, const std::string& b) { return Rank(a) < Rank(b); });
    for (const std::string& part : family.parts) family.shapes.push_back(parts.at(part));
    families.push_back(std::move(family));
  }
  return families;
}

// The axis along which parts make the whole; nullopt: there is none.
std::optional<int64_t> JoinAxis(const Family& family, const std::vector<size_t>& parts, const Shape& whole) {
  for (size_t axis = 0; axis < whole.size() && axis < 2; ++axis) {
    Shape joined = family.shapes[parts[0]];
    if (joined.size() != whole.size()) return std::nullopt;
    bool fits = true;
    for (size_t k = 1; k < parts.size() && fits; ++k) {
      const Shape& part = family.shapes[parts[k]];
      fits = part.size() == joined.size();
      for (size_t i = 0; fits && i < part.size(); ++i) fits = i == axis || part[i] == joined[i];
      if (fits) joined[axis] += part[axis];
    }
    if (fits && joined == whole) return static_cast<int64_t>(axis);
  }
  return std::nullopt;
}

class Joins {
 public:
  explicit Joins(const Findings& findings) : findings_(findings) {
    for (size_t i = 0; i < findings.unused.size(); ++i) unused_.push_back(&findings.Unused(i));
    for (size_t i = 0; i < findings.missing.size(); ++i) missing_.push_back(&findings.Missing(i));
  }

  void Suggest(Hypotheses& out) {
    if (unused_.empty() || missing_.empty()) return;
    Look(unused_, missing_, true);
    Look(missing_, unused_, false);
    if (rules_.empty() || rules_.size() > kMaxJoins) return;
    std::string text;
    for (const RuleText& rule : rules_) text += (text.empty() ? "" : "\n") + rule.Text();
    CauseEdit edit{.file = EditedFile(findings_.situation.plan), .new_text = text};
    if (interleaved_) edit = {};
    out.push_back({.kind = "fused",
                   .message = message_,
                   .notes = {"shapes do not tell the order of the parts, nor whether heads are interleaved: compare "
                             "with how the network uses them"},
                   .apply =
                       [rules = rules_](Situation& s) {
                         for (const RuleText& rule : rules) AddRule(s.plan, rule);
                       },
                   .edit = std::move(edit),
                   .evident = false,
                   .order = 19});
  }

 private:
  void Look(const std::vector<const TensorInfo*>& many, const std::vector<const TensorInfo*>& few, bool joins) {
    const std::vector<Family> families = Families(many);
    std::set<std::string> seen, taken;
    for (const TensorInfo* whole : few) {
      const auto fold = FoldName(whole->name);
      if (!fold || !seen.insert(fold->pattern).second) continue;
      const Family* best = nullptr;
      std::vector<size_t> best_parts;
      int best_score = -1;
      int64_t best_axis = 0;
      for (const Family& family : families) {
        if (taken.contains(family.before + "*" + family.after)) continue;
        for (const std::vector<size_t>& parts : Choices(family.parts.size())) {
          const auto axis = JoinAxis(family, parts, whole->shape);
          if (!axis) continue;
          const Segments name = SplitName(fold->pattern), of_family = SplitName(family.before + "x" + family.after);
          if (!Belong(family, parts, of_family, name)) continue;
          int score = static_cast<int>(Differ(of_family, name).common) * 4 + Likeness(of_family, name);
          for (const size_t part : parts) score += Rank(family.parts[part]) < 3 ? 3 : 0;
          if (score <= best_score) continue;
          best = &family, best_parts = parts, best_score = score, best_axis = *axis;
        }
      }
      if (best == nullptr) continue;
      taken.insert(best->before + "*" + best->after);
      interleaved_ = interleaved_ || MayInterleave(fold->pattern);
      Emit(*best, best_parts, best_axis, *fold, joins);
    }
  }

  // Parts that go together by custom, and a whole of the same kind in the same layer.
  static bool Belong(const Family& family, const std::vector<size_t>& parts, const Segments& of_family,
                     const Segments& whole) {
    std::set<int> ranks;
    for (const size_t part : parts) ranks.insert(Rank(family.parts[part]));
    if (ranks.size() != parts.size() || ranks.contains(3)) return false;
    const bool leaf = of_family.back() == "x";
    if (LeafKind(of_family.back()) != LeafKind(whole.back()) && !leaf) return false;
    // `layer1` is not `layer2`.
    for (const NameDifference::Run& run : Differ(of_family, whole).runs) {
      if (run.from.size() != run.to.size()) continue;
      for (size_t i = 0; i < run.from.size(); ++i) {
        const auto a = NumberIn(run.from[i]), b = NumberIn(run.to[i]);
        if (a && b && a->before == b->before && a->number != b->number) return false;
      }
    }
    return true;
  }

  // Networks that mix the heads of the parts: a plain concatenation would be another conversion.
  static bool MayInterleave(const std::string& whole) {
    return HasWord(whole, {"interleaved"}) ||
           std::any_of(std::begin(kInterleaved), std::end(kInterleaved),
                       [&](std::string_view name) { return whole.find(name) != std::string::npos; });
  }
  static constexpr std::string_view kInterleaved[] = {
      "w_qkv", "linear_qkv", "query_key_value", "linear_fc1", "w_gate_hidden", "linear_kv", "w_kv"};

  // Two to four of them, in their order; all of them first.
  static std::vector<std::vector<size_t>> Choices(size_t count) {
    std::vector<std::vector<size_t>> choices;
    if (count > 8) return choices;
    for (uint32_t mask = (1U << count) - 1; mask > 0; --mask) {
      std::vector<size_t> parts;
      for (size_t i = 0; i < count; ++i) {
        if ((mask >> i & 1U) != 0) parts.push_back(i);
      }
      if (parts.size() >= 2 && parts.size() <= kMaxParts) choices.push_back(std::move(parts));
    }
    return choices;
  }

  void Emit(const Family& family, const std::vector<size_t>& parts, int64_t axis, const NameFold& whole, bool joins) {
    std::vector<std::string> names;
    bool equal = true;
    for (const size_t part : parts) {
      names.push_back(family.parts[part]);
      equal = equal && family.shapes[part] == family.shapes[parts[0]];
    }
    const std::string list = fmt::format("{{{}}}", fmt::join(names, ","));
    const std::string split_pattern = family.before + list + family.after;
    RuleText rule;
    if (joins) {
      rule = {.sources = {split_pattern},
              .ops = {{.name = "concat", .numbers = {{"axis", axis}}}},
              .targets = {Reference(whole.pattern)},
              .exactly = {}};
    } else {
      OpText split{.name = "split", .numbers = {{"axis", axis}}};
      if (!equal) {
        std::vector<int64_t> sizes;
        for (const size_t part : parts) sizes.push_back(family.shapes[part][static_cast<size_t>(axis)]);
        split.lists = {{"sizes", sizes}};
      }
      rule = {.sources = {whole.pattern}, .ops = {split}, .targets = {Reference(split_pattern)}, .exactly = {}};
    }
    if (message_.empty()) {
      message_ = joins ? fmt::format("the target has in one tensor what the source has in {}: `{}` of `{}`",
                                     names.size(), Reference(whole.pattern), split_pattern)
                       : fmt::format("the target has in {} tensors what the source has in one: `{}` of `{}`",
                                     names.size(), Reference(split_pattern), whole.pattern);
    }
    rules_.push_back(std::move(rule));
  }

  static std::string Reference(std::string pattern) {
    for (size_t at; (at = pattern.find(":int}")) != std::string::npos;) pattern.erase(at, 4);
    return pattern;
  }

  const Findings& findings_;
  std::vector<const TensorInfo*> unused_, missing_;
  std::vector<RuleText> rules_;
  std::string message_;
  bool interleaved_ = false;
};

}  // namespace

void SuggestJoins(const Findings& findings, Hypotheses& out) { Joins(findings).Suggest(out); }

}  // namespace ckmap
