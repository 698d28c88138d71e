// Files that appear whole or not at all.
//
// A file is written under a temporary name in the folder where it will live,
// ".NAME.ckmap-<pid>-<random>.partial", and gets its own name only when all of a set is complete:
//
//   OutputSet set;
//   CKMAP_ASSIGN_OR_RETURN(const size_t index, set.Add("out/model.safetensors", size));
//   WriteAt(set.fd(index), …);                 // from any thread
//   CKMAP_RETURN_IF_ERROR(set.Publish(options));
//
// Whatever ends the set before Publish has succeeded (an error, the destructor, a signal whose
// handler calls RemoveTemporaryFiles) leaves the folder as it was. Only SIGKILL or a crash of the
// machine can leave a ".partial" behind, never a final name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

struct PublishOptions {
  bool force = false;  // replace files that have the names already
  bool fsync = true;   // the bytes and the names are on the disk when Publish returns
};

class OutputSet {
 public:
  OutputSet() = default;
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;
  ~OutputSet();

  // Makes the folder `path` if nothing is there (its parent must exist). A folder made here is
  // removed again if the set is not published.
  Result<void> AddFolder(const std::string& path);

  // Makes the temporary file for `path`, `size` bytes long, its blocks reserved where the file
  // system can. kIo if the folder has no room for it or cannot be written; kUsage if `path` is
  // taken and `force` is not set, or is a folder. Returns the file's index.
  Result<size_t> Add(const std::string& path, int64_t size, bool force);

  // Open for reading and writing; owned by the set.
  int fd(size_t file) const { return files_[file].fd; }
  const std::string& path(size_t file) const { return files_[file].path; }
  int64_t size(size_t file) const { return files_[file].size; }
  size_t file_count() const { return files_.size(); }

  // Gives all files their names, in the order in which they were added; the last one is the
  // record that the set is complete. If one cannot have its name, those before it lose theirs
  // again, and what `force` replaced comes back. Once only.
  Result<void> Publish(const PublishOptions& options);

 private:
  struct File {
    std::string path;       // the final name
    std::string temporary;  // the present name; after an exchange that of the file replaced
    int fd = -1;
    int64_t size = 0;
    bool published = false;
    bool exchanged = false;  // `temporary` holds what had the final name before
  };

  // All four with the registry's lock held.
  Result<void> GiveNames(const PublishOptions& options);
  Result<void> Rename(File& file, bool force);
  void Undo();
  void ForgetAll();

  std::vector<File> files_;
  std::vector<std::string> folders_;  // those made here
};

// Removes the temporary files of all sets of this process. For a handler of SIGINT and SIGTERM, and
// only just before the process ends: no set can be changed or published afterwards. Calls nothing
// but async-signal-safe functions. Waits while another thread is giving files their names.
void RemoveTemporaryFiles();

}  // namespace ckmap
