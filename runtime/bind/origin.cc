#include "runtime/bind/origin.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/sha256.h"
#include "runtime/bind/computed_node.h"

namespace ckmap {
namespace {

// Each spec is taken apart as a whole: a member that is added later does not compile until it is named here.
struct SpecText {
  std::string operator()(const ScaleSpec& spec) const {
    const auto& [quantize, block, pack, pack_signed, reciprocal, via] = spec;
    return fmt::format("scale {} {} {} {} {} {}", quantize, FormatShape(block), pack, pack_signed, reciprocal,
                       DTypeName(via));
  }
  std::string operator()(const ProductSpec& spec) const {
    const auto& [rows, inner, columns] = spec;
    return fmt::format("product {} {} {}", rows, inner, columns);
  }
  std::string operator()(const LoraMergeSpec& spec) const {
    const auto& [rows, inner, columns, scale] = spec;
    return fmt::format("lora {} {} {} {}", rows, inner, columns, scale);
  }
  std::string operator()(const RowScaleSpec& spec) const {
    const auto& [kind, row, eps] = spec;
    return fmt::format("rows {} {} {}", static_cast<int>(kind), row, eps);
  }
  std::string operator()(const BatchNormSpec& spec) const {
    const auto& [gives, eps, channels, inner, plane] = spec;
    return fmt::format("batch_norm {} {} {} {} {}", static_cast<int>(gives), eps, channels, inner, plane);
  }
  std::string operator()(const InterpolateSpec& spec) const {
    const auto& [mode, align_corners, antialias, from, to] = spec;
    return fmt::format("interpolate {} {} {} {} {}", static_cast<int>(mode), align_corners, antialias,
                       FormatShape(from), FormatShape(to));
  }
  std::string operator()(const PointwiseSpec& spec) const {
    const auto& [kind] = spec;
    return fmt::format("pointwise {}", static_cast<int>(kind));
  }
  std::string operator()(const MapSpec& spec) const {
    const auto& [kind] = spec;
    return fmt::format("map {}", static_cast<int>(kind));
  }
  std::string operator()(const AverageSpec& spec) const {
    const auto& [count, inner] = spec;
    return fmt::format("average {} {}", count, inner);
  }
  std::string operator()(const UnpackSpec& spec) const {
    const auto& [bits, word_bits, fields, high_first, is_signed, words, codes, inner] = spec;
    return fmt::format("unpack {} {} {} {} {} {} {} {}", bits, word_bits, fields, high_first, is_signed, words, codes,
                       inner);
  }
  std::string operator()(const PackSpec& spec) const {
    const auto& [bits, word_bits, fields, high_first, is_signed, words, codes, inner] = spec;
    return fmt::format("pack {} {} {} {} {} {} {} {}", bits, word_bits, fields, high_first, is_signed, words, codes,
                       inner);
  }
  std::string operator()(const AbsmaxSpec& spec) const {
    const auto& [block, over, least, zero] = spec;
    return fmt::format("absmax {} {} {} {}", FormatShape(block), over, least, zero);
  }
  std::string operator()(const ConstantSpec& spec) const {
    const auto& [values] = spec;
    return fmt::format("constant {}", fmt::join(values, " "));
  }
  std::string operator()(const DecodeSpec& spec) const {
    const auto& [format] = spec;
    return fmt::format("decode {}", static_cast<int>(format));
  }
  std::string operator()(const TakeSpec& spec) const {
    const auto& [axis_size, inner, indices] = spec;
    return fmt::format("take {} {} {}", axis_size, inner, indices);
  }
  std::string operator()(const BitcastSpec& /*spec*/) const { return "bitcast"; }
  std::string operator()(const NormalSpec& spec) const {
    const auto& [mean, deviation, seed, stream] = spec;
    return fmt::format("normal {} {} {} {}", mean, deviation, seed, stream);
  }
  std::string operator()(const SequenceSpec& spec) const {
    const auto& [kind, first, theta, rows, columns] = spec;
    return fmt::format("sequence {} {} {} {} {}", static_cast<int>(kind), first, theta, rows, columns);
  }
};

std::string OpText(const ElementOp& op) {
  const auto& [from, to, overflow, kind, operand] = op;
  return fmt::format(">{} {} {} {} {}", static_cast<int>(kind), DTypeName(from), DTypeName(to),
                     static_cast<int>(overflow), FormatNumber(operand));
}

class Origin {
 public:
  explicit Origin(const std::function<std::string(size_t)>& source) : source_(source) {}

  std::string Of(const PiecedTensor& tensor) {
    std::vector<std::string> inputs;
    for (const BoundInput& input : tensor.inputs) inputs.push_back(Of(input));
    PieceValue value = tensor.value;
    Normalize(value);
    std::vector<std::string> pieces;
    for (const Piece& piece : value.pieces) {
      const bool fill = piece.input == kFillInput;
      std::string text =
          fmt::format("{}:{}", piece.dst_offset, fill ? "fill" : inputs[static_cast<size_t>(piece.input)]);
      if (fill) {
        for (const std::byte byte : tensor.fill) text += fmt::format(" {:02x}", static_cast<unsigned>(byte));
      } else {
        text += fmt::format("+{}", piece.src_offset);
      }
      for (const PieceAxis& axis : piece.axes) {
        text += fmt::format("[{} {} {}]", axis.size, fill ? 0 : axis.src_stride, axis.dst_stride);
      }
      pieces.push_back(std::move(text));
    }
    std::sort(pieces.begin(), pieces.end());
    return fmt::format("{} {} {{{}}}", DTypeName(tensor.dtype), FormatShape(value.shape), fmt::join(pieces, ";"));
  }

 private:
  std::string Of(const BoundInput& input) {
    const auto& [source, casts, node, view] = input;
    std::string text = node != nullptr ? OfNode(node.get()) : source_(source);
    if (view != DType::kAny) text += fmt::format(" as {}", DTypeName(view));
    for (const ElementOp& op : casts) text += OpText(op);
    return text;
  }

  // A digest: nodes share operands, and texts that hold each other would grow with every level.
  const std::string& OfNode(const ComputedNode* node) {
    if (const auto known = nodes_.find(node); known != nodes_.end()) return known->second;
    std::string text = fmt::format("{} {} {} {}", std::visit(SpecText(), node->spec), FormatShape(node->shape),
                                   DTypeName(node->dtype), static_cast<int>(node->overflow));
    for (const PiecedTensor& operand : node->operands) text += "(" + Of(operand) + ")";
    return nodes_.emplace(node, Sha256Hex(text)).first->second;
  }

  const std::function<std::string(size_t)>& source_;
  std::unordered_map<const ComputedNode*, std::string> nodes_;
};

}  // namespace

std::string OriginOf(const PiecedTensor& tensor, const std::function<std::string(size_t)>& source) {
  return Origin(source).Of(tensor);
}

}  // namespace ckmap
