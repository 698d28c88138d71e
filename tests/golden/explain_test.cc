// `ckmapc explain`: every code has its text, every example gives its code, and what is called mended is.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/explain/explain.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/open.h"
#include "runtime/report/load_check.h"
#include "tests/support/golden.h"
#include "tests/support/markdown.h"
#include "tests/support/temp_folder.h"

namespace ckmap::testing {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = CKMAP_SOURCE_DIR;

// Codes of issues: those that stand in the runtime's code as texts.
std::set<std::string> IssueCodes() {
  const std::regex code("\"(CK1[0-9]{3})\"");
  std::set<std::string> codes;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot + "/runtime")) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cc") || path.ends_with("_test.cc")) continue;
    const std::string text = ReadText(path);
    for (std::sregex_iterator it(text.begin(), text.end(), code), end; it != end; ++it) codes.insert((*it)[1]);
  }
  return codes;
}

std::string FileOf(DiagnosticKind kind) {
  const auto group = static_cast<int>(kind) / 100;
  const char* const files[] = {"", "syntax", "names", "rules", "shapes", "packs", "tests"};
  return group < 7 ? files[group] : group == 9 ? "warnings" : "a new file of its group, added to CMakeLists.txt,";
}

TEST_CASE("every code has its explanation") {
  for (const DiagnosticKind kind : AllDiagnosticKinds()) {
    CHECK_MESSAGE(FindExplanation(FormatCode(kind)) != nullptr, "add a section `## ", FormatCode(kind),
                  "` to compiler/explain/", FileOf(kind),
                  ".md: what it means, a ```ckmap block that gives it, and a ```ckmap mended block");
  }
  const std::set<std::string> issues = IssueCodes();
  CHECK(issues.size() > 20);
  for (const std::string& code : issues) {
    CHECK_MESSAGE(FindExplanation(code) != nullptr, "add a section `## ", code, " error: SUMMARY` to compiler/explain/",
                  code < "CK14" ? "bind" : "files", ".md, as those around it, and a row to grammar/LANGUAGE.md");
  }
}

TEST_CASE("every explanation is of a code that there is, once, and says something") {
  const std::set<std::string> issues = IssueCodes();
  std::set<std::string> seen;
  for (const Explanation& explanation : Explanations()) {
    CAPTURE(explanation.code);
    CHECK(seen.insert(explanation.code).second);
    CHECK_FALSE(explanation.summary.empty());
    CHECK((explanation.severity == "error" || explanation.severity == "warning" || explanation.severity == "note"));
    CHECK(explanation.text.size() > 80);
    const auto kinds = AllDiagnosticKinds();
    const bool known = issues.contains(explanation.code) ||
                       std::any_of(kinds.begin(), kinds.end(),
                                   [&](DiagnosticKind kind) { return FormatCode(kind) == explanation.code; });
    CHECK_MESSAGE(known, "no message has this code: take its section out of compiler/explain");
  }
}

TEST_CASE("the index of the language reference has every code, with its summary") {
  const std::string text = ReadText(kRoot + "/grammar/LANGUAGE.md");
  for (const Explanation& explanation : Explanations()) {
    const std::string row = fmt::format("| {} | {} |", explanation.code,
                                        explanation.severity == "error"
                                            ? explanation.summary
                                            : fmt::format("({}) {}", explanation.severity, explanation.summary));
    CHECK_MESSAGE(text.find(row) != std::string::npos, "add this row to `Diagnostics` of grammar/LANGUAGE.md:\n", row);
  }
}

// ---- the examples ----------------------------------------------------------------------------------

struct Example {
  fs::path folder;
  bool rules = false, mended = false, source = false, target = false, reverse = false;
  std::map<std::string, std::string> defines;
  std::string commands;
};

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

