#include "compiler/reverse/size.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap {
namespace {

bool IsWordCharacter(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool HasWord(const std::string& text, const std::string& word) {
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !IsWordCharacter(text[at - 1])) && (end == text.size() || !IsWordCharacter(text[end]))) return true;
  }
  return false;
}

// Whether its first bracket is closed by its last.
bool InBrackets(const std::string& text) {
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (quoted) continue;
    depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
    if (depth == 0) return at > 0 && at + 1 == text.size();
  }
  return false;
}

std::string Product(int64_t number, const std::vector<std::string>& names) {
  std::vector<std::string> factors;
  if (number != 1 || names.empty()) factors.push_back(fmt::format("{}", number));
  factors.insert(factors.end(), names.begin(), names.end());
  return fmt::format("{}", fmt::join(factors, " * "));
}

}  // namespace

Size Size::Number(int64_t value) {
  Size size;
  size.over_ = value;
  return size;
}

Size Size::Name(std::string name) {
  Size size;
  size.up_.push_back(std::move(name));
  return size;
}

Size Size::Unknown() {
  Size size;
  size.known_ = false;
  return size;
}

Size Size::Of(const ast::Expr& expr, const ExprText& text) {
  if (const auto* number = std::get_if<ast::IntLiteral>(&expr.kind)) return Number(number->value);
  if (const auto* unary = std::get_if<ast::Unary>(&expr.kind); unary != nullptr && unary->op == "-" && unary->operand) {
    if (const auto* number = std::get_if<ast::IntLiteral>(&unary->operand->kind)) return Number(-number->value);
  }
  if (const auto* binary = std::get_if<ast::Binary>(&expr.kind);
      binary != nullptr && binary->op == "*" && binary->left && binary->right) {
    return Of(*binary->left, text) * Of(*binary->right, text);
  }
  std::string written = text(expr);
  if (std::holds_alternative<ast::NameRef>(expr.kind) || std::holds_alternative<ast::CallExpr>(expr.kind) ||
      InBrackets(written))
    return Name(std::move(written));
  return Name(fmt::format("({})", written));
}

bool Size::simple() const {
  if (!known_ || under_ != 1 || !down_.empty()) return false;
  return up_.empty() || (up_.size() == 1 && over_ == 1 && up_[0].find('(') == std::string::npos);
}

std::optional<int64_t> Size::number() const {
  return known_ && up_.empty() && down_.empty() && under_ == 1 ? std::optional(over_) : std::nullopt;
}

Size Size::operator+(const Size& other) const {
  if (!known_ || !other.known_) return Unknown();
  if (number() == 0) return other;
  if (other.number() == 0) return *this;
  Size sum = *this;
  const bool like = up_ == other.up_ && down_ == other.down_ && under_ == other.under_;
  if (like && !__builtin_add_overflow(over_, other.over_, &sum.over_)) {
    sum.Cancel();
    return sum;
  }
  const auto term = [](const Size& size) {
    const std::string text = size.Text();
    const bool alone =
        size.up_.size() == 1 && size.over_ == 1 && size.under_ == 1 && size.down_.empty() && InBrackets(text);
    return alone ? text.substr(1, text.size() - 2) : text;
  };
  return Name(fmt::format("({} + {})", term(*this), term(other)));
}

Size Size::operator*(const Size& other) const {
  Size result = *this;
  result.known_ = known_ && other.known_ && !__builtin_mul_overflow(over_, other.over_, &result.over_) &&
                  !__builtin_mul_overflow(under_, other.under_, &result.under_);
  result.up_.insert(result.up_.end(), other.up_.begin(), other.up_.end());
  result.down_.insert(result.down_.end(), other.down_.begin(), other.down_.end());
  result.Cancel();
  return result;
}

Size Size::operator/(const Size& other) const {
  Size inverse = other;
  std::swap(inverse.over_, inverse.under_);
  std::swap(inverse.up_, inverse.down_);
  inverse.known_ = other.known_ && other.over_ != 0;
  return *this * inverse;
}

void Size::Cancel() {
  std::sort(up_.begin(), up_.end());
  std::sort(down_.begin(), down_.end());
  for (size_t i = 0; i < up_.size();) {
    const auto found = std::find(down_.begin(), down_.end(), up_[i]);
    if (found == down_.end()) {
      ++i;
      continue;
    }
    down_.erase(found);
    up_.erase(up_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const int64_t common = std::gcd(over_, under_);
  if (common > 1) {
    over_ /= common;
    under_ /= common;
  }
}

std::string Size::Text() const {
  const std::string over = Product(over_, up_);
  if (under_ == 1 && down_.empty()) return over;
  const std::string under = Product(under_, down_);
  return fmt::format("{} / {}", over, down_.size() + (under_ != 1 ? 1 : 0) > 1 ? fmt::format("({})", under) : under);
}

std::string Size::Text(const std::map<std::string, std::string>& words) const {
  std::string text = Text(), out;
  bool quoted = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    if (text[at] == '"') quoted = !quoted;
    while (end < text.size() && IsWordCharacter(text[end])) ++end;
    const std::string word = text.substr(at, std::max(end, at + 1) - at);
    const auto found = words.find(word);
    out += quoted || found == words.end() || found->second.empty() ? word : found->second;
    at += word.size();
  }
  return out;
}

bool Size::Mentions(const std::string& name) const {
  const auto in = [&](const std::string& factor) { return HasWord(factor, name); };
  return std::any_of(up_.begin(), up_.end(), in) || std::any_of(down_.begin(), down_.end(), in);
}

}  // namespace ckmap
