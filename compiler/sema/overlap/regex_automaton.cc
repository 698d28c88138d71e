// Regular expressions of RE2's syntax → automata, by recursive descent over alternatives, sequences,
// repeats and atoms. What is not known is refused, never guessed.
#include <cctype>
#include <string>
#include <vector>

#include "compiler/sema/overlap/automaton.h"

namespace ckmap {
namespace {

constexpr int kMaxDepth = 50;
constexpr int kMaxRepeat = 100;
constexpr size_t kMaxStates = 20'000;

class RegexReader {
 public:
  explicit RegexReader(std::string_view text) : text_(text) {}

  std::optional<Automaton> Read() {
    std::optional<Automaton> result = Alternatives(0);
    if (at_ != text_.size()) return std::nullopt;
    return result;
  }

 private:
  bool Take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool AtEnd() const { return at_ == text_.size(); }

  std::optional<Automaton> Alternatives(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    std::optional<Automaton> all = Sequence(depth);
    while (all && Take("|")) {
      const std::optional<Automaton> next = Sequence(depth);
      if (!next) return std::nullopt;
      all = all->Or(*next);
    }
    return all;
  }

  std::optional<Automaton> Sequence(int depth) {
    Automaton all;
    // Anchors mean nothing at the ends of a whole-name match.
    if (depth == 0 && at_ == 0) Take("^");
    while (!AtEnd() && text_[at_] != '|' && text_[at_] != ')') {
      if (depth == 0 && text_.substr(at_) == "$") {
        ++at_;
        break;
      }
      std::optional<Automaton> atom = Atom(depth);
      if (atom) atom = Repeats(*std::move(atom));
      if (!atom || all.size() + atom->size() > kMaxStates) return std::nullopt;
      all.Append(*atom);
    }
    return all;
  }

  std::optional<Automaton> Repeats(Automaton atom) {
    for (;;) {
      if (Take("*")) {
        atom = atom.Star();
      } else if (Take("+")) {
        atom = atom.Then(atom.Star());
      } else if (Take("?")) {
        atom = atom.Or(Automaton());
      } else if (!AtEnd() && text_[at_] == '{') {
        std::optional<Automaton> counted = Counted(atom);
        if (!counted) return std::nullopt;
        atom = *std::move(counted);
      } else {
        return atom;
      }
      Take("?");  // lazy: the same language
      if (atom.size() > kMaxStates) return std::nullopt;
    }
  }

  std::optional<int> Number() {
    int value = 0;
    const size_t begin = at_;
    while (!AtEnd() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 && value <= kMaxRepeat) value = value * 10 + (text_[at_++] - '0');
    return at_ > begin && value <= kMaxRepeat ? std::optional(value) : std::nullopt;
  }

  std::optional<Automaton> Counted(const Automaton& atom) {
    Take("{");
    const std::optional<int> least = Number();
    if (!least) return std::nullopt;
    std::optional<int> most = least;
    bool open = false;
    if (Take(",")) {
      open = !AtEnd() && text_[at_] == '}';
      if (!open) most = Number();
    }
    if (!Take("}") || !most || *most < *least) return std::nullopt;
    Automaton all;
    for (int i = 0; i < *least && all.size() <= kMaxStates; ++i) all.Append(atom);
    if (open) return all.Then(atom.Star());
    for (int i = *least; i < *most && all.size() <= kMaxStates; ++i) all = all.Then(atom.Or(Automaton()));
    return all;
  }

  std::optional<Automaton> Atom(int depth) {
    const char c = text_[at_];
    if (c == '(') return Group(depth);
    if (c == '[') return Class();
    if (c == '.') {
      ++at_;
      std::vector<bool> set(256, true);
      set['\n'] = false;
      return Automaton::Byte(set);
    }
    if (c == '\\') {
      ++at_;
      const auto set = Escape();
      return set ? std::optional(Automaton::Byte(*set)) : std::nullopt;
    }
    if (c == '^' || c == '$' || c == '*' || c == '+' || c == '?') return std::nullopt;
    ++at_;
    return Automaton::Literal(std::string_view(&c, 1));
  }

  std::optional<Automaton> Group(int depth) {
    Take("(");
    if (Take("?P<") || Take("?<")) {
      while (!AtEnd() && text_[at_] != '>') ++at_;
      if (!Take(">")) return std::nullopt;
    } else if (!Take("?:") && !AtEnd() && text_[at_] == '?') {
      return std::nullopt;  // flags
    }
    std::optional<Automaton> inner = Alternatives(depth + 1);
    return inner && Take(")") ? inner : std::nullopt;
  }

