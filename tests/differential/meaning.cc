#include "tests/differential/meaning.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/differential/meaning_parts.h"

namespace ckmap::testing {

std::optional<std::vector<double>> Doubles(const Tensor& in) {
  std::vector<double> out;
  for (const uint64_t bits : in.bits) {
    const long double value = ValueOf(in.dtype, bits);
    out.push_back(static_cast<double>(value));
    if (!std::isnan(value) && static_cast<long double>(out.back()) != value) return std::nullopt;
  }
  return out;
}

Outcome Refused(const Index& shape, const Rounding& rounding) {
  return {{rounding.to, shape, std::vector<uint64_t>(static_cast<size_t>(Product(shape)))}, true};
}

Outcome Rounded(const Index& shape, const std::vector<double>& values, const Rounding& rounding, bool open) {
  Tensor out{rounding.to, shape, {}, std::nullopt, open};
  for (const double value : values) {
    const Encoded one = Encode(rounding.to, value, rounding.overflow);
    if (one.overflowed && rounding.overflow == Overflows::kError) return Refused(shape, rounding);
    out.bits.push_back(one.bits);
  }
  return {std::move(out)};
}

Index Coordinates(int64_t at, const Index& shape) {
  Index index(shape.size());
  for (size_t d = shape.size(); d-- > 0; at /= shape[d]) index[d] = at % shape[d];
  return index;
}

namespace {

__extension__ using Wide = __int128;

uint64_t MaskOf(const std::string& dtype) {
  const int bytes = BytesOf(dtype);
  return bytes >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
}

Wide IntegerOf(const std::string& dtype, uint64_t bits) {
  // Every 64-bit integer is one of long double, so that this loses nothing.
  const long double value = ValueOf(dtype, bits);
  return static_cast<Wide>(value);
}

// In the dtype of an integer, or what it saturates to.
Encoded EncodeInteger(const std::string& dtype, Wide value) {
  const int width = 8 * BytesOf(dtype);
  const bool is_signed = dtype[0] == 'i';
  const Wide high = (Wide{1} << (is_signed ? width - 1 : width)) - 1, low = is_signed ? -high - 1 : 0;
  const Wide kept = value > high ? high : value < low ? low : value;
  return {static_cast<uint64_t>(kept) & MaskOf(dtype), kept != value};
}

// Each element, and the padding, by itself.
Outcome EachElement(const Tensor& in, const std::string& to, Overflows overflow,
                    const std::function<Encoded(uint64_t)>& change) {
  Tensor out{to, in.shape, {}, std::nullopt, in.rounded};
  bool refused = false;
  const auto one = [&](uint64_t bits) {
    const Encoded result = change(bits);
    refused = refused || (result.overflowed && overflow == Overflows::kError);
    return result.bits;
  };
  for (const uint64_t bits : in.bits) out.bits.push_back(one(bits));
  if (in.fill) out.fill = one(*in.fill);
  return {std::move(out), refused};
}

bool IsPowerOfTwo(double value) {
  int exponent = 0;
  return std::fabs(std::frexp(value, &exponent)) == 0.5;
}

// The result of arithmetic in f64, rounded to the dtype.
Encoded FromDouble(const std::string& dtype, double value, bool was_finite, Overflows overflow) {
  if (std::isfinite(value) || std::isnan(value) || !was_finite) return Encode(dtype, value, overflow);
  // Beyond f64 itself.
  const double most = overflow == Overflows::kInf ? value : std::copysign(std::numeric_limits<double>::max(), value);
  Encoded result = Encode(dtype, most, overflow);
  result.overflowed = true;
  return result;
}

// Where the element at `index` of a broadcast result stands in an operand.
size_t PlaceIn(const Index& index, const Index& shape) {
  int64_t place = 0;
  for (size_t d = 0; d < shape.size(); ++d) place = place * shape[d] + (shape[d] == 1 ? 0 : index[d]);
  return static_cast<size_t>(place);
}

// dividend / divisor (a small one), rounded once to a float dtype. long double holds the quotient's first 64 digits;
// where these end exactly half way between two elements, or on one, the rest decides.
uint64_t RoundQuotient(const std::string& dtype, Wide dividend, int64_t divisor) {
  const bool negative = dividend < 0;
  __extension__ using Unsigned = unsigned __int128;
  Unsigned magnitude = negative ? -static_cast<Unsigned>(dividend) : static_cast<Unsigned>(dividend);
  if (magnitude == 0) return Encode(dtype, 0, Overflows::kInf).bits;
  int exponent = 0;
  while (magnitude >> 126 == 0) {
    magnitude <<= 1;
    --exponent;
  }
  Unsigned quotient = magnitude / static_cast<Unsigned>(divisor);
  bool rest = magnitude % static_cast<Unsigned>(divisor) != 0;
  while (quotient >> 62 != 0) {  // down to 62 digits, and a last one that says whether there is more
    rest = rest || (quotient & 1) != 0;
    quotient >>= 1;
    ++exponent;
  }
  const long double value =
      std::ldexp(static_cast<long double>(static_cast<uint64_t>(quotient << 1 | (rest ? 1 : 0))), exponent - 1);
  return Encode(dtype, negative ? -value : value, Overflows::kInf).bits;
}

Outcome PointwiseIntegers(const std::string& op, const std::vector<Tensor>& in, const Index& shape,
                          const Rounding& rounding) {
  Tensor out{rounding.to, shape, {}};
  for (int64_t i = 0; i < Product(shape); ++i) {
    const Index index = Coordinates(i, shape);
    Wide result = 0;
    for (size_t k = 0; k < in.size(); ++k) {
      const Wide value = IntegerOf(in[k].dtype, in[k].bits[PlaceIn(index, in[k].shape)]);
      if (k == 0)
        result = value;
      else if (op == "multiply")
        result *= value;  // the cases keep products below 2^126
      else if (op == "subtract")
        result -= value;
      else
        result += value;
    }
    if (IsIntegerName(rounding.to)) {
      const Encoded one = EncodeInteger(rounding.to, result);
      if (one.overflowed && rounding.overflow == Overflows::kError) return Refused(shape, rounding);
      out.bits.push_back(one.bits);
      continue;
    }
    const int64_t divisor = op == "mean" ? static_cast<int64_t>(in.size()) : 1;
    uint64_t bits = RoundQuotient(rounding.to, result, divisor);
    const long double rounded = ValueOf(rounding.to, bits);
    if (!std::isfinite(rounded)) {
      if (rounding.overflow == Overflows::kError) return Refused(shape, rounding);
      bits = Encode(rounding.to, result < 0 ? -1e4000L : 1e4000L, rounding.overflow).bits;
    }
    out.bits.push_back(bits);
  }
  return {std::move(out)};
}

}  // namespace

int64_t Product(const Index& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

// ---- structural --------------------------------------------------------------------------------

namespace {

// The elements of `in` that an array of the oracle names.
Tensor Picked(const Array& array, const Tensor& in, uint64_t padding) {
  Tensor out{in.dtype, array.shape, {}, in.fill, in.rounded};
  for (const int64_t at : array.at) out.bits.push_back(at == kPadding ? padding : in.bits[static_cast<size_t>(at)]);
  return out;
}

}  // namespace

Tensor Moved(const Step& step, const Tensor& in, uint64_t padding) {
  return Picked(ApplyMap(step, Iota(in.shape)), in, padding);
}

Tensor Joined(const Step& step, const std::vector<Tensor>& in) {
  std::vector<Array> arrays;
  std::vector<uint64_t> all;
  Tensor out{in[0].dtype, {}, {}};
  for (const Tensor& part : in) {
    Array array = Iota(part.shape);
    for (int64_t& at : array.at) at += static_cast<int64_t>(all.size());
    arrays.push_back(std::move(array));
    all.insert(all.end(), part.bits.begin(), part.bits.end());
    if (part.fill) out.fill = part.fill;
    out.rounded = out.rounded || part.rounded;
  }
  const Array joined = ApplyReduce(step, arrays);
  out.shape = joined.shape;
  for (const int64_t at : joined.at) out.bits.push_back(all[static_cast<size_t>(at)]);
  return out;
}

std::vector<Tensor> Expanded(const Step& step, const Tensor& in) {
  std::vector<Tensor> parts;
  for (const Array& array : ApplyExpand(step, Iota(in.shape))) parts.push_back(Picked(array, in, 0));
  return parts;
}

// ---- elementwise -------------------------------------------------------------------------------

Outcome Cast(const Tensor& in, const std::string& to, Overflows overflow) {
  if (to == in.dtype) return {in};
  return EachElement(in, to, overflow, [&](uint64_t bits) { return CastBits(in.dtype, to, bits, overflow); });
}

Outcome ScaleInteger(const Tensor& in, int64_t factor, bool divides, Overflows overflow) {
  return EachElement(in, in.dtype, overflow, [&](uint64_t bits) {
    const Wide value = IntegerOf(in.dtype, bits);
    if (!divides) return EncodeInteger(in.dtype, value * factor);
    Encoded one = EncodeInteger(in.dtype, value / factor);
    one.overflowed = one.overflowed || value % factor != 0;
    return one;
  });
}

Outcome AddInteger(const Tensor& in, int64_t term, Overflows overflow) {
  return EachElement(in, in.dtype, overflow,
                     [&](uint64_t bits) { return EncodeInteger(in.dtype, IntegerOf(in.dtype, bits) + term); });
}

Outcome ScaleFloat(const Tensor& in, double factor, Overflows overflow) {
  return EachElement(in, in.dtype, overflow, [&](uint64_t bits) -> Encoded {
    const auto value = static_cast<double>(ValueOf(in.dtype, bits));
    if (std::isnan(value)) return {bits, false};
    Encoded one = FromDouble(in.dtype, value * factor, std::isfinite(value), overflow);
    // A product with a power of two is exact or an error.
    const bool exact = !std::isfinite(value) || ValueOf(in.dtype, one.bits) == static_cast<long double>(value) * factor;
    one.overflowed = one.overflowed || (IsPowerOfTwo(factor) && overflow == Overflows::kError && !exact);
    return one;
  });
}

Outcome AddFloat(const Tensor& in, double term, Overflows overflow) {
  return EachElement(in, in.dtype, overflow, [&](uint64_t bits) -> Encoded {
    const auto value = static_cast<double>(ValueOf(in.dtype, bits));
    if (std::isnan(value)) return {bits, false};
    return FromDouble(in.dtype, value + term, std::isfinite(value), overflow);
  });
}

Outcome Negate(const Tensor& in) {
  return EachElement(in, in.dtype, Overflows::kError, [&](uint64_t bits) -> Encoded {
    const auto negated = Negated(in.dtype, bits);
    return {negated.value_or(0), !negated};
  });
}

Tensor Byteswap(const Tensor& in) {
  const int bytes = BytesOf(in.dtype);
  return EachElement(in, in.dtype, Overflows::kError,
                     [&](uint64_t bits) -> Encoded {
                       uint64_t swapped = 0;
                       for (int i = 0; i < bytes; ++i) swapped = swapped << 8 | (bits >> 8 * i & 0xff);
                       return {swapped, false};
                     })
      .tensor;
}

Tensor Bitcast(const Tensor& in, const std::string& to) {
  const int from_bytes = BytesOf(in.dtype), to_bytes = BytesOf(to);
  Tensor out{to, in.shape, {}, std::nullopt, false};
  if (from_bytes == to_bytes) {
    out.bits = in.bits;
    out.fill = in.fill;
    return out;
  }
  std::vector<uint8_t> bytes;
  for (const uint64_t bits : in.bits) {
    for (int i = 0; i < from_bytes; ++i) bytes.push_back(static_cast<uint8_t>(bits >> 8 * i));
  }
  out.shape.back() = out.shape.back() * from_bytes / to_bytes;
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(to_bytes)) {
    uint64_t bits = 0;
    for (int i = 0; i < to_bytes; ++i) bits |= static_cast<uint64_t>(bytes[at + static_cast<size_t>(i)]) << 8 * i;
    out.bits.push_back(bits);
  }
  return out;
}

// ---- computed ----------------------------------------------------------------------------------

Outcome Pointwise(const std::string& op, const std::vector<Tensor>& in, const Rounding& rounding) {
  Index shape = in[0].shape;
  for (const Tensor& part : in) {
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == 1) shape[d] = part.shape[d];
    }
  }
  if (op != "divide" &&
      std::all_of(in.begin(), in.end(), [](const Tensor& part) { return IsIntegerName(part.dtype); })) {
    return PointwiseIntegers(op, in, shape, rounding);
  }
  if (Product(shape) == 0) return Rounded(shape, {}, rounding);  // nothing is read
  std::vector<std::vector<double>> values;
  for (const Tensor& part : in) {
    const auto doubles = Doubles(part);
    if (!doubles) return Refused(shape, rounding);
    values.push_back(*doubles);
  }
  std::vector<double> results;
  for (int64_t i = 0; i < Product(shape); ++i) {
    const Index index = Coordinates(i, shape);
    double result = 0;
    for (size_t k = 0; k < in.size(); ++k) {
      const double value = values[k][PlaceIn(index, in[k].shape)];
      if (k == 0)
        result = value;
      else if (op == "multiply")
        result *= value;
      else if (op == "subtract")
        result -= value;
      else if (op == "divide" && value == 0)
        return Refused(shape, rounding);
      else if (op == "divide")
        result /= value;
      else
        result += value;
    }
    results.push_back(op == "mean" ? result / static_cast<double>(in.size()) : result);
  }
  return Rounded(shape, results, rounding);
}

