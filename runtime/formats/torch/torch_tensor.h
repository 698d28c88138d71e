// A strided tensor over a storage, checked: what every torch container builds its tensors with.
// Internal to torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/tensor/dtype.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

// A run of a checkpoint's storage that a pickle refers to.
struct TorchStorageRef {
  uint32_t storage = 0;
  DType dtype = DType::kAny;  // kAny: untyped, `numel` counts bytes
  bool packed = false;        // elements below a byte: `numel` is not what the bytes hold
  int64_t first = 0;          // elements (bytes if untyped) from the storage's start
  int64_t numel = 0;
  std::string unreadable;  // not empty: its tensors are, for this reason
};

struct TorchTensor {
  DType dtype = DType::kAny;
  Shape shape;
  TensorLayout layout;
  std::string unreadable;  // as in TensorInfo
};

inline constexpr size_t kMaxTorchRank = 64;

// Sizes, strides and offset are in elements of `dtype` over `ref`. kMalformed unless every element
// lies inside of `ref`, all arithmetic fits, and a view that repeats elements (stride 0) stays
// within reason: 4 GiB, or 1,024 times its storage.
Result<TorchTensor> MakeTorchTensor(const TorchStorageRef& ref, DType dtype, const Shape& sizes,
                                    const std::vector<int64_t>& strides, int64_t offset, bool byteswap);

// One that is listed but has no elements to be had.
TorchTensor UnreadableTorchTensor(DType dtype, Shape shape, std::string why);

}  // namespace ckmap
