#include "runtime/formats/numpy/npy_header.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/tensor/numpy_types.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr size_t kMaxNesting = 1000;

Error Bad(std::string_view what) { return {ErrorCode::kMalformed, fmt::format("the .npy header {}", what)}; }

// The literal, left to right.
class LiteralParser {
 public:
  explicit LiteralParser(std::string_view text) : text_(text) {}

  Result<NpyHeader> Parse() {
    if (!Take('{')) return Bad("does not begin with `{`");
    while (!Take('}')) {
      CKMAP_RETURN_IF_ERROR(Entry());
      if (Take(',')) continue;
      if (!Take('}')) return Bad("lacks a comma or `}` behind a value");
      break;
    }
    Space();
    if (at_ != text_.size()) return Bad("goes on behind its `}`");
    if (!has_descr_ || !has_order_ || !has_shape_) return Bad("must have `descr`, `fortran_order` and `shape`");
    return std::move(header_);
  }

 private:
  Result<void> Entry() {
    CKMAP_ASSIGN_OR_RETURN(const std::string_view key, Text());
    if (!Take(':')) return Bad("lacks a colon behind a key");
    bool* given = key == "descr"           ? &has_descr_
                  : key == "fortran_order" ? &has_order_
                  : key == "shape"         ? &has_shape_
                                           : nullptr;
    if (given == nullptr) return Bad(fmt::format("has the key {}, which numpy does not write", QuoteName(key)));
    if (std::exchange(*given, true)) return Bad(fmt::format("has `{}` twice", key));
    if (key == "descr") return Descr();
    if (key == "shape") return ReadShape();
    return Order();
  }

  Result<void> Descr() {
    Space();
    if (at_ < text_.size() && (text_[at_] == '[' || text_[at_] == '(')) return SkipRecord();
    CKMAP_ASSIGN_OR_RETURN(const std::string_view descr, Text());
    header_.descr = std::string(descr);
    if (descr.size() < 2 || std::string_view("<>|").find(descr[0]) == std::string_view::npos) {
      return Bad(fmt::format("has the element type {}; it must begin with <, > or |", QuoteName(descr)));
    }
    const auto dtype = NumpyNumberType(descr.substr(1));
    if (!dtype) {
      if (NpyKindName(descr).empty()) return Bad(fmt::format("has the unknown element type {}", QuoteName(descr)));
      return {};
    }
    const bool one_byte = DTypeSize(*dtype) == 1;
    if (descr[0] == '|' && !one_byte) return Bad(fmt::format("does not say the byte order of {}", QuoteName(descr)));
    header_.dtype = *dtype;
    header_.byteswap = descr[0] == '>' && !one_byte;
    return {};
  }

  // A list of fields, which may hold lists. Only its end is looked for.
  Result<void> SkipRecord() {
    std::string open;  // the brackets that are not closed yet
    do {
      Space();
      if (at_ == text_.size()) return Bad("ends within the list of a record's fields");
      const char c = text_[at_];
      if (c == '\'' || c == '"') {
        CKMAP_RETURN_IF_ERROR(SkipText());
        continue;
      }
      ++at_;
      if (c == '[' || c == '(') {
        if (open.size() == kMaxNesting) return Bad("nests records too deeply");
        open += c == '[' ? ']' : ')';
      } else if (c == ']' || c == ')') {
        if (c != open.back()) return Bad("closes a bracket that is not open");
        open.pop_back();
      } else if (c != ',' && c != ':' && (c < '0' || c > '9') && c != 'L') {
        return Bad("has a record with something else than fields");
      }
    } while (!open.empty());
    return {};
  }

  Result<void> SkipText() {
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return Bad("ends within a text");
    ++at_;
    return {};
  }

