#include "compiler/cli/app.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "compiler/cli/commands.h"
#include "compiler/cli/sandboxed.h"
#include "compiler/lsp/server.h"
#include "compiler/suggest/numbered.h"
#include "runtime/base/out_of_memory.h"
#include "runtime/base/run_files.h"

namespace ckmap {
namespace {

constexpr int kUsageExit = static_cast<int>(ErrorCode::kUsage);

void AddCommon(CLI::App& app, CompilerArgs& args) {
  app.add_option("-I", args.includes, "Look for packs in this folder too (may be repeated)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  app.add_option("-D", args.defines, "Fix a parameter: name=value (may be repeated)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--config", args.config, "Fix the parameters that this config.json holds")->type_name("FILE");
  app.add_option("--format", args.format, "How mistakes are printed: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--color", args.color, "Colour: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
}

// The options with which `ckmap plan` takes a part of a source and of a target.
void AddFileOptions(CLI::App& command, FileOptions& files) {
  const auto add = [&command](const std::string& begin, const std::string& what, TargetOptions& part) {
    command.add_option(begin + "root", part.root, "The dict inside a torch file that is " + what)->type_name("NAME");
    command.add_flag(begin + "skip-unknown-objects", part.skip_unknown_objects,
                     "Read a torch file for " + what + " around objects of unknown classes");
    command.add_option(begin + "only", part.selection.only, "Only tensors whose names match are " + what)
        ->type_name("GLOB")
        ->allow_extra_args(false);
    command.add_option(begin + "drop", part.selection.drop, "Tensors whose names match are no part of " + what)
        ->type_name("GLOB")
        ->allow_extra_args(false);
  };
  add("--", "the source", files.source);
  add("--target-", "the target", files.target);
}

void AddTestOptions(CLI::App& app, TestArgs& tests) {
  app.add_option("--filter", tests.filter, "Only tests whose name holds this text")->type_name("TEXT");
  CLI::Option* iota = app.add_flag(
      "--iota", tests.iota,
      "Number all elements of the tests' sources, and move them forth and back: each must come back to its place");
  app.add_option("--against", tests.against, "With --iota: compare with what these other rules make instead")
      ->type_name("FILE|PACK")
      ->needs(iota);
  CLI::Option* source =
      app.add_option("--source", tests.source, "With --iota: a manifest to take instead of the tests' sources")
          ->type_name("FILE")
          ->needs(iota);
  app.add_option("--target", tests.target, "With --iota: a manifest to take instead of the tests' targets")
      ->type_name("FILE")
      ->needs(source);
  app.add_flag("--mutate", tests.mutate, "Change each rule in small ways, and tell which changes no test notices");
  app.add_option("--manifests", tests.manifests,
                 "With --mutate: a folder with NAME.source.json and NAME.target.json of the networks that a pack is "
                 "verified on")
      ->type_name("DIR");
  app.add_option("--min-score", tests.min_score, "With --mutate: exit with 1 if a score is below this many percent")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 100.0));
}

void AddSandbox(CLI::App& app, CompilerArgs& args) {
  app.add_option("--sandbox", args.sandbox,
                 "Give up all rights that the command does not need: on, off, or require (fail where the kernel has no "
                 "sandbox)")
      ->check(CLI::IsMember({"on", "off", "require"}));
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) AddSandbox(*command, args);
}

// Without links, as far as there is such a file.
std::string RealPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

int Run(CLI::App& app, int argc, char** argv) {
  CompilerArgs args;
  std::string pack, file, new_pack;
  app.set_version_flag("--version", "ckmapc " CKMAP_VERSION);
  app.require_subcommand(0, 1);
  app.add_option("FILE", file, "Rules (.ckmap), or the name of a pack");
  app.add_option("-o,--output", args.output, "Where the plan goes; otherwise beside FILE, ending in .ckplan")
      ->type_name("FILE.ckplan");
  app.add_flag("--reverse", args.reverse,
               "Compile the migration from right to left; with -o FILE.ckmap, write it as rules");
  AddCommon(app, args);
  app.footer("Exit codes: 0 done, 1 the rules are wrong, 2 usage, 3 malformed input, 4 I/O, 5 a limit.");

  CLI::App* check = app.add_subcommand("check", "Check rules and write nothing");
  check->add_option("FILE", args.files, "Rules, or names of packs")->required();
  check->add_flag("--reverse", args.reverse, "Check that the migration can be reversed");
  AddCommon(*check, args);
  CLI::App* format = app.add_subcommand("fmt", "Lay out rules in the one way; comments and groups of lines stay");
  bool only_check = false, to_stdout = false;
  format->add_option("FILE", args.files, "Rules to change in place; - is standard input")->required();
  format->add_flag("--check", only_check,
                   "Change nothing: name the files that would change, exit code 1 if there are any");
  format->add_flag("--stdout", to_stdout, "Print the result instead of changing the file");
  format->add_option("--color", args.color, "Colour: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  CLI::App* language_server =
      app.add_subcommand("lsp", "Serve an editor: the language server protocol on standard input and output");
  language_server->add_option("-I", args.includes, "Look for packs in this folder too")
      ->type_name("DIR")
      ->allow_extra_args(false);
  bool stdio = true;  // editors say so; there is no other way
  language_server->add_flag("--stdio", stdio)->group("");
  CLI::App* doc = app.add_subcommand("doc", "Describe packs, files of rules or the operations in Markdown");
  bool operations = false;
  doc->add_option("PACK|FILE", args.files, "Packs, migrations of packs, or files");
  doc->add_flag("--ops", operations, "The operations, from the table that the compiler itself reads");
  doc->add_option("-o,--output", args.output, "Write a file for each into this folder")->type_name("DIR");
  doc->add_option("-I", args.includes, "Look for packs in this folder too")->type_name("DIR")->allow_extra_args(false);
  CLI::App* suggest =
      app.add_subcommand("suggest", "Write a first draft of rules from two files that have names and shapes");
  SuggestArgs suggested;
  suggest->add_option("--source", suggested.source, "The checkpoint, or a spec")->required()->type_name("PATH");
  CLI::Option* suggest_target =
      suggest->add_option("--target", suggested.target, "The network: a checkpoint or a spec")->type_name("PATH");
  CLI::Option* from_converter =
      suggest
          ->add_option(
              "--from-converter", suggested.converter.command,
              "Instead of a target: run this command on numbered checkpoints of the source's names and shapes, "
              "and learn its rules; it has {source} and {target} in the place of its paths")
          ->type_name("COMMAND")
          ->excludes(suggest_target);
  suggest
      ->add_option("--converter-timeout", suggested.converter.seconds,
                   "Seconds that one run of the converter may take (600)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 1'000'000))
      ->needs(from_converter);
  AddFileOptions(*suggest, suggested.files);
  suggest->add_option("-o,--output", args.output, "Where the draft goes; otherwise standard output")
      ->type_name("FILE.ckmap");
  suggest->add_option("-I", args.includes, "Look for packs in this folder too")
      ->type_name("DIR")
      ->allow_extra_args(false);
  suggest
      ->add_flag("--values", suggested.values,
                 "Both are checkpoints of one model: compare their elements, too, which settles what shapes leave open")
      ->excludes(from_converter);
  suggest->add_flag("--no-packs", suggested.no_packs, "Write a draft even where a pack takes the one to the other");
  suggest->add_option("-D", args.defines, "A parameter of packs: name=value (may be repeated)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  suggest->add_option("--config", args.config, "A config.json that holds the parameters of packs")->type_name("FILE");
  CLI::App* explain =
      app.add_subcommand("explain", "Say what a code of a message means, or which rule a tensor comes from");
  ExplainArgs explained;
  explain
      ->add_option("WHAT", explained.what,
                   "A code, as CK0301; or a plan (or rules, or a pack) and the name of a tensor")
      ->required()
      ->expected(1, 2);
  CLI::Option* explain_source =
      explain->add_option("--source", explained.source, "Names and shapes of the source: any checkpoint, or a spec")
          ->type_name("PATH");
  explain->add_option("--target", explained.target, "Names and shapes of the target")
      ->type_name("PATH")
      ->needs(explain_source);
  AddFileOptions(*explain, explained.files);
  AddCommon(*explain, args);
  CLI::App* fix =
      app.add_subcommand("fix", "Say why rules do not fit a source and a target, and which edits mend them");
  FixArgs fixed;
  std::string fixed_file;
  fix->add_option("FILE", fixed_file, "Rules (.ckmap)")->required();
  fix->add_option("--source", fixed.source, "The checkpoint, or a spec")->required()->type_name("PATH");
  fix->add_option("--target", fixed.target, "The network: a checkpoint or a spec")->required()->type_name("PATH");
  fix->add_flag("--apply", fixed.apply, "Change FILE: make the edits that are proved");
  AddFileOptions(*fix, fixed.files);
  AddCommon(*fix, args);
  TestArgs tests;
  CLI::App* test = app.add_subcommand("test", "Run the tests of rules");
  test->add_option("FILE", args.files, "Rules, or names of packs")->required();
  AddTestOptions(*test, tests);
  AddCommon(*test, args);
  CLI::App* packs = app.add_subcommand("pack", "What packs there are");
  packs->require_subcommand(1);
  CLI::App* list = packs->add_subcommand("list", "List the packs on the pack path");
  list->add_option("-I", args.includes, "Look in this folder too")->type_name("DIR")->allow_extra_args(false);
  CLI::App* show = packs->add_subcommand("show", "Show one pack: its migrations and parameters");
  show->add_option("NAME", pack, "Name of the pack")->required();
  show->add_option("-I", args.includes, "Look in this folder too")->type_name("DIR")->allow_extra_args(false);
  CLI::App* pack_new = packs->add_subcommand("new", "Make a pack: a pack.yaml, rules, and a first test");
  pack_new->add_option("FOLDER", new_pack, "The folder to make; its name is the pack's")->required();
  CLI::App* pack_test = packs->add_subcommand("test", "Run the tests of packs");
  pack_test->add_option("NAME", args.files, "Names of packs, or of their migrations");
  pack_test->add_flag("--all", tests.all, "All packs on the pack path");
  AddTestOptions(*pack_test, tests);
  AddCommon(*pack_test, args);

  AddSandbox(app, args);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExit;
  }
  CompilerPaths paths{.rules = args.files,
                      .checkpoints = {suggested.source, suggested.target, explained.source, explained.target,
                                      fixed.source, fixed.target, tests.source, tests.target},
                      .read = {args.config, tests.manifests}};
  if (!tests.against.empty()) paths.rules.push_back(tests.against);
  if (!explained.what.empty()) paths.rules.push_back(explained.what[0]);
  if (!file.empty()) paths.rules.push_back(file);
  if (fix->parsed()) {
    paths.rules.push_back(fixed_file);
    if (fixed.apply) paths.outputs.push_back({RealPath(fixed_file), false, true, 1});
    args.files = {fixed_file};
  }
  if (format->parsed() && !only_check && !to_stdout) {
    for (const std::string& path : args.files) paths.outputs.push_back({RealPath(path), false, true, 1});
  } else if (!file.empty() || !args.output.empty()) {
    paths.outputs.push_back({args.output.empty() ? DefaultOutput(file) : args.output, doc->parsed(), true,
                             doc->parsed() ? args.files.size() + 1 : 1});
  }
  if (pack_new->parsed()) paths.outputs.push_back({new_pack, true, false, 3});
  paths.reads_all = language_server->parsed();
  paths.memory_files = test->parsed() || pack_test->parsed();
  if (suggest->parsed()) {
    if (suggested.target.empty() == suggested.converter.command.empty()) {
      return PrintError(
          Error(ErrorCode::kUsage, "suggest needs --target, or --from-converter with a command that makes the target"));
    }
    if (!suggested.converter.command.empty()) {
      return WithConverter(suggested.converter, suggested.source, [&](ConverterRuns& runs) {
        paths.read.push_back(runs.folder());
        paths.outputs.push_back({runs.SourceFolder(), true, false, suggest::Numbering::kMaxRuns + 1});
        if (Result<void> entered = EnterCompilerSandbox(paths, PackPath(args.includes), args.sandbox); !entered)
          return PrintError(entered.error());
        return SuggestCommand(args, suggested, &runs);
      });
    }
  }
  if (Result<void> entered = EnterCompilerSandbox(paths, PackPath(args.includes), args.sandbox); !entered)
    return PrintError(entered.error());
  if (language_server->parsed()) return lsp::ServeLanguage(STDIN_FILENO, STDOUT_FILENO, PackPath(args.includes));
  const RunFiles run;  // an editor changes the files of the language server all the time
  if (check->parsed()) return CheckCommand(args);
  if (format->parsed()) return FormatCommand(args, only_check, to_stdout);
  if (test->parsed() || pack_test->parsed()) return TestCommand(args, tests);
  if (doc->parsed()) return DocCommand(args, operations);
  if (suggest->parsed()) return SuggestCommand(args, suggested);
  if (fix->parsed()) return FixCommand(args, fixed);
  if (explain->parsed()) return ExplainCommand(args, explained);
  if (list->parsed()) return PackListCommand(args);
  if (pack_new->parsed()) return PackNewCommand(new_pack);
  if (show->parsed()) return PackShowCommand(args, pack);
  if (file.empty()) {
    fmt::print(stderr, "ckmapc: error: no FILE is given\n\n{}", app.help());
    return kUsageExit;
  }
  args.files = {file};
  return CompileCommand(args);
}

int EndWithoutMemory() { return OutOfMemory("ckmapc: error: out of memory\n"); }

// ANTLR's parser takes memory in destructors; where there is none, that ends the program. It still says why.
[[noreturn]] void Terminate() {
  try {
    if (std::current_exception()) std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    ::_exit(EndWithoutMemory());
  } catch (...) {
  }
  std::abort();
}

}  // namespace

int RunCkmapc(int argc, char** argv) {
  LoadUnwinder();
  std::set_terminate(Terminate);
  try {
    CLI::App app("Compiles checkpoint migrations: rules (.ckmap) to plans (.ckplan).", "ckmapc");
    return Run(app, argc, argv);
  } catch (const std::bad_alloc&) {
    return EndWithoutMemory();
  } catch (const std::exception& error) {
    // A stream that broke, say: nothing that the rules or the files could cause.
    fmt::print(stderr, "ckmapc: error: {}\n", error.what());
    return static_cast<int>(ErrorCode::kIo);
  }
}

}  // namespace ckmap
