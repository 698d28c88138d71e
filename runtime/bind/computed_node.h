// Computed nodes: tensors whose elements depend on several elements of their operands. What is
// index arithmetic stays pieces on both sides: operands are made of pieces, and so is what becomes
// of the result.
//
// A node is never computed as a whole. Whoever moves its elements asks for ranges of its row-major
// result, and each kind of node computes a range from ranges of its operands. What a range needs
// beside as many elements of the first operand:
//
//   Dequantize, Quantize   the scales (and zero points) of the blocks that the range touches
//   Absmax                 all elements of the range's blocks; what was found is kept, 16 bytes a block
//   Product, LoraMerge     the rows of `left` and the columns of `right` that the range crosses, in tiles
//   RowScale               the sums over the rows that the range touches; they are kept, 16 bytes a row
//   BatchNorm              four or five numbers for each channel
//   Interpolate            the rows of the plane that the filter reaches
//   Pointwise, Map         the same range of each operand
//   Average                all elements that become the range
//   Normal, Sequence       nothing
//   Bitcast, Unpack, Pack  the elements whose bits the range holds
//   Constant               nothing
//   Decode                 the same range
//   Take                   the slices of the table that the range's indices choose; a table of up to 4 MiB is kept
//
// Numbers are read as f64, and an integer that f64 would round is an error. All sums run in f64 and in ascending order
// of the index that is summed over, so the result does not depend on how the work is cut. It is rounded once to the
// node's dtype; Dequantize rounds its product to f32 before that, as the frameworks do. Pointwise nodes of integers
// alone do not pass through f64: they are exact, and rounded once if the result is a float. A NaN that is computed is
// the dtype's own quiet NaN (positive, without a payload), whichever NaNs it came from. Bitcast moves bits and computes
// nothing.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/ops/code_tables.h"

namespace ckmap {

// (operand 0 - operand 2) * operand 1, or operand 0 / operand 1 + operand 2 rounded to integers;
// operand 2 may be absent. One scale serves a block of elements: axis k's index of the scale is its
// index / block[k].
struct ScaleSpec {
  bool quantize = false;
  Shape block;
  int64_t pack = 1;          // integers of 4 bits in one element of operand 0, lowest bits first, along the last axis
  bool pack_signed = false;  // they are -8 … 7, else 0 … 15
  // Of quantize:
  double reciprocal = 0;    // operand 0 * (reciprocal * (1 / operand 1)); 0: operand 0 / operand 1
  DType via = DType::kF32;  // what quotients and products are rounded to first
};

// The greatest magnitude of each block of operand 0, divided by `over`, at least `least`; `zero` where that is 0 in the
// node's dtype. Axis k's index of a block is that of its elements / block[k].
struct AbsmaxSpec {
  Shape block;
  double over = 1, least = 0, zero = 0;
};

// left [batch, rows, inner] @ right [batch, inner, columns].
struct ProductSpec {
  int64_t rows = 0, inner = 0, columns = 0;
};

// weight [rows, columns] + scale * left [rows, inner] @ right [inner, columns]; with a fourth
// operand, `magnitude` [rows], each row is then brought to that length.
struct LoraMergeSpec {
  int64_t rows = 0, inner = 0, columns = 0;
  double scale = 1;
};

// Rows of `row` elements, each by itself.
struct RowScaleSpec {
  enum class Kind {
    kWeightNorm,   // operand 0: the row; operand 1: the length that it gets
    kUnitLength,   // x / max(|x|, eps)
    kStandardize,  // (x - mean) / sqrt(variance + eps)
  } kind = Kind::kUnitLength;
  int64_t row = 1;
  double eps = 0;
};

// Operands: gamma, beta, mean, variance, each [channels]; then the weight, or for the bias the old
// bias if there is one. A weight's channel is its index / `inner` % channels. Without a weight it
// is the kernel of the identity: 1 in the middle of a channel's own plane, `inner` elements a
// channel, `plane` elements a plane.
struct BatchNormSpec {
  enum class Gives { kWeight, kIdentity, kBias } gives = Gives::kWeight;
  double eps = 0;
  int64_t channels = 0, inner = 1, plane = 1;
};

// The last axis or the last two of operand 0 are resized.
struct InterpolateSpec {
  enum class Mode { kNearest, kNearestExact, kLinear, kCubic } mode = Mode::kLinear;
  bool align_corners = false;
  bool antialias = false;
  std::vector<int64_t> from, to;  // sizes, one or two
};

// Operands of one rank; an axis of size 1 is repeated.
struct PointwiseSpec {
  enum class Kind { kSum, kSubtract, kMultiply, kMean, kDivide } kind = Kind::kSum;
};

struct MapSpec {
  enum class Kind { kExp, kLog } kind = Kind::kExp;
};

// [outer, count, inner] -> [outer, 1, inner].
struct AverageSpec {
  int64_t count = 1, inner = 1;
};

// Element i is number i of the stream (runtime/base/random.h).
struct NormalSpec {
  double mean = 0, deviation = 1;
  uint64_t seed = 0;
  std::string stream;  // the tensor's name: tensors with one seed differ
};

// The bytes of operand 0, in row-major order, as elements of another dtype.
struct BitcastSpec {};

// Words of an axis, little-endian, that hold numbers of a few bits.
struct FieldLayout {
  int64_t bits = 8;
  int64_t word_bits = 8;
  int64_t fields = 0;       // in each word, from its lowest bit on; 0: one stream of bits, whose fields may cross words
  bool high_first = false;  // the fields of a word in descending order
  bool is_signed = false;   // two's complement
  int64_t words = 0, codes = 0, inner = 1;

