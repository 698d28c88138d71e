// The element that fills what no source tensor gives (padding). A tensor has one such element; it passes the same
// elementwise operations as all others.
#pragma once

#include "runtime/bind/values/tensor_expr.h"

namespace ckmap {

// Gives the tensor its filling element, in its dtype. Errors (kMismatch): the dtype cannot hold the number,
// or the tensor has another one already.
Result<void> TakeFill(const Number& number, TensorValue& tensor);
Result<void> TakeFill(const std::vector<std::byte>& bytes, TensorValue& tensor);

// What an elementwise operation makes of the filling element: the same as of every other one. Error: what it does not
// make of any element (with overflow=error, what the dtype cannot hold).
Result<void> ApplyToFill(const ElementOp& op, PiecedTensor& tensor);

}  // namespace ckmap
