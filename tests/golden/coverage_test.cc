// The text cases cover the language: every operation, function, statement, form of a pattern and code of a bind occurs
// in a case (golden_test.cc asks the same of the compiler's diagnostics).
#include <doctest/doctest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/ops/op_table.h"
#include "tests/support/golden.h"

namespace ckmap::testing {
namespace {

const std::vector<std::string> kFolders = {"parse", "diagnostics", "fmt", "commands"};

// All rules that stand in cases, and all text that is expected of commands.
struct Corpus {
  std::string rules, outputs;
  size_t cases = 0;
};

const Corpus& AllCases() {
  static const Corpus corpus = [] {
    Corpus all;
    for (const std::string& folder : kFolders) {
      for (const std::string& path : GoldenFiles(folder, ".txt")) {
        for (const GoldenCase& golden_case : ParseGolden(ReadText(path)).cases) {
          ++all.cases;
          for (const Section& section : golden_case.sections) {
            if (section.kind() == "file" && section.argument().ends_with(".ckmap")) all.rules += section.body;
            if (section.kind() == "output") all.outputs += section.body;
          }
        }
      }
    }
    return all;
  }();
  return corpus;
}

bool Occurs(const std::string& pattern) { return std::regex_search(AllCases().rules, std::regex(pattern)); }

TEST_CASE("every operation and function has a case") {
  for (const OpSpec& op : Ops()) CHECK_MESSAGE(Occurs(fmt::format("\\|\\s*{}\\b", op.name)), op.name);
  for (const FunctionSpec& function : Functions())
    CHECK_MESSAGE(Occurs(fmt::format("\\b{}\\(", function.name)), function.name);
}

TEST_CASE("every statement has a case") {
  // What each alternative of the grammar's rule `statement` looks like.
  const std::map<std::string, std::string> looks = {{"edition", "ckmap 1;"},
                                                    {"migration", "migration \\w"},
                                                    {"use", "use \\S"},
                                                    {"param", "param \\w"},
                                                    {"let", "let \\w"},
                                                    {"names", "names \""},
                                                    {"rename", "rename \\S"},
                                                    {"layer", "layer \\w"},
                                                    {"moduleIs", "module \\S"},
                                                    {"within", "within \\S"},
                                                    {"drop", "drop \\S"},
                                                    {"only", "only \\S"},
                                                    {"init", "init \\S"},
                                                    {"target", "target \\{"},
                                                    {"assertion", "assert \\S"},
                                                    {"place", "place \\S"},
                                                    {"shard", "shard \\S"},
                                                    {"decide", "decide \""},
                                                    {"test", "test \""},
                                                    {"mapping", "<->"},
                                                    {"namedSources", "source \\w+[,;?]"}};
  const std::string grammar = ReadText(std::string(CKMAP_SOURCE_DIR) + "/grammar/CkmapParser.g4");
  std::smatch rule;
  REQUIRE(std::regex_search(grammar, rule, std::regex("\nstatement\\s*:([^;]*);")));
  std::istringstream alternatives(rule[1].str());
  for (std::string name; alternatives >> name;) {
    if (name == "|") continue;
    const auto look = looks.find(name);
    REQUIRE_MESSAGE(look != looks.end(), name, " is a new statement: say here what it looks like");
    CHECK_MESSAGE(Occurs(look->second), name);
  }
  for (const char* item : {"strict \\w", "allow missing ", "allow unused ", "cast \\w+ -> ", "match suffix"})
    CHECK_MESSAGE(Occurs(item), item);
  for (const char* kind : {"keep", "zeros", "ones", "constant\\(", "normal\\("})
    CHECK_MESSAGE(Occurs(fmt::format("init [^;]*= {}", kind)), kind);
}

TEST_CASE("every form of a pattern has a case") {
  const std::map<std::string, std::string> forms = {{"a literal name", "\"[\\w.]+\""},
                                                    {"a segment", "\\{\\w+\\}"},
                                                    {"an integer", "\\{\\w+:int\\}"},
                                                    {"a path", "\\{\\w+:path\\}"},
                                                    {"a choice", "\\{\\w+:\\w+\\|\\w+"},
                                                    {"a regular expression", "\\{\\w+:/"},
                                                    {"alternatives", "\\{\\w+,\\w+"},
                                                    {"a gather", "\\{\\w+:int\\.\\.\\.\\}"},
                                                    {"a wildcard", "\"[^\"]*\\*[^*]"},
                                                    {"a path wildcard", "\\*\\*"},
                                                    {"arithmetic", "\\{[^}\"]*[-+*] ?\\w+\\}"},
                                                    {"a brace", "\\{\\{"},
                                                    {"a whole name as a regular expression", "/\\^"},
                                                    {"an optional name", "\"\\?"}};
  for (const auto& [what, look] : forms) CHECK_MESSAGE(Occurs(look), what);
}

TEST_CASE("every code of a bind is expected by a case") {
  const std::string reference = ReadText(std::string(CKMAP_SOURCE_DIR) + "/grammar/LANGUAGE.md");
  const std::regex code("\\| (CK1[2-9]\\d\\d) \\|");
  std::set<std::string> codes;
  for (std::sregex_iterator it(reference.begin(), reference.end(), code), end; it != end; ++it) codes.insert((*it)[1]);
  CHECK(codes.size() > 15);
  codes.erase("CK1213");  // no operation leads to it: what each gives tiles its shape (strided_map_test.cc)
  for (const std::string& name : codes) CHECK_MESSAGE(AllCases().outputs.find(name) != std::string::npos, name);
  MESSAGE(AllCases().cases << " cases");
}

}  // namespace
}  // namespace ckmap::testing
