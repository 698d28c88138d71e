// The draft while it is written: what is to become what, and the lines that say so. Private to compiler/suggest.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/suggest/join.h"
#include "compiler/suggest/lines.h"
#include "compiler/suggest/match.h"
#include "compiler/suggest/network.h"
#include "compiler/suggest/suggest.h"
#include "compiler/suggest/twins.h"
#include "compiler/suggest/values.h"

namespace ckmap::suggest {

// One target tensor and what is to become it.
struct Expected {
  size_t source = 0, target = 0;
  size_t match = 0;
  std::string kind;  // of the leaf
};

// A line of the draft: a rename, or a rule.
struct Item {
  Line line;
  std::string left, right;      // of renames
  std::vector<size_t> targets;  // tensors that a rule writes; of renames those of the modules that it is about
  std::vector<size_t> sources;  // as above
  bool removed = false;
};

class Draft {
 public:
  // `values`: of both, if they are checkpoints; else nullptr.
  Draft(const Manifest& source, const Manifest& target, const SuggestOptions& options, const Values* values);

  Result<Suggestion> Write();

 private:
  // What a text makes of the manifests. Tensors that do not fit are left out.
  struct Outcome {
    bool bound = false;
    std::string why;                             // it is not
    std::map<size_t, size_t> from;               // target → its only source
    std::map<size_t, std::set<size_t>> sources;  // target → all that it is made of
    std::set<size_t> written;                    // also by several
    std::vector<size_t> missing, unused;         // that no statement of the draft speaks of
    std::set<size_t> proved, wrong;              // targets that hold the values that they would get, and that do not
    std::set<size_t> bad_sources, bad_targets;   // that issues name
    std::set<size_t> bad_lines;                  // of the text, counted from 1: that do not compile
  };
  Outcome Try(const std::string& text, int rounds) const;

  std::set<std::string> SharedNames() const;
  void Expect(size_t first);
  bool Met(const Expected& expected, const Outcome& outcome) const;
  std::set<size_t> UnmetMatches(const Outcome& outcome) const;
  size_t CountMet(const Outcome& outcome) const;

  void MatchSingleTensors();
  void MatchWithoutValues();
  std::string RuleFor(const std::string& left, size_t source, const std::string& right, size_t target,
                      Line& line) const;
  void AddRenames(const std::set<size_t>& matches, bool whole);
  void AddRules(const Outcome& outcome);
  void AddRulesOf(size_t match, const std::string& kind, const std::vector<const Expected*>& members);
  std::vector<std::pair<NamePair, std::vector<size_t>>> FoldExactly(
      const std::string& left, const std::string& right, const std::vector<std::pair<Index, Index>>& indices) const;
  void AddJoins();
  Outcome Settle(Outcome outcome);
  static bool Has(const std::vector<size_t>& some, size_t one);
  void ShortenRenames(Outcome& outcome);
  static bool Unexplained(const Item& item);
  static bool HasSizes(const std::vector<Item>& rules);
  bool RemoveFailed(const Outcome& outcome, const std::vector<std::pair<size_t, Item*>>& lines);
  bool DropPassing(const Outcome& outcome);

  // The text; `lines` gets the items by the line that they stand in. With an outcome: with what is not decided.
  std::string Text(const Outcome* decided, std::vector<std::pair<size_t, Item*>>* lines = nullptr);
  std::string Casts(bool decided) const;
  std::string Decisions(const Outcome& outcome) const;
  std::string Rests(const Outcome& outcome) const;
  std::vector<std::string> NamesOf(const Manifest& manifest, const std::vector<size_t>& tensors) const;
  std::set<size_t> OpenTargets(const Outcome& outcome) const;
  std::set<size_t> Rivalled(const Outcome& outcome) const;
  std::set<size_t> FoldedMeans(const Outcome& outcome) const;
  std::set<size_t> Undecided(const Outcome& outcome) const;

  const Manifest& source_;
  const Manifest& target_;
  const SuggestOptions& options_;
  const Values* values_;
  mutable std::optional<Twins> twins_;  // if there are values; each outcome has anchors of its own
  std::vector<std::string> notes_;
  bool std_ = false;  // the layers that are shipped are there
  Network left_, right_;
  std::map<std::string, size_t> left_groups_;  // by form
  Containers containers_;
  std::vector<Match> matches_;
  std::vector<Expected> expected_;
  std::vector<bool> source_used_, target_used_;
  std::map<std::string, size_t> rename_by_left_;
  std::vector<Item> renames_, rules_;
  std::set<size_t> dropped_;       // sources that would pass under their own names and do not fit
  bool casts_ = true;              // between dtypes
  bool nothing_ = false;           // no line can be written at all
  std::vector<Join> named_joins_;  // found before anything was matched
};

}  // namespace ckmap::suggest
