#include "runtime/report/element_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ckmap {
namespace {

// Bytes of storage that are held at once while elements are picked out of it.
constexpr int64_t kWindow = int64_t{8} << 20;

template <typename T>
double As(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  return static_cast<double>(value);
}

// A float of `exponent` and `mantissa` bits in the IEEE manner; `finite_top` for e4m3 (fn), whose
// top exponent holds numbers and which has one NaN and no infinity.
double SmallFloat(uint32_t bits, int exponent, int mantissa, bool finite_top) {
  const bool negative = ((bits >> (exponent + mantissa)) & 1) != 0;
  const int top = (1 << exponent) - 1;
  const int bias = top >> 1;
  const int e = static_cast<int>(bits >> mantissa) & top;
  const int m = static_cast<int>(bits) & ((1 << mantissa) - 1);
  double value = 0;
  if (e == top && !finite_top) {
    value =
        m == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (e == top && m == (1 << mantissa) - 1) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (e == 0) {
    value = std::ldexp(m, 1 - bias - mantissa);
  } else {
    value = std::ldexp(m + (1 << mantissa), e - bias - mantissa);
  }
  return negative ? -value : value;
}

}  // namespace

bool IsNumber(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
    case DType::kF64:
    case DType::kF8E4M3:
    case DType::kF8E5M2:
      return true;
    default:
      return IsInteger(dtype);
  }
}

double ToDouble(DType dtype, const std::byte* element) {
  switch (dtype) {
    case DType::kBool:
    case DType::kU8:
      return As<uint8_t>(element);
    case DType::kI8:
      return As<int8_t>(element);
    case DType::kI16:
      return As<int16_t>(element);
    case DType::kU16:
      return As<uint16_t>(element);
    case DType::kI32:
      return As<int32_t>(element);
    case DType::kU32:
      return As<uint32_t>(element);
    case DType::kI64:
      return As<int64_t>(element);
    case DType::kU64:
      return As<uint64_t>(element);
    case DType::kF32:
      return As<float>(element);
    case DType::kF64:
      return As<double>(element);
    case DType::kF16:
      return SmallFloat(static_cast<uint32_t>(As<uint16_t>(element)), 5, 10, false);
    case DType::kBF16:
      return SmallFloat(static_cast<uint32_t>(As<uint16_t>(element)), 8, 7, false);
    case DType::kF8E4M3:
      return SmallFloat(static_cast<uint32_t>(As<uint8_t>(element)), 4, 3, true);
    case DType::kF8E5M2:
      return SmallFloat(static_cast<uint32_t>(As<uint8_t>(element)), 5, 2, false);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

ElementReader::ElementReader(const Checkpoint& checkpoint, size_t tensor)
    : checkpoint_(checkpoint),
      info_(checkpoint.manifest()[tensor]),
      layout_(checkpoint.layout(tensor)) {
  CKMAP_CHECK(info_.unreadable.empty() && DTypeBits(info_.dtype) % 8 == 0);
  size_ = DTypeSize(info_.dtype);
  const auto elements = NumElements(info_.shape);
  CKMAP_CHECK(elements.has_value());
  elements_ = *elements;
  const std::vector<int64_t> strides = RowMajorStrides(info_.shape);
  dense_ = true;
  for (size_t i = 0; i < strides.size(); ++i) {
    dense_ = dense_ && (info_.shape[i] == 1 || layout_.strides[i] == strides[i] * size_);
  }
}

Result<void> ElementReader::Read(int64_t begin, int64_t count, std::vector<std::byte>& out) {
  CKMAP_CHECK(begin >= 0 && count >= 0 && count <= elements_ - begin);
  out.resize(static_cast<size_t>(count * size_));
  if (dense_) {
    CKMAP_RETURN_IF_ERROR(
        checkpoint_.ReadStorage(layout_.storage, layout_.offset + begin * size_, out));
  } else {
    CKMAP_RETURN_IF_ERROR(ReadStrided(begin, count, out));
  }
  Finish(out);
  return {};
}

// Elements are picked one by one from a window of the storage that moves along with them. The
// windows of a transposed tensor that is much larger than kWindow are read many times over.
Result<void> ElementReader::ReadStrided(int64_t begin, int64_t count, std::vector<std::byte>& out) {
  const size_t rank = info_.shape.size();
  const std::vector<int64_t> row_major = RowMajorStrides(info_.shape);
  std::vector<int64_t> index(rank);
  int64_t position = layout_.offset;
  for (size_t i = 0; i < rank; ++i) {
    index[i] = begin / row_major[i] % info_.shape[i];
    position += index[i] * layout_.strides[i];
  }
  const int64_t end = checkpoint_.storage_bytes(layout_.storage);
  for (int64_t n = 0; n < count; ++n) {
    const int64_t held = static_cast<int64_t>(window_.size());
    if (position < window_begin_ || position + size_ > window_begin_ + held) {
      const int64_t length = std::min(std::max(kWindow, size_), end - position);
      window_.resize(static_cast<size_t>(length));
      window_begin_ = position;
      CKMAP_RETURN_IF_ERROR(checkpoint_.ReadStorage(layout_.storage, position, window_));
    }
    std::memcpy(out.data() + n * size_, window_.data() + (position - window_begin_),
                static_cast<size_t>(size_));
    for (size_t i = rank; i-- > 0;) {
      position += layout_.strides[i];
      if (++index[i] < info_.shape[i]) break;
      position -= layout_.strides[i] * info_.shape[i];
      index[i] = 0;
    }
  }
  return {};
}

void ElementReader::Finish(std::vector<std::byte>& out) const {
  if (!layout_.byteswap && !layout_.conjugate && !layout_.negative) return;
  const bool complex = IsComplex(info_.dtype);
  const size_t part = static_cast<size_t>(complex ? size_ / 2 : size_);
  const bool signed_bit = IsFloat(info_.dtype) || complex;
  for (size_t at = 0, n = 0; at < out.size(); at += part, ++n) {
    std::byte* value = out.data() + at;
    if (layout_.byteswap) std::reverse(value, value + part);
    const bool imaginary = complex && n % 2 == 1;
    // Both lazy bits at once: -conj(x) keeps the sign of the imaginary part.
    const bool negate = layout_.negative != (layout_.conjugate && imaginary);
    if (!negate) continue;
    if (signed_bit) {
      value[part - 1] ^= std::byte{0x80};
    } else {
      unsigned carry = 1;
      for (size_t i = 0; i < part; ++i) {
        carry += static_cast<unsigned>(~value[i] & std::byte{0xff});
        value[i] = static_cast<std::byte>(carry & 0xff);
        carry >>= 8;
      }
    }
  }
}

}  // namespace ckmap
