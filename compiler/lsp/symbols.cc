#include "compiler/lsp/symbols.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "runtime/base/text.h"

namespace ckmap::lsp {
namespace {

// A statement or block whose patterns bind captures, and whose shapes bind sizes.
struct Scope {
  size_t id = 0;
  std::set<std::string, std::less<>> captures, dims;
};

class Walker {
 public:
  Walker(const ast::File& file, const SourceFile& source, FileSymbols& out) : file_(file), source_(source), out_(out) {}

  void Run() {
    for (const ast::Statement& statement : file_.statements) {
      if (const auto* param = std::get_if<ast::Param>(&statement.kind)) params_.insert(param->name.text);
      if (const auto* let = std::get_if<ast::Let>(&statement.kind)) lets_.insert(let->name.text);
    }
    WalkBody(file_.statements, out_.outline);
    std::stable_sort(out_.symbols.begin(), out_.symbols.end(), [](const Symbol& a, const Symbol& b) {
      return std::tie(a.span.begin, a.span.end) < std::tie(b.span.begin, b.span.end);
    });
  }

 private:
  using Kind = Outline::Kind;

  void Add(SymbolKind kind, const ast::Identifier& name, bool definition, size_t scope = 0) {
    out_.symbols.push_back({kind, name.text, name.span, definition, scope});
  }

  bool IsVariable(const std::string& name) const { return params_.contains(name) || lets_.contains(name); }
  // The scope that binds a capture or a size; 0: none.
  size_t ScopeOf(const std::string& name, std::set<std::string, std::less<>> Scope::*names) const {
    for (const Scope& scope : scopes_) {
      if ((scope.*names).contains(name)) return scope.id;
    }
    return 0;
  }

  // ---- what a statement binds ----------------------------------------------------------------------

  void Bind(const std::string& name) {
    if (!IsVariable(name) && ScopeOf(name, &Scope::captures) == 0) scopes_.back().captures.insert(name);
  }
  void BindPattern(const ast::Pattern& pattern) {
    for (const ast::PatternPart& part : pattern.parts) {
      if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) Bind(capture->name.text);
    }
  }
  void BindPipeline(const ast::Pipeline& pipeline) {
    for (const ast::Term& term : pipeline.terms) {
      if (const auto* pattern = std::get_if<ast::Pattern>(&term.kind)) BindPattern(*pattern);
      if (const auto* inner = std::get_if<std::unique_ptr<ast::Pipeline>>(&term.kind)) BindPipeline(**inner);
      if (!term.shape) continue;
      for (const ast::DimExpr& dim : term.shape->dims) {
        const auto* name = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
        if (name == nullptr || IsVariable(name->name) || ScopeOf(name->name, &Scope::captures) != 0) continue;
        scopes_.back().dims.insert(name->name);
      }
    }
  }

  template <typename Body>
  void InScope(Body body) {
    scopes_.push_back({++last_scope_, {}, {}});
    body();
    scopes_.pop_back();
  }

  // ---- expressions and patterns --------------------------------------------------------------------

  void WalkName(const std::string& name, Span span) {
    if (const size_t scope = ScopeOf(name, &Scope::captures); scope != 0) {
      Add(SymbolKind::kCapture, {name, span}, false, scope);
    } else if (params_.contains(name)) {
      Add(SymbolKind::kParam, {name, span}, false);
    } else if (lets_.contains(name)) {
      Add(SymbolKind::kLet, {name, span}, false);
    } else if (const size_t dim = ScopeOf(name, &Scope::dims); dim != 0) {
      Add(SymbolKind::kDim, {name, span}, false, dim);
    }
  }

