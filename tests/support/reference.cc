#include "tests/support/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

using Element = std::vector<std::byte>;

// The logical element `index` of a source tensor, as its file has it.
Element Load(const Checkpoint& source, size_t tensor, int64_t index) {
  const TensorInfo& info = source.manifest()[tensor];
  const TensorLayout& layout = source.layout(tensor);
  int64_t offset = layout.offset;
  for (size_t k = info.shape.size(); k-- > 0;) {
    offset += index % info.shape[k] * layout.strides[k];
    index /= info.shape[k];
  }
  Element element(static_cast<size_t>(DTypeSize(info.dtype)));
  CKMAP_CHECK(source.ReadStorage(layout.storage, offset, element).ok());
  return element;
}

// The element `index` of a source tensor whose bytes are taken as `view`; kAny: as they are.
Element LoadView(const Checkpoint& source, size_t tensor, DType view, int64_t index) {
  if (view == DType::kAny) return Load(source, tensor, index);
  const int64_t from = DTypeSize(source.manifest()[tensor].dtype), to = DTypeSize(view);
  Element bytes;
  for (int64_t at = index * to; at < (index + 1) * to; ++at) {
    bytes.push_back(Load(source, tensor, at / from)[static_cast<size_t>(at % from)]);
  }
  return bytes;
}

void PutRight(Element& element, DType dtype, const TensorLayout& layout) {
  const size_t halves = IsComplex(dtype) ? 2 : 1;
  const size_t unit = element.size() / halves;
  for (size_t half = 0; half < halves; ++half) {
    const auto begin = element.begin() + static_cast<ptrdiff_t>(half * unit);
    const auto end = begin + static_cast<ptrdiff_t>(unit);
    if (layout.byteswap) std::reverse(begin, end);
    const bool flip = layout.negative != (layout.conjugate && half == 1);
    if (!flip) continue;
    if (!IsInteger(dtype)) {
      *(end - 1) ^= std::byte{0x80};
      continue;
    }
    uint64_t value = 0;
    std::memcpy(&value, &*begin, unit);
    value = -value;
    std::memcpy(&*begin, &value, unit);
  }
}

std::vector<double> AsNumbers(DType dtype, const std::vector<std::byte>& bytes) {
  const auto size = static_cast<size_t>(DTypeSize(dtype));
  std::vector<double> numbers(bytes.size() / size);
  for (size_t i = 0; i < numbers.size(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * size, size);
    if (dtype != DType::kF64) bits = CastElement({dtype, DType::kF64, Overflow::kSaturate}, bits).bits;
    std::memcpy(&numbers[i], &bits, sizeof bits);
  }
  return numbers;
}

// All bytes of a node's result.
std::vector<std::byte> WholeNode(const ComputedNode& node, const Checkpoint& source) {
  if (std::holds_alternative<BitcastSpec>(node.spec)) return ReferenceTensor(node.operands[0], source);
  std::vector<std::vector<double>> operands;
  for (const PiecedTensor& operand : node.operands)
    operands.push_back(AsNumbers(operand.dtype, ReferenceTensor(operand, source)));
  const std::vector<double> numbers = ReferenceNode(node, operands);
  const auto size = static_cast<size_t>(DTypeSize(node.dtype));
  std::vector<std::byte> bytes(numbers.size() * size);
  for (size_t i = 0; i < numbers.size(); ++i) {
    uint64_t bits = 0;
    const double number = std::isnan(numbers[i]) ? std::numeric_limits<double>::quiet_NaN() : numbers[i];
    std::memcpy(&bits, &number, sizeof bits);
    if (node.dtype != DType::kF64) bits = CastElement({DType::kF64, node.dtype, node.overflow}, bits).bits;
    std::memcpy(bytes.data() + i * size, &bits, size);
  }
  return bytes;
}

}  // namespace

std::vector<std::byte> ReferenceTensor(const PiecedTensor& tensor, const Checkpoint& source) {
  std::vector<std::vector<std::byte>> computed;  // of each input that is a node
  for (const BoundInput& input : tensor.inputs) {
    computed.push_back(input.node != nullptr ? WholeNode(*input.node, source) : std::vector<std::byte>());
  }
  const auto size = static_cast<size_t>(DTypeSize(tensor.dtype));
  std::vector<std::byte> out(static_cast<size_t>(*NumBytes(tensor.value.shape, tensor.dtype)));
  for (const Piece& piece : tensor.value.pieces) {
    for (int64_t i = 0; i < piece.elements(); ++i) {
      int64_t src = piece.src_offset;
      int64_t dst = piece.dst_offset;
      int64_t rest = i;
      for (size_t k = piece.axes.size(); k-- > 0;) {
        const int64_t at = rest % piece.axes[k].size;
        rest /= piece.axes[k].size;
        src += at * piece.axes[k].src_stride;
        dst += at * piece.axes[k].dst_stride;
      }
      std::byte* to = out.data() + static_cast<size_t>(dst) * size;
      if (piece.input == kFillInput) {
        std::memcpy(to, tensor.fill.data(), size);
        continue;
      }
      const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
      Element element;
      if (input.node != nullptr) {
        const std::vector<std::byte>& all = computed[static_cast<size_t>(piece.input)];
        const auto bytes = static_cast<ptrdiff_t>(DTypeSize(input.node->dtype));
        element.assign(all.begin() + src * bytes, all.begin() + (src + 1) * bytes);
      } else {
        element = LoadView(source, input.source, input.view, src);
        if (input.view == DType::kAny)
          PutRight(element, source.manifest()[input.source].dtype, source.layout(input.source));
      }
      if (input.casts.empty()) {
        std::memcpy(to, element.data(), size);
        continue;
      }
      uint64_t bits = 0;
      std::memcpy(&bits, element.data(), element.size());
      for (const ElementOp& op : input.casts) {
        bits = ApplyToElement(op, bits).bits;
      }
      std::memcpy(to, &bits, size);
    }
  }
  return out;
}

}  // namespace ckmap
