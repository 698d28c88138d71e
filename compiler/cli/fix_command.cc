// `ckmapc fix`: what mends rules that do not fit a source and a target.
#include <filesystem>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/fix/fix.h"
#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/text.h"
#include "runtime/causes/find_causes.h"
#include "runtime/formats/open.h"
#include "runtime/report/causes.h"

namespace ckmap {
namespace {

struct Inputs {
  Manifest source, target;
  BindOptions bind;
};

Result<Inputs> ReadInputs(const CompilerArgs& args, const FixArgs& fix) {
  Inputs inputs;
  for (const std::string& define : args.defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(ErrorCode::kUsage, fmt::format("-D {}: write name=value", define));
    inputs.bind.defines[define.substr(0, equals)] = define.substr(equals + 1);
  }
  if (!args.config.empty()) {
    CKMAP_ASSIGN_OR_RETURN(inputs.bind.config_json, ReadTextFile(args.config));
    inputs.bind.config_path = args.config;
  }
  CKMAP_ASSIGN_OR_RETURN(inputs.source, ReadSource(fix.source, fix.files.source));
  CKMAP_ASSIGN_OR_RETURN(inputs.target, ReadTarget(fix.target, fix.files.target));
  return inputs;
}

size_t CountErrors(const std::vector<Issue>& issues) {
  return static_cast<size_t>(std::count_if(issues.begin(), issues.end(),
                                           [](const Issue& issue) { return issue.severity == IssueSeverity::kError; }));
}

class FixCommandRun {
 public:
  FixCommandRun(const CompilerArgs& args, const FixArgs& fix, Inputs inputs)
      : args_(args), fix_(fix), inputs_(std::move(inputs)), path_(args.files[0]) {}

  int Run() {
    auto text = ReadTextFile(path_);
    if (!text) return PrintError(text.error());
    int exit = 0;
    const auto issues = BindText(*text, exit);
    if (!issues) return exit;
    if (CountErrors(*issues) == 0) {
      fmt::print(stderr, "{}: it fits, there is nothing to fix\n", path_);
      return 0;
    }
    const Causes causes = FindCauses(*plan_, inputs_.source, inputs_.target, inputs_.bind, *issues,
                                     {.source_has_roots = true, .seconds = 10});
    if (args_.format == "json") {
      JsonWriter json;
      WriteCauses(json, causes);
      fmt::print("{}", std::move(json).Finish());
    } else {
      const Style style{UseColor(args_.color, STDERR_FILENO)};
      fmt::print(stderr, "{}", RenderMisfits(causes, *issues, style, false));
    }
    return fix_.apply ? Apply(*std::move(text), causes) : static_cast<int>(ErrorCode::kMismatch);
  }

 private:
  // What a bind of the rules says; nullopt, and the exit code, if they do not compile.
  std::optional<std::vector<Issue>> BindText(const std::string& text, int& exit) {
    CompileOptions options;
    options.pack_path = PackPath(args_.includes);
    options.memory_files[path_] = text;
    CompileResult result = Compile(path_, options);
    if (!result.plan) {
      PrintDiagnostics(result, args_);
      exit = ExitCode(result);
      return std::nullopt;
    }
    plan_ = std::move(result.plan);
    auto bound = Bind(*plan_, inputs_.source, inputs_.target, inputs_.bind);
    if (!bound) {
      exit = PrintError(bound.error());
      return std::nullopt;
    }
    return std::move(bound->issues);
  }

  // Makes the edits that are proved, in their order, up to the first that is not.
  int Apply(std::string text, const Causes& causes) {
    size_t made = 0, promised = causes.errors;
    for (const Cause& cause : causes.causes) {
      if (cause.edits.empty() || !cause.edits[0].proved || !cause.edits[0].option.empty()) break;
      SourceMap sources;
      const auto edit = FixOf(cause.edits[0], sources.file(sources.Add(path_, text)));
      if (!edit) break;
      text = Applied(std::move(text), *edit);
      promised = cause.edits[0].errors_left;
      ++made;
    }
    if (made == 0) {
      fmt::print(stderr, "{}: no edit of the rules is proved; nothing was changed\n", path_);
      return static_cast<int>(ErrorCode::kMismatch);
    }
    int exit = 0;
    const auto issues = BindText(text, exit);
    if (!issues) return exit;
    const size_t left = CountErrors(*issues);
    if (left > promised) {
      return PrintError(
          Error(ErrorCode::kMismatch,
                fmt::format("{}: the edits leave {} errors, not {}; nothing was changed", path_, left, promised)));
    }
    // The file is an input that is meant to change.
    const Result<void> written = WriteWholeFile(path_, text, {.force = true, .fsync = true, .check_inputs = false});
    if (!written) return PrintError(written.error());
    fmt::print(stderr, "{}: {} made; {}\n", path_, Plural(static_cast<int64_t>(made), "edit"),
               left == 0 ? "it fits" : Plural(static_cast<int64_t>(left), "error") + " left");
    return left == 0 ? 0 : static_cast<int>(ErrorCode::kMismatch);
  }

  const CompilerArgs& args_;
  const FixArgs& fix_;
  Inputs inputs_;
  std::string path_;
  std::optional<Plan> plan_;
};

}  // namespace

int FixCommand(const CompilerArgs& args, const FixArgs& fix) {
  auto inputs = ReadInputs(args, fix);
  if (!inputs) return PrintError(inputs.error());
  return FixCommandRun(args, fix, *std::move(inputs)).Run();
}

}  // namespace ckmap
