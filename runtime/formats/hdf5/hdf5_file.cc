#include "runtime/formats/hdf5/hdf5_file.h"

#include <bit>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxPiece = int64_t{64} << 20;
constexpr int64_t kReadsOfEachByte = 4;

void Mix(uint32_t& a, uint32_t& b, uint32_t& c) {
  a -= c, a ^= std::rotl(c, 4), c += b;
  b -= a, b ^= std::rotl(a, 6), a += c;
  c -= b, c ^= std::rotl(b, 8), b += a;
  a -= c, a ^= std::rotl(c, 16), c += b;
  b -= a, b ^= std::rotl(a, 19), a += c;
  c -= b, c ^= std::rotl(b, 4), b += a;
}

uint32_t Lookup3(std::string_view bytes) {
  uint32_t a = 0xdeadbeef + static_cast<uint32_t>(bytes.size());
  uint32_t b = a;
  uint32_t c = a;
  while (bytes.size() > 12) {
    a += LoadLittle<uint32_t>(bytes.data());
    b += LoadLittle<uint32_t>(bytes.data() + 4);
    c += LoadLittle<uint32_t>(bytes.data() + 8);
    Mix(a, b, c);
    bytes.remove_prefix(12);
  }
  if (bytes.empty()) return c;
  std::string last(bytes);
  last.resize(12, '\0');
  a += LoadLittle<uint32_t>(last.data());
  b += LoadLittle<uint32_t>(last.data() + 4);
  c += LoadLittle<uint32_t>(last.data() + 8);
  c ^= b, c -= std::rotl(b, 14);
  a ^= c, a -= std::rotl(c, 11);
  b ^= a, b -= std::rotl(a, 25);
  c ^= b, c -= std::rotl(b, 16);
  a ^= c, a -= std::rotl(c, 4);
  b ^= a, b -= std::rotl(a, 14);
  c ^= b, c -= std::rotl(b, 24);
  return c;
}

}  // namespace

Error BadHdf5(std::string what) { return {ErrorCode::kMalformed, std::move(what)}; }
Error BadHdf5(uint64_t address, std::string_view what) { return BadHdf5(fmt::format("byte {}: {}", address, what)); }

uint64_t Hdf5Bytes::Number(size_t bytes) {
  const std::string_view run = Take(bytes);
  uint64_t value = 0;
  for (size_t i = run.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(run[i]);
  return value;
}

std::string_view Hdf5Bytes::Take(size_t count) {
  if (count > left()) {
    bad_ = true;
    at_ = bytes_.size();
    return {};
  }
  const std::string_view run = bytes_.substr(at_, count);
  at_ += count;
  return run;
}

std::string_view Hdf5Bytes::Text() {
  const size_t end = bytes_.find('\0', at_);
  if (end == std::string_view::npos) {
    bad_ = true;
    return {};
  }
  const std::string_view text = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return text;
}

Result<std::string> Hdf5File::Read(uint64_t address, uint64_t count, std::string_view what) {
  if (!Holds(address, count)) {
    return BadHdf5(address, fmt::format("{} of {} bytes ends beyond the file, which has {} (is it cut short?)", what,
                                        count, length_));
  }
  const auto bytes = static_cast<int64_t>(count);
  if (bytes > kMaxPiece) return BadHdf5(address, fmt::format("{} of {} bytes is too large", what, count));
  spent_ += bytes;
  if (spent_ > kReadsOfEachByte * length_ + kMaxPiece / 64) {
    return BadHdf5(address, fmt::format("{} lies over other parts of the file's structure", what));
  }
  std::string text(count, '\0');
  CKMAP_RETURN_IF_ERROR(ReadData(address, std::as_writable_bytes(std::span(text))));
  return text;
}

Result<void> CheckHdf5Sum(std::string_view bytes, std::string_view what) {
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  const auto expected = LoadLittle<uint32_t>(bytes.data() + body.size());
  const uint32_t found = Lookup3(body);
  if (found == expected) return {};
  return BadHdf5(
      fmt::format("the checksum of {} is {:08x}, but {:08x} is written: the file is damaged", what, found, expected));
}

}  // namespace ckmap
