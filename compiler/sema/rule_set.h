// The typed program: what the files say, with every name resolved, `within` flattened into full
// names, operations matched with the table of operations, and types checked. Values only; spans
// point back into the text. compiler/lower turns it into a plan field by field.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "compiler/sema/test_case.h"
#include "compiler/source/source_map.h"
#include "runtime/ops/op_table.h"

namespace ckmap {

enum class ValueType : uint8_t { kUnknown, kInt, kFloat, kBool, kString, kList };
// "an integer", "a text", …
std::string_view Describe(ValueType type);

// A value that is known when the rules are compiled.
using Constant = std::variant<int64_t, double, bool, std::string>;

struct TypedPattern;

struct TypedExpr {
  enum class Kind : uint8_t {
    kInvalid,   // was reported
    kInt,       // integer
    kNumber,    // number
    kText,      // text; also dtypes and words
    kBool,      // boolean
    kVariable,  // text: qualified name
    kCapture,   // text: name of a capture of the rule
    kDim,       // text: name bound by a [shape] of the rule
    kCall,      // text: function or operator as the plan spells it; args
    kList,      // args
    kName,      // name: a tensor's name
  };
  Kind kind = Kind::kInvalid;
  ValueType type = ValueType::kUnknown;
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  std::string text;
  std::vector<TypedExpr> args;
  std::shared_ptr<const TypedPattern> name;
  Span span;

  static TypedExpr Int(int64_t value, Span span);
  static TypedExpr Bool(bool value, Span span);
  static TypedExpr Text(std::string value, Span span);
  static TypedExpr Call(std::string function, ValueType type, std::vector<TypedExpr> args, Span span);
};

// Equal in meaning as far as the text goes; spans are not compared.
bool SameExpr(const TypedExpr& a, const TypedExpr& b);

// ---- names -------------------------------------------------------------------------------------

struct TypedCapture {
  enum class Kind : uint8_t { kSegment, kInt, kPath, kChoice, kRegex };
  std::string name;  // wildcards: "*1", "*2", … from left to right in a name, over both kinds
  Kind kind = Kind::kSegment;
  std::vector<std::string> choices;
  std::string regex;
  bool gather = false;
  bool loose = false;  // a group of a raw regular expression of which `regex` says too much
};
std::string_view Describe(TypedCapture::Kind kind);

struct TypedPart {
  enum class Kind : uint8_t { kLiteral, kCapture, kAlternatives, kExpr, kReference };
  Kind kind = Kind::kLiteral;
  std::string text;  // the literal, or the name of the capture that is referred to
  TypedCapture capture;
  std::vector<std::string> options;
  TypedExpr expr;
  Span span;
};

struct TypedPattern {
  std::vector<TypedPart> parts;
  std::string regex;  // raw whole-name regular expression; parts is empty then
  std::string text;   // as written, with the prefixes of the blocks around it
  bool optional = false;
  Span span;
};
// The name, if the pattern is one literal name.
std::optional<std::string> LiteralName(const TypedPattern& pattern);
bool SamePattern(const TypedPattern& a, const TypedPattern& b);

// ---- rules -------------------------------------------------------------------------------------

struct TypedDim {
  enum class Kind : uint8_t { kBind, kExpr, kAny, kRest };
  Kind kind = Kind::kAny;
  std::string name;  // kBind
  TypedExpr expr;    // kExpr
  Span span;
};
struct TypedShape {
  std::vector<TypedDim> dims;
  Span span;
};

struct TypedOp {
  const OpSpec* spec = nullptr;                         // null: the call was reported
  std::vector<std::pair<std::string, TypedExpr>> args;  // in the table's order
  Span span;
  Span name_span;

