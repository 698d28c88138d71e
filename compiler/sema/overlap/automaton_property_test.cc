// Overlap of patterns against trying all short names: what the automata say about two patterns that are compiled from
// text is what RE2 says about every name up to a length. `CKMAP_PATTERN_PAIRS` sets the number of pairs.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include <fmt/format.h>
#include <re2/re2.h>

#include "compiler/sema/overlap/languages.h"

namespace ckmap {
namespace {

constexpr size_t kStates = 50'000;
constexpr size_t kLength = 5;
constexpr std::string_view kLetters = "ab.1";

// A pattern with the same names as a regular expression.
struct Sample {
  TypedPattern pattern;
  std::string regex;
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Sample Next() {
    Sample sample;
    names_ = 0;
    if (Chance(5)) {
      sample.regex = sample.pattern.regex = Regex(3);
      return sample;
    }
    const int parts = 1 + Pick(4);
    for (int i = 0; i < parts; ++i) AddPart(sample);
    return sample;
  }

 private:
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }
  bool Chance(int of) { return Pick(of) == 0; }
  std::string Text() {
    static const std::vector<std::string> texts = {"a", "b", ".", "a.", ".b", "1", "ab", "a.b", "b1", ".1"};
    return texts[static_cast<size_t>(Pick(static_cast<int>(texts.size())))];
  }

  std::string Regex(int depth) {
    switch (depth == 0 ? Pick(3) : Pick(9)) {
      case 0:
        return "a";
      case 1:
        return "\\.";
      case 2:
        return Chance(2) ? "[ab]" : "\\d";
      case 3:
        return "(?:" + Regex(depth - 1) + ")*";
      case 4:
        return "(?:" + Regex(depth - 1) + "|" + Regex(depth - 1) + ")";
      case 5:
        return "(?:" + Regex(depth - 1) + ")?";
      case 6:
        return "(?:" + Regex(depth - 1) + "){1,2}";
      default:
        return Regex(depth - 1) + Regex(depth - 1);
    }
  }

  void AddPart(Sample& sample) {
    TypedPart part;
    const int kind = Pick(8);
    if (kind < 3) {
      part.text = Text();
      sample.regex += RE2::QuoteMeta(part.text);
    } else if (kind == 3) {
      part.kind = TypedPart::Kind::kAlternatives;
      part.options = {Text(), Text(), Chance(3) ? "" : Text()};
      sample.regex += fmt::format("(?:{}|{}|{})", RE2::QuoteMeta(part.options[0]), RE2::QuoteMeta(part.options[1]),
                                  RE2::QuoteMeta(part.options[2]));
    } else {
      part.kind = TypedPart::Kind::kCapture;
      part.capture.name = fmt::format("c{}", names_++);
      AddCapture(part.capture, sample.regex);
    }
    sample.pattern.parts.push_back(std::move(part));
  }

  void AddCapture(TypedCapture& capture, std::string& regex) {
    switch (Pick(5)) {
      case 0:
        regex += "[^.]+";
        break;
      case 1:
        capture.kind = TypedCapture::Kind::kInt;
        regex += "[0-9]+";
        break;
      case 2:
        capture.kind = TypedCapture::Kind::kPath;
        regex += "[^.]+(?:\\.[^.]+)*";
        break;
      case 3:
        capture.kind = TypedCapture::Kind::kChoice;
        capture.choices = {Text(), Text()};
        regex += fmt::format("(?:{}|{})", RE2::QuoteMeta(capture.choices[0]), RE2::QuoteMeta(capture.choices[1]));
        break;
      default:
        capture.kind = TypedCapture::Kind::kRegex;
        capture.regex = Regex(2);
        regex += "(?:" + capture.regex + ")";
    }
  }

  std::mt19937 random_;
  int names_ = 0;
};

std::vector<std::string> AllNames() {
  std::vector<std::string> names = {""};
  for (size_t begin = 0, round = 0; round < kLength; ++round) {
    const size_t end = names.size();
    for (; begin < end; ++begin) {
      for (const char letter : kLetters) names.push_back(names[begin] + letter);
    }
  }
  return names;
}

TEST_CASE("overlap of patterns agrees with trying all short names") {
  const char* wanted = std::getenv("CKMAP_PATTERN_PAIRS");
  const int pairs = wanted != nullptr ? std::atoi(wanted) : 1500;
  const std::vector<std::string> names = AllNames();
  const Program program{};
  DiagnosticSink sink;
  const VariableTable variables(program, sink);
  const RuleSet rules;
  const Languages languages(rules, variables);
  Generator generator(20240607);
  int overlapping = 0, covered = 0, beyond = 0;
  for (int i = 0; i < pairs; ++i) {
    const Sample a = generator.Next(), b = generator.Next();
    const Language left = languages.Of(nullptr, a.pattern), right = languages.Of(nullptr, b.pattern);
    const RE2 in_a(a.regex), in_b(b.regex);
    REQUIRE_MESSAGE((in_a.ok() && in_b.ok()), a.regex, " ", b.regex);
    const Found common = FindCommonWord(languages.AutomatonOf(left), languages.AutomatonOf(right), kStates);
    const Found outside = FindWordOutside(languages.AutomatonOf(left), languages.AutomatonOf(right), kStates);
    REQUIRE((left.exact && right.exact));
    bool both = false, only_a = false;
    for (const std::string& name : names) {
      if (!RE2::FullMatch(name, in_a)) continue;
      const bool other = RE2::FullMatch(name, in_b);
      both = both || other;
      only_a = only_a || !other;
    }
    // A witness may be longer than the names that were tried, but then none of those is one.
    if (both) CHECK_MESSAGE(common.answer == Answer::kYes, a.regex, " and ", b.regex);
    if (only_a) CHECK_MESSAGE(outside.answer == Answer::kYes, a.regex, " without ", b.regex);
    if (common.answer == Answer::kYes) {
      CHECK_MESSAGE((RE2::FullMatch(common.word, in_a) && RE2::FullMatch(common.word, in_b)), common.word, " for ",
                    a.regex, " and ", b.regex);
      if (common.word.size() <= kLength && common.word.find_first_not_of(kLetters) == std::string::npos)
        CHECK_MESSAGE(both, common.word);
      beyond += common.word.size() > kLength ? 1 : 0;
    }
    if (outside.answer == Answer::kYes) {
      CHECK_MESSAGE((RE2::FullMatch(outside.word, in_a) && !RE2::FullMatch(outside.word, in_b)), outside.word, " for ",
                    a.regex, " without ", b.regex);
    }
    // The index never passes over a pair that has a common name.
    const LanguageIndex index({right});
    bool candidate = false;
    index.ForEachCandidate(left, [&](size_t) { candidate = true; });
    if (common.answer == Answer::kYes) CHECK_MESSAGE(candidate, a.regex, " and ", b.regex);
    overlapping += both ? 1 : 0;
    covered += outside.answer == Answer::kNo ? 1 : 0;
  }
  MESSAGE(pairs, " pairs, ", names.size(), " names each: ", overlapping, " overlap within them, ", beyond,
          " only beyond, ", covered, " are covered");
  CHECK(overlapping > pairs / 20);
  CHECK(covered > pairs / 200);
}

}  // namespace
}  // namespace ckmap
