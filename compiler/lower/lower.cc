#include "compiler/lower/lower.h"

#include "plan.pb.h"
#include "runtime/base/check.h"
#include "runtime/base/sha256.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

class Lowering {
 public:
  Lowering(const RuleSet& rules, const SourceMap& sources) : rules_(rules), sources_(sources) {}

  plan::Plan Run(const std::string& compiler, bool reverse) {
    plan::Plan plan;
    plan.set_format(kPlanFormat);
    plan.set_compiler(compiler);
    plan.set_edition(rules_.edition);
    plan.set_migration(rules_.migration);
    plan.set_from_framework(rules_.from_framework);
    plan.set_to_framework(rules_.to_framework);
    plan.set_source_separator(rules_.source_separator);
    plan.set_target_separator(rules_.target_separator);
    plan.set_reversed(reverse);
    for (const TypedUnit& unit : rules_.units) File(unit, *plan.add_files());
    for (const TypedVariable& variable : rules_.variables) Variable(variable, *plan.add_variables());
    for (const TypedRename& rename : rules_.renames) {
      plan::Rename& out = *plan.add_renames();
      Loc(rename.unit, rename.span, *out.mutable_loc());
      Pattern(rename.from, *out.mutable_from());
      Pattern(rename.to, *out.mutable_to());
      out.set_of_target(rename.of_target);
      out.set_optional(rename.from.optional);
    }
    for (const TypedLayer& layer : rules_.layers) Layer(layer, *plan.add_layers());
    for (const TypedModuleIs& module : rules_.modules) {
      plan::ModuleIs& out = *plan.add_modules();
      Loc(module.unit, module.span, *out.mutable_loc());
      Pattern(module.module, *out.mutable_module());
      out.set_layer(module.layer);
      if (module.when) Expr(module.unit, *module.when, *out.mutable_when());
    }
    for (const TypedNamedSource& source : rules_.named_sources) {
      plan::NamedSource& out = *plan.add_named_sources();
      Loc(source.unit, source.span, *out.mutable_loc());
      out.set_name(source.name);
      out.set_optional(source.optional);
      out.set_doc(source.doc);
    }
    for (const TypedRule& rule : rules_.derived) Rule(rule, *plan.add_derived());
    for (const TypedRule& rule : rules_.rules) Rule(rule, *plan.add_rules());
    for (const TypedDrop& drop : rules_.drops) Drop(drop, *plan.add_drops());
    for (const TypedInit& init : rules_.inits) Init(init, *plan.add_inits());
    for (const TypedPolicy& policy : rules_.policies) Policy(policy, *plan.add_policies());
    for (const TypedPlace& place : rules_.places) Place(place, *plan.add_places());
    for (const TypedShard& shard : rules_.shards) Shard(shard, *plan.add_shards());
    for (const TypedAssert& assertion : rules_.asserts) Assert(assertion, *plan.add_asserts());
    return plan;
  }

 private:
  void File(const TypedUnit& unit, plan::SourceFile& out) {
    out.set_name(unit.name);
    out.set_sha256(Sha256Hex(WithoutTests(unit)));
    out.set_pack(unit.pack);
    out.set_pack_version(unit.pack_version);
    out.set_level(unit.level);
  }

  // Tests, with the doc comments and the white space before them, say nothing about what a plan does.
  std::string WithoutTests(const TypedUnit& unit) const {
    const std::string_view text = sources_.file(unit.file).text();
    std::string rules;
    size_t done = 0;
    for (const Span& test : unit.tests) {
      size_t begin = test.begin;
      for (bool doc = true; doc && begin > done;) {
        const size_t end = text.find_last_not_of(" \t\r\n", begin - 1);
        begin = end == std::string_view::npos || end < done ? done : end + 1;
        const size_t line = begin == 0 ? 0 : text.rfind('\n', begin - 1) + 1;
        const size_t first = text.find_first_not_of(" \t", line);
        doc = line >= done && first != std::string_view::npos && text.substr(first).starts_with("///");
        if (doc) begin = line;
      }
      rules += text.substr(done, begin - done);
      done = test.end;
    }
    return rules.append(text.substr(done));
  }

  void Loc(uint32_t unit, Span span, plan::Location& out) {
    // A span may lie in another file than the statement (a value given by `with`); files of the
    // program are the only ones that a plan knows.
    uint32_t file = unit;
    for (uint32_t i = 0; i < rules_.units.size(); ++i) {
      if (rules_.units[i].file == span.file) file = i;
    }
    const LineColumn place = sources_.file(span.file).Locate(span.begin);
    out.set_file(file);
    out.set_line(place.line);
    out.set_column(place.column);
  }

