// Random access to one deflated run of bytes in a file. Internal to zip_archive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/result.h"

namespace ckmap {

// Inflates from the nearest restart point before the wanted byte. Restart points are made on the
// first pass, about 40 KiB each, at most kMaxRestartPoints of them. Not thread-safe.
class ZipInflater {
 public:
  // Raw deflate data in [packed_begin, packed_begin + packed_size) of `file`, `size` plain bytes.
  ZipInflater(const InputFile& file, int64_t packed_begin, int64_t packed_size, int64_t size);
  ~ZipInflater();
  ZipInflater(const ZipInflater&) = delete;
  ZipInflater& operator=(const ZipInflater&) = delete;

  // Plain bytes [offset, offset + out.size()), which lie inside the run. kMalformed for data that
  // is no deflate stream, or does not end exactly at the last packed and the last plain byte (told
  // when the last plain byte is reached).
  Result<void> Read(int64_t offset, std::span<std::byte> out);

 private:
  static constexpr int64_t kMaxRestartPoints = 256;
  struct State;

  void Rewind(int64_t offset);
  Result<void> Produce(std::span<std::byte> out);
  Result<void> CheckEnd();

  const InputFile& file_;
  const int64_t packed_begin_;
  const int64_t packed_size_;
  const int64_t size_;
  const int64_t spacing_;  // plain bytes between restart points
  std::unique_ptr<State> current_;
  std::vector<std::unique_ptr<State>> restarts_;  // in order of their positions
  std::vector<std::byte> input_;
};

}  // namespace ckmap
