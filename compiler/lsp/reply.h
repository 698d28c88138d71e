// Parts of answers. Private to compiler/lsp.
#pragma once

#include <string>

#include "compiler/lsp/analysis.h"
#include "compiler/lsp/features.h"
#include "compiler/lsp/position.h"
#include "runtime/base/json_writer.h"

namespace ckmap::lsp {

void WriteRange(JsonWriter& json, const LineTable& lines, Span span);
void WriteTextEdit(JsonWriter& json, const LineTable& lines, Span span, std::string_view text);
void WriteSymbols(JsonWriter& json, const LineTable& lines, const std::vector<Outline>& outline);
void WriteDiagnostics(JsonWriter& json, const std::string& uri, const Analysis& analysis);

}  // namespace ckmap::lsp