Outcome TakeSlices(const Tensor& table, const Tensor& indices, int64_t axis) {
  const auto a = static_cast<size_t>(axis);
  const auto split = table.shape.begin() + static_cast<std::ptrdiff_t>(a);
  Index shape(table.shape.begin(), split);
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), split + 1, table.shape.end());
  Outcome out{{table.dtype, shape, {}}, false};
  for (int64_t i = 0; i < Product(shape); ++i) {
    const Index index = Coordinates(i, shape);
    const size_t behind = a + indices.shape.size();
    Index chosen(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(a)), at = chosen;
    chosen.assign(index.begin() + static_cast<std::ptrdiff_t>(a), index.begin() + static_cast<std::ptrdiff_t>(behind));
    const Wide number = IntegerOf(indices.dtype, indices.bits[PlaceIn(chosen, indices.shape)]);
    const bool known = number >= 0 && number < table.shape[a];
    out.refused = out.refused || !known;
    at.push_back(known ? static_cast<int64_t>(number) : 0);
    at.insert(at.end(), index.begin() + static_cast<std::ptrdiff_t>(behind), index.end());
    out.tensor.bits.push_back(table.shape[a] == 0 ? 0 : table.bits[PlaceIn(at, table.shape)]);
  }
  return out;
}

Outcome ReduceMean(const Tensor& in, int64_t axis, const Rounding& rounding) {
  const auto values = Doubles(in);
  const auto a = static_cast<size_t>(axis);
  Index shape = in.shape;
  shape[a] = 1;
  if (!values) return Refused(shape, rounding);
  std::vector<double> results;
  for (int64_t i = 0; i < Product(shape); ++i) {
    Index index = Coordinates(i, shape);
    double sum = 0;
    for (index[a] = 0; index[a] < in.shape[a]; ++index[a]) {
      int64_t place = 0;
      for (size_t d = 0; d < index.size(); ++d) place = place * in.shape[d] + index[d];
      sum += (*values)[static_cast<size_t>(place)];
    }
    results.push_back(sum / static_cast<double>(in.shape[a]));
  }
  return Rounded(shape, results, rounding);
}