  Result<void> Order() {
    Space();
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("True")) {
      header_.fortran_order = true;
      at_ += 4;
    } else if (rest.starts_with("False")) {
      at_ += 5;
    } else {
      return Bad("has a `fortran_order` that is neither True nor False");
    }
    return {};
  }

  Result<void> ReadShape() {
    if (!Take('(')) return Bad("has a `shape` that is no tuple");
    bool comma = true;
    while (!Take(')')) {
      if (!comma) return Bad("has a `shape` without a comma between two sizes");
      CKMAP_ASSIGN_OR_RETURN(const int64_t size, Size());
      if (header_.shape.size() == kMaxTensorRank) return Bad(fmt::format("has more than {} axes", kMaxTensorRank));
      header_.shape.push_back(size);
      comma = Take(',');
    }
    if (header_.shape.size() == 1 && !comma) return Bad("has a `shape` that is a number in parentheses, no tuple");
    return {};
  }

  Result<int64_t> Size() {
    Space();
    const char* const begin = text_.data() + at_;
    int64_t size = 0;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
    const bool leading_zero = end - begin > 1 && *begin == '0';
    if (error != std::errc() || size < 0 || size > kMaxTensorDim || leading_zero || *begin == '-') {
      return Bad("has a `shape` with something else than sizes of axes");
    }
    at_ += static_cast<size_t>(end - begin);
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 writes them
    return size;
  }

  // A text without escapes.
  Result<std::string_view> Text() {
    Space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return Bad("lacks a text");
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return Bad("ends within a text");
    const std::string_view text = text_.substr(at_ + 1, end - at_ - 1);
    if (text.find('\\') != std::string_view::npos) return Bad("has an escape in a text");
    at_ = end + 1;
    return text;
  }

  void Space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  bool Take(char wanted) {
    Space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
  NpyHeader header_;
};

}  // namespace

Result<NpyText> FindNpyText(std::string_view prefix, int64_t file_bytes) {
  const auto bad = [](std::string_view what) { return Error(ErrorCode::kMalformed, std::string(what)); };
  constexpr size_t kVersionEnd = kNpyMagic.size() + 2;
  if (prefix.size() < kVersionEnd + 2 || !prefix.starts_with(kNpyMagic)) return bad("is no .npy file");
  const char major = prefix[kNpyMagic.size()];
  const char minor = prefix[kNpyMagic.size() + 1];
  if (major < 1 || major > 3 || minor != 0) {
    return bad(fmt::format("is a .npy file of version {}.{}; 1.0, 2.0 and 3.0 are read", int{major}, int{minor}));
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (prefix.size() < kVersionEnd + length_bytes) return bad("ends within its .npy header");
  const char* const at = prefix.data() + kVersionEnd;
  const auto length = int64_t{major == 1 ? LoadLittle<uint16_t>(at) : LoadLittle<uint32_t>(at)};
  const auto begin = static_cast<int64_t>(kVersionEnd + length_bytes);
  if (length > file_bytes - begin) {
    return bad(fmt::format("has a .npy header of {} bytes, but only {} follow (is the file cut short?)", length,
                           file_bytes - begin));
  }
  if (length > kMaxNpyHeader) {
    return Error(ErrorCode::kLimit, fmt::format("has a .npy header of {}, at most {} are read", FormatBytes(length),
                                                FormatBytes(kMaxNpyHeader)));
  }
  return NpyText{begin, length};
}

Result<NpyHeader> ParseNpyText(std::string_view text) {
  CKMAP_ASSIGN_OR_RETURN(NpyHeader header, LiteralParser(text).Parse());
  const DType counted = header.dtype == DType::kAny ? DType::kU8 : header.dtype;
  if (!NumBytes(header.shape, counted))
    return Bad(fmt::format("has the shape {}, which is too large", FormatShape(header.shape)));
  return header;
}

std::string_view NpyKindName(std::string_view descr) {
  if (descr.empty()) return "records";
  const std::string_view type = descr.substr(1);
  if (type.starts_with("O")) return "Python objects";
  if (type.starts_with("U")) return "text";
  if (type.starts_with("S") || type.starts_with("a")) return "byte strings";
  if (type.starts_with("M8") || type.starts_with("m8")) return "dates or durations";
  if (type.starts_with("V")) return "opaque bytes";
  if (type == "f16" || type == "f12" || type == "c32" || type == "c24" || type == "f10") return "long doubles";
  return "";
}

int64_t NpyItemSize(std::string_view descr) {
  if (descr.size() < 3) return 0;
  const char kind = descr[1];
  int64_t count = 0;
  const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), count);
  if (error != std::errc() || end != descr.data() + descr.size() || count < 0 || count > int64_t{1} << 30) return 0;
  if (kind == 'U') return count * 4;
  return kind == 'S' || kind == 'a' || kind == 'V' ? count : 0;
}

}  // namespace ckmap
