#include "compiler/sema/shapes/tensor_list.h"

#include "compiler/sema/shapes/polynomial_size.h"
#include "runtime/ops/shape_rule.h"

namespace ckmap {

TensorList TensorList::Tensor(SymbolicShape shape, Span span) {
  TensorList value;
  value.shape = std::move(shape);
  value.span = span;
  return value;
}

TensorList TensorList::List(std::vector<TensorList> items, std::optional<int64_t> count, Span span) {
  TensorList value;
  value.is_list = true;
  value.items = std::move(items);
  value.count = count;
  value.span = span;
  return value;
}

std::optional<std::vector<std::optional<int64_t>>> Levels(const TensorList& value) {
  std::vector<std::optional<int64_t>> levels;
  if (!value.is_list) return levels;
  std::optional<std::vector<std::optional<int64_t>>> inner;
  for (const TensorList& item : value.items) {
    const auto next = Levels(item);
    if (!next || (inner && *inner != *next)) return std::nullopt;
    inner = next;
  }
  levels.push_back(value.count);
  if (inner) levels.insert(levels.end(), inner->begin(), inner->end());
  return levels;
}

std::string ShapeText(const SymbolicShape& shape) { return DimsText(shape); }

}  // namespace ckmap
