#include "runtime/plan/plan_wire.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Wire types of the protobuf encoding.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

struct Cursor {
  std::string_view bytes;
  size_t position = 0;

  bool ReadVarint(size_t end, uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 70 && position < end; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[position++]);
      if (shift == 63 && byte > 1) return false;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
};

Error NoPlan(size_t position, std::string_view why) {
  return {ErrorCode::kMalformed,
          fmt::format("not a plan, or a damaged one: byte {}: {}; plans are written by `ckmapc RULES.ckmap`", position,
                      why)};
}

// Passes over one field's value; its bytes (of length-delimited ones) go to `value`.
Result<void> SkipValue(Cursor& cursor, size_t end, uint32_t wire_type, uint64_t& varint, std::string_view& value) {
  switch (wire_type) {
    case kVarint:
      if (!cursor.ReadVarint(end, varint)) return NoPlan(cursor.position, "a number is cut short");
      return {};
    case kFixed64:
    case kFixed32: {
      const size_t size = wire_type == kFixed64 ? 8 : 4;
      if (end - cursor.position < size) return NoPlan(cursor.position, "a number is cut short");
      cursor.position += size;
      return {};
    }
    case kLengthDelimited: {
      uint64_t length = 0;
      if (!cursor.ReadVarint(end, length) || length > end - cursor.position) {
        return NoPlan(cursor.position, "a field is longer than what holds it");
      }
      value = cursor.bytes.substr(cursor.position, static_cast<size_t>(length));
      cursor.position += static_cast<size_t>(length);
      return {};
    }
    default:
      return NoPlan(cursor.position, fmt::format("wire type {} is not used in plans", wire_type));
  }
}

// The format number is looked for first: it decides what the other fields mean.
Result<void> CheckFormat(std::string_view bytes) {
  Cursor cursor{bytes};
  uint64_t format = 0;
  while (cursor.position < bytes.size()) {
    uint64_t tag = 0;
    if (!cursor.ReadVarint(bytes.size(), tag)) return NoPlan(cursor.position, "a field is cut short");
    uint64_t varint = 0;
    std::string_view value;
    CKMAP_RETURN_IF_ERROR(SkipValue(cursor, bytes.size(), tag & 7, varint, value));
    if (tag >> 3 == plan::Plan::kFormatFieldNumber && (tag & 7) == kVarint) format = varint;
  }
  if (format == 0) return NoPlan(0, "it does not say its format");
  if (format > kPlanFormat) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("the plan has format {}, this ckmap reads format {}: use a newer ckmap, or "
                             "compile the rules with the ckmapc of this version",
                             format, kPlanFormat));
  }
  return {};
}

uint32_t ExpectedWireType(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_DOUBLE:
      return kFixed64;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return kLengthDelimited;
    default:
      return kVarint;
  }
}

}  // namespace

Result<void> CheckPlanWire(std::string_view bytes) {
  if (bytes.size() > kMaxPlanBytes) {
    return Error(ErrorCode::kLimit, fmt::format("the plan has {} bytes, the limit is {}", bytes.size(), kMaxPlanBytes));
  }
  CKMAP_RETURN_IF_ERROR(CheckFormat(bytes));

  struct Open {
    const Descriptor* type;
    size_t end;
  };
  std::vector<Open> open = {{plan::Plan::descriptor(), bytes.size()}};
  Cursor cursor{bytes};
  int64_t nodes = 0;
  while (!open.empty()) {
    const Open message = open.back();
    if (cursor.position == message.end) {
      open.pop_back();
      continue;
    }
    const size_t start = cursor.position;
    uint64_t tag = 0;
    if (!cursor.ReadVarint(message.end, tag)) return NoPlan(start, "a field is cut short");
    const FieldDescriptor* field =
        tag >> 3 <= 0x1fffffff ? message.type->FindFieldByNumber(static_cast<int>(tag >> 3)) : nullptr;
    if (field == nullptr || (tag & 7) != ExpectedWireType(*field)) {
      return NoPlan(start,
                    fmt::format("field {} of `{}` is not known to this version", tag >> 3, message.type->name()));
    }
    uint64_t varint = 0;
    std::string_view value;
    CKMAP_RETURN_IF_ERROR(SkipValue(cursor, message.end, tag & 7, varint, value));
    if ((tag & 7) == kLengthDelimited && ++nodes > kMaxPlanNodes) {
      return Error(ErrorCode::kLimit, fmt::format("the plan has more than {} parts", FormatCount(kMaxPlanNodes)));
    }
    if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      if (open.size() >= static_cast<size_t>(kMaxPlanNesting)) {
        return Error(ErrorCode::kLimit,
                     fmt::format("the plan nests more than {} levels deep at byte {}", kMaxPlanNesting, start));
      }
      open.push_back({field->message_type(), cursor.position});
      cursor.position -= value.size();
    } else if (field->type() == FieldDescriptor::TYPE_STRING && !IsValidUtf8(value)) {
      return NoPlan(start, fmt::format("`{}` is not UTF-8", field->full_name()));
    } else if (field->type() == FieldDescriptor::TYPE_ENUM &&
               (varint > 0x7fffffff || field->enum_type()->FindValueByNumber(static_cast<int>(varint)) == nullptr)) {
      return NoPlan(start, fmt::format("{} is no value of `{}`", varint, field->full_name()));
    }
  }
  return {};
}

}  // namespace ckmap
