// Unused sources beside missing targets of the same shape: what their names differ in is a rename that is missing or
// misspelt, or another numbering of layers.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/causes/difference.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxSources = 400, kMaxPartners = 400, kMaxRenames = 16;

// The part of a layer that a word stands for by custom; "" for another word.
std::string_view PartOf(const std::string& word) {
  static const std::map<std::string, std::string_view, std::less<>> kParts = {
      {"q", "query"},   {"wq", "query"},    {"query", "query"}, {"k", "key"},       {"wk", "key"},
      {"key", "key"},   {"v", "value"},     {"wv", "value"},    {"value", "value"}, {"o", "out"},
      {"wo", "out"},    {"out", "out"},     {"output", "out"},  {"gate", "gate"},   {"up", "up"},
      {"down", "down"}, {"encoder", "enc"}, {"decoder", "dec"}};
  const auto found = kParts.find(word);
  return found == kParts.end() ? std::string_view() : found->second;
}

// Whether names alone tell that two runs are the same: the same parts by custom, or all words of the one in the other.
bool Corresponds(const Segments& from, const Segments& to) {
  std::set<std::string> a, b;
  std::set<std::string_view> parts_a, parts_b;
  for (const std::string& segment : from) {
    for (const std::string& word : WordsOf(segment)) a.insert(word), parts_a.insert(PartOf(word));
  }
  for (const std::string& segment : to) {
    for (const std::string& word : WordsOf(segment)) b.insert(word), parts_b.insert(PartOf(word));
  }
  parts_a.erase(""), parts_b.erase("");
  if (!parts_a.empty() || !parts_b.empty()) return parts_a == parts_b;
  if (a.empty() || b.empty()) return false;
  return std::includes(a.begin(), a.end(), b.begin(), b.end()) || std::includes(b.begin(), b.end(), a.begin(), a.end());
}

struct Rename {
  Segments from, to;
  size_t votes = 0;
  int likeness = 0;
  bool alone = true;                     // nothing else fits `from`, and nothing else `to`
  std::vector<std::string> others = {};  // what else fits `from`
  bool supported() const { return alone || Corresponds(from, to); }
};

using RunPair = std::pair<std::string, std::string>;

// Where the names of one side are numbered: the texts before and after the number, and the numbers.
using Numbers = std::map<RunPair, std::set<int64_t>>;
Numbers NumbersOf(const std::vector<std::string>& names) {
  Numbers numbers;
  for (const std::string& name : names) {
    const Segments segments = SplitName(name);
    for (size_t k = 0; k < segments.size(); ++k) {
      const auto found = NumberIn(segments[k]);
      if (!found) continue;
      const std::string stem = k > 0 ? segments[k - 1] : "";
      numbers[{found->before.empty() ? stem + "." : found->before, found->after}].insert(found->number);
    }
  }
  return numbers;
}

std::vector<std::string> NamesOf(const Manifest& manifest) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : manifest.tensors()) names.push_back(tensor.name);
  return names;
}

class Renames {
 public:
  explicit Renames(const Findings& findings) : findings_(findings), situation_(findings.situation) {}

  void Suggest(Hypotheses& out) {
    Vote();
    Judge();
    for (size_t i = 0; i < list_.size() && i < kMaxRenames; ++i) SuggestOne(list_[i], out);
    SuggestAll(out);
    SuggestNumbers(out);
  }

