#include <filesystem>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/format/format.h"
#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/run_files.h"

namespace ckmap {
namespace {

constexpr std::string_view kStdin = "-";

Result<std::string> ReadInput(const std::string& path) {
  if (path != kStdin) return ReadTextFile(path);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

// Through a link to the file that it names. Nothing is replaced that somebody else has changed since it was read.
Result<void> Replace(const std::string& path, std::string_view text) {
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(path, error);
  if (error) return IoError("cannot find", error.value()).Context(path);
  CKMAP_RETURN_IF_ERROR(WriteWholeFile(file.string(), text, {.force = true, .fsync = true, .in_place = true}));
  ForgetInput(path);
  return {};
}

}  // namespace

int FormatCommand(const CompilerArgs& args, bool check, bool to_stdout) {
  int exit = 0;
  for (const std::string& path : args.files) {
    Result<std::string> text = ReadInput(path);
    if (!text) return PrintError(text.error());
    CompileResult result;
    DiagnosticSink sink;
    const FileId id = result.sources.Add(path == kStdin ? "<stdin>" : path, *text);
    const std::optional<std::string> formatted = Format(result.sources.file(id), id, sink);
    result.diagnostics = sink.Sorted();
    if (!formatted) {
      PrintDiagnostics(result, args);
      exit = std::max(exit, static_cast<int>(ErrorCode::kMismatch));
    } else if (check) {
      if (*formatted == *text) continue;
      fmt::print("{}\n", path);
      exit = std::max(exit, static_cast<int>(ErrorCode::kMismatch));
    } else if (to_stdout || path == kStdin) {
      fmt::print("{}", *formatted);
    } else if (*formatted != *text) {
      if (Result<void> written = Replace(path, *formatted); !written) return PrintError(written.error());
    }
  }
  return exit;
}

}  // namespace ckmap
