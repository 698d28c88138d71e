#include "runtime/cli/app.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "runtime/base/out_of_memory.h"
#include "runtime/base/run_files.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/sandboxed.h"
#include "runtime/cli/signals.h"
#include "runtime/folder/migrate_folder.h"

namespace ckmap {
namespace {

constexpr const char* kExitCodes =
    "exit codes: 0 done, 1 the rules or the target do not fit, 2 usage, 3 malformed or hostile "
    "input,\n"
    "            4 I/O, 5 a limit was reached, 128+n a signal";

// Options that every command has, and texts that are read into numbers after parsing.
struct Common {
  std::string format = "text";
  std::string color = "auto";
  std::string sandbox = "on";
  bool quiet = false;
  std::vector<std::string> defines;
  std::vector<std::string> ranks;
  std::string mesh;
  std::string max_memory = "64MiB";
  std::string max_shard_size;
  bool no_fsync = false;
};

void AddCommon(CLI::App& command, Common& common) {
  command.add_option("--format", common.format, "what is printed: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command.add_option("--color", common.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command.add_flag("-q,--quiet", common.quiet, "print errors only");
  command
      .add_option("--sandbox", common.sandbox,
                  "on: read only the inputs, write only beside the output, no programs, no network, as far as the "
                  "kernel can; require: fail where it cannot; off")
      ->check(CLI::IsMember({"on", "off", "require"}))
      ->capture_default_str();
}

void AddSource(CLI::App& command, SourceArgs& args) {
  command.add_option("--root", args.root, "the dict inside a torch checkpoint that holds the tensors (a.b for b in a)");
  command.add_flag("--skip-unknown-objects", args.skip_unknown_objects,
                   "read a torch file around objects of unknown classes; they are reported, never run");
  command.add_option("--key-file", args.key.file,
                     "a file with the key of an encrypted checkpoint (raw, or after hex:)");
  command.add_option("--key-env", args.key.variable, "the environment variable that holds it");
  command.add_option("--dec-mode", args.dec_mode,
                     "refuse a checkpoint that is encrypted otherwise: aes-gcm, aes-cbc or sm4-cbc");
  command.add_option("--from", args.from, "refuse a checkpoint of another format")
      ->check(CLI::IsMember({"ckpt", "safetensors", "torch", "pickle", "mindir", "npz", "npy", "gguf"}));
  command.add_option("--strategy", args.strategy,
                     "the strategy file of a folder of ranks (rank_0, rank_1, …), if it is not in the folder");
  command.add_flag("--crc-check", args.crc_check, "refuse a checkpoint without MindSpore's checksum (crc_num)");
}

// What load_checkpoint offers to choose tensors by name.
void AddSelection(CLI::App& command, Selection& selection) {
  const auto add = [&command](const char* name, std::vector<std::string>& values, const char* help) {
    command.add_option(name, values, help)->allow_extra_args(false);
  };
  add("--specify-prefix", selection.specify_prefix, "read only tensors whose names begin so (repeatable)");
  add("--filter-prefix", selection.filter_prefix, "leave out tensors whose names begin so (repeatable)");
  add("--only", selection.only, "read only tensors whose names match: * within a segment, ** across (repeatable)");
  add("--drop", selection.drop, "leave out tensors whose names match (repeatable)");
}

// What of the target counts: the same choices as of the source.
void AddTarget(CLI::App& command, TargetOptions& options) {
  command.add_option("--target-root", options.root, "the dict inside a torch file that is the target (a.b for b in a)");
  command.add_flag("--target-skip-unknown-objects", options.skip_unknown_objects,
                   "read a target of torch around objects of unknown classes");
  const auto add = [&command](const char* name, std::vector<std::string>& values, const char* help) {
    command.add_option(name, values, help)->allow_extra_args(false);
  };
  add("--target-only", options.selection.only, "only tensors whose names match are the target (repeatable)");
  add("--target-drop", options.selection.drop, "tensors whose names match are no part of the target (repeatable)");
}

void AddAll(CLI::App& command, bool& all) { command.add_flag("--all", all, "print every line: neither fold nor cut"); }

void AddParams(CLI::App& command, std::string& config, Common& common) {
  command.add_option("-D", common.defines, "gives a parameter its value: -D heads=32")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_option("--config", config, "the model's config.json, for parameters that come from it");
}

// `required`: a plan, a source and a target are.
void AddMigration(CLI::App& command, MigrateArgs& args, Common& common, bool required) {
  command.add_option("PLAN", args.plan, "a .ckplan file, or an installed pack: NAME or NAME/MIGRATION")
      ->required(required);
  command.add_option("SOURCE", args.source, "a checkpoint: a file, a folder of shards, or their index");
  command
      .add_option("--source", args.named_source_texts,
                  "a further checkpoint, whose tensors rules name \"NAME:tensor\" (repeatable)")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  command.callback([&args, required] {
    if (required && args.source.empty() && args.named_source_texts.empty()) throw CLI::RequiredError("SOURCE");
  });
  command.add_option(
      "--target", args.target,
      "names and shapes to reach: a checkpoint, a spec (.yaml), or a pack: the network that it describes; "
      "same or left out: what the rules make of SOURCE");
  AddParams(command, args.config, common);
  command.add_option("--rank", common.ranks, "write the slice of one rank: --rank tp=1/8 is rank 1 of 8, from 0")
      ->type_name("GROUP=INDEX/COUNT")
      ->allow_extra_args(false);
  command
      .add_option("--mesh", common.mesh,
                  "all ranks, for the format ckpt2: --mesh dp=2,tp=4 are 8, those of tp side by side")
      ->type_name("GROUP=COUNT,…");
  command.add_option("--device-map", args.device_map, "devices of modules or tensors (YAML or JSON), before `place`")
      ->type_name("FILE");
  AddSource(command, args.open);
  AddSelection(command, args.open.selection);
  AddTarget(command, args.target_options);
  command.add_option("-j", args.threads, "threads; 0: one per core")->check(CLI::Range(0, 1024));
  command.add_option("--max-memory", common.max_memory, "memory for buffers, such as 64MiB")->capture_default_str();
  command.add_option("--report", args.reports, "also write the report to FILE.json or FILE.html (repeatable)")
      ->allow_extra_args(false);
  command.add_flag("--force", args.force, "replace outputs that exist");
  AddAll(command, args.all);
  AddCommon(command, common);
}

Result<int64_t> ReadSize(std::string_view option, const std::string& text, int64_t least) {
  int64_t bytes = 0;
  if (!ParseByteSize(text, bytes)) {
    return Error(ErrorCode::kUsage,
                 fmt::format("{} {}: not a size; write 64MiB, 5GB or a number of bytes", option, text));
  }
  if (bytes < least)
    return Error(ErrorCode::kUsage, fmt::format("{} {}: the least is {}", option, text, FormatBytes(least)));
  return bytes;
}

constexpr int64_t kMaxRanks = 1 << 20;

bool ReadNumber(std::string_view digits, int64_t& value) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size();
}

// "dp=2,tp=4".
Result<void> ReadMesh(std::string_view text, std::vector<MeshAxis>& mesh) {
  int64_t ranks = 1;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view axis = rest.substr(0, comma);
    rest = comma + 1 < rest.size() ? rest.substr(comma + 1) : std::string_view();
    const size_t equals = axis.find('=');
    MeshAxis read;
    if (equals == std::string_view::npos || equals == 0 || !ReadNumber(axis.substr(equals + 1), read.count) ||
        read.count < 1) {
      return Error(ErrorCode::kUsage,
                   fmt::format("--mesh {}: write --mesh GROUP=COUNT,GROUP=COUNT, the outermost group first", text));
    }
    if (read.count > kMaxRanks / ranks)
      return Error(ErrorCode::kLimit, fmt::format("--mesh {}: more than {} ranks", text, kMaxRanks));
    read.group = axis.substr(0, equals);
    ranks *= read.count;
    for (const MeshAxis& other : mesh) {
      if (other.group == read.group)
        return Error(ErrorCode::kUsage, fmt::format("--mesh {}: `{}` is given twice", text, read.group));
    }
    mesh.push_back(std::move(read));
  }
  return {};
}

// "tp=1/8".
Result<void> ReadRank(const std::string& text, std::map<std::string, Rank>& ranks) {
  const size_t equals = text.find('='), slash = text.find('/');
  Rank rank;
  if (equals == std::string::npos || equals == 0 || slash == std::string::npos || slash < equals ||
      !ReadNumber(std::string_view(text).substr(equals + 1, slash - equals - 1), rank.index) ||
      !ReadNumber(std::string_view(text).substr(slash + 1), rank.count) || rank.count < 1 || rank.count > kMaxRanks ||
      rank.index < 0 || rank.index >= rank.count) {
    return Error(
        ErrorCode::kUsage,
        fmt::format("--rank {}: write --rank GROUP=INDEX/COUNT; tp=0/8 to tp=7/8 are the ranks of eight", text));
  }
  if (!ranks.emplace(text.substr(0, equals), rank).second) {
    return Error(ErrorCode::kUsage, fmt::format("--rank {}: given twice", text.substr(0, equals)));
  }
  return {};
}

// "-D heads=32".
Result<void> ReadDefines(const Common& common, std::map<std::string, std::string>& defines) {
  for (const std::string& define : common.defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorCode::kUsage, fmt::format("-D {}: write -D NAME=VALUE", define));
    }
    if (!defines.emplace(define.substr(0, equals), define.substr(equals + 1)).second) {
      return Error(ErrorCode::kUsage, fmt::format("-D {}: given twice", define.substr(0, equals)));
    }
  }
  return {};
}

