#include "compiler/doc/file_page.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "compiler/doc/markdown.h"

namespace ckmap::doc {
namespace {

using Rows = std::vector<std::vector<std::string>>;

class FileWriter {
 public:
  FileWriter(const Unit& unit, const SourceMap& sources, int level)
      : unit_(unit), sources_(sources), level_(static_cast<size_t>(level)) {}

  std::string Run() {
    Walk(unit_.tree.statements, {}, {});
    std::string out = intro_;
    out += Section("Names", Table({"from", "to", ""}, renames_));
    out += Section("What becomes what", Table({"source", "operations", "target", "when", "why"}, rules_));
    for (const auto& [title, text] : layers_)
      out += fmt::format("{} Layer `{}`\n\n{}", std::string(level_, '#'), title, text);
    out += Section("Modules", Table({"module", "layer", "when"}, modules_));
    out += Section("Left out", Table({"tensors", "when", "because"}, drops_));
    out += Section("Without a source", Table({"target", "starts as", "when", ""}, inits_));
    out += Section("Placed and cut", Table({"target", "", ""}, placed_));
    out += Section("Let through", Table({"what"}, policies_));
    out += Section("Not decided yet", Table({"what"}, decisions_));
    out += Section("Must hold", Table({"condition", "why"}, asserts_));
    out += Section("Tests", Table({"test", ""}, tests_));
    return out;
  }

 private:
  std::string Section(std::string_view title, const std::string& table) const {
    return table.empty() ? "" : fmt::format("{} {}\n\n{}", std::string(level_, '#'), title, table);
  }
  std::string Source(Span span) const { return std::string(sources_.Text(span)); }
  std::string Expr(const ast::ExprPtr& expr) const { return expr ? Code(Source(expr->span)) : ""; }

  // A name with the prefixes of the blocks around it.
  static std::string Full(const std::string& prefix, const ast::Pattern& pattern) {
    const std::string name = pattern.regex.empty() ? pattern.text : "/^" + pattern.regex + "$/";
    return prefix.empty() ? name : prefix + "." + name;
  }
  std::string Names(const std::string& prefix, const ast::Pipeline& pipeline) const {
    std::string out;
    for (const ast::Term& term : pipeline.terms) {
      if (!out.empty()) out += ", ";
      if (const auto* pattern = std::get_if<ast::Pattern>(&term.kind)) {
        out += Full(prefix, *pattern) + (pattern->optional ? "?" : "");
      } else {
        out += Source(term.span);
        continue;
      }
      if (term.shape) out += " " + Source(term.shape->span);
    }
    return out;
  }
  std::string Ops(const ast::Pipeline& pipeline) const {
    std::string out;
    for (const ast::OpCall& op : pipeline.ops) out += (out.empty() ? "" : " | ") + Source(op.span);
    return out;
  }
  static std::string Joined(const std::string& a, const std::string& b) {
    if (a.empty() || b.empty()) return a + b;
    return a + (a.ends_with('.') ? " " : "; ") + b;
  }

  std::vector<std::string> RuleRow(const ast::Rule& rule, const std::string& doc, const std::string& from,
                                   const std::string& to) const {
    std::string when = Expr(rule.when);
    for (const ast::RangeClause& range : rule.ranges) when = Joined(when, Code(Source(range.span)));
    const std::string made = rule.derives ? "source " + Names(from, rule.target) : Names(to, rule.target);
    return {Code(Names(from, rule.source)), Code(Ops(rule.source)), Code(made), when,
            Joined(Cell(doc), Cell(rule.exactly.value_or("")))};
  }
  std::vector<std::string> DropRow(const ast::Drop& drop, const std::string& prefix) const {
    const std::string name = Full(prefix, drop.pattern) + (drop.pattern.optional ? "?" : "");
    return {drop.only ? "all but " + Code(name) : Code(name), Expr(drop.when),
            Joined(drop.equals ? "equals " + Expr(drop.equals) + ", which is compared" : "",
                   Cell(drop.reason.value_or("")))};
  }

  void AddLayer(const ast::Layer& layer, const std::string& doc) {
    std::string text = doc.empty() ? "" : doc + "\n\n";
    if (layer.when) text += fmt::format("Where {}.\n\n", Expr(layer.when));
    Rows rules, drops;
    for (const ast::LayerItem& item : layer.items) {
      if (const auto* rule = std::get_if<ast::Rule>(&item.kind)) rules.push_back(RuleRow(*rule, item.doc, "", ""));
      if (const auto* drop = std::get_if<ast::Drop>(&item.kind)) drops.push_back(DropRow(*drop, ""));
    }
    text += Table({"source", "operations", "target", "when", "why"}, rules);
    text += Table({"left out", "when", "because"}, drops);
    layers_.emplace_back(layer.name.text, std::move(text));
  }

