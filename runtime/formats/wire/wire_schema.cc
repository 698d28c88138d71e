#include "runtime/formats/wire/wire_schema.h"

#include <algorithm>
#include <charconv>
#include <string>

#include <fmt/format.h>

#include "runtime/base/check.h"
#include "runtime/base/text.h"
#include "runtime/formats/wire/wire_reader.h"

namespace ckmap {
namespace {

constexpr size_t kMaxMessageDepth = 100;  // protobuf's own
constexpr size_t kMaxRequired = 32;
constexpr int64_t kMaxCheckedText = int64_t{64} << 20;  // longer texts are taken as they are

// Whether a field of this wire type is one of `kind` that stands alone; otherwise protobuf takes it for unknown.
bool IsOfKind(WireType type, char kind) {
  switch (kind) {
    case 'v':
      return type == WireType::kVarint;
    case 'f':
      return type == WireType::kFixed32;
    case 'd':
      return type == WireType::kFixed64;
    default:
      return type == WireType::kBytes;
  }
}

// A packed run of numbers of `kind`.
Result<void> CheckPacked(WireReader& reader, const WireField& field, char kind) {
  if (kind != 'v') {
    const int64_t size = kind == 'f' ? 4 : 8;
    if (field.length % size == 0) return {};
    return reader.Bad(field.begin, fmt::format("{} bytes are no whole number of {}-byte numbers", field.length, size));
  }
  for (int64_t at = field.begin; at < field.end();) CKMAP_RETURN_IF_ERROR(reader.Varint(at, field.end()));
  return {};
}

}  // namespace

WireSchema::WireSchema(std::span<const WireMessageText> messages) {
  for (const WireMessageText& text : messages) messages_.push_back({text.name, {}, {}});
  for (size_t i = 0; i < messages.size(); ++i) {
    std::string_view left = messages[i].fields;
    while (!left.empty()) {
      const std::string_view one = left.substr(0, left.find(' '));
      left.remove_prefix(std::min(left.size(), one.size() + 1));
      uint32_t number = 0;
      const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number);
      CKMAP_CHECK(error == std::errc() && end != one.data() + one.size());
      std::string_view what = one.substr(static_cast<size_t>(end - one.data()));
      if (what.ends_with('!')) {
        what.remove_suffix(1);
        messages_[i].required.push_back(number);
        CKMAP_CHECK(messages_[i].required.size() <= kMaxRequired);
      }
      Field field{what.front(), 0};
      if (what.front() == ':') {
        const auto named = std::find_if(messages_.begin(), messages_.end(),
                                        [&](const Message& m) { return m.name == what.substr(1); });
        CKMAP_CHECK(named != messages_.end());
        field = {'m', static_cast<size_t>(named - messages_.begin())};
      }
      messages_[i].fields.emplace(number, field);
    }
  }
}

Result<void> WireSchema::Check(const ByteSource& source, int64_t begin, int64_t end) const {
  struct Open {
    int64_t at, end;
    const Message* message;
    uint32_t seen = 0;  // bit i: what must be there, i
  };
  WireReader reader(source);
  std::vector<Open> open = {{begin, end, &messages_.front()}};
  while (!open.empty()) {
    Open& current = open.back();
    const std::vector<uint32_t>& required = current.message->required;
    if (current.at >= current.end) {
      for (size_t i = 0; i < required.size(); ++i) {
        if ((current.seen >> i & 1) == 0)
          return reader.Bad(current.end,
                            fmt::format("{} ends without its field {}", current.message->name, required[i]));
      }
      open.pop_back();
      continue;
    }
    CKMAP_ASSIGN_OR_RETURN(const WireField field, reader.Next(current.at, current.end));
    const auto known = current.message->fields.find(field.number);
    if (known == current.message->fields.end()) continue;
    const auto wanted = std::find(required.begin(), required.end(), field.number);
    if (wanted != required.end() && IsOfKind(field.type, known->second.kind))
      current.seen |= uint32_t{1} << (wanted - required.begin());
    if (field.type != WireType::kBytes) continue;
    switch (known->second.kind) {
      case 'm':
        if (open.size() == kMaxMessageDepth) return reader.Bad(field.begin, "messages are nested too deep");
        open.push_back({field.begin, field.end(), &messages_[known->second.message]});
        break;
      case 's': {
        if (field.length > kMaxCheckedText) break;
        CKMAP_ASSIGN_OR_RETURN(const std::string text, reader.Text(field, kMaxCheckedText));
        if (!IsValidUtf8(text))
          return reader.Bad(field.begin,
                            fmt::format("field {} of {} is not UTF-8", field.number, current.message->name));
        break;
      }
      case 'b':
        break;
      default:
        CKMAP_RETURN_IF_ERROR(CheckPacked(reader, field, known->second.kind));
    }
  }
  return {};
}

}  // namespace ckmap
