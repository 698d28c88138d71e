// What the errors of a bind say, sorted by what hypotheses start from.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/causes/situation.h"

namespace ckmap {

using Segments = std::vector<std::string>;
Segments SplitName(std::string_view name, std::string_view separator = ".");
std::string JoinName(const Segments& segments, size_t begin, size_t end, std::string_view separator = ".");

// A target tensor that gets another shape or dtype than it has.
struct Misfit {
  size_t target = 0;
  const IssueFacts* facts = nullptr;
};

struct Findings {
  Findings(const Situation& from, const std::vector<Issue>& errors);

  const Situation& situation;
  std::vector<size_t> missing;       // targets that nothing writes
  std::vector<size_t> unused;        // sources that nothing uses
  std::vector<std::string> renamed;  // of each unused source: its name after the renames
  std::vector<Misfit> shapes, dtypes;
  std::vector<const Issue*> of_rules;  // errors of one rule: what it needs, its brackets, its operations
  std::vector<std::string> needed;     // names that rules need and the source lacks
  std::vector<std::string> unknown;    // names that rules would write and the target lacks

  // What the renames of the plan make of the sources' names.
  std::vector<std::string> AfterRenames(const std::vector<size_t>& sources) const;
  const TensorInfo& Missing(size_t i) const { return situation.target[missing[i]]; }
  const TensorInfo& Unused(size_t i) const { return situation.source[unused[i]]; }
};

// Names that differ in the numbers of their segments are one pattern: `h.{i:int}.attn.{j:int}`.
struct NameFold {
  std::string pattern;    // with captures that it binds
  std::string reference;  // with references to them
  std::vector<int64_t> numbers;
};
// nullopt: a name that patterns would have to escape.
std::optional<NameFold> FoldName(std::string_view name);

// The names as patterns, each with how many it stands for, in their order.
std::vector<std::pair<std::string, size_t>> FoldAll(const std::vector<std::string>& names);

// "`a`, `b` and 3 more", of patterns.
std::string Listed(const std::vector<std::string>& names, size_t shown = 3);

// Lower-case words of a name's segment: "in_proj_weight" is in, proj, weight; "embedTokens" is embed, tokens.
std::vector<std::string> WordsOf(std::string_view name);
// What a leaf is, whatever a framework calls it: weights, biases, running means and variances do not go to each other.
// 0 for another leaf.
int LeafKind(std::string_view leaf);

bool HasWord(std::string_view name, std::initializer_list<std::string_view> words);

}  // namespace ckmap
