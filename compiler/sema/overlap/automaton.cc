#include "compiler/sema/overlap/automaton.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>

namespace ckmap {

Automaton::Automaton() : states_(1) {}

uint32_t Automaton::Add() {
  states_.emplace_back();
  return static_cast<uint32_t>(states_.size() - 1);
}

uint32_t Automaton::Import(const Automaton& other) {
  const auto offset = static_cast<uint32_t>(states_.size());
  for (const State& state : other.states_) {
    states_.push_back(state);
    for (Edge& edge : states_.back().edges) edge.to += offset;
    for (uint32_t& to : states_.back().silent) to += offset;
  }
  return offset;
}

Automaton Automaton::Nothing() {
  Automaton result;
  result.accept_ = result.Add();
  return result;
}

Automaton Automaton::Literal(std::string_view text) {
  Automaton result;
  for (const char c : text) {
    const uint32_t next = result.Add();
    const auto byte = static_cast<uint8_t>(c);
    result.states_[result.accept_].edges.push_back({byte, byte, 0, next});
    result.accept_ = next;
  }
  return result;
}

// Words with one beginning share its states.
Automaton Automaton::AnyOf(const std::vector<std::string>& words) {
  Automaton result = Nothing();
  std::map<std::pair<uint32_t, uint8_t>, uint32_t> moves;
  std::set<uint32_t> ends;
  for (const std::string& word : words) {
    uint32_t at = 0;
    for (const char c : word) {
      const auto byte = static_cast<uint8_t>(c);
      const auto [move, fresh] = moves.try_emplace({at, byte}, 0);
      if (fresh) {
        move->second = result.Add();
        result.states_[at].edges.push_back({byte, byte, 0, move->second});
      }
      at = move->second;
    }
    if (ends.insert(at).second) result.states_[at].silent.push_back(result.accept_);
  }
  return result;
}

Automaton Automaton::Byte(const std::vector<bool>& set) {
  Automaton result = Nothing();
  for (size_t first = 0; first < 256; ++first) {
    if (!set[first]) continue;
    size_t last = first;
    while (last + 1 < 256 && set[last + 1]) ++last;
    result.states_[0].edges.push_back({static_cast<uint8_t>(first), static_cast<uint8_t>(last), 0, result.accept_});
    first = last;
  }
  // Searches try moves in order: letters first, so that witnesses read well.
  auto& edges = result.states_[0].edges;
  std::stable_partition(edges.begin(), edges.end(),
                        [](const Edge& edge) { return edge.first <= 'a' && 'a' <= edge.last; });
  return result;
}

Automaton Automaton::Segment(std::string_view separator) {
  std::vector<bool> set(256, true);
  for (const char c : separator) set[static_cast<uint8_t>(c)] = false;
  const Automaton byte = Byte(set);
  return byte.Then(byte.Star());
}

Automaton Automaton::Path(std::string_view separator) {
  const Automaton segment = Segment(separator);
  return segment.Then(Literal(separator).Then(segment).Star());
}

Automaton Automaton::Digits() {
  std::vector<bool> set(256, false);
  for (char c = '0'; c <= '9'; ++c) set[static_cast<uint8_t>(c)] = true;
  const Automaton digit = Byte(set);
  return digit.Then(digit.Star());
}

Automaton Automaton::Anything() { return Byte(std::vector<bool>(256, true)).Star(); }

// The states after the first digit: each number below `first`, then the remainders of all others.
std::optional<Automaton> Automaton::Numbers(int64_t first, int64_t step) {
  constexpr int64_t kMaxNumbers = 128;
  if (first < 0 || step < 1 || first > kMaxNumbers || step > kMaxNumbers) return std::nullopt;
  Automaton result = Nothing();
  std::vector<uint32_t> below, above;
  for (int64_t i = 0; i < first; ++i) below.push_back(result.Add());
  for (int64_t i = 0; i < step; ++i) above.push_back(result.Add());
  const auto state_of = [&](int64_t number) {
    return number < first ? below[static_cast<size_t>(number)] : above[static_cast<size_t>(number % step)];
  };
  const auto add_digit = [&](uint32_t from, int digit, uint32_t to) {
    const auto byte = static_cast<uint8_t>('0' + digit);
    result.states_[from].edges.push_back({byte, byte, 0, to});
  };
  if (first == 0) add_digit(result.start_, 0, result.accept_);
  for (int digit = 1; digit <= 9; ++digit) add_digit(result.start_, digit, state_of(digit));
  for (int64_t number = 1; number < first; ++number) {
    for (int digit = 0; digit <= 9; ++digit) add_digit(state_of(number), digit, state_of(number * 10 + digit));
  }
  for (int64_t rest = 0; rest < step; ++rest) {
    for (int digit = 0; digit <= 9; ++digit)
      add_digit(above[static_cast<size_t>(rest)], digit, above[static_cast<size_t>((rest * 10 + digit) % step)]);
  }
  result.states_[above[static_cast<size_t>(first % step)]].silent.push_back(result.accept_);
  return result;
}

void Automaton::Append(const Automaton& next) {
  const uint32_t offset = Import(next);
  states_[accept_].silent.push_back(next.start_ + offset);
  accept_ = next.accept_ + offset;
}

Automaton Automaton::Then(const Automaton& next) const {
  Automaton result = *this;
  result.Append(next);
  return result;
}

Automaton Automaton::Or(const Automaton& other) const {
  Automaton result;
  const uint32_t left = result.Import(*this);
  const uint32_t right = result.Import(other);
  const uint32_t end = result.Add();
  result.states_[0].silent = {start_ + left, other.start_ + right};
  result.states_[accept_ + left].silent.push_back(end);
  result.states_[other.accept_ + right].silent.push_back(end);
  result.accept_ = end;
  return result;
}

Automaton Automaton::Star() const {
  Automaton result;
  const uint32_t inner = result.Import(*this);
  const uint32_t end = result.Add();
  result.states_[0].silent = {start_ + inner, end};
  result.states_[accept_ + inner].silent = {start_ + inner, end};
  result.accept_ = end;
  return result;
}

Automaton Automaton::Tagged(uint16_t tag) const {
  Automaton result = *this;
  for (State& state : result.states_) {
    for (Edge& edge : state.edges) edge.tag = tag;
  }
  return result;
}

namespace {

using States = std::vector<uint32_t>;  // sorted

constexpr size_t kWorkOfState = 200;  // moves that a search may try, for each of its states

// All states that silent moves reach.
States Closure(const Automaton& automaton, States states) {
  std::set<uint32_t> seen(states.begin(), states.end());
  while (!states.empty()) {
    const uint32_t state = states.back();
    states.pop_back();
    for (const uint32_t next : automaton.states()[state].silent) {
      if (seen.insert(next).second) states.push_back(next);
    }
  }
  return {seen.begin(), seen.end()};
}

// The byte of a range that reads best in a witness.
char Readable(int first, int last) {
  for (const auto& [low, high] : {std::pair{'a', 'z'}, std::pair{'0', '9'}, std::pair{'A', 'Z'}, std::pair{'!', '~'}}) {
    const int begin = std::max<int>(first, low), end = std::min<int>(last, high);
    if (begin <= end) return static_cast<char>(begin);
  }
  return static_cast<char>(first);
}

// How a search came to a node: from which, by which byte and tags.
struct Step {
  size_t from = 0;
  char byte = 0;
  char left = 0, right = 0;
};

Found Trace(const std::vector<Step>& steps, size_t node) {
  Found found;
  found.answer = Answer::kYes;
  for (; node != 0; node = steps[node].from) {
    found.word += steps[node].byte;
    found.left += steps[node].left;
    found.right += steps[node].right;
  }
  std::reverse(found.word.begin(), found.word.end());
  std::reverse(found.left.begin(), found.left.end());
  std::reverse(found.right.begin(), found.right.end());
  return found;
}

// Breadth first over pairs of single states. `diverged` is carried along: that the tags differed.
class PairSearch {
 public:
  PairSearch(const Automaton& a, const Automaton& b, bool want_diverged, size_t max_states)
      : a_(a), b_(b), want_diverged_(want_diverged), max_states_(max_states) {
    closures_a_.resize(a.states().size());
    closures_b_.resize(b.states().size());
  }

