// Markdown that shows what it is given, whatever that is. Private to compiler/doc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ckmap::doc {

// In backticks, on one line; `|` as a table wants it.
std::string Code(std::string_view text);
// Text in a cell of a table: on one line.
std::string Cell(std::string_view text);
// "" without rows. Columns that are empty in every row are left out.
std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

}  // namespace ckmap::doc
