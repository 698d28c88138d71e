// The commands of `ckmapc`, one function each. They return exit codes.
#pragma once

#include <string>
#include <vector>

#include "compiler/cli/converter.h"
#include "compiler/compiler.h"
#include "runtime/formats/selection.h"

namespace ckmap {

struct CompilerArgs {
  std::vector<std::string> files;     // or names of packs: "resnet", "resnet/torchvision2mindcv"
  std::string output;                 // -o; empty: the file's name with .ckplan
  std::vector<std::string> includes;  // -I
  std::vector<std::string> defines;   // -D name=value
  std::string config;                 // --config
  bool reverse = false;
  std::string format = "text";
  std::string color = "auto";
  std::string sandbox = "on";
};

// -I, then $CKMAP_PACKS, then the packs of the source tree (for a program in its build folder), then
// those installed beside the program.
std::vector<std::string> PackPath(const std::vector<std::string>& includes);

// Where the plan of a file goes without -o.
std::string DefaultOutput(const std::string& file);

// A file as it is; a pack's name as the path of its rules. Unknown names are returned unchanged.
std::string ResolveFile(const std::string& name, const std::vector<std::string>& pack_path);

// Which part of a source and of a target counts, as `ckmap plan` takes it.
struct FileOptions {
  TargetOptions source;
  TargetOptions target;
};

struct TestArgs {
  std::string filter;  // part of a test's name
  bool all = false;    // the packs on the pack path
  bool iota = false;
  std::string against;         // of iota: other rules
  std::string source, target;  // of iota: manifests
  bool mutate = false;
  double min_score = 0;   // of mutate, in percent
  std::string manifests;  // folder with the manifests of the networks that packs are verified on
};

int CompileCommand(const CompilerArgs& args);
int CheckCommand(const CompilerArgs& args);
// `check`: only say which files would change; `to_stdout`: print them instead of changing them. "-" is stdin.
int FormatCommand(const CompilerArgs& args, bool check, bool to_stdout);
// Pages of packs and files, on stdout or, with -o, one file each in that folder; `ops`: the page of operations.
int DocCommand(const CompilerArgs& args, bool ops);
// A first draft of rules from two files that have names and shapes.
struct SuggestArgs {
  std::string source, target;
  bool values = false;      // both are checkpoints: compare their elements, too
  bool no_packs = false;    // always a draft
  ConverterArgs converter;  // its command is empty: there is none
  FileOptions files;
};
// `runs`: of the converter, if there is one; then there is no target.
int SuggestCommand(const CompilerArgs& args, const SuggestArgs& suggest, ConverterRuns* runs = nullptr);
// What mends rules that do not fit.
struct FixArgs {
  std::string source, target;
  bool apply = false;  // change the file: edits that are proved, nothing else
  FileOptions files;
};
int FixCommand(const CompilerArgs& args, const FixArgs& fix);
// `what`: a code, or a plan (or rules, or a pack) and the name of a tensor.
struct ExplainArgs {
  std::vector<std::string> what;
  std::string source, target;  // manifests; empty: none
  FileOptions files;
};
int ExplainCommand(const CompilerArgs& args, const ExplainArgs& explain);
// args.files: rules, or names of packs.
int TestCommand(const CompilerArgs& args, const TestArgs& tests);
int PackListCommand(const CompilerArgs& args);
// A folder with a pack.yaml, rules and a first test.
int PackNewCommand(const std::string& path);
int PackShowCommand(const CompilerArgs& args, const std::string& name);

// ---- shared by them --------------------------------------------------------------------------------

// Whether what is printed to `fd` is coloured, as --color says.
bool UseColor(const std::string& color, int fd);

// Diagnostics on stderr as text, or on stdout as JSON.
void PrintDiagnostics(const CompileResult& result, const CompilerArgs& args);
// 0, 1 for mistakes in the rules, 4 if the file itself cannot be read.
int ExitCode(const CompileResult& result);
int PrintError(const Error& error);

// Complete or absent: a temporary file in the same folder, fsync, rename. kUsage if a file is there whose name is not
// that of a plan, so that a slip of -o replaces neither rules nor a checkpoint.
Result<void> WritePlanFile(const std::string& path, std::string_view data);
// The same for rules that a person goes on with. kUsage if a file is there.
Result<void> WriteNewText(const std::string& path, std::string_view data);
// The same for a file of a folder, which is made if nothing is there.
Result<void> WriteInFolder(const std::string& folder, const std::string& path, std::string_view data);

}  // namespace ckmap
