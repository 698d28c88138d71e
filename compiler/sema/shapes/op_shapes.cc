#include "compiler/sema/shapes/op_shapes.h"

#include <cstdint>

#include <fmt/format.h>

namespace ckmap {

// The axis of an argument, counted from the front; nullopt if unknown or reported.
std::optional<size_t> OpShapes::Axis(const TypedOp& op, std::string_view name, size_t rank, const SymbolicShape& shape, std::optional<int64_t> otherwise) {
  const TypedExpr* expr = op.Find(name);
  const std::optional<int64_t> value = expr != nullptr ? EvaluateInt(*expr, variables_) : otherwise;
  if (!value) return std::nullopt;
  const auto count = static_cast<int64_t>(rank);
  if (*value >= -count && *value < count) return static_cast<size_t>(*value < 0 ? *value + count : *value);
  sink_.Report(DiagnosticKind::kAxisRange, expr != nullptr ? expr->span : op.span,
               fmt::format("axis {} of a tensor of {} ax{}", *value, shape->size(), shape->size() == 1 ? "is" : "es"))
      .Note(fmt::format("its shape here is `{}`", ShapeText(shape)))
      .Help(count == 0 ? "" : fmt::format("axes are {} to {}, or {} to -1 from the end", 0, count - 1, -count))
      .Emit();
  return std::nullopt;
}

SymbolicShape OpShapes::Map(const TypedOp& op, const SymbolicShape& shape) {
  if (op.spec->kind == OpKind::kComputed) return ComputedMap(op, shape);
  const std::string_view name = op.spec->name;
  if (name == "bitcast") return Bitcast(op, shape);
  if (op.spec->kind == OpKind::kElementwise) return shape;
  if (name == "reshape") return Reshape(op, shape);
  if (!shape) return std::nullopt;
  if (name == "permute") return Permute(op, shape);
  const size_t rank = shape->size();
  std::vector<SymbolicDim> dims = *shape;
  if (name == "transpose") {
    const auto a = Axis(op, "a", rank, shape, -2), b = Axis(op, "b", rank, shape, -1);
    if (!a || !b) return std::nullopt;
    std::swap(dims[*a], dims[*b]);
    return dims;
  }
  if (name == "unsqueeze") {
    const auto axis = Axis(op, "axis", rank + 1, shape);
    if (!axis) return std::nullopt;
    dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(*axis), Polynomial(1));
    return dims;
  }
  if (name == "squeeze") return Squeeze(op, shape);
  if (name == "flatten") return Flatten(op, shape);
  if (name == "slice") return Slice(op, shape);
  if (name == "select") return Select(op, shape);
  if (name == "pad") return Pad(op, shape);
  if (name == "repeat") return Repeat(op, shape);
  if (name == "rearrange") return Rearrange(op, shape);
  if (name == "flip") return Axis(op, "axis", rank, shape) ? shape : std::nullopt;
  return std::nullopt;
}

SymbolicShape OpShapes::Squeeze(const TypedOp& op, const SymbolicShape& shape) {
  const auto axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  const SymbolicDim& size = dims[*axis];
  if (size && Polynomial::NeverEqual(*size, Polynomial(1))) {
    sink_.Report(DiagnosticKind::kSqueezeSize, op.span, fmt::format("axis {} has size `{}`, and only an axis of size 1 can be removed", *axis, size->Text()))
        .Help(size->AsConstant() ? "" : "write `1` for this axis in the brackets if it is one")
        .Emit();
    return std::nullopt;
  }
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(*axis));
  return dims;
}