  // Where a number begins in its row of words, in bits.
  int64_t FirstBit(int64_t code) const {
    if (fields == 0) return code * bits;
    const int64_t field = code % fields;
    return code / fields * word_bits + (high_first ? fields - 1 - field : field) * bits;
  }
};

// Operand 0, words [outer, words, inner], as its numbers: [outer, codes, inner] of u8 or, signed, i8.
struct UnpackSpec : FieldLayout {};

// The inverse: operand 0 is [outer, codes, inner] of integers. Bits that no number fills are 0.
struct PackSpec : FieldLayout {};

// Element i is values[i].
struct ConstantSpec {
  std::vector<int64_t> values;
};

// The values of codes, one in each byte of operand 0, in f32.
struct DecodeSpec {
  CodeFormat format = CodeFormat::kE2M1;
};

// Operand 0, [outer, axis_size, inner], at the indices along its axis that operand 1 holds: [outer, indices, inner].
struct TakeSpec {
  int64_t axis_size = 0, inner = 1, indices = 0;
};

// What its index alone says of an element.
struct SequenceSpec {
  enum class Kind {
    kCount,             // first + i
    kLowerTriangle,     // of matrices [rows, columns]: 1 where the column is not behind the row, else 0
    kInverseFrequency,  // theta ^ (-i / n), of n elements a row
  } kind = Kind::kCount;
  double first = 0;  // kCount
  double theta = 0;  // kInverseFrequency
  int64_t rows = 1, columns = 1;
};

struct ComputedNode {
  std::string text;  // "lora_merge(alpha=16, r=8)", for messages
  std::variant<ScaleSpec, ProductSpec, LoraMergeSpec, RowScaleSpec, BatchNormSpec, InterpolateSpec, PointwiseSpec,
               MapSpec, AverageSpec, NormalSpec, BitcastSpec, SequenceSpec, UnpackSpec, DecodeSpec, TakeSpec,
               AbsmaxSpec, PackSpec, ConstantSpec>
      spec;
  std::vector<PiecedTensor> operands;
  std::vector<std::string> names;  // of the operands, for messages
  Shape shape;
  DType dtype = DType::kF32;
  Overflow overflow = Overflow::kError;
  int depth = 1;  // nodes on the longest way to a source tensor
};

// A limit on what plans may ask for: each level costs memory of its own.
inline constexpr int kMaxComputedDepth = 8;

// The deepest node of a tensor; 0: it is made of source tensors alone.
inline int ComputedDepth(const PiecedTensor& tensor) {
  int depth = 0;
  for (const BoundInput& input : tensor.inputs) {
    if (input.node != nullptr && input.node->depth > depth) depth = input.node->depth;
  }
  return depth;
}

// Calls `visit(tensor)` for the tensor and for each operand of the nodes that it is made of, each
// node once.
template <typename Visit>
void ForEachPieced(const PiecedTensor& tensor, Visit visit) {
  if (ComputedDepth(tensor) == 0) return visit(tensor);  // nearly all are
  std::vector<const PiecedTensor*> work = {&tensor};
  std::unordered_set<const ComputedNode*> seen;
  while (!work.empty()) {
    const PiecedTensor& next = *work.back();
    work.pop_back();
    visit(next);
    for (size_t k = next.inputs.size(); k-- > 0;) {
      const ComputedNode* node = next.inputs[k].node.get();
      if (node == nullptr || !seen.insert(node).second) continue;
      for (size_t i = node->operands.size(); i-- > 0;) work.push_back(&node->operands[i]);
    }
  }
}

// Calls `visit(source)` for each source tensor that goes into a tensor; once or more often.
template <typename Visit>
void ForEachSource(const PiecedTensor& tensor, Visit visit) {
  ForEachPieced(tensor, [&](const PiecedTensor& part) {
    for (const BoundInput& input : part.inputs) {
      if (input.node == nullptr) visit(input.source);
    }
  });
}

}  // namespace ckmap
