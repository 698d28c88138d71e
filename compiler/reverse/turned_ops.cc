#include "compiler/reverse/turned_ops.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/ops/inverse.h"
#include "runtime/tensor/number.h"

namespace ckmap {

// Sizes as texts are a kind of size: what is not known stays out.
template <>
struct SizeKind<Size> {
  static std::optional<Size> Known(Size size) { return size.known() ? std::optional(std::move(size)) : std::nullopt; }
  static Size Number(int64_t value) { return Size::Number(value); }
  static std::optional<int64_t> Constant(const Size& size) { return size.number(); }
  static std::optional<Size> Add(const Size& a, const Size& b) { return Known(a + b); }
  static std::optional<Size> Multiply(const Size& a, const Size& b) { return Known(a * b); }
  static std::optional<Size> Divide(const Size& a, const Size& b) { return Known(a / b); }
  static bool Equal(const Size& a, const Size& b) { return a == b; }
  static bool NeverEqual(const Size& a, const Size& b) { return a.number() && b.number() && a.number() != b.number(); }
  static bool NeverDivides(const Size& a, const Size& b) {
    return a.number() && b.number() && SizeKind<int64_t>::NeverDivides(*a.number(), *b.number());
  }
  static std::string Text(const Size& size) { return size.Text(); }
};

namespace {

std::optional<double> NumberOf(const ast::Expr& expr) {
  if (const auto* integer = std::get_if<ast::IntLiteral>(&expr.kind)) return ExactDouble(integer->value);
  if (const auto* number = std::get_if<ast::NumberLiteral>(&expr.kind)) return number->value;
  const auto* unary = std::get_if<ast::Unary>(&expr.kind);
  const auto inner = unary != nullptr && unary->op == "-" && unary->operand ? NumberOf(*unary->operand) : std::nullopt;
  return inner ? std::optional(-*inner) : std::nullopt;
}

Dims<Size> ToDims(const Sizes& sizes) {
  if (!sizes) return std::nullopt;
  std::vector<Dim<Size>> dims;
  for (const Size& size : *sizes) dims.push_back(SizeKind<Size>::Known(size));
  return dims;
}

Sizes FromDims(const Dims<Size>& dims) {
  if (!dims) return std::nullopt;
  std::vector<Size> sizes;
  for (const Dim<Size>& dim : *dims) sizes.push_back(dim ? *dim : Size::Unknown());
  return sizes;
}

// Each tensor, or for operations that join each innermost list.
void ForEach(Flow& flow, OpArity arity, const std::function<void(Flow&)>& visit) {
  const bool innermost =
      flow.list && std::none_of(flow.items.begin(), flow.items.end(), [](const Flow& item) { return item.list; });
  if (arity == OpArity::kReduce ? innermost || !flow.list : !flow.list) return visit(flow);
  for (Flow& item : flow.items) ForEach(item, arity, visit);
}

class OpTurner {
 public:
  OpTurner(const RuleSizes& rule, Refusals& refusals) : rule_(rule), refusals_(refusals) {}

  TurnedOps Run(const std::vector<ast::OpCall>& ops, Flow flow) {
    for (const ast::OpCall& op : ops) {
      op_ = &op;
      refused_ = false;
      spec_ = FindOp(op.name.text);
      const std::string undone = spec_ == nullptr ? Refuse("it is not known") : Step(flow);
      if (!undone.empty()) turned_.ops.push_back(undone);
    }
    std::reverse(turned_.ops.begin(), turned_.ops.end());
    turned_.result = std::move(flow);
    return std::move(turned_);
  }

 private:
  // Once for each operation.
  std::string Refuse(std::string why, std::string help = "") {
    if (std::exchange(refused_, true)) return {};
    refusals_.push_back({op_->span, fmt::format("`{}` cannot be undone in the text of a rule: {}", op_->name.text, why),
                         std::move(help)});
    return {};
  }

  // ---- the call ------------------------------------------------------------------------------------

  Argument<Size> ArgumentOf(const ast::Expr& expr) const {
    Argument<Size> argument;
    if (const auto* list = std::get_if<ast::ListExpr>(&expr.kind)) {
      for (const ast::ExprPtr& item : list->items) argument.items.push_back(ArgumentOf(*item));
      return argument;
    }
    argument.size = SizeKind<Size>::Known(Size::Of(expr, rule_.text));
    argument.number = NumberOf(expr);
    if (const auto* name = std::get_if<ast::NameRef>(&expr.kind)) argument.text = name->name;
    if (const auto* literal = std::get_if<ast::StringLiteral>(&expr.kind)) argument.text = literal->value;
    argument.written = rule_.text(expr);
    return argument;
  }