// Turns what was typed into what the commands take.
Result<void> Complete(const Common& common, MigrateArgs& args) {
  constexpr int64_t kLeastMemory = int64_t{1} << 20;
  CKMAP_ASSIGN_OR_RETURN(args.max_memory, ReadSize("--max-memory", common.max_memory, kLeastMemory));
  if (!common.max_shard_size.empty()) {
    CKMAP_ASSIGN_OR_RETURN(args.max_shard_size, ReadSize("--max-shard-size", common.max_shard_size, 1));
  }
  if (args.target == "same") args.target.clear();
  args.fsync = !common.no_fsync;
  for (const std::string& text : args.named_source_texts) {
    CKMAP_ASSIGN_OR_RETURN(NamedPath named, ParseNamedPath(text));
    args.named_sources.push_back(std::move(named));
  }
  for (const std::string& rank : common.ranks) CKMAP_RETURN_IF_ERROR(ReadRank(rank, args.ranks));
  CKMAP_RETURN_IF_ERROR(ReadMesh(common.mesh, args.mesh));
  if (!args.mesh.empty() && !args.ranks.empty())
    return Error(ErrorCode::kUsage, "--rank writes one rank's slices, --mesh those of all ranks: leave one out");
  return ReadDefines(common, args.defines);
}

// "--source base.safetensors --source head=head.pth".
Result<void> ReadSources(VerifyArgs& args) {
  for (const std::string& text : args.sources) {
    if (auto named = ParseNamedPath(text)) {
      args.named_sources.push_back(*std::move(named));
    } else if (args.source.empty()) {
      args.source = text;
    } else {
      return Error(ErrorCode::kUsage, fmt::format("--source {}: given twice; a further source has a name", text));
    }
  }
  return {};
}

