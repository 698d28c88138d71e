#include "compiler/sema/test_builder.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "runtime/base/text.h"
#include "runtime/ops/scalar_bytes.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 20;  // of one tensor of a test
constexpr size_t kMaxNames = 10'000;                // that one line stands for
constexpr size_t kMaxTensors = 100'000;             // of one side

// A number as it was written.
std::optional<Number> NumberOf(const ast::Expr& expr) {
  if (const auto* value = std::get_if<ast::IntLiteral>(&expr.kind)) return Number(value->value);
  if (const auto* value = std::get_if<ast::NumberLiteral>(&expr.kind)) return Number(value->value);
  if (const auto* value = std::get_if<ast::BoolLiteral>(&expr.kind)) return Number(int64_t{value->value ? 1 : 0});
  if (const auto* name = std::get_if<ast::NameRef>(&expr.kind)) {
    if (name->name == "nan") return Number(std::numeric_limits<double>::quiet_NaN());
    if (name->name == "inf") return Number(std::numeric_limits<double>::infinity());
    return std::nullopt;
  }
  const auto* unary = std::get_if<ast::Unary>(&expr.kind);
  if (unary == nullptr || unary->op != "-" || !unary->operand) return std::nullopt;
  std::optional<Number> number = NumberOf(*unary->operand);
  if (number) {
    std::visit([](auto& value) { value = -value; }, *number);  // no literal is the least integer
  }
  return number;
}

// The names that a pattern of literals and alternatives stands for, in order. nullopt: something else is in it.
std::optional<std::vector<std::string>> NamesOf(const ast::Pattern& pattern) {
  if (!pattern.regex.empty()) return std::nullopt;
  std::vector<std::string> names = {""};
  for (const ast::PatternPart& part : pattern.parts) {
    std::vector<std::string> options;
    if (const auto* literal = std::get_if<ast::LiteralPart>(&part.kind)) {
      options = {literal->text};
    } else if (const auto* choice = std::get_if<ast::AlternativesPart>(&part.kind)) {
      options = choice->options;
    } else {
      return std::nullopt;
    }
    if (names.size() * options.size() > kMaxNames) return std::nullopt;
    std::vector<std::string> next;
    for (const std::string& name : names) {
      for (const std::string& option : options) next.push_back(name + option);
    }
    names = std::move(next);
  }
  return names;
}

class TestBuilder {
 public:
  TestBuilder(size_t unit, VariableTable& variables, DiagnosticSink& sink)
      : unit_(unit), variables_(variables), sink_(sink) {}

  std::optional<TestCase> Build(const ast::TestBlock& test) {
    const size_t before = sink_.error_count();
    TestCase result;
    result.name = test.name.text;
    result.span = test.name.span;
    if (result.name.empty()) {
      sink_.Report(DiagnosticKind::kTestIncomplete, test.name.span, "a test without a name")
          .Help("say in a few words what it shows")
          .Emit();
    }
    Params(test, result);
    CheckSides(test, test.source, "source");
    CheckSides(test, test.target, "target");
    for (const ast::TestSide& side : test.source) Side(side, false, result.source);
    for (const ast::TestSide& side : test.target) Side(side, true, result.target);
    References(result);
    Errors(test, result);
    if (sink_.error_count() > before) return std::nullopt;
    return result;
  }

 private:
  void CheckSides(const ast::TestBlock& test, const std::vector<ast::TestSide>& sides, std::string_view word) {
    if (sides.size() == 1) return;
    if (sides.empty()) {
      sink_.Report(DiagnosticKind::kTestIncomplete, test.name.span, fmt::format("this test has no `{}`", word))
          .Help(fmt::format("a test shows both sides: add `{} {{ … }}`; it may be empty", word))
          .Emit();
      return;
    }
    sink_.Report(DiagnosticKind::kTestIncomplete, sides[1].span, fmt::format("a second `{}` in one test", word))
        .With(sides[0].span, "the first one")
        .Help("join them, or make two tests of them")
        .Emit();
  }

