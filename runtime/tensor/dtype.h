// Element types, under the one spelling that every text and every JSON of the project uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ckmap {

// kI4 is MindSpore's qint4x2: one element is a byte that holds two nibbles, and shapes count bytes.
// kF4 (e2m1) is packed the same way: one element is a byte of two values, as torch's float4_e2m1fn_x2.
// kF6E2M3 and kF6E3M2 are packed below a byte: such tensors are only copied whole.
enum class DType : uint8_t {
  kBool,
  kI8,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kF8E4M3,
  kF8E5M2,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kF8E8M0,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kI4,
  kC32,
  kC64,
  kC128,
  kAny,  // only in specs: whatever the source has
};
inline constexpr int kDTypeCount = static_cast<int>(DType::kAny) + 1;

// "f32", "f8_e4m3", …; static storage.
std::string_view DTypeName(DType dtype);

// The inverse of DTypeName; nullopt for any other text.
std::optional<DType> ParseDType(std::string_view name);

// Bits of one element; 0 for kAny.
int DTypeBits(DType dtype);

// Bytes of one element. Only for types of whole bytes (DTypeBits divisible by 8 and not 0).
int64_t DTypeSize(DType dtype);

bool IsFloat(DType dtype);    // f16 … f64 and the 8-bit and smaller floats
bool IsInteger(DType dtype);  // i8 … u64; not bool, not i4
bool IsComplex(DType dtype);

}  // namespace ckmap
