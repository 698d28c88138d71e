// What the operations of the language mean, on arrays of elements: one plain loop for each, after grammar/LANGUAGE.md.
// Structural operations come from the array oracle of tests/properties. Shares no code with the runtime.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/differential/numbers.h"
#include "tests/properties/array.h"

namespace ckmap::testing {

struct Tensor {
  std::string dtype;
  Index shape;
  std::vector<uint64_t> bits;  // of each element, row-major
  // The element that padding gave it. A tensor has one: another is refused.
  std::optional<uint64_t> fill = std::nullopt;
  // Results whose last bits the language leaves open (roots and quotients in an order of their own): compared within a
  // few units of the last place.
  bool rounded = false;

  int64_t count() const { return static_cast<int64_t>(bits.size()); }
};

// What an operation gives: a tensor, or a refusal. Of a refused one the dtype and the shape are right, so that a
// network can be written down that only this refusal keeps from being filled.
struct Outcome {
  Tensor tensor;
  bool refused = false;
};

int64_t Product(const Index& shape);

// ---- structural
Tensor Moved(const Step& step, const Tensor& in, uint64_t padding = 0);
Tensor Joined(const Step& step, const std::vector<Tensor>& in);
std::vector<Tensor> Expanded(const Step& step, const Tensor& in);

// ---- elementwise
Outcome Cast(const Tensor& in, const std::string& to, Overflows overflow);
Outcome ScaleInteger(const Tensor& in, int64_t factor, bool divides, Overflows overflow);  // divides: by `factor`
Outcome AddInteger(const Tensor& in, int64_t term, Overflows overflow);
Outcome ScaleFloat(const Tensor& in, double factor, Overflows overflow);
Outcome AddFloat(const Tensor& in, double term, Overflows overflow);
Outcome Negate(const Tensor& in);
Tensor Byteswap(const Tensor& in);
Tensor Bitcast(const Tensor& in, const std::string& to);

// ---- computed
struct Rounding {
  std::string to;  // the result's dtype
  Overflows overflow = Overflows::kError;
};
// "sum", "subtract", "multiply", "divide", "mean".
Outcome Pointwise(const std::string& op, const std::vector<Tensor>& in, const Rounding& rounding);
// Fields of `bits` bits along an axis, bit by bit. `fields`: so many in each element, from its lowest bit on; 0: the axis
// is one stream of bits. `high`: those of an element in descending order.
struct Fields {
  int64_t bits = 1, fields = 0;
  bool high = false, is_signed = false;
};
Tensor Unpack(const Tensor& in, int64_t axis, const Fields& fields);
// The inverse, into the elements of an integer dtype.
Outcome Pack(const Tensor& in, int64_t axis, const Fields& fields, const Rounding& rounding);
Outcome Listed(const std::vector<int64_t>& values, const std::string& to);
// Codes of one byte, in f32: "e2m1", "e2m3", "e3m2", "e4m3", "e5m2", "e8m0".
Outcome Decode(const Tensor& in, const std::string& format);
// The slices of `table` along `axis` that `indices` name.
Outcome TakeSlices(const Tensor& table, const Tensor& indices, int64_t axis);
Outcome ReduceMean(const Tensor& in, int64_t axis, const Rounding& rounding);
Outcome Map(const std::string& op, const Tensor& in, const Rounding& rounding);  // "exp", "log"
Outcome Matmul(const Tensor& a, const Tensor& b, const Rounding& rounding);
Outcome LoraMerge(const Tensor& weight, const Tensor& a, const Tensor& b, double alpha, const Rounding& rounding);
Outcome FoldWeightNorm(const Tensor& lengths, const Tensor& directions, int64_t axis, const Rounding& rounding);
Outcome FoldBatchNormWeight(const Tensor& weight, const Tensor& gamma, const Tensor& variance, double eps,
                            const Rounding& rounding);
Outcome FoldBatchNormBias(const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance,
                          double eps, const Rounding& rounding);
// One scale for each index of `axis`; -1: one for all.
Outcome Dequantize(const Tensor& in, const Tensor& scale, const Tensor* zero, int64_t axis, const Rounding& rounding);
// `reciprocal`: a product with reciprocal / scale; 0: a quotient.
Outcome Quantize(const Tensor& in, const Tensor& scale, const Tensor* zero, int64_t axis, double reciprocal,
                 const Rounding& rounding);
// The scale of each block: its greatest magnitude / over, at least `least`; `epsilon`: not 0.
struct ScaleOf {
  double over = 1, least = 0;
  bool epsilon = false;
};
Outcome Absmax(const Tensor& in, const Index& block, const ScaleOf& of, const Rounding& rounding);
Outcome Normalize(const Tensor& in, int64_t axis, bool standardize, double eps, const Rounding& rounding);
// The last axis in another size: "nearest", "nearest_exact", "linear".
Outcome Interpolate(const Tensor& in, int64_t size, const std::string& mode, bool align_corners,
                    const Rounding& rounding);

}  // namespace ckmap::testing
