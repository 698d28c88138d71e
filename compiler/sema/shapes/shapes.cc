#include "compiler/sema/shapes/shapes.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "compiler/sema/shapes/op_shapes.h"

namespace ckmap {

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
      : rule_(rule), variables_(variables), sink_(sink), ops_(variables, sink) {}

  bool Check() {
    const std::optional<TensorList> source = Evaluate(rule_.source);
    const std::optional<TensorList> target = Terms(rule_.target);
    if (source && target) Compare(*source, *target);
    return all_proved_ && ops_.all_proved();
  }

 private:
  // ---- sizes -------------------------------------------------------------------------------------

  SymbolicDim Size(const TypedExpr& expr) { return ops_.Size(expr); }

  SymbolicShape Bracket(const std::optional<TypedShape>& shape) {
    if (!shape) return std::nullopt;
    std::vector<SymbolicDim> dims;
    for (const TypedDim& dim : shape->dims) {
      switch (dim.kind) {
        case TypedDim::Kind::kRest:
          return std::nullopt;
        case TypedDim::Kind::kAny:
          dims.emplace_back();
          break;
        case TypedDim::Kind::kBind:
          dims.emplace_back(Polynomial::Symbol(dim.name, true));
          break;
        case TypedDim::Kind::kExpr:
          dims.push_back(Size(dim.expr));
          break;
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
          ForEach(*value, [&](TensorList& tensor) { tensor.shape = ops_.Map(op, tensor.shape); });
          break;
        case OpArity::kExpand:
          ForEach(*value, [&](TensorList& tensor) { tensor = ops_.Expand(op, tensor); });
          break;
        case OpArity::kReduce:
          value = Reduce(op, *std::move(value));
          break;
      }
    }
    return value;
  }

  std::optional<TensorList> Reduce(const TypedOp& op, TensorList value) {
    if (!value.is_list) {
      sink_
          .Report(DiagnosticKind::kNeedsList, op.name_span,
                  fmt::format("`{}` joins a list, and there is one tensor", op.spec->name))
          .With(value.span, "this is one tensor")
          .Help("name several: `a, b`, `\"{q,k,v}\"` or `\"{e:int...}\"`")
          .Emit();
      return std::nullopt;
    }
    const bool innermost =
        std::none_of(value.items.begin(), value.items.end(), [](const TensorList& item) { return item.is_list; });
    if (innermost) return ops_.Join(op, value);
    for (TensorList& item : value.items) {
      std::optional<TensorList> reduced = Reduce(op, std::move(item));
      if (!reduced) return std::nullopt;
      item = *std::move(reduced);
    }
    return value;
  }

  // ---- both sides --------------------------------------------------------------------------------

  void Compare(const TensorList& source, const TensorList& target) {
    const auto left = Levels(source), right = Levels(target);
    if (left && right && !SameLevels(*left, *right)) {
      sink_
          .Report(
              DiagnosticKind::kListMismatch, rule_.target.span,
              fmt::format("the left side gives {}, and the right side names {}", LevelsText(*left), LevelsText(*right)))
          .With(rule_.source.span, LevelsText(*left))
          .Help(ListHelp(*left, *right))
          .Emit();
      return;
    }
    CompareShapes(source, target);
  }

  static std::string ListHelp(const std::vector<std::optional<int64_t>>& left,
                              const std::vector<std::optional<int64_t>>& right) {
    if (left.size() > right.size()) return "join them with `| concat(axis=…)` or `| stack(axis=…)`, or name each";
    if (left.size() < right.size()) return "cut with `| split(axis=…)` or `| unstack(axis=…)`, or name one";
    return "name as many on the right as the left side gives";
  }

  static bool SameLevels(std::vector<std::optional<int64_t>> a, std::vector<std::optional<int64_t>> b) {
    const auto may_equal = [](const std::optional<int64_t>& x, const std::optional<int64_t>& y) {
      return !x || !y || *x == *y;
    };
    if (a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), may_equal)) return true;
    const auto drop_ones = [](std::vector<std::optional<int64_t>>& levels) {
      std::erase(levels, std::optional<int64_t>(1));
    };
    drop_ones(a);
    drop_ones(b);
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), may_equal);
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
    if ((!source.uniform() && source.items.size() != count) || (!target.uniform() && target.items.size() != count))
      return;
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
      if (const auto* inner = std::get_if<std::shared_ptr<TypedPipeline>>(&term.kind);
          inner != nullptr && SourceBinds(**inner, name))
        return true;
      if (!term.shape) continue;
      for (const TypedDim& dim : term.shape->dims) {
        if (dim.kind == TypedDim::Kind::kBind && dim.name == name) return true;
      }
    }
    return false;
  }

  // Whether two sizes that should be equal never are. Notes those that may be.
  bool Differ(const Polynomial& a, const Polynomial& b) {
    all_proved_ = all_proved_ && a == b;
    return Polynomial::NeverEqual(a, b);
  }

  void CheckResult(const SymbolicShape& computed, const SymbolicShape& written, Span span) {
    if (!computed || !written) return;
    std::string why;
    if (computed->size() != written->size()) {
      why =
          fmt::format("it has {} ax{}, not {}", computed->size(), computed->size() == 1 ? "is" : "es", written->size());
    }
    for (size_t i = 0; why.empty() && i < computed->size(); ++i) {
      const SymbolicDim& a = (*computed)[i];
      const SymbolicDim& b = (*written)[i];
      if (a && b && BoundOnSource(b) && Differ(*a, *b))
        why = fmt::format("axis {} is `{}`, not `{}`", i, a->Text(), b->Text());
    }
    if (why.empty()) return;
    sink_
        .Report(DiagnosticKind::kShapeMismatch, span,
                fmt::format("the shape that comes out is `{}`, not `{}`", ShapeText(computed), ShapeText(written)))
        .Note(why)
        .Help("write the same name for sizes that are equal")
        .Emit();
  }

  const TypedRule& rule_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  OpShapes ops_;
  bool all_proved_ = true;
};

}  // namespace

bool CheckShapes(const TypedRule& rule, const VariableTable& variables, DiagnosticSink& sink) {
  return ShapeChecker(rule, variables, sink).Check();
}

}  // namespace ckmap
