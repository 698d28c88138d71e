#include "runtime/base/file_crc.h"

#include <algorithm>
#include <vector>

#include <isa-l/crc.h>
#include <zlib.h>

#include "runtime/base/file.h"
#include "runtime/base/parallel.h"

namespace ckmap {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;
constexpr int64_t kWorthAThread = int64_t{32} << 20;

Result<uint32_t> ReadCrc(int fd, int64_t offset, int64_t length) {
  std::vector<std::byte> buffer(static_cast<size_t>(std::min(kChunk, length)));
  uint32_t crc = 0;
  while (length > 0) {
    const auto chunk = std::span(buffer).first(static_cast<size_t>(std::min(kChunk, length)));
    CKMAP_RETURN_IF_ERROR(ReadAt(fd, offset, chunk));
    crc = ExtendCrc32(crc, chunk);
    offset += static_cast<int64_t>(chunk.size());
    length -= static_cast<int64_t>(chunk.size());
  }
  return crc;
}

}  // namespace

uint32_t ExtendCrc32(uint32_t crc, std::span<const std::byte> data) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

uint32_t JoinCrc32(uint32_t first, uint32_t second, int64_t second_length) {
  return static_cast<uint32_t>(::crc32_combine(first, second, second_length));
}

uint32_t ExtendCrc32WithZeros(uint32_t crc, uint64_t count) {
  // Doubling: `block` is the CRC of 2^k zero bytes.
  uint32_t zeros = 0;
  int64_t length = 0;
  const std::byte zero{0};
  uint32_t block = ExtendCrc32(0, std::span(&zero, 1));
  for (int bit = 0; bit < 62; ++bit) {
    const int64_t size = int64_t{1} << bit;
    if ((count >> bit) & 1) {
      zeros = length == 0 ? block : JoinCrc32(zeros, block, size);
      length += size;
    }
    block = JoinCrc32(block, block, size);
  }
  return length == 0 ? crc : JoinCrc32(crc, zeros, length);
}

Result<uint32_t> FileCrc32(int fd, int64_t offset, int64_t length, int threads) {
  const int64_t parts = std::clamp<int64_t>(length / kWorthAThread, 1, std::max(threads, 1));
  if (parts == 1) return ReadCrc(fd, offset, length);
  std::vector<uint32_t> crcs(static_cast<size_t>(parts), 0);
  const auto begin_of = [&](int64_t part) { return length / parts * part; };
  const auto end_of = [&](int64_t part) { return part + 1 == parts ? length : begin_of(part + 1); };
  const auto read_part = [&](size_t i) -> Result<void> {
    const auto part = static_cast<int64_t>(i);
    CKMAP_ASSIGN_OR_RETURN(crcs[i], ReadCrc(fd, offset + begin_of(part), end_of(part) - begin_of(part)));
    return {};
  };
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(threads, crcs.size(), [&]() -> ItemBody { return read_part; }));
  uint32_t crc = 0;
  for (int64_t part = 0; part < parts; ++part) {
    crc = JoinCrc32(crc, crcs[static_cast<size_t>(part)], end_of(part) - begin_of(part));
  }
  return crc;
}

}  // namespace ckmap
