// Sizes as they are written: products and quotients of names, so that what a reshape leaves open can be said in
// the text of a rule (`heads * head_dim / kv_heads`).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/syntax/ast.h"

namespace ckmap {

class Size {
 public:
  Size() = default;  // 1
  static Size Number(int64_t value);
  static Size Name(std::string name);
  static Size Unknown();
  // Of an expression; `text` writes an operand that is not a product.
  using ExprText = std::function<std::string(const ast::Expr&)>;
  static Size Of(const ast::Expr& expr, const ExprText& text);

  bool known() const { return known_; }
  bool simple() const;                                                   // a number or one name
  bool whole() const { return known_ && under_ == 1 && down_.empty(); }  // not a quotient
  std::optional<int64_t> number() const;
  const std::vector<std::string>& names() const { return up_; }
  Size operator+(const Size& other) const;
  Size operator*(const Size& other) const;
  Size operator/(const Size& other) const;
  friend bool operator==(const Size&, const Size&) = default;

  std::string Text() const;
  // With words of it replaced; what stands in quotes stays.
  std::string Text(const std::map<std::string, std::string>& words) const;
  // Whether a name (or an operand that mentions it) stands in it.
  bool Mentions(const std::string& name) const;

 private:
  void Cancel();

  bool known_ = true;
  int64_t over_ = 1, under_ = 1;
  std::vector<std::string> up_, down_;  // sorted
};

using Sizes = std::optional<std::vector<Size>>;  // nullopt: not even how many

}  // namespace ckmap
