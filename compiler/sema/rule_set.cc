#include "compiler/sema/rule_set.h"

namespace ckmap {

std::string_view Describe(ValueType type) {
  switch (type) {
    case ValueType::kUnknown:
      return "an unknown value";
    case ValueType::kInt:
      return "an integer";
    case ValueType::kFloat:
      return "a number";
    case ValueType::kBool:
      return "true or false";
    case ValueType::kString:
      return "a text";
    case ValueType::kList:
      return "a list";
  }
  return "";
}

std::string_view Describe(TypedCapture::Kind kind) {
  switch (kind) {
    case TypedCapture::Kind::kSegment:
      return "text inside one segment";
    case TypedCapture::Kind::kInt:
      return "an integer";
    case TypedCapture::Kind::kPath:
      return "a path of segments";
    case TypedCapture::Kind::kChoice:
      return "one of several words";
    case TypedCapture::Kind::kRegex:
      return "a regular expression";
  }
  return "";
}

TypedExpr TypedExpr::Int(int64_t value, Span span) {
  TypedExpr expr;
  expr.kind = Kind::kInt;
  expr.type = ValueType::kInt;
  expr.integer = value;
  expr.span = span;
  return expr;
}

TypedExpr TypedExpr::Bool(bool value, Span span) {
  TypedExpr expr;
  expr.kind = Kind::kBool;
  expr.type = ValueType::kBool;
  expr.boolean = value;
  expr.span = span;
  return expr;
}

TypedExpr TypedExpr::Text(std::string value, Span span) {
  TypedExpr expr;
  expr.kind = Kind::kText;
  expr.type = ValueType::kString;
  expr.text = std::move(value);
  expr.span = span;
  return expr;
}

TypedExpr TypedExpr::Call(std::string function, ValueType type, std::vector<TypedExpr> args, Span span) {
  TypedExpr expr;
  expr.kind = Kind::kCall;
  expr.type = type;
  expr.text = std::move(function);
  expr.args = std::move(args);
  expr.span = span;
  return expr;
}

bool SameExpr(const TypedExpr& a, const TypedExpr& b) {
  if (a.kind != b.kind || a.text != b.text || a.args.size() != b.args.size()) return false;
  if (a.integer != b.integer || a.number != b.number || a.boolean != b.boolean) return false;
  if ((a.name == nullptr) != (b.name == nullptr)) return false;
  if (a.name != nullptr && !SamePattern(*a.name, *b.name)) return false;
  for (size_t i = 0; i < a.args.size(); ++i) {
    if (!SameExpr(a.args[i], b.args[i])) return false;
  }
  return true;
}

std::optional<std::string> LiteralName(const TypedPattern& pattern) {
  if (!pattern.regex.empty()) return std::nullopt;
  std::string name;
  for (const TypedPart& part : pattern.parts) {
    if (part.kind != TypedPart::Kind::kLiteral) return std::nullopt;
    name += part.text;
  }
  return name;
}

namespace {

bool SamePart(const TypedPart& a, const TypedPart& b) {
  return a.kind == b.kind && a.text == b.text && a.options == b.options && a.capture.name == b.capture.name &&
         a.capture.kind == b.capture.kind && a.capture.choices == b.capture.choices &&
         a.capture.regex == b.capture.regex && a.capture.gather == b.capture.gather && SameExpr(a.expr, b.expr);
}

}  // namespace

bool SamePattern(const TypedPattern& a, const TypedPattern& b) {
  if (a.regex != b.regex || a.parts.size() != b.parts.size()) return false;
  for (size_t i = 0; i < a.parts.size(); ++i) {
    if (!SamePart(a.parts[i], b.parts[i])) return false;
  }
  return true;
}

const TypedExpr* TypedOp::Find(std::string_view arg) const {
  for (const auto& [name, value] : args) {
    if (name == arg) return &value;
  }
  return nullptr;
}

}  // namespace ckmap
