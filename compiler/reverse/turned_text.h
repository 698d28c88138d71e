// Pieces of a file's text, changed where running backwards demands it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

// What cannot be written backwards, and why.
struct Refusal {
  Span span;
  std::string why;
  std::string help;
};
using Refusals = std::vector<Refusal>;

// Captures of a rule, and how the other direction says them.
struct CaptureTurn {
  const ast::CapturePart* part = nullptr;  // where its kind is given
  std::string back;   // the value that it had on the left, in terms of that on the right: "(n + 1)"; empty: the same
  std::string guard;  // a condition without which there is none
};
using CaptureTurns = std::map<std::string, CaptureTurn>;

class TextTurner {
 public:
  TextTurner(const SourceMap& sources, Refusals& refusals) : sources_(sources), refusals_(refusals) {}

  std::string Raw(Span span) const { return std::string(sources_.Text(span)); }

  // Collects the captures of both sides. Arithmetic on the right side that cannot be solved for its capture is refused.
  void Collect(const ast::Pattern& left, const ast::Pattern& right, CaptureTurns& turns);

  // The right side's name as a left one: captures are bound, each at its first place. `bound` grows.
  std::string Source(const ast::Pattern& pattern, const CaptureTurns& turns, std::map<std::string, bool>& bound);
  // The left side's name as a right one.
  std::string Target(const ast::Pattern& pattern, const CaptureTurns& turns);

  // One name of the left side, as a right one: of a list the first, or of its alternatives the one of index `option`.
  // "" where a wildcard stands in it.
  std::string First(const ast::Pattern& pattern, const CaptureTurns& turns, const std::vector<ast::RangeClause>& ranges,
                    size_t option = 0);

  // An expression with source_… and target_… exchanged.
  std::string Expression(const ast::Expr& expr, const CaptureTurns& turns);
  std::string Brackets(const ast::ShapeExpr& shape, const CaptureTurns& turns);

 private:
  struct Edit {
    Span span;
    std::string text;
  };
  void CollectPart(const ast::Pattern& pattern, bool right, CaptureTurns& turns);
  void Edits(const ast::Expr& expr, const CaptureTurns& turns, std::vector<Edit>& edits);
  std::string Edited(Span span, std::vector<Edit> edits) const;

  const SourceMap& sources_;
  Refusals& refusals_;
};

}  // namespace ckmap
