// Takes from this process, for good, what reading a hostile file never needs: were a reader of ours ever
// tricked into running somebody's code, that code could read the inputs, write beside the output, and do
// nothing else.
//
//   files (Landlock, Linux 5.19):  reads only what is listed; makes files in the folders of the outputs, and cannot
//                                  read or overwrite what lies there
//   calls (seccomp):               an allow-list. Running a program, the network, other processes, and whatever else
//                                  no conversion does at all end the process (SIGSYS); a call that is merely
//                                  not on the list is answered as by an older kernel (ENOSYS), so that a
//                                  library which tries it takes its other way; memory that is executable is refused
//
// What is open stays open, so that standard output, a terminal and a debugger's log work on. It is entered
// before the first thread is started and costs less than a millisecond.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// Where files will be made. Landlock knows folders, not names, so that what can be done there is done without it: the
// files are opened beforehand, without names (output_names.h), and inside they can be given names and nothing else. The
// right to remove files, which all of the folder is open to, is given only where something may have to be removed: a
// file that
// `replaces`, or those of a set that cannot be completed.
struct SandboxOutput {
  std::string path;       // of the file; or of the folder that is to be made, or is there
  bool folder = false;    // it is one
  bool replaces = false;  // --force
  size_t files = 1;       // at most so many
};

struct SandboxRules {
  // Files, and folders with all that is in them; where an entry of a folder is a link, as in the
  // caches of model hubs, also what it leads to. What is not there is passed over.
  std::vector<std::string> read;
  std::vector<SandboxOutput> outputs;
  bool memory_files = false;  // files that are nowhere but in memory may be made
};

struct SandboxState {
  bool files = false;   // Landlock is in force
  bool calls = false;   // seccomp is
  std::string missing;  // why one is not; empty: both are
  // Folders whose file system has no files without names: all that is in them can be read, changed and removed.
  std::vector<std::string> open_folders;
};

// Takes what the kernel can take; never an error, since a kernel without it is no mistake of the user's.
SandboxState EnterSandbox(const SandboxRules& rules);

// The second half alone, of this thread and those that it starts; what it could not do, or nothing.
std::string LimitSystemCalls(bool memory_files = false);

}  // namespace ckmap
