// What one file of rules says, as sections of a page. Private to compiler/doc.
#pragma once

#include <string>

#include "compiler/program/loader.h"

namespace ckmap::doc {

// Its documentation and tables of what becomes what; headings start at `level`.
std::string FileSections(const Unit& unit, const SourceMap& sources, int level);

// The parameters of all files of a program, as a table.
std::string ParamTable(const Program& program, const SourceMap& sources, const Pack& pack);

}  // namespace ckmap::doc
