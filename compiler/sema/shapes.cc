#include "compiler/sema/shapes.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "compiler/sema/tensor_list.h"

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

std::string ShapeText(const SymbolicShape& shape) {
  if (!shape) return "[...]";
  std::string text = "[";
  for (size_t i = 0; i < shape->size(); ++i) {
    if (i > 0) text += ", ";
    text += (*shape)[i] ? (*shape)[i]->Text() : "_";
  }
  return text + "]";
}

namespace {

std::string LevelsText(const std::vector<std::optional<int64_t>>& levels) {
  if (levels.empty()) return "one tensor";
  std::string text;
  for (const auto& level : levels) {
    if (!text.empty()) text += " of ";
    text += level ? fmt::format("{}", *level) : "a list";
  }
  return levels.size() == 1 && levels[0] ? fmt::format("{} tensor{}", *levels[0], *levels[0] == 1 ? "" : "s")
                                         : fmt::format("{} tensors", text);
}

class ShapeChecker {
 public:
  ShapeChecker(const TypedRule& rule, const VariableTable& variables, DiagnosticSink& sink)
      : rule_(rule), variables_(variables), sink_(sink) {}

  void Check() {
    const std::optional<TensorList> source = Evaluate(rule_.source);
    const std::optional<TensorList> target = Terms(rule_.target);
    if (source && target) Compare(*source, *target);
  }

 private:
  // ---- sizes -------------------------------------------------------------------------------------

  SymbolicDim Size(const TypedExpr& expr) {
    if (const auto constant = EvaluateInt(expr, variables_)) return Polynomial(*constant);
    switch (expr.kind) {
      case TypedExpr::Kind::kDim: return Polynomial::Symbol(expr.text, true);
      case TypedExpr::Kind::kCapture: return Polynomial::Symbol("{" + expr.text + "}", false);
      case TypedExpr::Kind::kVariable: {
        const VariableTable::Entry* entry = variables_.FindQualified(expr.text);
        if (entry != nullptr && !entry->variable.is_param && entry->variable.value) {
          if (SymbolicDim value = Size(*entry->variable.value)) return value;
        }
        return Polynomial::Symbol(expr.text, false);
      }
      case TypedExpr::Kind::kCall: break;
      default: return std::nullopt;
    }
    if (expr.args.empty() || expr.args.size() > 2) return std::nullopt;
    const SymbolicDim left = Size(expr.args[0]);
    if (!left) return std::nullopt;
    if (expr.text == "neg") return Polynomial::Multiply(*left, Polynomial(-1));
    const SymbolicDim right = expr.args.size() == 2 ? Size(expr.args[1]) : std::nullopt;
    if (!right) return std::nullopt;
    if (expr.text == "+") return Polynomial::Add(*left, *right);
    if (expr.text == "-") return Polynomial::Add(*left, *right, -1);
    if (expr.text == "*") return Polynomial::Multiply(*left, *right);
    if (expr.text == "/") return Polynomial::Divide(*left, *right);
    return std::nullopt;
  }

  SymbolicShape Bracket(const std::optional<TypedShape>& shape) {
    if (!shape) return std::nullopt;
    std::vector<SymbolicDim> dims;
    for (const TypedDim& dim : shape->dims) {
      switch (dim.kind) {
        case TypedDim::Kind::kRest: return std::nullopt;
        case TypedDim::Kind::kAny: dims.emplace_back(); break;
        case TypedDim::Kind::kBind: dims.emplace_back(Polynomial::Symbol(dim.name, true)); break;
        case TypedDim::Kind::kExpr: dims.push_back(Size(dim.expr)); break;
      }
    }
    return dims;
  }

  // ---- lists -------------------------------------------------------------------------------------

  std::optional<int64_t> GatherCount(const std::string& capture) const {
    for (const TypedRange& range : rule_.ranges) {
      const auto begin = EvaluateInt(range.begin, variables_), end = EvaluateInt(range.end, variables_);
      if (range.capture == capture && begin && end) return *end - *begin;
    }
    return std::nullopt;
  }

  std::optional<TensorList> TermValue(const TypedTerm& term) {
    if (const auto* inner = std::get_if<std::shared_ptr<TypedPipeline>>(&term.kind)) {
      std::optional<TensorList> value = Evaluate(**inner);
      if (value && term.shape) ForEach(*value, [&](TensorList& t) { t.shape = Checked(t.shape, term.shape); });
      return value;
    }
    const auto& pattern = *std::get_if<TypedPattern>(&term.kind);
    TensorList value = TensorList::Tensor(Bracket(term.shape), term.span);
    for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend(); ++part) {
      if (part->kind == TypedPart::Kind::kAlternatives) {
        value = TensorList::List({std::move(value)}, static_cast<int64_t>(part->options.size()), term.span);
      } else if (part->kind == TypedPart::Kind::kCapture && part->capture.gather) {
        value = TensorList::List({std::move(value)}, GatherCount(part->capture.name), term.span);
      }
    }
    return value;
  }

