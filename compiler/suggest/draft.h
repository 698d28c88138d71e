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

namespace ckmap::suggest {

// One target tensor and what is to become it.
struct Expected {
  size_t source = 0, target = 0;
  size_t match = 0;
  std::string kind;  // of the leaf
};

class Draft {
 public:
  Draft(const Manifest& source, const Manifest& target, const SuggestOptions& options);

  Result<Suggestion> Write();

 private:
  // What a text makes of the manifests: for each target tensor its only source. Tensors that do not fit are left out.
  struct Outcome {
    std::map<size_t, size_t> from;   // target → source
    std::set<size_t> written;        // also by several
  };
  Result<Outcome> Try(const std::string& text) const;

  std::set<std::string> SharedNames() const;
  void Expect();
  bool Met(const Expected& expected, const Outcome& outcome) const;
  std::set<size_t> UnmetMatches(const Outcome& outcome) const;

  void AddRenames(const std::set<size_t>& matches, bool whole);
  void AddRules(const Outcome& outcome);
  void AddRulesOf(size_t match, const std::string& kind, const std::vector<const Expected*>& members);
  std::vector<NamePair> FoldExactly(const std::string& left, const std::string& right, const std::vector<std::pair<Index, Index>>& indices) const;
  Result<void> AddJoins();

  std::string Text(bool comments) const;
  std::string Casts(bool comments) const;
  std::string Rests(const std::vector<bool>& used, const Manifest& manifest, bool source) const;
  static void Append(std::string& text, const Line& line, const std::string& indent, bool comments);

  const Manifest& source_;
  const Manifest& target_;
  const SuggestOptions& options_;
  bool std_ = false;  // the layers that are shipped are there
  Network left_, right_;
  std::vector<Match> matches_;
  std::vector<Expected> expected_;
  std::vector<bool> source_used_, target_used_;
  std::map<std::string, Line> renames_;             // by their left side
  std::map<std::string, std::string> rename_right_;
  std::vector<std::string> rename_order_;
  std::vector<Line> rules_;
  std::vector<Join> named_joins_;  // found before anything was matched
  std::vector<Join> joins_;
};

}  // namespace ckmap::suggest
