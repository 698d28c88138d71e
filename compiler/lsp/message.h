// JSON-RPC as the language server protocol frames it: `Content-Length: N`, an empty line, N bytes of JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <simdjson.h>

#include "runtime/base/json_writer.h"

namespace ckmap::lsp {

// Cuts a stream of bytes into messages. What is no header is passed over until one comes, so that a length that lies
// costs the messages that it swallows and no more.
class MessageReader {
 public:
  void Feed(std::string_view bytes) { buffer_ += bytes; }
  // The next whole message; nullopt: more bytes are needed.
  std::optional<std::string> Next();
  // How often something was passed over: a message of more than the limit, or bytes that belong to none.
  int64_t skipped() const { return skipped_; }

 private:
  bool ReadHeader();

  std::string buffer_;
  std::optional<size_t> length_;  // of the message whose header was read
  size_t to_skip_ = 0;            // bytes of a message that is too long
  int64_t skipped_ = 0;
};

inline constexpr size_t kMaxMessageBytes = size_t{64} << 20;

// A header and the message.
std::string Frame(const std::string& json);

// A value inside of a message that may be absent or of another type than expected.
class Params {
 public:
  Params() = default;
  explicit Params(simdjson::dom::element element) : element_(element) {}

  explicit operator bool() const { return element_.has_value(); }
  Params operator[](std::string_view key) const;
  std::optional<std::string_view> Text() const;
  std::optional<int64_t> Int() const;
  std::optional<simdjson::dom::array> Array() const;

 private:
  std::optional<simdjson::dom::element> element_;
};

// The id of a request, sent back as it came; monostate in a notification.
using RequestId = std::variant<std::monostate, int64_t, std::string>;
RequestId ReadId(Params id);
void WriteId(JsonWriter& json, const RequestId& id);

// file:///a/b.ckmap ↔ /a/b.ckmap; other URIs stay as they are.
std::string PathOfUri(std::string_view uri);
std::string UriOfPath(const std::string& path);

}  // namespace ckmap::lsp