  std::optional<TensorList> Terms(const TypedPipeline& pipeline) {
    std::vector<TensorList> items;
    for (const TypedTerm& term : pipeline.terms) {
      std::optional<TensorList> value = TermValue(term);
      if (!value) return std::nullopt;
      items.push_back(*std::move(value));
    }
    if (items.empty()) return std::nullopt;
    if (items.size() == 1) return std::move(items[0]);
    const auto count = static_cast<int64_t>(items.size());
    return TensorList::List(std::move(items), count, pipeline.span);
  }

  static void ForEach(TensorList& value, const std::function<void(TensorList&)>& visit) {
    if (!value.is_list) {
      visit(value);  // may make a list of it
      return;
    }
    for (TensorList& item : value.items) ForEach(item, visit);
  }

  // ---- operations --------------------------------------------------------------------------------

  std::optional<TensorList> Evaluate(const TypedPipeline& pipeline) {
    std::optional<TensorList> value = Terms(pipeline);
    for (const TypedOp& op : pipeline.ops) {
      if (!value || op.spec == nullptr) return std::nullopt;
      switch (op.spec->arity) {
        case OpArity::kMap:
          ForEach(*value, [&](TensorList& tensor) { tensor.shape = Map(op, tensor.shape); });
          break;
        case OpArity::kExpand: ForEach(*value, [&](TensorList& tensor) { tensor = Expand(op, tensor); }); break;
        case OpArity::kReduce: value = Reduce(op, *std::move(value)); break;
      }
    }
    return value;
  }

  std::optional<TensorList> Reduce(const TypedOp& op, TensorList value) {
    if (!value.is_list) {
      sink_.Report(DiagnosticKind::kNeedsList, op.name_span, fmt::format("`{}` joins a list, and there is one tensor", op.spec->name))
          .With(value.span, "this is one tensor")
          .Help("name several: `a, b`, `\"{q,k,v}\"` or `\"{e:int...}\"`")
          .Emit();
      return std::nullopt;
    }
    const bool innermost = std::none_of(value.items.begin(), value.items.end(), [](const TensorList& item) { return item.is_list; });
    if (innermost) return Join(op, value);
    for (TensorList& item : value.items) {
      std::optional<TensorList> reduced = Reduce(op, std::move(item));
      if (!reduced) return std::nullopt;
      item = *std::move(reduced);
    }
    return value;
  }

  TensorList Join(const TypedOp& op, const TensorList& list) {
    SymbolicShape shape = list.items[0].shape;
    const bool stack = op.spec->name == "stack";
    for (const TensorList& item : list.items) {
      if (!shape || !item.shape) return TensorList::Tensor(std::nullopt, list.span);
      if (shape->size() == item.shape->size()) continue;
      ConcatProblem(op, list.items[0], item, "they have different ranks");
      return TensorList::Tensor(std::nullopt, list.span);
    }
    const std::optional<size_t> axis = Axis(op, "axis", shape->size() + (stack ? 1 : 0), shape);
    if (!axis) return TensorList::Tensor(std::nullopt, list.span);
    for (const TensorList& item : list.items) {
      for (size_t i = 0; i < shape->size(); ++i) {
        const SymbolicDim& a = (*shape)[i];
        const SymbolicDim& b = (*item.shape)[i];
        if ((!stack && i == *axis) || !a || !b || !Polynomial::NeverEqual(*a, *b)) continue;
        ConcatProblem(op, list.items[0], item, fmt::format("axis {} is `{}` and `{}`", i, a->Text(), b->Text()));
        return TensorList::Tensor(std::nullopt, list.span);
      }
    }
    const SymbolicDim count = list.count ? SymbolicDim(Polynomial(*list.count)) : std::nullopt;
    if (stack) {
      shape->insert(shape->begin() + static_cast<std::ptrdiff_t>(*axis), count);
    } else {
      (*shape)[*axis] = SumAlong(list, *axis, count);
    }
    return TensorList::Tensor(std::move(shape), list.span);
  }

  static SymbolicDim SumAlong(const TensorList& list, size_t axis, const SymbolicDim& count) {
    const SymbolicDim first = (*list.items[0].shape)[axis];
    if (list.uniform()) return first && count ? Polynomial::Multiply(*first, *count) : std::nullopt;
    SymbolicDim sum = Polynomial(0);
    for (const TensorList& item : list.items) {
      const SymbolicDim& dim = (*item.shape)[axis];
      sum = sum && dim ? Polynomial::Add(*sum, *dim) : std::nullopt;
    }
    return sum;
  }