Result<void> CompleteFolder(const Common& common, FolderArgs& args) {
  constexpr int64_t kLeastMemory = int64_t{1} << 20;
  CKMAP_ASSIGN_OR_RETURN(args.max_memory, ReadSize("--max-memory", common.max_memory, kLeastMemory));
  args.fsync = !common.no_fsync;
  return ReadDefines(common, args.defines);
}

// `plan` has a plan, a source and a target, or --detect in place of the first two. Throws what CLI11 throws for its own.
void CompletePlan(const std::string& detect, MigrateArgs& args) {
  if (!detect.empty()) {
    if (!args.plan.empty()) {
      throw CLI::ExcludesError(
          fmt::format("--detect takes the source and no plan: ckmap plan --detect {}", EscapeText(detect)),
          CLI::ExitCodes::ExcludesError);
    }
    args.detect = true;
    args.source = detect;
    return;
  }
  if (args.plan.empty()) throw CLI::RequiredError("PLAN, or --detect SOURCE,");
  if (args.source.empty() && args.named_source_texts.empty()) throw CLI::RequiredError("SOURCE");
}

Console MakeConsole(const Common& common) {
  return {common.color == "always"  ? ColorMode::kAlways
          : common.color == "never" ? ColorMode::kNever
                                    : ColorMode::kAuto,
          common.quiet};
}