  // The depth of expressions is limited by the parser.
  void WalkExpr(const ast::ExprPtr& expr) {
    if (!expr) return;
    if (const auto* name = std::get_if<ast::NameRef>(&expr->kind)) {
      WalkName(name->name, expr->span);
    } else if (const auto* unary = std::get_if<ast::Unary>(&expr->kind)) {
      WalkExpr(unary->operand);
    } else if (const auto* binary = std::get_if<ast::Binary>(&expr->kind)) {
      WalkExpr(binary->left);
      WalkExpr(binary->right);
    } else if (const auto* choice = std::get_if<ast::Conditional>(&expr->kind)) {
      WalkExpr(choice->condition);
      WalkExpr(choice->then_value);
      WalkExpr(choice->else_value);
    } else if (const auto* call = std::get_if<ast::CallExpr>(&expr->kind)) {
      Add(SymbolKind::kFunction, call->function, false);
      for (const ast::CallArgument& arg : call->args) WalkExpr(arg.value);
    } else if (const auto* list = std::get_if<ast::ListExpr>(&expr->kind)) {
      for (const ast::ExprPtr& item : list->items) WalkExpr(item);
    } else if (const auto* text = std::get_if<ast::StringLiteral>(&expr->kind)) {
      if (text->pattern) WalkPattern(*text->pattern, false);
    }
  }

  void WalkPattern(const ast::Pattern& pattern, bool binds) {
    for (const ast::PatternPart& part : pattern.parts) {
      if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) {
        const size_t scope = ScopeOf(capture->name.text, &Scope::captures);
        const bool first = binds && seen_.insert({scope, capture->name.text}).second;
        if (scope != 0) Add(SymbolKind::kCapture, capture->name, first, scope);
        if (scope == 0) WalkName(capture->name.text, capture->name.span);
      } else if (const auto* computed = std::get_if<ast::ExprPart>(&part.kind)) {
        WalkExpr(computed->expr);
      }
    }
  }

  void WalkShape(const ast::ShapeExpr& shape) {
    for (const ast::DimExpr& dim : shape.dims) {
      const auto* name = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
      const size_t scope = name != nullptr && ScopeOf(name->name, &Scope::captures) == 0 && !IsVariable(name->name)
                               ? ScopeOf(name->name, &Scope::dims)
                               : 0;
      if (scope == 0) {
        WalkExpr(dim.expr);
        continue;
      }
      Add(SymbolKind::kDim, {name->name, dim.expr->span}, seen_.insert({scope, "[" + name->name}).second, scope);
    }
  }

  void WalkPipeline(const ast::Pipeline& pipeline, bool source, TensorStatement& statement) {
    for (const ast::Term& term : pipeline.terms) {
      if (const auto* pattern = std::get_if<ast::Pattern>(&term.kind)) {
        WalkPattern(*pattern, source);
        statement.patterns.push_back(pattern);
      } else if (const auto* inner = std::get_if<std::unique_ptr<ast::Pipeline>>(&term.kind)) {
        WalkPipeline(**inner, source, statement);
      }
      if (term.shape) WalkShape(*term.shape);
    }
    for (const ast::OpCall& op : pipeline.ops) {
      Add(SymbolKind::kOp, op.name, false);
      for (const ast::CallArgument& arg : op.args) WalkExpr(arg.value);
    }
  }

  // ---- statements ----------------------------------------------------------------------------------

  std::string TextOf(Span span) const {
    const std::string_view text = source_.text().substr(span.begin, span.end - span.begin);
    return EscapeText(text.substr(0, text.find('\n')));
  }
  Outline& AddOutline(std::vector<Outline>& to, Kind kind, std::string name, Span span, Span name_span) {
    to.push_back({std::move(name), "", kind, span, name_span, {}});
    return to.back();
  }

  void WalkRule(const ast::Rule& rule, Span span, std::vector<Outline>& outline) {
    InScope([&] {
      BindPipeline(rule.source);
      BindPipeline(rule.target);
      for (const ast::RangeClause& range : rule.ranges) Bind(range.capture.text);
      TensorStatement statement{span, {}};
      WalkPipeline(rule.source, true, statement);
      WalkPipeline(rule.target, false, statement);
      WalkExpr(rule.when);
      for (const ast::RangeClause& range : rule.ranges) {
        const size_t scope = ScopeOf(range.capture.text, &Scope::captures);
        Add(SymbolKind::kCapture, range.capture, seen_.insert({scope, range.capture.text}).second, scope);
        WalkExpr(range.begin);
        WalkExpr(range.end);
      }
      out_.statements.push_back(std::move(statement));
    });
    AddOutline(outline, Kind::kRule, TextOf(rule.source.span), span, rule.source.span).detail =
        TextOf(rule.target.span);
  }

