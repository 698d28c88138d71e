#include "compiler/testing/meaning.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"

namespace ckmap {
namespace {

// Computed nodes are bounded in depth (kMaxComputedDepth).
std::string MeaningOf(const PiecedTensor& tensor) {
  std::vector<std::string> inputs;
  for (const BoundInput& input : tensor.inputs) {
    std::string text = input.node ? fmt::format("({} {} {}", input.node->spec.index(), input.node->text, DTypeName(input.node->dtype)) : fmt::format("{}", input.source);
    if (input.node) {
      for (const PiecedTensor& operand : input.node->operands) text += " " + MeaningOf(operand);
      text += ")";
    }
    for (const CastOp& cast : input.casts) text += fmt::format(">{}{}", DTypeName(cast.to), static_cast<int>(cast.overflow));
    inputs.push_back(std::move(text));
  }
  PieceValue value = tensor.value;
  Normalize(value);
  std::vector<std::string> pieces;
  for (const Piece& piece : value.pieces) {
    std::string text = fmt::format("{}:", piece.dst_offset);
    if (piece.input == kFillInput) {
      for (const std::byte byte : tensor.fill) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    } else {
      text += fmt::format("{}+{}", inputs[static_cast<size_t>(piece.input)], piece.src_offset);
    }
    for (const PieceAxis& axis : piece.axes) text += fmt::format("[{} {} {}]", axis.size, piece.input == kFillInput ? 0 : axis.src_stride, axis.dst_stride);
    pieces.push_back(std::move(text));
  }
  std::sort(pieces.begin(), pieces.end());
  std::string out = fmt::format("{} {} {{", DTypeName(tensor.dtype), FormatShape(value.shape));
  for (const std::string& piece : pieces) out += piece + ";";
  return out + "}";
}

}  // namespace

std::string MeaningOf(const Result<BindResult>& bound) {
  if (!bound) return "error " + bound.error().message();
  std::string out;
  if (!bound->plan) {
    std::vector<std::string> issues;
    for (const Issue& issue : bound->issues) {
      if (issue.severity == IssueSeverity::kError) issues.push_back(issue.code + " " + issue.tensor);
    }
    std::sort(issues.begin(), issues.end());
    for (const std::string& issue : issues) out += issue + "\n";
    return out;
  }
  for (const BoundTensor& tensor : bound->plan->tensors) out += fmt::format("{} {}\n", tensor.name, MeaningOf(static_cast<const PiecedTensor&>(tensor)));
  for (const DroppedTensor& tensor : bound->plan->dropped) out += "dropped " + tensor.name + "\n";
  for (const KeptTensor& tensor : bound->plan->kept) out += "kept " + tensor.name + "\n";
  return out;
}

}  // namespace ckmap
