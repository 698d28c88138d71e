// What the lint says of rules that bind. Each file of cases/ has a network, the right rules for it, of which nothing
// may be said, and wrong variants that bind all the same, as people write them: at each of these a line is lost, or
// another takes its place. README.md says how the files are written.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "compiler/compiler.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "tests/support/manifest_templates.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kCases = std::string(CKMAP_SOURCE_DIR) + "/tests/lint/cases";

struct Section {
  std::string kind, title, text;
};

std::vector<Section> ReadSections(const std::string& path) {
  std::vector<Section> sections;
  std::istringstream lines(*ReadTextFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("--- ")) {
      const size_t space = line.find(' ', 4);
      sections.push_back({line.substr(4, space - 4), space == std::string::npos ? "" : line.substr(space + 1), ""});
    } else if (!sections.empty()) {
      sections.back().text += line + "\n";
    }
  }
  return sections;
}

// The right rules with each text of a line `- ` replaced by that of a line `+ `, in order; what has no partner is taken
// away or added behind the last.
std::string Edited(std::string rules, const std::string& edits) {
  std::vector<std::string> from, to;
  std::istringstream lines(edits);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("- ")) from.push_back(line.substr(2));
    if (line.starts_with("+ ")) to.push_back(line.substr(2));
  }
  size_t begin = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t at = rules.find(from[i], begin);
    REQUIRE_MESSAGE(at != std::string::npos, from[i]);
    std::string text = i < to.size() ? to[i] : "";
    for (size_t k = from.size(); i + 1 == from.size() && k < to.size(); ++k) text += "\n" + to[k];
    rules.replace(at, from[i].size(), text);
    begin = at + text.size();
  }
  return rules;
}

using Findings = std::vector<std::string>;  // as they are printed

Findings FindingsOf(const std::string& rules, const Manifest& source, const Manifest& target) {
  CompileOptions options;
  options.memory_files["a.ckmap"] = rules;
  options.pack_path = {std::string(CKMAP_SOURCE_DIR) + "/rules"};
  const CompileResult compiled = Compile("a.ckmap", options);
  for (const Diagnostic& diagnostic : compiled.diagnostics) {
    if (!compiled.plan) MESSAGE(diagnostic.message << "\n" << rules);
  }
  REQUIRE(compiled.plan.has_value());
  const auto bound = Bind(*compiled.plan, source, target, {});
  REQUIRE(bound.ok());
  for (const Issue& issue : bound->issues) {
    if (!bound->plan) MESSAGE(issue.code << " " << issue.message << "\n" << rules);
  }
  REQUIRE(bound->plan.has_value());
  Findings findings;
  for (const Issue& issue : bound->issues) {
    if (issue.code == "CK1230" || issue.code == "CK1234")
      findings.push_back(fmt::format("{} {} | {}", issue.code, issue.message, fmt::join(issue.notes, " | ")));
  }
  return findings;
}

TEST_CASE("right rules are passed in silence, and wrong ones that bind are found") {
  size_t right = 0, wrong = 0, found = 0;
  std::vector<std::string> files;
  for (const auto& file : fs::directory_iterator(kCases)) files.push_back(file.path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    const std::string name = fs::path(file).stem();
    Manifest source, target;
    std::string rules;
    for (const Section& section : ReadSections(file)) {
      if (section.kind == "source") source = ManifestFromTemplates(section.text);
      if (section.kind == "target") target = ManifestFromTemplates(section.text);
      if (section.kind == "right") {
        ++right;
        rules = section.text;
        const Findings findings = FindingsOf(rules, source, target);
        CHECK_MESSAGE(findings.empty(), name << ": " << fmt::format("{}", fmt::join(findings, "\n")));
      }
      // What is said to be silent is a limit that is known: whoever moves it changes the word.
      if (section.kind == "wrong" || section.kind == "silent") {
        ++wrong;
        const Findings findings = FindingsOf(Edited(rules, section.text), source, target);
        found += findings.empty() ? 0 : 1;
        CHECK_MESSAGE(findings.empty() == (section.kind == "silent"), name << ": " << section.title);
        INFO(name << ": " << section.title << "\n  " << fmt::format("{}", fmt::join(findings, "\n  ")));
        // One finding for each rule.
        std::set<std::string> rules_named;
        for (const std::string& finding : findings)
          CHECK(rules_named.insert(finding.substr(0, finding.find(": "))).second);
        if (std::getenv("CKMAP_SHOW_FINDINGS") != nullptr)
          MESSAGE(name << ": " << section.title << "\n  " << fmt::format("{}", fmt::join(findings, "\n  ")));
      }
    }
  }
  MESSAGE(found << " of " << wrong << " wrong variants found; " << right << " right files");
  CHECK(wrong >= 60);
  CHECK(found * 6 >= wrong * 5);
}

}  // namespace
}  // namespace ckmap
