#include "compiler/compiler.h"

#include <doctest/doctest.h>

#include "compiler/diag/render_text.h"
#include "plan.pb.h"

namespace ckmap {
namespace {

plan::Plan PlanOf(const std::map<std::string, std::string>& files, CompileOptions options = {}) {
  options.memory_files = files;
  const CompileResult result = Compile("main.ckmap", options);
  REQUIRE_MESSAGE(result.plan.has_value(), RenderText(result.diagnostics, result.sources));
  return result.plan->proto();
}

plan::Plan PlanOf(const std::string& text) { return PlanOf({{"main.ckmap", "ckmap 1;\n" + text}}); }

TEST_CASE("the same text gives the same bytes, wherever it lies") {
  const std::string text = "ckmap 1;\n\"a.{i}\" -> \"b.{i}\";\n";
  CompileOptions options;
  options.memory_files = {{"x/main.ckmap", text}, {"y/z/main.ckmap", text}};
  const CompileResult first = Compile("x/main.ckmap", options), second = Compile("y/z/main.ckmap", options);
  REQUIRE(first.plan.has_value());
  CHECK(first.plan->digest() == second.plan->digest());
}

TEST_CASE("tests leave no trace in a plan") {
  const std::string rules = "ckmap 1;\nrename fc -> dense;";
  const std::string test =
      "\n\n/// Says nothing.\n///   More of it.\ntest \"t\" { source { fc.w [2]; } target { dense.w [2]; } }";
  CompileOptions options;
  options.memory_files = {{"main.ckmap", rules + "\n"},
                          {"x/main.ckmap", rules + test + "\n/// Nor this.\ntest \"u\" { source { } target { } }\n"},
                          {"y/main.ckmap", rules + "\n# changed\n"}};
  const CompileResult first = Compile("main.ckmap", options), second = Compile("x/main.ckmap", options);
  REQUIRE(first.plan.has_value());
  REQUIRE_MESSAGE(second.plan.has_value(), RenderText(second.diagnostics, second.sources));
  CHECK(second.tests.size() == 2);
  CHECK(first.plan->digest() == second.plan->digest());
  CHECK(Compile("y/main.ckmap", options).plan->digest() != first.plan->digest());
}

TEST_CASE("captures are bound on the left and referred to on the right") {
  const plan::Rule rule = PlanOf("\"a.{i:int}.{i}\" -> \"b.{i}\";").rules(0);
  const plan::Pattern& source = rule.source().terms(0).pattern();
  CHECK(source.parts(1).capture().kind() == plan::Capture::INT);
  CHECK(source.parts(3).reference() == "i");
  CHECK(rule.target().terms(0).pattern().parts(1).reference() == "i");
}

TEST_CASE("wildcards are numbered over both kinds") {
  const plan::Rule rule = PlanOf("\"a.*.b.**\" -> \"c.*.**\";").rules(0);
  const plan::Pattern& source = rule.source().terms(0).pattern();
  CHECK(source.parts(1).capture().name() == "*1");
  CHECK(source.parts(1).capture().kind() == plan::Capture::SEGMENT);
  CHECK(source.parts(3).capture().name() == "*2");
  CHECK(source.parts(3).capture().kind() == plan::Capture::PATH);
  CHECK(rule.target().terms(0).pattern().parts(3).reference() == "*2");
}

TEST_CASE("a range makes a capture an integer") {
  const plan::Rule rule = PlanOf("\"a.{2*i+1}\" -> \"b.{i}\" where i in 0..4;").rules(0);
  CHECK(rule.source().terms(0).pattern().parts(1).expr().call().function() == "+");
  CHECK(rule.target().terms(0).pattern().parts(1).reference() == "i");
  CHECK(rule.ranges(0).end().int_() == 4);
}

TEST_CASE("gathers are captures on both sides") {
  const plan::Rule rule = PlanOf("\"a\" | unstack(axis=0) -> \"b.{e:int...}\";").rules(0);
  CHECK(rule.target().terms(0).pattern().parts(1).capture().gather());
}

TEST_CASE("within is a prefix, with the separator of its side") {
  const plan::Plan plan = PlanOf(
      "names \"/\" -> \".\";\nparam on: bool = true;\n"
      "within \"enc/{i}\" <-> \"layers.{i}\" when on { within \"\" <-> \"x\" { \"w\" <-> \"v\" when i != \"0\"; drop "
      "\"t\"; init \"u\" = keep; } }");
  const plan::Rule& rule = plan.rules(0);
  CHECK(rule.source().terms(0).pattern().text() == "enc/{i}/w");
  CHECK(rule.target().terms(0).pattern().text() == "layers.{i}.x.v");
  CHECK(rule.when().call().function() == "and");
  CHECK(plan.drops(0).pattern().text() == "enc/{i}/t");
  CHECK(plan.inits(0).pattern().text() == "layers.{i}.x.u");
}

TEST_CASE("arguments get their names") {
  const plan::Rule rule =
      PlanOf("\"a\" | permute(1, 0) | reshape(-1, 4) | cast(f16, overflow=saturate) -> \"b\";").rules(0);
  CHECK(rule.source().ops(0).args(0).name() == "axes");
  CHECK(rule.source().ops(0).args(0).value().list().items_size() == 2);
  CHECK(rule.source().ops(1).args(0).value().list().items(0).int_() == -1);
  CHECK(rule.source().ops(2).args(0).value().text() == "f16");
  CHECK(rule.source().ops(2).args(1).value().text() == "saturate");
  CHECK(rule.source().ops(1).text() == "reshape(-1, 4)");
}

TEST_CASE("sizes are bound by lone names that nothing else defines") {
  const plan::Plan plan = PlanOf("param heads: int;\n\"a\" [O, heads, 2*O, _, ...] -> \"b\";");
  const plan::ShapePattern& shape = plan.rules(0).source().terms(0).shape();
  CHECK(shape.dims(0).bind() == "O");
  CHECK(shape.dims(1).expr().variable() == "heads");
  CHECK(shape.dims(2).expr().call().args(1).dim() == "O");
  CHECK(shape.dims(3).any());
  CHECK(shape.dims(4).rest());
}

TEST_CASE("text of a rule stands on one line") {
  const plan::Rule rule = PlanOf("\"a#b\"   # a comment\n  -> \"c\";").rules(0);
  CHECK(rule.text() == "\"a#b\" -> \"c\"");
  CHECK(rule.loc().line() == 2);
}

TEST_CASE("variables stand after those that they use, and carry their file's name") {
  const plan::Plan plan =
      PlanOf({{"main.ckmap",
               "ckmap 1;\nuse \"lib.ckmap\" with (heads=n * 2);\nlet n = m + 1;\nparam m: int from config \"a.b\";\n"},
              {"lib.ckmap", "ckmap 1;\nlet half = heads / 2;\nparam heads: int = 4;\nassert half > 0;\n"}});
  std::vector<std::string> names;
  for (const plan::Variable& variable : plan.variables()) names.push_back(variable.name());
  CHECK(names == std::vector<std::string>{"m", "n", "lib.heads", "lib.half"});
  CHECK(plan.variables(0).config_key() == "a.b");
  CHECK(plan.variables(2).fixed());
  CHECK(plan.files(1).level() == 1);
}

TEST_CASE("packs: names, versions, levels") {
  CompileOptions options;
  options.pack_path = {"packs"};
  const plan::Plan plan =
      PlanOf({{"main.ckmap", "ckmap 1;\nuse b;\nuse a >= 1.2;\nmodule \"n\" is norm;\n"},
              {"packs/a/pack.yaml", "name: a\nversion: 1.2.0\nedition: 1\nlibrary: a.ckmap\n"},
              {"packs/a/a.ckmap", "ckmap 1;\nlayer norm { weight <-> gamma; }\n"},
              {"packs/b/pack.yaml", "name: b\nversion: 1.0\nedition: 1\nmigrations:\n  - file: m.ckmap\n"},
              {"packs/b/m.ckmap", "ckmap 1;\nuse a;\n"}},
             options);
  REQUIRE(plan.files_size() == 3);
  CHECK(plan.files(1).name() == "b/m.ckmap");
  CHECK(plan.files(1).level() == 1);
  CHECK(plan.files(2).pack() == "a");
  CHECK(plan.files(2).pack_version() == "1.2.0");
  CHECK(plan.files(2).level() == 2);
  CHECK(plan.modules(0).layer() == "a.norm");
}

TEST_CASE("a value from outside is fixed in the plan") {
  CompileOptions options;
  options.defines = {{"heads", "8"}};
  const plan::Plan plan = PlanOf({{"main.ckmap", "ckmap 1;\nparam heads: int = 4;\nassert heads > 1;\n"}}, options);
  CHECK(plan.variables(0).value().int_() == 8);
  CHECK(plan.variables(0).fixed());
}

TEST_CASE("reverse marks the plan, and refuses rules of one direction") {
  CompileOptions options;
  options.reverse = true;
  CHECK(PlanOf({{"main.ckmap", "ckmap 1;\n\"a\" | transpose <-> \"b\";\n"}}, options).reversed());
  options.memory_files = {{"main.ckmap", "ckmap 1;\n\"a\" -> \"b\";\n"}};
  const CompileResult result = Compile("main.ckmap", options);
  CHECK_FALSE(result.plan.has_value());
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].kind == DiagnosticKind::kNotReversible);
}

TEST_CASE("everything that is wrong is said at once, in order") {
  CompileOptions options;
  options.memory_files = {
      {"main.ckmap", "ckmap 1;\nuse \"b.ckmap\";\n\"a\" | foo -> \"b.{x}\";\nmodule \"m\" is none;\n"},
      {"b.ckmap", "ckmap 1;\nlet x = y;\n"}};
  const CompileResult result = Compile("main.ckmap", options);
  REQUIRE(result.diagnostics.size() == 4);
  CHECK(result.diagnostics[0].kind == DiagnosticKind::kUnknownOp);
  CHECK(result.diagnostics[1].kind == DiagnosticKind::kUnknownCapture);
  CHECK(result.diagnostics[2].kind == DiagnosticKind::kUnknownLayer);
  CHECK(result.diagnostics[3].kind == DiagnosticKind::kUnknownName);
}

}  // namespace
}  // namespace ckmap
