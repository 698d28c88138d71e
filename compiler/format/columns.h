// Columns: neighbouring rows of cells are padded so that cells stand below each other, in as few groups as
// possible. Rows whose widths differ too much, or that would become too long, are not in one group. Private
// to compiler/format.
#pragma once

#include <string>
#include <vector>

namespace ckmap::format {

using Row = std::vector<std::string>;  // cells; "" for none

// The rows as lines; `width` is what a line may have.
std::vector<std::string> Align(const std::vector<Row>& rows, size_t width);

}  // namespace ckmap::format