  Call<Size> CallOf() const {
    Call<Size> call{spec_->name, {}};
    size_t position = 0;
    for (const ast::CallArgument& arg : op_->args) {
      if (!arg.value) continue;
      const bool positional = !arg.name && position < spec_->args.size();
      const std::string name = arg.name     ? arg.name->text
                               : positional ? std::string(spec_->args[position].name)
                                            : std::string();
      const ArgSpec* of = nullptr;
      for (const ArgSpec& row : spec_->args) of = row.name == name ? &row : of;
      const bool variadic = positional && of != nullptr && of->variadic;
      if (positional && !variadic) ++position;
      Argument<Size> argument = ArgumentOf(*arg.value);
      const bool list = of != nullptr && (of->type == ArgType::kIntList || of->type == ArgType::kDims);
      if (list && !std::holds_alternative<ast::ListExpr>(arg.value->kind)) {
        Argument<Size> item = std::move(argument);
        argument = {};
        argument.items.push_back(std::move(item));
      }
      if (variadic && !call.args.empty() && call.args.back().first == name) {
        std::move(argument.items.begin(), argument.items.end(), std::back_inserter(call.args.back().second.items));
      } else {
        call.args.emplace_back(name, std::move(argument));
      }
    }
    return call;
  }

  // ---- writing ---------------------------------------------------------------------------------------

  bool Available(const Size& size) const {
    return size.known() && std::none_of(rule_.unknown.begin(), rule_.unknown.end(), [&](const auto& entry) {
             return entry.second.empty() && size.Mentions(entry.first);
           });
  }
  // Whether its text is a name or a number that everybody knows.
  bool Plain(const Size& size) const {
    return size.simple() && std::none_of(rule_.unknown.begin(), rule_.unknown.end(),
                                         [&](const auto& entry) { return size.Mentions(entry.first); });
  }
  // Only what the reversed rule knows.
  Dims<Size> Known(Dims<Size> dims) const {
    for (size_t i = 0; dims && i < dims->size(); ++i) {
      if ((*dims)[i] && !Available(*(*dims)[i])) (*dims)[i] = std::nullopt;
    }
    return dims;
  }

  std::string Text(const Argument<Size>& argument) {
    if (!argument.items.empty()) {
      std::vector<std::string> texts;
      for (const Argument<Size>& item : argument.items) texts.push_back(Text(item));
      return fmt::format("[{}]", fmt::join(texts, ", "));
    }
    if (!argument.written.empty()) {
      const Size size = Size::Name(argument.written);
      return Available(size) ? size.Text(rule_.unknown)
                             : Refuse(fmt::format("`{}` is not known before its result is", argument.written),
                                      std::string(kGiveShape));
    }
    if (argument.number) return fmt::format("{}", *argument.number);
    return argument.size ? argument.size->Text(rule_.unknown) : fmt::format("\"{}\"", argument.text);
  }

  // Integers by name, others by their place.
  std::string Text(const Call<Size>& call) {
    const OpSpec* spec = FindOp(call.op);
    std::vector<std::string> texts;
    for (const auto& [name, argument] : call.args) {
      const ArgSpec* of = nullptr;
      for (const ArgSpec& row : spec->args) of = row.name == name ? &row : of;
      if (of != nullptr && of->variadic && !argument.items.empty()) {
        for (const Argument<Size>& item : argument.items) texts.push_back(Text(item));
      } else if (of != nullptr && of->variadic) {
        texts.emplace_back("[]");
      } else {
        const bool placed = of != nullptr && of->required && of->type != ArgType::kInt;
        texts.push_back(placed ? Text(argument) : fmt::format("{}={}", name, Text(argument)));
      }
    }
    return fmt::format("{}({})", call.op, fmt::join(texts, ", "));
  }

  // The operation with its own arguments, as they stand.
  std::string Itself() {
    std::vector<std::string> args;
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.value) args.push_back((arg.name ? arg.name->text + "=" : "") + Text(ArgumentOf(*arg.value)));
    }
    return fmt::format("{}({})", op_->name.text, fmt::join(args, ", "));
  }

  // A size with a long text is left to the reshape, if there is but one.
  void Shorten(Call<Size>& call) const {
    if (call.op != "reshape") return;
    std::vector<Argument<Size>>& sizes = call.args[0].second.items;
    const auto is_long = [&](const Argument<Size>& item) { return !item.size->number() && !Plain(*item.size); };
    const bool open =
        std::any_of(sizes.begin(), sizes.end(), [](const Argument<Size>& item) { return item.size->number() == -1; });
    const auto first = std::find_if(sizes.begin(), sizes.end(), is_long);
    if (!open && std::count_if(sizes.begin(), sizes.end(), is_long) == 1) *first = IntArgument<Size>(-1);
  }

  // ---- steps -----------------------------------------------------------------------------------------