  void ConcatProblem(const TypedOp& op, const TensorList& a, const TensorList& b, const std::string& why) {
    sink_.Report(DiagnosticKind::kConcatShapes, op.name_span, fmt::format("`{}` joins tensors of different shapes", op.spec->name))
        .With(a.span, ShapeText(a.shape))
        .With(b.span, ShapeText(b.shape))
        .Note(why)
        .Help("write the same name for sizes that are equal")
        .Emit();
  }

  TensorList Expand(const TypedOp& op, const TensorList& tensor) {
    const std::optional<size_t> axis = tensor.shape ? Axis(op, "axis", tensor.shape->size(), tensor.shape) : std::nullopt;
    const SymbolicDim size = axis ? (*tensor.shape)[*axis] : std::nullopt;
    if (op.spec->name == "unstack") {
      SymbolicShape shape = axis ? tensor.shape : std::nullopt;
      if (shape) shape->erase(shape->begin() + static_cast<std::ptrdiff_t>(*axis));
      return TensorList::List({TensorList::Tensor(std::move(shape), tensor.span)}, size ? size->AsConstant() : std::nullopt, op.span);
    }
    if (const TypedExpr* sizes = op.Find("sizes")) return SplitSizes(op, tensor, *sizes, axis, size);
    const TypedExpr* parts = op.Find("parts");
    SymbolicDim count = parts != nullptr ? Size(*parts) : std::nullopt;
    const std::optional<int64_t> number = count ? count->AsConstant() : std::nullopt;
    if (number && *number < 1) {
      sink_.Report(DiagnosticKind::kSplitSizes, parts->span, fmt::format("a split in {} parts", *number)).Emit();
      return TensorList::List({TensorList::Tensor(std::nullopt, op.span)}, std::nullopt, op.span);
    }
    SymbolicShape shape = axis ? tensor.shape : std::nullopt;
    if (shape) (*shape)[*axis] = size && count ? Polynomial::Divide(*size, *count) : std::nullopt;
    if (number && size && size->AsConstant() && *size->AsConstant() % *number != 0) {
      sink_.Report(DiagnosticKind::kSplitSizes, parts->span, fmt::format("{} does not divide by {}", size->Text(), *number)).Emit();
    }
    return TensorList::List({TensorList::Tensor(std::move(shape), op.span)}, number, op.span);
  }

  TensorList SplitSizes(const TypedOp& op, const TensorList& tensor, const TypedExpr& sizes, std::optional<size_t> axis, const SymbolicDim& size) {
    std::vector<TensorList> parts;
    SymbolicDim sum = Polynomial(0);
    for (const TypedExpr& part : sizes.args) {
      const SymbolicDim value = Size(part);
      sum = sum && value ? Polynomial::Add(*sum, *value) : std::nullopt;
      SymbolicShape shape = axis ? tensor.shape : std::nullopt;
      if (shape) (*shape)[*axis] = value;
      parts.push_back(TensorList::Tensor(std::move(shape), op.span));
    }
    if (size && sum && Polynomial::NeverEqual(*size, *sum)) {
      sink_.Report(DiagnosticKind::kSplitSizes, sizes.span, fmt::format("the sizes add up to `{}`, and axis {} has `{}`", sum->Text(), *axis, size->Text())).Emit();
    }
    const auto count = static_cast<int64_t>(parts.size());
    if (parts.empty()) parts.push_back(TensorList::Tensor(std::nullopt, op.span));
    return TensorList::List(std::move(parts), count, op.span);
  }

