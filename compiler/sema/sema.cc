#include "compiler/sema/sema.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/sema/overlap/duplicates.h"
#include "compiler/sema/overlap/one_to_one.h"
#include "compiler/sema/overlap/overlap.h"
#include "compiler/sema/reversible.h"
#include "compiler/sema/rule_builder.h"
#include "compiler/sema/shapes/shape_proof.h"
#include "compiler/sema/shapes/shapes.h"
#include "compiler/sema/shapes/size.h"
#include "compiler/sema/test_builder.h"
#include "runtime/tensor/dtype.h"
#include "runtime/tensor/number.h"

namespace ckmap {
namespace {

std::optional<TypedExpr> ParseDefine(const std::string& text, ValueType type, Span span) {
  const char* end = text.data() + text.size();
  TypedExpr value = TypedExpr::Text(text, span);
  if (type == ValueType::kString) return value;
  if (type == ValueType::kBool && (text == "true" || text == "false")) return TypedExpr::Bool(text == "true", span);
  if (type == ValueType::kInt) {
    int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end) return TypedExpr::Int(number, span);
  }
  if (type == ValueType::kFloat) {
    const auto number = ParseReal(text);
    if (!number) return std::nullopt;
    value.kind = TypedExpr::Kind::kNumber;
    value.type = ValueType::kFloat;
    value.text.clear();
    value.number = *number;
    return value;
  }
  return std::nullopt;
}

class Analyzer {
 public:
  Analyzer(const Program& program, const SemaOptions& options, DiagnosticSink& sink)
      : program_(program),
        options_(options),
        sink_(sink),
        variables_(program, sink),
        builder_(variables_, rules_.source_separator, rules_.target_separator, sink) {}

  RuleSet Run() {
    for (const Unit& unit : program_.units) {
      rules_.units.push_back({unit.file, unit.name, unit.pack, unit.pack_version, unit.level, {}});
      for (const ast::Statement& statement : unit.tree.statements) {
        if (std::holds_alternative<ast::TestBlock>(statement.kind)) rules_.units.back().tests.push_back(statement.span);
      }
    }
    TypeVariables();
    for (size_t unit = 0; unit < program_.units.size(); ++unit) Header(unit);
    for (size_t unit = 0; unit < program_.units.size(); ++unit) {
      Place place;
      place.unit = unit;
      if (const ast::Within* prefix = variables_.PrefixOf(unit)) {
        place.within.push_back(prefix);
        AddPrefixRename(*prefix, unit);
      }
      for (const ast::Statement& statement : program_.units[unit].tree.statements) Visit(statement, place);
    }
    ConfirmUsed();
    ResolveLayers();
    ApplyStrict();
    CheckDuplicates(rules_, sink_);
    for (const TypedRule& rule : rules_.derived) CheckRule(rule);
    for (const TypedRule& rule : rules_.rules) CheckRule(rule);
    for (const TypedLayer& layer : rules_.layers) {
      for (const TypedRule& rule : layer.rules) CheckRule(rule);
    }
    CheckOverlaps(rules_, variables_, sink_);
    CheckOneToOne(rules_, variables_, sink_);
    if (!sink_.has_errors()) ProveShapes(rules_, variables_, order_, sink_);
    WarnUnused();
    for (const size_t index : order_) rules_.variables.push_back(variables_.entries()[index].variable);
    return std::move(rules_);
  }

 private:
  // ---- variables ---------------------------------------------------------------------------------

