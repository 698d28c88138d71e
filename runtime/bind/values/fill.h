// The element that fills what no source tensor gives (padding). A tensor has one such element; it passes the same
// elementwise operations as all others.
#pragma once

#include "runtime/bind/values/tensor_expr.h"

namespace ckmap {

// Gives the tensor its filling element, in its dtype. Errors (kMismatch): the dtype cannot hold the number,
// or the tensor has another one already.
Result<void> TakeFill(double number, TensorValue& tensor);
Result<void> TakeFill(const std::vector<std::byte>& bytes, TensorValue& tensor);

// The filling element after a cast. Error: `to` cannot hold it.
Result<void> CastFill(std::vector<std::byte>& fill, DType from, DType to);

}  // namespace ckmap