Example Unpack(const Explanation& explanation, const fs::path& folder) {
  Example example;
  example.folder = folder;
  for (const MarkdownBlock& block : MarkdownBlocks(explanation.text)) {
    const size_t name = block.info.find("name=");
    if (name != std::string::npos) {
      Write(folder / block.info.substr(name + 5), block.text);
    } else if (block.info == "ckmap mended") {
      Write(folder / "mended.ckmap", block.text);
      example.mended = true;
    } else if (block.info.starts_with("ckmap")) {
      Write(folder / "a.ckmap", block.text);
      example.rules = true;
      example.reverse = block.info == "ckmap reverse";
      const size_t define = block.info.find("-D "), equals = block.info.find('=');
      if (define != std::string::npos)
        example.defines[block.info.substr(define + 3, equals - define - 3)] = block.info.substr(equals + 1);
    } else if (block.info == "yaml source" || block.info == "yaml target") {
      (block.info == "yaml source" ? example.source : example.target) = true;
      Write(folder / (block.info.substr(5) + ".yaml"), block.text);
    } else if (block.info == "sh") {
      Write(folder / "make.sh", block.text);
      REQUIRE(std::system(fmt::format("cd '{}' && sh ./make.sh", folder.string()).c_str()) == 0);
      example.rules = example.rules || fs::exists(folder / "a.ckmap");
    } else {
      REQUIRE_MESSAGE(block.info == "console", "a block of unknown kind: ", block.info);
      example.commands += block.text;
    }
  }
  return example;
}

Manifest Read(const Example& example, const char* name) {
  auto manifest = ReadManifest((example.folder / name).string());
  REQUIRE_MESSAGE(manifest.ok(), manifest.error().message());
  return *std::move(manifest);
}

std::string Shown(const std::vector<Issue>& issues) {
  std::string out;
  for (const Issue& issue : issues) {
    out += fmt::format("{}[{}]: {}\n", issue.severity == IssueSeverity::kError ? "error" : "note", issue.code,
                       issue.message);
  }
  return out;
}

// All that is said about the file: by the compiler, and by a bind if there are manifests; about manifests alone, by a
// check whether one loads into the other.
std::string MessagesOf(const Example& example, const std::string& file) {
  std::string out;
  if (!example.rules) {
    for (const LoadVerdict& verdict : CheckLoad(Read(example, "source.yaml"), Read(example, "target.yaml")))
      out += Shown(verdict.issues);
    return out;
  }
  CompileOptions options;
  options.pack_path = {(example.folder / "packs").string()};
  options.reverse = example.reverse;
  const CompileResult result = Compile((example.folder / file).string(), options);
  out = RenderText(result.diagnostics, result.sources);
  if (!example.source || !example.target || !result.plan) return out;
  BindOptions bind;
  bind.defines = example.defines;
  const fs::path config = example.folder / "config.json";
  if (fs::exists(config)) bind.config_json = ReadText(config.string());
  const auto bound = Bind(*result.plan, Read(example, "source.yaml"), Read(example, "target.yaml"), bind);
  REQUIRE(bound.ok());
  return out + Shown(bound->issues);
}

std::string OutputOf(const Example& example) {
  std::string script;
  size_t begin = 0;
  while (begin < example.commands.size()) {
    const size_t end = example.commands.find('\n', begin);
    const std::string line = example.commands.substr(begin, end - begin);
    if (line.starts_with("$ ")) script += line.substr(2) + "\n";
    begin = end + 1;
  }
  std::istringstream words(script);
  for (std::string word; words >> word;) {
    const fs::path file = fs::path(CKMAP_TEST_DATA) / "torch" / word;
    if (fs::exists(file)) fs::copy(file, example.folder / word, fs::copy_options::skip_existing);
  }
  GoldenCase run;
  run.sections.push_back({"command", fmt::format("cd '{}'\n{}", example.folder.string(), script)});
  RunCommands(run);
  return std::string(run.Body("output"));
}

TEST_CASE("every example gives its code, and is mended") {
  for (const Explanation& explanation : Explanations()) {
    CAPTURE(explanation.code);
    const TempFolder folder;
    const Example example = Unpack(explanation, folder.path());
    if (explanation.code == "CK1213") continue;  // a proof that nothing is known to fail
    const std::string code = fmt::format("[{}]", explanation.code);
    const std::string messages = example.commands.empty() ? MessagesOf(example, "a.ckmap") : OutputOf(example);
    CHECK_MESSAGE(messages.find(code) != std::string::npos, messages);
    if (!example.mended) continue;
    const std::string after = MessagesOf(example, "mended.ckmap");
    CHECK_MESSAGE(after.find(code) == std::string::npos, after);
    CHECK_MESSAGE(after.find("error[") == std::string::npos, after);
  }
}

}  // namespace
}  // namespace ckmap::testing