  static void AddRange(std::vector<bool>& set, int first, int last) {
    for (int i = first; i <= last; ++i) set[static_cast<size_t>(i)] = true;
  }

  // After the backslash.
  std::optional<std::vector<bool>> Escape() {
    if (AtEnd()) return std::nullopt;
    std::vector<bool> set(256, false);
    const char c = text_[at_++];
    switch (c) {
      case 'd': case 'D': AddRange(set, '0', '9'); break;
      case 'w': case 'W':
        AddRange(set, '0', '9');
        AddRange(set, 'a', 'z');
        AddRange(set, 'A', 'Z');
        set['_'] = true;
        break;
      case 's': case 'S':
        for (const char space : {'\t', '\n', '\f', '\r', ' '}) set[static_cast<uint8_t>(space)] = true;
        break;
      default:
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) return std::nullopt;
        set[static_cast<uint8_t>(c)] = true;
        return set;
    }
    if (std::isupper(static_cast<unsigned char>(c)) != 0) set.flip();
    return set;
  }

  std::optional<Automaton> Class() {
    Take("[");
    const bool negated = Take("^");
    std::vector<bool> set(256, false);
    for (bool first = true; !AtEnd() && (first || text_[at_] != ']'); first = false) {
      if (text_.substr(at_).starts_with("[:")) return std::nullopt;
      if (Take("\\")) {
        const auto escaped = Escape();
        if (!escaped) return std::nullopt;
        for (size_t i = 0; i < 256; ++i) set[i] = set[i] || (*escaped)[i];
        if (text_.substr(at_).starts_with("-") && !text_.substr(at_).starts_with("-]")) return std::nullopt;
        continue;
      }
      const auto low = static_cast<uint8_t>(text_[at_++]);
      if (low >= 0x80) return std::nullopt;  // one character of several bytes
      uint8_t high = low;
      if (text_.size() > at_ + 1 && text_[at_] == '-' && text_[at_ + 1] != ']') {
        high = static_cast<uint8_t>(text_[at_ + 1]);
        at_ += 2;
        if (high == '\\' || high < low || high >= 0x80) return std::nullopt;
      }
      AddRange(set, low, high);
    }
    if (!Take("]")) return std::nullopt;
    if (negated) set.flip();
    return Automaton::Byte(set);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<RegexGroup> GroupOfRegex(std::string_view regex, std::string_view name) {
  struct Open {
    size_t begin;      // of what the parentheses hold
    bool wanted;
    bool bar = false;  // has alternatives
  };
  std::vector<Open> open = {{0, false, false}};
  std::optional<RegexGroup> found;
  size_t depth_found = 0;  // how many of the groups around it are still open
  for (size_t i = 0; i < regex.size(); ++i) {
    const char c = regex[i];
    if (c == '\\') {
      ++i;
    } else if (c == '[') {
      size_t end = i + 1;
      if (end < regex.size() && regex[end] == '^') ++end;
      if (end < regex.size() && regex[end] == ']') ++end;
      while (end < regex.size() && regex[end] != ']') end += regex[end] == '\\' ? 2 : 1;
      i = end;
    } else if (c == '(') {
      const std::string_view rest = regex.substr(i);
      const std::string first = "(?P<" + std::string(name) + ">", second = "(?<" + std::string(name) + ">";
      const bool wanted = rest.starts_with(first) || rest.starts_with(second);
      open.push_back({i + (rest.starts_with(first) ? first.size() : second.size()), wanted, false});
    } else if (c == '|') {
      open.back().bar = true;
      if (found && open.size() <= depth_found) found->free = false;
    } else if (c == ')' && open.size() > 1) {
      const Open group = open.back();
      open.pop_back();
      const char next = i + 1 < regex.size() ? regex[i + 1] : ' ';
      const bool repeated = next == '*' || next == '+' || next == '?' || next == '{';
      if (group.wanted) {
        found = RegexGroup{std::string(regex.substr(group.begin, i - group.begin)), !repeated};
        depth_found = open.size();
        for (const Open& around : open) found->free = found->free && !around.bar;
      } else if (found && open.size() < depth_found) {
        depth_found = open.size();
        found->free = found->free && !repeated;
      }
    }
  }
  return found;
}

std::optional<Automaton> AutomatonOfRegex(std::string_view regex) { return RegexReader(regex).Read(); }

}  // namespace ckmap
