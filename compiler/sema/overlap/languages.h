// The names that the patterns of a program stand for, as automata, with an index that finds the few
// patterns whose ends allow a common name.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/sema/expr.h"
#include "compiler/sema/overlap/automaton.h"
#include "compiler/sema/rule_set.h"
#include "compiler/sema/scope.h"

namespace re2 {
class RE2;
}

namespace ckmap {

// The names that one term matches or writes.
struct Language {
  const TypedRule* rule = nullptr;  // that the captures belong to; null: a statement without a rule
  const TypedPattern* pattern = nullptr;
  std::string prefix, suffix;                  // literal ends
  std::optional<std::string> literal;          // the one name
  mutable std::optional<Automaton> automaton;  // made when it is first asked for
  // Every word is a name that the term can have; else it is only sure that every such name is a word. Known with the
  // automaton.
  mutable bool exact = true;
  mutable std::optional<bool> one_reading;  // each name has one reading; known once it was asked for
};

class Languages {
 public:
  Languages(const RuleSet& rules, const VariableTable& variables) : rules_(rules), variables_(variables) {}

  Language Of(const TypedRule* rule, const TypedPattern& pattern) const;
  // Each part carries its index, from 1, as tag.
  const Automaton& AutomatonOf(const Language& language) const;

  // The same, where these captures have these texts. `exact`: as of a Language.
  Automaton AutomatonWith(const Language& language, const std::map<std::string, std::string, std::less<>>& texts,
                          bool& exact) const;
  // Whether a capture can have this text.
  bool Holds(const TypedCapture& capture, std::string_view text) const;
  const VariableTable& variables() const { return variables_; }
  const std::string& separator() const { return rules_.source_separator; }  // that cuts what captures hold

  // Numbers of a range that is known; nullopt: it is not, or below 0.
  std::optional<std::pair<int64_t, int64_t>> RangeOf(const TypedRule& rule, const std::string& capture) const;
  static void CapturesOf(const TypedExpr& expr, std::vector<std::string>& names);

  // Calls `visit` with every assignment of the captures; false: a range is open or they are too many.
  // `open_end`: captures without a range run from 0 to it.
  template <typename Visit>
  bool ForEachAssignment(const TypedRule& rule, const std::vector<std::string>& names, Visit visit,
                         std::optional<int64_t> open_end = std::nullopt) const {
    constexpr int64_t kMaxAssignments = 200'000;  // of one call
    constexpr int64_t kMaxOfProgram = 500'000;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    int64_t total = 1;
    for (const std::string& name : names) {
      auto range = RangeOf(rule, name);
      if (!range && open_end) range = std::pair(int64_t{0}, *open_end);
      if (!range || range->second <= range->first || range->second - range->first > kMaxAssignments) return false;
      total *= range->second - range->first;
      if (total > kMaxAssignments) return false;
      ranges.push_back(*range);
    }
    if (assignments_ > kMaxOfProgram) return false;
    assignments_ += total;
    CaptureValues values;
    for (int64_t index = 0; index < total; ++index) {
      int64_t rest = index;
      for (size_t i = names.size(); i-- > 0;) {
        const int64_t size = ranges[i].second - ranges[i].first;
        values[names[i]] = ranges[i].first + rest % size;
        rest /= size;
      }
      visit(values);
    }
    return true;
  }

 private:
  using Texts = std::map<std::string, std::string, std::less<>>;

  Automaton OfCapture(const TypedRule* rule, const TypedCapture& capture, bool& exact) const;
  Automaton OfPart(const TypedRule* rule, const TypedPart& part, const Texts& texts, std::map<std::string, int>& uses,
                   bool& exact) const;
  Automaton OfExpr(const TypedRule* rule, const TypedExpr& expr, const Texts& texts, std::map<std::string, int>& uses,
                   bool& exact) const;
  std::optional<Automaton> OfLinear(const TypedRule& rule, const TypedExpr& expr, const std::string& capture) const;

  const RuleSet& rules_;
  const VariableTable& variables_;
  mutable int64_t assignments_ = 0;                                         // that were tried
  mutable std::map<std::string, std::shared_ptr<const re2::RE2>> regexes_;  // of captures, compiled
};

// Languages by their literal ends.
class LanguageIndex {
 public:
  explicit LanguageIndex(const std::vector<Language>& languages);

  // Calls `visit(index)` for each language that may share a name with one of these ends.
  template <typename Visit>
  void ForEachCandidate(const Language& of, Visit visit) const {
    for (size_t length = 0; length < of.prefix.size(); ++length) {
      const auto group = groups_.find(of.prefix.substr(0, length));
      if (group != groups_.end()) Suffixes(group->second, of.suffix, visit);
    }
    for (auto group = groups_.lower_bound(of.prefix); group != groups_.end() && group->first.starts_with(of.prefix);
         ++group) {
      Suffixes(group->second, of.suffix, visit);
    }
  }

 private:
  using Group = std::multimap<std::string, size_t>;  // reversed suffix → language

  template <typename Visit>
  static void Suffixes(const Group& group, const std::string& suffix, Visit visit) {
    const std::string reversed(suffix.rbegin(), suffix.rend());
    for (size_t length = 0; length < reversed.size(); ++length) {
      const auto [begin, end] = group.equal_range(reversed.substr(0, length));
      for (auto entry = begin; entry != end; ++entry) visit(entry->second);
    }
    for (auto entry = group.lower_bound(reversed); entry != group.end() && entry->first.starts_with(reversed); ++entry)
      visit(entry->second);
  }

  std::map<std::string, Group> groups_;  // by prefix
};

}  // namespace ckmap
