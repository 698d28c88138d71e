// Folds lists of names that differ only in numbers, so that a table of thousands of tensors is a
// page: layers.0.weight … layers.31.weight become `layers.{0..31}.weight`.
//
// What folds: a number that ends a segment (`layers.7.`, `conv2`), without leading zeros. Ends of
// ranges are inclusive. Nothing is lost: a folded row stands for exactly its members.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ckmap {

// One line of a table. Rows fold when `detail` and all but one number of names[0] are equal, and
// the numbers of the other names are equal too or go along with that one (`cell.{0..5}` from
// `layer{1..6}`).
struct FoldRow {
  std::vector<std::string> names;
  std::string detail;
};

struct FoldedRow {
  std::vector<std::string> names;  // escaped for terminals
  std::vector<size_t> members;     // indices of the rows that it stands for; the first gives its place
};

std::vector<FoldedRow> FoldRows(const std::vector<FoldRow>& rows);

// The same for names alone.
std::vector<FoldedRow> FoldNames(const std::vector<std::string>& names);

// For a list whose order means something: only neighbours fold, and their numbers stand in their order, `lin{0,2,1}`.
std::vector<FoldedRow> FoldOrderedNames(const std::vector<std::string>& names);

}  // namespace ckmap
