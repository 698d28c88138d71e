#include "runtime/report/element_reader.h"

#include <algorithm>
#include <cstring>

#include "runtime/exec/kernels/cast.h"

namespace ckmap {
namespace {

// Bytes of storage that are held at once while elements are picked out of it.
constexpr int64_t kWindow = int64_t{8} << 20;

}  // namespace

bool IsNumber(DType dtype) {
  return dtype == DType::kF64 || CanCast({dtype, DType::kF64, Overflow::kInf});
}

void ToNumbers(DType dtype, std::span<const std::byte> elements, std::vector<double>& out) {
  CKMAP_CHECK(IsNumber(dtype));
  out.resize(elements.size() / static_cast<size_t>(DTypeSize(dtype)));
  if (out.empty()) return;
  if (dtype == DType::kF64) {
    std::memcpy(out.data(), elements.data(), elements.size());
    return;
  }
  CastCounts counts;
  CastElements({dtype, DType::kF64, Overflow::kInf}, elements.data(),
               reinterpret_cast<std::byte*>(out.data()), out.size(), counts);
}

ElementReader::ElementReader(const Checkpoint& checkpoint, size_t tensor)
    : checkpoint_(checkpoint),
      info_(checkpoint.manifest()[tensor]),
      layout_(checkpoint.layout(tensor)) {
  CKMAP_CHECK(info_.unreadable.empty() && DTypeBits(info_.dtype) % 8 == 0);
  size_ = DTypeSize(info_.dtype);
  chain_.from = chain_.to = info_.dtype;
  chain_.byteswap = layout_.byteswap;
  chain_.conjugate = layout_.conjugate;
  chain_.negative = layout_.negative;
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

void ElementReader::Finish(std::vector<std::byte>& out) {
  if (chain_.trivial() || out.empty()) return;
  raw_.swap(out);
  out.resize(raw_.size());
  ElementCounts counts;
  ConvertElements(chain_, raw_.data(), out.data(), static_cast<int64_t>(raw_.size()) / size_, 0,
                  counts);
}

}  // namespace ckmap
