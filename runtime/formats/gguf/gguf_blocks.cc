// Compiled without contraction of a * b + c: the results must not depend on the machine.
#include "runtime/formats/gguf/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "runtime/base/little_endian.h"

namespace ckmap {
namespace {

constexpr int kSuper = 256;      // elements of a super-block, of the K types
constexpr int64_t kBatch = 256;  // blocks decoded at once

float HalfToFloat(const unsigned char* at) {
  const uint32_t half = LoadLittle<uint16_t>(at);
  const uint32_t sign = (half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * 0x1p-24F;  // zero, or below the normal halves
  return sign != 0 ? -small : small;
}

int Signed(unsigned char byte) { return static_cast<signed char>(byte); }

void DecodeQ4(const unsigned char* quants, float scale, float minimum, int bias, bool shifted, float* out) {
  for (int j = 0; j < 16; ++j) {
    const float low = static_cast<float>((quants[j] & 0xf) - bias) * scale;
    const float high = static_cast<float>((quants[j] >> 4) - bias) * scale;
    out[j] = shifted ? low + minimum : low;
    out[j + 16] = shifted ? high + minimum : high;
  }
}

void DecodeQ40(const unsigned char* block, float* out) { DecodeQ4(block + 2, HalfToFloat(block), 0, 8, false, out); }

void DecodeQ41(const unsigned char* block, float* out) {
  DecodeQ4(block + 4, HalfToFloat(block), HalfToFloat(block + 2), 0, true, out);
}

// The fifth bits of all elements stand together.
void DecodeQ5(const unsigned char* high_bits, float scale, float minimum, int bias, bool shifted, float* out) {
  const auto fifth = LoadLittle<uint32_t>(high_bits);
  const unsigned char* quants = high_bits + 4;
  for (int j = 0; j < 16; ++j) {
    const int low = (quants[j] & 0xf) | static_cast<int>((fifth >> j & 1) << 4);
    const int high = quants[j] >> 4 | static_cast<int>((fifth >> (j + 16) & 1) << 4);
    out[j] = static_cast<float>(low - bias) * scale;
    out[j + 16] = static_cast<float>(high - bias) * scale;
    if (!shifted) continue;
    out[j] += minimum;
    out[j + 16] += minimum;
  }
}

void DecodeQ50(const unsigned char* block, float* out) { DecodeQ5(block + 2, HalfToFloat(block), 0, 16, false, out); }

void DecodeQ51(const unsigned char* block, float* out) {
  DecodeQ5(block + 4, HalfToFloat(block), HalfToFloat(block + 2), 0, true, out);
}

void DecodeQ80(const unsigned char* block, float* out) {
  const float scale = HalfToFloat(block);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(Signed(block[2 + j])) * scale;
}

void DecodeQ2K(const unsigned char* block, float* out) {
  const unsigned char* scales = block;
  const unsigned char* quants = block + 16;
  const float scale = HalfToFloat(block + 80);
  const float minimum = HalfToFloat(block + 82);
  for (int i = 0; i < kSuper; ++i) {
    const unsigned char both = scales[i / 16];
    const int quant = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[i] =
        scale * static_cast<float>(both & 0xf) * static_cast<float>(quant) - minimum * static_cast<float>(both >> 4);
  }
}

void DecodeQ3K(const unsigned char* block, float* out) {
  const unsigned char* mask = block;
  const unsigned char* quants = block + 32;
  const unsigned char* packed = block + 96;
  const float scale = HalfToFloat(block + 108);
  std::array<int, 16> scales{};
  for (size_t j = 0; j < 16; ++j) {
    const int low = j < 8 ? packed[j] & 0xf : packed[j - 8] >> 4;
    const int high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
    scales[j] = (low | high << 4) - 32;
  }
  for (int i = 0; i < kSuper; ++i) {
    const int quant = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const bool high = (mask[i % 32] >> (i / 32) & 1) != 0;
    out[i] =
        scale * static_cast<float>(scales[static_cast<size_t>(i / 16)]) * static_cast<float>(quant - (high ? 0 : 4));
  }
}

struct ScaleAndMinimum {
  float scale;
  float minimum;
};

// Eight pairs of 6 bits in 12 bytes.
ScaleAndMinimum UnpackK4(const unsigned char* packed, int j, float scale, float minimum) {
  int s = 0;
  int m = 0;
  if (j < 4) {
    s = packed[j] & 63;
    m = packed[j + 4] & 63;
  } else {
    s = (packed[j + 4] & 0xf) | packed[j - 4] >> 6 << 4;
    m = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
  }
  return {scale * static_cast<float>(s), minimum * static_cast<float>(m)};
}

void DecodeQ4K(const unsigned char* block, float* out) {
  const unsigned char* quants = block + 16;
  for (int j = 0; j < 8; ++j) {
    const ScaleAndMinimum by = UnpackK4(block + 4, j, HalfToFloat(block), HalfToFloat(block + 2));
    for (int l = 0; l < 32; ++l) {
      const int quant = quants[j / 2 * 32 + l] >> (j % 2 * 4) & 0xf;
      out[j * 32 + l] = by.scale * static_cast<float>(quant) - by.minimum;
    }
  }
}

void DecodeQ5K(const unsigned char* block, float* out) {
  const unsigned char* fifth = block + 16;
  const unsigned char* quants = block + 48;
  for (int j = 0; j < 8; ++j) {
    const ScaleAndMinimum by = UnpackK4(block + 4, j, HalfToFloat(block), HalfToFloat(block + 2));
    for (int l = 0; l < 32; ++l) {
      const int quant = (quants[j / 2 * 32 + l] >> (j % 2 * 4) & 0xf) + (fifth[l] >> j & 1) * 16;
      out[j * 32 + l] = by.scale * static_cast<float>(quant) - by.minimum;
    }
  }
}

void DecodeQ6K(const unsigned char* block, float* out) {
  const unsigned char* high = block + 128;
  const unsigned char* scales = block + 192;
  const float scale = HalfToFloat(block + 208);
  for (int i = 0; i < kSuper; ++i) {
    const int half = i / 128;
    const int row = i % 128 / 32;  // of four that share their high bits
    const int low = block[half * 64 + row % 2 * 32 + i % 32] >> (row / 2 * 4) & 0xf;
    const int quant = (low | (high[half * 32 + i % 32] >> (row * 2) & 3) << 4) - 32;
    out[i] = scale * static_cast<float>(Signed(scales[i / 16])) * static_cast<float>(quant);
  }
}

void DecodeQ8K(const unsigned char* block, float* out) {
  const auto scale = LoadLittle<float>(block);
  for (int i = 0; i < kSuper; ++i) out[i] = scale * static_cast<float>(Signed(block[4 + i]));
}

// Sixteen values that 4 bits choose from.
using Codebook = std::array<signed char, 16>;
constexpr Codebook kNonlinear = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr Codebook kTwiceF4 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void DecodeByCodebook(const unsigned char* quants, const Codebook& values, float scale, float* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>(values[quants[j] & 0xf]);
    out[j + 16] = scale * static_cast<float>(values[quants[j] >> 4]);
  }
}

void DecodeIq4Nl(const unsigned char* block, float* out) {
  DecodeByCodebook(block + 2, kNonlinear, HalfToFloat(block), out);
}

void DecodeIq4Xs(const unsigned char* block, float* out) {
  const float scale = HalfToFloat(block);
  const auto high = LoadLittle<uint16_t>(block + 2);
  for (int j = 0; j < 8; ++j) {
    const int low = block[4 + j / 2] >> (j % 2 * 4) & 0xf;
    const int by = (low | (high >> (j * 2) & 3) << 4) - 32;
    DecodeByCodebook(block + 8 + j * 16, kNonlinear, scale * static_cast<float>(by), out + j * 32);
  }
}

// A scale is a power of two, of which half is taken: the values are twice those of F4.
void DecodeMxfp4(const unsigned char* block, float* out) {
  const uint32_t exponent = block[0];
  const uint32_t bits = exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23;
  DecodeByCodebook(block + 1, kTwiceF4, std::bit_cast<float>(bits), out);
}

// Digits of base three, five in a byte (four at the end), as a fraction of 256: the first is what three times it
// carries.
void DecodeTq1(const unsigned char* block, float* out) {
  constexpr std::array<int, 5> kPowers = {1, 3, 9, 27, 81};
  struct Part {
    int first, bytes, digits;
  };
  constexpr std::array<Part, 3> kParts = {{{0, 32, 5}, {32, 16, 5}, {48, 4, 4}}};
  const float scale = HalfToFloat(block + 52);
  for (const Part& part : kParts) {
    for (int n = 0; n < part.digits; ++n) {
      for (int j = 0; j < part.bytes; ++j) {
        const int fraction = block[part.first + j] * kPowers[static_cast<size_t>(n)] & 0xff;
        *out++ = scale * static_cast<float>((fraction * 3 >> 8) - 1);
      }
    }
  }
}

void DecodeTq2(const unsigned char* block, float* out) {
  const float scale = HalfToFloat(block + 64);
  for (int i = 0; i < kSuper; ++i) {
    const int quant = block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[i] = scale * static_cast<float>(quant - 1);
  }
}

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, DType::kF32},
    {1, "F16", 1, 2, DType::kF16},
    {2, "Q4_0", 32, 18, DType::kAny, DecodeQ40},
    {3, "Q4_1", 32, 20, DType::kAny, DecodeQ41},
    {6, "Q5_0", 32, 22, DType::kAny, DecodeQ50},
    {7, "Q5_1", 32, 24, DType::kAny, DecodeQ51},
    {8, "Q8_0", 32, 34, DType::kAny, DecodeQ80},
    {9, "Q8_1", 32, 40},
    {10, "Q2_K", kSuper, 84, DType::kAny, DecodeQ2K},
    {11, "Q3_K", kSuper, 110, DType::kAny, DecodeQ3K},
    {12, "Q4_K", kSuper, 144, DType::kAny, DecodeQ4K},
    {13, "Q5_K", kSuper, 176, DType::kAny, DecodeQ5K},
    {14, "Q6_K", kSuper, 210, DType::kAny, DecodeQ6K},
    {15, "Q8_K", kSuper, 292, DType::kAny, DecodeQ8K},
    {16, "IQ2_XXS", kSuper, 66},
    {17, "IQ2_XS", kSuper, 74},
    {18, "IQ3_XXS", kSuper, 98},
    {19, "IQ1_S", kSuper, 50},
    {20, "IQ4_NL", 32, 18, DType::kAny, DecodeIq4Nl},
    {21, "IQ3_S", kSuper, 110},
    {22, "IQ2_S", kSuper, 82},
    {23, "IQ4_XS", kSuper, 136, DType::kAny, DecodeIq4Xs},
    {24, "I8", 1, 1, DType::kI8},
    {25, "I16", 1, 2, DType::kI16},
    {26, "I32", 1, 4, DType::kI32},
    {27, "I64", 1, 8, DType::kI64},
    {28, "F64", 1, 8, DType::kF64},
    {29, "IQ1_M", kSuper, 56},
    {30, "BF16", 1, 2, DType::kBF16},
    {34, "TQ1_0", kSuper, 54, DType::kAny, DecodeTq1},
    {35, "TQ2_0", kSuper, 66, DType::kAny, DecodeTq2},
    {39, "MXFP4", 32, 17, DType::kAny, DecodeMxfp4},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

class BlockSource final : public StorageSource {
 public:
  BlockSource(const InputFile& file, int64_t offset, const GgmlType& type, int64_t blocks)
      : file_(file), offset_(offset), type_(type), blocks_(blocks) {}

