#include "compiler/format/items.h"

#include <algorithm>
#include <utility>

namespace ckmap::format {
namespace {

bool IsComment(const Token& token) { return token.kind == TokenKind::kComment || token.kind == TokenKind::kDoc; }

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

class Reader {
 public:
  Reader(const SourceFile& file, FileId id) : text_(file.text()), tokens_(Tokenize(file, id)) {}

  // To the end of the file, or to the brace that closes the block. The depth of blocks is limited by the parser.
  std::vector<Item> ReadBody() {
    std::vector<Item> items;
    while (next_ < tokens_.size() && !At("}")) {
      Item item;
      item.blank_above = LinesAbove() > 1;
      if (IsComment(tokens_[next_])) {
        item.comment = Trimmed(Text(tokens_[next_++]));
      } else {
        ReadStatement(item);
      }
      items.push_back(std::move(item));
    }
    return items;
  }

 private:
  std::string_view Text(const Token& token) const {
    return text_.substr(token.span.begin, token.span.end - token.span.begin);
  }
  bool At(std::string_view symbol) const {
    return tokens_[next_].kind == TokenKind::kSymbol && Text(tokens_[next_]) == symbol;
  }
  // Line ends between the next token and the one before it.
  int64_t LinesAbove() const {
    if (next_ == 0) return 0;
    const uint32_t begin = tokens_[next_ - 1].span.end;
    const std::string_view gap = text_.substr(begin, tokens_[next_].span.begin - begin);
    return std::count(gap.begin(), gap.end(), '\n');
  }
  // The comment behind the last token, on its line.
  std::string_view Behind() {
    if (next_ >= tokens_.size() || !IsComment(tokens_[next_]) || LinesAbove() > 0) return {};
    return Trimmed(Text(tokens_[next_++]));
  }

  void ReadStatement(Item& item) {
    std::vector<std::string_view> above;
    while (next_ < tokens_.size() && !At("}")) {
      if (IsComment(tokens_[next_])) {
        above.push_back(Trimmed(Text(tokens_[next_++])));
        continue;
      }
      const bool ends = At(";");
      const bool opens = At("{");
      const size_t first = next_;
      item.words.push_back({tokens_[next_].kind, Text(tokens_[next_]), std::move(above), {}});
      above.clear();
      ++next_;
      if (ends) {
        EndStatement(item);
        return;
      }
      item.words.back().behind = Behind();
      if (opens) {
        ReadBlock(item, first);
        return;
      }
    }
  }

  // A comment between the last word and its `;` goes behind the `;`.
  void EndStatement(Item& item) {
    item.behind = Behind();
    if (item.words.size() < 2 || !item.behind.empty()) return;
    Word& last = item.words[item.words.size() - 2];
    if (item.words.back().above.empty()) item.behind = std::exchange(last.behind, {});
  }

  void ReadBlock(Item& item, size_t open) {
    item.block = true;
    item.body = ReadBody();
    if (next_ >= tokens_.size()) return;
    const size_t close = next_++;
    const uint32_t begin = tokens_[open].span.begin;
    const std::string_view whole = text_.substr(begin, tokens_[close].span.end - begin);
    const bool comments = std::any_of(item.words.begin(), item.words.end(),
                                      [](const Word& word) { return !word.above.empty() || !word.behind.empty(); });
    item.one_line = whole.find('\n') == std::string_view::npos && !comments;
    item.behind = Behind();
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
};

}  // namespace

std::vector<Item> ReadItems(const SourceFile& file, FileId id) { return Reader(file, id).ReadBody(); }

}  // namespace ckmap::format