class Program {
 public:
  Program() : app_("Migrates checkpoints between frameworks, by plans that ckmapc compiles.", "ckmap") {
    app_.footer(kExitCodes);
    app_.set_version_flag("--version", "ckmap " CKMAP_VERSION);
    app_.require_subcommand(1);
    AddInspect();
    AddPlan();
    AddApply();
    AddMigrate();
    AddLoadCheck();
    AddDiff();
    AddVerify();
  }

  int Run(int argc, const char* const* argv);

 private:
  using Command = std::function<int(const Console&)>;

  CLI::App& Add(const char* name, const char* description, Command command) {
    CLI::App* added = app_.add_subcommand(name, description);
    added->footer(kExitCodes);
    commands_.emplace_back(added, std::move(command));
    return *added;
  }
  DataFormat Format() const { return common_.format == "json" ? DataFormat::kJson : DataFormat::kText; }

  // The command, in its sandbox.
  template <typename Args>
  int Shut(int (*run)(const Args&, const Console&), Args& args, const Console& console) const {
    args.format = Format();
    // From the first output that is opened on, a signal ends the run in order.
    std::optional<SignalGuard> signals;
    if constexpr (std::is_same_v<Args, MigrateArgs>) {
      if (run == RunApply) signals.emplace();
    }
    if (auto entered = EnterSandboxFor(PathsOf(args), Sandbox(), console); !entered)
      return console.Fail(entered.error());
    const int code = run(args, console);
    // What was said holds for files that were the same all the time. An output has been checked before it got its name.
    if constexpr (!std::is_same_v<Args, MigrateArgs>) {
      if (auto same = CheckInputsUnchanged(); !same) return console.Fail(same.error());
    }
    return code;
  }
  SandboxMode Sandbox() const {
    return common_.sandbox == "off"  ? SandboxMode::kOff
           : common_.sandbox == "on" ? SandboxMode::kOn
                                     : SandboxMode::kRequire;
  }

  void AddInspect();
  void AddPlan();
  void AddApply();
  void AddMigrate();
  void AddLoadCheck();
  void AddDiff();
  void AddVerify();
  int UsageError(const CLI::ParseError& error);

  CLI::App app_;
  Common common_;
  std::vector<std::pair<CLI::App*, Command>> commands_;
  InspectArgs inspect_;
  MigrateArgs plan_;
  std::string detect_;  // of `plan`
  MigrateArgs apply_;
  FolderArgs folder_;
  LoadCheckArgs load_check_;
  DiffArgs diff_;
  VerifyArgs verify_;
};

void Program::AddInspect() {
  CLI::App& command = Add("inspect", "Lists what is in a checkpoint, without reading its bytes.",
                          [this](const Console& console) { return Shut(RunInspect, inspect_, console); });
  command.add_option("PATH", inspect_.path, "a checkpoint: a file, a folder of shards, or their index; or a spec")
      ->required();
  command.add_flag("--digest", inspect_.digest, "add the SHA-256 of each tensor's elements (reads all bytes)");
  command.add_flag("--spec", inspect_.spec, "print a spec that --target reads: YAML, or JSON with --format json");
  AddSource(command, inspect_.open);
  AddSelection(command, inspect_.open.selection);
  AddAll(command, inspect_.all);
  AddCommon(command, common_);
}

void Program::AddPlan() {
  CLI::App& command = Add("plan", "The dry run: what becomes what, proved, without reading a tensor's bytes.",
                          [this](const Console& console) {
                            if (auto complete = Complete(common_, plan_); !complete)
                              return console.Fail(complete.error());
                            return Shut(plan_.detect ? RunDetect : RunPlan, plan_, console);
                          });
  AddMigration(command, plan_, common_, false);
  command
      .add_option(
          "--detect", detect_,
          "say which installed packs bind SOURCE to the target, or to what they describe, and why others do not")
      ->type_name("SOURCE");
  command.parse_complete_callback([this] { CompletePlan(detect_, plan_); });
}

