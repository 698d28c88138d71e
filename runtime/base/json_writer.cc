#include "runtime/base/json_writer.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/check.h"
#include "runtime/base/text.h"

namespace ckmap {

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (size_t i = 0; i < text.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(text, i, code);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++i;
      continue;
    }
    if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\t') {
      out += "\\t";
    } else if (IsInvisible(code) && code < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
    } else if (IsInvisible(code)) {
      const uint32_t rest = static_cast<uint32_t>(code) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else {
      out.append(text, i, length);
    }
    i += length;
  }
  return out + '"';
}

void JsonWriter::NewLine(size_t depth) {
  out_ += '\n';
  out_.append(depth, ' ');
}

void JsonWriter::Separate(Level& level) {
  if (level.count > 0) out_ += level.lines ? "," : ", ";
  if (level.lines) NewLine(levels_.size());
  ++level.count;
}

void JsonWriter::BeforeValue() {
  CKMAP_CHECK(!done_);
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (level.object) {
    CKMAP_CHECK(level.has_key);
    level.has_key = false;
  } else {
    Separate(level);
  }
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  CKMAP_CHECK(!levels_.empty() && levels_.back().object && !levels_.back().has_key);
  Separate(levels_.back());
  levels_.back().has_key = true;
  out_ += JsonString(key);
  out_ += ": ";
  return *this;
}

JsonWriter& JsonWriter::BeginObject() {
  BeforeValue();
  levels_.push_back({.object = true});
  out_ += '{';
  return *this;
}

JsonWriter& JsonWriter::BeginArray() {
  BeforeValue();
  levels_.push_back({.object = false});
  out_ += '[';
  return *this;
}

void JsonWriter::Close(bool object, char bracket) {
  CKMAP_CHECK(!levels_.empty() && levels_.back().object == object && !levels_.back().has_key);
  const Level level = levels_.back();
  levels_.pop_back();
  if (level.lines && level.count > 0) NewLine(levels_.size());
  out_ += bracket;
  if (levels_.empty()) done_ = true;
}

JsonWriter& JsonWriter::EndObject() {
  Close(true, '}');
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  Close(false, ']');
  return *this;
}

JsonWriter& JsonWriter::OnLines() {
  CKMAP_CHECK(!levels_.empty() && levels_.back().count == 0);
  levels_.back().lines = true;
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view value) {
  BeforeValue();
  out_ += JsonString(value);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  BeforeValue();
  out_ += fmt::format("{}", value);
  return *this;
}

JsonWriter& JsonWriter::Number(double value) {
  if (std::isnan(value)) return String("NaN");
  if (std::isinf(value)) return String(value < 0 ? "-Infinity" : "Infinity");
  BeforeValue();
  out_ += fmt::format("{}", value);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  BeforeValue();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  BeforeValue();
  out_ += "null";
  return *this;
}

std::string JsonWriter::Finish() && {
  CKMAP_CHECK(levels_.empty() && !out_.empty());
  out_ += '\n';
  return std::move(out_);
}

}  // namespace ckmap