  // ---- with (name=value) -------------------------------------------------------------------------

  // A parameter of this file, or the only one of that name in the files that it uses. One that `use … with` gives its
  // value is none.
  const VariableTable::Entry* Param(const std::string& name, std::vector<std::string>& known) {
    const VariableTable::Entry* found = nullptr;
    bool several = false;
    for (const VariableTable::Entry& entry : variables_.entries()) {
      if (!entry.variable.is_param || entry.variable.fixed) continue;
      known.push_back(entry.variable.name);
      if (entry.variable.name != name || entry.variable.fixed) continue;  // `use … with` gives it already
      if (entry.variable.unit == unit_) return &entry;
      several = found != nullptr;
      found = &entry;
    }
    return several ? nullptr : found;
  }

  void Params(const ast::TestBlock& test, TestCase& result) {
    for (const ast::CallArgument& argument : test.with) {
      if (!argument.value) continue;
      if (!argument.name) {
        sink_.Report(DiagnosticKind::kUnknownParam, argument.value->span, "a value for which parameter?")
            .Help("write `name=value`")
            .Emit();
        continue;
      }
      std::vector<std::string> known;
      const VariableTable::Entry* entry = Param(argument.name->text, known);
      if (entry == nullptr) {
        std::string help = DidYouMean(argument.name->text, known);
        if (help.empty())
          help = known.empty() ? "the rules have no parameters"
                               : fmt::format("the parameters are {}", ListOf(known, "and"));
        sink_
            .Report(DiagnosticKind::kUnknownParam, argument.name->span,
                    fmt::format("the rules have no parameter `{}`", argument.name->text))
            .Help(help)
            .Emit();
        continue;
      }
      const std::string& qualified = entry->variable.qualified;
      if (result.params.contains(qualified)) {
        sink_
            .Report(DiagnosticKind::kDuplicateArgument, argument.name->span,
                    fmt::format("`{}` is given twice", argument.name->text))
            .Emit();
        continue;
      }
      ExprTyper typer(variables_, unit_, nullptr, sink_);
      const TypedExpr value =
          typer.Expect(*argument.value, entry->variable.type, fmt::format("the value of `{}`", argument.name->text));
      if (value.kind == TypedExpr::Kind::kInvalid) continue;
      const std::optional<Constant> constant = EvaluateConstant(value, variables_);
      if (!constant) {
        sink_
            .Report(DiagnosticKind::kBadArithmetic, argument.value->span,
                    "this value is not known when the rules are compiled")
            .Help("write it out")
            .Emit();
        continue;
      }
      result.params[qualified] = std::visit([](const auto& x) { return fmt::format("{}", x); }, *constant);
    }
  }

  // ---- tensors -----------------------------------------------------------------------------------

  void Side(const ast::TestSide& side, bool target, std::vector<TestTensor>& out) {
    std::map<std::string, Span> seen;
    for (const ast::TestTensor& line : side.tensors) {
      if (line.name.invalid) continue;
      const auto names = NamesOf(line.name);
      if (!names) {
        sink_
            .Report(DiagnosticKind::kTestTensor, line.name.span,
                    "a tensor of a test has a plain name, or a list of names")
            .Help("write `\"layers.0.weight\"` or `\"layers.{0,1}.weight\"`")
            .Emit();
        continue;
      }
      std::optional<std::vector<TestTensor>> tensors = Line(line, *names, target);
      if (!tensors) continue;
      for (TestTensor& tensor : *tensors) {
        const auto [first, fresh] = seen.try_emplace(tensor.info.name, line.name.span);
        if (!fresh) {
          sink_
              .Report(
                  DiagnosticKind::kTestTensor, line.name.span,
                  fmt::format("{} stands twice in this {}", QuoteName(tensor.info.name), target ? "target" : "source"))
              .With(first->second, "the first one")
              .Emit();
          break;
        }
        if (out.size() < kMaxTensors) out.push_back(std::move(tensor));
      }
    }
  }

