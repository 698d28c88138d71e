// `ckmapc suggest --from-converter`: somebody's own converter, run on checkpoints whose elements are numbered.
//
// Two processes do it. This one makes a folder for the files, runs the command, and removes the folder; it opens no
// checkpoint. The other one, in the sandbox, reads the source, writes numbered checkpoints and reads what the command
// makes of them; it cannot run anything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/base/result.h"

namespace ckmap {

struct ConverterArgs {
  std::string command;    // "python3 convert.py {source} {target}"
  int64_t seconds = 600;  // that one run may take
};

// In the process in the sandbox: what it may ask of the other one.
class ConverterRuns {
 public:
  ConverterRuns(std::string folder, std::string name, int ask, int answer)
      : folder_(std::move(folder)), name_(std::move(name)), ask_(ask), answer_(answer) {}

  const std::string& folder() const { return folder_; }
  // The folder that numbered checkpoints are written into, and the path of the next one.
  std::string SourceFolder() const { return folder_ + "/next"; }
  std::string SourcePath() const { return SourceFolder() + "/" + name_; }

  // Runs the command on what lies at SourcePath(), which is moved to `source`.
  struct Files {
    std::string source, target;
  };
  Result<Files> Run(int run);

 private:
  Result<std::string> Output(const std::string& folder) const;

  std::string folder_, name_;
  int ask_, answer_;
};

// Does `work` in a process of its own, and runs the command as often as it asks. `source`: what is numbered, whose ending
// the numbered checkpoints get. Gives the exit code.
int WithConverter(const ConverterArgs& args, const std::string& source,
                  const std::function<int(ConverterRuns& runs)>& work);

}  // namespace ckmap