void Program::AddApply() {
  CLI::App& command = Add("apply", "Migrates SOURCE to OUT, after the same proof.", [this](const Console& console) {
    if (auto complete = Complete(common_, apply_); !complete) return console.Fail(complete.error());
    return Shut(RunApply, apply_, console);
  });
  AddMigration(command, apply_, common_, true);
  command
      .add_option("-o,--output", apply_.output,
                  "OUT: the file to write; with --max-shard-size also a folder, with --to ckpt2 a folder")
      ->required();
  command.add_option(
      "--to", apply_.to,
      "the output's format: ckpt, safetensors, torch, npz, gguf or ckpt2, MindFormers' Checkpoint 2.0 (else by "
      "OUT's ending)");
  command.add_flag("--replicas", apply_.replicas,
                   "with --mesh: each rank's file holds all that the rank holds, not only what no other file has");
  command.add_option("--max-shard-size", common_.max_shard_size,
                     "split the output into files of at most this size, such as 5GB");
  command.add_flag("--no-fsync", common_.no_fsync, "do not wait until the output is on the disk");
  command.add_flag("--digest", apply_.digest,
                   "put the SHA-256 of each tensor into the receipt that the output carries (reads it once more)");
  command.add_flag("--crc", apply_.crc, "add the checksum that MindSpore's crc_check reads");
  command.add_option("--encrypt", apply_.encrypt, "encrypt the .ckpt as MindSpore does")
      ->check(CLI::IsMember({"aes-gcm", "aes-cbc", "sm4-cbc"}));
  command.add_option("--output-key-file", apply_.output_key.file,
                     "a file with the key for --encrypt, if it is not that of the source");
  command.add_option("--output-key-env", apply_.output_key.variable, "the environment variable that holds it");
  command.add_flag("--old-scalars", apply_.old_scalars,
                   "write rank 0 into a .ckpt as MindSpore before 2.3 did, dims [0]");
}

void Program::AddMigrate() {
  CLI::App& command = Add("migrate", "A model's folder in, a folder that another library loads out, verified.",
                          [this](const Console& console) {
                            if (auto complete = CompleteFolder(common_, folder_); !complete)
                              return console.Fail(complete.error());
                            folder_.sandbox = Sandbox();
                            return RunFolder(folder_, console);
                          });
  std::vector<std::string> libraries;
  for (const TargetLibrary& library : TargetLibraries()) libraries.push_back(library.name);
  command.add_option("DIR", folder_.folder, "the model's folder: weights, config.json, tokenizer")->required();
  command.add_option("--to", folder_.to, fmt::format("the library that is to load it: {}", fmt::join(libraries, ", ")))
      ->required()
      ->check(CLI::IsMember(libraries));
  command.add_option("-o,--output", folder_.output, "the folder to make; it appears complete, or not at all")
      ->required();
  command.add_option("--pack", folder_.pack, "the pack, where more than one fits: PACK/MIGRATION");
  command.add_option("--target", folder_.target,
                     "the network: a checkpoint or a spec, where it is not what the pack describes");
  command.add_option("-D", common_.defines, "gives a parameter its value, where config.json does not: -D heads=32")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--with-code", folder_.with_code, "carry Python files, too");
  command.add_option("-j", folder_.threads, "threads; 0: one per core")->check(CLI::Range(0, 1024));
  command.add_option("--max-memory", common_.max_memory, "memory for buffers, such as 64MiB")->capture_default_str();
  command.add_flag("--no-fsync", common_.no_fsync, "do not wait until the output is on the disk");
  AddCommon(command, common_);
}

void Program::AddLoadCheck() {
  CLI::App& command = Add("load-check", "Would SOURCE load into the target as it is, in MindSpore and strictly?",
                          [this](const Console& console) { return Shut(RunLoadCheck, load_check_, console); });
  command.add_option("SOURCE", load_check_.source, "a checkpoint")->required();
  command.add_option("--target", load_check_.target, "the network: a checkpoint or a spec (.yaml)")->required();
  AddSource(command, load_check_.open);
  AddSelection(command, load_check_.open.selection);
  AddTarget(command, load_check_.target_options);
  AddAll(command, load_check_.all);
  AddCommon(command, common_);
}

