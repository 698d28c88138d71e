#include "compiler/reverse/turned_ops.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/ops/einops.h"
#include "runtime/ops/op_table.h"

namespace ckmap {
namespace {

std::optional<double> NumberOf(const ast::Expr& expr) {
  if (const auto* integer = std::get_if<ast::IntLiteral>(&expr.kind)) return static_cast<double>(integer->value);
  if (const auto* number = std::get_if<ast::NumberLiteral>(&expr.kind)) return number->value;
  const auto* unary = std::get_if<ast::Unary>(&expr.kind);
  const auto inner = unary != nullptr && unary->op == "-" && unary->operand ? NumberOf(*unary->operand) : std::nullopt;
  return inner ? std::optional(-*inner) : std::nullopt;
}

void ForEachTensor(Flow& flow, const std::function<void(Flow&)>& visit) {
  if (!flow.list) return visit(flow);
  for (Flow& item : flow.items) ForEachTensor(item, visit);
}

constexpr std::string_view kNameSizes = "give the tensor's shape in brackets on the left, and the sizes by names that the right side has too";
constexpr std::string_view kNameCount = "give the tensors' shapes in brackets on both sides, or the range of the gathered capture: `where e in 0..8`";

void Erase(Sizes& sizes, size_t axis) {
  if (sizes) sizes->erase(sizes->begin() + static_cast<std::ptrdiff_t>(axis));
}

class OpTurner {
 public:
  OpTurner(const RuleSizes& rule, Refusals& refusals) : rule_(rule), unknown_(rule.unknown), refusals_(refusals) {}

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
    refusals_.push_back({op_->span, fmt::format("`{}` cannot be undone in the text of a rule: {}", op_->name.text, why), std::move(help)});
    return {};
  }

  // ---- arguments ---------------------------------------------------------------------------------

