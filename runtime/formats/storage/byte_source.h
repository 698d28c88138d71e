// Bytes by position: a file as it is, or what decrypts from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/result.h"

namespace ckmap {

// Immutable; const methods may be called from many threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const InputFile& file() const { return file_; }
  // The open file of a plain source, which is not used any more.
  InputFile TakeFile() && { return std::move(file_); }
  const std::string& path() const { return file_.path(); }

  virtual int64_t size() const = 0;
  // Whether byte k of the source is byte k of the file.
  virtual bool plain() const = 0;
  // Fills `out`; the range must lie inside the source.
  virtual Result<void> ReadAt(int64_t offset, std::span<std::byte> out) const = 0;

 protected:
  explicit ByteSource(InputFile file) : file_(std::move(file)) {}

 private:
  InputFile file_;
};

std::unique_ptr<ByteSource> MakePlainSource(InputFile file);

}  // namespace ckmap