void Program::AddDiff() {
  CLI::App& command = Add("diff", "Compares two checkpoints tensor by tensor.",
                          [this](const Console& console) { return Shut(RunDiff, diff_, console); });
  command.add_option("A", diff_.a, "a checkpoint")->required();
  command.add_option("B", diff_.b, "another")->required();
  command.add_option("--rtol", diff_.rtol, "equal if |a - b| <= atol + rtol * |b|")->check(CLI::NonNegativeNumber);
  command.add_option("--atol", diff_.atol, "see --rtol; with both 0, bytes must be equal")
      ->check(CLI::NonNegativeNumber);
  AddSource(command, diff_.open);
  AddAll(command, diff_.all);
  AddCommon(command, common_);
}

void Program::AddVerify() {
  CLI::App& command = Add("verify", "Checks an output against the receipt that it carries, or the report of its run.",
                          [this](const Console& console) {
                            if (auto complete = ReadDefines(common_, verify_.defines); !complete)
                              return console.Fail(complete.error());
                            if (auto complete = ReadSources(verify_); !complete) return console.Fail(complete.error());
                            return Shut(RunVerify, verify_, console);
                          });
  command.add_option("OUT", verify_.output, "the checkpoint that was written")->required();
  command.add_option("--report", verify_.report, "the JSON report that `apply --report FILE.json` wrote");
  command
      .add_option(
          "--source", verify_.sources,
          "the checkpoint that it was made from, and NAME=FILE for each further one: what was copied is compared "
          "with them")
      ->type_name("[NAME=]FILE")
      ->allow_extra_args(false);
  command.add_option("--plan", verify_.plan,
                     "the plan that it was made by: all that the receipt says is recomputed from it and the source");
  command.add_option("--target", verify_.target, "what it was made for, if that is more than OUT");
  command
      .add_option("--card", verify_.card,
                  "print a verification card of this network, for `verified` in pack.yaml; needs --plan and --source")
      ->type_name("NETWORK");
  command.add_option("--card-source", verify_.card_source, "library, version and class of the source's network");
  command.add_option("--card-target", verify_.card_target, "library, version and class of the target's network");
  command.add_option("--against", verify_.against, "the output of another converter, which the card compares with OUT")
      ->type_name("REFERENCE");
  AddParams(command, verify_.config, common_);
  AddSource(command, verify_.open);
  AddCommon(command, common_);
}

int Program::UsageError(const CLI::ParseError& error) {
  std::string help = "ckmap --help";
  for (const CLI::App* command : app_.get_subcommands()) help = fmt::format("ckmap {} --help", command->get_name());
  const Console console = MakeConsole(common_);
  console.Fail({ErrorCode::kUsage, error.what()});
  console.SayAlways(fmt::format("see `{}`\n", help));
  return static_cast<int>(ErrorCode::kUsage);
}

int Program::Run(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app_.get_subcommands();
    return MakeConsole(common_).Write(chosen.empty() ? app_.help() : chosen.front()->help("ckmap"));
  } catch (const CLI::CallForVersion& version) {
    return MakeConsole(common_).Write(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    return UsageError(error);
  }
  const Console console = MakeConsole(common_);
  for (const auto& [command, run] : commands_) {
    if (command->parsed()) return run(console);
  }
  return static_cast<int>(ErrorCode::kUsage);
}

}  // namespace

int RunCkmap(int argc, const char* const* argv) {
  IgnoreWriteSignals();
  LoadUnwinder();
  try {
    const RunFiles run;
    return Program().Run(argc, argv);
  } catch (const std::bad_alloc&) {
    return OutOfMemory("error: out of memory\n");
  } catch (const std::exception& error) {
    return Console(ColorMode::kAuto, false).Fail({ErrorCode::kIo, fmt::format("internal error: {}", error.what())});
  }
}

}  // namespace ckmap