  // drop, init, module, …: one pattern and a condition.
  void WalkOne(const ast::Pattern& pattern, const ast::ExprPtr& when, Span span) {
    InScope([&] { WalkNamed(pattern, when, span); });
  }

  void WalkNamed(const ast::Pattern& pattern, const ast::ExprPtr& when, Span span) {
    BindPattern(pattern);
    WalkPattern(pattern, true);
    WalkExpr(when);
    out_.statements.push_back({span, {&pattern}});
  }

  void WalkDrop(const ast::Drop& drop, Span span) {
    InScope([&] {
      WalkNamed(drop.pattern, drop.when, span);
      if (!drop.equals) return;
      // The words of `equals` are not values; the tensor that it names, and what the words are given, are walked.
      if (const auto* call = std::get_if<ast::CallExpr>(&drop.equals->kind)) {
        for (const ast::CallArgument& arg : call->args) WalkExpr(arg.value);
      } else if (std::holds_alternative<ast::StringLiteral>(drop.equals->kind)) {
        WalkExpr(drop.equals);
      }
    });
  }

  void WalkRename(const ast::RenamePair& pair) {
    InScope([&] {
      BindPattern(pair.from);
      WalkPattern(pair.from, true);
      WalkPattern(pair.to, false);
    });
  }

  void WalkLayer(const ast::Layer& layer, Span span, std::vector<Outline>& outline) {
    Add(SymbolKind::kLayer, layer.name, true);
    WalkExpr(layer.when);
    Outline& entry = AddOutline(outline, Kind::kLayer, layer.name.text, span, layer.name.span);
    std::vector<Outline> children;
    for (const ast::LayerItem& item : layer.items) {
      if (const auto* rule = std::get_if<ast::Rule>(&item.kind)) WalkRule(*rule, item.span, children);
      if (const auto* drop = std::get_if<ast::Drop>(&item.kind)) WalkDrop(*drop, item.span);
    }
    entry.children = std::move(children);
  }

  void WalkWithin(const ast::Within& within, Span span, std::vector<Outline>& outline) {
    std::vector<Outline> children;
    InScope([&] {
      BindPattern(within.from);
      BindPattern(within.to);
      WalkPattern(within.from, true);
      WalkPattern(within.to, false);
      WalkExpr(within.when);
      WalkBody(within.body, children);
    });
    Outline& entry = AddOutline(outline, Kind::kWithin, within.from.text, span, within.from.span);
    entry.detail = within.to.text;
    entry.children = std::move(children);
  }

  // The depth of blocks is limited by the parser.
  void WalkBody(const std::vector<ast::Statement>& body, std::vector<Outline>& outline) {
    for (const ast::Statement& statement : body) WalkStatement(statement, outline);
  }

