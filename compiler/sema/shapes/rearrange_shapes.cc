// The symbolic shape that a rearrange gives: each name of its pattern becomes a size.
#include <fmt/format.h>

#include "compiler/sema/op_arguments.h"
#include "compiler/sema/shapes/op_shapes.h"

namespace ckmap {
namespace {

std::string GroupText(const TypedExpr& pattern, const EinopsGroup& group) { return pattern.text.substr(group.at, group.length); }

}  // namespace

SymbolicShape OpShapes::Rearrange(const TypedOp& op, const SymbolicShape& shape) {
  const TypedExpr& pattern = *op.Find("pattern");
  const auto parsed = ParseRearrangement(pattern.text);
  const auto* form = std::get_if<Rearrangement>(&parsed);
  if (form == nullptr) return std::nullopt;  // was reported
  const size_t named = form->left.groups.size() - (form->left.ellipsis ? 1 : 0);
  if (form->left.ellipsis ? shape->size() < named : shape->size() != named) {
    const size_t arrow = pattern.text.find("->");
    sink_.Report(DiagnosticKind::kRearrangeShape, InsideText(pattern, 0, pattern.text.find_last_not_of(' ', arrow - 1) + 1),
                 fmt::format("the left side names {}{} ax{}, and the tensor has {}", form->left.ellipsis ? "at least " : "", named,
                             named == 1 ? "is" : "es", shape->size()))
        .Note(fmt::format("the shape here is `{}`", ShapeText(shape)))
        .Help(form->left.ellipsis ? "" : "`...` stands for axes that are not named")
        .Emit();
    return std::nullopt;
  }
  std::map<std::string, SymbolicDim> sizes;
  std::vector<SymbolicDim> unnamed;
  size_t at = 0;
  for (const EinopsGroup& group : form->left.groups) {
    if (group.IsEllipsis()) {
      for (const size_t end = at + shape->size() - named; at < end; ++at) unnamed.push_back((*shape)[at]);
    } else if (!RearrangeGroup(op, pattern, group, (*shape)[at++], sizes)) {
      return std::nullopt;
    }
  }
  std::vector<SymbolicDim> dims;
  for (const EinopsGroup& group : form->right.groups) {
    if (group.IsEllipsis()) {
      dims.insert(dims.end(), unnamed.begin(), unnamed.end());
      continue;
    }
    SymbolicDim product = Polynomial(1);
    for (const EinopsAxis& axis : group.axes) {
      const std::vector<SymbolicDim> factors = axis.name == kEllipsis ? unnamed : std::vector<SymbolicDim>{sizes[axis.name]};
      for (const SymbolicDim& factor : factors) {
        product = product && factor ? Polynomial::Multiply(*product, *factor) : std::nullopt;
      }
    }
    dims.push_back(product);
  }
  return dims;
}

bool OpShapes::RearrangeGroup(const TypedOp& op, const TypedExpr& pattern, const EinopsGroup& group, const SymbolicDim& size,
                              std::map<std::string, SymbolicDim>& sizes) {
  SymbolicDim known = Polynomial(1);
  const EinopsAxis* open = nullptr;
  for (const EinopsAxis& axis : group.axes) {
    if (const TypedExpr* given = op.Find(axis.name)) {
      sizes[axis.name] = Size(*given);
      known = known && sizes[axis.name] ? Polynomial::Multiply(*known, *sizes[axis.name]) : std::nullopt;
    } else if (open != nullptr) {
      sink_.Report(DiagnosticKind::kRearrangeShape, InsideText(pattern, axis.at, axis.name.size()),
                   fmt::format("the sizes of `{}` and `{}` are both open", open->name, axis.name))
          .Help(fmt::format("give one of them: {}=…", axis.name))
          .Emit();
      return false;
    } else {
      open = &axis;
    }
  }
  const auto number = size ? size->AsConstant() : std::nullopt, factor = known ? known->AsConstant() : std::nullopt;
  const bool impossible = open == nullptr ? size && known && Polynomial::NeverEqual(*size, *known)
                                          : number && factor && *factor > 0 && *number % *factor != 0;
  if (impossible) {
    sink_.Report(DiagnosticKind::kRearrangeShape, InsideText(pattern, group.at, group.length),
                 open == nullptr ? fmt::format("`{}` is `{}`, and this axis has size `{}`", GroupText(pattern, group), known->Text(), size->Text())
                                 : fmt::format("this axis has size {}, which does not divide by {}", *number, *factor))
        .Emit();
    return false;
  }
  if (open != nullptr) sizes[open->name] = size && known ? Polynomial::Divide(*size, *known) : std::nullopt;
  return true;
}

}  // namespace ckmap
