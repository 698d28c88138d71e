#include "runtime/report/issues.h"

#include <algorithm>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

Issue Missing(const std::string& tensor) {
  return {"CK1203",
          IssueSeverity::kError,
          tensor,
          "no rule writes target tensor `" + tensor + "`",
          {"nearest source tensor: `old." + tensor + "`"},
          "add a rule"};
}

TEST_CASE("an issue reads like a diagnostic of the compiler") {
  CHECK(RenderIssues({Missing("fc.weight")}) ==
        "error[CK1203]: no rule writes target tensor `fc.weight`\n"
        "   = note: nearest source tensor: `old.fc.weight`\n"
        "   = help: add a rule\n");
  CHECK(RenderIssues({}).empty());
}

TEST_CASE("one mistake in 32 layers is told once") {
  std::vector<Issue> issues;
  for (int i = 0; i < 32; ++i) issues.push_back(Missing("layers." + std::to_string(i) + ".w"));
  CHECK(RenderIssues(issues) ==
        "error[CK1203]: no rule writes target tensor `layers.{0..31}.w` (32 times)\n"
        "   = note: nearest source tensor: `old.layers.{0..31}.w`\n"
        "   = help: add a rule\n");
  CHECK(CountIssues(issues) == "32 errors");
}

TEST_CASE("many different mistakes of one kind fit a screen") {
  std::vector<Issue> issues;
  for (char c = 'a'; c <= 'z'; ++c) issues.push_back(Missing(std::string(1, c)));
  issues.push_back({"CK1301", IssueSeverity::kWarning, "", "parameter `x` is not used", {}, ""});
  const std::string text = RenderIssues(issues);
  CHECK(std::count(text.begin(), text.end(), '\n') == 3 * 3 + 5 + 1 + 1);
  CHECK(text.find("error[CK1203]: … and 18 more of this kind; --all shows them\n") != std::string::npos);
  CHECK(text.find("warning[CK1301]: parameter `x` is not used\n") != std::string::npos);
  const std::string all = RenderIssues(issues, {.style = {}, .all = true});
  CHECK(std::count(all.begin(), all.end(), '\n') == 26 * 3 + 1);
  CHECK(CountIssues(issues) == "26 errors, 1 warning");
}

TEST_CASE("the last one is shown instead of counted") {
  std::vector<Issue> issues;
  for (char c = 'a'; c <= 'i'; ++c) issues.push_back(Missing(std::string(1, c)));
  CHECK(RenderIssues(issues).find("`i`") != std::string::npos);
}

TEST_CASE("errors come before warnings and notes") {
  const std::string text = RenderIssues({{"CK1", IssueSeverity::kNote, "", "n", {}, ""},
                                         {"CK2", IssueSeverity::kWarning, "", "w", {}, ""},
                                         {"CK3", IssueSeverity::kError, "", "e", {}, ""}});
  CHECK(text == "error[CK3]: e\nwarning[CK2]: w\nnote[CK1]: n\n");
}

TEST_CASE("names cannot steer the terminal, colours can be on") {
  CHECK(RenderIssues({{"CK1", IssueSeverity::kError, "", "`\x1b[2J`", {}, ""}}).find('\x1b') == std::string::npos);
  CHECK(RenderIssues({{"CK1", IssueSeverity::kError, "", "m", {}, ""}}, {.style = {.color = true}}) ==
        "\x1b[1;31merror[CK1]\x1b[0m: \x1b[1mm\x1b[0m\n");
}

}  // namespace
}  // namespace ckmap
