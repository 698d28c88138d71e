// Checksums of the source, checked on the way: the bytes that an execution reads are summed as they come, so that none
// is read twice. What an execution leaves out is read at the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// All methods but the constructor may be called from many threads. The checkpoint must outlive it.
class ReadChecks {
 public:
  ReadChecks(const Checkpoint& source, const std::vector<uint32_t>& storages);

  // `bytes` were read from a storage, or from a file.
  void SawStorage(uint32_t storage, int64_t offset, std::span<const std::byte> bytes);
  void SawFile(int fd, int64_t offset, std::span<const std::byte> bytes);

  // Compares the checksum of a storage, if all but a few of the bytes that it covers have been seen; those are read. An
  // Error if it is wrong.
  Result<void> CheckIfSeen(uint32_t storage);

  // Reads what has not been seen, compares all checksums; also those that are not CRC-32s of files' bytes. The Error of
  // the first storage that has one.
  Result<void> Finish(int threads);

 private:
  struct Part {
    int64_t end = 0;
    uint32_t crc = 0;
    bool summed = false;  // false: a thread is at it
  };
  // A run of a file and what has been seen of it.
  struct Run {
    int fd = -1;
    int64_t begin = 0;
    int64_t end = 0;
    std::mutex mutex;
    std::map<int64_t, Part> parts;  // by their first byte; neighbours that are summed are joined
    bool scattered = false;         // too many parts: it is read at the end
  };
  struct Group {
    std::shared_ptr<const ChecksumGroup> checksums;
    std::vector<Run*> runs;
    std::once_flag once;
    Result<void> verdict;
  };
  struct Storage {
    uint32_t storage = 0;
    Group* group = nullptr;           // null: VerifyStorage
    std::vector<FileExtent> extents;  // where there is a group
  };

  static void See(Run& run, int64_t offset, std::span<const std::byte> bytes);
  static void Join(Run& run, std::map<int64_t, Part>::iterator part);
  static Result<uint32_t> SumRest(Run& run, int threads);
  static bool SeenWhole(Run& run);
  Result<void> Check(Group& group, int threads);

  const Checkpoint& source_;
  std::vector<Storage> storages_;
  std::unordered_map<uint32_t, size_t> by_storage_;
  std::vector<std::unique_ptr<Run>> runs_;  // by file and begin
  std::vector<std::unique_ptr<Group>> groups_;
};

}  // namespace ckmap
