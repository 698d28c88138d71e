#include <filesystem>

#include <fmt/format.h>
#include <simdjson.h>

#include "compiler/cli/commands.h"
#include "compiler/diag/did_you_mean.h"
#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/json_document.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

Result<void> ReadDefines(const std::vector<std::string>& defines, CompileOptions& options) {
  for (const std::string& define : defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorCode::kUsage, fmt::format("-D {}: write name=value", define));
    }
    options.defines[define.substr(0, equals)] = define.substr(equals + 1);
  }
  return {};
}

// The scalar at a dotted path, or with `json` whatever stands there; nullopt: the config does not hold it.
std::optional<std::string> Lookup(simdjson::dom::element element, std::string_view path, bool json) {
  while (!path.empty()) {
    const size_t dot = path.find('.');
    if (element.at_key(path.substr(0, dot)).get(element) != simdjson::SUCCESS) return std::nullopt;
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
  }
  if (json && !element.is_null()) return simdjson::minify(element);
  if (element.is_string()) return std::string(element.get_string().value_unsafe());
  if (element.is_object() || element.is_array() || element.is_null()) return std::nullopt;
  return simdjson::minify(element);
}

// Parameters that the program reads from a config, with what `config` holds for them.
Result<void> ReadConfig(const std::string& config, const Plan& plan, CompileOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(config));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root); error != simdjson::SUCCESS) {
    ThrowIfOutOfMemory(error);
    return Error(ErrorCode::kMalformed, simdjson::error_message(error)).Context(config);
  }
  if (const std::string key = FindRepeatedKey(root); !key.empty()) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: the key \"{}\" is given twice: which of its values counts is not said", config, key));
  }
  for (const plan::Variable& variable : plan.proto().variables()) {
    if (!variable.is_param() || variable.fixed() || variable.config_key().empty()) continue;
    if (std::optional<std::string> value = Lookup(root, variable.config_key(), variable.type() == plan::Variable::JSON))
      options.defines.try_emplace(variable.name(), *std::move(value));
  }
  return {};
}

Result<void> CheckDefines(const CompileOptions& options, const Plan& plan) {
  std::vector<std::string> known;
  for (const plan::Variable& variable : plan.proto().variables()) {
    if (variable.is_param()) known.push_back(variable.name());
  }
  for (const auto& [name, value] : options.defines) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string help = DidYouMean(name, known);
    if (help.empty())
      help =
          known.empty() ? "the rules have no parameters" : fmt::format("the parameters are {}", ListOf(known, "and"));
    return Error(ErrorCode::kUsage, fmt::format("-D {}={}: there is no parameter `{}`: {}", name, value, name, help));
  }
  return {};
}

// Compiles with the parameters that the command line fixes.
Result<CompileResult> CompileFile(const std::string& file, const CompilerArgs& args) {
  CompileOptions options;
  options.pack_path = PackPath(args.includes);
  options.reverse = args.reverse;
  CKMAP_RETURN_IF_ERROR(ReadDefines(args.defines, options));
  const std::string path = ResolveFile(file, options.pack_path);
  CompileResult result = Compile(path, options);
  if (!result.plan) return result;
  CKMAP_RETURN_IF_ERROR(CheckDefines(options, *result.plan));
  if (args.config.empty()) return result;
  CKMAP_RETURN_IF_ERROR(ReadConfig(args.config, *result.plan, options));
  return Compile(path, options);
}

// `--reverse -o x.ckmap`: the reversed migration as text.
int ReverseTextCommand(const CompilerArgs& args) {
  CompileOptions options;
  options.pack_path = PackPath(args.includes);
  if (Result<void> defines = ReadDefines(args.defines, options); !defines) return PrintError(defines.error());
  ReversedText reversed = ReverseToText(ResolveFile(args.files[0], options.pack_path), options);
  CompileResult shown{std::move(reversed.sources), std::move(reversed.diagnostics), std::nullopt, {}};
  PrintDiagnostics(shown, args);
  if (!reversed.text) return ExitCode(shown);
  if (Result<void> written = WriteNewText(args.output, *reversed.text); !written) return PrintError(written.error());
  fmt::print(stderr, "{}: {} from right to left\n", args.output, args.files[0]);
  return 0;
}

}  // namespace

std::string DefaultOutput(const std::string& file) {
  if (file.ends_with(".ckmap")) return fs::path(file).replace_extension(".ckplan").string();
  return fs::path(file).filename().string() + ".ckplan";
}

int CompileCommand(const CompilerArgs& args) {
  if (args.reverse && args.output.ends_with(".ckmap")) return ReverseTextCommand(args);
  Result<CompileResult> result = CompileFile(args.files[0], args);
  if (!result) return PrintError(result.error());
  PrintDiagnostics(*result, args);
  if (!result->plan) return ExitCode(*result);
  const std::string output = args.output.empty() ? DefaultOutput(args.files[0]) : args.output;
  if (Result<void> written = WritePlanFile(output, SerializePlan(result->plan->proto())); !written)
    return PrintError(written.error());
  const plan::Plan& plan = result->plan->proto();
  const int rules = plan.rules_size() + plan.derived_size();
  fmt::print(stderr, "{}: {} rule{}, {} layer{}, {} rename{}\n", output, rules, rules == 1 ? "" : "s",
             plan.layers_size(), plan.layers_size() == 1 ? "" : "s", plan.renames_size(),
             plan.renames_size() == 1 ? "" : "s");
  return 0;
}

int CheckCommand(const CompilerArgs& args) {
  int exit = 0;
  for (const std::string& file : args.files) {
    Result<CompileResult> result = CompileFile(file, args);
    if (!result) return PrintError(result.error());
    PrintDiagnostics(*result, args);
    if (result->plan && args.format == "text") fmt::print(stderr, "{}: no errors\n", file);
    exit = std::max(exit, ExitCode(*result));
  }
  return exit;
}

}  // namespace ckmap
