// Little-endian numbers at any address.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>

namespace ckmap {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

// The caller has checked that sizeof(T) bytes lie at `data`.
template <typename T>
requires std::integral<T> || std::floating_point<T> T LoadLittle(const void* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

}  // namespace ckmap