  std::optional<std::vector<TestTensor>> Line(const ast::TestTensor& line, const std::vector<std::string>& names,
                                              bool target) {
    TestTensor tensor;
    tensor.span = line.name.span;
    tensor.info.optional = line.name.optional;
    if (line.name.optional && !target) {
      sink_.Report(DiagnosticKind::kTestTensor, line.name.span, "`?` on a tensor of a source")
          .Help("leave out the `?`, or the tensor: a source has it or not")
          .Emit();
      return std::nullopt;
    }
    if (!Type(line, target, tensor) || !Shape(line, tensor)) return std::nullopt;
    std::vector<std::string> from;
    if (line.value && !Value(line, target, tensor, from)) return std::nullopt;
    if (!line.shape && tensor.value != TestTensor::Value::kElements) {
      sink_.Report(DiagnosticKind::kTestTensor, line.name.span, "a tensor without a shape")
          .Help("write its shape, as in `fc.weight f32 [2, 3];`, or its values")
          .Emit();
      return std::nullopt;
    }
    if (!Tolerance(line, tensor)) return std::nullopt;
    if (!from.empty() && from.size() != names.size()) {
      sink_
          .Report(DiagnosticKind::kTestValue, line.value->span,
                  fmt::format("{} for {}", Plural(static_cast<int64_t>(from.size()), "source name"),
                              Plural(static_cast<int64_t>(names.size()), "tensor")))
          .Help("both lists of names have one order and one length")
          .Emit();
      return std::nullopt;
    }
    std::vector<TestTensor> tensors;
    for (size_t i = 0; i < names.size(); ++i) {
      tensors.push_back(tensor);
      tensors.back().info.name = names[i];
      if (!from.empty()) tensors.back().from = from[i];
    }
    return tensors;
  }

  bool Type(const ast::TestTensor& line, bool target, TestTensor& tensor) {
    tensor.info.dtype = DType::kF32;
    if (!line.dtype) return true;
    const std::optional<DType> dtype = ParseDType(line.dtype->text);
    if (dtype && (target || *dtype != DType::kAny) && (*dtype == DType::kAny || DTypeBits(*dtype) % 8 == 0)) {
      tensor.info.dtype = *dtype;
      return true;
    }
    std::vector<std::string> names;
    for (int i = 0; i < static_cast<int>(DType::kAny); ++i) {
      if (DTypeBits(static_cast<DType>(i)) % 8 == 0) names.emplace_back(DTypeName(static_cast<DType>(i)));
    }
    std::string help = DidYouMean(line.dtype->text, names);
    const std::string_view message = dtype == DType::kAny ? "a tensor of a source has a dtype"
                                     : dtype              ? "tests have no tensors of less than a byte for each element"
                                                          : "";
    sink_
        .Report(DiagnosticKind::kUnknownWord, line.dtype->span,
                message.empty() ? fmt::format("`{}` is no dtype", line.dtype->text) : std::string(message))
        .Help(help.empty() || dtype ? fmt::format("write one of {}", ListOf(names)) : help)
        .Emit();
    return false;
  }

