#include "compiler/lsp/message.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

namespace ckmap::lsp {
namespace {

constexpr std::string_view kLength = "content-length:";
constexpr size_t kMaxHeader = 4096;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Where `Content-Length:` starts, in any case.
size_t FindLength(std::string_view text) {
  const auto found = std::search(text.begin(), text.end(), kLength.begin(), kLength.end(),
                                 [](char a, char b) { return Lower(a) == b; });
  return found == text.end() ? std::string_view::npos : static_cast<size_t>(found - text.begin());
}

// The number behind it, if it is one.
std::optional<size_t> ReadLength(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  const std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  return rest.find_first_not_of(" \t\r") == std::string_view::npos ? std::optional(value) : std::nullopt;
}

}  // namespace

// Reads up to the empty line; false: more bytes are needed.
bool MessageReader::ReadHeader() {
  while (!length_) {
    const size_t begin = FindLength(buffer_);
    if (begin == std::string::npos) {
      // The end of what came may be the beginning of a header.
      const size_t keep = std::min(buffer_.size(), kMaxHeader);
      if (buffer_.size() > keep) ++skipped_;
      buffer_.erase(0, buffer_.size() - keep);
      return false;
    }
    const size_t end = buffer_.find('\n', begin);
    if (end == std::string::npos) {
      if (buffer_.size() - begin <= kMaxHeader) return false;
      ++skipped_;
      buffer_.erase(0, begin + kLength.size());
      continue;
    }
    const size_t blank_unix = buffer_.find("\n\n", begin), blank = buffer_.find("\n\r\n", begin);
    const size_t stop = std::min(blank_unix, blank);
    if (stop == std::string::npos && buffer_.size() - begin <= kMaxHeader) return false;
    const auto value =
        ReadLength(std::string_view(buffer_).substr(begin + kLength.size(), end - begin - kLength.size()));
    if (!value || stop == std::string::npos || stop - begin > kMaxHeader) {
      ++skipped_;
      buffer_.erase(0, begin + kLength.size());
      continue;
    }
    buffer_.erase(0, stop + (stop == blank ? 3 : 2));
    length_ = value;
  }
  return true;
}

std::optional<std::string> MessageReader::Next() {
  while (true) {
    if (to_skip_ > 0) {
      const size_t count = std::min(to_skip_, buffer_.size());
      buffer_.erase(0, count);
      to_skip_ -= count;
      if (to_skip_ > 0) return std::nullopt;
    }
    if (!ReadHeader()) return std::nullopt;
    if (*length_ > kMaxMessageBytes) {
      to_skip_ = *length_;
      length_.reset();
      ++skipped_;
      continue;
    }
    if (buffer_.size() < *length_) return std::nullopt;
    std::string message = buffer_.substr(0, *length_);
    buffer_.erase(0, *length_);
    length_.reset();
    return message;
  }
}

std::string Frame(const std::string& json) { return fmt::format("Content-Length: {}\r\n\r\n{}", json.size(), json); }

Params Params::operator[](std::string_view key) const {
  simdjson::dom::element value;
  if (!element_ || !element_->is_object() || element_->at_key(key).get(value) != simdjson::SUCCESS) return {};
  return Params(value);
}

std::optional<std::string_view> Params::Text() const {
  std::string_view value;
  if (!element_ || element_->get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::optional<int64_t> Params::Int() const {
  int64_t value = 0;
  if (!element_ || element_->get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::optional<simdjson::dom::array> Params::Array() const {
  simdjson::dom::array value;
  if (!element_ || element_->get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

RequestId ReadId(Params id) {
  if (const auto number = id.Int()) return *number;
  if (const auto text = id.Text()) return std::string(*text);
  return {};
}

void WriteId(JsonWriter& json, const RequestId& id) {
  if (const auto* number = std::get_if<int64_t>(&id)) {
    json.Int(*number);
  } else if (const auto* text = std::get_if<std::string>(&id)) {
    json.String(*text);
  } else {
    json.Null();
  }
}

std::string PathOfUri(std::string_view uri) {
  constexpr std::string_view kScheme = "file://";
  if (!uri.starts_with(kScheme)) return std::string(uri);
  uri.remove_prefix(kScheme.size());
  if (!uri.starts_with('/')) uri.remove_prefix(std::min(uri.find('/'), uri.size()));  // the host
  std::string path;
  for (size_t i = 0; i < uri.size(); ++i) {
    unsigned byte = 0;
    const bool escaped = uri[i] == '%' && i + 2 < uri.size() &&
                         std::from_chars(uri.data() + i + 1, uri.data() + i + 3, byte, 16).ptr == uri.data() + i + 3;
    path += escaped ? static_cast<char>(byte) : uri[i];
    if (escaped) i += 2;
  }
  return path;
}

std::string UriOfPath(const std::string& path) {
  std::error_code error;
  const std::string full = std::filesystem::absolute(path, error).lexically_normal().string();
  std::string uri = "file://";
  for (const char c : error ? path : full) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-._~").find(c) != std::string_view::npos;
    if (plain) {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return uri;
}

}  // namespace ckmap::lsp
