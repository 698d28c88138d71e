#include "compiler/format/layout.h"

#include <algorithm>
#include <utility>

#include "compiler/format/line_text.h"
#include "runtime/base/text.h"

namespace ckmap::format {
namespace {

constexpr size_t kContinuation = 2;  // of the parts of a statement; twice that in front of a block
constexpr size_t kOverflow = 4;      // of what is too long for its line

enum class Role { kHead, kOps, kArrow, kClause };

struct Part {
  Role role = Role::kHead;
  size_t begin = 0, end = 0;
};

bool IsArrow(const Word& word) { return word.Is("->") || word.Is("<->"); }
bool IsClause(const Word& word) {
  return word.Is("when") || word.Is("where") || word.Is("exactly") || word.Is("because") || word.Is("equals");
}

class Layouter {
 public:
  Layouter(const std::vector<Word>& words, size_t indent) : words_(words), text_(words), indent_(indent) {
    FindParts();
  }

  StatementLayout Run() {
    StatementLayout layout;
    const bool commented = std::any_of(words_.begin(), words_.end(),
                                       [](const Word& word) { return !word.above.empty() || !word.behind.empty(); });
    const std::vector<size_t> breaks = commented ? EveryPart() : Breaks();
    if (!commented && FirstLineWhole(breaks)) AddCells(layout, breaks);
    size_t begin = 0;
    for (size_t i = 0; i <= breaks.size(); ++i) {
      const size_t end = i < breaks.size() ? breaks[i] : words_.size();
      AddLine(layout, begin, end, IndentAt(begin));
      begin = end;
    }
    return layout;
  }

 private:
  bool Outside(size_t word) const { return text_.depth(word) == 0; }

  // The text behind the condition of an `assert`.
  bool IsMessage(size_t word) const {
    if (!words_[0].Is("assert") || words_[word].kind != TokenKind::kText || word + 2 != words_.size()) return false;
    const Word& before = words_[word - 1];
    return before.kind != TokenKind::kSymbol || before.Is(")") || before.Is("]");
  }

  void FindParts() {
    parts_.push_back({Role::kHead, 0, words_.size()});
    for (size_t i = 1; i < words_.size(); ++i) {
      if (!Outside(i)) continue;
      Role role = Role::kHead;
      if (IsArrow(words_[i])) {
        role = Role::kArrow;
      } else if (IsClause(words_[i]) || IsMessage(i)) {
        role = Role::kClause;
      } else if (words_[i].Is("|") && parts_.back().role == Role::kHead) {
        role = Role::kOps;
      }
      if (role == Role::kHead) continue;
      parts_.back().end = i;
      parts_.push_back({role, i, words_.size()});
    }
  }

  size_t IndentAt(size_t word) const {
    if (word == 0) return indent_;
    return indent_ + (words_.back().Is("{") ? 2 * kContinuation : kContinuation);
  }
  size_t Width(size_t begin, size_t end) const { return DisplayWidth(text_.Text(begin, end)); }

  // Whether all lines fit that these breaks give.
  bool Fits(const std::vector<size_t>& breaks) const {
    size_t begin = 0;
    for (size_t i = 0; i <= breaks.size(); ++i) {
      const size_t end = i < breaks.size() ? breaks[i] : words_.size();
      if (IndentAt(begin) + Width(begin, end) > kLineWidth) return false;
      begin = end;
    }
    return true;
  }

  enum class Clauses { kOneLine, kApart };

  // Starts of the parts that have one of the roles, and of the clauses: the first, or all of them.
  std::vector<size_t> StartsOf(std::initializer_list<Role> roles, Clauses clauses) const {
    std::vector<size_t> starts;
    bool clause = false;
    for (const Part& part : parts_) {
      if (part.role == Role::kClause) {
        if (!std::exchange(clause, true) || clauses == Clauses::kApart) starts.push_back(part.begin);
      } else if (part.begin > 0 && std::find(roles.begin(), roles.end(), part.role) != roles.end()) {
        starts.push_back(part.begin);
      }
    }
    return starts;
  }
  std::vector<size_t> LastClause() const {
    return parts_.back().role == Role::kClause ? std::vector<size_t>{parts_.back().begin} : std::vector<size_t>{};
  }
  std::vector<size_t> EveryPart() const { return StartsOf({Role::kOps, Role::kArrow}, Clauses::kApart); }

  // The fewest lines that fit: all on one; the last clause, all clauses apart; the source apart; every part.
  std::vector<size_t> Breaks() const {
    const bool has_ops =
        std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.role == Role::kOps; });
    const Role second = has_ops ? Role::kOps : Role::kArrow;
    const std::vector<size_t> choices[] = {
        {},
        LastClause(),
        StartsOf({}, Clauses::kOneLine),
        StartsOf({}, Clauses::kApart),
        StartsOf({second}, Clauses::kOneLine),
        StartsOf({second}, Clauses::kApart),
        StartsOf({Role::kOps, Role::kArrow}, Clauses::kOneLine),
    };
    for (const std::vector<size_t>& breaks : choices) {
      if (Fits(breaks)) return breaks;
    }
    return EveryPart();
  }

  // Whether nothing but clauses stands on lines of its own.
  bool FirstLineWhole(const std::vector<size_t>& breaks) const { return breaks.empty() || IsClause(words_[breaks[0]]); }

