// Regular expressions of RE2's syntax → automata, by recursive descent over alternatives, sequences,
// repeats and atoms. What is not known is refused, never guessed.
#include <cctype>
#include <string>
#include <vector>

#include "compiler/sema/overlap/automaton.h"

namespace ckmap {
namespace {

constexpr int kMaxRegexDepth = 50;
constexpr int kMaxRepeat = 100;
constexpr size_t kMaxRegexStates = 20'000;

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
    if (depth > kMaxRegexDepth) return std::nullopt;
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
    if (depth == 0 && at_ == 0) {
      if (Take("(?") && (!Flags() || !Take(")"))) {  // a group
        at_ = 0;
        fold_ = dot_all_ = false;
      }
      Take("^");
    }
    while (!AtEnd() && text_[at_] != '|' && text_[at_] != ')') {
      if (depth == 0 && text_.substr(at_) == "$") {
        ++at_;
        break;
      }
      std::optional<Automaton> atom = Atom(depth);
      if (atom) atom = Repeats(*std::move(atom));
      if (!atom || all.size() + atom->size() > kMaxRegexStates) return std::nullopt;
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
      if (atom.size() > kMaxRegexStates) return std::nullopt;
    }
  }

  std::optional<int> Number() {
    int value = 0;
    const size_t begin = at_;
    while (!AtEnd() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 && value <= kMaxRepeat)
      value = value * 10 + (text_[at_++] - '0');
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
    for (int i = 0; i < *least && all.size() <= kMaxRegexStates; ++i) all.Append(atom);
    if (open) return all.Then(atom.Star());
    for (int i = *least; i < *most && all.size() <= kMaxRegexStates; ++i) all = all.Then(atom.Or(Automaton()));
    return all;
  }

  std::optional<Automaton> Atom(int depth) {
    const char c = text_[at_];
    if (c == '(') return Group(depth);
    if (c == '[') return Class();
    if (c == '.') {
      ++at_;
      std::vector<bool> set(256, true);
      set['\n'] = dot_all_;
      return Automaton::Byte(set);
    }
    if (c == '\\') {
      ++at_;
      const auto set = Escape();
      if (!set) return std::nullopt;
      return fold_ && !std::isalpha(static_cast<unsigned char>(text_[at_ - 1])) ? Folded(*set)
                                                                                : std::optional(Automaton::Byte(*set));
    }
    if (c == '^' || c == '$' || c == '*' || c == '+' || c == '?') return std::nullopt;
    ++at_;
    if (!fold_) return Automaton::Literal(std::string_view(&c, 1));
    std::vector<bool> set(256, false);
    set[static_cast<uint8_t>(c)] = true;
    return Folded(std::move(set));
  }

  // The letters of a set in both cases. Two signs outside of ASCII are cases of letters in it: the Kelvin sign and the
  // long s.
  static std::optional<Automaton> Folded(std::vector<bool> set) {
    for (size_t c = 0x80; c < 256; ++c) {
      if (set[c]) return std::nullopt;
    }
    for (size_t c = 'a'; c <= 'z'; ++c) set[c] = set[c - 'a' + 'A'] = set[c] || set[c - 'a' + 'A'];
    Automaton all = Automaton::Byte(set);
    if (set['k']) all = all.Or(Automaton::Literal("\xE2\x84\xAA"));
    if (set['s']) all = all.Or(Automaton::Literal("\xC5\xBF"));
    return all;
  }

  std::optional<Automaton> Group(int depth) {
    Take("(");
    const bool fold = fold_, dot_all = dot_all_;
    if (Take("?P<") || Take("?<")) {
      while (!AtEnd() && text_[at_] != '>') ++at_;
      if (!Take(">")) return std::nullopt;
    } else if (Take("?")) {
      if (!Flags()) return std::nullopt;
      if (Take(")")) return Automaton();  // for the rest of the group around it
      if (!Take(":")) return std::nullopt;
    }
    std::optional<Automaton> inner = Alternatives(depth + 1);
    fold_ = fold;
    dot_all_ = dot_all;
    return inner && Take(")") ? inner : std::nullopt;
  }

  // Those between `(?` and `)` or `:`. Of whole names `m` and `U` change nothing: anchors stand at the ends alone, and
  // what is matched is all of the name.
  bool Flags() {
    const bool fold = fold_, dot_all = dot_all_;
    for (bool on = true; !AtEnd() && text_[at_] != ')' && text_[at_] != ':'; ++at_) {
      switch (text_[at_]) {
        case '-':
          on = false;
          break;
        case 'i':
          fold_ = on;
          break;
        case 's':
          dot_all_ = on;
          break;
        case 'm':
        case 'U':
          break;
        default:
          fold_ = fold;
          dot_all_ = dot_all;
          return false;
      }
    }
    return !AtEnd();
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
      case 'd':
      case 'D':
        AddRange(set, '0', '9');
        break;
      case 'w':
      case 'W':
        AddRange(set, '0', '9');
        AddRange(set, 'a', 'z');
        AddRange(set, 'A', 'Z');
        set['_'] = true;
        break;
      case 's':
      case 'S':
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
    if (fold_) return negated ? std::nullopt : Folded(std::move(set));
    if (negated) set.flip();
    return Automaton::Byte(set);
  }

  std::string_view text_;
  size_t at_ = 0;
  bool fold_ = false;     // both cases of letters match
  bool dot_all_ = false;  // `.` matches the end of a line too
};

}  // namespace

std::optional<RegexGroup> GroupOfRegex(std::string_view regex, std::string_view name) {
  struct Open {
    size_t begin;  // of what the parentheses hold
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
      const bool named = rest.starts_with("(?P<") || rest.starts_with("(?<");
      if (rest.starts_with("(?") && !named && !rest.starts_with("(?:"))
        return std::nullopt;  // flags, which change what a group says
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