  // By name, or by the place that the table gives it.
  const ast::Expr* Find(std::string_view name) const {
    size_t position = 0;
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.name ? arg.name->text == name : position < spec_->args.size() && spec_->args[position].name == name) return arg.value.get();
      if (!arg.name) ++position;
    }
    return nullptr;
  }

  std::vector<const ast::Expr*> Variadic(std::string_view name) const {
    std::vector<const ast::Expr*> values;
    const auto take = [&](const ast::Expr& expr) {
      if (const auto* list = std::get_if<ast::ListExpr>(&expr.kind)) {
        for (const ast::ExprPtr& item : list->items) values.push_back(item.get());
      } else {
        values.push_back(&expr);
      }
    };
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.value && (!arg.name || arg.name->text == name)) take(*arg.value);
    }
    return values;
  }

  // An argument as the reversed rule writes it.
  std::string Raw(const ast::Expr& expr) {
    const Size size = Size::Name(rule_.text(expr));
    return Available(size) ? TextOf(size) : Refuse(fmt::format("`{}` is not known before its result is", size.Text()), std::string(kNameSizes));
  }
  std::string Raw(std::string_view name) { return Find(name) != nullptr ? Raw(*Find(name)) : std::string(); }
  Size SizeOf(const ast::Expr& expr) const { return Size::Of(expr, rule_.text); }
  // The operation with its own arguments.
  std::string Itself() {
    std::vector<std::string> args;
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.value) args.push_back((arg.name ? arg.name->text + "=" : "") + Raw(*arg.value));
    }
    return fmt::format("{}({})", op_->name.text, fmt::join(args, ", "));
  }

  std::optional<size_t> Axis(std::string_view name, size_t rank, std::optional<int64_t> otherwise = {}) const {
    const ast::Expr* expr = Find(name);
    const auto number = expr != nullptr ? NumberOf(*expr) : otherwise ? std::optional(static_cast<double>(*otherwise)) : std::nullopt;
    if (!number) return std::nullopt;
    const auto axis = static_cast<int64_t>(*number) + (*number < 0 ? static_cast<int64_t>(rank) : 0);
    return axis >= 0 && axis < static_cast<int64_t>(rank) ? std::optional(static_cast<size_t>(axis)) : std::nullopt;
  }

  bool Available(const Size& size) const {
    return size.known() && std::none_of(unknown_.begin(), unknown_.end(), [&](const auto& entry) { return entry.second.empty() && size.Mentions(entry.first); });
  }
  // Whether its text is a name or a number that everybody knows.
  bool Plain(const Size& size) const {
    return size.simple() && std::none_of(unknown_.begin(), unknown_.end(), [&](const auto& entry) { return size.Mentions(entry.first); });
  }
  std::string TextOf(const Size& size) const { return size.Text(unknown_); }

  // ---- steps -------------------------------------------------------------------------------------

  // The undoing operation; `flow` becomes what the operation gives.
  std::string Step(Flow& flow) {
    const std::string& name = op_->name.text;
    if (spec_->undone == Inverse::kNever) return Refuse(std::string(spec_->inverse));
    switch (spec_->arity) {
      case OpArity::kReduce: return Reduce(flow);
      case OpArity::kExpand: return Expand(flow);
      case OpArity::kMap: break;
    }
    if (spec_->kind == OpKind::kComputed) return Refuse("what it computes has no text");
    if (spec_->kind == OpKind::kElementwise) return Elementwise(flow);
    std::optional<std::string> undone;
    if (name == "reshape" || name == "flatten") undone = ReshapeBack(flow);
    if (name == "rearrange") undone = RearrangeBack(flow);
    if (name == "pad") undone = PadBack(flow);
    if (name == "permute") undone = PermuteBack();
    if (name == "transpose" || name == "flip") undone = Itself();
    if (name == "squeeze" || name == "unsqueeze") undone = fmt::format("{}(axis={})", name == "squeeze" ? "unsqueeze" : "squeeze", Raw("axis"));
    ForEachTensor(flow, [&](Flow& tensor) { tensor.sizes = After(tensor.sizes); });
    return undone ? *undone : Refuse("it is not known how");
  }

  Sizes After(const Sizes& before) {
    const std::string& name = op_->name.text;
    if (name == "reshape") return AfterReshape(before);
    if (!before) return std::nullopt;
    std::vector<Size> sizes = *before;
    if (name == "rearrange") return AfterRearrange(sizes);
    if (name == "flip") return sizes;
    if (name == "permute") return AfterPermute(sizes);
    if (name == "transpose") {
      const auto a = Axis("a", sizes.size(), -2), b = Axis("b", sizes.size(), -1);
      if (!a || !b) return std::nullopt;
      std::swap(sizes[*a], sizes[*b]);
      return sizes;
    }
    if (name == "flatten") {
      const auto begin = Axis("begin", sizes.size(), 0), end = Axis("end", sizes.size(), -1);
      if (!begin || !end || *begin > *end) return std::nullopt;
      for (size_t i = *begin + 1; i <= *end; ++i) sizes[*begin] = sizes[*begin] * sizes[i];
      sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(*begin) + 1, sizes.begin() + static_cast<std::ptrdiff_t>(*end) + 1);
      return sizes;
    }
    const auto axis = Axis("axis", sizes.size() + (name == "unsqueeze" ? 1 : 0));
    if (!axis) return std::nullopt;
    const auto at = sizes.begin() + static_cast<std::ptrdiff_t>(*axis);
    if (name == "unsqueeze") sizes.insert(at, Size());
    else if (name == "squeeze") sizes.erase(at);
    else if (name == "pad") *at = Size::Unknown();
    else return std::nullopt;
    return sizes;
  }

  Sizes AfterReshape(const Sizes& before) {
    std::vector<Size> sizes;
    Size known;
    std::optional<size_t> open;
    for (const ast::Expr* expr : Variadic("shape")) {
      const auto number = NumberOf(*expr);
      if (number && *number < 0) {
        open = sizes.size();
        sizes.push_back(Size::Unknown());
      } else {
        sizes.push_back(SizeOf(*expr));
        known = known * sizes.back();
      }
    }
    if (!open) return sizes;
    Size all = before ? Size() : Size::Unknown();
    for (size_t i = 0; before && i < before->size(); ++i) all = all * (*before)[i];
    sizes[*open] = all / known;
    return sizes;
  }

  Sizes AfterRearrange(const std::vector<Size>& before) const {
    const auto* literal = std::get_if<ast::StringLiteral>(&Find("pattern")->kind);
    if (literal == nullptr) return std::nullopt;
    const auto parsed = ParseRearrangement(literal->value);
    const auto* form = std::get_if<Rearrangement>(&parsed);
    if (form == nullptr || form->left.ellipsis || form->left.groups.size() != before.size()) return std::nullopt;
    std::map<std::string, Size> sizes;
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.name && arg.name->text != "pattern" && arg.value) sizes[arg.name->text] = SizeOf(*arg.value);
    }
    for (size_t i = 0; i < before.size(); ++i) {
      Size rest = before[i];
      std::string open;
      for (const EinopsAxis& axis : form->left.groups[i].axes) {
        if (sizes.contains(axis.name)) rest = rest / sizes[axis.name];
        else open = axis.name;
      }
      if (!open.empty()) sizes[open] = rest;
    }
    std::vector<Size> after;
    for (const EinopsGroup& group : form->right.groups) {
      after.emplace_back();
      for (const EinopsAxis& axis : group.axes) after.back() = after.back() * sizes[axis.name];
    }
    return after;
  }

  Sizes AfterPermute(const std::vector<Size>& sizes) {
    std::vector<Size> result;
    for (const int64_t axis : Order(sizes.size())) result.push_back(sizes[static_cast<size_t>(axis)]);
    return result.size() == sizes.size() ? Sizes(result) : std::nullopt;
  }

  // A permute's axes, counted from the front; empty where they are not numbers.
  std::vector<int64_t> Order(size_t rank) const {
    std::vector<int64_t> order;
    for (const ast::Expr* expr : Variadic("axes")) {
      const auto number = NumberOf(*expr);
      if (!number) return {};
      order.push_back(static_cast<int64_t>(*number) + (*number < 0 ? static_cast<int64_t>(rank) : 0));
      if (order.back() < 0 || order.back() >= static_cast<int64_t>(rank)) return {};
    }
    return order;
  }

  std::string PermuteBack() {
    const size_t rank = Variadic("axes").size();
    const std::vector<int64_t> order = Order(rank);
    if (order.empty()) return Refuse("its axes are not numbers");
    std::vector<size_t> back(rank);
    for (size_t i = 0; i < rank; ++i) back[static_cast<size_t>(order[i])] = i;
    return fmt::format("permute({})", fmt::join(back, ", "));
  }

  // To the shape that all tensors had before it; what differs or has no short name is left open.
  std::string ReshapeBack(Flow& flow) {
    Sizes common;
    bool first = true, known = true;
    ForEachTensor(flow, [&](Flow& tensor) {
      if (!tensor.sizes || (!first && tensor.sizes->size() != common->size())) {
        known = false;
        return;
      }
      if (first) common = tensor.sizes;
      first = false;
      for (size_t i = 0; i < common->size(); ++i) {
        if ((*common)[i] != (*tensor.sizes)[i]) (*common)[i] = Size::Unknown();
      }
    });
    const std::string help(kNameSizes);
    if (!known || !common) return Refuse("the shape before it is not known", help);
    if (common->empty()) return "reshape([])";
    size_t open = common->size(), unknown = 0, long_ones = 0;
    for (size_t i = 0; i < common->size(); ++i) {
      if (!Available((*common)[i])) {
        ++unknown;
        open = i;
      } else if (!Plain((*common)[i])) {
        ++long_ones;
        if (unknown == 0) open = i;
      }
    }
    if (unknown > 1) return Refuse("more than one size of the shape before it is not known", help);
    std::vector<std::string> texts;
    for (size_t i = 0; i < common->size(); ++i) texts.push_back(i == open && (unknown == 1 || long_ones == 1) ? "-1" : TextOf((*common)[i]));
    return fmt::format("reshape({})", fmt::join(texts, ", "));
  }

  std::string PadBack(const Flow& flow) {
    turned_.reversible = false;
    turned_.unread = true;
    const std::string before = Raw("before"), after = Raw("after");
    std::string text = fmt::format("slice(axis={}", Raw("axis"));
    if (Find("multiple") != nullptr) {
      const auto axis = !flow.list && flow.sizes ? Axis("axis", flow.sizes->size()) : std::nullopt;
      if (!axis || !Available((*flow.sizes)[*axis])) return Refuse("the size before it is not known", "give it in brackets on the left, as a number or a parameter");
      return text + fmt::format(", end={})", TextOf((*flow.sizes)[*axis]));
    }
    const auto end = Find("after") != nullptr ? NumberOf(*Find("after")) : std::optional(0.0);
    if (!before.empty()) text += fmt::format(", begin={}", before);
    if (!end) return Refuse("how much stands behind is not a number");
    if (*end != 0) text += fmt::format(", end=-{}", after);
    return text + ")";
  }

  std::string RearrangeBack(Flow& flow) {
    const auto* literal = Find("pattern") != nullptr ? std::get_if<ast::StringLiteral>(&Find("pattern")->kind) : nullptr;
    if (literal == nullptr) return Refuse("its pattern is not written out");
    const auto parsed = ParseRearrangement(literal->value);
    const auto* form = std::get_if<Rearrangement>(&parsed);
    const size_t arrow = literal->value.find("->");
    if (form == nullptr) return Refuse("its pattern cannot be read");
    std::map<std::string, std::string> sizes;
    for (const ast::CallArgument& arg : op_->args) {
      if (arg.name && arg.name->text != "pattern" && arg.value) sizes[arg.name->text] = Raw(*arg.value);
    }
    NameSizes(*form, flow, sizes);
    for (const EinopsGroup& group : form->right.groups) {
      size_t open = 0;
      for (const EinopsAxis& axis : group.axes) open += sizes.contains(axis.name) ? 0 : 1;
      if (open > 1 || (group.axes.size() > 1 && std::any_of(group.axes.begin(), group.axes.end(), [](const EinopsAxis& a) { return a.name == kEllipsis; }))) {
        return Refuse("the sizes of the axes that it merges are not known", "name them: rearrange(\"…\", name=size)");
      }
    }
    const auto trim = [](std::string text) {
      text.erase(0, text.find_first_not_of(' '));
      text.erase(text.find_last_not_of(' ') + 1);
      return text;
    };
    std::string text = fmt::format("rearrange(\"{} -> {}\"", trim(literal->value.substr(arrow + 2)), trim(literal->value.substr(0, arrow)));
    for (const EinopsGroup& group : form->right.groups) {
      if (group.axes.size() < 2) continue;
      for (const EinopsAxis& axis : group.axes) {
        if (sizes.contains(axis.name)) text += fmt::format(", {}={}", axis.name, sizes[axis.name]);
      }
    }
    return text + ")";
  }

  // Sizes of the pattern's names that the shape tells.
  void NameSizes(const Rearrangement& form, const Flow& flow, std::map<std::string, std::string>& sizes) const {
    if (flow.list || !flow.sizes || form.left.ellipsis || flow.sizes->size() != form.left.groups.size()) return;
    for (size_t i = 0; i < form.left.groups.size(); ++i) {
      const EinopsGroup& group = form.left.groups[i];
      if (group.axes.size() == 1 && Available((*flow.sizes)[i])) sizes.try_emplace(group.axes[0].name, TextOf((*flow.sizes)[i]));
    }
  }

  std::string Elementwise(Flow& flow) {
    const std::string& name = op_->name.text;
    if (name == "neg" || name == "byteswap") return Itself();
    if (name == "bitcast") {
      ForEachTensor(flow, [](Flow& tensor) { tensor.sizes = std::nullopt; });
      if (Find("from") == nullptr) return Refuse("it does not say from which dtype", "write from=");
      return fmt::format("bitcast({}, from={})", Raw("from"), Raw("to"));
    }
    const auto factor = name == "scale" && Find("factor") != nullptr ? NumberOf(*Find("factor")) : std::nullopt;
    if (!factor || *factor == 0) return Refuse("its factor is not written as a number");
    return fmt::format("scale({})", 1 / *factor);
  }

  // ---- lists -------------------------------------------------------------------------------------

  std::string Expand(Flow& flow) {
    const std::string& name = op_->name.text;
    const std::string axis = Raw("axis"), block = Raw("block");
    const auto sizes = Find("sizes") != nullptr ? Variadic("sizes") : std::vector<const ast::Expr*>{};
    const ast::Expr* parts = Find("parts");
    bool one = false;
    ForEachTensor(flow, [&](Flow& tensor) {
      Flow list;
      list.list = true;
      const auto found = tensor.sizes ? Axis("axis", tensor.sizes->size()) : std::nullopt;
      const size_t at = found.value_or(0);
      if (!found) tensor.sizes.reset();
      list.count = parts != nullptr ? SizeOf(*parts) : rule_.named;
      if (name == "unstack") list.count = tensor.sizes ? (*tensor.sizes)[at] : Size::Unknown();
      if (name == "split" && !sizes.empty()) list.count = Size::Number(static_cast<int64_t>(sizes.size()));
      if (rule_.one_is_tensor && list.count.number() == 1) {
        if (name == "unstack") Erase(tensor.sizes, at);
        one = true;
        return;
      }
      if (name == "split" && Find("sizes") != nullptr) {
        for (const ast::Expr* size : sizes) {
          list.items.push_back({false, tensor.sizes, {}, {}});
          if (tensor.sizes) (*list.items.back().sizes)[at] = SizeOf(*size);
        }
      }
      if (list.items.empty()) {
        Flow item{false, tensor.sizes, {}, {}};
        if (name == "unstack") Erase(item.sizes, at);
        else if (item.sizes) (*item.sizes)[at] = list.count.known() ? (*item.sizes)[at] / list.count : Size::Unknown();
        list.items.push_back(std::move(item));
      }
      tensor = std::move(list);
    });
    if (one) return name == "unstack" ? fmt::format("unsqueeze(axis={})", axis) : std::string();
    if (name == "deinterleave") return fmt::format("interleave(axis={}{})", axis, block.empty() ? "" : ", block=" + block);
    return fmt::format("{}(axis={})", name == "split" ? "concat" : "stack", axis);
  }

  std::string Reduce(Flow& flow) {
    if (!flow.list && rule_.one_is_tensor) return JoinOne(flow);
    if (!flow.list) return Refuse("it joins no list");
    const bool innermost = std::none_of(flow.items.begin(), flow.items.end(), [](const Flow& item) { return item.list; });
    if (innermost) return Join(flow);
    std::string undone;
    for (Flow& item : flow.items) {
      const std::string one = Reduce(item);
      if (one.empty() || (!undone.empty() && one != undone)) return one.empty() ? one : Refuse("its lists differ");
      undone = one;
    }
    return undone;
  }

  std::string JoinOne(Flow& tensor) {
    if (op_->name.text != "stack") return {};
    const auto at = tensor.sizes ? Axis("axis", tensor.sizes->size() + 1) : std::nullopt;
    if (at) tensor.sizes->insert(tensor.sizes->begin() + static_cast<std::ptrdiff_t>(*at), Size());
    else tensor.sizes = std::nullopt;
    return fmt::format("squeeze(axis={})", Raw("axis"));
  }

  std::string Join(Flow& list) {
    const std::string& name = op_->name.text;
    const std::string axis = Raw("axis"), block = Raw("block");
    const Size count = list.count;
    Flow joined{false, list.items[0].sizes, {}, {}};
    const auto at = joined.sizes ? Axis("axis", joined.sizes->size() + (name == "stack" ? 1 : 0)) : std::nullopt;
    std::vector<Size> along;
    for (const Flow& item : list.items) {
      along.push_back(name != "stack" && at && item.sizes && *at < item.sizes->size() ? (*item.sizes)[*at] : Size::Unknown());
    }
    if (!at) joined.sizes = std::nullopt;
    else if (name == "stack") joined.sizes->insert(joined.sizes->begin() + static_cast<std::ptrdiff_t>(*at), count);
    else (*joined.sizes)[*at] = list.uniform() ? along[0] * count : Size::Sum(along);
    const bool equal = list.uniform() || std::all_of(along.begin(), along.end(), [&](const Size& size) { return size.known() && size == along[0]; });
    list = std::move(joined);
    if (name == "stack") return fmt::format("unstack(axis={})", axis);
    if (!Available(count)) return Refuse("how many tensors it joins is not known", std::string(kNameCount));
    const std::string parts = fmt::format(", parts={}", TextOf(count));
    if (name == "interleave") return fmt::format("deinterleave(axis={}{}{})", axis, parts, block.empty() ? "" : ", block=" + block);
    if (equal) return fmt::format("split(axis={}{})", axis, parts);
    std::vector<std::string> texts;
    for (const Size& size : along) {
      if (!Available(size)) {
        return Refuse("the sizes of its parts are not known", "give them in brackets on the left, by parameters or by names that the right side has too");
      }
      texts.push_back(TextOf(size));
    }
    return fmt::format("split(axis={}, sizes=[{}])", axis, fmt::join(texts, ", "));
  }

  const RuleSizes& rule_;
  const UnknownSizes& unknown_;
  Refusals& refusals_;
  const ast::OpCall* op_ = nullptr;
  const OpSpec* spec_ = nullptr;
  bool refused_ = false;  // the operation
  TurnedOps turned_;
};

}  // namespace

TurnedOps TurnOps(const std::vector<ast::OpCall>& ops, Flow flow, const RuleSizes& rule, Refusals& refusals) {
  return OpTurner(rule, refusals).Run(ops, std::move(flow));
}

}  // namespace ckmap
