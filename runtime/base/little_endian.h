// Little-endian numbers at any address.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>

namespace ckmap {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

// The caller has checked that sizeof(T) bytes lie at `data`.
template <typename T>
  requires std::integral<T> || std::floating_point<T>
T LoadLittle(const void* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// The low `bytes` bytes of a number, the lowest first.
inline std::string Little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return out;
}

}  // namespace ckmap
