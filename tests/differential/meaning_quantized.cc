// What the operations on quantised tensors mean.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "tests/differential/meaning_parts.h"

namespace ckmap::testing {

Tensor Unpack(const Tensor& in, int64_t axis, const Fields& packed) {
  const auto a = static_cast<size_t>(axis);
  const int64_t width = 8 * BytesOf(in.dtype), bits = packed.bits;
  const int64_t fields = packed.fields == 0 && packed.high ? width / bits : packed.fields;
  Tensor out{packed.is_signed ? "i8" : "u8", in.shape, {}};
  out.shape[a] = fields != 0 ? in.shape[a] * fields : in.shape[a] * width / bits;
  for (int64_t i = 0; i < Product(out.shape); ++i) {
    Index index = Coordinates(i, out.shape);
    const int64_t code = index[a];
    int64_t first = code * bits;
    if (fields != 0) first = code / fields * width + (packed.high ? fields - 1 - code % fields : code % fields) * bits;
    uint64_t value = 0;
    for (int64_t k = 0; k < bits; ++k) {
      index[a] = (first + k) / width;
      int64_t place = 0;
      for (size_t d = 0; d < index.size(); ++d) place = place * in.shape[d] + index[d];
      value |= (in.bits[static_cast<size_t>(place)] >> ((first + k) % width) & 1) << k;
    }
    if (packed.is_signed && (value >> (bits - 1) & 1) != 0) value |= (~uint64_t{0} << bits) & 0xff;
    out.bits.push_back(value);
  }
  return out;
}

namespace {

// Of a float with a sign: the exponent's and the mantissa's bits, and whether its last codes are NaN (and infinity).
struct CodeLayout {
  int exponent, mantissa;
  enum { kFinite, kNan, kIeee } last;
};

std::optional<float> ValueOfCode(const CodeLayout& layout, int code) {
  const int magnitude_bits = layout.exponent + layout.mantissa;
  if (code >> (magnitude_bits + 1) != 0) return std::nullopt;
  const int bias = (1 << (layout.exponent - 1)) - 1, magnitude = code & ((1 << magnitude_bits) - 1);
  const int exponent = magnitude >> layout.mantissa, mantissa = magnitude & ((1 << layout.mantissa) - 1);
  const bool top = exponent == (1 << layout.exponent) - 1;
  if (layout.last == CodeLayout::kNan && magnitude == (1 << magnitude_bits) - 1) return std::nanf("");
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), 1 - bias - layout.mantissa)
                              : std::ldexp(static_cast<float>(mantissa + (1 << layout.mantissa)),
                                           exponent - bias - layout.mantissa);
  if (layout.last == CodeLayout::kIeee && top) {
    if (mantissa != 0) return std::nanf("");
    value = std::numeric_limits<float>::infinity();
  }
  return code >> magnitude_bits != 0 ? -value : value;
}

}  // namespace

Outcome Decode(const Tensor& in, const std::string& format) {
  const std::map<std::string, CodeLayout> layouts = {{"e2m1", {2, 1, CodeLayout::kFinite}},
                                                     {"e2m3", {2, 3, CodeLayout::kFinite}},
                                                     {"e3m2", {3, 2, CodeLayout::kFinite}},
                                                     {"e4m3", {4, 3, CodeLayout::kNan}},
                                                     {"e5m2", {5, 2, CodeLayout::kIeee}}};
  Outcome out{{"f32", in.shape, {}}, false};
  for (const uint64_t bits : in.bits) {
    const auto code = static_cast<int>(bits & 0xff);
    const std::optional<float> value = format != "e8m0" ? ValueOfCode(layouts.at(format), code)
                                       : code == 0xff   ? std::nanf("")
                                                        : std::ldexp(1.0F, code - 127);
    out.refused = out.refused || !value;
    out.tensor.bits.push_back(std::bit_cast<uint32_t>(value.value_or(0)));
  }
  return out;
}

Outcome Dequantize(const Tensor& in, const Tensor& scale, const Tensor* zero, int64_t axis, const Rounding& rounding) {
  const auto w = Doubles(in), s = Doubles(scale);
  const auto z = zero != nullptr ? Doubles(*zero) : std::vector<double>(scale.bits.size(), 0);
  if (!w || !s || !z) return Refused(in.shape, rounding);
  std::vector<double> results;
  for (int64_t i = 0; i < in.count(); ++i) {
    const size_t at = axis < 0 ? 0 : static_cast<size_t>(Coordinates(i, in.shape)[static_cast<size_t>(axis)]);
    const double product = ((*w)[static_cast<size_t>(i)] - (*z)[at]) * (*s)[at];
    results.push_back(rounding.to == "f64" ? product : static_cast<double>(static_cast<float>(product)));
  }
  return Rounded(in.shape, results, rounding);
}

namespace {

// The double that an element of a dtype is, which a number is rounded to.
double Through(const std::string& dtype, double value) {
  return static_cast<double>(ValueOf(dtype, Encode(dtype, static_cast<long double>(value), Overflows::kInf).bits));
}

}  // namespace

