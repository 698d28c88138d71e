// The text of a draft: its lines, and what is not decided.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "compiler/suggest/draft.h"
#include "compiler/suggest/fit.h"
#include "compiler/suggest/words.h"
#include "runtime/base/text.h"

namespace ckmap::suggest {
namespace {

constexpr const char* kEveryName = "/^(?s).*$/";  // "**" is for names whose segments are not empty
constexpr size_t kMaxNames = 60;                  // patterns in a statement; with more than these it is about all names

std::string Framework(const std::string& name, const char* other) {
  const bool word =
      !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return word ? name : other;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : EscapeText(text)) out += c == '"' ? '\'' : c == '\\' ? '/' : c;
  return out + "\"";
}

// Numbers as stars.
std::string Starred(const std::string& name) {
  std::string out;
  for (const std::string& segment : Segments(name)) {
    const bool number = !segment.empty() && segment.find_first_not_of("0123456789") == std::string::npos;
    out += (out.empty() ? "" : ".") + (number ? "*" : Escaped(segment));
  }
  return out;
}

bool CanBeWritten(const std::string& name) {
  return !name.empty() && name.find("..") == std::string::npos && name.front() != '.' && name.back() != '.' &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return c == '"' || c == '\\' || c == '*' || static_cast<unsigned char>(c) < 32 ||
                  static_cast<unsigned char>(c) == 127;
         });
}

std::string Decide(const std::string& question, const char* kind, const std::vector<std::string>& names) {
  std::string text = "decide " + Quoted(question);
  for (size_t i = 0; i < names.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? fmt::format(" {} ", kind) : ", ", names[i]);
  return text + ";\n";
}

std::string Question(const Line& line) {
  if (line.alternatives.empty()) return "nothing proves it";
  std::string text;
  for (const std::string& other : line.alternatives) text += (text.empty() ? "or " : "; or ") + other;
  return text;
}

}  // namespace

// Patterns that stand for these tensors and no others; one for all names if they are too many.
std::vector<std::string> Draft::NamesOf(const Manifest& manifest, const std::vector<size_t>& tensors) const {
  std::map<std::string, size_t> all;
  std::map<std::string, std::vector<size_t>> some;
  std::vector<std::string> order;
  for (const TensorInfo& tensor : manifest.tensors()) ++all[Starred(tensor.name)];
  for (const size_t tensor : tensors) {
    const std::string& name = manifest[tensor].name;
    if (!CanBeWritten(name)) return {kEveryName};
    std::vector<size_t>& members = some[Starred(name)];
    if (members.empty()) order.push_back(Starred(name));
    members.push_back(tensor);
  }
  std::vector<std::string> names;
  for (const std::string& pattern : order) {
    if (all[pattern] == some[pattern].size()) {
      names.push_back("\"" + pattern + "\"");
    } else {
      for (const size_t tensor : some[pattern]) names.push_back("\"" + Escaped(manifest[tensor].name) + "\"");
    }
    if (names.size() > kMaxNames) return {kEveryName};
  }
  return names;
}

std::set<size_t> Draft::OpenTargets(const Outcome& outcome) const {
  std::set<size_t> open;
  std::map<size_t, const Expected*> expected;
  for (const Expected& one : expected_) {
    expected[one.target] = &one;
    if (!matches_[one.match].certain) open.insert(one.target);
  }
  for (const Item& item : rules_) {
    if (!item.removed && !item.line.certain) open.insert(item.targets.begin(), item.targets.end());
  }
  open.merge(FoldedMeans(outcome));
  open.merge(Rivalled(outcome));
  for (const size_t target : outcome.wrong) open.insert(target);
  if (values_ != nullptr) {
    const std::set<size_t> undecided = Undecided(outcome), folded = FoldedMeans(outcome);
    for (const size_t target : outcome.proved) {
      // A mean of zeros is one that a bias of zeros was folded into, too.
      if (!(folded.contains(target) && values_->Targets()[target].constant)) open.erase(target);
    }
    open.insert(undecided.begin(), undecided.end());
  }
  // What a line does beside what it was written for.
  for (const auto& [target, source] : outcome.from) {
    const auto found = expected.find(target);
    const bool meant = found != expected.end() && found->second->source == source;
    if (!meant && !outcome.proved.contains(target) && source_[source].name != target_[target].name) open.insert(target);
  }
  return open;
}