  int64_t bytes() const override { return blocks_ * plain(); }

  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    std::vector<unsigned char> packed;
    std::vector<float> floats;
    while (!out.empty()) {
      const int64_t first = offset / plain();
      const int64_t skip = offset % plain();
      const auto wanted = (skip + static_cast<int64_t>(out.size()) + plain() - 1) / plain();
      const int64_t count = std::min(wanted, kBatch);
      packed.resize(static_cast<size_t>(count * type_.bytes));
      floats.resize(static_cast<size_t>(count * type_.elements));
      CKMAP_RETURN_IF_ERROR(file_.ReadAt(offset_ + first * type_.bytes, std::as_writable_bytes(std::span(packed))));
      for (int64_t i = 0; i < count; ++i) {
        type_.decode(packed.data() + i * type_.bytes, floats.data() + i * type_.elements);
      }
      const auto made = std::as_bytes(std::span(floats)).subspan(static_cast<size_t>(skip));
      const size_t taken = std::min(made.size(), out.size());
      std::memcpy(out.data(), made.data(), taken);
      out = out.subspan(taken);
      offset += static_cast<int64_t>(taken);
    }
    return {};
  }

 private:
  // Bytes of a block's elements.
  int64_t plain() const { return type_.elements * static_cast<int64_t>(sizeof(float)); }

  const InputFile& file_;
  int64_t offset_;
  const GgmlType& type_;
  int64_t blocks_;
};

}  // namespace

const GgmlType* FindGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

const GgmlType* FindGgmlType(DType dtype) {
  for (const GgmlType& type : kTypes) {
    if (type.dtype == dtype && dtype != DType::kAny) return &type;
  }
  return nullptr;
}

std::unique_ptr<StorageSource> GgmlBlockSource(const InputFile& file, int64_t offset, const GgmlType& type,
                                               int64_t blocks) {
  return std::make_unique<BlockSource>(file, offset, type, blocks);
}

}  // namespace ckmap
