#include "runtime/plan/plan_validate.h"

#include <string>

#include <doctest/doctest.h>
#include <google/protobuf/text_format.h>

#include "plan.pb.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

constexpr const char* kHead =
    "edition: 1 files { name: \"a.ckmap\" sha256: "
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" } ";

Result<void> Validate(const std::string& text) {
  plan::Plan plan;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(kHead + text, &plan));
  return ValidatePlan(plan);
}

// A rule with these things beside the plainest sides.
std::string RuleWith(const std::string& source, const std::string& target, const std::string& rest = "") {
  return "rules { source { " + source + " } target { " + target + " } " + rest + " }";
}
const std::string kA = "terms { pattern { parts { literal: \"a\" } } }";
const std::string kB = "terms { pattern { parts { literal: \"b\" } } }";

void Accepts(const std::string& text) {
  CAPTURE(text);
  const auto result = Validate(text);
  CHECK_MESSAGE(result.ok(), result.error().message());
}

void Refuses(const std::string& text, const std::string& words, ErrorCode code = ErrorCode::kMalformed) {
  CAPTURE(text);
  const auto result = Validate(text);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code() == code);
  CHECK_MESSAGE(result.error().message().find(words) != std::string::npos, result.error().message());
}

TEST_CASE("plans as the compiler writes them are accepted") {
  Accepts("");
  Accepts(
      "variables { name: \"h\" is_param: true } variables { name: \"d\" value { call { function: "
      "\"//\" "
      "args { variable: \"h\" } args { int: 2 } } } }");
  Accepts(
      RuleWith("terms { pattern { parts { literal: \"a.\" } parts { capture { name: \"i\" kind: INT gather: "
               "true } } } "
               "shape { dims { bind: \"O\" } dims { rest: true } } } ops { name: \"concat\" args { name: "
               "\"axis\" "
               "value { int: 0 } } }",
               "terms { pattern { parts { literal: \"b\" } } shape { dims { expr { dim: \"O\" } } } }",
               "when { call { function: \"source_has\" args { name { parts { literal: \"c.\" } parts { "
               "reference: "
               "\"i\" } } } } } ranges { capture: \"i\" begin { int: 0 } end { int: 4 } }"));
  Accepts(RuleWith("terms { pattern { regex: \"^m\\\\.(?P<rest>.*)$\" } }",
                   "terms { pattern { parts { reference: \"rest\" } } }"));
  Accepts(RuleWith(kA + " ops { name: \"cast\" args { name: \"to\" value { text: \"f16\" } } args "
                        "{ name: \"overflow\" "
                        "value { text: \"inf\" } } }",
                   kB));
  Accepts(
      "layers { name: \"bn\" drops { pattern { parts { literal: \"n\" } } } } "
      "modules { module { } layer: \"bn\" }");
  Accepts(
      "renames { from { parts { literal: \"layer\" } parts { capture { name: \"n\" kind: INT } } } "
      "to { parts { expr { "
      "call { function: \"-\" args { capture: \"n\" } args { int: 1 } } } } } }");
  Accepts("policies { kind: CAST cast_from: \"f32\" cast_to: \"f16\" overflow: \"saturate\" }");
  Accepts(
      "inits { kind: NORMAL pattern { parts { capture { name: \"**1\" kind: PATH } } } args { "
      "name: \"std\" value { "
      "number: 0.02 } } }");
}

TEST_CASE("places and names that do not exist are refused") {
  Refuses("rules { loc { file: 3 } }", "file 3 of 1");
  Refuses(
      "variables { name: \"a\" value { variable: \"b\" } } variables { name: \"b\" value { int: 1 "
      "} }",
      "`b` is not defined before its use");
  Refuses("variables { name: \"a\" value { variable: \"a\" } }", "not defined before");
  Refuses("variables { name: \"a\" value { int: 1 } } variables { name: \"a\" value { int: 1 } }", "twice");
  Refuses("variables { name: \"a\" }", "has no value");
  Refuses("modules { module { parts { literal: \"x\" } } layer: \"bn\" }", "layer `bn` is not defined");
  Refuses("layers { name: \"bn\" } layers { name: \"bn\" }", "twice");
  Refuses(RuleWith(kA, "terms { pattern { parts { reference: \"i\" } } }"), "capture `i` is not bound");
  Refuses(RuleWith(kA, kB, "when { capture: \"i\" }"), "capture `i` is not bound");
  Refuses(RuleWith(kA, kB, "when { dim: \"O\" }"), "size `O` is not bound");
  Refuses("drops { pattern { parts { reference: \"i\" } } }", "not bound");
  const auto equals = [](const std::string& says) {
    return "drops { pattern { parts { literal: \"n\" } } equals { " + says + " } }";
  };
  Refuses(equals("kind: TENSOR"), "without a name");
  Refuses(equals("kind: ZEROS tensor { parts { literal: \"m\" } }"), "one too many");
  Refuses(equals("kind: TENSOR tensor { parts { capture { name: \"i\" } } }"), "more than one");
  Refuses(equals("kind: CONSTANT"), "without its argument");
  Refuses(equals("kind: TRIL args { name: \"value\" value { int: 1 } }"), "too many");
  Refuses(equals("kind: IOTA args { name: \"value\" value { int: 1 } }"), "no argument");
  Refuses("drops { only: true pattern { parts { literal: \"n\" } } equals { kind: ZEROS } }", "`only`");
  Refuses("asserts { condition { capture: \"i\" } }", "not bound");
}

