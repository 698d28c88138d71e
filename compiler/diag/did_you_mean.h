// "Did you mean": the nearest of the names that could have been written.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

// Number of insertions, deletions, replacements and swaps of neighbours that make `a` of `b`.
// More than `limit`: limit + 1.
int EditDistance(std::string_view a, std::string_view b, int limit);

// The candidate nearest to `word`, if it is near enough to be a slip (a third of its letters, at
// most 3); the first of equals. Empty: none.
std::string Nearest(std::string_view word, std::span<const std::string> candidates);

// "did you mean `x`?" or empty.
std::string DidYouMean(std::string_view word, std::span<const std::string> candidates);

// "`a`, `b` or `c`"; empty for none.
std::string ListOf(std::span<const std::string> words, std::string_view last = "or");

}  // namespace ckmap