 private:
  void Vote() {
    std::map<Shape, std::vector<size_t>> missing, alike;  // alike: but for axes of size 1
    const auto rough = [](Shape shape) {
      std::erase(shape, 1);
      return shape;
    };
    for (size_t i = 0; i < findings_.missing.size(); ++i) {
      missing[findings_.Missing(i).shape].push_back(i);
      alike[rough(findings_.Missing(i).shape)].push_back(i);
    }
    const size_t step = findings_.unused.size() / kMaxSources + 1;
    for (size_t u = 0; u < findings_.unused.size(); u += step) {
      auto partners = missing.find(findings_.Unused(u).shape);
      if (partners == missing.end()) partners = alike.find(rough(findings_.Unused(u).shape));
      if (partners == missing.end() || partners == alike.end()) continue;
      const Segments from = SplitName(findings_.renamed[u]);
      std::vector<NameDifference> best;
      for (size_t k = 0; k < partners->second.size() && k < kMaxPartners; ++k) {
        NameDifference difference = Differ(from, SplitName(findings_.Missing(partners->second[k]).name));
        if (difference.common == 0 || !SameLeaf(from, findings_.Missing(partners->second[k]).name)) continue;
        if (!best.empty() && difference.common < best.front().common) continue;
        if (!best.empty() && difference.common > best.front().common) best.clear();
        best.push_back(std::move(difference));
      }
      for (const NameDifference& difference : best) {
        for (const NameDifference::Run& run : difference.runs) Count(from, run);
      }
    }
  }

  static bool SameLeaf(const Segments& name, const std::string& other) {
    return LeafKind(name.back()) == LeafKind(SplitName(other).back());
  }

  // The number in a run that has one alone, with the place of its segment.
  struct NumberedRun {
    size_t segment = 0;
    NumberedSegment number;
  };
  static std::optional<NumberedRun> NumberOf(const Segments& run) {
    std::optional<NumberedRun> found;
    for (size_t k = 0; k < run.size(); ++k) {
      const auto number = NumberIn(run[k]);
      if (!number) continue;
      if (found) return std::nullopt;
      found = NumberedRun{k, *number};
    }
    return found;
  }

  // `denselayer1` to `cell_list.0` is `denselayer{n:int}` to `cell_list.{n-1}`.
  static void Generalise(NameDifference::Run& run) {
    const auto a = NumberOf(run.from), b = NumberOf(run.to);
    if (!a || !b) return;
    if (run.from.size() == 1 && a->number.before.empty() && a->number.after.empty()) return;
    const int64_t offset = b->number.number - a->number.number;
    const std::string shift = offset == 0 ? "{n}" : fmt::format("{{n{}{}}}", offset < 0 ? "-" : "+", std::abs(offset));
    run.from[a->segment] = a->number.before + "{n:int}" + a->number.after;
    run.to[b->segment] = b->number.before + shift + b->number.after;
  }

  static bool IsPattern(const std::string& run) { return run.find('{') != std::string::npos; }

  void Count(const Segments& name, NameDifference::Run run) {
    if (run.from.empty()) {  // something is put in: told by what stands before it
      if (run.begin == 0) return;
      run.from = {name[run.begin - 1]};
      run.to.insert(run.to.begin(), name[run.begin - 1]);
    }
    if (run.from.size() == 1 && run.to.size() == 1) {
      const auto a = NumberIn(run.from[0]), b = NumberIn(run.to[0]);
      if (a && b && a->before == b->before && a->after == b->after) return;  // only numbered otherwise
    }
    const bool last = run.begin + run.from.size() == name.size();
    // How a leaf is called depends on the layer: that is for layers to say.
    if (last && (run.to.empty() || (run.from.size() == 1 && LeafKind(run.from[0]) > 0))) return;
    for (const Segments* side : {&run.from, &run.to}) {
      if (!Quoted(JoinName(*side, 0, side->size()))) return;
    }
    Generalise(run);
    const RunPair key(JoinName(run.from, 0, run.from.size()), JoinName(run.to, 0, run.to.size()));
    Rename& rename = votes_[key];
    rename.from = run.from;
    rename.to = run.to;
    ++rename.votes;
  }

