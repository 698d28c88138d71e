#include "compiler/reverse/reverse.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/reverse/turned_renames.h"
#include "compiler/reverse/turned_rule.h"
#include "compiler/reverse/turned_text.h"

namespace ckmap {
namespace {

std::string TurnedName(const std::string& name) {
  // The last 2 before a letter: a framework's name may end in a 2 itself, and what is turned twice is the same again.
  for (size_t two = name.size(); two-- > 1;) {
    if (name[two] == '2' && two + 1 < name.size() && std::isalpha(static_cast<unsigned char>(name[two + 1])) != 0)
      return name.substr(two + 1) + "2" + name.substr(0, two);
  }
  return name + "_back";
}

class FileTurner {
 public:
  FileTurner(const Program& program, const SourceMap& sources, Refusals& refusals)
      : program_(program),
        sources_(sources),
        refusals_(refusals),
        text_(sources, refusals),
        renames_(program, sources) {
    for (const Unit& unit : program.units) {
      for (const ast::Statement& statement : unit.tree.statements) Declare(unit, statement);
    }
  }

  std::string Run() {
    std::string out = "ckmap 1;\n";
    for (size_t i = 0; i < program_.units.size(); ++i) {
      unit_ = i;
      const Unit& unit = program_.units[i];
      if (i > 0)
        out += fmt::format("\n# From {}{}.\n", unit.name, unit.pack_version.empty() ? "" : " " + unit.pack_version);
      Block(unit.tree.statements, Begin(unit), {}, out);
    }
    if (unread_.empty()) return out;
    // A text has no operation that compares what it cuts off, as the reversed plan does.
    out +=
        "\n# The padding of the way there falls away.\n"
        "decide \"`slice` cuts a padding off without comparing it: convert with the plan of `ckmapc --reverse`, which "
        "compares it, or take this line out if the values may be lost\";\ntarget {\n";
    for (const std::string& name : unread_) out += fmt::format("allow unused \"{}\";\n", name);
    return out + "}\n";
  }

 private:
  uint32_t Begin(const Unit& unit) const { return unit.tree.edition ? unit.tree.edition_span.end : 0; }

  void Refuse(Span span, std::string why, std::string help = "") {
    refusals_.push_back({span, std::move(why), std::move(help)});
  }

  // Names that the one text would hold twice.
  void Declare(const Unit& unit, const ast::Statement& statement) {
    const ast::Identifier* name = nullptr;
    if (const auto* param = std::get_if<ast::Param>(&statement.kind)) name = &param->name;
    if (const auto* let = std::get_if<ast::Let>(&statement.kind)) name = &let->name;
    const auto* layer = std::get_if<ast::Layer>(&statement.kind);
    if (layer != nullptr) name = &layer->name;
    if (std::holds_alternative<ast::Rule>(statement.kind) || std::holds_alternative<ast::Within>(statement.kind))
      rule_levels_.insert(unit.level);
    for (size_t i = 0; layer != nullptr && i < layer->items.size(); ++i) {
      const auto* rule = std::get_if<ast::Rule>(&layer->items[i].kind);
      if (rule == nullptr || rule->target.terms.empty()) continue;
      const auto* leaf = std::get_if<ast::Pattern>(&rule->target.terms[0].kind);
      deep_leaves_ = deep_leaves_ || (leaf != nullptr && leaf->text.find('.') != std::string::npos);
    }
    if (name == nullptr) return;
    if (layer == nullptr) variables_.insert(name->text);
    if (!names_.insert((layer != nullptr ? "layer " : "value ") + name->text).second) {
      Refuse(name->span, fmt::format("`{}` is a name in two of the files, which become one text", name->text),
             "rename one of them");
    }
  }

  // ---- comments ----------------------------------------------------------------------------------

