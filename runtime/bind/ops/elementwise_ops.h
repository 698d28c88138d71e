// Elementwise operations that are needed outside of a rule's pipeline too.
#pragma once

#include "runtime/bind/values/tensor_expr.h"

namespace ckmap {

// The same bits as elements of another dtype. One of another size changes the last axis, and how pieces count. Errors
// are kMismatch.
Result<TensorValue> Bitcast(TensorValue tensor, DType to);

// Whether a product with the number can be undone by one with its inverse: a power of two, of either sign.
bool IsExactFactor(const Number& factor);

}  // namespace ckmap