  // The axis of an argument, counted from the front; nullopt if unknown or reported.
  std::optional<size_t> Axis(const TypedOp& op, std::string_view name, size_t rank, const SymbolicShape& shape, std::optional<int64_t> otherwise = {}) {
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

  SymbolicShape Map(const TypedOp& op, const SymbolicShape& shape) {
    const std::string_view name = op.spec->name;
    if (name == "cast") return shape;
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
    return std::nullopt;
  }

  SymbolicShape Squeeze(const TypedOp& op, const SymbolicShape& shape) {
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

  SymbolicShape Flatten(const TypedOp& op, const SymbolicShape& shape) {
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

  SymbolicShape Slice(const TypedOp& op, const SymbolicShape& shape) {
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

  SymbolicShape Permute(const TypedOp& op, const SymbolicShape& shape) {
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

  void PermuteProblem(const TypedExpr& where, std::string message, const SymbolicShape& shape) {
    sink_.Report(DiagnosticKind::kBadPermutation, where.span, std::move(message))
        .Note(fmt::format("the shape here is `{}`", ShapeText(shape)))
        .Help("each axis of the tensor stands once in the list")
        .Emit();
  }

  SymbolicShape Reshape(const TypedOp& op, const SymbolicShape& shape) {
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
    if (!open && total && product && Polynomial::NeverEqual(*total, *product)) {
      sink_.Report(DiagnosticKind::kReshapeProduct, op.span, fmt::format("`{}` has `{}` elements, and the new shape `{}`", ShapeText(shape), total->Text(), product->Text())).Emit();
      return std::nullopt;
    }
    return dims;
  }

  // ---- both sides --------------------------------------------------------------------------------

  void Compare(const TensorList& source, const TensorList& target) {
    const auto left = Levels(source), right = Levels(target);
    if (left && right && !SameLevels(*left, *right)) {
      sink_.Report(DiagnosticKind::kListMismatch, rule_.target.span, fmt::format("the left side gives {}, and the right side names {}", LevelsText(*left), LevelsText(*right)))
          .With(rule_.source.span, LevelsText(*left))
          .Help(ListHelp(*left, *right))
          .Emit();
      return;
    }
    CompareShapes(source, target);
  }

  static std::string ListHelp(const std::vector<std::optional<int64_t>>& left, const std::vector<std::optional<int64_t>>& right) {
    if (left.size() > right.size()) return "join them with `| concat(axis=…)` or `| stack(axis=…)`, or name each";
    if (left.size() < right.size()) return "cut with `| split(axis=…)` or `| unstack(axis=…)`, or name one";
    return "name as many on the right as the left side gives";
  }

  static bool SameLevels(std::vector<std::optional<int64_t>> a, std::vector<std::optional<int64_t>> b) {
    const auto drop_ones = [](std::vector<std::optional<int64_t>>& levels) { std::erase(levels, std::optional<int64_t>(1)); };
    drop_ones(a);
    drop_ones(b);
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] && b[i] && *a[i] != *b[i]) return false;
    }
    return true;
  }

  void CompareShapes(const TensorList& source, const TensorList& target) {
    if (source.is_list && !target.is_list && source.count == 1) return CompareShapes(source.items[0], target);
    if (target.is_list && !source.is_list && target.count == 1) return CompareShapes(source, target.items[0]);
    if (source.is_list != target.is_list) return;
    if (!source.is_list) {
      CheckResult(source.shape, target.shape, target.span);
      return;
    }
    const size_t count = std::max(source.items.size(), target.items.size());
    if ((!source.uniform() && source.items.size() != count) || (!target.uniform() && target.items.size() != count)) return;
    for (size_t i = 0; i < count; ++i) {
      CompareShapes(source.items[source.uniform() ? 0 : i], target.items[target.uniform() ? 0 : i]);
    }
  }

  SymbolicShape Checked(const SymbolicShape& shape, const std::optional<TypedShape>& bracket) {
    SymbolicShape wanted = Bracket(bracket);
    CheckResult(shape, wanted, bracket->span);
    return wanted ? wanted : shape;
  }

  // A name that only the right side binds takes whatever size comes out.
  bool BoundOnSource(const SymbolicDim& dim) const {
    const auto binds = [&](const std::string& name) { return SourceBinds(rule_.source, name); };
    const std::string text = dim->Text();
    const bool name = !text.empty() && text.find_first_of("*+- ") == std::string::npos && !dim->AsConstant();
    return !name || binds(text) || variables_.FindQualified(text) != nullptr;
  }

  static bool SourceBinds(const TypedPipeline& pipeline, const std::string& name) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<std::shared_ptr<TypedPipeline>>(&term.kind); inner != nullptr && SourceBinds(**inner, name)) return true;
      if (!term.shape) continue;
      for (const TypedDim& dim : term.shape->dims) {
        if (dim.kind == TypedDim::Kind::kBind && dim.name == name) return true;
      }
    }
    return false;
  }

  void CheckResult(const SymbolicShape& computed, const SymbolicShape& written, Span span) {
    if (!computed || !written) return;
    std::string why;
    if (computed->size() != written->size()) {
      why = fmt::format("it has {} ax{}, not {}", computed->size(), computed->size() == 1 ? "is" : "es", written->size());
    }
    for (size_t i = 0; why.empty() && i < computed->size(); ++i) {
      const SymbolicDim& a = (*computed)[i];
      const SymbolicDim& b = (*written)[i];
      if (a && b && BoundOnSource(b) && Polynomial::NeverEqual(*a, *b)) why = fmt::format("axis {} is `{}`, not `{}`", i, a->Text(), b->Text());
    }
    if (why.empty()) return;
    sink_.Report(DiagnosticKind::kShapeMismatch, span, fmt::format("the shape that comes out is `{}`, not `{}`", ShapeText(computed), ShapeText(written)))
        .Note(why)
        .Help("write the same name for sizes that are equal")
        .Emit();
  }

  const TypedRule& rule_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
};

}  // namespace

void CheckShapes(const TypedRule& rule, const VariableTable& variables, DiagnosticSink& sink) {
  ShapeChecker(rule, variables, sink).Check();
}

}  // namespace ckmap