Outcome Map(const std::string& op, const Tensor& in, const Rounding& rounding) {
  const auto values = Doubles(in);
  if (!values) return Refused(in.shape, rounding);
  std::vector<double> results;
  for (const double value : *values) {
    results.push_back(op == "exp" ? std::exp(value) : std::log(value));
    if (!std::isfinite(results.back()) && std::isfinite(value)) return Refused(in.shape, rounding);
  }
  return Rounded(in.shape, results, rounding);
}

Outcome Matmul(const Tensor& a, const Tensor& b, const Rounding& rounding) {
  const auto left = Doubles(a), right = Doubles(b);
  const size_t rank = a.shape.size();
  const int64_t rows = a.shape[rank - 2], inner = a.shape[rank - 1], columns = b.shape[rank - 1];
  Index shape = a.shape;
  shape.back() = columns;
  if (!left || !right) return Refused(shape, rounding);
  std::vector<double> results;
  for (int64_t i = 0; i < Product(shape); ++i) {
    const int64_t row = i / columns, column = i % columns, batch = row / std::max<int64_t>(rows, 1);
    double sum = 0;
    for (int64_t k = 0; k < inner; ++k) {
      sum += (*left)[static_cast<size_t>(row * inner + k)] *
             (*right)[static_cast<size_t>((batch * inner + k) * columns + column)];
    }
    results.push_back(sum);
  }
  return Rounded(shape, results, rounding);
}

