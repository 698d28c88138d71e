#include "runtime/bind/ops/op_call.h"

#include <fmt/format.h>

#include "runtime/bind/values/json_lookup.h"

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

Result<Number> OpCall::NumberAsWritten(std::string_view name, Number otherwise) const {
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return otherwise;
  return EvaluateNumber(*expr, scope_);
}

Result<double> OpCall::Real(std::string_view name, double otherwise) const {
  CKMAP_ASSIGN_OR_RETURN(const Number number, NumberAsWritten(name, otherwise));
  if (const auto real = ExactDouble(number)) return *real;
  return Wrong(fmt::format("{}={} has more digits than the arithmetic here, which is in f64, can hold", name,
                           FormatNumber(number)));
}

Result<std::vector<int64_t>> OpCall::IntList(std::string_view name) const {
  std::vector<int64_t> values;
  const plan::Expr* expr = Find(name);
  if (expr == nullptr) return values;
  // A list as a whole: the value of a `json` parameter.
  const plan::Expr* whole = expr->list().items_size() == 1 ? &expr->list().items(0) : expr;
  if (whole->kind_case() == plan::Expr::kVariable) {
    CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(*whole, scope_));
    if (const auto* text = std::get_if<std::string>(&value)) {
      if (auto list = JsonIntegers(*text)) return *std::move(list);
      return Wrong(fmt::format("{}: {} is not a JSON list of integers", name, whole->variable()));
    }
  }
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
  if (expr == nullptr) return std::string(otherwise);
  if (expr->kind_case() == plan::Expr::kText) return expr->text();
  const auto value = Evaluate(*expr, scope_);  // a parameter; CheckWords has looked at it
  const auto* text = value ? std::get_if<std::string>(&*value) : nullptr;
  return text == nullptr ? std::string(otherwise) : *text;
}

Result<void> OpCall::CheckWords(const OpSpec& spec) const {
  for (const ArgSpec& arg : spec.args) {
    const plan::Expr* expr = Find(arg.name);
    const bool word = arg.type == ArgType::kWord, dtype = arg.type == ArgType::kDType;
    if (expr == nullptr || (!word && !dtype) || expr->kind_case() == plan::Expr::kText) continue;
    CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(*expr, scope_));
    const auto* text = std::get_if<std::string>(&value);
    const auto known = text != nullptr && dtype ? ParseDType(*text) : std::nullopt;
    if (dtype && known && *known != DType::kAny) continue;
    if (word && text != nullptr && !text->empty() &&
        fmt::format("|{}|", arg.choices).find(fmt::format("|{}|", *text)) != std::string::npos)
      continue;
    return Wrong(fmt::format("`{}` of {} is {}, which is not {}", arg.name, spec.name, FormatValue(value),
                             dtype ? "a dtype" : fmt::format("one of {}", arg.choices)));
  }
  return {};
}

Result<size_t> Axis(int64_t axis, size_t rank, const TensorValue& tensor) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return Wrong(
        fmt::format("axis {} is out of range: {} has shape {}", axis, tensor.name, FormatShape(tensor.value.shape)));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<void> CheckSize(const Shape& shape, DType dtype, std::string_view name) {
  if (NumBytes(shape, dtype)) return {};
  return Wrong(fmt::format("{} would become {}, which is too large", name, FormatShape(shape)));
}

Result<int64_t> MergedSize(const Shape& shape, size_t begin, size_t end, std::string_view name) {
  int64_t size = 1;
  for (size_t axis = begin; axis < end; ++axis) {
    if (__builtin_mul_overflow(size, shape[axis], &size)) {
      return Wrong(fmt::format("axes {} to {} of {}, whose shape is {}, are too large to be one", begin, end - 1, name,
                               FormatShape(shape)));
    }
  }
  return size;
}

Result<TensorValue> WithPieces(TensorValue tensor, Result<PieceValue> value) {
  if (!value) return std::move(value).error();
  tensor.value = *std::move(value);
  return tensor;
}

}  // namespace ckmap
