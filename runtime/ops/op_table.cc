#include "runtime/ops/op_table.h"

#include <vector>

#include <fmt/format.h>

#include "runtime/ops/op_rows.h"

namespace ckmap {
namespace {

constexpr FunctionSpec kFunctions[] = {
    {"source_has", 1, 1, true, "whether the source has this tensor"},
    {"target_has", 1, 1, true, "whether the target has this tensor"},
    {"source_rank", 1, 1, true, "number of axes of a source tensor, -1 if there is none"},
    {"target_rank", 1, 1, true, "number of axes of a target tensor, -1 if there is none"},
    {"source_size", 2, 2, true, "size of one axis of a source tensor, -1 if there is no such tensor or axis"},
    {"target_size", 2, 2, true, "size of one axis of a target tensor, -1 if there is no such tensor or axis"},
    {"source_value", 1, 2, true,
     "an integer of a small source tensor: that of the index, counted in row-major order, or its only one"},
    {"source_json", 2, 3, true,
     "the number that the JSON text in a small source tensor of bytes has for a key; of a list that of the index"},
    {"lookup", 3, 3, true,
     "the number that a `json` parameter has for a name: that of its first key which, as a regular expression, matches "
     "the whole name or its last "
     "segments; else the third argument"},
    {"min", 1, 16, false, "the least of its arguments"},
    {"max", 1, 16, false, "the greatest of its arguments"},
    {"abs", 1, 1, false, "absolute value"},
    {"ceil_div", 2, 2, false, "a / b, rounded up"},
    {"sqrt", 1, 1, false, "square root, a number"},
};

}  // namespace

std::span<const OpSpec> Ops() {
  static const std::vector<OpSpec> kAll = [] {
    std::vector<OpSpec> all;
    for (const auto rows : {StructuralOps(), ElementwiseOps(), ComputedOps()})
      all.insert(all.end(), rows.begin(), rows.end());
    return all;
  }();
  return kAll;
}

const OpSpec* FindOp(std::string_view name) {
  for (const OpSpec& op : Ops()) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

bool Holds(DTypes set, DType dtype) {
  const bool real = IsFloat(dtype) && DTypeBits(dtype) >= 8 && dtype != DType::kF4;
  const bool computes = real && dtype != DType::kF8E8M0;  // which has neither sign nor zero
  switch (set) {
    case DTypes::kAny:
      return true;
    case DTypes::kNumbers:
      return computes || IsInteger(dtype);
    case DTypes::kNumbersBool:
      return real || IsInteger(dtype) || dtype == DType::kBool;
    case DTypes::kSigned:
      return computes || (IsInteger(dtype) && DTypeName(dtype).front() == 'i');
    case DTypes::kFloats:
      return real;
    case DTypes::kWholeBytes:
      return DTypeBits(dtype) >= 8 && DTypeBits(dtype) % 8 == 0 && !IsComplex(dtype) && dtype != DType::kF4 &&
             dtype != DType::kI4;
  }
  return false;
}

std::string_view Describe(DTypes set) {
  switch (set) {
    case DTypes::kAny:
      return "any";
    case DTypes::kNumbers:
      return "integers, and floats of 8 bits or more";
    case DTypes::kNumbersBool:
      return "bool, integers, and floats of 8 bits or more";
    case DTypes::kSigned:
      return "signed integers, and floats of 8 bits or more";
    case DTypes::kFloats:
      return "floats of 8 bits or more";
    case DTypes::kWholeBytes:
      return "all but packed and complex ones";
  }
  return "";
}

std::string_view CostClass(OpKind kind) {
  switch (kind) {
    case OpKind::kStructural:
      return "a strided copy, together with all others of the rule";
    case OpKind::kElementwise:
      return "work on each element while it is copied";
    case OpKind::kComputed:
      return "a computation of its own";
  }
  return "";
}

std::string Signature(const OpSpec& op) {
  std::string text;
  for (const ArgSpec& arg : op.args) {
    if (!text.empty()) text += ", ";
    text += arg.name;
    if (arg.variadic) text += "…";
    if (!arg.default_text.empty()) text += fmt::format("={}", arg.default_text);
    if (arg.default_text.empty() && !arg.required) text += "=…";
  }
  if (op.named_sizes) text += ", name=size…";
  return fmt::format("{}({})", op.name, text);
}

std::span<const FunctionSpec> Functions() { return kFunctions; }

const FunctionSpec* FindFunction(std::string_view name) {
  for (const FunctionSpec& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace ckmap
