// <ckmap/compiler.h>, by the compiler.
#include "runtime/migrate/public.h"

#include "compiler/include/ckmap/compiler.h"

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"

namespace ckmap::v1 {
namespace {

Issue ToPublic(const Diagnostic& diagnostic, const SourceMap& sources) {
  const SourceFile& file = sources.file(diagnostic.primary.file);
  const LineColumn place = file.Locate(diagnostic.primary.begin);
  const bool error = Info(diagnostic.kind).severity == ckmap::Severity::kError;
  return {.code = FormatCode(diagnostic.kind),
          .severity = error ? Severity::kError : Severity::kWarning,
          .tensor = "",
          .message = diagnostic.message,
          .notes = diagnostic.notes,
          .help = diagnostic.help,
          .file = file.name(),
          .line = static_cast<int>(place.line),
          .column = static_cast<int>(place.column)};
}

Result<Plan> Compile(const std::string& path, const CompileOptions& options, std::map<std::string, std::string> files) {
  ckmap::CompileOptions compile;
  for (const std::filesystem::path& folder : options.packs) compile.pack_path.push_back(folder.string());
  for (std::string& folder : PackFolders()) compile.pack_path.push_back(std::move(folder));
  compile.memory_files = std::move(files);
  compile.defines = options.params;
  compile.reverse = options.reverse;
  CompileResult result = ckmap::Compile(path, compile);
  std::vector<Issue> issues;
  for (const Diagnostic& diagnostic : result.diagnostics) issues.push_back(ToPublic(diagnostic, result.sources));
  if (!result.plan) return Error(ErrorCode::kMisfit, RenderText(result.diagnostics, result.sources), std::move(issues));
  if (options.warnings != nullptr) options.warnings->insert(options.warnings->end(), issues.begin(), issues.end());
  return Access::Make(*std::move(result.plan));
}

}  // namespace

Result<Plan> Compile(const std::filesystem::path& path, const CompileOptions& options) {
  return Compile(path.string(), options, options.files);
}

Result<Plan> CompileText(std::string_view text, const std::string& name, const CompileOptions& options) {
  std::map<std::string, std::string> files = options.files;
  files[name] = text;
  return Compile(name, options, std::move(files));
}

}  // namespace ckmap::v1
