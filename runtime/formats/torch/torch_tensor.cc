#include "runtime/formats/torch/torch_tensor.h"
#include "runtime/base/malformed.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace ckmap {
namespace {

__extension__ using Wide = __int128;

constexpr int64_t kMaxRepeatedBytes = int64_t{4} << 30;
constexpr int64_t kMaxRepeats = 1024;

// Elements of `dtype` that the referred run holds.
Result<int64_t> RunElements(const TorchStorageRef& ref, DType dtype) {
  if (ref.dtype != DType::kAny) {
    if (ref.dtype != dtype) {
      return Malformed(fmt::format("a {} tensor over a {} storage", DTypeName(dtype), DTypeName(ref.dtype)));
    }
    return ref.numel;
  }
  const int64_t size = DTypeSize(dtype);
  return ref.numel / size;
}

}  // namespace

TorchTensor UnreadableTorchTensor(DType dtype, Shape shape, std::string why) {
  TorchTensor tensor;
  // Without an element type the bytes are all that can be told.
  tensor.dtype = dtype == DType::kAny ? DType::kU8 : dtype;
  tensor.shape = NumBytes(shape, tensor.dtype) ? std::move(shape) : Shape{0};
  tensor.layout.strides.assign(tensor.shape.size(), 0);
  tensor.unreadable = std::move(why);
  return tensor;
}

Result<TorchTensor> MakeTorchTensor(const TorchStorageRef& ref, DType dtype, const Shape& sizes,
                                    const std::vector<int64_t>& strides, int64_t offset, bool byteswap) {
  if (sizes.size() > kMaxTorchRank)
    return Malformed(fmt::format("{} dims; {} are the limit", sizes.size(), kMaxTorchRank));
  if (strides.size() != sizes.size())
    return Malformed(fmt::format("{} strides for {} dims", strides.size(), sizes.size()));
  const auto numel = NumElements(sizes);
  if (!numel) return Malformed(fmt::format("the shape [{}] is none", fmt::join(sizes, ", ")));
  if (*numel == 0 && !NumBytes(sizes, dtype))
    return Malformed(fmt::format("the shape [{}] is too large", fmt::join(sizes, ", ")));
  if (offset < 0 || std::any_of(strides.begin(), strides.end(), [](int64_t stride) { return stride < 0; })) {
    return Malformed(
        fmt::format("offset {} with strides [{}]: none may be negative", offset, fmt::join(strides, ", ")));
  }
  CKMAP_ASSIGN_OR_RETURN(const int64_t available, RunElements(ref, dtype));
  const int64_t element = DTypeSize(dtype);
  const Wide bytes = Wide{*numel} * element;

  TorchTensor tensor;
  tensor.dtype = dtype;
  tensor.shape = sizes;
  tensor.layout.storage = ref.storage;
  tensor.layout.byteswap = byteswap && element > 1;
  tensor.layout.strides = RowMajorStrides(sizes);
  Wide last = offset;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    // A stride that is never taken says nothing; the row-major one keeps such tensors contiguous.
    if (sizes[axis] > 1) tensor.layout.strides[axis] = strides[axis];
    last += Wide{std::max<int64_t>(sizes[axis] - 1, 0)} * strides[axis];
  }
  if (*numel == 0) {  // no stride is taken, and they may be any numbers
    tensor.layout.strides = RowMajorStrides(sizes);
    for (int64_t& stride : tensor.layout.strides) stride *= element;
    return tensor;
  }
  if (last >= available) {
    return Malformed(
        fmt::format("shape [{}] with strides [{}] from element {} reaches past the {} elements of its storage",
                    fmt::join(sizes, ", "), fmt::join(strides, ", "), offset, available));
  }
  if (*numel > available && bytes > kMaxRepeatedBytes && bytes > Wide{available} * element * kMaxRepeats) {
    return Malformed(
        fmt::format("shape [{}] repeats the {} elements of its storage more than {} times; save it "
                    ".contiguous() "
                    "if that is meant",
                    fmt::join(sizes, ", "), available, kMaxRepeats));
  }
  if (!NumBytes(sizes, dtype)) return Malformed(fmt::format("the shape [{}] is too large", fmt::join(sizes, ", ")));
  const int64_t first = ref.first * (ref.dtype == DType::kAny ? 1 : element);
  tensor.layout.offset = first + offset * element;
  for (int64_t& stride : tensor.layout.strides) stride *= element;
  return tensor;
}

}  // namespace ckmap
