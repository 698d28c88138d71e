// CRC-32 (zlib's: polynomial 0xEDB88320, initial value 0) over bytes that lie in a file.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/result.h"

namespace ckmap {

// The CRC of what `crc` covers, followed by `data`.
uint32_t ExtendCrc32(uint32_t crc, std::span<const std::byte> data);

// The CRC of what `first` covers, followed by the `second_length` bytes that `second` covers.
uint32_t JoinCrc32(uint32_t first, uint32_t second, int64_t second_length);

// The CRC of what `crc` covers, followed by `count` zero bytes.
uint32_t ExtendCrc32WithZeros(uint32_t crc, uint64_t count);

// The CRC of `length` bytes of an open file; reads them on up to `threads` threads.
Result<uint32_t> FileCrc32(int fd, int64_t offset, int64_t length, int threads);

}  // namespace ckmap