SymbolicShape OpShapes::Flatten(const TypedOp& op, const SymbolicShape& shape) {
  const auto begin = Axis(op, "begin", shape->size(), shape, 0), end = Axis(op, "end", shape->size(), shape, -1);
  if (!begin || !end || *begin > *end) return std::nullopt;
  SymbolicDim product = Polynomial(1);
  for (size_t i = *begin; i <= *end; ++i) {
    product = product && (*shape)[i] ? Polynomial::Multiply(*product, *(*shape)[i]) : std::nullopt;
  }
  std::vector<SymbolicDim> dims(shape->begin(), shape->begin() + static_cast<std::ptrdiff_t>(*begin));
  dims.push_back(product);
  dims.insert(dims.end(), shape->begin() + static_cast<std::ptrdiff_t>(*end) + 1, shape->end());
  return dims;
}

SymbolicShape OpShapes::Slice(const TypedOp& op, const SymbolicShape& shape) {
  const auto axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  const TypedExpr* begin = op.Find("begin");
  const TypedExpr* end = op.Find("end");
  const auto from = begin != nullptr ? EvaluateInt(*begin, variables_) : std::optional<int64_t>(0);
  const auto to = end != nullptr ? EvaluateInt(*end, variables_) : std::nullopt;
  dims[*axis] = std::nullopt;
  if (op.Find("step") == nullptr && from.has_value() && to.has_value()) {
    const int64_t first = from.value_or(0), last = to.value_or(0);
    if (first >= 0 && last >= first) dims[*axis] = Polynomial(last - first);
  }
  return dims;
}

// A dtype of another size changes the last axis.
SymbolicShape OpShapes::Bitcast(const TypedOp& op, const SymbolicShape& shape) {
  if (!shape || shape->empty()) return shape;
  std::vector<SymbolicDim> dims = *shape;
  const TypedExpr* given = op.Find("from");
  const auto to = ParseDType(op.Find("to")->text), from = given != nullptr ? ParseDType(given->text) : std::nullopt;
  SymbolicDim& last = dims.back();
  if (!to || !from || DTypeBits(*to) == 0) {
    last = std::nullopt;
  } else if (DTypeBits(*from) > DTypeBits(*to)) {
    last = last ? Polynomial::Multiply(*last, Polynomial(DTypeBits(*from) / DTypeBits(*to))) : std::nullopt;
  } else if (DTypeBits(*from) < DTypeBits(*to) && DTypeBits(*from) > 0) {
    last = last ? Polynomial::Divide(*last, Polynomial(DTypeBits(*to) / DTypeBits(*from))) : std::nullopt;
  }
  return dims;
}

SymbolicShape OpShapes::Select(const TypedOp& op, const SymbolicShape& shape) {
  const auto axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  const auto size = dims[*axis] ? dims[*axis]->AsConstant() : std::nullopt;
  const TypedExpr& given = *op.Find("index");
  const auto index = EvaluateInt(given, variables_);
  if (size && index && (*index >= *size || *index < -*size)) {
    sink_.Report(DiagnosticKind::kArgumentValue, given.span, fmt::format("index {} of an axis of size {}", *index, *size))
        .Note(fmt::format("the shape here is `{}`", ShapeText(shape)))
        .Emit();
    return std::nullopt;
  }
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(*axis));
  return dims;
}

SymbolicShape OpShapes::Pad(const TypedOp& op, const SymbolicShape& shape) {
  const auto axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  SymbolicDim& size = dims[*axis];
  if (const TypedExpr* multiple = op.Find("multiple")) {
    const auto now = size ? size->AsConstant() : std::nullopt;
    const auto to = EvaluateInt(*multiple, variables_);
    const bool known = now && to && *to > 0 && *now <= INT64_MAX - *to;
    size = known ? SymbolicDim(Polynomial((*now + *to - 1) / *to * *to)) : std::nullopt;
    return dims;
  }
  for (const std::string_view end : {"before", "after"}) {
    const TypedExpr* given = op.Find(end);
    if (given == nullptr) continue;
    const SymbolicDim count = Size(*given);
    size = size && count ? Polynomial::Add(*size, *count) : std::nullopt;
  }
  return dims;
}