  // The undoing operation; `flow` becomes what the operation gives.
  std::string Step(Flow& flow) {
    if (spec_->undone == Inverse::kNever) return Refuse(std::string(spec_->inverse));
    const InverseRule<Size> inverse = FindInverse<Size>(spec_->name);
    if (inverse == nullptr) return Refuse("it is not known how");
    const Call<Size> call = CallOf();
    if (spec_->arity == OpArity::kReduce && !flow.list && !rule_.one_is_tensor) return Refuse("it joins no list");
    std::optional<std::string> text;
    const bool of_sources = first_;
    first_ = false;
    if (of_sources && spec_->name == "concat" && rule_.parts) {
      if (const auto axis = call.Int("axis"); axis && *axis >= 0) {
        if (const std::vector<std::string> sizes = rule_.parts(*axis); !sizes.empty())
          text = fmt::format("split(axis={}, sizes=[{}])", *axis, fmt::join(sizes, ", "));
      }
    }
    const bool asked = text.has_value();
    if (spec_->arity != OpArity::kReduce) text = Written(inverse, Common(call, flow));
    ForEach(flow, spec_->arity, [&](Flow& item) {
      if (spec_->arity == OpArity::kReduce && !asked) {
        std::string one = item.list ? Written(inverse, InputOf(call, item)) : WrittenForOne(call);
        if (text && *text != one) one = Refuse("its lists differ");
        text = std::move(one);
      }
      item = Applied(call, item);
      if (rule_.one_is_tensor && spec_->arity == OpArity::kExpand && item.count.number() == 1) {
        item = Flow(std::move(item.items[0]));
        text = WrittenForOne(call);
      }
    });
    return text.value_or("");
  }

  // Operations on a list of one, which counts as its tensor.
  std::string WrittenForOne(const Call<Size>& call) {
    if (call.op == "unstack") return Text(WithArguments<Size>("unsqueeze", call, {"axis"}));
    if (call.op == "stack") return Text(WithArguments<Size>("squeeze", call, {"axis"}));
    return {};
  }

  ShapeInput<Size> InputOf(const Call<Size>& call, const Flow& flow) const {
    ShapeInput<Size> input{call, {}};
    input.named = SizeKind<Size>::Known(rule_.named);
    if (!flow.list) input.tensors = {ToDims(flow.sizes)};
    for (const Flow& item : flow.items) input.tensors.push_back(ToDims(item.sizes));
    input.count = flow.list ? SizeKind<Size>::Known(flow.count) : Size::Number(1);
    return input;
  }

  // What all tensors are, that a map is given: where they differ, nothing is known.
  ShapeInput<Size> Common(const Call<Size>& call, Flow& flow) const {
    ShapeInput<Size> input{call, {}};
    ForEach(flow, OpArity::kMap, [&](Flow& tensor) {
      Dims<Size> dims = ToDims(tensor.sizes);
      if (input.tensors.empty()) {
        input.tensors.push_back(std::move(dims));
        return;
      }
      Dims<Size>& common = input.tensors[0];
      if (!common || !dims || common->size() != dims->size()) {
        common.reset();
        return;
      }
      for (size_t i = 0; i < dims->size(); ++i) {
        if ((*common)[i] != (*dims)[i]) (*common)[i] = std::nullopt;
      }
    });
    return input;
  }

  std::string Written(InverseRule<Size> inverse, ShapeInput<Size> input) {
    for (Dims<Size>& tensor : input.tensors) tensor = Known(std::move(tensor));
    if (input.count && !Available(*input.count)) input.count = std::nullopt;
    Undone<Size> undone = inverse(input);
    if (!undone.call) return Refuse(std::move(undone.why), std::move(undone.help));
    turned_.reversible = turned_.reversible && !undone.leaves_out;
    turned_.unread = turned_.unread || undone.leaves_out;
    if (undone.itself) return Itself();
    Shorten(*undone.call);
    return Text(*undone.call);
  }

  Flow Applied(const Call<Size>& call, const Flow& flow) const {
    const Shaped<Size> shaped = FindShapeRule<Size>(call.op)(InputOf(call, flow));
    std::vector<Flow> items;
    for (const Dims<Size>& dims : shaped.tensors) items.push_back({false, FromDims(dims), {}, {}});
    if (!shaped.list) return std::move(items[0]);
    return {true, {}, std::move(items), shaped.count ? *shaped.count : Size::Unknown()};
  }

  const RuleSizes& rule_;
  Refusals& refusals_;
  const ast::OpCall* op_ = nullptr;
  const OpSpec* spec_ = nullptr;
  bool refused_ = false;  // the operation
  bool first_ = true;     // no operation came before it
  TurnedOps turned_;
};

}  // namespace

TurnedOps TurnOps(const std::vector<ast::OpCall>& ops, Flow flow, const RuleSizes& rule, Refusals& refusals) {
  return OpTurner(rule, refusals).Run(ops, std::move(flow));
}

}  // namespace ckmap
