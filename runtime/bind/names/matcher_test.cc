// Names of many patterns at once, against each pattern as a regular expression by itself.
#include "runtime/bind/names/matcher.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <re2/re2.h>

#include "runtime/bind/values/variables.h"

namespace ckmap {
namespace {

const BoundVariables kNoVariables;

CompiledName Compiled(const plan::Pattern& pattern) {
  auto name = CompiledName::Compile(pattern, {".", kNoVariables});
  if (!name) FAIL(name.error().message());
  return *std::move(name);
}

// Short pieces, so that runs of digits meet literals, captures and the ends of names in every way.
plan::Pattern RandomPattern(std::mt19937& random) {
  static const std::vector<std::string> kLiterals = {"a", ".", "1", "12", "a1", "1a", "#", ".0."};
  plan::Pattern pattern;
  const size_t parts = 1 + random() % 5;
  int captures = 0;
  for (size_t i = 0; i < parts; ++i) {
    plan::Part& part = *pattern.add_parts();
    const auto kind = random() % 8;
    if (kind < 4) {
      part.set_literal(kLiterals[random() % kLiterals.size()]);
    } else if (kind == 4 && captures > 0) {
      part.set_reference("c0");
    } else {
      part.mutable_capture()->set_name("c" + std::to_string(captures++));
      part.mutable_capture()->set_kind(kind == 5 ? plan::Capture::SEGMENT : plan::Capture::INT);
    }
  }
  return pattern;
}

std::string RandomName(std::mt19937& random) {
  static const std::string kLetters = "aa..#0112";
  std::string name;
  for (size_t i = 1 + random() % 8; i > 0; --i) name += kLetters[random() % kLetters.size()];
  return name;
}

std::vector<size_t> Matching(const Matcher& matcher, const std::vector<CompiledName>& patterns,
                             const std::string& name) {
  Matcher::Candidates found;
  matcher.Find(name, found);
  CHECK(std::is_sorted(found.ids.begin(), found.ids.end()));
  CHECK(std::adjacent_find(found.ids.begin(), found.ids.end()) == found.ids.end());
  std::vector<size_t> ids;
  for (const size_t id : found.ids) {
    Captures captures;
    if (patterns[id].Match(name, kNoVariables, captures)) ids.push_back(id);
  }
  return ids;
}

TEST_CASE("patterns are found by name as each of them matches alone") {
  std::mt19937 random(7);
  size_t matches = 0, by_runs = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<CompiledName> patterns;
    for (int i = 0; i < 40; ++i) patterns.push_back(Compiled(RandomPattern(random)));
    Matcher matcher;
    for (const CompiledName& pattern : patterns) {
      matcher.Add(pattern);
      by_runs += pattern.around_digits().empty() ? 0 : 1;
    }
    matcher.Compile();
    for (int i = 0; i < 100; ++i) {
      const std::string name = RandomName(random);
      std::vector<size_t> expected;
      for (size_t id = 0; id < patterns.size(); ++id) {
        Captures captures;
        // What the fast ways look at agrees with the regular expression that says what a pattern means.
        const bool matched = patterns[id].Match(name, kNoVariables, captures);
        const bool by_regex =
            patterns[id].literal() ? name == *patterns[id].literal() : RE2::FullMatch(name, patterns[id].regex());
        CHECK((!matched || by_regex));
        if (!patterns[id].around_digits().empty() &&
            patterns[id].captures().size() + 1 == patterns[id].around_digits().size()) {
          CHECK(matched == by_regex);
        }
        if (matched) expected.push_back(id);
      }
      matches += expected.size();
      CHECK(Matching(matcher, patterns, name) == expected);
    }
  }
  CHECK(matches > 300);
  CHECK(by_runs > 300);
}

TEST_CASE("more places of captures than are looked up one by one") {
  // Names of 24 runs, of which each pattern captures another one.
  constexpr size_t kRuns = 24;
  std::vector<CompiledName> patterns;
  for (size_t captured = 0; captured < kRuns; ++captured) {
    plan::Pattern pattern;
    for (size_t i = 0; i < kRuns; ++i) {
      if (i > 0) pattern.add_parts()->set_literal(".");
      plan::Part& part = *pattern.add_parts();
      if (i != captured) {
        part.set_literal("5");
      } else {
        part.mutable_capture()->set_name("n");
        part.mutable_capture()->set_kind(plan::Capture::INT);
      }
    }
    patterns.push_back(Compiled(pattern));
  }
  Matcher matcher;
  for (const CompiledName& pattern : patterns) matcher.Add(pattern);
  matcher.Compile();
  for (size_t run = 0; run < kRuns; ++run) {
    std::string name;
    for (size_t i = 0; i < kRuns; ++i) name += (i > 0 ? "." : "") + std::string(i == run ? "77" : "5");
    CHECK(Matching(matcher, patterns, name) == std::vector<size_t>{run});
  }
}

TEST_CASE("a group's text is what Match captures") {
  plan::Pattern pattern;
  pattern.add_parts()->set_literal("h.");
  for (const char* name : {"layer", "expert"}) {
    plan::Capture& capture = *pattern.add_parts()->mutable_capture();
    capture.set_name(name);
    capture.set_kind(plan::Capture::INT);
    pattern.add_parts()->set_literal(".e");
  }
  const CompiledName compiled = Compiled(pattern);
  std::vector<std::string_view> texts;
  REQUIRE(compiled.MatchTexts("h.003.e12.e", texts));
  CHECK(texts == std::vector<std::string_view>{"003", "12"});
  CHECK(compiled.captures() == std::vector<std::string>{"layer", "expert"});
  CHECK(!compiled.MatchTexts("h.003.e12", texts));
  CHECK(!compiled.MatchTexts("h.003.e.e", texts));
}

}  // namespace
}  // namespace ckmap
