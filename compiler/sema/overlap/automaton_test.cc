#include "compiler/sema/overlap/automaton.h"

#include <doctest/doctest.h>

#include <random>

#include <re2/re2.h>

namespace ckmap {
namespace {

constexpr size_t kStates = 20'000;

bool Matches(const Automaton& automaton, const std::string& word) {
  return FindCommonWord(automaton, Automaton::Literal(word), kStates).answer == Answer::kYes;
}

// All words over `letters` up to a length.
std::vector<std::string> Words(std::string_view letters, size_t length) {
  std::vector<std::string> words = {""};
  for (size_t begin = 0, round = 0; round < length; ++round) {
    const size_t end = words.size();
    for (; begin < end; ++begin) {
      for (const char letter : letters) words.push_back(words[begin] + letter);
    }
  }
  return words;
}

TEST_CASE("languages of captures") {
  const Automaton segment = Automaton::Segment("."), path = Automaton::Path("."), digits = Automaton::Digits();
  CHECK(Matches(segment, "abc"));
  CHECK_FALSE(Matches(segment, ""));
  CHECK_FALSE(Matches(segment, "a.b"));
  CHECK(Matches(path, "a"));
  CHECK(Matches(path, "a.b.c"));
  CHECK_FALSE(Matches(path, "a..b"));
  CHECK_FALSE(Matches(path, ".a"));
  CHECK(Matches(digits, "10"));
  CHECK_FALSE(Matches(digits, "1a"));
  CHECK(Matches(Automaton::AnyOf({"q", "key", ""}), "key"));
  CHECK(Matches(Automaton::AnyOf({"q", "key", ""}), ""));
  CHECK_FALSE(Matches(Automaton::AnyOf({"q", "key"}), "k"));
  CHECK_FALSE(Matches(Automaton::Nothing(), ""));
}

TEST_CASE("regular expressions mean what RE2 says they mean") {
  const char* expressions[] = {"a*b",   "(ab|ba)+",   "[ab]{2,3}",     "a?b?a?", "(?:a|b)*ab", "\\w\\d?",
                               "[^a]b", "a{2}b{0,1}", "(?P<x>a+)\\.b", ".",      "a|",         "(a|b|)(b)",
                               "^ab$",  "[a-b.]+",    "\\.+a",         "a{1,}"};
  const std::vector<std::string> words = Words("ab.", 5);
  for (const char* expression : expressions) {
    const std::optional<Automaton> automaton = AutomatonOfRegex(expression);
    REQUIRE_MESSAGE(automaton.has_value(), expression);
    const RE2 regex(expression);
    for (const std::string& word : words) {
      CHECK_MESSAGE(Matches(*automaton, word) == RE2::FullMatch(word, regex), expression, " on `", word, "`");
    }
  }
}

TEST_CASE("what is not regular is refused") {
  for (const char* expression : {"\\bword", "a$b", "[[:alpha:]]", "a{1000}", "(", "[a", "\\x41"}) {
    CHECK_MESSAGE(!AutomatonOfRegex(expression), expression);
  }
}

// A small automaton built at random.
Automaton Random(std::mt19937& random, int depth) {
  switch (depth == 0 ? random() % 2 : random() % 5) {
    case 0:
      return Automaton::Literal(random() % 2 == 0 ? "a" : "b");
    case 1:
      return Automaton::Literal(random() % 2 == 0 ? "" : "ba");
    case 2:
      return Random(random, depth - 1).Star();
    case 3:
      return Random(random, depth - 1).Or(Random(random, depth - 1));
    default:
      return Random(random, depth - 1).Then(Random(random, depth - 1));
  }
}

TEST_CASE("answers agree with trying all words") {
  const std::vector<std::string> words = Words("ab", 7);
  std::mt19937 random(1);
  for (int round = 0; round < 150; ++round) {
    const Automaton a = Random(random, 3), b = Random(random, 3);
    bool common = false, outside = false;
    for (const std::string& word : words) {
      const bool in_a = Matches(a, word), in_b = Matches(b, word);
      common = common || (in_a && in_b);
      outside = outside || (in_a && !in_b);
    }
    const Found found = FindCommonWord(a, b, kStates);
    if (common) REQUIRE(found.answer == Answer::kYes);
    if (found.answer == Answer::kYes) CHECK((Matches(a, found.word) && Matches(b, found.word)));
    const Found other = FindWordOutside(a, b, kStates);
    if (outside) REQUIRE(other.answer == Answer::kYes);
    if (other.answer == Answer::kYes) CHECK((Matches(a, other.word) && !Matches(b, other.word)));
  }
}

TEST_CASE("two readings of one word") {
  const auto pair = [](std::string_view between) {
    return Automaton::Path(".")
        .Tagged(1)
        .Then(Automaton::Literal(between).Tagged(2))
        .Then(Automaton::Path(".").Tagged(3));
  };
  const Found ambiguous = FindTwoReadings(pair("."), kStates);
  REQUIRE(ambiguous.answer == Answer::kYes);
  CHECK(ambiguous.word.size() == 5);
  CHECK(ambiguous.left != ambiguous.right);
  const Automaton segments =
      Automaton::Segment(".").Tagged(1).Then(Automaton::Literal(".").Tagged(2)).Then(Automaton::Segment(".").Tagged(3));
  CHECK(FindTwoReadings(segments, kStates).answer == Answer::kNo);
}

TEST_CASE("a search that grows too large gives up") {
  const Automaton a = *AutomatonOfRegex("(a{97})*b"), b = *AutomatonOfRegex("(a{89})*c");
  CHECK(FindCommonWord(a, b, 1000).answer == Answer::kGaveUp);
  CHECK(FindCommonWord(a, b, kStates).answer == Answer::kNo);
}

}  // namespace
}  // namespace ckmap
