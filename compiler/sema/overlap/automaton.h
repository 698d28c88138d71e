// Finite automata over bytes: what names a pattern matches, and questions about two patterns that are
// answered with a name. Every search is bounded by a number of states.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

class Automaton {
 public:
  // Language of the empty word alone.
  Automaton();
  static Automaton Nothing();
  static Automaton Literal(std::string_view text);
  static Automaton AnyOf(const std::vector<std::string>& words);
  // One byte of those that `set` holds (256 flags).
  static Automaton Byte(const std::vector<bool>& set);
  static Automaton Segment(std::string_view separator);  // one byte or more, none of the separator's
  static Automaton Path(std::string_view separator);     // segments with separators between
  static Automaton Digits();
  static Automaton Anything();  // every word, the empty one too
  // Decimal numbers without leading zeros: `first` (0 or more) and every `step`-th above it. nullopt: too many states.
  static std::optional<Automaton> Numbers(int64_t first, int64_t step);

  Automaton Then(const Automaton& next) const;
  void Append(const Automaton& next);  // Then, in place
  Automaton Or(const Automaton& other) const;
  Automaton Star() const;
  // Every edge of this automaton gets the tag; see FindTwoReadings.
  Automaton Tagged(uint16_t tag) const;

  size_t size() const { return states_.size(); }

  struct Edge {
    uint8_t first, last;  // bytes, both included
    uint16_t tag;
    uint32_t to;
  };
  struct State {
    std::vector<Edge> edges;
    std::vector<uint32_t> silent;  // moves without a byte
  };
  const std::vector<State>& states() const { return states_; }
  uint32_t start() const { return start_; }
  uint32_t accept() const { return accept_; }

 private:
  uint32_t Add();
  uint32_t Import(const Automaton& other);  // offset of its states

  std::vector<State> states_;
  uint32_t start_ = 0;
  uint32_t accept_ = 0;  // the one end; no move leaves it
};

enum class Answer : uint8_t { kNo, kYes, kGaveUp };

struct Found {
  Answer answer = Answer::kNo;
  std::string word;         // the witness of kYes, one of the shortest
  std::string left, right;  // FindTwoReadings: the tag of each byte of the word, as one char each
  size_t work = 0;          // moves that were tried
};

// A word of both languages.
Found FindCommonWord(const Automaton& a, const Automaton& b, size_t max_states);
// A word of `a` that is none of `b`.
Found FindWordOutside(const Automaton& a, const Automaton& b, size_t max_states);
// A word that `a` reads in two ways which give some byte different tags.
Found FindTwoReadings(const Automaton& a, size_t max_states);

// The part of a regular expression that its named group matches. `free`: whatever that part matches, some
// whole name holds there; else the rest of the expression may narrow it.
struct RegexGroup {
  std::string regex;
  bool free = true;
};
std::optional<RegexGroup> GroupOfRegex(std::string_view regex, std::string_view name);

// The language of a regular expression (all of the name must match). nullopt: it holds what is not
// regular or not known here (assertions inside, flags).
std::optional<Automaton> AutomatonOfRegex(std::string_view regex);

}  // namespace ckmap
