#include "compiler/sema/overlap/alignment.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

bool IsNumber(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit); }

std::optional<int64_t> NumberOf(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return IsNumber(text) && error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                                    : std::nullopt;
}

// "0", "17", but not "007": what a computed number looks like.
bool IsComputedNumber(std::string_view text) { return IsNumber(text) && (text.size() == 1 || text[0] != '0'); }

const TypedCapture* CaptureOf(const Language& language, const TypedPart& part) {
  if (part.kind == TypedPart::Kind::kCapture) return &part.capture;
  if (part.kind != TypedPart::Kind::kReference) return nullptr;
  for (const TypedPart& other : language.pattern->parts) {
    if (other.kind == TypedPart::Kind::kCapture && other.capture.name == part.text) return &other.capture;
  }
  if (language.rule == nullptr) return nullptr;
  for (const TypedCapture& capture : language.rule->captures) {
    if (capture.name == part.text) return &capture;
  }
  return nullptr;
}

TypedExpr CaptureExpr(const std::string& name) {
  TypedExpr expr;
  expr.kind = TypedExpr::Kind::kCapture;
  expr.type = ValueType::kInt;
  expr.text = name;
  return expr;
}

void SetText(const TypedCapture& capture, const std::string& text, CaptureNames& names) {
  if (!names.texts.emplace(capture.name, text).second) return;
  const std::optional<int64_t> number = NumberOf(text);
  if (capture.kind != TypedCapture::Kind::kInt) {
    names.values.emplace(capture.name, text);
  } else if (number) {
    names.values.emplace(capture.name, *number);
  }
}

void SetSame(const TypedCapture& first, const TypedCapture& second, Alignment& alignment) {
  const auto [known, fresh] = alignment.second.same.emplace(second.name, first.name);
  if (fresh || known->second == first.name) return;
  if (first.kind == TypedCapture::Kind::kInt && second.kind == TypedCapture::Kind::kInt) {
    alignment.numbers.emplace_back(CaptureExpr(first.name), CaptureExpr(second.name));
  }
}

}  // namespace

// A part of a name between two separators: text, one part that varies, text; or something else.
struct Aligner::Segment {
  bool plain = true;  // at most one part varies
  bool wide = false;  // it may hold separators
  const TypedPart* part = nullptr;
  const TypedCapture* capture = nullptr;  // of the part
  std::string before, after;              // text around the part; without a part all is in `before`

  void Add(std::string_view text) { (part != nullptr ? after : before) += text; }
};

bool Aligner::IsWide(const Language& language, const TypedPart& part) const {
  const auto holds = [&](const std::string& text) { return text.find(separator_) != std::string::npos; };
  if (part.kind == TypedPart::Kind::kAlternatives) return std::any_of(part.options.begin(), part.options.end(), holds);
  if (part.kind == TypedPart::Kind::kExpr) return part.expr.type != ValueType::kInt;
  const TypedCapture* capture = CaptureOf(language, part);
  if (capture == nullptr) return true;
  switch (capture->kind) {
    case TypedCapture::Kind::kSegment:
      return !one_separator_;
    case TypedCapture::Kind::kInt:
      return false;
    case TypedCapture::Kind::kChoice:
      return std::any_of(capture->choices.begin(), capture->choices.end(), holds);
    case TypedCapture::Kind::kPath:
    case TypedCapture::Kind::kRegex:
      break;
  }
  return true;
}

std::vector<Aligner::Segment> Aligner::SegmentsOf(const Language& language) const {
  std::vector<Segment> segments(1);
  for (const TypedPart& part : language.pattern->parts) {
    if (part.kind == TypedPart::Kind::kLiteral) {
      std::string_view rest = part.text;
      for (size_t at = rest.find(separator_); at != std::string_view::npos; at = rest.find(separator_)) {
        segments.back().Add(rest.substr(0, at));
        segments.emplace_back();
        rest.remove_prefix(at + separator_.size());
      }
      segments.back().Add(rest);
      continue;
    }
    Segment& segment = segments.back();
    segment.plain = segment.plain && segment.part == nullptr && part.kind != TypedPart::Kind::kAlternatives;
    segment.wide = segment.wide || IsWide(language, part);
    segment.part = &part;
    segment.capture = CaptureOf(language, part);
  }
  return segments;
}

