#include "compiler/suggest/draft.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/format/format.h"
#include "compiler/program/loader.h"
#include "compiler/suggest/fit.h"
#include "compiler/suggest/shorten.h"
#include "compiler/suggest/words.h"
#include "runtime/base/text.h"
#include "runtime/bind/bind.h"

namespace ckmap::suggest {
namespace {

constexpr const char* kDraftFile = "suggested.ckmap";
constexpr int kTries = 4;  // rounds in which tensors that do not fit are left out
constexpr int kSettleRounds = 8;
constexpr size_t kMaxShortenings = 100;        // ways to write fewer renames that are tried
constexpr size_t kShortenedTensors = 150'000;  // that are bound in all of these tries
constexpr size_t kMaxRenamed = 2000;  // matches; with more than these, names have no structure that renames could say

// "[A, 1, B]": a name for each axis, 1 as it is.
std::string SizeNames(const Shape& shape) {
  std::string out;
  char name = 'A';
  for (const int64_t size : shape) {
    if (!out.empty()) out += ", ";
    if (size == 1) {
      out += "1";
    } else {
      out += name++;
    }
  }
  return out;
}

std::string SizesText(const Shape& shape) {
  std::string out;
  for (const int64_t size : shape) out += fmt::format("{}{}", out.empty() ? "" : ", ", size);
  return out;
}

// How a tensor of one shape becomes one of another with the same elements in the same order, but for a transposition.
std::string RuleText(const std::string& left, const Shape& from, const std::string& right, const Shape& to, bool one) {
  switch (LayoutOf(from, to)) {
    case Layout::kTransposed:
      return fmt::format("{} [A, B] | transpose() <-> {} [B, A];", left, right);
    case Layout::kSqueezed:
      // A name for each size needs sizes that name can stand for: axes, one at least.
      if (from.empty() || to.empty() || from.size() > 20 || to.size() > 20 ||
          std::count(to.begin(), to.end(), -1) > 0) {
        return one ? fmt::format("{} | reshape({}) <-> {};", left, SizesText(to), right) : std::string();
      }
      return fmt::format("{} [{}] | reshape({}) <-> {} [{}];", left, SizeNames(from), SizeNames(to), right,
                         SizeNames(to));
    case Layout::kSame:
    case Layout::kDifferent:
      break;
  }
  return fmt::format("{} <-> {};", left, right);
}

}  // namespace

Draft::Draft(const Manifest& source, const Manifest& target, const SuggestOptions& options, const Values* values)
    : source_(source),
      target_(target),
      options_(options),
      values_(values),
      source_used_(source.size(), false),
      target_used_(target.size(), false) {
  if (values != nullptr) twins_.emplace(source, target, *values);
  // What is a join by its name is no candidate for anything else.
  const std::set<std::string> shared = SharedNames();
  std::vector<bool> left = source_used_, right = target_used_;
  for (size_t i = 0; i < source.size(); ++i)
    left[i] = shared.contains(source[i].name) || IsOptimizerState(source[i].name);
  for (size_t i = 0; i < target.size(); ++i)
    right[i] = shared.contains(target[i].name) || IsOptimizerState(target[i].name);
  named_joins_ = FindJoins(source, left, target, right, {}, JoinNames::kTelling, values);
  for (const Join& join : named_joins_) {
    for (const size_t tensor : join.source) source_used_[tensor] = true;
    for (const size_t tensor : join.target) target_used_[tensor] = true;
  }
  left_ = ReadNetwork(source, source_used_, values == nullptr ? nullptr : &values->Sources());
  right_ = ReadNetwork(target, target_used_, values == nullptr ? nullptr : &values->Targets());
  SourceMap sources;
  DiagnosticSink ignored;
  std_ = !FindPack("std", {options.pack_path, {}}, sources, ignored).folder.empty();
  if (!std_) {
    notes_.push_back(
        "the pack `std` is in none of the folders that are searched for packs: the draft knows no layers; -I FOLDER "
        "names the folder that holds it");
  }
  matches_ = MatchModules(left_, 0, right_, 0, containers_);
  Expect(0);
  MatchSingleTensors();
  if (values != nullptr) MatchWithoutValues();
  for (size_t g = 0; g < left_.groups.size(); ++g) left_groups_.try_emplace(left_.groups[g].form, g);
}

// Names that both sides have.
std::set<std::string> Draft::SharedNames() const {
  std::set<std::string> shared;
  for (const TensorInfo& tensor : source_.tensors()) {
    if (target_.Find(tensor.name)) shared.insert(tensor.name);
  }
  return shared;
}

void Draft::Expect(size_t first) {
  for (size_t m = first; m < matches_.size(); ++m) {
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

// What is no module on one side, `fc_w` and `fc_b`, tensor by tensor.
void Draft::MatchSingleTensors() {
  const size_t left = left_.modules.size(), right = right_.modules.size();
  AddTensors(left_, source_used_);
  AddTensors(right_, target_used_);
  const size_t first = matches_.size();
  for (Match& match : MatchModules(left_, left, right_, right, containers_)) matches_.push_back(std::move(match));
  Expect(first);
}

// By names and shapes, what values did not settle: rules that no operation explains.
void Draft::MatchWithoutValues() {
  left_.prints = right_.prints = nullptr;
  // What is joined is not matched here.
  std::vector<bool> left = source_used_, right = target_used_;
  const std::vector<Join> joins =
      FindJoins(source_, source_used_, target_, target_used_, containers_, JoinNames::kAny, values_);
  for (const Join& join : joins) {
    for (const size_t tensor : join.source) source_used_[tensor] = true;
    for (const size_t tensor : join.target) target_used_[tensor] = true;
  }
  const size_t first = matches_.size();
  MatchSingleTensors();
  for (const Join& join : joins) {
    for (const size_t tensor : join.source) source_used_[tensor] = left[tensor];
    for (const size_t tensor : join.target) target_used_[tensor] = right[tensor];
  }
  for (size_t m = first; m < matches_.size(); ++m) {
    matches_[m].certain = false;
    matches_[m].alternatives.insert(matches_[m].alternatives.begin(),
                                    "the values differ: no structural rule explains them");
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

size_t Draft::CountMet(const Outcome& outcome) const {
  return static_cast<size_t>(
      std::count_if(expected_.begin(), expected_.end(), [&](const Expected& e) { return Met(e, outcome); }));
}

// ---- trying ------------------------------------------------------------------------------------------------

Draft::Outcome Draft::Try(const std::string& text, int rounds) const {
  Outcome outcome;
  CompileOptions options;
  options.pack_path = options_.pack_path;
  options.memory_files[kDraftFile] = text;
  const CompileResult compiled = Compile(kDraftFile, options);
  if (!compiled.plan) {
    for (const Diagnostic& diagnostic : compiled.diagnostics) {
      if (Info(diagnostic.kind).severity != Severity::kError) continue;
      outcome.why = diagnostic.message;
      outcome.bad_lines.insert(compiled.sources.file(diagnostic.primary.file).Locate(diagnostic.primary.begin).line);
    }
    return outcome;
  }
  // The last two lines let pass what no other speaks of.
  const auto last = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  const std::string missing = fmt::format("{}:{}", kDraftFile, last - 1),
                    unused = fmt::format("{}:{}", kDraftFile, last);
  std::set<size_t> no_source, no_target;
  BindOptions trial;
  trial.remarks = false;
  for (int round = 0; round < rounds; ++round) {
    Manifest source, target;
    for (size_t i = 0; i < source_.size(); ++i) {
      if (!no_source.contains(i)) source.Add(source_[i]);
    }
    for (size_t i = 0; i < target_.size(); ++i) {
      if (!no_target.contains(i)) target.Add(target_[i]);
    }
    const Result<BindResult> bound = Bind(*compiled.plan, std::move(source), std::move(target), trial);
    if (!bound) {
      outcome.why = bound.error().message();
      return outcome;
    }
    if (bound->plan) {
      outcome.bound = true;
      for (const BoundTensor& tensor : bound->plan->tensors) {
        const size_t index = *target_.Find(tensor.name);
        outcome.written.insert(index);
        const bool proved = outcome.proved.contains(index), wrong = outcome.wrong.contains(index);
        if (values_ != nullptr && !proved && !wrong) {
          const std::optional<bool> makes = values_->Makes(*bound->plan, tensor);
          if (makes) (*makes ? outcome.proved : outcome.wrong).insert(index);
        }
        if (outcome.wrong.contains(index)) continue;
        for (const BoundInput& input : tensor.inputs) {
          if (input.node == nullptr)
            outcome.sources[index].insert(*source_.Find(bound->plan->source[input.source].name));
        }
        if (tensor.inputs.size() == 1 && tensor.inputs[0].node == nullptr)
          outcome.from[index] = *source_.Find(bound->plan->source[tensor.inputs[0].source].name);
      }
      for (const KeptTensor& tensor : bound->plan->kept) {
        if (tensor.rule == missing) outcome.missing.push_back(*target_.Find(tensor.name));
      }
      for (const DroppedTensor& tensor : bound->plan->dropped) {
        if (tensor.rule == unused) outcome.unused.push_back(*source_.Find(tensor.name));
      }
      return outcome;
    }
    if (!bound->issues.empty()) outcome.why = bound->issues[0].message;
    const size_t before = no_source.size() + no_target.size();
    for (const Issue& issue : bound->issues) {
      if (issue.severity != IssueSeverity::kError || issue.tensor.empty()) continue;
      if (const auto index = target_.Find(issue.tensor)) no_target.insert(*index);
      if (const auto index = source_.Find(issue.tensor)) no_source.insert(*index);
    }
    outcome.bad_sources = no_source;
    outcome.bad_targets = no_target;
    if (no_source.size() + no_target.size() == before) break;
  }
  return outcome;
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
      const auto [found, fresh] = rename_by_left_.try_emplace(*left, renames_.size());
      if (fresh) {
        Item& item = renames_.emplace_back();
        item.left = *left;
        item.right = *right;
        item.line.text = fmt::format("{} -> {};", *left, *right);
      } else if (renames_[found->second].right != *right) {
        continue;  // said otherwise already: a rule by name will do
      }
      Item& item = renames_[found->second];
      for (const auto& [a, b] : match.modules) {
        for (const auto& [kind, leaf] : left_.modules[a].leaves) item.sources.push_back(leaf.tensor);
        for (const auto& [kind, leaf] : right_.modules[b].leaves) item.targets.push_back(leaf.tensor);
      }
    }
  }
}

// With values, the operations that make the one of the other.
std::string Draft::RuleFor(const std::string& left, size_t source, const std::string& right, size_t target,
                           Line& line) const {
  const Shape &from = source_[source].shape, &to = target_[target].shape;
  const std::optional<std::string> operations = values_->Operations(source, target);
  if (!operations) {
    line.certain = false;
    return RuleText(left, from, right, to, true);
  }
  if (operations->empty()) return fmt::format("{} <-> {};", left, right);
  if (LayoutOf(from, to) == Layout::kSqueezed && operations->starts_with("| reshape("))
    return RuleText(left, from, right, to, true);
  return fmt::format("{} [{}] {} <-> {};", left, SizesText(from), *operations, right);
}

void Draft::AddRules(const Outcome& outcome) {
  std::map<std::pair<size_t, std::string>, std::vector<const Expected*>> open;
  for (const Expected& expected : expected_) {
    if (!Met(expected, outcome)) open[{expected.match, expected.kind}].push_back(&expected);
  }
  for (const auto& [key, members] : open) AddRulesOf(key.first, key.second, members);
}

// As Fold, but no name on the left stands for a module that is not meant: a rule that does would write what the target
// lacks. With each the members that it stands for.
std::vector<std::pair<NamePair, std::vector<size_t>>> Draft::FoldExactly(
    const std::string& left, const std::string& right, const std::vector<std::pair<Index, Index>>& indices) const {
  const Group& group = left_.groups[left_groups_.at(left)];
  std::vector<std::vector<size_t>> members;
  const std::vector<NamePair> folded = Fold(left, right, indices, members);
  std::vector<std::pair<NamePair, std::vector<size_t>>> exact;
  for (size_t i = 0; i < folded.size(); ++i) {
    const Index& first = indices[members[i][0]].first;
    bool captures = false;
    for (size_t k = 0; k < first.size(); ++k) captures = captures || IsCapture(folded[i].left, k);
    size_t matched = captures ? 0 : 1;
    for (size_t g = 0; captures && g < group.modules.size(); ++g) {
      const Index& index = left_.modules[group.modules[g]].index;
      bool fits = index.size() == first.size();
      for (size_t k = 0; fits && k < index.size(); ++k) fits = index[k] == first[k] || IsCapture(folded[i].left, k);
      matched += fits ? 1 : 0;
    }
    if (matched == members[i].size()) {
      exact.emplace_back(folded[i], members[i]);
      continue;
    }
    for (const size_t m : members[i]) exact.push_back({Literal(left, right, indices[m]), {m}});
  }
  return exact;
}

void Draft::AddRulesOf(size_t m, const std::string& kind, const std::vector<const Expected*>& members) {
  const Match& match = matches_[m];
  std::set<size_t> open;
  for (const Expected* expected : members) open.insert(expected->source);
  // Leaves of one kind may have several names, and several layouts, in one match.
  struct Part {
    std::vector<std::pair<Index, Index>> indices;
    std::vector<std::pair<size_t, size_t>> tensors;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Part> parts;
  std::string left_form, right_form;
  for (const auto& [a, b] : match.modules) {
    const auto from = left_.modules[a].leaves.find(kind), to = right_.modules[b].leaves.find(kind);
    if (from == left_.modules[a].leaves.end() || to == right_.modules[b].leaves.end() ||
        !open.contains(from->second.tensor))
      continue;
    left_form = left_.modules[a].form;
    right_form = right_.modules[b].form;
    const Shape &source = source_[from->second.tensor].shape, &target = target_[to->second.tensor].shape;
    // The operations tell layouts apart; sizes that are named are of any size, those that are 1 are not.
    Line ignored;
    Part& part = parts[{from->second.raw, to->second.raw,
                        values_ == nullptr ? RuleText("", source, "", target, true)
                                           : RuleFor("", from->second.tensor, "", to->second.tensor, ignored)}];
    part.indices.emplace_back(left_.modules[a].index, right_.modules[b].index);
    part.tensors.emplace_back(from->second.tensor, to->second.tensor);
  }
  for (const auto& [key, part] : parts) {
    const Shape &from = source_[part.tensors[0].first].shape, &to = target_[part.tensors[0].second].shape;
    for (auto& [pair, some] : FoldExactly(left_form, right_form, part.indices)) {
      NamePair names = pair;
      if (!std::get<0>(key).empty()) names.left.push_back(Escaped(std::get<0>(key)));
      if (!std::get<1>(key).empty()) names.right.push_back(Escaped(std::get<1>(key)));
      const auto left = Written(names.left), right = Written(names.right);
      if (!left || !right) continue;
      Item item;
      item.line.certain = match.certain;
      item.line.alternatives = match.alternatives;
      item.line.text = values_ == nullptr
                           ? RuleText(*left, from, *right, to, true)
                           : RuleFor(*left, part.tensors[0].first, *right, part.tensors[0].second, item.line);
      if (item.line.text.empty()) continue;
      for (const size_t i : some) {
        item.sources.push_back(part.tensors[i].first);
        item.targets.push_back(part.tensors[i].second);
      }
      rules_.push_back(std::move(item));
    }
  }
}

void Draft::AddJoins() {
  std::vector<Join> found = std::move(named_joins_);
  std::vector<bool> left = source_used_, right = target_used_;
  for (size_t i = 0; i < source_.size(); ++i) left[i] = left[i] || IsOptimizerState(source_[i].name);
  for (size_t i = 0; i < target_.size(); ++i) right[i] = right[i] || IsOptimizerState(target_[i].name);
  for (Join& join : FindJoins(source_, left, target_, right, containers_, JoinNames::kAny, values_))
    found.push_back(std::move(join));
  for (Join& join : found) {
    Item& item = rules_.emplace_back();
    item.line = std::move(join.line);
    item.sources = std::move(join.source);
    item.targets = std::move(join.target);
    item.line.joins = true;
  }
}

// ---- until it binds --------------------------------------------------------------------------------------------

bool Draft::RemoveFailed(const Outcome& outcome, const std::vector<std::pair<size_t, Item*>>& lines) {
  bool removed = false;
  const auto remove = [&](Item& item) {
    removed = removed || !item.removed;
    item.removed = true;
  };
  for (const auto& [line, item] : lines) {
    if (!outcome.bad_lines.contains(line)) continue;
    // What cannot be undone may still be done.
    const size_t arrow = item->line.text.find(" <-> ");
    if (arrow == std::string::npos || !item->line.joins) {
      remove(*item);
    } else {
      item->line.text.replace(arrow, 5, " -> ");
      removed = true;
    }
  }
  const auto bad = [&](const Item& item) {
    return std::any_of(item.targets.begin(), item.targets.end(),
                       [&](size_t t) { return outcome.bad_targets.contains(t); }) ||
           std::any_of(item.sources.begin(), item.sources.end(),
                       [&](size_t s) { return outcome.bad_sources.contains(s); });
  };
  for (auto* items : {&rules_, &renames_}) {
    for (Item& item : *items) {
      if (!item.removed && bad(item)) remove(item);
    }
    if (removed) return true;  // rules first: a rename is about many tensors
  }
  return removed;
}

// Sources that are taken as they are, by their own names, and do not fit.
bool Draft::DropPassing(const Outcome& outcome) {
  const size_t before = dropped_.size();
  for (const size_t target : outcome.bad_targets) {
    if (const auto source = source_.Find(target_[target].name)) dropped_.insert(*source);
  }
  dropped_.insert(outcome.bad_sources.begin(), outcome.bad_sources.end());
  return dropped_.size() > before;
}

// A rule of a tensor whose values differ anyway.
bool Draft::Unexplained(const Item& item) {
  return !item.line.alternatives.empty() && item.line.alternatives.front().starts_with("the values differ");
}

// Takes lines out until the rest compiles and binds.
Draft::Outcome Draft::Settle(Outcome outcome) {
  for (int round = 0; round < kSettleRounds; ++round) {
    std::vector<std::pair<size_t, Item*>> lines;
    outcome = Try(Text(nullptr, &lines), 1);
    if (outcome.bound) {
      // A rule that does not do what it is meant to is taken out, too.
      bool removed = false;
      for (Item& item : rules_) {
        if (item.removed) continue;
        const bool good = std::all_of(item.targets.begin(), item.targets.end(), [&](size_t t) {
          return outcome.written.contains(t) && !outcome.wrong.contains(t);
        });
        if (!good && !Unexplained(item)) item.removed = removed = true;
      }
      if (!removed) return outcome;
      continue;
    }
    if (!RemoveFailed(outcome, lines) && !DropPassing(outcome)) break;
  }
  // Names that no rule can say, or sizes that none can take. One thing after the other is given up.
  for (int step = 0; step < 5; ++step) {
    if (step == 0) casts_ = false;
    for (Item& item : renames_) item.removed = item.removed || step == 1;
    for (Item& item : rules_) item.removed = item.removed || step == 2;
    if (step == 3) std_ = false;
    if (step == 4) nothing_ = true;
    for (int round = 0; round < kSettleRounds; ++round) {
      std::vector<std::pair<size_t, Item*>> lines;
      outcome = Try(Text(nullptr, &lines), 1);
      if (outcome.bound) return outcome;
      if (!RemoveFailed(outcome, lines) && !DropPassing(outcome)) break;
    }
  }
  return outcome;
}

bool Draft::Has(const std::vector<size_t>& some, size_t one) {
  return std::find(some.begin(), some.end(), one) != some.end();
}

// Fewer renames, as long as the draft does the same.
void Draft::ShortenRenames(Outcome& outcome) {
  if (!outcome.bound) return;
  const size_t tensors = source_.size() + target_.size() + 1;
  std::set<std::vector<Renaming>> failed;
  for (size_t tries = std::min(kMaxShortenings, kShortenedTensors / tensors); tries > 0; --tries) {
    std::vector<Item> items;
    std::vector<Renaming> renames;
    for (const Item& item : renames_) {
      if (item.removed) continue;
      items.push_back(item);
      renames.push_back({item.left, item.right});
    }
    const std::vector<Shortening> all = Shortenings(renames);
    const auto after = [&](const Shortening& one) {
      std::vector<Renaming> list;
      for (size_t i = 0; i < renames.size(); ++i) {
        if (!Has(one.removed, i)) list.push_back(renames[i]);
        // Where the first of them stood.
        if (i == one.removed[0]) list.insert(list.end(), one.added.begin(), one.added.end());
      }
      return list;
    };
    const auto next =
        std::find_if(all.begin(), all.end(), [&](const Shortening& one) { return !failed.contains(after(one)); });
    if (next == all.end()) return;
    const std::vector<Renaming> list = after(*next);
    std::vector<Item> shorter;
    for (const Renaming& one : list) {
      const auto same = std::find_if(items.begin(), items.end(), [&](const Item& item) {
        return item.left == one.left && item.right == one.right;
      });
      if (same != items.end()) {
        shorter.push_back(*same);
        continue;
      }
      Item& item = shorter.emplace_back();
      item.left = one.left;
      item.right = one.right;
      item.line.text = fmt::format("{} -> {};", one.left, one.right);
    }
    std::swap(renames_, shorter);
    Outcome tried = Try(Text(nullptr), 1);
    const bool same = tried.bound && tried.sources == outcome.sources && tried.written == outcome.written &&
                      tried.missing == outcome.missing && tried.unused == outcome.unused &&
                      tried.wrong == outcome.wrong;
    if (same) {
      outcome = std::move(tried);
    } else {
      std::swap(renames_, shorter);
      failed.insert(list);
    }
  }
}

// Whether a rule is about tensors of one size only.
bool Draft::HasSizes(const std::vector<Item>& rules) {
  return std::any_of(rules.begin(), rules.end(), [](const Item& item) {
    const std::string& text = item.line.text;
    return !item.removed && (text.find("reshape(") != std::string::npos || text.find("sizes=") != std::string::npos ||
                             text.find("block=") != std::string::npos);
  });
}

Result<Suggestion> Draft::Write() {
  Outcome outcome = Try(Text(nullptr), kTries);
  if (const std::set<size_t> unmet = UnmetMatches(outcome); !unmet.empty() && unmet.size() <= kMaxRenamed) {
    AddRenames(unmet, false);
    outcome = Try(Text(nullptr), kTries);
    if (const std::set<size_t> rest = UnmetMatches(outcome); !rest.empty()) {
      // Whole paths, for what the short ones did not reach or reached by mistake.
      const auto before = std::make_pair(renames_, rename_by_left_);
      if (!outcome.bound) {
        renames_.clear();
        rename_by_left_.clear();
      }
      const size_t met = CountMet(outcome);
      AddRenames(outcome.bound ? rest : unmet, true);
      Outcome second = Try(Text(nullptr), kTries);
      if (CountMet(second) > met) {
        outcome = std::move(second);
      } else {
        std::tie(renames_, rename_by_left_) = before;
      }
    }
    if (!outcome.bound) {  // renames that cannot be: rules by name alone
      renames_.clear();
      rename_by_left_.clear();
      outcome = Try(Text(nullptr), kTries);
    }
  }
  AddRules(outcome);
  AddJoins();
  outcome = Settle(std::move(outcome));
  if (!outcome.bound)
    return Error(ErrorCode::kMismatch,
                 fmt::format("no draft binds to the two files, which is a fault of ckmapc: {}", outcome.why));

  ShortenRenames(outcome);
  Suggestion suggestion;
  suggestion.targets = static_cast<int64_t>(target_.size());
  const std::set<size_t> open = OpenTargets(outcome);
  for (const size_t target : outcome.written)
    (open.contains(target) ? suggestion.open : suggestion.certain).push_back(target_[target].name);
  std::string text = Text(&outcome);
  const std::string origin =
      options_.converter.empty()
          ? fmt::format("the names and shapes of {} and {}", EscapeText(options_.source_name),
                        EscapeText(options_.target_name))
          : fmt::format("what `{}` does with {}", EscapeText(options_.converter), EscapeText(options_.source_name));
  std::string summary =
      fmt::format("/// A draft by `ckmapc suggest`, from {}: {} of {} targets, {} of them for sure.\n", origin,
                  outcome.written.size(), suggestion.targets, suggestion.certain.size());
  if (!options_.converter.empty() && HasSizes(rules_))
    summary +=
        "/// Sizes that stand in the rules as numbers are those of this source: nothing says what they are of "
        "others.\n";
  for (const std::string& note : notes_) summary += fmt::format("/// Note: {}.\n", EscapeText(note));
  text.replace(text.find("@SUMMARY@"), 9, summary);
  SourceMap sources;
  const FileId file = sources.Add(kDraftFile, text);
  DiagnosticSink sink;
  const auto formatted = Format(sources.file(file), file, sink);
  if (!formatted)
    return Error(ErrorCode::kMismatch,
                 "the draft cannot be read; this is a fault of ckmapc:\n" + RenderText(sink.Sorted(), sources));
  suggestion.text = *formatted;
  suggestion.notes = notes_;
  for (size_t at = 0; (at = suggestion.text.find("\ndecide ", at)) != std::string::npos; ++at) ++suggestion.decisions;
  return suggestion;
}

}  // namespace ckmap::suggest