  // Each after those that it uses; what remains in the end is a circle.
  void TypeVariables() {
    std::vector<VariableTable::Entry>& entries = variables_.entries();
    std::map<const VariableTable::Entry*, size_t> index;
    for (size_t i = 0; i < entries.size(); ++i) index[&entries[i]] = i;
    std::vector<std::vector<size_t>> users(entries.size());
    std::vector<size_t> waits(entries.size(), 0);
    uses_.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].expr == nullptr) continue;
      std::vector<std::string> names;
      NamesOf(*entries[i].expr, names);
      for (const std::string& name : names) {
        const VariableTable::Entry* used = variables_.Lookup(entries[i].expr_unit, name);
        if (used == nullptr) continue;
        users[index[used]].push_back(i);
        uses_[i].push_back(index[used]);
        ++waits[i];
      }
    }
    std::vector<size_t> ready;
    for (size_t i = entries.size(); i-- > 0;) {
      if (waits[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const size_t next = ready.back();
      ready.pop_back();
      TypeVariable(entries[next]);
      Settle(entries[next], variables_);
      order_.push_back(next);
      for (auto user = users[next].rbegin(); user != users[next].rend(); ++user) {
        if (--waits[*user] == 0) ready.push_back(*user);
      }
    }
    std::vector<bool> in_circle;
    for (const size_t count : waits) in_circle.push_back(count > 0);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (waits[i] > 0) ReportCycle(i, entries, users, waits);
    }
    // Only what a statement uses is used; that a value uses another one counts if it is used itself.
    for (size_t i = 0; i < entries.size(); ++i) entries[i].used = in_circle[i];
  }

  // One report for a circle, at its first member.
  void ReportCycle(size_t start, std::vector<VariableTable::Entry>& entries,
                   const std::vector<std::vector<size_t>>& users, std::vector<size_t>& waits) {
    std::vector<size_t> path = {start};
    std::vector<bool> seen(entries.size(), false);
    seen[start] = true;
    for (size_t at = start;;) {
      const auto next = std::find_if(users[at].begin(), users[at].end(), [&](size_t user) { return waits[user] > 0; });
      if (next == users[at].end()) return;  // it only uses a circle
      if (seen[*next]) {
        if (*next != start) return;
        break;
      }
      seen[*next] = true;
      at = *next;
      path.push_back(at);
    }
    std::string text;
    for (const size_t member : path) {
      text = fmt::format("`{}`{}{}", entries[member].variable.name, text.empty() ? "" : " uses ", text);
      waits[member] = 0;
    }
    text = fmt::format("`{}` uses {}", entries[start].variable.name, text);
    sink_
        .Report(DiagnosticKind::kVariableCycle, entries[start].variable.name_span,
                fmt::format("`{}` is defined by itself", entries[start].variable.name))
        .Note(text)
        .Emit();
  }

  void TypeVariable(VariableTable::Entry& entry) {
    TypedVariable& variable = entry.variable;
    const auto define = options_.defines.find(variable.qualified);
    if (variable.is_param && define != options_.defines.end()) {
      variable.value = ParseDefine(define->second, variable.type, variable.name_span);
      variable.fixed = true;
      if (!variable.value) {
        sink_
            .Report(DiagnosticKind::kTypeMismatch, variable.name_span,
                    fmt::format("`{}` is {}, and `{}` is given on the command line", variable.name,
                                Describe(variable.type), define->second))
            .Emit();
      }
      return;
    }
    if (entry.expr == nullptr) return;
    ExprTyper typer(variables_, entry.expr_unit, nullptr, sink_);
    if (variable.is_param) {
      variable.value = typer.Expect(*entry.expr, variable.type, fmt::format("the value of `{}`", variable.name));
    } else {
      variable.value = typer.Type(*entry.expr);
      variable.type = variable.value->type;
    }
  }

  void WarnUnused() {
    std::vector<VariableTable::Entry>& entries = variables_.entries();
    for (auto index = order_.rbegin(); index != order_.rend(); ++index) {
      if (!entries[*index].used && entries[*index].variable.unit == 0) continue;
      for (const size_t used : uses_[*index]) entries[used].used = true;
    }
    for (const VariableTable::Entry& entry : variables_.entries()) {
      if (entry.used || entry.variable.unit != 0) continue;
      sink_
          .Report(DiagnosticKind::kUnusedVariable, entry.variable.name_span,
                  fmt::format("`{}` is never used", entry.variable.name))
          .Emit();
    }
  }

  // ---- statements --------------------------------------------------------------------------------

  void Header(size_t unit) {
    const ast::Statement* migration = nullptr;
    for (const ast::Statement& statement : program_.units[unit].tree.statements) {
      if (const auto* header = std::get_if<ast::Migration>(&statement.kind)) {
        if (migration != nullptr) {
          sink_.Report(DiagnosticKind::kRepeatedStatement, statement.span, "a second `migration`")
              .With(migration->span, "the first one")
              .Help("a file is one migration")
              .Emit();
          continue;
        }
        migration = &statement;
        if (unit != 0) continue;
        rules_.migration = header->name.text;
        rules_.from_framework = header->from.text;
        rules_.to_framework = header->to.text;
      } else if (const auto* names = std::get_if<ast::Names>(&statement.kind)) {
        Separators(*names, statement.span);
      }
    }
  }

  void Separators(const ast::Names& names, Span span) {
    if (names.from.text.empty() || names.to.text.empty()) {
      sink_.Report(DiagnosticKind::kBadPattern, span, "an empty separator").Emit();
      return;
    }
    if (separators_ && (rules_.source_separator != names.from.text || rules_.target_separator != names.to.text)) {
      sink_.Report(DiagnosticKind::kRepeatedStatement, span, "a second `names` that differs from the first")
          .With(*separators_, "the first one")
          .Emit();
      return;
    }
    separators_ = span;
    rules_.source_separator = names.from.text;
    rules_.target_separator = names.to.text;
  }

  void Visit(const ast::Statement& statement, const Place& place) {
    if (const auto* rule = std::get_if<ast::Rule>(&statement.kind)) {
      std::vector<TypedRule>& rules = rule->derives ? rules_.derived : rules_.rules;
      rules.push_back(builder_.BuildRule(*rule, statement.span, place));
      rules.back().doc = statement.doc;
    } else if (const auto* drop = std::get_if<ast::Drop>(&statement.kind)) {
      TypedDrop typed = builder_.BuildDrop(*drop, statement.span, place);
      if (typed.valid) rules_.drops.push_back(std::move(typed));
    } else if (const auto* within = std::get_if<ast::Within>(&statement.kind)) {
      Place inner = place;
      inner.within.push_back(within);
      for (const ast::Statement& child : within->body) Visit(child, inner);
    } else if (const auto* rename = std::get_if<ast::Rename>(&statement.kind)) {
      for (const ast::RenamePair& pair : rename->pairs) {
        if (auto typed = builder_.BuildRename(pair, rename->of_target, place.unit))
          rules_.renames.push_back(*std::move(typed));
      }
    } else if (const auto* layer = std::get_if<ast::Layer>(&statement.kind)) {
      AddLayer(*layer, statement, place);
    } else if (const auto* module = std::get_if<ast::ModuleIs>(&statement.kind)) {
      if (auto typed = builder_.BuildModule(*module, statement.span, place)) {
        rules_.modules.push_back(*std::move(typed));
        module_names_.push_back(&module->layer);
      }
    } else if (const auto* init = std::get_if<ast::Init>(&statement.kind)) {
      if (auto typed = builder_.BuildInit(*init, statement.span, place)) rules_.inits.push_back(*std::move(typed));
    } else if (const auto* target = std::get_if<ast::Target>(&statement.kind)) {
      for (const ast::TargetItem& item : target->items) AddPolicy(item, place);
    } else if (const auto* decide = std::get_if<ast::Decide>(&statement.kind)) {
      AddDecision(*decide, statement.span, place);
    } else if (const auto* assertion = std::get_if<ast::Assert>(&statement.kind)) {
      AddAssert(*assertion, statement.span, place);
    } else if (const auto* test = std::get_if<ast::TestBlock>(&statement.kind)) {
      AddTest(*test, place);
    } else if (const auto* device = std::get_if<ast::Place>(&statement.kind)) {
      if (auto typed = builder_.BuildPlace(*device, statement.span, place)) rules_.places.push_back(*std::move(typed));
    } else if (const auto* shard = std::get_if<ast::Shard>(&statement.kind)) {
      if (auto typed = builder_.BuildShard(*shard, statement.span, place)) rules_.shards.push_back(*std::move(typed));
    } else if (const auto* sources = std::get_if<ast::NamedSources>(&statement.kind)) {
      AddNamedSources(*sources, statement, place);
    }
  }

  void AddNamedSources(const ast::NamedSources& sources, const ast::Statement& statement, const Place& place) {
    for (const ast::NamedSource& source : sources.list) {
      auto known = std::find_if(rules_.named_sources.begin(), rules_.named_sources.end(),
                                [&](const TypedNamedSource& other) { return other.name == source.name.text; });
      if (known == rules_.named_sources.end()) {
        rules_.named_sources.push_back(
            {static_cast<uint32_t>(place.unit), source.name.span, source.name.text, statement.doc, source.optional});
        continue;
      }
      known->optional = known->optional && source.optional;  // what one file needs is needed
      if (known->unit != place.unit) continue;
      sink_
          .Report(DiagnosticKind::kDuplicateName, source.name.span,
                  fmt::format("`{}` is defined twice", source.name.text))
          .Here("defined again here")
          .With(known->span, "first defined here")
          .Emit();
    }
  }

  // What no rule of the file names keeps its name without the prefix.
  void AddPrefixRename(const ast::Within& prefix, size_t unit) {
    TypedRename rename;
    rename.unit = static_cast<uint32_t>(unit);
    rename.span = prefix.from.span;
    rename.from.optional = true;
    rename.from.text = prefix.from.text;
    rename.from.span = rename.to.span = prefix.from.span;
    TypedPart part;
    part.text = prefix.from.text;
    part.span = prefix.from.span;
    rename.from.parts.push_back(std::move(part));
    const bool known = std::any_of(rules_.renames.begin(), rules_.renames.end(), [&](const TypedRename& other) {
      return !other.of_target && other.from.text == rename.from.text;
    });
    if (!known) rules_.renames.push_back(std::move(rename));
  }

  // `use … exactly "…"` confirms the rules of all that is reached by it.
  void ConfirmUsed() {
    for (const Unit& user : program_.units) {
      for (const UseEdge& edge : user.uses) {
        if (!edge.use->exactly) continue;
        std::set<size_t> reached;
        std::vector<size_t> work = {edge.unit};
        while (!work.empty()) {
          const size_t unit = work.back();
          work.pop_back();
          if (!reached.insert(unit).second) continue;
          for (const UseEdge& next : program_.units[unit].uses) work.push_back(next.unit);
        }
        const auto confirm = [&](TypedRule& rule) {
          if (reached.contains(rule.unit) && rule.exactly.empty()) rule.exactly = *edge.use->exactly;
        };
        for (TypedRule& rule : rules_.rules) confirm(rule);
        for (TypedRule& rule : rules_.derived) confirm(rule);
        for (TypedLayer& layer : rules_.layers) {
          for (TypedRule& rule : layer.rules) confirm(rule);
        }
      }
    }
  }

  void AddAssert(const ast::Assert& assertion, Span span, const Place& place) {
    if (!assertion.condition) return;
    ExprTyper typer(variables_, place.unit, nullptr, sink_);
    TypedAssert typed;
    typed.unit = static_cast<uint32_t>(place.unit);
    typed.span = span;
    typed.condition = typer.Expect(*assertion.condition, ValueType::kBool, "the condition");
    typed.message = assertion.message.value_or("");
    rules_.asserts.push_back(std::move(typed));
  }

  // Those of used files are theirs to run.
  void AddTest(const ast::TestBlock& test, const Place& place) {
    if (place.unit != 0) return;
    const auto [first, fresh] = test_names_.try_emplace(test.name.text, test.name.span);
    if (!fresh) {
      sink_
          .Report(DiagnosticKind::kDuplicateName, test.name.span,
                  fmt::format("two tests are named `{}`", test.name.text))
          .With(first->second, "the first one")
          .Emit();
    }
    if (auto typed = BuildTest(test, place.unit, variables_, sink_)) rules_.tests.push_back(*std::move(typed));
  }

  void AddLayer(const ast::Layer& layer, const ast::Statement& statement, Place place) {
    place.in_layer = true;
    place.within.clear();  // names in a layer are those of its module, whatever stands in front of it
    TypedLayer typed;
    typed.unit = static_cast<uint32_t>(place.unit);
    typed.span = statement.span;
    typed.name_span = layer.name.span;
    typed.name = layer.name.text;
    const std::string& scope = program_.units[place.unit].scope;
    typed.qualified = scope.empty() ? typed.name : scope + "." + typed.name;
    typed.doc = statement.doc;
    RuleScope names;
    names.in_layer = true;
    typed.when = builder_.BuildWhen(layer.when, place, names);
    for (const ast::LayerItem& item : layer.items) {
      if (const auto* rule = std::get_if<ast::Rule>(&item.kind)) {
        typed.rules.push_back(builder_.BuildRule(*rule, item.span, place));
        typed.rules.back().doc = item.doc;
      } else {
        TypedDrop drop = builder_.BuildDrop(*std::get_if<ast::Drop>(&item.kind), item.span, place);
        if (drop.valid) typed.drops.push_back(std::move(drop));
      }
    }
    rules_.layers.push_back(std::move(typed));
  }

  // The layers of the file itself come before those of the files that it uses.
  void ResolveLayers() {
    for (size_t i = 0; i < rules_.modules.size(); ++i) {
      TypedModuleIs& module = rules_.modules[i];
      const TypedLayer* found = nullptr;
      std::vector<std::string> known;
      for (const TypedLayer& layer : rules_.layers) {
        known.push_back(layer.name);
        const bool own = layer.unit == module.unit;
        const bool match = layer.name == module_names_[i]->text || layer.qualified == module_names_[i]->text;
        if (match && (found == nullptr || own)) found = &layer;
      }
      if (found != nullptr) {
        module.layer = found->qualified;
        continue;
      }
      std::string help = DidYouMean(module_names_[i]->text, known);
      if (help.empty())
        help = known.empty() ? "no layer is defined in this file or in those that it uses"
                             : fmt::format("the layers are {}", ListOf(known, "and"));
      sink_
          .Report(DiagnosticKind::kUnknownLayer, module_names_[i]->span,
                  fmt::format("there is no layer `{}`", module_names_[i]->text))
          .Help(help)
          .Emit();
    }
  }

  bool DTypeWord(const ast::Identifier& word, bool any, std::string& out) {
    const std::optional<DType> dtype = ParseDType(word.text);
    if (any && (word.text == "any" || word.text.empty())) return true;
    if (dtype && *dtype != DType::kAny) {
      out = word.text;
      return true;
    }
    std::vector<std::string> names;
    for (int i = 0; i < static_cast<int>(DType::kAny); ++i) names.emplace_back(DTypeName(static_cast<DType>(i)));
    std::string help = DidYouMean(word.text, names);
    sink_.Report(DiagnosticKind::kUnknownWord, word.span, fmt::format("`{}` is no dtype", word.text))
        .Help(help.empty() ? fmt::format("write one of {}", ListOf(names)) : help)
        .Emit();
    return false;
  }

  bool CheckWord(const ast::Identifier& word, const std::vector<std::string>& words) {
    if (std::find(words.begin(), words.end(), word.text) != words.end()) return true;
    std::string help = DidYouMean(word.text, words);
    sink_.Report(DiagnosticKind::kUnknownWord, word.span, fmt::format("`{}` is not known here", word.text))
        .Help(help.empty() ? fmt::format("write one of {}", ListOf(words)) : help)
        .Emit();
    return false;
  }

  void AddPolicy(const ast::TargetItem& item, const Place& place) {
    TypedPolicy typed;
    typed.unit = static_cast<uint32_t>(place.unit);
    typed.span = item.span;
    switch (item.kind) {
      case ast::TargetItem::Kind::kStrict:
        for (const ast::Identifier& word : item.words) {
          if (CheckWord(word, {"names", "shapes", "dtypes"})) strict_.push_back({typed.unit, word});
        }
        return;
      case ast::TargetItem::Kind::kAllowMissing:
        typed.kind = TypedPolicy::Kind::kAllowMissing;
        break;
      case ast::TargetItem::Kind::kAllowUnused:
        typed.kind = TypedPolicy::Kind::kAllowUnused;
        break;
      case ast::TargetItem::Kind::kMatchSuffix:
        typed.kind = TypedPolicy::Kind::kMatchSuffix;
        break;
      case ast::TargetItem::Kind::kCast: {
        typed.kind = TypedPolicy::Kind::kCast;
        const bool from = DTypeWord(item.cast_from, true, typed.cast_from);
        if (!DTypeWord(item.cast_to, false, typed.cast_to) || !from) return;
        if (item.overflow) {
          CheckWord(*item.overflow, {"error", "saturate", "inf"});
          typed.overflow = item.overflow->text;
        }
        break;
      }
    }
    if (item.pattern) {
      RuleScope scope;
      const Side side = typed.kind == TypedPolicy::Kind::kAllowUnused ? Side::kSource : Side::kTarget;
      typed.pattern = builder_.BuildName(*item.pattern, place, side, scope);
      if (!typed.pattern) return;
    }
    rules_.policies.push_back(std::move(typed));
  }

  // One policy for each name.
  void AddDecision(const ast::Decide& decide, Span span, const Place& place) {
    TypedPolicy typed;
    typed.unit = static_cast<uint32_t>(place.unit);
    typed.span = span;
    typed.kind = decide.kind == ast::Decide::Kind::kMissing  ? TypedPolicy::Kind::kDecideMissing
                 : decide.kind == ast::Decide::Kind::kUnused ? TypedPolicy::Kind::kDecideUnused
                                                             : TypedPolicy::Kind::kDecide;
    typed.question = decide.question.text;
    if (decide.patterns.empty()) rules_.policies.push_back(typed);
    for (const ast::Pattern& pattern : decide.patterns) {
      RuleScope scope;
      TypedPolicy& one = rules_.policies.emplace_back(typed);
      one.pattern = builder_.BuildName(
          pattern, place, typed.kind == TypedPolicy::Kind::kDecideUnused ? Side::kSource : Side::kTarget, scope);
      if (!one.pattern) rules_.policies.pop_back();
    }
  }

  static bool IsDecision(const TypedPolicy& policy) {
    return policy.kind == TypedPolicy::Kind::kDecide || policy.kind == TypedPolicy::Kind::kDecideMissing ||
           policy.kind == TypedPolicy::Kind::kDecideUnused;
  }

  // `strict` takes back what the files that this one uses let through; in one file it contradicts it.
  void ApplyStrict() {
    for (const auto& [unit, word] : strict_) {
      const auto loosens = [&word = word](const TypedPolicy& policy) {
        return !IsDecision(policy) && (word.text == "dtypes") == (policy.kind == TypedPolicy::Kind::kCast) &&
               word.text != "shapes";
      };
      for (const TypedPolicy& policy : rules_.policies) {
        if (policy.unit != unit || !loosens(policy)) continue;
        sink_
            .Report(DiagnosticKind::kStrictContradicted, word.span,
                    fmt::format("`strict {}` and what loosens it stand in one file", word.text))
            .With(policy.span, "this lets other targets through")
            .Help("take one of them away; `strict` is how targets are checked anyway")
            .Emit();
        break;
      }
      const uint32_t level = rules_.units[unit].level;
      std::erase_if(rules_.policies, [&](const TypedPolicy& policy) {
        return rules_.units[policy.unit].level > level && loosens(policy);
      });
    }
  }

  // ---- whole rules -------------------------------------------------------------------------------

  void CheckRule(const TypedRule& rule) {
    if (!rule.valid) return;
    CheckShapes(rule, variables_, sink_);
    if (!rule.reversible && !options_.reverse) return;
    if (rule.derives) {
      sink_
          .Report(DiagnosticKind::kNotReversible, rule.span,
                  rule.reversible ? "a rule written `<->` cannot be undone" : "this migration cannot be reversed")
          .Here("it makes tensors that stand in the source, and nothing says how they were stored")
          .Help(rule.reversible ? "write `-> source`" : "")
          .Emit();
      return;
    }
    const std::optional<Obstacle> obstacle = FindObstacle(rule, variables_);
    if (obstacle) {
      sink_
          .Report(DiagnosticKind::kNotReversible, obstacle->span,
                  rule.reversible ? "a rule written `<->` cannot be undone" : "this migration cannot be reversed")
          .Here(obstacle->reason)
          .Help(options_.reverse ? "" : obstacle->help)
          .Emit();
    } else if (!rule.reversible) {
      sink_.Report(DiagnosticKind::kNotReversible, rule.span, "this migration cannot be reversed")
          .Here("written `->`")
          .Help("write `<->` if the rule holds in both directions")
          .Emit();
    }
  }

  const Program& program_;
  const SemaOptions& options_;
  DiagnosticSink& sink_;
  RuleSet rules_;
  VariableTable variables_;
  RuleBuilder builder_;
  struct Strict {
    uint32_t unit;
    ast::Identifier word;
  };
  std::vector<Strict> strict_;
  std::vector<std::vector<size_t>> uses_;  // of each variable: those that its value uses
  std::vector<size_t> order_;              // of variables
  std::optional<Span> separators_;
  std::map<std::string, Span> test_names_;
  std::vector<const ast::Identifier*> module_names_;  // of rules_.modules
};

}  // namespace

RuleSet Analyze(const Program& program, const SemaOptions& options, DiagnosticSink& sink) {
  return Analyzer(program, options, sink).Run();
}

}  // namespace ckmap