  void WalkStatement(const ast::Statement& statement, std::vector<Outline>& outline) {
    const Span span = statement.span;
    if (const auto* rule = std::get_if<ast::Rule>(&statement.kind)) return WalkRule(*rule, span, outline);
    if (const auto* within = std::get_if<ast::Within>(&statement.kind)) return WalkWithin(*within, span, outline);
    if (const auto* layer = std::get_if<ast::Layer>(&statement.kind)) return WalkLayer(*layer, span, outline);
    if (const auto* drop = std::get_if<ast::Drop>(&statement.kind)) return WalkDrop(*drop, span);
    if (const auto* rename = std::get_if<ast::Rename>(&statement.kind)) {
      for (const ast::RenamePair& pair : rename->pairs) {
        WalkRename(pair);
        AddOutline(outline, Kind::kRename, pair.from.text, pair.span, pair.from.span).detail = pair.to.text;
      }
    } else if (const auto* init = std::get_if<ast::Init>(&statement.kind)) {
      WalkOne(init->pattern, init->when, span);
      for (const ast::CallArgument& arg : init->args) WalkExpr(arg.value);
    } else if (const auto* module = std::get_if<ast::ModuleIs>(&statement.kind)) {
      Add(SymbolKind::kLayer, module->layer, false);
      WalkOne(module->module, module->when, span);
    } else if (const auto* place = std::get_if<ast::Place>(&statement.kind)) {
      WalkOne(place->pattern, place->when, span);
    } else if (const auto* shard = std::get_if<ast::Shard>(&statement.kind)) {
      WalkOne(shard->pattern, shard->when, span);
      WalkExpr(shard->axis);
    } else if (const auto* decide = std::get_if<ast::Decide>(&statement.kind)) {
      for (const ast::Pattern& pattern : decide->patterns) WalkOne(pattern, nullptr, span);
    } else if (const auto* check = std::get_if<ast::Assert>(&statement.kind)) {
      WalkExpr(check->condition);
    } else {
      WalkDefinition(statement, outline);
    }
  }

  void WalkDefinition(const ast::Statement& statement, std::vector<Outline>& outline) {
    const Span span = statement.span;
    if (const auto* param = std::get_if<ast::Param>(&statement.kind)) {
      Add(SymbolKind::kParam, param->name, true);
      WalkExpr(param->value);
      AddOutline(outline, Kind::kParam, param->name.text, span, param->name.span).detail = param->type.text;
    } else if (const auto* let = std::get_if<ast::Let>(&statement.kind)) {
      Add(SymbolKind::kLet, let->name, true);
      WalkExpr(let->value);
      AddOutline(outline, Kind::kLet, let->name.text, span, let->name.span);
    } else if (const auto* use = std::get_if<ast::Use>(&statement.kind)) {
      Add(SymbolKind::kUse, use->target, false);
      for (const ast::CallArgument& arg : use->with) WalkExpr(arg.value);
      AddOutline(outline, Kind::kUse, use->target.text, span, use->target.span);
    } else if (const auto* migration = std::get_if<ast::Migration>(&statement.kind)) {
      AddOutline(outline, Kind::kMigration, migration->name.text, span, migration->name.span).detail =
          migration->from.text + " → " + migration->to.text;
    } else if (const auto* test = std::get_if<ast::TestBlock>(&statement.kind)) {
      for (const ast::CallArgument& arg : test->with) {
        if (arg.name && params_.contains(arg.name->text)) Add(SymbolKind::kParam, *arg.name, false);
        WalkExpr(arg.value);
      }
      AddOutline(outline, Kind::kTest, test->name.text, span, test->name.span);
    }
  }

  const ast::File& file_;
  const SourceFile& source_;
  FileSymbols& out_;
  std::set<std::string, std::less<>> params_, lets_;
  std::vector<Scope> scopes_;
  size_t last_scope_ = 0;
  std::set<std::pair<size_t, std::string>> seen_;  // captures and sizes whose definition was met
};

}  // namespace

const Symbol* FileSymbols::At(uint32_t offset) const {
  const Symbol* best = nullptr;
  for (const Symbol& symbol : symbols) {
    if (symbol.span.begin > offset) break;
    if (offset > symbol.span.end) continue;
    if (best == nullptr || symbol.span.end - symbol.span.begin <= best->span.end - best->span.begin) best = &symbol;
  }
  return best;
}

std::vector<const Symbol*> FileSymbols::SameAs(const Symbol& symbol) const {
  std::vector<const Symbol*> same;
  for (const Symbol& other : symbols) {
    if (other.kind == symbol.kind && other.name == symbol.name && other.scope == symbol.scope) same.push_back(&other);
  }
  return same;
}

FileSymbols ReadSymbols(const ast::File& file, const SourceFile& source) {
  FileSymbols symbols;
  Walker(file, source, symbols).Run();
  return symbols;
}

}  // namespace ckmap::lsp