TEST_CASE("a plan of another language edition is refused") {
  plan::Plan plan;
  plan.set_edition(2);
  const auto result = ValidatePlan(plan);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message().find("edition 2") != std::string::npos);
}

TEST_CASE("a message quotes names so that they cannot steer a terminal") {
  Refuses("variables { name: \"a\" value { variable: \"\\033[2J\" } }", "`\\u{1b}[2J`");
}

TEST_CASE("regular expressions compile in bounded memory") {
  Refuses("drops { pattern { regex: \"^(a$\" } }", "missing");
  Refuses("drops { pattern { regex: \"((((a{100}){100}){100}){100})\" } }", "regular expression");
  Refuses("drops { pattern { regex: \"[[:word:]]{1000}[^x]{1000}\\\\pL{1000}\" } }", "regular expression");
  Refuses("drops { pattern { parts { capture { name: \"x\" kind: REGEX } } } }", "empty regular expression");
  std::string many;
  for (int i = 0; i <= kMaxRegexes; ++i) many += "drops { pattern { regex: \"^" + std::to_string(i) + "$\" } } ";
  Refuses(many, "regular expressions", ErrorCode::kLimit);
}

TEST_CASE("operations, functions and their arguments are in the tables") {
  Refuses(RuleWith(kA + " ops { name: \"explode\" }", kB), "`explode` does not exist");
  Refuses(RuleWith(kA + " ops { name: \"concat\" }", kB), "lacks its argument `axis`");
  Refuses(RuleWith(kA + " ops { name: \"concat\" args { name: \"axes\" value { int: 0 } } }", kB), "no such argument");
  Refuses(RuleWith(kA + " ops { name: \"concat\" args { name: \"axis\" value { text: \"0\" } } }", kB), "another type");
  Refuses(RuleWith(kA + " ops { name: \"concat\" args { name: \"axis\" value { int: 0 } } args { "
                        "name: \"axis\" value { "
                        "int: 0 } } }",
                   kB),
          "given twice");
  Refuses(RuleWith(kA + " ops { name: \"cast\" args { name: \"to\" value { text: \"f17\" } } }", kB), "no dtype");
  Refuses(RuleWith(kA + " ops { name: \"cast\" args { name: \"to\" value { text: \"any\" } } }", kB), "no dtype");
  Refuses(RuleWith(kA + " ops { name: \"cast\" args { name: \"to\" value { text: \"f16\" } } args "
                        "{ name: \"overflow\" "
                        "value { text: \"wrap\" } } }",
                   kB),
          "not one of");
  Refuses("asserts { condition { call { function: \"system\" args { text: \"ls\" } } } }", "does not exist");
  Refuses("asserts { condition { call { function: \"+\" args { int: 1 } } } }", "1 arguments");
  Refuses("asserts { condition { call { function: \"source_has\" args { text: \"a\" } } } }", "not a tensor name");
  Refuses("asserts { condition { call { function: \"abs\" args { name { } } } } }", "is a tensor name");
  Refuses(RuleWith(kA, kB + " ops { name: \"squeeze\" args { name: \"axis\" value { int: 0 } } }"), "target's side");
  Refuses(RuleWith(kA, "terms { pipeline { " + kB + " } }"), "no name");
  Refuses(RuleWith("", kB), "without a name");
  Refuses(RuleWith("terms { }", kB), "empty term");
  Refuses("asserts { condition { number: nan } }", "finite");
  Refuses("asserts { condition { } }", "without a value");
}

TEST_CASE("lists, shapes and nesting are bounded") {
  std::string shape;
  for (int i = 0; i < 65; ++i) shape += "dims { any: true } ";
  Refuses(RuleWith("terms { pattern { parts { literal: \"a\" } } shape { " + shape + " } }", kB), "65 axes",
          ErrorCode::kLimit);
  Refuses(RuleWith("terms { pattern { parts { literal: \"a\" } } shape { dims { rest: true } dims "
                   "{ rest: true } } }",
                   kB),
          "twice");
  std::string open = kA;
  for (int i = 0; i <= kMaxPipelineDepth; ++i) open = "terms { pipeline { " + open + " } }";
  Refuses(RuleWith(open, kB), "nests", ErrorCode::kLimit);
  std::string deep = "boolean: true";
  for (int i = 0; i <= kMaxExprDepth; ++i) deep = "call { function: \"not\" args { " + deep + " } }";
  Refuses("asserts { condition { " + deep + " } }", "nests", ErrorCode::kLimit);
  Refuses(RuleWith("terms { pattern { parts { alternatives { } } } }", kB), "without an option");
  Refuses(RuleWith("terms { pattern { parts { capture { name: \"p\" kind: CHOICE } } } }", kB), "no choices");
  std::string parts;
  for (int i = 0; i <= kMaxPatternParts; ++i) parts += "parts { literal: \"a\" } ";
  Refuses("drops { pattern { " + parts + " } }", "parts", ErrorCode::kLimit);
}

}  // namespace
}  // namespace ckmap
