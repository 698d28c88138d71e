// What the files that say what operations mean share.
#pragma once

#include <optional>
#include <vector>

#include "tests/differential/meaning.h"

namespace ckmap::testing {

// Elements as f64; nullopt for an integer that f64 would round.
std::optional<std::vector<double>> Doubles(const Tensor& in);
Outcome Refused(const Index& shape, const Rounding& rounding);
// Results of arithmetic in f64 as a tensor.
Outcome Rounded(const Index& shape, const std::vector<double>& values, const Rounding& rounding, bool open = false);
// Of element `at`, in row-major order.
Index Coordinates(int64_t at, const Index& shape);

}  // namespace ckmap::testing
