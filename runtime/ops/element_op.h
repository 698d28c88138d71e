// Elementwise operations, and what each makes of one element: bits in, bits out. The kernels of runtime/exec do the
// same to many elements at once, and are tested against this.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/tensor/dtype.h"
#include "runtime/tensor/number.h"

namespace ckmap {

// What an operation does with a finite value that the new type cannot hold.
enum class Overflow : uint8_t {
  kError,     // stop, naming tensor, element and value
  kSaturate,  // the nearest finite value; counted
  kInf,       // ±infinity (IEEE); counted. Integers have none: not allowed for them
};

// One step of what elements pass on their way.
struct ElementOp {
  enum class Kind : uint8_t {
    kCast,
    kScale,  // times `operand`
    kAdd,    // plus `operand`
    kNegate,
    kByteswap,
    kBitcast,  // the same bits under another name
  };
  DType from = DType::kF32;
  DType to = DType::kF32;
  Overflow overflow = Overflow::kError;
  Kind kind = Kind::kCast;
  Number operand = int64_t{0};

  friend bool operator==(const ElementOp&, const ElementOp&) = default;
};
using CastOp = ElementOp;  // of kind kCast

// One element after an operation.
struct ElementResult {
  uint64_t bits = 0;
  bool overflowed = false;
  bool changed = false;  // not equal before and after (overflowed ones too)
};

// ---- casts -------------------------------------------------------------------------------------
//
// The value is kept where the new type has it. Otherwise it is rounded to the nearest value that the
// new type has, ties to even, in one step (never through a third type). A value that rounds beyond
// the largest finite one (or, for integers, out of range; or an infinity that the new type lacks)
// overflows; what then happens is ElementOp::overflow. A NaN stays a NaN with its sign and the leading bits of its
// payload; where bits of it are lost, it becomes quiet. A NaN cast to an integer overflows (saturated: 0).
//
// What can be cast: bool and integers to integers and floats, floats to floats and integers.
// f8_e8m0 can only be cast from; i4, complex types, f4 and f6 not at all.

// Whether CastElement knows this cast. (kInf needs a target type that has infinities.)
bool CanCast(const CastOp& cast);
ElementResult CastElement(const CastOp& cast, uint64_t bits);

// ---- arithmetic --------------------------------------------------------------------------------
//
// Floats: `element * operand` and `element + operand` are computed in f64 and rounded once to the dtype, to nearest,
// ties to even. A finite result that the dtype cannot hold overflows, and ElementOp::overflow says what then
// happens. A product with a power of two is exact: with Overflow::kError one that would be rounded (it fell below the
// normal numbers) counts as overflowed. NaNs stay as they are. neg changes the sign and loses nothing. An operand is an
// integer only where f64 holds it exactly.
//
// Integers: exact, with any 64-bit integer as operand. A result out of range, and one that would not be whole,
// overflows.

// Whether ComputeElement knows this operation with this dtype and operand.
bool CanCompute(const ElementOp& op);
// All kinds of operations but casts.
ElementResult ComputeElement(const ElementOp& op, uint64_t bits);

// Any step of a chain.
ElementResult ApplyToElement(const ElementOp& op, uint64_t bits);

// The element as a number, for messages: "-70000", "nan".
std::string FormatElement(DType dtype, uint64_t bits);

// "scale(2)", "cast(f16)", for messages.
std::string FormatOp(const ElementOp& op);

}  // namespace ckmap
