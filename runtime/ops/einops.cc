#include "runtime/ops/einops.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr size_t kMaxText = 4096;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsWord(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }

// Reads one side of the arrow; stops at the first mistake.
class SideParser {
 public:
  SideParser(std::string_view text, size_t begin, size_t end, bool left)
      : text_(text), at_(begin), end_(end), left_(left) {}

  bool Parse(EinopsSide& side, EinopsMistake& mistake) {
    side_ = &side;
    mistake_ = &mistake;
    while (at_ < end_) {
      if (!Step()) return false;
    }
    if (open_) return Fail("this bracket is not closed", "", group_at_, 1);
    return true;
  }

 private:
  bool Fail(std::string message, std::string help, size_t at, size_t length) {
    *mistake_ = {std::move(message), std::move(help), at, length};
    return false;
  }

  bool Step() {
    const char c = text_[at_];
    if (c == ' ') {
      ++at_;
      return true;
    }
    if (c == '(') return Open();
    if (c == ')') return Close();
    if (text_.substr(at_, 3) == kEllipsis || text_.substr(at_, 3) == "\xe2\x80\xa6") return Ellipsis();
    if (IsDigit(c)) return Number();
    if (IsLetter(c) || c == '_') return Name();
    return Fail(fmt::format("`{}` has no place in this notation", PrintableAt()),
                "axes are names, `1`, `...`, and groups in round brackets", at_, 1);
  }

  std::string PrintableAt() const {
    const char c = text_[at_];
    return c > 32 && c < 127 ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }

  bool Open() {
    if (open_) return Fail("brackets inside brackets", "axes are merged in one step: (a b c)", at_, 1);
    open_ = true;
    group_at_ = at_++;
    side_->groups.push_back({{}, group_at_, 0});
    return true;
  }

  bool Close() {
    if (!open_) return Fail("this bracket was not opened", "", at_, 1);
    open_ = false;
    ++at_;
    side_->groups.back().length = at_ - group_at_;
    return true;
  }

  void Put(EinopsAxis axis, size_t length) {
    if (!open_) side_->groups.push_back({{}, axis.at, length});
    side_->groups.back().axes.push_back(std::move(axis));
  }

  bool Ellipsis() {
    if (side_->ellipsis)
      return Fail("two ellipses on one side", "`...` stands for all axes that are not named", at_, 3);
    if (open_ && left_)
      return Fail("an ellipsis in brackets on the left", "how many axes it cuts would be open; name them", at_, 3);
    side_->ellipsis = true;
    Put({std::string(kEllipsis), at_}, 3);
    at_ += 3;
    return true;
  }

  bool Number() {
    const size_t begin = at_;
    while (at_ < end_ && IsWord(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (!std::all_of(word.begin(), word.end(), IsDigit)) {
      return Fail(fmt::format("`{}` is no name of an axis", word), "names start with a letter", begin, word.size());
    }
    if (word != "1") {
      return Fail(fmt::format("an axis of size {} without a name", word),
                  fmt::format("give it a name and its size: rearrange(\"…\", name={})", word), begin, word.size());
    }
    if (!open_) side_->groups.push_back({{}, begin, 1});
    return true;
  }

  bool Name() {
    const size_t begin = at_;
    while (at_ < end_ && IsWord(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word.front() == '_' || word.back() == '_') {
      return Fail(fmt::format("`{}` is no name of an axis", word), "names neither start nor end with `_`", begin,
                  word.size());
    }
    for (const EinopsGroup& group : side_->groups) {
      for (const EinopsAxis& axis : group.axes) {
        if (axis.name == word)
          return Fail(fmt::format("axis `{}` stands twice on one side", word), "", begin, word.size());
      }
    }
    Put({std::string(word), begin}, word.size());
    return true;
  }

  std::string_view text_;
  size_t at_, end_;
  bool left_;
  bool open_ = false;
  size_t group_at_ = 0;
  EinopsSide* side_ = nullptr;
  EinopsMistake* mistake_ = nullptr;
};

// An axis of `side` that `other` lacks.
const EinopsAxis* Missing(const EinopsSide& side, const EinopsSide& other) {
  for (const EinopsGroup& group : side.groups) {
    for (const EinopsAxis& axis : group.axes) {
      bool found = false;
      for (const EinopsGroup& theirs : other.groups) {
        for (const EinopsAxis& candidate : theirs.axes) found = found || candidate.name == axis.name;
      }
      if (!found) return &axis;
    }
  }
  return nullptr;
}

}  // namespace

std::variant<Rearrangement, EinopsMistake> ParseRearrangement(std::string_view text) {
  if (text.size() > kMaxText) return EinopsMistake{"the text is too long", "", 0, text.size()};
  const size_t arrow = text.find("->");
  if (arrow == std::string_view::npos) {
    return EinopsMistake{"there is no `->`", "write what the axes are and what they become: \"(h d) e -> h d e\"", 0,
                         text.size()};
  }
  if (const size_t second = text.find("->", arrow + 2); second != std::string_view::npos) {
    return EinopsMistake{"there are two `->`", "", second, 2};
  }
  Rearrangement result;
  EinopsMistake mistake;
  if (!SideParser(text, 0, arrow, true).Parse(result.left, mistake)) return mistake;
  if (!SideParser(text, arrow + 2, text.size(), false).Parse(result.right, mistake)) return mistake;
  for (const auto& [side, other, where] :
       {std::tuple(&result.left, &result.right, "left"), std::tuple(&result.right, &result.left, "right")}) {
    if (const EinopsAxis* axis = Missing(*side, *other)) {
      return EinopsMistake{
          fmt::format("{} stands on the {} side only",
                      axis->name == kEllipsis ? "the ellipsis" : fmt::format("axis `{}`", axis->name), where),
          "a rearrangement keeps all axes: both sides hold the same", axis->at, axis->name.size()};
    }
  }
  return result;
}

}  // namespace ckmap
