#include "runtime/report/numbers.h"

#include <cstring>

#include "runtime/base/check.h"
#include "runtime/exec/kernels/cast.h"

namespace ckmap {

bool IsNumber(DType dtype) { return dtype == DType::kF64 || CanCast({dtype, DType::kF64, Overflow::kInf}); }

void ToNumbers(DType dtype, std::span<const std::byte> elements, std::vector<double>& out) {
  CKMAP_CHECK(IsNumber(dtype));
  out.resize(elements.size() / static_cast<size_t>(DTypeSize(dtype)));
  if (out.empty()) return;
  if (dtype == DType::kF64) {
    std::memcpy(out.data(), elements.data(), elements.size());
    return;
  }
  CastCounts counts;
  CastElements({dtype, DType::kF64, Overflow::kInf}, elements.data(), reinterpret_cast<std::byte*>(out.data()),
               out.size(), counts);
}

}  // namespace ckmap