Outcome LoraMerge(const Tensor& weight, const Tensor& a, const Tensor& b, double alpha, const Rounding& rounding) {
  const auto base = Doubles(weight), down = Doubles(a), up = Doubles(b);
  if (!base || !down || !up) return Refused(weight.shape, rounding);
  const int64_t in = weight.shape[1], rank = a.shape[0];
  std::vector<double> results;
  for (int64_t i = 0; i < weight.count(); ++i) {
    double sum = 0;
    for (int64_t k = 0; k < rank; ++k)
      sum += (*up)[static_cast<size_t>(i / in * rank + k)] * (*down)[static_cast<size_t>(k * in + i % in)];
    results.push_back((*base)[static_cast<size_t>(i)] + alpha / static_cast<double>(rank) * sum);
  }
  return Rounded(weight.shape, results, rounding, true);
}

Outcome FoldWeightNorm(const Tensor& lengths, const Tensor& directions, int64_t axis, const Rounding& rounding) {
  const auto g = Doubles(lengths), v = Doubles(directions);
  if (!g || !v) return Refused(directions.shape, rounding);
  const auto a = static_cast<size_t>(axis);
  std::vector<double> squares(static_cast<size_t>(directions.shape[a]), 0), results;
  const auto index_of = [&](int64_t i) { return static_cast<size_t>(Coordinates(i, directions.shape)[a]); };
  for (int64_t i = 0; i < directions.count(); ++i)
    squares[index_of(i)] += (*v)[static_cast<size_t>(i)] * (*v)[static_cast<size_t>(i)];
  for (int64_t i = 0; i < directions.count(); ++i) {
    if (squares[index_of(i)] == 0) return Refused(directions.shape, rounding);
    results.push_back((*g)[index_of(i)] * (*v)[static_cast<size_t>(i)] / std::sqrt(squares[index_of(i)]));
  }
  return Rounded(directions.shape, results, rounding, true);
}

