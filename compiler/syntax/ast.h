// The syntax tree: mirrors the text, knows nothing of meaning. Every node has its span. Values, no
// pointers to a parser; `Invalid` marks a place where parsing failed and was reported, so that later
// stages stay silent about it. A statement that cannot be read at all is left out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/source/source_map.h"

namespace ckmap::ast {

struct Identifier {
  std::string text;
  Span span;
};

// ---- expressions -------------------------------------------------------------------------------

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Pattern;

struct Invalid {};
struct IntLiteral {
  int64_t value = 0;
};
struct NumberLiteral {
  double value = 0;
};
// As a text (`\"` and `\\` resolved, braces as they stand), and read as a name pattern (null if it is none).
struct StringLiteral {
  std::string value;
  std::unique_ptr<Pattern> pattern;
};
struct BoolLiteral {
  bool value = false;
};
struct NameRef {
  std::string name;
};  // variable, capture, dim, leaf, dtype or word: sema decides; may be dotted
struct Unary {
  std::string op;
  ExprPtr operand;
};  // "-" "not"
struct Binary {
  std::string op;
  ExprPtr left, right;
};  // + - * / // % == != < <= > >= and or
struct Conditional {
  ExprPtr condition, then_value, else_value;
};
struct CallArgument {
  std::optional<Identifier> name;
  ExprPtr value;
};
struct CallExpr {
  Identifier function;
  std::vector<CallArgument> args;
};
struct ListExpr {
  std::vector<ExprPtr> items;
};

struct Expr {
  std::variant<Invalid, IntLiteral, NumberLiteral, StringLiteral, BoolLiteral, NameRef, Unary, Binary, Conditional,
               CallExpr, ListExpr>
      kind;
  Span span;
};

// ---- name patterns -----------------------------------------------------------------------------

struct LiteralPart {
  std::string text;
};
struct CapturePart {
  enum class Kind { kPlain, kInt, kPath, kChoice, kRegex };  // kPlain: `{i}`, a segment or a use of a known capture
  Identifier name;
  Kind kind = Kind::kPlain;
  std::vector<std::string> choices;  // kChoice: two or more, none empty
  std::string regex;                 // kRegex: the text between the slashes, `\/` as `/`; not yet checked
  bool gather = false;               // {e:int...}
};
struct AlternativesPart {
  std::vector<std::string> options;
};  // two or more; one may be empty
struct WildcardPart {
  bool path = false;
};  // * or **
struct ExprPart {
  ExprPtr expr;
};  // {3*i+1}

struct PatternPart {
  std::variant<LiteralPart, CapturePart, AlternativesPart, WildcardPart, ExprPart> kind;
  Span span;
};

struct Pattern {
  std::vector<PatternPart> parts;  // literal parts never touch; none at all for ""
  std::string regex;      // raw /^…$/: the text between ^ and $, `\/` as `/`; parts is empty; not yet checked
  Span regex_span;        // of that text
  bool optional = false;  // name?
  bool invalid = false;
  std::string text;  // as written, without quotes, slashes and `?`
  Span span;         // with its quotes and its `?`
};

// ---- rules -------------------------------------------------------------------------------------

struct DimExpr {
  enum class Kind { kExpr, kAny, kRest };  // kExpr: a name alone may bind
  Kind kind = Kind::kExpr;
  ExprPtr expr;
  Span span;
};
struct ShapeExpr {
  std::vector<DimExpr> dims;
  Span span;
};

struct OpCall {
  Identifier name;
  std::vector<CallArgument> args;
  Span span;
};

struct Pipeline;
struct Term {
  std::variant<Pattern, std::unique_ptr<Pipeline>> kind;
  std::optional<ShapeExpr> shape;
  Span span;
};
struct Pipeline {
  std::vector<Term> terms;
  std::vector<OpCall> ops;
  Span span;
};

struct RangeClause {
  Identifier capture;
  ExprPtr begin, end;
  Span span;
};  // where i in 0..4

struct Rule {
  Pipeline source;
  bool reversible = false;
  Span arrow;
  Pipeline target;  // without ops and without (…): both are reported when parsing
  ExprPtr when;     // null: none
  std::vector<RangeClause> ranges;
  std::optional<std::string> exactly;  // exactly "reason"
  bool overrides = false;              // override SRC -> DST
  bool derives = false;                // SRC -> source DST: the right side names tensors of the source
  Span derives_span;                   // of that word
};

// ---- statements --------------------------------------------------------------------------------

struct Migration {
  Identifier name, from, to;
};
struct Use {
  Identifier target;  // "std", "llama/hf2mindformers" or the text of a quoted relative path
  bool is_path = false;
  std::optional<Identifier> version;  // >= 1.2
  std::optional<Identifier> prefix;   // with prefix "bert"; without its quotes
  std::vector<CallArgument> with;
  std::optional<std::string> exactly;  // confirms the rules of what is used
};
struct Param {
  Identifier name, type;
  std::optional<Identifier> config_key;
  ExprPtr value;
};
struct Let {
  Identifier name;
  ExprPtr value;
};
struct Names {
  Identifier from, to;
};
struct RenamePair {
  Pattern from, to;
  Span span;
};
struct Rename {
  std::vector<RenamePair> pairs;
  bool of_target = false;
};
// `equals`: null: nothing is said; else a name in quotes, a word (zeros, iota, …) or a call (constant(1)).
struct Drop {
  Pattern pattern;
  ExprPtr when;
  std::optional<std::string> reason;
  bool only = false;
  ExprPtr equals;
};
struct LayerItem {
  std::variant<Rule, Drop> kind;
  Span span;
  std::string doc;
};
struct Layer {
  Identifier name;
  ExprPtr when;
  std::vector<LayerItem> items;
};
struct ModuleIs {
  Pattern module;
  Identifier layer;
  ExprPtr when;
};
struct Statement;
struct Within {
  Pattern from, to;
  bool reversible = false;
  Span arrow;
  ExprPtr when;
  std::optional<std::string> exactly;  // confirms the rules inside
  std::vector<Statement> body;
};
struct Init {
  Pattern pattern;
  Identifier kind;
  std::vector<CallArgument> args;
  ExprPtr when;
};
struct TargetItem {
  enum class Kind { kStrict, kAllowMissing, kAllowUnused, kCast, kMatchSuffix };
  Kind kind = Kind::kStrict;
  std::vector<Identifier> words;  // strict's
  std::optional<Pattern> pattern;
  Identifier cast_from, cast_to;
  std::optional<Identifier> overflow;  // kCast: error, saturate or inf
  Span span;
};
struct Target {
  std::vector<TargetItem> items;
};
struct Assert {
  ExprPtr condition;
  std::optional<std::string> message;
};
struct Place {
  Pattern pattern;
  Identifier device;
  ExprPtr when;
};
// What is not decided yet: `decide "norm1 or norm2" for "a.**", "b.**";`
struct Decide {
  enum class Kind { kPlain, kFor, kMissing, kUnused };
  Identifier question;
  Kind kind = Kind::kPlain;
  std::vector<Pattern> patterns;  // of target tensors, of kUnused: of source tensors; none if kPlain
};
struct Shard {
  Pattern pattern;
  ExprPtr axis;
  Identifier over;
  ExprPtr when;
};
// Checkpoints beside the source: `source adapter, head?;`
struct NamedSource {
  Identifier name;
  bool optional = false;
};
struct NamedSources {
  std::vector<NamedSource> list;
};
struct TestTensor {
  Pattern name;
  std::optional<Identifier> dtype;
  std::optional<ShapeExpr> shape;
  ExprPtr value;      // null: none; numbers in lists, a word (iota, kept, dropped), or the name of a source tensor
  ExprPtr tolerance;  // null: exactly
  Span span;
};
struct TestError {
  Identifier code;
  std::optional<Pattern> tensor;
  Span span;
};
struct TestSide {
  std::vector<TestTensor> tensors;
  Span span;
};
struct TestBlock {
  Identifier name;
  std::vector<CallArgument> with;
  std::vector<TestSide> source, target;  // one each; more than one is a mistake that sema reports
  std::vector<TestError> errors;
};

struct Statement {
  std::variant<Invalid, Migration, Use, Param, Let, Names, Rename, Layer, ModuleIs, Within, Rule, Drop, Init, Target,
               Assert, Place, Shard, Decide, NamedSources, TestBlock>
      kind;
  Span span;
  std::string doc;  // the /// lines above, without the slashes
};

struct File {
  std::optional<int64_t> edition;  // of `ckmap 1;`
  Span edition_span;
  std::vector<Statement> statements;
};

}  // namespace ckmap::ast
