// The sandbox of `ckmapc`: what a command line names is read, its outputs are written, and nothing besides.
#pragma once

#include <string>
#include <vector>

#include "compiler/cli/commands.h"
#include "runtime/base/result.h"
#include "runtime/sandbox/sandbox.h"

namespace ckmap {

struct CompilerPaths {
  std::vector<std::string> rules = {};        // files of rules, or names of packs
  std::vector<std::string> checkpoints = {};  // files that may name others beside them; folders
  std::vector<std::string> read = {};         // other files and folders
  std::vector<SandboxOutput> outputs = {};
  bool memory_files = false;  // tests read and write checkpoints there
  bool reads_all = false;     // a language server opens what its editor names later
};

// Allows what the paths name, the packs, and the files that rules use by path. `mode` as `--sandbox`: on, off, require;
// kIo if it is `require` and the kernel lacks a part. A part that is missing with `on` is reported on standard error.
Result<void> EnterCompilerSandbox(const CompilerPaths& paths, const std::vector<std::string>& pack_path,
                                  const std::string& mode);

}  // namespace ckmap
