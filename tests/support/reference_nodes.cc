// What computed nodes mean, in loops that follow the formulas of bind/computed_node.h and nothing
// else.
#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/base/random.h"
#include "runtime/ops/element_op.h"
#include "tests/support/reference.h"

namespace ckmap {
namespace {

using Numbers = std::vector<double>;
using Operands = std::vector<Numbers>;

std::vector<int64_t> Coordinates(int64_t index, const Shape& shape) {
  std::vector<int64_t> at(shape.size());
  for (size_t k = shape.size(); k-- > 0; index /= shape[k]) at[k] = index % shape[k];
  return at;
}

// The class that std::visit calls: one function for each kind of node.
struct Meaning {
  const ComputedNode& node;
  const Operands& in;
  size_t count;  // elements of the result

  static double Through(DType dtype, double value) {
    if (dtype == DType::kF64) return value;
    const uint64_t bits = CastElement({DType::kF64, dtype, Overflow::kInf}, std::bit_cast<uint64_t>(value)).bits;
    return std::bit_cast<double>(CastElement({dtype, DType::kF64, Overflow::kError}, bits).bits);
  }

  double Quantized(const ScaleSpec& spec, double value, double scale, double zero) const {
    double quotient = Through(spec.via, value / scale);
    const DType scales = DTypeBits(node.operands[1].dtype) < 16 ? DType::kF32 : node.operands[1].dtype;
    if (spec.reciprocal != 0)
      quotient = Through(spec.via, value * Through(scales, spec.reciprocal * Through(scales, 1 / scale)));
    if (scale == 0) quotient = 0;
    if (!IsInteger(node.dtype)) return quotient;
    return std::nearbyint(quotient) + zero;
  }

  Numbers operator()(const AbsmaxSpec& spec) const {
    Numbers out(count, 0);
    const Shape& shape = node.operands[0].value.shape;
    for (size_t i = 0; i < in[0].size(); ++i) {
      const std::vector<int64_t> at = Coordinates(static_cast<int64_t>(i), shape);
      size_t block = 0;
      for (size_t k = 0; k < at.size(); ++k)
        block = block * static_cast<size_t>(node.shape[k]) + static_cast<size_t>(at[k] / spec.block[k]);
      out[block] = std::max(out[block], std::fabs(in[0][i]));
    }
    for (double& scale : out) {
      scale = std::max(scale / spec.over, spec.least);
      if (Through(node.dtype, scale) == 0) scale = spec.zero;
    }
    return out;
  }

  // Bit by bit.
  Numbers operator()(const PackSpec& spec) const {
    std::vector<uint64_t> words(count, 0);
    for (size_t i = 0; i < in[0].size(); ++i) {
      const int64_t at = static_cast<int64_t>(i), n = at % spec.inner, code = at / spec.inner % spec.codes;
      const int64_t outer = at / spec.inner / spec.codes;
      const auto all = static_cast<double>(int64_t{1} << spec.bits), least = spec.is_signed ? -all / 2 : 0;
      const auto number = static_cast<uint64_t>(static_cast<int64_t>(std::clamp(in[0][i], least, least + all - 1)));
      int64_t first = code * spec.bits;
      if (spec.fields != 0) {
        const int64_t field = code % spec.fields;
        first = code / spec.fields * spec.word_bits + (spec.high_first ? spec.fields - 1 - field : field) * spec.bits;
      }
      for (int64_t k = 0; k < spec.bits; ++k) {
        const int64_t word = outer * spec.words + (first + k) / spec.word_bits;
        words[static_cast<size_t>(word * spec.inner + n)] |= (number >> k & 1) << (first + k) % spec.word_bits;
      }
    }
    Numbers out(count);
    for (size_t i = 0; i < count; ++i) {
      const bool negative = DTypeName(node.dtype).front() == 'i' && (words[i] >> (spec.word_bits - 1) & 1) != 0;
      out[i] = static_cast<double>(words[i]) - (negative ? std::ldexp(1.0, static_cast<int>(spec.word_bits)) : 0);
    }
    return out;
  }

  Numbers operator()(const ConstantSpec& spec) const {
    Numbers out;
    for (const int64_t value : spec.values) out.push_back(static_cast<double>(value));
    return out;
  }

  Numbers operator()(const ScaleSpec& spec) const {
    Numbers out(count);
    Shape scales;
    for (size_t k = 0; k < spec.block.size(); ++k)
      scales.push_back((node.shape[k] + spec.block[k] - 1) / spec.block[k]);
    for (size_t i = 0; i < count; ++i) {
      const std::vector<int64_t> at = Coordinates(static_cast<int64_t>(i), node.shape);
      size_t scale = 0;
      for (size_t k = 0; k < at.size(); ++k)
        scale = scale * static_cast<size_t>(scales[k]) + static_cast<size_t>(at[k] / spec.block[k]);
      const double zero = in.size() > 2 ? in[2][scale] : 0;
      double value = in[0][i / static_cast<size_t>(spec.pack)];
      if (spec.pack > 1) {
        const auto nibble = static_cast<int64_t>(value) >> (4 * (static_cast<int64_t>(i) % spec.pack)) & 15;
        value = static_cast<double>(spec.pack_signed && nibble > 7 ? nibble - 16 : nibble);
      }
      if (spec.quantize) {
        out[i] = Quantized(spec, value, in[1][scale], zero);
      } else {
        const double product = (value - zero) * in[1][scale];
        out[i] = node.dtype == DType::kF64 ? product : static_cast<double>(static_cast<float>(product));
      }
    }
    return out;
  }

