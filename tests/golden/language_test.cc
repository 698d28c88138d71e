// grammar/LANGUAGE.md keeps its word: each of its blocks of rules compiles, or gives the code that stands at it,
// and each operation and each code of a bind is in its tables.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "runtime/ops/op_doc.h"
#include "runtime/ops/op_table.h"
#include "tests/support/golden.h"

namespace ckmap::testing {
namespace {

const std::string kLanguage = std::string(CKMAP_SOURCE_DIR) + "/grammar/LANGUAGE.md";

struct Block {
  std::string info;  // "ckmap error=CK0301"
  std::string text;
  int line = 0;
};

std::vector<Block> BlocksOf(const std::string& path) {
  std::istringstream lines(ReadText(path));
  std::vector<Block> blocks;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), "", number});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

TEST_CASE("every block of the language reference does what it says") {
  int checked = 0;
  for (const Block& block : BlocksOf(kLanguage)) {
    if (!block.info.starts_with("ckmap")) continue;
    ++checked;
    CompileOptions options;
    options.memory_files["block.ckmap"] = block.text;
    options.pack_path = {std::string(CKMAP_SOURCE_DIR) + "/rules"};
    const CompileResult result = Compile("block.ckmap", options);
    const std::string shown = RenderText(result.diagnostics, result.sources);
    const size_t error = block.info.find("error=");
    if (error == std::string::npos) {
      CHECK_MESSAGE(result.plan.has_value(), "LANGUAGE.md:", block.line, "\n", shown);
    } else {
      CHECK_MESSAGE(shown.find(fmt::format("[{}]", block.info.substr(error + 6))) != std::string::npos,
                    "LANGUAGE.md:", block.line, "\n", shown);
    }
  }
  CHECK(checked > 15);
}

// The reference's part on operations is written from the table that the compiler reads.
TEST_CASE("the language reference says of operations what the table says") {
  constexpr std::string_view kBegin = "written by the test `golden`. -->\n", kEnd = "<!-- end of the operations -->";
  std::string text = ReadText(kLanguage);
  const size_t begin = text.find(kBegin), end = text.find(kEnd);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const size_t from = begin + kBegin.size();
  const std::string expected = OperationsMarkdown() + "\n";
  if (Updating() && text.substr(from, end - from) != expected) {
    WriteText(kLanguage, text.replace(from, end - from, expected));
  } else {
    CHECK(text.substr(from, end - from) == expected);
  }
}

TEST_CASE("every operation and function is in the language reference") {
  const std::string text = ReadText(kLanguage);
  for (const OpSpec& op : Ops()) CHECK_MESSAGE(text.find(fmt::format("`{}(", op.name)) != std::string::npos, op.name);
  for (const FunctionSpec& function : Functions()) {
    CHECK_MESSAGE(text.find(fmt::format("`{}(", function.name)) != std::string::npos, function.name);
  }
}

}  // namespace
}  // namespace ckmap::testing
