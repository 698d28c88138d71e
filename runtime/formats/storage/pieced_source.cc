#include "runtime/formats/storage/pieced_source.h"
#include "runtime/base/malformed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ckmap {
namespace {

bool Overlap(const SourcePiece& a, const SourcePiece& b) {
  for (size_t axis = 0; axis < a.sizes.size(); ++axis) {
    if (a.offsets[axis] >= b.offsets[axis] + b.sizes[axis]) return false;
    if (b.offsets[axis] >= a.offsets[axis] + a.sizes[axis]) return false;
  }
  return true;
}

// The whole is rows (all axes before `row_axis_`) of `row_bytes_`; behind the row axis every piece
// has its full extent, so that its part of a row is one run of bytes.
class Pieced : public StorageSource {
 public:
  Pieced(Shape shape, int64_t element_size, std::vector<SourcePiece> pieces)
      : shape_(std::move(shape)), pieces_(std::move(pieces)) {
    row_axis_ = shape_.empty() ? 0 : shape_.size() - 1;
    while (row_axis_ > 0 && std::all_of(pieces_.begin(), pieces_.end(), [&](const SourcePiece& piece) {
             return piece.sizes[row_axis_] == shape_[row_axis_];
           })) {
      --row_axis_;
    }
    unit_bytes_ = element_size;
    for (size_t axis = row_axis_ + 1; axis < shape_.size(); ++axis) unit_bytes_ *= shape_[axis];
    row_bytes_ = shape_.empty() ? unit_bytes_ : unit_bytes_ * shape_[row_axis_];
    bytes_ = row_bytes_;
    for (size_t axis = 0; axis < row_axis_; ++axis) bytes_ *= shape_[axis];
  }

  int64_t bytes() const override { return bytes_; }

  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const int64_t row = offset / row_bytes_;
      const int64_t begin = offset % row_bytes_;
      const auto count = static_cast<size_t>(std::min<int64_t>(row_bytes_ - begin, static_cast<int64_t>(out.size())));
      CKMAP_RETURN_IF_ERROR(ReadRow(row, begin, out.first(count)));
      offset += static_cast<int64_t>(count);
      out = out.subspan(count);
    }
    return {};
  }

  Result<void> Verify() const override {
    for (const SourcePiece& piece : pieces_) CKMAP_RETURN_IF_ERROR(piece.source->Verify());
    return {};
  }

 private:
  // Bytes [begin, begin + out.size()) of one row.
  Result<void> ReadRow(int64_t row, int64_t begin, std::span<std::byte> out) const {
    const int64_t end = begin + static_cast<int64_t>(out.size());
    for (const SourcePiece& piece : pieces_) {
      const int64_t inner = PieceRow(piece, row);
      if (inner < 0) continue;
      const int64_t piece_begin = shape_.empty() ? 0 : piece.offsets[row_axis_] * unit_bytes_;
      const int64_t piece_row = shape_.empty() ? unit_bytes_ : piece.sizes[row_axis_] * unit_bytes_;
      const int64_t from = std::max(begin, piece_begin);
      const int64_t to = std::min(end, piece_begin + piece_row);
      if (from >= to) continue;
      CKMAP_RETURN_IF_ERROR(
          piece.source->Read(piece.source_offset + inner * piece_row + from - piece_begin,
                             out.subspan(static_cast<size_t>(from - begin), static_cast<size_t>(to - from))));
    }
    return {};
  }

  // Which of the piece's rows the whole's row is; -1 for none.
  int64_t PieceRow(const SourcePiece& piece, int64_t row) const {
    int64_t inner = 0;
    int64_t scale = 1;
    for (size_t axis = row_axis_; axis-- > 0;) {
      const int64_t at = row % shape_[axis] - piece.offsets[axis];
      row /= shape_[axis];
      if (at < 0 || at >= piece.sizes[axis]) return -1;
      inner += at * scale;
      scale *= piece.sizes[axis];
    }
    return inner;
  }

  Shape shape_;
  std::vector<SourcePiece> pieces_;
  size_t row_axis_ = 0;
  int64_t unit_bytes_ = 0;
  int64_t row_bytes_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<StorageSource>> PiecedSource(const Shape& shape, int64_t element_size,
                                                    std::vector<SourcePiece> pieces) {
  if (pieces.size() > kMaxSourcePieces) {
    return Error(ErrorCode::kLimit, fmt::format("{} pieces; {} are the limit", pieces.size(), kMaxSourcePieces));
  }
  std::erase_if(pieces, [](const SourcePiece& piece) { return NumElements(piece.sizes) == 0; });
  int64_t covered = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const SourcePiece& piece = pieces[i];
    if (piece.sizes.size() != shape.size() || piece.offsets.size() != shape.size())
      return Malformed("a piece of another rank than the tensor");
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const bool inside = piece.offsets[axis] >= 0 && piece.sizes[axis] >= 0 && piece.sizes[axis] <= shape[axis] &&
                          piece.offsets[axis] <= shape[axis] - piece.sizes[axis];
      if (!inside) {
        return Malformed(fmt::format("the piece at {} of shape {} lies outside of {}", FormatShape(piece.offsets),
                                     FormatShape(piece.sizes), FormatShape(shape)));
      }
    }
    for (size_t j = 0; j < i; ++j) {
      if (Overlap(pieces[j], piece))
        return Malformed(fmt::format("two pieces overlap at {}", FormatShape(piece.offsets)));
    }
    covered += *NumElements(piece.sizes);  // disjoint and inside: no more than the whole
  }
  if (covered != *NumElements(shape)) {
    return Malformed(fmt::format("the pieces have {} of {} elements: a file of the checkpoint is missing", covered,
                                 *NumElements(shape)));
  }
  return std::unique_ptr<StorageSource>(std::make_unique<Pieced>(shape, element_size, std::move(pieces)));
}

}  // namespace ckmap
