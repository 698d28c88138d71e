// Small conversions that faults are let loose on, and what must hold after each.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace ckmap::faults {

// Relative paths in a folder, and what is in the files.
using Files = std::map<std::string, std::string>;
Files ReadFolder(const std::string& folder);

// A conversion in a folder of its own: `in/` holds what is read, `out/` what is made. Or a command that only prints.
class Scenario {
 public:
  struct Description {
    std::string name;
    std::string source;                   // a path in `in/`
    std::vector<std::string> options;     // of `ckmap apply PLAN SOURCE --target T`; `@` is the scenario's folder
    std::string output;                   // a path in `out/`
    bool replaces = false;                // an older output is there, of other values
    std::string command = "apply";        // or plan, inspect, compile
    std::vector<std::string> older = {};  // the options that made the older output, if they are not these
  };

  // `base` is a folder that PrepareInputs has filled.
  Scenario(Description description, const std::string& programs, const std::string& base);

  const std::string& name() const { return description_.name; }
  const std::string& folder() const { return folder_; }
  std::vector<std::string> command() const;
  bool flushes() const;  // no --no-fsync, which gives up what power loss would leave
  std::string log() const { return folder_ + "/log"; }
  const Files& before() const { return before_; }
  const Files& complete() const { return complete_; }
  bool only_prints() const { return description_.output.empty(); }

  // Puts `out/` back to what it was.
  void Reset() const;

  // Empty, or what is wrong with the folder now. `status` is the program's, as waitpid tells it.
  // An output may be as before or complete; nothing else may lie there; sources must be untouched. What a command
  // prints that says all is well is what it prints without a fault.
  std::string Judge(int status) const;

  // The same after SIGKILL, where files of temporary names may be left (counted in `left`) and a replaced
  // set may be gone, but never a mixture that an index calls complete.
  std::string JudgeKilled(size_t& left) const;

  // Whether names and contents (temporary ones aside) are those of a whole old or new output, or of none.
  std::string JudgeNames(const Files& out) const;

 private:
  std::vector<std::string> CommandWith(const std::vector<std::string>& options) const;

  Description description_;
  std::string programs_;
  std::string folder_;
  Files inputs_;
  std::map<std::string, std::string> stamps_;  // of in/: what changes when a file does
  std::string printed_;
  Files before_;    // of out/
  Files complete_;  // of out/
};

// Makes sources of every format from examples/quickstart, with plans and targets, in `folder`.
// False, with a message, if a program fails.
bool PrepareInputs(const std::string& programs, const std::string& source_tree, const std::string& folder);

// Conversions between all formats that ckmap writes, plain, sharded, checksummed, forced, from an encrypted source; and
// a reading of each format by a command that only prints.
std::vector<std::unique_ptr<Scenario>> AllScenarios(const std::string& programs, const std::string& base);

// In a child before it becomes a program: standard output goes to the file `log`, emptied, and standard error to one
// beside it:
// an error that cannot be printed is nobody's fault.
bool RedirectOutput(const std::string& log);

// Runs without a fault; the exit code, or -1 for a signal.
int Run(const std::vector<std::string>& command, const std::string& log);

}  // namespace ckmap::faults
