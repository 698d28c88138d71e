#include "runtime/ops/op_doc.h"

#include <fmt/format.h>

namespace ckmap {
namespace {

std::string_view Title(OpKind kind) {
  switch (kind) {
    case OpKind::kStructural:
      return "Structural";
    case OpKind::kElementwise:
      return "Elementwise";
    case OpKind::kComputed:
      return "Computed";
  }
  return "";
}

std::string_view How(Inverse undone) {
  switch (undone) {
    case Inverse::kAlways:
      return "undone by";
    case Inverse::kSometimes:
      return "undone where it is exact";
    case Inverse::kNever:
      return "not undone";
  }
  return "";
}

}  // namespace

std::string OperationMarkdown(const OpSpec& op) {
  std::string text = fmt::format("**`{}`** {}\n\n", Signature(op), op.doc);
  text += fmt::format("- shapes: `{}`\n", op.shapes);
  text += fmt::format("- dtypes: {} → {}\n", Describe(op.takes), op.gives);
  text += fmt::format("- {}: {}\n", How(op.undone), op.inverse);
  for (const OpError& error : op.errors) text += fmt::format("- {}: {}\n", error.code, error.when);
  return text;
}

std::string OperationsMarkdown() {
  std::string text;
  for (const OpKind kind : {OpKind::kStructural, OpKind::kElementwise, OpKind::kComputed}) {
    std::string part;
    for (const OpSpec& op : Ops()) {
      if (op.kind == kind) part += "\n" + OperationMarkdown(op);
    }
    if (!part.empty())
      text += fmt::format("\n### {} operations\n\nEach costs {}.\n{}", Title(kind), CostClass(kind), part);
  }
  return text;
}

}  // namespace ckmap
