// Whether bytes are messages of a protobuf schema, down to the innermost: what a library that parses all of a file
// would refuse is refused, though most of it is passed over here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// A message and its fields, "1v 2s 7:GraphProto": the number, and what it is: a varint (v), 4 or 8 fixed bytes (f, d),
// bytes (b), text (s), or a message; "3v!" is one that must be there. Numbers may be packed.
struct WireMessageText {
  std::string_view name;
  std::string_view fields;
};

class WireSchema {
 public:
  // The first message is the outermost. Texts must outlive the schema; names that are not there are a mistake of ours.
  explicit WireSchema(std::span<const WireMessageText> messages);

  // kMalformed, naming the byte, for the first that is wrong in [begin, end) of the source: numbers that are cut short,
  // fields that end too late, text that is not UTF-8, messages without what must be there, or within more than 100
  // others. Unknown fields, and known ones of another wire type, are passed over, as protobuf does.
  Result<void> Check(const ByteSource& source, int64_t begin, int64_t end) const;

 private:
  struct Field {
    char kind = 'v';
    size_t message = 0;  // of kind 'm'
  };
  struct Message {
    std::string_view name;
    std::map<uint32_t, Field> fields;
    std::vector<uint32_t> required;  // at most kMaxRequired
  };

  std::vector<Message> messages_;
};

}  // namespace ckmap