  bool Shape(const ast::TestTensor& line, TestTensor& tensor) {
    if (!line.shape) return true;
    ExprTyper typer(variables_, unit_, nullptr, sink_);
    for (const ast::DimExpr& dim : line.shape->dims) {
      if (dim.kind != ast::DimExpr::Kind::kExpr || !dim.expr) {
        sink_.Report(DiagnosticKind::kTestTensor, dim.span, "a tensor of a test has sizes, not patterns")
            .Help("write a number, as in `[2, 3]`")
            .Emit();
        return false;
      }
      const TypedExpr typed = typer.Expect(*dim.expr, ValueType::kInt, "a size");
      if (typed.kind == TypedExpr::Kind::kInvalid) return false;
      const std::optional<int64_t> size = EvaluateInt(typed, variables_);
      if (!size || *size < -1) {
        sink_
            .Report(
                DiagnosticKind::kTestTensor, dim.span,
                size ? fmt::format("an axis of size {}", *size) : "this size is not known when the rules are compiled")
            .Help("write a number, as in `[2, 3]`")
            .Emit();
        return false;
      }
      tensor.info.shape.push_back(*size);
    }
    const bool open = std::count(tensor.info.shape.begin(), tensor.info.shape.end(), -1) > 0;
    const std::optional<int64_t> elements = open ? std::optional<int64_t>(1) : NumElements(tensor.info.shape);
    if (elements && *elements <= kMaxElements) return true;
    sink_
        .Report(DiagnosticKind::kTestTensor, line.shape->span,
                fmt::format("a tensor of a test has at most {} elements", FormatCount(kMaxElements)))
        .Help("take smaller sizes: rules do not depend on them")
        .Emit();
    return false;
  }

  bool Tolerance(const ast::TestTensor& line, TestTensor& tensor) {
    if (!line.tolerance) return true;
    const std::optional<Number> number = NumberOf(*line.tolerance);
    const std::optional<double> real = number ? ExactDouble(*number) : std::nullopt;
    if (real && *real >= 0) {
      tensor.tolerance = *real;
      return true;
    }
    sink_.Report(DiagnosticKind::kTestValue, line.tolerance->span, "a tolerance is a number that is not negative")
        .Emit();
    return false;
  }

  // ---- values ------------------------------------------------------------------------------------

  bool Wrong(Span span, std::string message, std::string help) {
    sink_.Report(DiagnosticKind::kTestValue, span, std::move(message)).Help(std::move(help)).Emit();
    return false;
  }

  bool Value(const ast::TestTensor& line, bool target, TestTensor& tensor, std::vector<std::string>& from) {
    const ast::Expr& value = *line.value;
    if (std::holds_alternative<ast::Invalid>(value.kind)) return false;
    if (std::holds_alternative<ast::ListExpr>(value.kind) || NumberOf(value)) return Numbers(line, tensor);
    if (const auto* call = std::get_if<ast::CallExpr>(&value.kind)) {
      if (call->function.text == "iota") return Iota(line, call, tensor);
      return Wrong(call->function.span, fmt::format("`{}` gives no values", call->function.text),
                   "write numbers in lists, or `iota(first)`");
    }
    const auto* name = std::get_if<ast::NameRef>(&value.kind);
    if (name != nullptr && name->name == "iota") return Iota(line, nullptr, tensor);
    if (name != nullptr && (name->name == "kept" || name->name == "dropped")) {
      const bool kept = name->name == "kept";
      if (kept == target) {
        tensor.value = kept ? TestTensor::Value::kKept : TestTensor::Value::kDropped;
        return true;
      }
      return Wrong(value.span, kept ? "`kept` on a tensor of the source" : "`dropped` on a tensor of the target",
                   kept ? "a source tensor is used, or `dropped`"
                        : "a target tensor is written, or `kept` as the network has it");
    }
    return Reference(line, target, tensor, from);
  }

  bool Reference(const ast::TestTensor& line, bool target, TestTensor& tensor, std::vector<std::string>& from) {
    const ast::Expr& value = *line.value;
    std::optional<std::vector<std::string>> names;
    if (const auto* name = std::get_if<ast::NameRef>(&value.kind)) names = {name->name};
    const auto* text = std::get_if<ast::StringLiteral>(&value.kind);
    if (text != nullptr && text->pattern) names = NamesOf(*text->pattern);
    if (!names)
      return Wrong(value.span, "this is no value of a tensor",
                   "write numbers in lists, `iota(first)`, or the name of a source tensor");
    if (!target) return Wrong(value.span, "a source tensor has no source", "write numbers in lists, or `iota(first)`");
    tensor.value = TestTensor::Value::kSource;
    from = *std::move(names);
    return true;
  }