  Numbers Product(const Numbers& left, const Numbers& right, int64_t rows, int64_t inner, int64_t columns) const {
    Numbers out(count, 0);
    for (size_t i = 0; i < count; ++i) {
      const auto row = static_cast<int64_t>(i) / columns, column = static_cast<int64_t>(i) % columns;
      for (int64_t k = 0; k < inner; ++k) {
        out[i] += left[static_cast<size_t>(row * inner + k)] *
                  right[static_cast<size_t>((row / rows * inner + k) * columns + column)];
      }
    }
    return out;
  }

  Numbers operator()(const ProductSpec& spec) const {
    return Product(in[0], in[1], spec.rows, spec.inner, spec.columns);
  }

  Numbers operator()(const LoraMergeSpec& spec) const {
    Numbers out = Product(in[1], in[2], spec.rows, spec.inner, spec.columns);
    for (size_t i = 0; i < count; ++i) out[i] = in[0][i] + spec.scale * out[i];
    for (int64_t row = 0; in.size() > 3 && row < spec.rows; ++row) {
      double* values = out.data() + row * spec.columns;
      double squares = 0;
      for (int64_t j = 0; j < spec.columns; ++j) squares += values[j] * values[j];
      const double factor = in[3][static_cast<size_t>(row)] / std::sqrt(squares);
      for (int64_t j = 0; j < spec.columns; ++j) values[j] *= factor;
    }
    return out;
  }

  Numbers operator()(const RowScaleSpec& spec) const {
    using Kind = RowScaleSpec::Kind;
    Numbers out = in[0];
    for (size_t begin = 0; begin < count; begin += static_cast<size_t>(spec.row)) {
      double* row = out.data() + begin;
      const auto n = static_cast<double>(spec.row);
      double mean = 0, squares = 0;
      for (int64_t j = 0; spec.kind == Kind::kStandardize && j < spec.row; ++j) mean += row[j];
      mean /= n;
      for (int64_t j = 0; j < spec.row; ++j) squares += (row[j] - mean) * (row[j] - mean);
      double factor = 1 / std::max(std::sqrt(squares), spec.eps);
      if (spec.kind == Kind::kWeightNorm) factor = in[1][begin / static_cast<size_t>(spec.row)] / std::sqrt(squares);
      if (spec.kind == Kind::kStandardize) factor = 1 / std::sqrt(squares / n + spec.eps);
      for (int64_t j = 0; j < spec.row; ++j) row[j] = (row[j] - mean) * factor;
    }
    return out;
  }

  Numbers operator()(const BatchNormSpec& spec) const {
    Numbers out(count);
    for (size_t i = 0; i < count; ++i) {
      const auto index = static_cast<int64_t>(i);
      const auto c =
          static_cast<size_t>(spec.gives == BatchNormSpec::Gives::kBias ? index : index / spec.inner % spec.channels);
      const double factor = in[0][c] / std::sqrt(in[3][c] + spec.eps);
      if (spec.gives == BatchNormSpec::Gives::kWeight) out[i] = in[4][i] * factor;
      if (spec.gives == BatchNormSpec::Gives::kBias)
        out[i] = in[1][c] + ((in.size() > 4 ? in[4][c] : 0) - in[2][c]) * factor;
      if (spec.gives == BatchNormSpec::Gives::kIdentity) {
        const int64_t planes = spec.inner / spec.plane, within = index % spec.inner;
        const bool one =
            within / spec.plane == static_cast<int64_t>(c) % planes && within % spec.plane == spec.plane / 2;
        out[i] = one ? factor : 0;
      }
    }
    return out;
  }

  // torch is the reference of this one (tests/oracle/computed.py); here only sizes that are equal,
  // and nearest ones.
  Numbers operator()(const InterpolateSpec& spec) const {
    Numbers out(count);
    Shape from = node.shape;
    const size_t first = from.size() - spec.from.size();
    for (size_t k = 0; k < spec.from.size(); ++k) from[first + k] = spec.from[k];
    for (size_t i = 0; i < count; ++i) {
      std::vector<int64_t> at = Coordinates(static_cast<int64_t>(i), node.shape);
      for (size_t k = 0; k < spec.from.size(); ++k) at[first + k] = at[first + k] * spec.from[k] / spec.to[k];
      int64_t index = 0;
      for (size_t k = 0; k < at.size(); ++k) index = index * from[k] + at[k];
      out[i] = in[0][static_cast<size_t>(index)];
    }
    return out;
  }

