// What each command reads and writes, and nothing besides: its sandbox.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/cli/commands.h"
#include "runtime/sandbox/sandbox.h"

namespace ckmap {

// The paths of a command line, empty ones included.
struct CommandPaths {
  std::vector<std::string> checkpoints;  // files, folders, indexes
  std::vector<std::string> read;         // other files
  std::vector<SandboxOutput> outputs;
};

CommandPaths PathsOf(const InspectArgs& args);
CommandPaths PathsOf(const MigrateArgs& args);
CommandPaths PathsOf(const LoadCheckArgs& args);
CommandPaths PathsOf(const DiffArgs& args);
CommandPaths PathsOf(const VerifyArgs& args);
// Of the two processes of `migrate`. `staged`: the folder that is filled.
CommandPaths PathsOfConversion(const FolderArgs& args, const std::string& staged);
CommandPaths PathsOfVerification(const FolderArgs& args, const std::string& staged);

// From here on, and for good. Says on the console what the kernel has not; kIo if `mode` demands it.
Result<void> EnterSandboxFor(const CommandPaths& paths, SandboxMode mode, const Console& console);

}  // namespace ckmap