  void Expr(uint32_t unit, const TypedExpr& expr, plan::Expr& out) {
    Loc(unit, expr.span, *out.mutable_loc());
    unit_ = unit;
    Value(expr, out);
  }

  void Value(const TypedExpr& expr, plan::Expr& out) {
    switch (expr.kind) {
      case TypedExpr::Kind::kInvalid:
        CKMAP_CHECK(false);
        break;
      case TypedExpr::Kind::kInt:
        out.set_int_(expr.integer);
        break;
      case TypedExpr::Kind::kNumber:
        out.set_number(expr.number);
        break;
      case TypedExpr::Kind::kText:
        out.set_text(expr.text);
        break;
      case TypedExpr::Kind::kBool:
        out.set_boolean(expr.boolean);
        break;
      case TypedExpr::Kind::kVariable:
        out.set_variable(expr.text);
        break;
      case TypedExpr::Kind::kCapture:
        out.set_capture(expr.text);
        break;
      case TypedExpr::Kind::kDim:
        out.set_dim(expr.text);
        break;
      case TypedExpr::Kind::kName:
        Pattern(*expr.name, *out.mutable_name());
        break;
      case TypedExpr::Kind::kCall:
        out.mutable_call()->set_function(expr.text);
        for (const TypedExpr& arg : expr.args) Expr(unit_, arg, *out.mutable_call()->add_args());
        break;
      case TypedExpr::Kind::kList:
        out.mutable_list();
        for (const TypedExpr& arg : expr.args) Expr(unit_, arg, *out.mutable_list()->add_items());
        break;
    }
  }

  void Variable(const TypedVariable& variable, plan::Variable& out) {
    out.set_name(variable.qualified);
    switch (variable.type) {
      case ValueType::kFloat:
        out.set_type(plan::Variable::FLOAT);
        break;
      case ValueType::kBool:
        out.set_type(plan::Variable::BOOL);
        break;
      case ValueType::kString:
        out.set_type(variable.json ? plan::Variable::JSON : plan::Variable::STRING);
        break;
      default:
        out.set_type(plan::Variable::INT);
        break;
    }
    out.set_is_param(variable.is_param);
    out.set_config_key(variable.config_key);
    if (variable.value) Expr(variable.unit, *variable.value, *out.mutable_value());
    out.set_fixed(variable.fixed);
    Loc(variable.unit, variable.span, *out.mutable_loc());
    out.set_doc(variable.doc);
  }

  // ---- names -------------------------------------------------------------------------------------

  static void Capture(const TypedCapture& capture, plan::Capture& out) {
    out.set_name(capture.name);
    switch (capture.kind) {
      case TypedCapture::Kind::kSegment:
        out.set_kind(plan::Capture::SEGMENT);
        break;
      case TypedCapture::Kind::kInt:
        out.set_kind(plan::Capture::INT);
        break;
      case TypedCapture::Kind::kPath:
        out.set_kind(plan::Capture::PATH);
        break;
      case TypedCapture::Kind::kChoice:
        out.set_kind(plan::Capture::CHOICE);
        break;
      case TypedCapture::Kind::kRegex:
        out.set_kind(plan::Capture::REGEX);
        break;
    }
    for (const std::string& choice : capture.choices) out.add_choices(choice);
    out.set_regex(capture.regex);
    out.set_gather(capture.gather);
  }

  void Pattern(const TypedPattern& pattern, plan::Pattern& out) {
    out.set_text(pattern.text);
    out.set_regex(pattern.regex);
    plan::Part* last = nullptr;
    for (const TypedPart& part : pattern.parts) {
      if (part.kind == TypedPart::Kind::kLiteral && last != nullptr && last->has_literal()) {
        last->mutable_literal()->append(part.text);  // a prefix, its separator and the name in one
        continue;
      }
      last = out.add_parts();
      switch (part.kind) {
        case TypedPart::Kind::kLiteral:
          last->set_literal(part.text);
          break;
        case TypedPart::Kind::kCapture:
          Capture(part.capture, *last->mutable_capture());
          break;
        case TypedPart::Kind::kReference:
          last->set_reference(part.text);
          break;
        case TypedPart::Kind::kExpr:
          Expr(unit_, part.expr, *last->mutable_expr());
          break;
        case TypedPart::Kind::kAlternatives:
          for (const std::string& option : part.options) last->mutable_alternatives()->add_options(option);
          break;
      }
    }
  }