  bool Known(const ast::TestTensor& line, const TestTensor& tensor) {
    if (tensor.info.dtype == DType::kAny)
      return Wrong(line.value->span, "values of a tensor of any dtype", "write its dtype");
    if (std::count(tensor.info.shape.begin(), tensor.info.shape.end(), -1) > 0)
      return Wrong(line.value->span, "values of a tensor with an open axis", "write its size instead of -1");
    return true;
  }

  bool Iota(const ast::TestTensor& line, const ast::CallExpr* call, TestTensor& tensor) {
    int64_t first = 0;
    if (!line.shape)
      return Wrong(line.value->span, "`iota` needs a shape", "write it in front, as in `fc.weight [2, 3] = iota;`");
    if (!Known(line, tensor)) return false;
    if (call != nullptr) {
      const std::optional<Number> number = call->args.size() == 1 && !call->args[0].name && call->args[0].value
                                               ? NumberOf(*call->args[0].value)
                                               : std::nullopt;
      if (!number || !std::holds_alternative<int64_t>(*number))
        return Wrong(line.value->span, "`iota` counts from one integer", "write `iota(100)`");
      first = std::get<int64_t>(*number);
    }
    tensor.value = TestTensor::Value::kElements;
    const int64_t count = *NumElements(tensor.info.shape);
    for (int64_t i = 0; i < count; ++i) {
      int64_t element = 0;
      if (__builtin_add_overflow(first, i, &element))
        return Wrong(line.value->span, "`iota` counts past the greatest integer", "take a smaller first number");
      const auto bytes = ScalarBytes(element, tensor.info.dtype);
      if (!bytes)
        return Wrong(line.value->span, fmt::format("{} cannot hold {}", DTypeName(tensor.info.dtype), element),
                     "take another first number or another dtype");
      tensor.elements.insert(tensor.elements.end(), bytes->begin(), bytes->end());
    }
    return true;
  }

  // Numbers in lists, or one number for all elements.
  bool Numbers(const ast::TestTensor& line, TestTensor& tensor) {
    if (!Known(line, tensor)) return false;
    tensor.value = TestTensor::Value::kElements;
    if (line.shape && NumberOf(*line.value)) {
      const auto bytes = Element(*line.value, tensor.info.dtype);
      if (!bytes) return false;
      for (int64_t i = *NumElements(tensor.info.shape); i > 0; --i)
        tensor.elements.insert(tensor.elements.end(), bytes->begin(), bytes->end());
      return true;
    }
    ckmap::Shape shape;
    for (const ast::Expr* level = line.value.get(); level != nullptr;) {
      const auto* list = std::get_if<ast::ListExpr>(&level->kind);
      if (list == nullptr) break;
      shape.push_back(static_cast<int64_t>(list->items.size()));
      level = list->items.empty() ? nullptr : list->items[0].get();
    }
    if (!Elements(*line.value, shape, 0, tensor)) return false;
    if (line.shape && tensor.info.shape != shape) {
      sink_
          .Report(DiagnosticKind::kTestValue, line.value->span,
                  fmt::format("these values have the shape {}", FormatShape(shape)))
          .With(line.shape->span, fmt::format("the tensor has the shape {}", FormatShape(tensor.info.shape)))
          .Emit();
      return false;
    }
    tensor.info.shape = std::move(shape);
    return true;
  }

  // The depth is that of the syntax tree, which is bounded.
  bool Elements(const ast::Expr& expr, const ckmap::Shape& shape, size_t axis, TestTensor& tensor) {
    const auto* list = std::get_if<ast::ListExpr>(&expr.kind);
    if (axis == shape.size()) {
      if (list != nullptr)
        return Wrong(expr.span, "a list where a number belongs", "all lists of one tensor are of one depth");
      const auto bytes = Element(expr, tensor.info.dtype);
      if (!bytes) return false;
      tensor.elements.insert(tensor.elements.end(), bytes->begin(), bytes->end());
      return true;
    }
    if (list == nullptr)
      return Wrong(expr.span, "a number where a list belongs", "all lists of one tensor are of one depth");
    if (static_cast<int64_t>(list->items.size()) != shape[axis]) {
      return Wrong(expr.span,
                   fmt::format("{} here, and {} in the first of these lists",
                               Plural(static_cast<int64_t>(list->items.size()), "element"), shape[axis]),
                   "all lists of one axis are of one length");
    }
    return std::all_of(list->items.begin(), list->items.end(),
                       [&](const ast::ExprPtr& item) { return item && Elements(*item, shape, axis + 1, tensor); });
  }

