// The protobuf wire format, read from files of any size without a schema and without recursion: one field at a
// time, the payload of a length-delimited field left where it is.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;  // varint and fixed types
  // The payload of kBytes: where it lies in the source.
  int64_t begin = 0;
  int64_t length = 0;
  int64_t end() const { return begin + length; }
};

// Groups may be nested this deep.
inline constexpr size_t kMaxGroupDepth = 100;

class WireReader {
 public:
  // The source must outlive the reader.
  explicit WireReader(const ByteSource& source) : source_(source) {}

  // Reads the field at `position`, which is below `end` (both in the source), and moves `position`
  // behind it. Groups are passed over whole. kMalformed, naming the byte, for whatever is no
  // field that ends by `end`.
  Result<WireField> Next(int64_t& position, int64_t end);

  // A varint, of at most 10 bytes and 64 bits; needless bytes are taken.
  Result<uint64_t> Varint(int64_t& position, int64_t end);

  // A number of type kFixed32 or kFixed64.
  Result<uint64_t> Fixed(WireType type, int64_t& position, int64_t end);

  // The payload of a kBytes field as text; kMalformed if it is longer than `max_bytes`.
  Result<std::string> Text(const WireField& field, int64_t max_bytes);

  // kMalformed, naming the file and the byte.
  Error Bad(int64_t position, std::string_view what) const;

 private:
  Result<std::byte> Byte(int64_t position);
  Result<WireField> Key(int64_t& position, int64_t end, bool& ends_group);
  Result<void> SkipGroup(uint32_t number, int64_t& position, int64_t end);
  Result<void> Payload(WireField& field, int64_t& position, int64_t end);
  const ByteSource& source_;
  std::array<std::byte, 4096> window_{};
  int64_t window_begin_ = 0;
  int64_t window_end_ = 0;
};

}  // namespace ckmap