// Targets for which something that is left over would fit as well: a tensor of the source that nothing uses, or one of
// the target that nothing writes.
std::set<size_t> Draft::Rivalled(const Outcome& outcome) const {
  const auto sizes = [](const TensorInfo& tensor) {
    Shape shape = WithoutOnes(tensor.shape);
    std::sort(shape.begin(), shape.end());
    return FormatShape(shape);
  };
  const auto by_sizes = [&](const Manifest& manifest, const std::vector<size_t>& tensors) {
    std::map<std::string, std::vector<size_t>> all;
    for (const size_t tensor : tensors) {
      if (!IsOptimizerState(manifest[tensor].name)) all[sizes(manifest[tensor])].push_back(tensor);
    }
    return all;
  };
  const auto sources = by_sizes(source_, outcome.unused), targets = by_sizes(target_, outcome.missing);
  // Too many of one size are compared by size alone.
  const auto any_fits = [&](const std::map<std::string, std::vector<size_t>>& left_over, const Manifest& manifest,
                            const std::string& size, const std::string& name) {
    const auto found = left_over.find(size);
    if (found == left_over.end()) return false;
    if (found->second.size() > kMaxNames) return true;
    const Roles roles = RolesOf(name);
    return std::any_of(found->second.begin(), found->second.end(),
                       [&](size_t other) { return !Contradict(roles, RolesOf(manifest[other].name)); });
  };
  std::set<size_t> rivalled;
  for (const auto& [target, source] : outcome.from) {
    if (source_[source].name == target_[target].name) continue;
    const std::string size = sizes(target_[target]);
    if (any_fits(sources, source_, size, target_[target].name) ||
        any_fits(targets, target_, size, source_[source].name))
      rivalled.insert(target);
  }
  return rivalled;
}

// Means of norms behind a layer whose bias nothing uses: it may have been folded into them.
std::set<size_t> Draft::FoldedMeans(const Outcome& outcome) const {
  std::set<size_t> unused = dropped_;
  unused.insert(outcome.unused.begin(), outcome.unused.end());
  std::map<size_t, size_t> means;  // of the source, by the target's
  std::set<size_t> folded;
  for (size_t m = 0; m + 1 < left_.modules.size(); ++m) {
    const auto bias = left_.modules[m].leaves.find("b");
    const auto mean = left_.modules[m + 1].leaves.find("mean");
    if (bias == left_.modules[m].leaves.end() || mean == left_.modules[m + 1].leaves.end() ||
        !unused.contains(bias->second.tensor))
      continue;
    if (source_[bias->second.tensor].shape == source_[mean->second.tensor].shape)
      means[mean->second.tensor] = bias->second.tensor;
  }
  for (const auto& [target, source] : outcome.from) {
    if (means.contains(source)) folded.insert(target);
  }
  return folded;
}

// Targets whose values another tensor holds as well, of either side, where nothing else tells which is meant.
std::set<size_t> Draft::Undecided(const Outcome& outcome) const {
  std::set<size_t> undecided;
  if (!twins_) return undecided;
  std::vector<std::pair<size_t, size_t>> anchors;
  std::vector<size_t> doubtful;
  for (const auto& [target, sources] : outcome.sources) {
    const bool twins = twins_->OfTarget(target) || std::any_of(sources.begin(), sources.end(),
                                                               [&](size_t source) { return twins_->OfSource(source); });
    if (twins) {
      doubtful.push_back(target);
    } else if (sources.size() == 1 && outcome.proved.contains(target)) {
      anchors.emplace_back(*sources.begin(), target);
    }
  }
  twins_->SetAnchors(anchors);
  std::map<size_t, size_t> readers;  // source → targets that are parts of it
  for (const auto& [target, sources] : outcome.sources) {
    for (const size_t source : sources) ++readers[source];
  }
  for (const size_t target : doubtful) {
    const std::set<size_t>& sources = outcome.sources.at(target);
    // Equal parts of one tensor, and equal tensors that become parts: their order is not told.
    if (sources.size() != 1 || readers.at(*sources.begin()) > 1 || !twins_->Decided(*sources.begin(), target))
      undecided.insert(target);
  }
  return undecided;
}

std::string Draft::Casts(bool decided) const {
  std::map<std::pair<std::string, std::string>, std::vector<size_t>> casts;
  const auto add = [&](size_t source, size_t target) {
    const DType from = source_[source].dtype, to = target_[target].dtype;
    if (from != to && to != DType::kAny && from != DType::kAny)
      casts[{std::string(DTypeName(from)), std::string(DTypeName(to))}].push_back(target);
  };
  for (const Expected& expected : expected_) add(expected.source, expected.target);
  for (const Item& item : rules_) {
    if (!item.removed && item.line.joins) add(item.sources[0], item.targets[0]);
  }
  if (casts.empty()) return "";
  std::string text = "\ntarget {\n", open;
  for (const auto& [types, tensors] : casts) {
    const auto& [from, to] = types;
    const bool widens = (to == "f32" && (from == "f16" || from == "bf16")) || (to == "f64" && from == "f32");
    text += fmt::format("  cast {} -> {};\n", from, to);
    if (!widens)
      open += Decide(fmt::format("a cast from {} to {} may lose values", from, to), "for", NamesOf(target_, tensors));
  }
  return text + "}\n" + (decided ? open : "");
}

