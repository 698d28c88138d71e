// The symbolic values of a pipeline: tensors of polynomial shape, in nested lists.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/sema/shapes/polynomial.h"
#include "compiler/source/source_map.h"

namespace ckmap {

using SymbolicDim = std::optional<Polynomial>;                  // nullopt: nothing is known
using SymbolicShape = std::optional<std::vector<SymbolicDim>>;  // nullopt: not even the rank

// A tensor or a list. A list of alike items holds one item that stands for all.
struct TensorList {
  bool is_list = false;
  SymbolicShape shape;            // of a tensor
  std::vector<TensorList> items;  // one, or `count` many
  std::optional<int64_t> count;   // nullopt: as many as a checkpoint holds
  Span span;                      // where it was written

  static TensorList Tensor(SymbolicShape shape, Span span);
  static TensorList List(std::vector<TensorList> items, std::optional<int64_t> count, Span span);
  bool uniform() const { return items.size() == 1; }
};

// Sizes of the nested lists from the outside in; nullopt where lists of one level differ in depth.
std::optional<std::vector<std::optional<int64_t>>> Levels(const TensorList& value);

std::string ShapeText(const SymbolicShape& shape);  // "[O, 3*I, _]"

}  // namespace ckmap