  void Judge() {
    for (auto& [key, rename] : votes_) {
      rename.likeness = Likeness(rename.from, rename.to);
      for (const auto& [other_key, other] : votes_) {
        if (key == other_key) continue;
        if (key.first == other_key.first || (key.second == other_key.second && !key.second.empty())) {
          rename.alone = rename.alone && other.votes * 2 < rename.votes;
          if (key.first == other_key.first && rename.others.size() < 3) rename.others.push_back(other_key.second);
        }
      }
      list_.push_back(rename);
    }
    std::stable_sort(list_.begin(), list_.end(), [](const Rename& a, const Rename& b) {
      return std::tuple(b.votes, b.supported(), b.likeness) < std::tuple(a.votes, a.supported(), a.likeness);
    });
  }

  // The statement that a rename adds or corrects, and how it changes the plan.
  struct Change {
    CauseEdit edit;
    std::function<void(Situation&)> apply;
    std::string message;
  };
  Change ChangeOf(const Rename& rename) const {
    const std::string from = JoinName(rename.from, 0, rename.from.size()),
                      to = JoinName(rename.to, 0, rename.to.size());
    const auto& renames = situation_.plan.renames();
    for (int i = 0; i < renames.size(); ++i) {
      const plan::Rename& old = renames[i];
      if (old.of_target() || situation_.plan.files(static_cast<int>(old.loc().file())).level() != 0) continue;
      const bool misspelt_to = old.to().text() == from && !HoldsRun(from),
                 misspelt_from = old.to().text() == to && Idle(old);
      if (!misspelt_to && !misspelt_from) continue;
      const plan::Pattern& wrong = misspelt_to ? old.to() : old.from();
      const std::string& right = misspelt_to ? to : from;
      return {
          {.file = situation_.plan.files(static_cast<int>(old.loc().file())).name(),
           .line = old.loc().line(),
           .column = old.loc().column(),
           .old_text = wrong.text(),
           .new_text = right},
          [i, misspelt_to, right](Situation& s) {
            plan::Rename& changed = *s.plan.mutable_renames(i);
            *(misspelt_to ? changed.mutable_to() : changed.mutable_from()) = PatternOf(right);
          },
          misspelt_to
              ? fmt::format("`{}` is renamed to `{}`, which the target lacks; it has `{}`", old.from().text(), from, to)
              : fmt::format("the source has no `{}`, which a rename names; it has `{}`", wrong.text(), from)};
    }
    // A pack's rename gives the wrong name: one of this file goes before it.
    if (!IsPattern(from) && !HoldsRun(from)) {
      for (const plan::Rename& old : renames) {
        if (old.of_target() || old.to().text() != from || old.from().text().find('{') != std::string::npos) continue;
        const std::string left = old.from().text();
        return {{.file = EditedFile(situation_.plan), .new_text = RenameText(left, to)},
                [left, to](Situation& s) { AddRename(s.plan, left, to); },
                fmt::format("`{}` is renamed to `{}`, which the target lacks; it has `{}`", left, from, to)};
      }
    }
    return {{.file = EditedFile(situation_.plan), .new_text = RenameText(from, to)},
            [from, to](Situation& s) { AddRename(s.plan, from, to); },
            to.empty() ? fmt::format("the source's names have `{}` more", from)
                       : fmt::format("what the source calls `{}` the target calls `{}`", from, to)};
  }

  // Whether an unused source's own name has the run.
  bool HoldsRun(const std::string& run) const {
    return std::any_of(findings_.unused.begin(), findings_.unused.end(), [&](size_t source) {
      return ("." + situation_.source[source].name + ".").find("." + run + ".") != std::string::npos;
    });
  }

  bool Idle(const plan::Rename& rename) const {
    const std::string run = "." + rename.from().text() + ".";
    return std::none_of(
        situation_.source.tensors().begin(), situation_.source.tensors().end(),
        [&](const TensorInfo& tensor) { return ("." + tensor.name + ".").find(run) != std::string::npos; });
  }

