// From written name patterns to typed ones: prefixes of `within`, captures and their uses,
// wildcards, regular expressions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/sema/expr.h"

namespace ckmap {

enum class Side : uint8_t { kSource, kTarget };

class PatternBuilder {
 public:
  // `prefixes`: of the `within` blocks around, outermost first. `separator` joins them.
  PatternBuilder(VariableTable& variables, size_t unit, RuleScope& scope, DiagnosticSink& sink)
      : variables_(variables), unit_(unit), scope_(scope), sink_(sink) {}

  // Notes the captures that a pattern binds; all patterns of the side that binds come before Build.
  void Collect(std::span<const ast::Pattern* const> prefixes, const ast::Pattern& pattern, bool binds);

  // Captures that stand here for the first time on the binding side become captures, all others
  // uses. On the other side (`binds` false) an unknown name is an error. nullopt: was reported.
  std::optional<TypedPattern> Build(std::span<const ast::Pattern* const> prefixes, const ast::Pattern& pattern,
                                    std::string_view separator, bool binds);

  // Checks that a regular expression can be used: RE2, of bounded memory.
  static bool CheckRegex(const std::string& regex, Span span, DiagnosticSink& sink);

 private:
  void CollectCapture(const ast::CapturePart& part, Span span, bool binds);
  void CollectWildcard(int number, bool path, Span span, bool binds);
  void CollectRegex(const ast::Pattern& pattern, bool binds);
  bool AddPart(const ast::PatternPart& part, bool binds, int& wildcards, TypedPattern& out);
  bool AddCapture(const ast::CapturePart& part, Span span, bool binds, TypedPattern& out);
  bool AddWildcard(const ast::WildcardPart& part, Span span, bool binds, int number, TypedPattern& out);
  bool Emit(DiagnosticKind kind, Span span, std::string message, std::string help = "");

  VariableTable& variables_;
  size_t unit_;
  RuleScope& scope_;
  DiagnosticSink& sink_;
  bool groups_unknown_ = false;   // a regular expression that was reported might have bound more
  std::set<std::string> placed_;  // captures that stand in a pattern already
};

}  // namespace ckmap
