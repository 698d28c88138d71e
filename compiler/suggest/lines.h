// Names with captures: forms and their numbers as patterns of the language. Private to compiler/suggest.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/suggest/network.h"

namespace ckmap::suggest {

// A line of the draft.
struct Line {
  std::string text;
  bool certain = true;
  std::vector<std::string> alternatives;  // for the question above it
  bool joins = false;                     // of several tensors one, or of one several
};

// Two names segment by segment, with captures: {"blocks", "{n:int}"} and {"layers", "{n + 1}"}.
struct NamePair {
  std::vector<std::string> left, right;
};

// The numbers of names of two forms, folded into as few pairs as possible; each number on the right is a constant or is
// computed from those on the left. `members` gets, for each pair, which of the names it stands for.
std::vector<NamePair> Fold(std::string_view left_form, std::string_view right_form,
                           const std::vector<std::pair<Index, Index>>& indices,
                           std::vector<std::vector<size_t>>& members);

// The names of two forms with their numbers.
NamePair Literal(std::string_view left_form, std::string_view right_form, const std::pair<Index, Index>& index);

// Whether the k-th number of a form became a capture.
bool IsCapture(const std::vector<std::string>& segments, size_t k);

// What differs between the two names, with what it needs; never empty on the left.
NamePair Core(const NamePair& pair);

// As the language writes it: bare where it can be. nullopt: it cannot be written (a wildcard's star in a name).
std::optional<std::string> Written(const std::vector<std::string>& segments);

std::vector<std::string> Segments(std::string_view form);

// Text as it stands in a pattern: braces are doubled.
std::string Escaped(std::string_view text);

}  // namespace ckmap::suggest
