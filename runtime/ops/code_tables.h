// The values of the codes of small floating formats, exact in f32: what `decode` gives.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace ckmap {

enum class CodeFormat : uint8_t {
  kE2M1,  // OCP MXFP4: 0, 0.5, 1, 1.5, 2, 3, 4, 6; no infinity, no NaN
  kE2M3,  // OCP MXFP6: no infinity, no NaN
  kE3M2,  // OCP MXFP6: no infinity, no NaN
  kE8M0,  // OCP scales: 2^(code - 127); 255 is NaN; no sign, no zero
  kE4M3,  // OCP FP8: 0x7f and 0xff are NaN; no infinity
  kE5M2,  // OCP FP8: as IEEE half precision with two bits of mantissa
};

struct CodeTable {
  int codes = 0;  // of the format: 16, 64 or 256
  std::array<float, 256> values{};
};

namespace code_tables {

constexpr float PowerOfTwo(int exponent) {
  float value = 1;
  for (; exponent > 0; --exponent) value *= 2;
  for (; exponent < 0; ++exponent) value /= 2;  // exact down to the least subnormal
  return value;
}

// Sign, `exponent` bits, `mantissa` bits; the exponent 0 is subnormal.
constexpr CodeTable Float(int exponent, int mantissa, int bias) {
  CodeTable table;
  const int magnitudes = 1 << (exponent + mantissa);
  table.codes = 2 * magnitudes;
  for (int code = 0; code < magnitudes; ++code) {
    const int e = code >> mantissa, m = code & ((1 << mantissa) - 1);
    const float value =
        static_cast<float>(e == 0 ? m : m + (1 << mantissa)) * PowerOfTwo((e == 0 ? 1 : e) - bias - mantissa);
    table.values[static_cast<size_t>(code)] = value;
    table.values[static_cast<size_t>(code + magnitudes)] = -value;  // -0 too
  }
  return table;
}

constexpr CodeTable E4M3() {
  CodeTable table = Float(4, 3, 7);
  table.values[0x7f] = table.values[0xff] = std::numeric_limits<float>::quiet_NaN();
  return table;
}

constexpr CodeTable E5M2() {
  CodeTable table = Float(5, 2, 15);
  for (size_t sign : {size_t{0}, size_t{0x80}}) {
    table.values[sign + 0x7c] =
        sign == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
    for (size_t code = 0x7d; code <= 0x7f; ++code) table.values[sign + code] = std::numeric_limits<float>::quiet_NaN();
  }
  return table;
}

constexpr CodeTable E8M0() {
  CodeTable table;
  table.codes = 256;
  for (int code = 0; code < 255; ++code) table.values[static_cast<size_t>(code)] = PowerOfTwo(code - 127);
  table.values[255] = std::numeric_limits<float>::quiet_NaN();
  return table;
}

inline constexpr CodeTable kE2M1 = Float(2, 1, 1), kE2M3 = Float(2, 3, 1), kE3M2 = Float(3, 2, 3), kE8M0 = E8M0(),
                           kE4M3 = E4M3(), kE5M2 = E5M2();

}  // namespace code_tables

inline const CodeTable& TableOf(CodeFormat format) {
  switch (format) {
    case CodeFormat::kE2M1:
      return code_tables::kE2M1;
    case CodeFormat::kE2M3:
      return code_tables::kE2M3;
    case CodeFormat::kE3M2:
      return code_tables::kE3M2;
    case CodeFormat::kE8M0:
      return code_tables::kE8M0;
    case CodeFormat::kE4M3:
      return code_tables::kE4M3;
    case CodeFormat::kE5M2:
      break;
  }
  return code_tables::kE5M2;
}

// "e2m1", "e2m3", "e3m2", "e8m0", "e4m3", "e5m2".
inline std::optional<CodeFormat> ParseCodeFormat(std::string_view name) {
  constexpr std::string_view kNames[] = {"e2m1", "e2m3", "e3m2", "e8m0", "e4m3", "e5m2"};
  for (uint8_t i = 0; i < 6; ++i) {
    if (kNames[i] == name) return static_cast<CodeFormat>(i);
  }
  return std::nullopt;
}

}  // namespace ckmap
