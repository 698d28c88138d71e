#include "runtime/exec/reference.h"

#include <algorithm>
#include <cstring>

#include "runtime/exec/cast.h"

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

}  // namespace

std::vector<std::byte> ReferenceTensor(const BoundTensor& tensor, const Checkpoint& source) {
  const auto size = static_cast<size_t>(DTypeSize(tensor.dtype));
  std::vector<std::byte> out(static_cast<size_t>(*NumBytes(tensor.shape, tensor.dtype)));
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
      Element element = Load(source, input.source, src);
      PutRight(element, source.manifest()[input.source].dtype, source.layout(input.source));
      if (input.casts.empty()) {
        std::memcpy(to, element.data(), size);
        continue;
      }
      uint64_t bits = 0;
      std::memcpy(&bits, element.data(), element.size());
      for (const CastOp& cast : input.casts) bits = CastElement(cast, bits).bits;
      std::memcpy(to, &bits, size);
    }
  }
  return out;
}

}  // namespace ckmap
