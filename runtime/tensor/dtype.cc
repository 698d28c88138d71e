#include "runtime/tensor/dtype.h"

#include <array>

#include "runtime/base/check.h"

namespace ckmap {
namespace {

struct DTypeInfo {
  std::string_view name;
  int bits;
};

// In the order of the enum.
constexpr std::array<DTypeInfo, kDTypeCount> kDTypes = {{
    {"bool", 8},    {"i8", 8},          {"u8", 8},          {"i16", 16},    {"u16", 16}, {"i32", 32},    {"u32", 32},
    {"i64", 64},    {"u64", 64},        {"f16", 16},        {"bf16", 16},   {"f32", 32}, {"f64", 64},    {"f8_e4m3", 8},
    {"f8_e5m2", 8}, {"f8_e4m3fnuz", 8}, {"f8_e5m2fnuz", 8}, {"f8_e8m0", 8}, {"f4", 8},   {"f6_e2m3", 6}, {"f6_e3m2", 6},
    {"i4", 8},      {"c32", 32},        {"c64", 64},        {"c128", 128},  {"any", 0},
}};

const DTypeInfo& Info(DType dtype) { return kDTypes.at(static_cast<size_t>(dtype)); }

}  // namespace

std::string_view DTypeName(DType dtype) { return Info(dtype).name; }

std::optional<DType> ParseDType(std::string_view name) {
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

int DTypeBits(DType dtype) { return Info(dtype).bits; }

int64_t DTypeSize(DType dtype) {
  const int bits = DTypeBits(dtype);
  CKMAP_CHECK(bits > 0 && bits % 8 == 0);
  return bits / 8;
}

bool IsFloat(DType dtype) { return dtype >= DType::kF16 && dtype <= DType::kF6E3M2; }
bool IsInteger(DType dtype) { return dtype >= DType::kI8 && dtype <= DType::kU64; }
bool IsComplex(DType dtype) { return dtype >= DType::kC32 && dtype <= DType::kC128; }

}  // namespace ckmap
