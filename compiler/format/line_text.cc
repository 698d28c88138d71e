#include "compiler/format/line_text.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ckmap::format {
namespace {

bool OneOf(const Word& word, std::initializer_list<std::string_view> symbols) {
  return std::any_of(symbols.begin(), symbols.end(), [&](std::string_view symbol) { return word.Is(symbol); });
}

// What a value or a name ends in; a minus behind it subtracts.
bool EndsValue(const Word& word) {
  return word.kind != TokenKind::kKeyword ? word.kind != TokenKind::kSymbol || OneOf(word, {")", "]", "?"})
                                          : OneOf(word, {"true", "false"});
}

}  // namespace

LineText::LineText(const std::vector<Word>& words) : words_(words) {
  int depth = 0;
  for (const Word& word : words) {
    if (OneOf(word, {")", "]"})) --depth;
    depth_.push_back(depth);
    if (OneOf(word, {"(", "["})) ++depth;
  }
  if (words.empty()) return;
  tight_assign_ = OneOf(words[0], {"cast", "shard"});
  if (!words[0].Is("use")) return;
  while (use_path_end_ < words.size() && !OneOf(words[use_path_end_], {"with", ">=", ";"})) ++use_path_end_;
}

std::string LineText::Text(size_t begin, size_t end) const {
  std::string text;
  for (size_t i = begin; i < end; ++i) {
    if (i > begin && SpaceBetween(i - 1, i)) text += ' ';
    text += words_[i].text;
  }
  return text;
}

bool LineText::IsUnaryMinus(size_t word) const {
  return words_[word].Is("-") && !InUsePath(word) && (word == 0 || !EndsValue(words_[word - 1]));
}

bool LineText::InUsePath(size_t word) const { return word > 0 && word < use_path_end_; }

bool LineText::SpaceBetween(size_t left, size_t right) const {
  const Word& a = words_[left];
  const Word& b = words_[right];
  if (OneOf(b, {",", ";", ")", "]", "?", ":", ".."}) || OneOf(a, {"(", "[", ".."}) || IsUnaryMinus(left)) return false;
  const bool use_sign = (InUsePath(left) && OneOf(a, {"/", "-"})) || (InUsePath(right) && OneOf(b, {"/", "-"}));
  if (use_sign) return false;
  const bool tight = tight_assign_ || depth_[right] > 0;
  if (a.Is("=") || b.Is("=")) return !tight;
  if (b.Is("(")) return a.kind != TokenKind::kWord || (a.Is("with") && OneOf(words_[0], {"use", "test"}));
  return true;
}

}  // namespace ckmap::format
