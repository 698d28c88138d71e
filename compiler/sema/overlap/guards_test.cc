// Guards against trying values: conditions over two small integers, a text and two truth values are compiled, and what
// is proved to exclude each other must do so for all of them.
#include "compiler/sema/overlap/guards.h"

#include <doctest/doctest.h>

#include <random>

#include <fmt/format.h>

#include "compiler/sema/sema.h"
#include "compiler/sema/shapes/size.h"

namespace ckmap {
namespace {

std::string Condition(std::mt19937& random, int depth) {
  const auto pick = [&](uint32_t count) { return random() % count; };
  static const char* ops[] = {"==", "!=", "<", "<=", ">", ">="};
  if (depth > 0 && pick(3) > 0) {
    switch (pick(4)) {
      case 0:
        return "not (" + Condition(random, depth - 1) + ")";
      case 1:
        return "(" + Condition(random, depth - 1) + " or " + Condition(random, depth - 1) + ")";
      case 2:
        return "(if " + Condition(random, depth - 1) + " then " + Condition(random, depth - 1) + " else " +
               Condition(random, depth - 1) + ")";
      default:
        return "(" + Condition(random, depth - 1) + " and " + Condition(random, depth - 1) + ")";
    }
  }
  switch (pick(5)) {
    case 0:
      return fmt::format("n {} {}", ops[pick(6)], static_cast<int>(pick(5)) - 1);
    case 1:
      return fmt::format("{} * n - {} * m {} {}", 1 + pick(3), pick(3), ops[pick(6)], pick(6));
    case 2:
      return fmt::format("s {} \"{}\"", ops[pick(2)], pick(2) == 0 ? "x" : "y");
    case 3:
      return pick(2) == 0 ? "p" : "p == q";
    default:
      return fmt::format("m % 2 {} {}", ops[pick(6)], pick(2));
  }
}

TEST_CASE("conditions that are proved to exclude each other never hold together") {
  std::mt19937 random(7);
  int proved = 0, exclusive = 0, wrong_examples = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::string a = Condition(random, 2), b = Condition(random, 2);
    SourceMap sources;
    DiagnosticSink sink;
    const std::string text = fmt::format(
        "ckmap 1; param n: int; param m: int; param s: string; param p: bool; param q: bool;\nassert {};\nassert {};\n",
        a, b);
    const Program program = LoadProgram("a.ckmap", {{}, {{"a.ckmap", text}}}, sources, sink);
    const RuleSet rules = Analyze(program, {}, sink);
    REQUIRE_MESSAGE(!sink.has_errors(), text);
    DiagnosticSink unused;
    VariableTable variables(program, unused);
    for (VariableTable::Entry& entry : variables.entries()) entry.variable.fixed = true;
    Guards guards(variables);
    for (const TypedAssert& assertion : rules.asserts) guards.Require(assertion.condition);
    bool together = false;
    for (int value = 0; value < 8 * 8 * 2 * 4 && !together; ++value) {
      const std::vector<Constant> constants = {int64_t{value % 8 - 2}, int64_t{value / 8 % 8 - 2},
                                               std::string(value / 64 % 2 == 0 ? "x" : "z"), value / 128 % 2 == 0,
                                               value / 256 % 2 == 0};
      for (size_t i = 0; i < constants.size(); ++i) variables.entries()[i].constant = constants[i];
      together = true;
      for (const TypedAssert& assertion : rules.asserts) {
        const auto holds = EvaluateConstant(assertion.condition, variables);
        together = together && holds && std::get<bool>(*holds);
      }
    }
    exclusive += together ? 0 : 1;
    if (guards.Decide() != Answer::kNo) {
      wrong_examples += guards.Example().empty() ? 1 : 0;
      continue;
    }
    ++proved;
    CHECK_MESSAGE(!together, a, " and ", b);
  }
  MESSAGE("1500 pairs: ", exclusive, " exclude each other for the values tried, ", proved, " were proved to");
  CHECK(proved > exclusive / 4);
}

}  // namespace
}  // namespace ckmap