  const TypedExpr* Find(std::string_view arg) const;
};

struct TypedPipeline;
struct TypedTerm {
  std::variant<TypedPattern, std::shared_ptr<TypedPipeline>> kind;
  std::optional<TypedShape> shape;
  Span span;
};
struct TypedPipeline {
  std::vector<TypedTerm> terms;
  std::vector<TypedOp> ops;
  Span span;
};

struct TypedRange {
  std::string capture;
  TypedExpr begin, end;
  Span span;
};

struct TypedRule {
  uint32_t unit = 0;  // index into RuleSet::units
  Span span;
  std::string doc;
  TypedPipeline source, target;
  bool reversible = false;
  bool overrides = false;
  bool derives = false;  // the right side names tensors of the source
  std::optional<TypedExpr> when;
  std::vector<TypedRange> ranges;
  std::string exactly;
  std::vector<TypedCapture> captures;  // of both sides, each once; first those of the source
  bool valid = true;                   // false: something in it was reported
};

// What a dropped tensor is said to hold: `kind` is "tensor", or a word of the language (zeros, iota, …).
struct TypedEquals {
  std::string kind;
  TypedExpr tensor;  // kind "tensor": its name
  std::vector<std::pair<std::string, TypedExpr>> args;
  Span span;
};

struct TypedDrop {
  uint32_t unit = 0;
  Span span;
  TypedPattern pattern;
  std::optional<TypedExpr> when;
  bool only = false;
  std::optional<TypedEquals> equals;
  std::string reason;
  bool valid = true;
};

struct TypedLayer {
  uint32_t unit = 0;
  Span span, name_span;
  std::string name, qualified, doc;
  std::optional<TypedExpr> when;
  std::vector<TypedRule> rules;
  std::vector<TypedDrop> drops;
};

struct TypedModuleIs {
  uint32_t unit = 0;
  Span span;
  TypedPattern module;
  std::string layer;  // qualified; empty: was reported
  std::optional<TypedExpr> when;
};

struct TypedRename {
  uint32_t unit = 0;
  Span span;
  bool of_target = false;  // of the target's names
  TypedPattern from, to;
};

struct TypedInit {
  uint32_t unit = 0;
  Span span;
  TypedPattern pattern;
  std::string kind;  // keep zeros ones constant normal
  std::vector<std::pair<std::string, TypedExpr>> args;
  std::optional<TypedExpr> when;
};

// `place`: the device of target tensors.
struct TypedPlace {
  uint32_t unit = 0;
  Span span;
  TypedPattern pattern;
  std::string device;
  std::optional<TypedExpr> when;
};

// `shard`: how target tensors are cut over the ranks of a group.
struct TypedShard {
  uint32_t unit = 0;
  Span span;
  TypedPattern pattern;
  TypedExpr axis;
  std::string group;
  std::optional<TypedExpr> when;
};

struct TypedPolicy {
  enum class Kind : uint8_t {
    kAllowMissing,
    kAllowUnused,
    kCast,
    kMatchSuffix,
    kDecide,
    kDecideMissing,
    kDecideUnused
  };
  uint32_t unit = 0;
  Span span;
  Kind kind = Kind::kAllowMissing;
  std::optional<TypedPattern> pattern;
  std::string cast_from, cast_to;  // dtype names; empty: any
  std::string overflow;
  std::string question;  // of kDecide…
};

struct TypedAssert {
  uint32_t unit = 0;
  Span span;
  TypedExpr condition;
  std::string message;
};

// A checkpoint beside the source.
struct TypedNamedSource {
  uint32_t unit = 0;
  Span span;
  std::string name, doc;
  bool optional = false;
};

struct TypedVariable {
  uint32_t unit = 0;
  std::string name, qualified, doc;
  ValueType type = ValueType::kUnknown;
  bool json = false;  // a text that is JSON: `type` is kString
  bool is_param = false;
  std::string config_key;
  std::optional<TypedExpr> value;
  bool fixed = false;  // given by `with` or on the command line
  Span span, name_span;
};

// A file of the program.
struct TypedUnit {
  FileId file;
  std::string name;  // as reports show it
  std::string pack, pack_version;
  uint32_t level = 0;
  std::vector<Span> tests;  // its `test` statements
};

struct RuleSet {
  uint32_t edition = 1;
  std::string migration, from_framework, to_framework;
  std::string source_separator = ".", target_separator = ".";
  std::vector<TypedUnit> units;          // 0: the file that was compiled
  std::vector<TypedVariable> variables;  // each after those that it uses
  std::vector<TypedRename> renames;
  std::vector<TypedLayer> layers;
  std::vector<TypedModuleIs> modules;
  std::vector<TypedRule> derived;  // `-> source`: of one level after that of the files used, applied before all others
  std::vector<TypedRule> rules;
  std::vector<TypedDrop> drops;
  std::vector<TypedInit> inits;
  std::vector<TypedPolicy> policies;
  std::vector<TypedPlace> places;
  std::vector<TypedShard> shards;
  std::vector<TypedAssert> asserts;
  std::vector<TypedNamedSource> named_sources;  // each name once
  std::vector<TestCase> tests;                  // of the file that was compiled
};

}  // namespace ckmap
