// What pieces write, element by element.
#pragma once

#include <functional>

#include <rapidcheck.h>

#include "runtime/tensor/pieces.h"
#include "tests/properties/array.h"

namespace ckmap::testing {

inline constexpr int64_t kNever = -2;  // an element that no piece writes

// `element`: what stands at an element of an input. One that is written twice fails the case.
inline Array ReadPieces(const PieceValue& value,
                        const std::function<int64_t(int32_t input, int64_t element)>& element) {
  Array array = Make(value.shape, [](const Index&) { return kNever; });
  for (const Piece& piece : value.pieces) {
    for (int64_t i = 0; i < piece.elements(); ++i) {
      int64_t src = piece.src_offset, dst = piece.dst_offset, rest = i;
      for (size_t k = piece.axes.size(); k-- > 0;) {
        const int64_t at = rest % piece.axes[k].size;
        rest /= piece.axes[k].size;
        src += at * piece.axes[k].src_stride;
        dst += at * piece.axes[k].dst_stride;
      }
      int64_t& to = array.at.at(static_cast<size_t>(dst));
      RC_ASSERT(to == kNever);
      to = piece.input == kFillInput ? kPadding : element(piece.input, src);
    }
  }
  return array;
}

}  // namespace ckmap::testing