  std::optional<std::vector<std::byte>> Element(const ast::Expr& expr, DType dtype) {
    const std::optional<Number> number = NumberOf(expr);
    if (!number) {
      if (!std::holds_alternative<ast::Invalid>(expr.kind))
        Wrong(expr.span, "this is no number", "elements are numbers, `true`, `false`, `nan` or `inf`");
      return std::nullopt;
    }
    auto bytes = ScalarBytes(*number, dtype);
    if (!bytes)
      Wrong(expr.span, fmt::format("{} cannot hold this number", DTypeName(dtype)),
            "take another number or another dtype");
    return bytes;
  }

  // ---- what is about both sides ------------------------------------------------------------------

  void References(const TestCase& test) {
    std::vector<std::string> names;
    std::map<std::string_view, const TestTensor*> sources;
    for (const TestTensor& tensor : test.source) {
      names.push_back(tensor.info.name);
      sources[tensor.info.name] = &tensor;
    }
    for (const TestTensor& tensor : test.target) {
      if (tensor.value != TestTensor::Value::kSource) continue;
      const auto found = sources.find(tensor.from);
      if (found == sources.end()) {
        sink_
            .Report(DiagnosticKind::kTestReference, tensor.span,
                    fmt::format("the source of this test has no {}", QuoteName(tensor.from)))
            .Help(DidYouMean(tensor.from, names))
            .Emit();
        continue;
      }
      const ckmap::Shape& shape = tensor.info.shape;
      const bool open = std::count(shape.begin(), shape.end(), -1) > 0;
      if (open || NumElements(shape) == NumElements(found->second->info.shape)) continue;
      sink_
          .Report(DiagnosticKind::kTestValue, tensor.span,
                  fmt::format("{} has another number of elements", QuoteName(tensor.from)))
          .Here(FormatShape(shape))
          .With(found->second->span, FormatShape(found->second->info.shape))
          .Emit();
    }
  }

  void Errors(const ast::TestBlock& test, TestCase& result) {
    for (const ast::TestError& error : test.errors) {
      const std::string& code = error.code.text;
      const bool bind = code.size() == 6 && code.starts_with("CK1") &&
                        std::all_of(code.begin() + 2, code.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
      if (!bind) {
        sink_
            .Report(DiagnosticKind::kUnknownWord, error.code.span,
                    fmt::format("`{}` is no code of a mistake between rules and checkpoints", code))
            .Help("these are CK1201 and up: see the index of diagnostics")
            .Emit();
        continue;
      }
      TestError typed{code, "", error.span};
      if (error.tensor && !error.tensor->invalid) {
        const auto names = NamesOf(*error.tensor);
        if (!names || names->size() != 1) {
          sink_.Report(DiagnosticKind::kTestTensor, error.tensor->span, "a mistake is about one tensor")
              .Help("write its whole name")
              .Emit();
          continue;
        }
        typed.tensor = names->front();
      }
      result.errors.push_back(std::move(typed));
    }
  }

  size_t unit_;
  VariableTable& variables_;
  DiagnosticSink& sink_;
};

}  // namespace

std::optional<TestCase> BuildTest(const ast::TestBlock& test, size_t unit, VariableTable& variables,
                                  DiagnosticSink& sink) {
  return TestBuilder(unit, variables, sink).Build(test);
}

}  // namespace ckmap