  // What stands between two statements: the end of a line behind the first, and lines of comments.
  struct Gap {
    std::string behind;
    std::vector<std::string> lines;
    bool blank = false;
  };
  Gap GapOf(Span span) const {
    Gap gap;
    std::string_view rest = sources_.Text(span);
    bool first = true;
    while (!rest.empty()) {
      const size_t whole = rest.size(), end = std::min(rest.find('\n'), whole);
      std::string line(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const size_t text = line.find_first_not_of(" \t\r;");
      if (text == std::string::npos) {
        gap.blank = gap.blank || (!first && (end < whole || !rest.empty()));
      } else if (line[text] == '#') {
        if (first)
          gap.behind = " " + line.substr(text);
        else
          gap.lines.push_back(line.substr(text));
      } else if (line.compare(text, 3, "///") == 0) {
        gap.lines.push_back(line.substr(text));
      }
      first = false;
    }
    return gap;
  }

  void Block(const std::vector<ast::Statement>& statements, uint32_t begin, const RuleContext& context,
             std::string& out) {
    for (const ast::Statement& statement : statements) {
      const Gap gap = GapOf({statement.span.file, begin, statement.span.begin});
      if (!gap.behind.empty() && out.ends_with("\n")) out.insert(out.size() - 1, gap.behind);
      if (gap.blank) out += "\n";
      for (const std::string& line : gap.lines) out += line + "\n";
      Statement(statement, context, out);
      begin = statement.span.end;
    }
  }

  // ---- statements --------------------------------------------------------------------------------

  std::string Raw(Span span) const { return std::string(sources_.Text(span)); }
  std::string WithEnd(std::string text) const {
    return text.ends_with(";") || text.ends_with("}") ? text + "\n" : text + ";\n";
  }
  std::string Note(const std::string& what, Span span) const {
    std::string line = Raw(span);
    std::replace(line.begin(), line.end(), '\n', ' ');
    return fmt::format("# {}: {}\n", what, line);
  }
  std::string When(const ast::ExprPtr& when, const CaptureTurns& turns = {}) {
    return when ? " when " + text_.Expression(*when, turns) : std::string();
  }

  void Statement(const ast::Statement& statement, const RuleContext& context, std::string& out) {
    const Span span = statement.span;
    if (const auto* migration = std::get_if<ast::Migration>(&statement.kind)) {
      if (unit_ == 0)
        out += fmt::format("migration {} from {} to {};\n", TurnedName(migration->name.text), migration->to.text,
                           migration->from.text);
    } else if (const auto* use = std::get_if<ast::Use>(&statement.kind)) {
      if (!use->with.empty())
        Refuse(span, "values that are given to a used pack cannot be written into one text", "compile with -D instead");
    } else if (std::holds_alternative<ast::Param>(statement.kind)) {
      out += WithEnd(Raw(span));
    } else if (const auto* let = std::get_if<ast::Let>(&statement.kind)) {
      if (let->value) out += fmt::format("let {} = {};\n", let->name.text, text_.Expression(*let->value, {}));
    } else if (const auto* names = std::get_if<ast::Names>(&statement.kind)) {
      out += fmt::format("names {} -> {};\n", Raw(names->to.span), Raw(names->from.span));
    } else if (const auto* rename = std::get_if<ast::Rename>(&statement.kind)) {
      Rename(*rename, out);
    } else if (const auto* layer = std::get_if<ast::Layer>(&statement.kind)) {
      Layer(*layer, out);
    } else if (const auto* module = std::get_if<ast::ModuleIs>(&statement.kind)) {
      out += fmt::format("module {} is {}{};\n", ModuleName(module->module), module->layer.text, When(module->when));
    } else if (const auto* within = std::get_if<ast::Within>(&statement.kind)) {
      Within(*within, statement, context, out);
    } else if (const auto* rule = std::get_if<ast::Rule>(&statement.kind)) {
      Rule(*rule, span, context, out);
    } else if (const auto* init = std::get_if<ast::Init>(&statement.kind)) {
      CaptureTurns turns;
      std::map<std::string, bool> bound;
      text_.Collect(init->pattern, ast::Pattern(), turns);
      out += fmt::format("drop {}?{} because \"the way there made it, from nothing\";\n",
                         text_.Source(init->pattern, turns, bound), When(init->when));
    } else if (const auto* target = std::get_if<ast::Target>(&statement.kind)) {
      Target(*target, out);
    } else if (const auto* decide = std::get_if<ast::Decide>(&statement.kind)) {
      Decide(*decide, out);
    } else if (const auto* assertion = std::get_if<ast::Assert>(&statement.kind)) {
      if (assertion->condition)
        out += "assert " + text_.Expression(*assertion->condition, {}) +
               Raw({span.file, assertion->condition->span.end, span.end}) + "\n";
    } else if (const auto* drop = std::get_if<ast::Drop>(&statement.kind)) {
      out += Note(drop->only ? "the way there takes nothing else" : "does not come back", span);
    } else if (!std::holds_alternative<ast::Invalid>(statement.kind)) {
      out += Note("of the way there", span);
    }
  }

  void Rename(const ast::Rename& rename, std::string& out) {
    // Of the target's names, as they are written, where they cannot be turned round one by one.
    const bool turned = renames_.AreTurned();
    const std::string side = turned || rename.of_target ? "" : "target ";
    out += rename.pairs.size() > 1 ? fmt::format("rename {}{{\n", side) : "rename " + side;
    for (const ast::RenamePair& pair : rename.pairs) {
      out += turned ? fmt::format("{};\n", renames_.Turned(pair)) : WithEnd(Raw(pair.span));
      if (pair.from.text.find('{') == std::string::npos && pair.to.text.find('{') == std::string::npos)
        literal_renames_.emplace_back(pair.from.text, pair.to.text);
    }
    if (rename.pairs.size() > 1) out += "}\n";
  }

  // A module's name on the right side: renames of whole literal runs are applied; others change patterns in ways that
  // text cannot follow.
  std::string ModuleName(const ast::Pattern& pattern) {
    std::string text = Raw(pattern.span);
    for (const auto& [from, to] : literal_renames_) {
      const size_t at = text.find(from);
      if (at == std::string::npos) continue;
      const size_t end = at + from.size();
      const auto edge = [](char c) { return c == '.' || c == '"'; };
      if ((at == 0 || edge(text[at - 1])) && (end == text.size() || edge(text[end])))
        return text.replace(at, from.size(), to);
    }
    return text;
  }

  // A leaf that the layer's module must have on the left side.
  static std::string RequiredLeaf(const ast::Layer& layer) {
    for (const ast::LayerItem& item : layer.items) {
      const auto* rule = std::get_if<ast::Rule>(&item.kind);
      const auto* leaf = rule != nullptr && !rule->source.terms.empty()
                             ? std::get_if<ast::Pattern>(&rule->source.terms[0].kind)
                             : nullptr;
      if (leaf != nullptr && !leaf->optional && leaf->text.find('{') == std::string::npos) return leaf->text;
    }
    return {};
  }

  void Layer(const ast::Layer& layer, std::string& out) {
    std::string when = When(layer.when);
    // Where layers have leaves in modules inside (`bn2d.gamma`), the module inside may look like another layer's: what
    // is to come out tells which it is.
    const std::string leaf = deep_leaves_ ? RequiredLeaf(layer) : "";
    if (!leaf.empty()) when += fmt::format("{} target_has(\"{}\")", when.empty() ? " when" : " and", leaf);
    out += fmt::format("layer {}{} {{\n", layer.name.text, when);
    RuleContext leaves;
    leaves.layer = true;
    for (const ast::LayerItem& item : layer.items) {
      for (const std::string& line : Lines(item.doc)) out += fmt::format("/// {}\n", line);
      if (const auto* rule = std::get_if<ast::Rule>(&item.kind))
        Rule(*rule, item.span, leaves, out);
      else
        out += Note("does not come back", item.span);
    }
    out += "}\n";
  }

  static std::vector<std::string> Lines(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }

  void Within(const ast::Within& within, const ast::Statement& statement, const RuleContext& context,
              std::string& out) {
    RuleContext inner = context;
    text_.Collect(within.from, within.to, inner.turns);
    inner.bound = context.bound;
    const std::string from = text_.Source(within.to, inner.turns, inner.bound),
                      to = text_.Target(within.from, inner.turns);
    std::string prefix = to;
    std::erase(prefix, '"');
    if (!prefix.empty()) inner.prefix = context.prefix + prefix + Separator(true);
    prefix = from;
    std::erase(prefix, '"');
    if (!prefix.empty()) inner.from_prefix = context.from_prefix + prefix + Separator(false);
    std::map<std::string, bool> known;
    for (const auto& [name, turn] : inner.turns) known[name] = true;
    prefix = text_.Source(within.to, inner.turns, known);
    std::erase(prefix, '"');
    if (!prefix.empty()) inner.from_prefix_name = context.from_prefix_name + prefix + Separator(false);
    out += fmt::format("within {} {} {}{}{} {{\n", from, within.reversible ? "<->" : "->", to,
                       When(within.when, inner.turns), ExactlyText(within.exactly));
    const std::string_view text = sources_.Text(statement.span);
    const size_t brace =
        within.body.empty()
            ? text.size()
            : sources_.Text({statement.span.file, statement.span.begin, within.body.front().span.begin}).rfind('{');
    Block(within.body, statement.span.begin + static_cast<uint32_t>(brace) + 1, inner, out);
    out += "}\n";
  }

  // Of one side's names.
  std::string Separator(bool left) const {
    for (const ast::Statement& statement : program_.units[0].tree.statements) {
      if (const auto* names = std::get_if<ast::Names>(&statement.kind)) return left ? names->from.text : names->to.text;
    }
    return ".";
  }

  void Rule(const ast::Rule& rule, Span span, const RuleContext& context, std::string& out) {
    if (!rule.reversible) return Refuse(span, "the rule is written `->`", "write `<->`, if it can be undone");
    const bool wins = rule_levels_.size() > 1 && program_.units[unit_].level == *rule_levels_.begin();
    if (rule_levels_.size() > 2)
      Refuse(span, "rules of three packs that overrule each other cannot be written into one text");
    out += TurnRule(rule, span, context, variables_, wins, unread_, text_, sources_, refusals_);
  }

  // What is open stays open. Names of the target are the source's now, which `for` does not speak of.
  void Decide(const ast::Decide& decide, std::string& out) {
    out += "decide " + Raw(decide.question.span);
    const bool turned = decide.kind == ast::Decide::Kind::kMissing || decide.kind == ast::Decide::Kind::kUnused;
    for (size_t i = 0; turned && i < decide.patterns.size(); ++i) {
      out += i > 0 ? ", " : decide.kind == ast::Decide::Kind::kMissing ? " unused " : " missing ";
      out += Raw(decide.patterns[i].span);
    }
    out += ";\n";
  }

  void Target(const ast::Target& target, std::string& out) {
    std::string body;
    for (const ast::TargetItem& item : target.items) {
      switch (item.kind) {
        case ast::TargetItem::Kind::kStrict:
          body += WithEnd(Raw(item.span));
          break;
        case ast::TargetItem::Kind::kAllowMissing:
          body += fmt::format("allow unused {};\n", Raw(item.pattern->span));
          break;
        case ast::TargetItem::Kind::kAllowUnused:
          body += fmt::format("allow missing {};\n", Raw(item.pattern->span));
          break;
        case ast::TargetItem::Kind::kCast:
          body += Note("a cast is not undone", item.span);
          break;
        case ast::TargetItem::Kind::kMatchSuffix:
          Refuse(item.span, "names that were matched by their end cannot be had back", "write rules for them");
          break;
      }
    }
    const bool only_notes = std::all_of(target.items.begin(), target.items.end(), [](const ast::TargetItem& item) {
      return item.kind == ast::TargetItem::Kind::kCast;
    });
    out += only_notes ? body : fmt::format("target {{\n{}}}\n", body);
  }

  const Program& program_;
  const SourceMap& sources_;
  Refusals& refusals_;
  TextTurner text_;
  TurnedRenames renames_;
  size_t unit_ = 0;
  std::set<std::string> names_, variables_, unread_;
  bool deep_leaves_ = false;
  std::set<uint32_t> rule_levels_;
  std::vector<std::pair<std::string, std::string>> literal_renames_;
};

}  // namespace

std::optional<std::string> ReverseText(const Program& program, const SourceMap& sources, DiagnosticSink& sink) {
  Refusals refusals;
  std::string text = FileTurner(program, sources, refusals).Run();
  for (const Refusal& refusal : refusals)
    sink.Report(DiagnosticKind::kNotReversible, refusal.span, refusal.why).Help(refusal.help).Emit();
  return refusals.empty() ? std::optional(text) : std::nullopt;
}

}  // namespace ckmap