SymbolicShape OpShapes::Repeat(const TypedOp& op, const SymbolicShape& shape) {
  const auto axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  const SymbolicDim times = Size(*op.Find("times"));
  SymbolicDim& size = dims[*axis];
  size = size && times ? Polynomial::Multiply(*size, *times) : std::nullopt;
  return dims;
}

SymbolicShape OpShapes::Permute(const TypedOp& op, const SymbolicShape& shape) {
  const TypedExpr* axes = op.Find("axes");
  std::vector<SymbolicDim> dims;
  std::vector<bool> seen(shape->size(), false);
  if (axes == nullptr) return std::nullopt;
  if (axes->args.size() != shape->size()) {
    PermuteProblem(*axes, fmt::format("{} axes are given for a tensor of {}", axes->args.size(), shape->size()), shape);
    return std::nullopt;
  }
  for (const TypedExpr& item : axes->args) {
    const auto axis = EvaluateInt(item, variables_);
    if (!axis) return std::nullopt;
    const auto rank = static_cast<int64_t>(shape->size());
    const int64_t index = *axis < 0 ? *axis + rank : *axis;
    if (index < 0 || index >= rank || seen[static_cast<size_t>(index)]) {
      PermuteProblem(item, index < 0 || index >= rank ? fmt::format("there is no axis {}", *axis) : fmt::format("axis {} is given twice", *axis), shape);
      return std::nullopt;
    }
    seen[static_cast<size_t>(index)] = true;
    dims.push_back((*shape)[static_cast<size_t>(index)]);
  }
  return dims;
}

void OpShapes::PermuteProblem(const TypedExpr& where, std::string message, const SymbolicShape& shape) {
  sink_.Report(DiagnosticKind::kBadPermutation, where.span, std::move(message))
      .Note(fmt::format("the shape here is `{}`", ShapeText(shape)))
      .Help("each axis of the tensor stands once in the list")
      .Emit();
}

SymbolicShape OpShapes::Reshape(const TypedOp& op, const SymbolicShape& shape) {
  const TypedExpr* sizes = op.Find("shape");
  if (sizes == nullptr) return std::nullopt;
  std::vector<SymbolicDim> dims;
  std::optional<size_t> open;
  SymbolicDim product = Polynomial(1);
  for (const TypedExpr& item : sizes->args) {
    const SymbolicDim size = Size(item);
    const std::optional<int64_t> constant = size ? size->AsConstant() : std::nullopt;
    if (constant && *constant < 0) {
      if (*constant != -1 || open) {
        sink_.Report(DiagnosticKind::kReshapeProduct, item.span, open ? "two sizes are -1" : fmt::format("a size of {}", *constant)).Help("one size may be -1: it is computed from the others").Emit();
        return std::nullopt;
      }
      open = dims.size();
      dims.emplace_back();
      continue;
    }
    product = product && size ? Polynomial::Multiply(*product, *size) : std::nullopt;
    dims.push_back(size);
  }
  SymbolicDim total = shape ? SymbolicDim(Polynomial(1)) : std::nullopt;
  for (size_t i = 0; shape && i < shape->size(); ++i) {
    total = total && (*shape)[i] ? Polynomial::Multiply(*total, *(*shape)[i]) : std::nullopt;
  }
  if (open && total && product) dims[*open] = Polynomial::Divide(*total, *product);
  if (open && total && product && Polynomial::NeverDivides(*total, *product)) {
    sink_.Report(DiagnosticKind::kReshapeProduct, op.span, fmt::format("`{}` has `{}` elements, which `{}` does not divide", ShapeText(shape), total->Text(), product->Text())).Emit();
    return std::nullopt;
  }
  if (!open && total && product && Polynomial::NeverEqual(*total, *product)) {
    sink_.Report(DiagnosticKind::kReshapeProduct, op.span, fmt::format("`{}` has `{}` elements, and the new shape `{}`", ShapeText(shape), total->Text(), product->Text())).Emit();
    return std::nullopt;
  }
  return dims;
}

}  // namespace ckmap