// What is open of the targets that are written, question by question.
std::string Draft::Decisions(const Outcome& outcome) const {
  const std::set<size_t> open = OpenTargets(outcome), folded = FoldedMeans(outcome), twins = Undecided(outcome);
  std::set<size_t> said;
  for (const Item& item : rules_) {
    if (!item.removed) said.insert(item.targets.begin(), item.targets.end());  // above the rule
  }
  std::map<size_t, size_t> match_of;
  for (const Expected& expected : expected_) match_of[expected.target] = expected.match;
  std::map<std::string, std::vector<size_t>> by_question;
  std::vector<std::string> order;
  for (const size_t target : open) {
    if (said.contains(target) || !outcome.written.contains(target)) continue;
    const auto match = match_of.find(target);
    static const std::vector<std::string> kFolded = {"this minus the bias of the layer in front, which nothing uses"};
    static const std::vector<std::string> kTwins = {"another tensor that holds the same values"};
    const Line line{"", false,
                    folded.contains(target)   ? kFolded
                    : twins.contains(target)  ? kTwins
                    : match == match_of.end() ? std::vector<std::string>{}
                                              : matches_[match->second].alternatives};
    const std::string question = Question(line);
    if (by_question[question].empty()) order.push_back(question);
    by_question[question].push_back(target);
  }
  std::string text;
  for (const std::string& question : order) text += Decide(question, "for", NamesOf(target_, by_question[question]));
  return text.empty() ? "" : "\n" + text;
}

// What no line speaks of.
std::string Draft::Rests(const Outcome& outcome) const {
  std::string text;
  if (!outcome.missing.empty())
    text += "\n" + Decide("nothing writes these yet: write a rule, or: init '…' = keep;", "missing",
                          NamesOf(target_, outcome.missing));
  if (!outcome.unused.empty())
    text += "\n" + Decide("nothing uses these yet: write a rule, or: drop '…' because '…';", "unused",
                          NamesOf(source_, outcome.unused));
  return text;
}

std::string Draft::Text(const Outcome* decided, std::vector<std::pair<size_t, Item*>>* lines) {
  std::string text = "ckmap 1;\n\n";
  size_t line = 3;
  const auto add = [&](const std::string& some) {
    text += some;
    line += static_cast<size_t>(std::count(some.begin(), some.end(), '\n'));
  };
  const auto add_item = [&](Item& item, const char* indent) {
    if (lines != nullptr) lines->emplace_back(line, &item);
    add(indent + item.line.text + "\n");
  };
  if (decided != nullptr) add("@SUMMARY@");
  add(fmt::format("migration suggested from {} to {};\n\n", Framework(source_.framework, "pytorch"),
                  Framework(target_.framework, "mindspore")));
  if (std_) add("use std;\n");
  if (std::any_of(renames_.begin(), renames_.end(), [](const Item& item) { return !item.removed; })) {
    add("\nrename {\n");
    for (Item& item : renames_) {
      if (!item.removed) add_item(item, "  ");
    }
    add("}\n");
  }
  if (decided != nullptr) add(Decisions(*decided));
  bool joins = true;
  const std::set<size_t> open = decided != nullptr ? OpenTargets(*decided) : std::set<size_t>();
  for (Item& item : rules_) {
    if (item.removed) continue;
    if (joins || item.line.joins || !item.line.certain) add("\n");
    joins = item.line.joins;
    if (decided != nullptr &&
        std::any_of(item.targets.begin(), item.targets.end(), [&](size_t t) { return open.contains(t); }))
      add(Decide(Question(item.line), "for", NamesOf(target_, item.targets)));
    add_item(item, "");
  }
  if (casts_ && !nothing_) add(Casts(decided != nullptr));
  std::vector<size_t> dropped(dropped_.begin(), dropped_.end());
  if (nothing_) {
    add(fmt::format("drop {}? because \"no rule can be written for it\";\n", kEveryName));
  } else if (!dropped.empty()) {
    add("\n");
    if (decided != nullptr)
      add(Decide("these do not fit where their names lead: slice, pad, cast or fold them, or leave them out", "", {}));
    for (const std::string& name : NamesOf(source_, dropped))
      add(fmt::format("drop {}? because \"it does not fit where its name leads\";\n", name));
  }
  if (decided != nullptr) {
    add(Rests(*decided));
  } else {
    add(fmt::format("decide \"missing\" missing {0};\ndecide \"unused\" unused {0};\n", kEveryName));
  }
  return text;
}

}  // namespace ckmap::suggest