  // ---- rules -------------------------------------------------------------------------------------

  void Shape(const TypedShape& shape, plan::ShapePattern& out) {
    Loc(unit_, shape.span, *out.mutable_loc());
    for (const TypedDim& dim : shape.dims) {
      plan::Dim& to = *out.add_dims();
      switch (dim.kind) {
        case TypedDim::Kind::kBind:
          to.set_bind(dim.name);
          break;
        case TypedDim::Kind::kExpr:
          Expr(unit_, dim.expr, *to.mutable_expr());
          break;
        case TypedDim::Kind::kAny:
          to.set_any(true);
          break;
        case TypedDim::Kind::kRest:
          to.set_rest(true);
          break;
      }
    }
  }

  void Pipeline(const TypedPipeline& pipeline, plan::Pipeline& out) {
    for (const TypedTerm& term : pipeline.terms) {
      plan::Term& to = *out.add_terms();
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        Pipeline(**inner, *to.mutable_pipeline());
      } else {
        const TypedPattern& pattern = std::get<0>(term.kind);
        Pattern(pattern, *to.mutable_pattern());
        to.set_optional(pattern.optional);
      }
      if (term.shape) Shape(*term.shape, *to.mutable_shape());
    }
    for (const TypedOp& op : pipeline.ops) {
      plan::Op& to = *out.add_ops();
      to.set_name(std::string(op.spec->name));
      for (const auto& [name, value] : op.args) {
        plan::Argument& arg = *to.add_args();
        arg.set_name(name);
        Expr(unit_, value, *arg.mutable_value());
      }
      Loc(unit_, op.span, *to.mutable_loc());
      to.set_text(OneLine(sources_.Text(op.span)));
    }
  }

  void Rule(const TypedRule& rule, plan::Rule& out) {
    unit_ = rule.unit;
    Loc(rule.unit, rule.span, *out.mutable_loc());
    out.set_text(OneLine(sources_.Text(rule.span)));
    out.set_reversible(rule.reversible);
    Pipeline(rule.source, *out.mutable_source());
    Pipeline(rule.target, *out.mutable_target());
    if (rule.when) Expr(rule.unit, *rule.when, *out.mutable_when());
    for (const TypedRange& range : rule.ranges) {
      plan::Range& to = *out.add_ranges();
      to.set_capture(range.capture);
      Expr(rule.unit, range.begin, *to.mutable_begin());
      Expr(rule.unit, range.end, *to.mutable_end());
    }
    out.set_exactly(rule.exactly);
    out.set_overrides(rule.overrides);
    out.set_doc(rule.doc);
  }

  void Drop(const TypedDrop& drop, plan::Drop& out) {
    unit_ = drop.unit;
    Loc(drop.unit, drop.span, *out.mutable_loc());
    Pattern(drop.pattern, *out.mutable_pattern());
    if (drop.when) Expr(drop.unit, *drop.when, *out.mutable_when());
    out.set_only(drop.only);
    if (drop.equals) Equals(*drop.equals, *out.mutable_equals());
    out.set_optional(drop.pattern.optional);
    out.set_reason(drop.reason);
  }

  void Equals(const TypedEquals& equals, plan::Contents& out) {
    plan::Contents::Kind kind = plan::Contents::TENSOR;
    if (equals.kind == "zeros") kind = plan::Contents::ZEROS;
    if (equals.kind == "ones") kind = plan::Contents::ONES;
    if (equals.kind == "constant") kind = plan::Contents::CONSTANT;
    if (equals.kind == "iota") kind = plan::Contents::IOTA;
    if (equals.kind == "tril") kind = plan::Contents::TRIL;
    if (equals.kind == "inv_freq") kind = plan::Contents::INV_FREQ;
    out.set_kind(kind);
    if (equals.tensor.name) Pattern(*equals.tensor.name, *out.mutable_tensor());
    for (const auto& [name, value] : equals.args) {
      plan::Argument& arg = *out.add_args();
      arg.set_name(name);
      Expr(unit_, value, *arg.mutable_value());
    }
    out.set_text(OneLine(sources_.Text(equals.span)));
  }

  void Layer(const TypedLayer& layer, plan::Layer& out) {
    Loc(layer.unit, layer.span, *out.mutable_loc());
    out.set_name(layer.qualified);
    if (layer.when) Expr(layer.unit, *layer.when, *out.mutable_when());
    for (const TypedRule& rule : layer.rules) Rule(rule, *out.add_rules());
    for (const TypedDrop& drop : layer.drops) Drop(drop, *out.add_drops());
    out.set_doc(layer.doc);
  }

  void Init(const TypedInit& init, plan::Init& out) {
    unit_ = init.unit;
    Loc(init.unit, init.span, *out.mutable_loc());
    Pattern(init.pattern, *out.mutable_pattern());
    plan::Init::Kind kind = plan::Init::KEEP;
    if (init.kind == "zeros") kind = plan::Init::ZEROS;
    if (init.kind == "ones") kind = plan::Init::ONES;
    if (init.kind == "constant") kind = plan::Init::CONSTANT;
    if (init.kind == "normal") kind = plan::Init::NORMAL;
    out.set_kind(kind);
    for (const auto& [name, value] : init.args) {
      plan::Argument& arg = *out.add_args();
      arg.set_name(name);
      Expr(init.unit, value, *arg.mutable_value());
    }
    if (init.when) Expr(init.unit, *init.when, *out.mutable_when());
    out.set_optional(init.pattern.optional);
  }

  void Policy(const TypedPolicy& policy, plan::TargetPolicy& out) {
    unit_ = policy.unit;
    Loc(policy.unit, policy.span, *out.mutable_loc());
    switch (policy.kind) {
      case TypedPolicy::Kind::kAllowMissing:
        out.set_kind(plan::TargetPolicy::ALLOW_MISSING);
        break;
      case TypedPolicy::Kind::kAllowUnused:
        out.set_kind(plan::TargetPolicy::ALLOW_UNUSED);
        break;
      case TypedPolicy::Kind::kCast:
        out.set_kind(plan::TargetPolicy::CAST);
        break;
      case TypedPolicy::Kind::kMatchSuffix:
        out.set_kind(plan::TargetPolicy::MATCH_SUFFIX);
        break;
      case TypedPolicy::Kind::kDecide:
        out.set_kind(plan::TargetPolicy::DECIDE);
        break;
      case TypedPolicy::Kind::kDecideMissing:
        out.set_kind(plan::TargetPolicy::DECIDE_MISSING);
        break;
      case TypedPolicy::Kind::kDecideUnused:
        out.set_kind(plan::TargetPolicy::DECIDE_UNUSED);
        break;
    }
    if (policy.pattern) Pattern(*policy.pattern, *out.mutable_pattern());
    out.set_question(policy.question);
    out.set_cast_from(policy.cast_from);
    out.set_cast_to(policy.cast_to);
    if (policy.kind == TypedPolicy::Kind::kCast) out.set_overflow(policy.overflow.empty() ? "error" : policy.overflow);
  }

  void Place(const TypedPlace& place, plan::Place& out) {
    unit_ = place.unit;
    Loc(place.unit, place.span, *out.mutable_loc());
    Pattern(place.pattern, *out.mutable_pattern());
    out.set_device(place.device);
    if (place.when) Expr(place.unit, *place.when, *out.mutable_when());
  }

  void Shard(const TypedShard& shard, plan::Shard& out) {
    unit_ = shard.unit;
    Loc(shard.unit, shard.span, *out.mutable_loc());
    Pattern(shard.pattern, *out.mutable_pattern());
    Expr(shard.unit, shard.axis, *out.mutable_axis());
    out.set_group(shard.group);
    if (shard.when) Expr(shard.unit, *shard.when, *out.mutable_when());
  }

  void Assert(const TypedAssert& assertion, plan::Assert& out) {
    Loc(assertion.unit, assertion.span, *out.mutable_loc());
    Expr(assertion.unit, assertion.condition, *out.mutable_condition());
    out.set_message(assertion.message);
    out.set_text(OneLine(sources_.Text(assertion.condition.span)));
  }

  const RuleSet& rules_;
  const SourceMap& sources_;
  uint32_t unit_ = 0;  // of the statement being lowered
};

}  // namespace

std::string OneLine(std::string_view text) {
  std::string line;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      line += c;
      if (c == '\\' && i + 1 < text.size()) line += text[++i];
      if (c == '"') quoted = false;
    } else if (c == '#' || text.substr(i).starts_with("///")) {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += c;
      quoted = c == '"';
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == ';')) line.pop_back();
  return line;
}

plan::Plan Lower(const RuleSet& rules, const SourceMap& sources, const std::string& compiler, bool reverse) {
  return Lowering(rules, sources).Run(compiler, reverse);
}

}  // namespace ckmap
