#include "runtime/bind/ops/op_call.h"

#include <fmt/format.h>

namespace ckmap {

Error Wrong(std::string message) { return {ErrorCode::kMismatch, std::move(message)}; }

const plan::Expr* OpCall::Find(std::string_view name) const {
  for (const plan::Argument& arg : op_.args()) {
    if (arg.name() == name) return &arg.value();
  }
  return nullptr;
}

Result<int64_t> OpCall::Int(std::string_view name, int64_t otherwise) const {
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return otherwise;
  CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(*expr, scope_));
  return value;
}

Result<double> OpCall::Number(std::string_view name, double otherwise) const {
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return otherwise;
  CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(*expr, scope_));
  if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return Wrong(fmt::format("a number was expected, not {}", FormatValue(value)));
}

Result<std::vector<int64_t>> OpCall::IntList(std::string_view name) const {
  std::vector<int64_t> values;
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return values;
  if (expr->kind_case() != plan::Expr::kList) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(*expr, scope_));
    return std::vector<int64_t>{value};
  }
  for (const plan::Expr& item : expr->list().items()) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(item, scope_));
    values.push_back(value);
  }
  return values;
}

Result<bool> OpCall::Bool(std::string_view name, bool otherwise) const {
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return otherwise;
  return EvaluateBool(*expr, scope_);
}

std::string OpCall::Text(std::string_view name, std::string_view otherwise) const {
  const plan::Expr* expr = Find(name);
  return expr == nullptr ? std::string(otherwise) : expr->text();
}

Result<size_t> Axis(int64_t axis, size_t rank, const TensorValue& tensor) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return Wrong(fmt::format("axis {} is out of range: {} has shape {}", axis, tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<TensorValue> WithPieces(TensorValue tensor, Result<PieceValue> value) {
  if (!value) return std::move(value).error();
  tensor.value = *std::move(value);
  return tensor;
}

}  // namespace ckmap
