// The bytes of a source file as ANTLR's input: one symbol a byte, so that every index of a token is a
// byte offset and invalid UTF-8 does no harm. Private to compiler/syntax.
#pragma once

#include <antlr4-runtime.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace ckmap {

class ByteStream final : public antlr4::CharStream {
 public:
  // Reading starts at `begin` (behind a byte order mark). `text` must outlive the stream.
  ByteStream(std::string_view text, size_t begin) : text_(text), position_(begin) {}

  void consume() override {
    if (position_ < text_.size()) ++position_;
  }
  size_t LA(ssize_t i) override {
    if (i == 0) return 0;
    const ssize_t at = static_cast<ssize_t>(position_) + (i > 0 ? i - 1 : i);
    if (at < 0 || at >= static_cast<ssize_t>(text_.size())) return antlr4::IntStream::EOF;
    return static_cast<unsigned char>(text_[static_cast<size_t>(at)]);
  }
  ssize_t mark() override { return -1; }
  void release(ssize_t) override {}
  size_t index() override { return position_; }
  void seek(size_t index) override { position_ = std::min(index, text_.size()); }
  size_t size() override { return text_.size(); }
  std::string getSourceName() const override { return "ckmap"; }
  std::string getText(const antlr4::misc::Interval& range) override {
    const auto first = static_cast<size_t>(std::max<ssize_t>(range.a, 0));
    if (range.b < range.a || first >= text_.size()) return {};
    return std::string(text_.substr(first, static_cast<size_t>(range.b) - first + 1));
  }
  std::string toString() const override { return std::string(text_); }

 private:
  std::string_view text_;
  size_t position_;
};

}  // namespace ckmap
