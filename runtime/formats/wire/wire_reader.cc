#include "runtime/formats/wire/wire_reader.h"

#include <algorithm>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr uint32_t kMaxFieldNumber = (uint32_t{1} << 29) - 1;
constexpr int kEndGroup = 4;

}  // namespace

Error WireReader::Bad(int64_t position, std::string_view what) const {
  return {ErrorCode::kMalformed, fmt::format("{}: byte {}: {}", source_.path(), position, what)};
}

Result<std::byte> WireReader::Byte(int64_t position) {
  if (position < window_begin_ || position >= window_end_) {
    const int64_t count = std::min(static_cast<int64_t>(window_.size()), source_.size() - position);
    window_begin_ = window_end_ = position;
    CKMAP_RETURN_IF_ERROR(source_.ReadAt(position, std::span(window_).first(static_cast<size_t>(count))));
    window_end_ = position + count;
  }
  return window_[static_cast<size_t>(position - window_begin_)];
}

Result<uint64_t> WireReader::Varint(int64_t& position, int64_t end) {
  const int64_t start = position;
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (position >= end) return Bad(start, "a number is cut short");
    CKMAP_ASSIGN_OR_RETURN(const std::byte byte, Byte(position));
    ++position;
    const auto bits = std::to_integer<uint64_t>(byte & std::byte{0x7f});
    if (shift == 63 && bits > 1) return Bad(start, "a number exceeds 64 bits");
    value |= bits << shift;
    if ((byte & std::byte{0x80}) == std::byte{0}) return value;
  }
  return Bad(start, "a number takes more than 10 bytes");
}

Result<uint64_t> WireReader::Fixed(WireType type, int64_t& position, int64_t end) {
  const int bytes = type == WireType::kFixed32 ? 4 : 8;
  if (end - position < bytes) return Bad(position, "a fixed number is cut short");
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    CKMAP_ASSIGN_OR_RETURN(const std::byte byte, Byte(position++));
    value |= std::to_integer<uint64_t>(byte) << (8 * i);
  }
  return value;
}

Result<WireField> WireReader::Key(int64_t& position, int64_t end, bool& ends_group) {
  const int64_t start = position;
  CKMAP_ASSIGN_OR_RETURN(const uint64_t key, Varint(position, end));
  const uint64_t number = key >> 3;
  const auto type = static_cast<int>(key & 7);
  if (number == 0 || number > kMaxFieldNumber) {
    return Bad(start, fmt::format("{} is no field number of protobuf", number));
  }
  if (type > 5) return Bad(start, fmt::format("wire type {} does not exist", type));
  ends_group = type == kEndGroup;
  WireField field;
  field.number = static_cast<uint32_t>(number);
  field.type = ends_group ? WireType::kGroup : static_cast<WireType>(type);
  return field;
}

Result<void> WireReader::Payload(WireField& field, int64_t& position, int64_t end) {
  const int64_t start = position;
  switch (field.type) {
    case WireType::kVarint: {
      CKMAP_ASSIGN_OR_RETURN(field.value, Varint(position, end));
      return {};
    }
    case WireType::kFixed32:
    case WireType::kFixed64: {
      CKMAP_ASSIGN_OR_RETURN(field.value, Fixed(field.type, position, end));
      return {};
    }
    case WireType::kBytes: {
      CKMAP_ASSIGN_OR_RETURN(const uint64_t length, Varint(position, end));
      if (length > static_cast<uint64_t>(end - position)) {
        return Bad(start, fmt::format("field {} should have {} bytes, but {} remain (is the file cut short?)",
                                      field.number, length, end - position));
      }
      field.begin = position;
      field.length = static_cast<int64_t>(length);
      position += field.length;
      return {};
    }
    case WireType::kGroup:
      return SkipGroup(field.number, position, end);
  }
  return Bad(start, "unknown wire type");
}

Result<void> WireReader::SkipGroup(uint32_t number, int64_t& position, int64_t end) {
  const int64_t start = position;
  std::vector<uint32_t> open = {number};
  while (!open.empty()) {
    if (position >= end) return Bad(start, fmt::format("group {} has no end", open.back()));
    bool ends_group = false;
    CKMAP_ASSIGN_OR_RETURN(WireField field, Key(position, end, ends_group));
    if (ends_group) {
      if (field.number != open.back()) {
        return Bad(position, fmt::format("group {} ends as group {}", open.back(), field.number));
      }
      open.pop_back();
    } else if (field.type == WireType::kGroup) {
      if (open.size() == kMaxGroupDepth) return Bad(position, "groups are nested too deep");
      open.push_back(field.number);
    } else {
      CKMAP_RETURN_IF_ERROR(Payload(field, position, end));
    }
  }
  return {};
}

Result<WireField> WireReader::Next(int64_t& position, int64_t end) {
  const int64_t start = position;
  bool ends_group = false;
  CKMAP_ASSIGN_OR_RETURN(WireField field, Key(position, end, ends_group));
  if (ends_group) return Bad(start, "a group ends that never began");
  CKMAP_RETURN_IF_ERROR(Payload(field, position, end));
  return field;
}

Result<std::string> WireReader::Text(const WireField& field, int64_t max_bytes) {
  if (field.length > max_bytes) {
    return Bad(field.begin, fmt::format("a text of {} bytes, at most {} are read", field.length, max_bytes));
  }
  std::string text(static_cast<size_t>(field.length), '\0');
  CKMAP_RETURN_IF_ERROR(source_.ReadAt(field.begin, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace ckmap
