#include "compiler/diag/render_json.h"

#include <algorithm>

#include "compiler/diag/render_text.h"
#include "runtime/base/json_writer.h"

namespace ckmap {
namespace {

void WritePosition(const SourceFile& file, uint32_t offset, JsonWriter& json) {
  const LineColumn at = CharacterPosition(file, offset);
  json.BeginObject();
  json.Key("offset").Int(std::min<int64_t>(offset, static_cast<int64_t>(file.text().size())));
  json.Key("line").Int(at.line).Key("column").Int(at.column);
  json.EndObject();
}

void WriteSpan(const Span& span, const SourceMap& sources, JsonWriter& json) {
  const SourceFile& file = sources.file(span.file);
  json.BeginObject().Key("file").String(file.name());
  json.Key("begin");
  WritePosition(file, span.begin, json);
  json.Key("end");
  WritePosition(file, std::max(span.begin, span.end), json);
  json.EndObject();
}

void WriteFix(const Fix& fix, const SourceMap& sources, JsonWriter& json) {
  json.BeginObject().Key("title").String(fix.title).Key("edits").BeginArray();
  for (const Edit& edit : fix.edits) {
    json.BeginObject().Key("span");
    WriteSpan(edit.span, sources, json);
    json.Key("replacement").String(edit.replacement).EndObject();
  }
  json.EndArray().EndObject();
}

void WriteDiagnostic(const Diagnostic& diagnostic, const SourceMap& sources, JsonWriter& json) {
  const bool error = Info(diagnostic.kind).severity == Severity::kError;
  json.BeginObject().Key("code").String(FormatCode(diagnostic.kind));
  json.Key("severity").String(error ? "error" : "warning");
  json.Key("message").String(diagnostic.message).Key("span");
  WriteSpan(diagnostic.primary, sources, json);
  json.Key("label").String(diagnostic.primary_label).Key("labels").BeginArray();
  for (const Label& label : diagnostic.labels) {
    json.BeginObject().Key("span");
    WriteSpan(label.span, sources, json);
    json.Key("text").String(label.text).EndObject();
  }
  json.EndArray().Key("notes").BeginArray();
  for (const std::string& note : diagnostic.notes) json.String(note);
  json.EndArray().Key("help").String(diagnostic.help).Key("fixes").BeginArray();
  for (const Fix& fix : diagnostic.fixes) WriteFix(fix, sources, json);
  json.EndArray().EndObject();
}

}  // namespace

std::string RenderJson(std::span<const Diagnostic> diagnostics, const SourceMap& sources) {
  JsonWriter json;
  int64_t errors = 0;
  json.BeginObject().Key("diagnostics").BeginArray().OnLines();
  for (const Diagnostic& diagnostic : diagnostics) {
    errors += Info(diagnostic.kind).severity == Severity::kError ? 1 : 0;
    WriteDiagnostic(diagnostic, sources, json);
  }
  json.EndArray().Key("errors").Int(errors);
  json.Key("warnings").Int(static_cast<int64_t>(diagnostics.size()) - errors).EndObject();
  return std::move(json).Finish();
}

}  // namespace ckmap