  Found Run() {
    Found found = Search();
    found.work = work_;
    return found;
  }

 private:
  Found Search() {
    Visit({a_.start(), b_.start(), false}, {});
    for (size_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_.size() > max_states_ || work_ > max_states_ * kWorkOfState) return {Answer::kGaveUp, "", "", "", 0};
      const Node at = nodes_[node];
      const States& left = Reached(a_, closures_a_, at.a);
      const States& right = Reached(b_, closures_b_, at.b);
      if ((at.diverged || !want_diverged_) && Ends(left, a_.accept()) && Ends(right, b_.accept())) {
        return Trace(steps_, node);
      }
      for (const uint32_t p : left) {
        if (a_.states()[p].edges.empty()) continue;
        for (const uint32_t q : right) Moves(node, at, p, q);
      }
    }
    return {};
  }

  // Closures are made when they are needed; most searches end early.
  const States& Reached(const Automaton& automaton, std::vector<States>& closures, uint32_t state) {
    States& closure = closures[state];
    if (closure.empty()) {
      closure = Closure(automaton, {state});
      work_ += closure.size();
    }
    return closure;
  }

  struct Node {
    uint32_t a, b;
    bool diverged;
    friend auto operator<=>(const Node&, const Node&) = default;
  };

  static bool Ends(const States& states, uint32_t accept) {
    return std::binary_search(states.begin(), states.end(), accept);
  }