void Aligner::AlignSegments(const Segment& first, const Segment& second, Alignment& alignment) {
  if (!first.plain || !second.plain || (first.part == nullptr && second.part == nullptr)) return;
  if (first.part == nullptr || second.part == nullptr) {
    const Segment &open = first.part != nullptr ? first : second, &fixed = first.part != nullptr ? second : first;
    const std::string& text = fixed.before;
    if (text.size() < open.before.size() + open.after.size() || !text.starts_with(open.before) ||
        !text.ends_with(open.after))
      return;
    const std::string middle = text.substr(open.before.size(), text.size() - open.before.size() - open.after.size());
    const bool is_first = first.part != nullptr;
    if (open.capture != nullptr) {
      SetText(*open.capture, middle, is_first ? alignment.first : alignment.second);
    } else if (const auto number = NumberOf(middle); number && IsComputedNumber(middle)) {
      const TypedExpr &computed = open.part->expr, constant = TypedExpr::Int(*number, {});
      alignment.numbers.emplace_back(is_first ? computed : constant, is_first ? constant : computed);
    }
    return;
  }
  if (first.before != second.before || first.after != second.after) return;
  if (first.capture != nullptr && second.capture != nullptr) return SetSame(*first.capture, *second.capture, alignment);
  const auto number = [](const Segment& segment) -> std::optional<TypedExpr> {
    if (segment.capture == nullptr) return segment.part->expr;
    if (segment.capture->kind != TypedCapture::Kind::kInt) return std::nullopt;
    return CaptureExpr(segment.capture->name);
  };
  const auto left = number(first), right = number(second);
  if (left && right) alignment.numbers.emplace_back(*left, *right);
}

Alignment Aligner::BySegments(const Language& first, const Language& second) const {
  Alignment alignment;
  alignment.second.second = true;
  if (!first.pattern->regex.empty() || !second.pattern->regex.empty()) return alignment;
  const std::vector<Segment> left = SegmentsOf(first), right = SegmentsOf(second);
  const auto wide = [](const Segment& segment) { return segment.wide; };
  const auto front = [&](const std::vector<Segment>& segments) {
    return std::find_if(segments.begin(), segments.end(), wide) - segments.begin();
  };
  const auto back = [&](const std::vector<Segment>& segments) {
    return std::find_if(segments.rbegin(), segments.rend(), wide) - segments.rbegin();
  };
  const auto from_front = std::min(front(left), front(right)), from_back = std::min(back(left), back(right));
  for (ptrdiff_t i = 0; i < from_front; ++i)
    AlignSegments(left[static_cast<size_t>(i)], right[static_cast<size_t>(i)], alignment);
  const bool all = from_front == std::ssize(left) && from_front == std::ssize(right);
  for (ptrdiff_t i = 1; i <= from_back && !all; ++i) {
    AlignSegments(left[static_cast<size_t>(std::ssize(left) - i)], right[static_cast<size_t>(std::ssize(right) - i)],
                  alignment);
  }
  return alignment;
}

// ---- patterns that differ in their captures only ---------------------------------------------------------

namespace {

// Text, or a part that varies.
struct Piece {
  std::string text;
  const TypedPart* part = nullptr;
};

// Text of several parts (a prefix, its separator and the name) is one piece.
std::vector<Piece> PiecesOf(const TypedPattern& pattern) {
  std::vector<Piece> pieces;
  for (const TypedPart& part : pattern.parts) {
    if (part.kind != TypedPart::Kind::kLiteral) {
      pieces.push_back({"", &part});
    } else if (!pieces.empty() && pieces.back().part == nullptr) {
      pieces.back().text += part.text;
    } else {
      pieces.push_back({part.text, nullptr});
    }
  }
  return pieces;
}

}  // namespace

bool Aligner::SameForm(const TypedPattern& first, const TypedPattern& second) {
  const std::vector<Piece> left = PiecesOf(first), right = PiecesOf(second);
  const auto open = [](const Piece& piece) {
    return piece.part != nullptr &&
           (piece.part->kind == TypedPart::Kind::kCapture || piece.part->kind == TypedPart::Kind::kReference);
  };
  return !left.empty() &&
         std::equal(left.begin(), left.end(), right.begin(), right.end(), [&](const Piece& a, const Piece& b) {
           return (open(a) && open(b)) || (a.part == nullptr && b.part == nullptr && a.text == b.text);
         });
}

void Aligner::AddByForm(const Language& first, const Language& second, Alignment& alignment) {
  const std::vector<Piece> left = PiecesOf(*first.pattern), right = PiecesOf(*second.pattern);
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i].part == nullptr) continue;
    const TypedCapture *a = CaptureOf(first, *left[i].part), *b = CaptureOf(second, *right[i].part);
    if (a != nullptr && b != nullptr) SetSame(*a, *b, alignment);
  }
}

// The one name and a pattern with one capture, which then has one text.
void Aligner::AddByLiteral(const Language& first, const Language& second, Alignment& alignment) {
  const Language& open = first.literal ? second : first;
  const std::string& name = first.literal ? *first.literal : *second.literal;
  const TypedPart* varies = nullptr;
  for (const TypedPart& part : open.pattern->parts) {
    if (part.kind == TypedPart::Kind::kLiteral) continue;
    if (varies != nullptr) return;
    varies = &part;
  }
  const TypedCapture* capture = varies != nullptr ? CaptureOf(open, *varies) : nullptr;
  if (capture == nullptr || name.size() < open.prefix.size() + open.suffix.size()) return;
  if (!name.starts_with(open.prefix) || !name.ends_with(open.suffix)) return;
  SetText(*capture, name.substr(open.prefix.size(), name.size() - open.prefix.size() - open.suffix.size()),
          &open == &first ? alignment.first : alignment.second);
}

}  // namespace ckmap
