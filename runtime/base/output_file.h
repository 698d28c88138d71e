// Files that appear whole or not at all.
//
//   OutputSet set;
//   CKMAP_ASSIGN_OR_RETURN(const size_t index, set.Add("out/model.safetensors", size, force));
//   WriteAt(set.fd(index), …);                 // from any thread
//   CKMAP_RETURN_IF_ERROR(set.Publish(options));
//
// No set takes a name of a file that the run reads, or that the run writes for another purpose (run_files.h). While a
// set gives its names no other does so in the same folder (a lock): of two runs into one place the names are those of
// the one or of the other.
//
// A file has no name at all while it is written (O_TMPFILE), so that nothing is left however the
// program ends, SIGKILL and power loss included. It gets its name when all of its set is complete and
// flushed. Where the file system has no such files, and for the instant in which `force` replaces one,
// it is called ".NAME.ckmap-<pid>-<random>.partial" in the same folder and is locked (flock); whatever
// ends the set removes it, and what SIGKILL left of it is removed by the next set that makes NAME.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/output_names.h"
#include "runtime/base/result.h"
#include "runtime/base/run_files.h"

namespace ckmap {

struct PublishOptions {
  bool force = false;        // replace files that have the names already
  bool fsync = true;         // the bytes and the names are on the disk when Publish returns
  bool in_place = false;     // the file is one that the run reads, and this is what the run is for
  bool check_inputs = true;  // they must be now what they were when they were opened
};

class OutputSet {
 public:
  OutputSet() = default;
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;
  ~OutputSet();

  // The folder `path` will be made, when the set is published, if nothing is there (its parent must
  // exist). Files in it are added after it.
  Result<void> AddFolder(const std::string& path);

  // Makes the file that will be `path`, `size` bytes long, its blocks reserved where the file system
  // can. kIo if the folder has no room for it or cannot be written; kUsage if `path` is taken and `force`
  // is not set, or is no file. Returns the file's index.
  Result<size_t> Add(const std::string& path, int64_t size, bool force, bool in_place = false);

  // Other files that the set replaces: names that belong to what was there, records of completeness (indexes) first.
  // Asked when the set is published, while nobody else gives names in the folder. If it names any, `force` must be set.
  using FindReplaced = std::function<Result<std::vector<std::string>>()>;
  void ReplaceAlso(FindReplaced find) { find_replaced_ = std::move(find); }

  // A file without a name that never gets one, where `path` will be.
  Result<size_t> AddScratch(const std::string& path, int64_t size);

  // Open for reading and writing; owned by the set.
  int fd(size_t file) const { return files_[file].fd; }
  const std::string& path(size_t file) const { return files_[file].path; }
  int64_t size(size_t file) const { return files_[file].size; }
  size_t file_count() const { return files_.size(); }

  // Gives all files their names, in the order in which they were added; the last one is the record that
  // the set is complete: it is on the disk after the others, and what it replaces goes before them. If one
  // cannot have its name, those before it lose theirs again, and what `force` replaced comes back. A file that
  // replaces one has its mode and, where that may be, its owner; one that replaces none may be read by no more people
  // than all of those that the set replaces. Once only.
  Result<void> Publish(const PublishOptions& options);

 private:
  struct File {
    std::string path;        // the final name
    std::string temporary;   // the present name; empty: none
    std::string registered;  // the temporary name that signal handlers know of
    std::string replaced;    // the present name of what had the final one; empty: nothing
    int fd = -1;
    int64_t size = 0;
    bool published = false;
    OutputClaim claim;
  };
  // A file that loses its name: one of those of ReplaceAlso.
  struct Removed {
    std::string path;
    std::string aside;  // its present name; empty: the final one
  };

  Result<void> TakeLocks(std::vector<FolderLock>& locks);
  Result<void> FindRemoved(bool force);
  Result<void> TakeOverModes();

  // All with the registry's lock held.
  Result<void> GiveNames(const PublishOptions& options);
  Result<void> WithdrawAll(bool fsync);
  Result<void> Withdraw(const std::string& path, std::string& aside);
  Result<void> Name(File& file, bool force);
  Result<void> Sync() const;
  void Undo();
  void ForgetAll();

  Result<size_t> AddOpened(File file, const std::string& path, int64_t size);
  Result<void> Open(File& file);
  bool IsNewFolder(std::string_view folder) const;

  Result<void> MakeFolders();

  std::vector<File> files_;
  FindReplaced find_replaced_;
  std::vector<Removed> removed_;
  std::vector<std::string> folders_;  // to be made
  std::vector<std::string> made_;     // those of them that were
};

// A small file, whole or not at all.
Result<void> WriteWholeFile(const std::string& path, std::string_view text, const PublishOptions& options);

// Removes the temporary files of all sets of this process. For a handler of signals, and only just
// before the process ends: no set can be changed or published afterwards. Calls nothing but
// async-signal-safe functions. Waits while another thread is giving files their names.
void RemoveTemporaryFiles();

}  // namespace ckmap
