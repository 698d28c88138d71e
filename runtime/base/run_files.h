// Which files a run reads and which it is to write, so that it never writes what it reads, and notices when what it
// reads changes.
//
// Whoever opens a file for reading enters it here (InputFile, the readers of folders), and whoever makes one asks
// (OutputSet): no command keeps a list of its own. The list is kept while a RunFiles lives; without one nothing is
// kept, and nothing is refused. All functions may be called from any thread.
#pragma once

#include <string>

#include "runtime/base/file_stamp.h"
#include "runtime/base/result.h"

namespace ckmap {

// From its construction to its end, the files that this process opens. Several may live at once (migrations of one
// program at the same time): an output is refused if any of them reads it.
class RunFiles {
 public:
  RunFiles();
  ~RunFiles();
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;
};

// `path` is being read. kIo if the run has read it before and it was another file or had other contents then.
Result<void> EnterInput(const std::string& path, const FileStamp& stamp);

// All that lies in this folder is a part of what is read, files that are not there yet included.
void EnterInputFolder(const std::string& folder);

// kUsage if writing `path` would change what is read: it is such a file, under whatever name, or it lies in such a
// folder.
Result<void> CheckIsNotInput(const std::string& path);

// kIo if an input is no longer what it was when it was opened. One that was removed is whole.
Result<void> CheckInputsUnchanged();

// `path` was written in place by the run itself: what was read there is of the past.
void ForgetInput(const std::string& path);

// A file that the run is to write; the name is its own until the claim ends.
class OutputClaim {
 public:
  // kUsage if `path` is read, or is claimed already; also if it is an input of any claim that was made before its file
  // was opened. `path` need not exist.
  static Result<OutputClaim> Make(const std::string& path);

  OutputClaim() = default;
  OutputClaim(OutputClaim&& other) noexcept;
  OutputClaim& operator=(OutputClaim&& other) noexcept;
  ~OutputClaim();

 private:
  uint64_t id_ = 0;  // 0: none
};

}  // namespace ckmap