  // Where a line that is too long may be broken.
  bool MayBreak(size_t word) const {
    return words_[word - 1].Is(",") || words_[word].Is("|") || words_[word].Is("and") || words_[word].Is("or") ||
           words_[word].Is("then") || words_[word].Is("else") || IsArrow(words_[word]);
  }

  // The last of the outermost places at which what stands before it fits; else the first place of all.
  size_t BreakOf(size_t begin, size_t end, size_t indent) const {
    size_t best = end, first = end;
    for (size_t i = begin + 1; i < end; ++i) {
      if (!MayBreak(i)) continue;
      first = std::min(first, i);
      if (indent + Width(begin, i) > kLineWidth) break;
      if (best == end || text_.depth(i) <= text_.depth(best)) best = i;
    }
    return best == end ? first : best;
  }

  void AddLine(StatementLayout& layout, size_t begin, size_t end, size_t indent) {
    const size_t overflow = indent + kOverflow;
    while (begin < end) {
      for (const std::string_view comment : words_[begin].above)
        layout.lines.push_back({indent, std::string(comment), ""});
      size_t stop = begin + 1;
      while (stop < end && words_[stop - 1].behind.empty() && words_[stop].above.empty()) ++stop;
      if (indent + Width(begin, stop) > kLineWidth) stop = BreakOf(begin, stop, indent);
      layout.lines.push_back({indent, text_.Text(begin, stop), std::string(words_[stop - 1].behind)});
      begin = stop;
      indent = overflow;
    }
  }

  // ---- columns -----------------------------------------------------------------------------------

  // Statements whose parts can stand in columns, and the words that start a cell.
  std::string_view ColumnsOf(std::vector<std::string_view>& starts) const {
    const Word& first = words_[0];
    if (first.Is("drop")) starts = {"when", "equals", "because"};
    if (first.Is("init")) starts = {"=", "when"};
    if (first.Is("let")) starts = {"="};
    if (first.Is("module")) starts = {"is", "when"};
    if (first.Is("place")) starts = {"on"};
    if (first.Is("shard")) starts = {"axis", "over"};
    return starts.empty() ? std::string_view() : first.text;
  }

  void AddCells(StatementLayout& layout, const std::vector<size_t>& breaks) {
    const size_t end = breaks.empty() ? words_.size() : breaks[0];
    if (end == 0 || words_.back().Is("{") || indent_ + Width(0, end) > kLineWidth) return;
    std::vector<std::string_view> starts;
    layout.columns = ColumnsOf(starts);
    if (!layout.columns.empty()) {
      AddCellsAt(layout, starts, end);
    } else if (parts_.size() > 1 && !words_[0].Is("names") && !words_[0].Is("cast")) {
      AddRuleCells(layout, end);
    }
    if (layout.cells.empty()) layout.columns = {};
  }

  void AddCellsAt(StatementLayout& layout, const std::vector<std::string_view>& starts, size_t end) {
    size_t begin = 0, next = 0;
    for (size_t i = 1; i < end; ++i) {
      if (!Outside(i)) continue;
      const auto found =
          std::find_if(starts.begin(), starts.end(), [&](std::string_view s) { return words_[i].Is(s); });
      if (found == starts.end()) continue;
      const auto column = static_cast<size_t>(found - starts.begin());
      if (column < next) return layout.cells.clear();  // in another order
      layout.cells.push_back(text_.Text(begin, i));
      layout.cells.resize(column + 1);
      next = column + 1;
      begin = i;
    }
    layout.cells.push_back(text_.Text(begin, end));
    layout.cells.resize(starts.size() + 1);
  }

  // name | shape | operations | arrow and name | shape | clauses
  void AddRuleCells(StatementLayout& layout, size_t end) {
    if (std::none_of(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(end), IsArrow)) return;
    size_t at = 0;
    const auto take = [&](auto stop) {
      const size_t begin = at;
      while (at < end && !stop(at)) ++at;
      layout.cells.push_back(text_.Text(begin, at));
    };
    const auto outside = [&](size_t i, auto is) { return Outside(i) && is(words_[i]); };
    const auto shape = [](const Word& word) { return word.Is("["); };
    const auto ops = [](const Word& word) { return word.Is("|") || IsArrow(word); };
    if (words_[0].Is("(")) return;
    take([&](size_t i) { return outside(i, shape) || outside(i, ops); });
    take([&](size_t i) { return outside(i, ops); });
    take([&](size_t i) { return outside(i, IsArrow); });
    take([&](size_t i) { return outside(i, shape) || outside(i, IsClause); });
    take([&](size_t i) { return outside(i, IsClause); });
    take([](size_t) { return false; });
    const bool several = std::any_of(words_.begin(), words_.end(), [&](const Word& word) {
      return word.Is(",") && Outside(static_cast<size_t>(&word - words_.data()));
    });
    if (several || layout.cells[0].empty()) layout.cells.clear();
    layout.columns = words_[0].Is("rename") ? "rename" : "rule";
  }

  const std::vector<Word>& words_;
  LineText text_;
  size_t indent_;
  std::vector<Part> parts_;
};

}  // namespace

StatementLayout LayOut(const std::vector<Word>& words, size_t indent) { return Layouter(words, indent).Run(); }

}  // namespace ckmap::format