Outcome FoldBatchNormWeight(const Tensor& weight, const Tensor& gamma, const Tensor& variance, double eps,
                            const Rounding& rounding) {
  const auto w = Doubles(weight), g = Doubles(gamma), s = Doubles(variance);
  if (!w || !g || !s) return Refused(weight.shape, rounding);
  std::vector<double> results;
  for (int64_t i = 0; i < weight.count(); ++i) {
    const auto channel = static_cast<size_t>(Coordinates(i, weight.shape)[0]);
    if ((*s)[channel] + eps <= 0) return Refused(weight.shape, rounding);
    results.push_back((*w)[static_cast<size_t>(i)] * (*g)[channel] / std::sqrt((*s)[channel] + eps));
  }
  return Rounded(weight.shape, results, rounding, true);
}

Outcome FoldBatchNormBias(const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance,
                          double eps, const Rounding& rounding) {
  const auto g = Doubles(gamma), b = Doubles(beta), m = Doubles(mean), s = Doubles(variance);
  if (!g || !b || !m || !s) return Refused(gamma.shape, rounding);
  std::vector<double> results;
  for (size_t i = 0; i < g->size(); ++i) {
    if ((*s)[i] + eps <= 0) return Refused(gamma.shape, rounding);
    results.push_back((*b)[i] + (0 - (*m)[i]) * ((*g)[i] / std::sqrt((*s)[i] + eps)));
  }
  return Rounded(gamma.shape, results, rounding, true);
}