  void Moves(size_t node, const Node& at, uint32_t p, uint32_t q) {
    for (const Automaton::Edge& x : a_.states()[p].edges) {
      for (const Automaton::Edge& y : b_.states()[q].edges) {
        ++work_;
        const int first = std::max(x.first, y.first), last = std::min(x.last, y.last);
        if (first > last) continue;
        const bool diverged = want_diverged_ && (at.diverged || x.tag != y.tag);
        Visit({x.to, y.to, diverged},
              {node, Readable(first, last), static_cast<char>(x.tag), static_cast<char>(y.tag)});
      }
    }
  }

  void Visit(const Node& node, const Step& step) {
    if (!seen_.insert(node).second) return;
    nodes_.push_back(node);
    steps_.push_back(step);
  }

  const Automaton& a_;
  const Automaton& b_;
  const bool want_diverged_;
  const size_t max_states_;
  size_t work_ = 0;
  std::vector<States> closures_a_, closures_b_;
  std::set<Node> seen_;
  std::vector<Node> nodes_;
  std::vector<Step> steps_;
};

}  // namespace

Found FindCommonWord(const Automaton& a, const Automaton& b, size_t max_states) {
  return PairSearch(a, b, false, max_states).Run();
}

Found FindTwoReadings(const Automaton& a, size_t max_states) { return PairSearch(a, a, true, max_states).Run(); }

Found FindWordOutside(const Automaton& a, const Automaton& b, size_t max_states) {
  // A state of `a` with all states in which `b` may be.
  using Node = std::pair<uint32_t, States>;
  std::set<Node> seen;
  std::vector<Node> nodes;
  std::vector<Step> steps;
  const auto visit = [&](Node node, const Step& step) {
    if (!seen.insert(node).second) return;
    nodes.push_back(std::move(node));
    steps.push_back(step);
  };
  size_t work = 0;
  const auto done = [&work](Found found) {
    found.work = work;
    return found;
  };
  visit({a.start(), Closure(b, {b.start()})}, {});
  for (size_t index = 0; index < nodes.size(); ++index) {
    if (nodes.size() > max_states || work > max_states * kWorkOfState) return done({Answer::kGaveUp, "", "", "", 0});
    const Node at = nodes[index];
    const States own = Closure(a, {at.first});
    const bool ends = std::binary_search(own.begin(), own.end(), a.accept());
    work += own.size() + at.second.size();
    if (ends && !std::binary_search(at.second.begin(), at.second.end(), b.accept())) return done(Trace(steps, index));
    // Bytes at which the moves of `b` change.
    std::set<int> cuts = {0, 256};
    for (const uint32_t state : at.second) {
      for (const Automaton::Edge& edge : b.states()[state].edges) {
        cuts.insert(edge.first);
        cuts.insert(edge.last + 1);
      }
    }
    for (const uint32_t state : own) {
      for (const Automaton::Edge& edge : a.states()[state].edges) {
        for (auto cut = cuts.begin(); std::next(cut) != cuts.end(); ++cut) {
          const int first = std::max<int>(edge.first, *cut), last = std::min<int>(edge.last, *std::next(cut) - 1);
          if (first > last) continue;
          States next;
          work += at.second.size();
          for (const uint32_t other : at.second) {
            for (const Automaton::Edge& move : b.states()[other].edges) {
              if (move.first <= first && last <= move.last) next.push_back(move.to);
            }
          }
          visit({edge.to, Closure(b, std::move(next))}, {index, Readable(first, last), 0, 0});
        }
      }
    }
  }
  return done({});
}

}  // namespace ckmap
