// From one written rule, drop or other statement to a typed one.
#pragma once

#include <vector>

#include "compiler/sema/expr.h"
#include "compiler/sema/pattern_builder.h"

namespace ckmap {

// Where a statement stands.
struct Place {
  size_t unit = 0;
  bool in_layer = false;
  std::vector<const ast::Within*> within;  // outermost first
};

class RuleBuilder {
 public:
  RuleBuilder(VariableTable& variables, const std::string& source_separator, const std::string& target_separator,
              DiagnosticSink& sink)
      : variables_(variables), source_separator_(source_separator), target_separator_(target_separator), sink_(sink) {}

  // `valid` is false in results of which something was reported.
  TypedRule BuildRule(const ast::Rule& rule, Span span, const Place& place);
  TypedDrop BuildDrop(const ast::Drop& drop, Span span, const Place& place);
  std::optional<TypedModuleIs> BuildModule(const ast::ModuleIs& module, Span span, const Place& place);
  std::optional<TypedInit> BuildInit(const ast::Init& init, Span span, const Place& place);
  std::optional<TypedPlace> BuildPlace(const ast::Place& statement, Span span, const Place& place);
  std::optional<TypedShard> BuildShard(const ast::Shard& statement, Span span, const Place& place);
  std::optional<TypedRename> BuildRename(const ast::RenamePair& pair, bool of_target, size_t unit);
  // A pattern that stands alone: no lists. `side` decides the prefix and the separator.
  std::optional<TypedPattern> BuildName(const ast::Pattern& pattern, const Place& place, Side side, RuleScope& scope);
  std::optional<TypedExpr> BuildWhen(const ast::ExprPtr& when, const Place& place, RuleScope& scope);

 private:
  // What statements about tensors by name begin with: fills the place and the condition of `typed`.
  template <typename Typed>
  std::optional<TypedPattern> BuildStart(const ast::Pattern& name, const ast::ExprPtr& when, Span span,
                                         const Place& place, Side side, RuleScope& scope, Typed& typed);
  std::optional<TypedEquals> BuildEquals(const ast::Drop& drop, const Place& place, RuleScope& scope);
  void Ranges(const ast::Rule& rule, const Place& place, RuleScope& scope, TypedRule& typed);
  // One side of a rule. The left side binds the captures; `side` says whose names they are.
  struct RuleSide {
    Side side = Side::kSource;
    bool binds = true;
  };
  void CollectPipeline(const ast::Pipeline& pipeline, const Place& place, RuleSide side, RuleScope& scope,
                       PatternBuilder& patterns);
  TypedPipeline BuildPipeline(const ast::Pipeline& pipeline, const Place& place, RuleSide side, RuleScope& scope,
                              PatternBuilder& patterns, bool& valid);
  TypedShape BuildShape(const ast::ShapeExpr& shape, size_t unit, RuleScope& scope, bool& valid);
  bool CheckSizes(const TypedRule& rule);
  void WarnUnused(const ast::Rule& rule, const RuleScope& scope, TypedRule& typed);
  std::vector<const ast::Pattern*> Prefixes(const Place& place, Side side) const;
  const std::string& Separator(Side side) const {
    return side == Side::kSource ? source_separator_ : target_separator_;
  }

  VariableTable& variables_;
  const std::string& source_separator_;
  const std::string& target_separator_;
  DiagnosticSink& sink_;
};

}  // namespace ckmap