Outcome Normalize(const Tensor& in, int64_t axis, bool standardize, double eps, const Rounding& rounding) {
  const auto values = Doubles(in);
  if (!values) return Refused(in.shape, rounding);
  const auto a = static_cast<size_t>(axis);
  std::vector<double> results(values->size());
  Index outer = in.shape;
  outer[a] = 1;
  const auto n = static_cast<double>(in.shape[a]);
  for (int64_t i = 0; i < Product(outer); ++i) {
    std::vector<size_t> row;
    Index index = Coordinates(i, outer);
    for (index[a] = 0; index[a] < in.shape[a]; ++index[a]) {
      int64_t place = 0;
      for (size_t d = 0; d < index.size(); ++d) place = place * in.shape[d] + index[d];
      row.push_back(static_cast<size_t>(place));
    }
    double mean = 0, squares = 0;
    for (const size_t at : row) mean += standardize ? (*values)[at] : 0;
    mean /= n;
    for (const size_t at : row) squares += ((*values)[at] - mean) * ((*values)[at] - mean);
    const double length = standardize ? std::sqrt(squares / n + eps) : std::max(std::sqrt(squares), eps);
    if (length == 0) return Refused(in.shape, rounding);
    for (const size_t at : row) results[at] = ((*values)[at] - mean) / length;
  }
  return Rounded(in.shape, results, rounding, true);
}

Outcome Interpolate(const Tensor& in, int64_t size, const std::string& mode, bool align_corners,
                    const Rounding& rounding) {
  const auto values = Doubles(in);
  const int64_t from = in.shape.back();
  Index shape = in.shape;
  shape.back() = size;
  if (!values) return Refused(shape, rounding);
  std::vector<double> results;
  for (int64_t i = 0; i < Product(shape); ++i) {
    const int64_t row = i / size * from, to = i % size;
    const auto at = [&](int64_t k) {
      return (*values)[static_cast<size_t>(row + std::clamp<int64_t>(k, 0, from - 1))];
    };
    if (mode == "nearest") {
      results.push_back(at(to * from / size));
    } else if (mode == "nearest_exact") {
      results.push_back(at((2 * to + 1) * from / (2 * size)));
    } else {
      double x =
          align_corners
              ? (size == 1 ? 0
                           : static_cast<double>(to) * static_cast<double>(from - 1) / static_cast<double>(size - 1))
              : (static_cast<double>(to) + 0.5) * static_cast<double>(from) / static_cast<double>(size) - 0.5;
      x = std::max(x, 0.0);
      const auto low = static_cast<int64_t>(std::floor(x));
      const double part = x - static_cast<double>(low);
      results.push_back(at(low) * (1 - part) + at(low + 1) * part);
    }
  }
  return Rounded(shape, results, rounding, true);
}

}  // namespace ckmap::testing
