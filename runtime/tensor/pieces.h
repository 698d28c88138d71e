// The piece algebra: a value is a set of strided pieces over tensors, and every structural
// operation (transpose, reshape, split, concat, …) maps pieces to pieces.
//
// A Piece moves `n0 * n1 * …` elements: for every index (i0, i1, …) of its axes,
//     destination[dst_offset + Σ ik * dst_stride_k]  =  input[src_offset + Σ ik * src_stride_k]
// All offsets and strides are in elements of the row-major (logical) tensors on either side, so
// pieces know nothing of files; a file's own strides are composed in when bytes are moved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct PieceAxis {
  int64_t size = 1;
  int64_t src_stride = 0;
  int64_t dst_stride = 0;

  friend bool operator==(const PieceAxis&, const PieceAxis&) = default;
};

struct Piece {
  int32_t input = 0;  // which input of the value; kFillInput: `fill` bytes instead of a tensor
  int64_t src_offset = 0;
  int64_t dst_offset = 0;
  std::vector<PieceAxis> axes;  // outermost (largest dst_stride) first; none: one element

  int64_t elements() const {
    int64_t count = 1;
    for (const PieceAxis& axis : axes) count *= axis.size;
    return count;
  }
  friend bool operator==(const Piece&, const Piece&) = default;
};

inline constexpr int32_t kFillInput = -1;

// A tensor made of pieces that tile `shape` exactly.
struct PieceValue {
  Shape shape;
  std::vector<Piece> pieces;
};

// The whole of input `input`, as it is.
PieceValue WholeTensor(int32_t input, const Shape& shape);

// Operations. Arguments were checked by the caller (CKMAP_CHECK). Each gives a value of the new
// shape. An Error (kLimit) only where the pieces would grow past kMaxPieces.
inline constexpr size_t kMaxPieces = size_t{1} << 20;
Result<PieceValue> Permute(const PieceValue& value, const std::vector<size_t>& order);
Result<PieceValue> Reshape(const PieceValue& value, const Shape& shape);  // equal element counts
Result<PieceValue> Slice(const PieceValue& value, size_t axis, int64_t begin, int64_t end,
                         int64_t step = 1);  // 0 <= begin <= end <= size, step >= 1
Result<PieceValue> Concat(const std::vector<PieceValue>& values, size_t axis);
Result<PieceValue> Flip(const PieceValue& value, size_t axis);
Result<PieceValue> Repeat(const PieceValue& value, size_t axis, int64_t times);  // each element, in place
// The inverse of a value made of one input, as a value over that input's side: piece (a -> b) becomes
// (b -> a). The caller has shown that the pieces read each element once (DescribeUnread, equal counts).
PieceValue Invert(const PieceValue& value, const Shape& input_shape);

// Merges neighbouring axes, drops axes of size 1, sorts: the fewest and longest runs that move the
// same elements. Two values that move the same elements in one way normalise alike.
void Normalize(PieceValue& value);

// Whether the pieces write each element of `shape` exactly once. An Error names the first
// element (by its coordinates) that is written twice or never.
Result<void> CheckTiling(const PieceValue& value);

// For the source side: which elements of a tensor of `shape` no piece in `pieces` reads (all of
// `pieces` read the same tensor). Ranges along axis 0 where that is exact ("rows 12..15 of …"), "" if none.
std::string DescribeUnread(const std::vector<Piece>& pieces, const Shape& shape);

}  // namespace ckmap
