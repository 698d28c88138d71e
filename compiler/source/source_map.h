// The texts being compiled, and places in them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

struct FileId {
  uint32_t index = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

// Half-open range of byte offsets in one file.
struct Span {
  FileId file;
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

// From the start of `a` to the end of `b`; both in one file.
inline Span Join(Span a, Span b) { return {a.file, a.begin, b.end}; }

struct LineColumn {
  uint32_t line = 1;    // 1-based
  uint32_t column = 1;  // 1-based, bytes
};

class SourceFile {
 public:
  SourceFile(std::string name, std::string text);

  const std::string& name() const { return name_; }  // as messages show it
  std::string_view text() const { return text_; }
  LineColumn Locate(uint32_t offset) const;
  // Text of one line (1-based), without its end.
  std::string_view Line(uint32_t line) const;
  uint32_t line_begin(uint32_t line) const { return line_starts_[line - 1]; }
  uint32_t line_count() const { return static_cast<uint32_t>(line_starts_.size()); }

 private:
  std::string name_;
  std::string text_;
  std::vector<uint32_t> line_starts_;
};

// Owns the files; references stay valid while it lives.
class SourceMap {
 public:
  FileId Add(std::string name, std::string text);
  const SourceFile& file(FileId id) const { return files_[id.index]; }
  std::string_view Text(Span span) const;
  size_t size() const { return files_.size(); }

 private:
  std::deque<SourceFile> files_;
};

}  // namespace ckmap