  // Where names do not tell which of several it is, nothing is offered to paste.
  static std::string Undecided(const Rename& rename) {
    return fmt::format("names and shapes do not tell whether `{}` is {} or {}",
                       JoinName(rename.from, 0, rename.from.size()),
                       QuoteName(JoinName(rename.to, 0, rename.to.size())), Listed(rename.others));
  }

  void SuggestOne(const Rename& rename, Hypotheses& out) const {
    Change change = ChangeOf(rename);
    std::vector<std::string> notes;
    if (!rename.supported()) {
      notes.push_back(Undecided(rename));
      change.edit = {};
    }
    out.push_back({.kind = "rename",
                   .message = std::move(change.message),
                   .notes = std::move(notes),
                   .apply = std::move(change.apply),
                   .edit = std::move(change.edit),
                   .evident = rename.alone,
                   .order = 21});
  }

  // All that do not contradict each other, at once.
  void SuggestAll(Hypotheses& out) const {
    std::set<std::string> from, to;
    std::vector<Change> changes;
    std::vector<std::string> notes;
    bool evident = true, added = true;
    for (const Rename& rename : list_) {
      if (changes.size() >= kMaxRenames) break;
      const std::string left = JoinName(rename.from, 0, rename.from.size()),
                        right = JoinName(rename.to, 0, rename.to.size());
      if (from.contains(left) || (!right.empty() && to.contains(right))) continue;
      from.insert(left);
      to.insert(right);
      changes.push_back(ChangeOf(rename));
      evident = evident && rename.alone;
      if (!rename.supported()) notes.push_back(Undecided(rename));
      added = added && changes.back().edit.line == 0;
    }
    if (changes.size() < 2 || !added) return;
    std::string text, message = "the source and the target name the same tensors otherwise";
    for (const Change& change : changes) text += (text.empty() ? "" : "\n") + change.edit.new_text;
    CauseEdit edit{.file = EditedFile(situation_.plan), .new_text = text};
    if (!notes.empty()) edit = {};
    out.push_back({.kind = "rename",
                   .message = message,
                   .notes = std::move(notes),
                   .apply =
                       [changes](Situation& s) {
                         for (const Change& change : changes) change.apply(s);
                       },
                   .edit = std::move(edit),
                   .evident = evident,
                   .order = 20});
  }

  // Layers that are counted from another number.
  void SuggestNumbers(Hypotheses& out) const {
    if (findings_.unused.empty() || findings_.missing.empty()) return;
    const Numbers source = NumbersOf(NamesOf(situation_.source)), target = NumbersOf(NamesOf(situation_.target));
    for (const auto& [around, from] : source) {
      const auto to = target.find(around);
      if (to == target.end() || to->second == from || to->second.size() != from.size()) continue;
      const int64_t offset = *to->second.begin() - *from.begin();
      const bool shifted = std::equal(from.begin(), from.end(), to->second.begin(),
                                      [&](int64_t a, int64_t b) { return a + offset == b; });
      if (!shifted || offset == 0 || (around.first + around.second).find_first_not_of(".") == std::string::npos)
        continue;
      const std::string shift = fmt::format("{{n{}{}}}", offset < 0 ? "-" : "+", std::abs(offset));
      const std::string left = around.first + "{n:int}" + around.second, right = around.first + shift + around.second;
      out.push_back({.kind = "numbers",
                     .message = fmt::format("`{}` is counted from {} in the source and from {} in the target",
                                            around.first + "{n}" + around.second, *from.begin(), *to->second.begin()),
                     .apply = [left, right](Situation& s) { AddRename(s.plan, left, right); },
                     .edit = {.file = EditedFile(situation_.plan), .new_text = RenameText(left, right)},
                     .order = 15});
    }
  }

  const Findings& findings_;
  const Situation& situation_;
  std::map<RunPair, Rename> votes_;
  std::vector<Rename> list_;
};

}  // namespace

void SuggestRenames(const Findings& findings, Hypotheses& out) { Renames(findings).Suggest(out); }

}  // namespace ckmap