Outcome Quantize(const Tensor& in, const Tensor& scale, const Tensor* zero, int64_t axis, double reciprocal,
                 const Rounding& rounding) {
  const auto w = Doubles(in), s = Doubles(scale);
  const auto z = zero != nullptr ? Doubles(*zero) : std::vector<double>(scale.bits.size(), 0);
  if (!w || !s || !z) return Refused(in.shape, rounding);
  const bool narrow = in.dtype == scale.dtype && (in.dtype == "bf16" || in.dtype == "f16");
  const std::string via = narrow ? in.dtype : in.dtype == "f64" || scale.dtype == "f64" ? "f64" : "f32";
  const std::string inverse = BytesOf(scale.dtype) == 1 ? "f32" : scale.dtype;
  std::vector<double> results;
  for (int64_t i = 0; i < in.count(); ++i) {
    const size_t at = axis < 0 ? 0 : static_cast<size_t>(Coordinates(i, in.shape)[static_cast<size_t>(axis)]);
    const double weight = (*w)[static_cast<size_t>(i)], divisor = (*s)[at];
    if (divisor == 0 && weight != 0) return Refused(in.shape, rounding);  // NaN too
    double quotient = 0;
    if (divisor == 0)
      quotient = weight;
    else if (reciprocal != 0)
      quotient = Through(via, weight * Through(inverse, reciprocal * Through(inverse, 1 / divisor)));
    else
      quotient = Through(via, weight / divisor);
    if (!IsIntegerName(rounding.to)) {
      results.push_back(quotient);
      continue;
    }
    const long double sum = std::rint(static_cast<long double>(quotient)) + static_cast<long double>((*z)[at]);
    results.push_back(static_cast<double>(sum));
    // More digits than f64 has, and yet no reason to saturate.
    const bool wide = BytesOf(rounding.to) == 8 && std::fabs(sum) < 0x1p64L;
    if (wide && static_cast<long double>(results.back()) != sum) return Refused(in.shape, rounding);
  }
  return Rounded(in.shape, results, rounding);
}

Outcome Absmax(const Tensor& in, const Index& block, const ScaleOf& of, const Rounding& rounding) {
  Index shape = in.shape;
  for (size_t d = 0; d < shape.size(); ++d) shape[d] = (shape[d] + block[d] - 1) / block[d];
  std::vector<double> greatest(static_cast<size_t>(Product(shape)), 0);
  for (int64_t i = 0; i < in.count(); ++i) {
    const Index index = Coordinates(i, in.shape);
    int64_t place = 0;
    for (size_t d = 0; d < index.size(); ++d) place = place * shape[d] + index[d] / block[d];
    const auto value = static_cast<double>(ValueOf(in.dtype, in.bits[static_cast<size_t>(i)]));
    if (!std::isfinite(value)) return Refused(shape, rounding);
    double& known = greatest[static_cast<size_t>(place)];
    known = std::max(known, std::fabs(value));
  }
  // What is added to 1 to give the next number.
  double epsilon = 1;
  while (of.epsilon && Through(rounding.to, 1 + epsilon / 2) != 1) epsilon /= 2;
  for (double& scale : greatest) {
    scale = std::max(scale / of.over, of.least);
    if (of.epsilon && Through(rounding.to, scale) == 0) scale = epsilon;
  }
  return Rounded(shape, greatest, rounding);
}

Outcome Pack(const Tensor& in, int64_t axis, const Fields& packed, const Rounding& rounding) {
  const auto a = static_cast<size_t>(axis);
  const int64_t width = 8 * BytesOf(rounding.to), bits = packed.bits;
  const int64_t fields = packed.fields == 0 && packed.high ? width / bits : packed.fields;
  const int64_t numbers = in.shape[a];
  Outcome out{{rounding.to, in.shape, {}}, false};
  out.tensor.shape[a] = fields != 0 ? (numbers + fields - 1) / fields : (numbers * bits + width - 1) / width;
  out.tensor.bits.assign(static_cast<size_t>(Product(out.tensor.shape)), 0);
  const long double least = packed.is_signed ? -std::ldexp(1.0L, static_cast<int>(bits) - 1) : 0;
  const long double most = least + std::ldexp(1.0L, static_cast<int>(bits)) - 1;
  for (int64_t i = 0; i < in.count(); ++i) {
    const long double value = ValueOf(in.dtype, in.bits[static_cast<size_t>(i)]);
    out.refused = out.refused || ((value < least || value > most) && rounding.overflow == Overflows::kError);
    const auto number = static_cast<uint64_t>(static_cast<int64_t>(std::clamp(value, least, most)));
    Index index = Coordinates(i, in.shape);
    const int64_t code = index[a];
    int64_t first = code * bits;
    if (fields != 0) first = code / fields * width + (packed.high ? fields - 1 - code % fields : code % fields) * bits;
    for (int64_t k = 0; k < bits; ++k) {
      index[a] = (first + k) / width;
      int64_t place = 0;
      for (size_t d = 0; d < index.size(); ++d) place = place * out.tensor.shape[d] + index[d];
      out.tensor.bits[static_cast<size_t>(place)] |= (number >> k & 1) << ((first + k) % width);
    }
  }
  return out;
}

Outcome Listed(const std::vector<int64_t>& values, const std::string& to) {
  Outcome out{{to, {static_cast<int64_t>(values.size())}, {}}, false};
  for (const int64_t value : values) {
    const Encoded one = Encode(to, static_cast<long double>(value), Overflows::kError);
    out.refused = out.refused || one.overflowed || ValueOf(to, one.bits) != static_cast<long double>(value);
    out.tensor.bits.push_back(one.bits);
  }
  return out;
}

}  // namespace ckmap::testing