  // The depth of blocks is limited by the parser.
  void Walk(const std::vector<ast::Statement>& body, const std::string& from, const std::string& to) {
    for (const ast::Statement& statement : body) {
      if (const auto* within = std::get_if<ast::Within>(&statement.kind)) {
        const auto joined = [](const std::string& prefix, const ast::Pattern& pattern) {
          return pattern.text.empty() ? prefix : Full(prefix, pattern);
        };
        Walk(within->body, joined(from, within->from), joined(to, within->to));
      } else if (const auto* rule = std::get_if<ast::Rule>(&statement.kind)) {
        rules_.push_back(RuleRow(*rule, statement.doc, from, to));
      } else if (const auto* drop = std::get_if<ast::Drop>(&statement.kind)) {
        drops_.push_back(DropRow(*drop, from));
      } else if (const auto* init = std::get_if<ast::Init>(&statement.kind)) {
        const Span kind = init->args.empty()
                              ? init->kind.span
                              : Span{init->kind.span.file, init->kind.span.begin, statement.span.end - 1};
        inits_.push_back({Code(Full(to, init->pattern)), Code(init->args.empty() ? init->kind.text : Source(kind)),
                          Expr(init->when), Cell(statement.doc)});
      } else {
        WalkTop(statement);
      }
    }
  }

  void WalkTop(const ast::Statement& statement) {
    const std::string text = Source(statement.span);
    if (const auto* migration = std::get_if<ast::Migration>(&statement.kind)) {
      intro_ += fmt::format("{}From {} to {}.\n\n", statement.doc.empty() ? "" : statement.doc + "\n\n",
                            migration->from.text, migration->to.text);
    } else if (std::holds_alternative<ast::Use>(statement.kind)) {
      intro_ += fmt::format("Uses {}.\n\n", Code(text.substr(4, text.size() - 5)));
    } else if (const auto* rename = std::get_if<ast::Rename>(&statement.kind)) {
      for (const ast::RenamePair& pair : rename->pairs) {
        const std::string doc = rename->of_target
                                    ? "of the target's names" + (statement.doc.empty() ? "" : "; " + statement.doc)
                                    : statement.doc;
        renames_.push_back(
            {Code(pair.from.text), pair.to.text.empty() ? "(taken out)" : Code(pair.to.text), Cell(doc)});
      }
    } else if (const auto* layer = std::get_if<ast::Layer>(&statement.kind)) {
      AddLayer(*layer, statement.doc);
    } else if (const auto* module = std::get_if<ast::ModuleIs>(&statement.kind)) {
      modules_.push_back({Code(module->module.text), Code(module->layer.text), Expr(module->when)});
    } else if (const auto* place = std::get_if<ast::Place>(&statement.kind)) {
      placed_.push_back({Code(place->pattern.text), "on " + Code(place->device.text), Cell(statement.doc)});
    } else if (const auto* shard = std::get_if<ast::Shard>(&statement.kind)) {
      placed_.push_back({Code(shard->pattern.text),
                         fmt::format("axis {} over {}", Expr(shard->axis), Code(shard->over.text)),
                         Cell(statement.doc)});
    } else if (std::holds_alternative<ast::Decide>(statement.kind)) {
      decisions_.push_back({Code(Source(statement.span))});
    } else if (const auto* target = std::get_if<ast::Target>(&statement.kind)) {
      for (const ast::TargetItem& item : target->items) policies_.push_back({Code(Source(item.span))});
    } else if (const auto* check = std::get_if<ast::Assert>(&statement.kind)) {
      asserts_.push_back({Expr(check->condition), Cell(check->message.value_or(""))});
    } else if (const auto* test = std::get_if<ast::TestBlock>(&statement.kind)) {
      tests_.push_back({Cell(test->name.text), Cell(statement.doc)});
    }
  }

  const Unit& unit_;
  const SourceMap& sources_;
  size_t level_;
  std::string intro_;
  Rows renames_, rules_, modules_, drops_, inits_, placed_, policies_, decisions_, asserts_, tests_;
  std::vector<std::pair<std::string, std::string>> layers_;
};

}  // namespace

std::string FileSections(const Unit& unit, const SourceMap& sources, int level) {
  return FileWriter(unit, sources, level).Run();
}

std::string ParamTable(const Program& program, const SourceMap& sources, const Pack& pack) {
  std::map<std::string, std::string> docs;
  for (const PackParam& param : pack.params) docs[param.name] = param.doc;
  Rows rows;
  for (const Unit& unit : program.units) {
    for (const ast::Statement& statement : unit.tree.statements) {
      const auto* param = std::get_if<ast::Param>(&statement.kind);
      if (param == nullptr) continue;
      const std::string name = unit.scope.empty() ? param->name.text : unit.scope + "." + param->name.text;
      const bool own = unit.pack == pack.name && docs.contains(param->name.text);
      rows.push_back({Code(name), param->type.text, param->value ? Code(sources.Text(param->value->span)) : "",
                      param->config_key ? Code(param->config_key->text) : "",
                      Cell(!statement.doc.empty() ? statement.doc
                           : own                  ? docs[param->name.text]
                                                  : "")});
    }
  }
  return Table({"parameter", "type", "default", "in config.json", "meaning"}, rows);
}

}  // namespace ckmap::doc
