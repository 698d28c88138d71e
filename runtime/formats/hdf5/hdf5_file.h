// Bounded access to the structures of an HDF5 file. Internal to hdf5.
// https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/file.h"
#include "runtime/base/result.h"

namespace ckmap {

inline constexpr uint64_t kHdf5NoAddress = ~uint64_t{0};

// Numbers from a run of bytes, little-endian. What lies beyond the end reads as 0 and makes it bad().
class Hdf5Bytes {
 public:
  explicit Hdf5Bytes(std::string_view bytes) : bytes_(bytes) {}

  uint64_t Number(size_t bytes);
  uint8_t U8() { return static_cast<uint8_t>(Number(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Number(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  uint64_t U64() { return Number(8); }
  std::string_view Take(size_t count);
  void Skip(size_t count) { (void)Take(count); }
  // Up to and with a zero byte, which is not part of the result.
  std::string_view Text();

  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  bool bad() const { return bad_; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool bad_ = false;
};

// Half of what the nodes of version 1 B-trees have room for.
struct Hdf5TreeRanks {
  uint16_t leaf = 4;  // names of a group
  uint16_t group = 16;
  uint16_t chunk = 32;
};

// One HDF5 file: a run of a file. Addresses are offsets in it.
class Hdf5File {
 public:
  Hdf5File(const InputFile& file, int64_t begin, int64_t length) : file_(file), begin_(begin), length_(length) {}

  const InputFile& file() const { return file_; }
  int64_t size() const { return length_; }
  // What lies beyond is not of the file; at most its size.
  void EndAt(int64_t length) { length_ = length; }
  const Hdf5TreeRanks& tree_ranks() const { return ranks_; }
  void SetTreeRanks(const Hdf5TreeRanks& ranks) { ranks_ = ranks; }
  int64_t position(uint64_t address) const { return begin_ + static_cast<int64_t>(address); }
  bool Holds(uint64_t address, uint64_t count) const {
    return address <= static_cast<uint64_t>(length_) && count <= static_cast<uint64_t>(length_) - address;
  }

  // Bytes of the file's structure (not of tensors). All of them together may not exceed some multiple of the
  // file's size: structures that lie over one another are read only so often.
  Result<std::string> Read(uint64_t address, uint64_t count, std::string_view what);

  // Bytes of data; the range must lie in the file.
  Result<void> ReadData(uint64_t address, std::span<std::byte> out) const {
    return file_.ReadAt(position(address), out);
  }

 private:
  const InputFile& file_;
  int64_t begin_;
  int64_t length_;
  int64_t spent_ = 0;
  Hdf5TreeRanks ranks_;
};

inline int Hdf5Log2(uint64_t value) { return static_cast<int>(std::bit_width(value)) - 1; }
inline size_t Hdf5BytesOf(int bits) { return static_cast<size_t>((bits + 7) / 8); }

Error BadHdf5(std::string what);
Error BadHdf5(uint64_t address, std::string_view what);

// Bob Jenkins' lookup3 of all bytes but the last four, which must be it.
Result<void> CheckHdf5Sum(std::string_view bytes, std::string_view what);

}  // namespace ckmap