  Numbers operator()(const PointwiseSpec& spec) const {
    using Kind = PointwiseSpec::Kind;
    Numbers out(count);
    for (size_t i = 0; i < count; ++i) {
      const std::vector<int64_t> at = Coordinates(static_cast<int64_t>(i), node.shape);
      for (size_t k = 0; k < in.size(); ++k) {
        const Shape& shape = node.operands[k].value.shape;
        int64_t index = 0;
        for (size_t axis = 0; axis < at.size(); ++axis) index = index * shape[axis] + (shape[axis] == 1 ? 0 : at[axis]);
        const double value = in[k][static_cast<size_t>(index)];
        if (k == 0)
          out[i] = value;
        else if (spec.kind == Kind::kSubtract)
          out[i] -= value;
        else if (spec.kind == Kind::kMultiply)
          out[i] *= value;
        else if (spec.kind == Kind::kDivide)
          out[i] /= value;
        else
          out[i] += value;
      }
      if (spec.kind == Kind::kMean) out[i] /= static_cast<double>(in.size());
    }
    return out;
  }

  Numbers operator()(const MapSpec& spec) const {
    Numbers out = in[0];
    for (double& value : out) value = spec.kind == MapSpec::Kind::kExp ? std::exp(value) : std::log(value);
    return out;
  }

  Numbers operator()(const AverageSpec& spec) const {
    Numbers out(count, 0);
    for (size_t i = 0; i < count; ++i) {
      const auto inner = static_cast<size_t>(spec.inner), along = static_cast<size_t>(spec.count);
      for (size_t k = 0; k < along; ++k) out[i] += in[0][(i / inner * along + k) * inner + i % inner];
      out[i] /= static_cast<double>(spec.count);
    }
    return out;
  }

  // Bit by bit.
  Numbers operator()(const UnpackSpec& spec) const {
    Numbers out(count);
    for (size_t i = 0; i < count; ++i) {
      const int64_t at = static_cast<int64_t>(i), n = at % spec.inner, code = at / spec.inner % spec.codes;
      const int64_t outer = at / spec.inner / spec.codes;
      int64_t first = code * spec.bits;
      if (spec.fields != 0) {
        const int64_t field = code % spec.fields;
        first = code / spec.fields * spec.word_bits + (spec.high_first ? spec.fields - 1 - field : field) * spec.bits;
      }
      int64_t value = 0;
      for (int64_t k = 0; k < spec.bits; ++k) {
        const int64_t word = outer * spec.words + (first + k) / spec.word_bits;
        const auto bits =
            static_cast<uint64_t>(static_cast<int64_t>(in[0][static_cast<size_t>(word * spec.inner + n)]));
        value |= static_cast<int64_t>(bits >> ((first + k) % spec.word_bits) & 1) << k;
      }
      if (spec.is_signed && (value >> (spec.bits - 1) & 1) != 0) value -= int64_t{1} << spec.bits;
      out[i] = static_cast<double>(value);
    }
    return out;
  }

  Numbers operator()(const DecodeSpec& spec) const {
    Numbers out(count);
    for (size_t i = 0; i < count; ++i)
      out[i] =
          static_cast<double>(TableOf(spec.format).values[static_cast<size_t>(static_cast<int64_t>(in[0][i])) & 255]);
    return out;
  }

  Numbers operator()(const TakeSpec& spec) const {
    Numbers out(count);
    const auto inner = static_cast<size_t>(spec.inner), indices = static_cast<size_t>(spec.indices);
    for (size_t i = 0; i < count; ++i) {
      const size_t slice = i / inner, outer = slice / indices;
      const auto index = static_cast<size_t>(in[1][slice % indices]);
      out[i] = in[0][(outer * static_cast<size_t>(spec.axis_size) + index) * inner + i % inner];
    }
    return out;
  }

  Numbers operator()(const BitcastSpec& /*spec*/) const { return {}; }  // moves bytes: reference.cc

  Numbers operator()(const NormalSpec& spec) const {
    Numbers out(count);
    const RandomStream stream(spec.seed, spec.stream);
    for (size_t i = 0; i < count; ++i) out[i] = spec.mean + spec.deviation * stream.Normal(i);
    return out;
  }

  Numbers operator()(const SequenceSpec& spec) const {
    Numbers out(count);
    size_t at = 0;
    while (at < count) {  // a matrix after another, a row after another
      for (int64_t row = 0; row < spec.rows; ++row) {
        for (int64_t column = 0; column < spec.columns; ++column, ++at) {
          const double share = static_cast<double>(column) / static_cast<double>(spec.columns);
          out[at] = spec.kind == SequenceSpec::Kind::kCount           ? spec.first + static_cast<double>(at)
                    : spec.kind == SequenceSpec::Kind::kLowerTriangle ? (column > row ? 0 : 1)
                                                                      : 1 / std::pow(spec.theta, share);
        }
      }
    }
    return out;
  }
};

}  // namespace

std::vector<double> ReferenceNode(const ComputedNode& node, const std::vector<std::vector<double>>& operands) {
  return std::visit(Meaning{node, operands, static_cast<size_t>(*NumElements(node.shape))}, node.spec);
}

}  // namespace ckmap
