// Name patterns of a plan against concrete names. Together with matcher.h the only user of RE2 for names.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/bind/values/value.h"

namespace re2 {
class RE2;
}

namespace ckmap {

using Captures = std::map<std::string, std::string, std::less<>>;

// A scope that adds captures to another one. Captures named in `ints` are integers.
class CaptureScope : public Scope {
 public:
  CaptureScope(const Scope& base, const Captures& captures) : base_(base), captures_(captures) {}
  Value Variable(const std::string& name) const override { return base_.Variable(name); }
  Value Capture(const std::string& name) const override;
  Value Dim(const std::string& name) const override { return base_.Dim(name); }

 private:
  const Scope& base_;
  const Captures& captures_;
};

// One list level of a pattern: `{q,k,v}` or `{e:int...}`, in the order in which they stand.
struct ListLevel {
  std::vector<std::string> options;  // of alternatives
  std::string gather;                // else: the name of the gathering capture
};
std::vector<ListLevel> ListLevels(const plan::Pattern& pattern);

// The pattern with its alternatives replaced by these choices (one index per alternatives level).
plan::Pattern Choose(const plan::Pattern& pattern, const std::vector<size_t>& choices);
// All choices of a pattern, first level slowest.
std::vector<std::vector<size_t>> AllChoices(const plan::Pattern& pattern);

// Characters outside of captures: of two statements that name one tensor the one with more of them decides.
size_t LiteralSize(const plan::Pattern& pattern);

// Whether the pattern has alternatives at all; most have none, and then need no copy.
bool HasAlternatives(const plan::Pattern& pattern);

// A pattern without alternatives, compiled.
class CompiledName {
 public:
  struct Context {
    std::string_view separator;  // between segments, one character
    const Scope& scope;
    Captures known = {};                                        // captures that have their value already: literal text
    std::map<std::string, const plan::Capture*> declared = {};  // what references to captures of other names mean
    std::string_view prefix = {};                               // stands in front, literally
    // "NAME:" of the sources beside the first one: their tensors are matched only by patterns that say a name space,
    // and no capture reaches over its colon.
    const std::vector<std::string>* spaces = nullptr;
  };
  static Result<CompiledName> Compile(const plan::Pattern& pattern, const Context& context);

  // The one name that the pattern matches, if it has no open capture.
  const std::optional<std::string>& literal() const { return literal_; }
  const std::string& regex() const { return regex_; }
  // Not empty: the literals before, between and after the groups of a pattern whose groups are all `[0-9]+`, each of
  // them a whole run of digits in every name that matches.
  const std::vector<std::string>& around_digits() const { return around_digits_; }
  const std::vector<std::string>& captures() const { return groups_; }  // in group order, each once

  // Where nothing but the captures decides (no name stands twice, no index is computed): whether the whole name
  // matches, and the text of each of captures(). False for other patterns.
  bool MatchTexts(std::string_view name, std::vector<std::string_view>& texts) const;

  // Whether the whole name matches; fills `captures` (adding to what is there).
  bool Match(std::string_view name, const Scope& scope, Captures& captures) const;

 private:
  struct Check {  // a group that must equal an expression, or an earlier group
    size_t group;
    std::string same_as;
    const plan::Expr* expr;
  };
  Result<void> CompileRegex();
  void FindDigits(std::vector<std::string> literals);
  bool MatchGroups(std::string_view name, std::vector<std::string_view>& groups) const;
  bool HoldsLiterals(std::string_view name) const;
  bool Barred(std::string_view name) const;
  Result<size_t> AddGroup(const plan::Capture& capture, const std::string& name, size_t group, const Context& context,
                          bool before_colon);

  std::optional<std::string> literal_;
  std::string regex_;
  std::vector<std::string> around_digits_;  // then there is no compiled_
  std::shared_ptr<const re2::RE2> compiled_;
  // What every name that matches begins with, ends with and holds: most names are told apart by it, in a twentieth of the
  // time of an expression.
  std::string begins_, ends_, holds_;
  std::vector<std::string> groups_;  // captures by first appearance
  std::vector<size_t> group_index_;  // regex group of each
  std::vector<Check> checks_;
  std::vector<std::string> barred_;               // names that begin so do not match
  std::shared_ptr<const plan::Pattern> pattern_;  // keeps the expressions of checks_ alive
};

// The name that a pattern stands for under these captures. Alternatives must have been chosen.
Result<std::string> Instantiate(const plan::Pattern& pattern, const Scope& scope, const Captures& captures);

// As above, of the pattern with these choices for its alternatives.
Result<std::string> Instantiate(const plan::Pattern& pattern, const std::vector<size_t>& choices, const Scope& scope,
                                const Captures& captures);

}  // namespace ckmap
