#include "compiler/suggest/lines.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/syntax/tokens.h"

namespace ckmap::suggest {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"n", "i", "j", "k", "l", "m"};
constexpr int64_t kMaxFactor = 8;
constexpr size_t kMaxExceptions = 100;  // values of which one may be the exception

// A number on the right: factor * left[a] + left[b] + shift, or a constant.
struct Term {
  std::optional<size_t> a, b;
  int64_t factor = 1, shift = 0;
};

using Pairs = std::vector<std::pair<Index, Index>>;

bool Holds(const Term& term, const Pairs& pairs, const std::vector<size_t>& members, size_t position) {
  return std::all_of(members.begin(), members.end(), [&](size_t m) {
    const auto& [left, right] = pairs[m];
    int64_t value = term.shift;
    if (term.a) value += term.factor * left[*term.a];
    if (term.b) value += left[*term.b];
    return value == right[position];
  });
}

// The simplest term that gives the number at `position` for all members.
std::optional<Term> FitTerm(const Pairs& pairs, const std::vector<size_t>& members, size_t position) {
  const auto& [left, right] = pairs[members[0]];
  const Term constant{{}, {}, 1, right[position]};
  if (Holds(constant, pairs, members, position)) return constant;
  for (size_t a = 0; a < left.size(); ++a) {
    for (int64_t factor = 1; factor <= kMaxFactor; ++factor) {
      const Term term{a, {}, factor, right[position] - factor * left[a]};
      if (Holds(term, pairs, members, position)) return term;
    }
  }
  for (size_t a = 0; a < left.size(); ++a) {
    for (size_t b = 0; b < left.size(); ++b) {
      for (int64_t factor = 1; factor <= kMaxFactor; ++factor) {
        const Term term{a, b, factor, right[position] - factor * left[a] - left[b]};
        if (a != b && Holds(term, pairs, members, position)) return term;
      }
    }
  }
  return std::nullopt;
}

std::optional<std::vector<Term>> FitAll(const Pairs& pairs, const std::vector<size_t>& members) {
  std::vector<Term> terms;
  for (size_t i = 0; i < pairs[members[0]].second.size(); ++i) {
    const auto term = FitTerm(pairs, members, i);
    if (!term) return std::nullopt;
    terms.push_back(*term);
  }
  return terms;
}

std::string Hole(const Term& term) {
  if (!term.a && !term.b) return std::to_string(term.shift);
  std::string text;
  if (term.a)
    text = term.factor == 1 ? std::string(kNames[*term.a]) : fmt::format("{} * {}", term.factor, kNames[*term.a]);
  if (term.b) text += fmt::format(" + {}", kNames[*term.b]);
  if (term.shift > 0) text += fmt::format(" + {}", term.shift);
  if (term.shift < 0) text += fmt::format(" - {}", -term.shift);
  return "{" + text + "}";
}

// Puts texts into the holes of a form.
std::vector<std::string> Filled(std::string_view form, const std::vector<std::string>& holes) {
  std::vector<std::string> segments = Segments(form);
  size_t next = 0;
  for (std::string& segment : segments) {
    segment = Escaped(segment);
    if (segment.ends_with('#') && next < holes.size()) {
      segment.pop_back();
      segment += holes[next++];
    }
  }
  return segments;
}

// A number of the left that is the same in all members is written as it is, unless the right wants it as a capture.
NamePair Print(std::string_view left_form, std::string_view right_form, const Pairs& pairs,
               const std::vector<size_t>& members, const std::vector<Term>& terms) {
  std::vector<std::string> left, right;
  const Index& first = pairs[members[0]].first;
  for (size_t i = 0; i < first.size(); ++i) {
    const bool fixed =
        std::all_of(members.begin(), members.end(), [&](size_t m) { return pairs[m].first[i] == first[i]; });
    const bool used =
        std::any_of(terms.begin(), terms.end(), [&](const Term& term) { return term.a == i || term.b == i; });
    left.push_back(fixed && !used ? std::to_string(first[i]) : fmt::format("{{{}:int}}", kNames[i]));
  }
  for (const Term& term : terms) right.push_back(Hole(term));
  return {Filled(left_form, left), Filled(right_form, right)};
}

class Folder {
 public:
  Folder(std::string_view left, std::string_view right, const Pairs& pairs)
      : left_(left), right_(right), pairs_(pairs) {}

  // Splits at one number of the left after the other until the rest can be computed.
  void Run(const std::vector<size_t>& members, std::set<size_t> split) {
    if (const auto terms = FitAll(pairs_, members); terms && pairs_[members[0]].first.size() <= kNames.size()) {
      result.push_back(Print(left_, right_, pairs_, members, *terms));
      parts.push_back(members);
      return;
    }
    if (Exception(members, split)) return;
    size_t best = pairs_[members[0]].first.size(), best_parts = members.size() + 1;
    for (size_t i = 0; i < pairs_[members[0]].first.size(); ++i) {
      const size_t values = split.contains(i) ? 0 : ByValue(members, i).size();
      // The number whose parts are fewest.
      if (values > 1 && values < best_parts) {
        best = i;
        best_parts = values;
      }
    }
    if (best == pairs_[members[0]].first.size()) return Each(members);
    split.insert(best);
    for (const auto& [value, some] : ByValue(members, best)) Run(some, split);
  }

  std::vector<NamePair> result;
  std::vector<std::vector<size_t>> parts;  // the members of each

 private:
  using Parts = std::map<int64_t, std::vector<size_t>>;
  Parts ByValue(const std::vector<size_t>& members, size_t position) const {
    Parts parts;
    for (const size_t m : members) parts[pairs_[m].first[position]].push_back(m);
    return parts;
  }

  // One value of one number apart, as a first block that is shorter than the others: the one without which most is
  // computed at once.
  bool Exception(const std::vector<size_t>& all, const std::set<size_t>& split) {
    std::vector<size_t> best_rest, best_some;
    for (size_t position = 0; position < pairs_[all[0]].first.size(); ++position) {
      const Parts parts = ByValue(all, position);
      if (split.contains(position) || parts.size() < 2 || parts.size() > kMaxExceptions) continue;
      for (const auto& [value, some] : parts) {
        if (all.size() - some.size() <= std::max<size_t>(best_rest.size(), 1)) continue;
        std::vector<size_t> rest;
        std::copy_if(all.begin(), all.end(), std::back_inserter(rest),
                     [&, value = value](size_t m) { return pairs_[m].first[position] != value; });
        if (!FitAll(pairs_, rest)) continue;
        best_rest = std::move(rest);
        best_some = some;
      }
    }
    if (best_rest.empty()) return false;
    Run(best_rest, split);
    Run(best_some, split);
    return true;
  }

  void Each(const std::vector<size_t>& all) {
    for (const size_t m : all) {
      result.push_back(Literal(left_, right_, pairs_[m]));
      parts.push_back({m});
    }
  }

  std::string_view left_, right_;
  const Pairs& pairs_;
};

std::string Definition(const std::string& segment) {
  std::string out;
  for (size_t i = 0; i < segment.size(); ++i) {
    if (segment.compare(i, 5, ":int}") == 0) {
      i += 3;  // {n:int} is {n} on the right
      continue;
    }
    out += segment[i];
  }
  return out;
}

std::set<char> Captures(const std::vector<std::string>& segments) {
  std::set<char> names;
  for (const std::string& segment : segments) {
    bool inside = false;
    for (size_t i = 0; i < segment.size(); ++i) {
      if (segment[i] == '{') inside = true;
      if (segment[i] == '}' || segment[i] == ':') inside = false;
      if (inside && std::find(kNames.begin(), kNames.end(), std::string_view(segment).substr(i, 1)) != kNames.end())
        names.insert(segment[i]);
    }
  }
  return names;
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '{' || c == '}') out += c;
  }
  return out;
}

std::vector<std::string> Segments(std::string_view form) {
  std::vector<std::string> segments;
  while (true) {
    const size_t end = std::min(form.find('.'), form.size());
    segments.emplace_back(form.substr(0, end));
    if (end == form.size()) return segments;
    form.remove_prefix(end + 1);
  }
}

std::vector<NamePair> Fold(std::string_view left_form, std::string_view right_form, const Pairs& indices,
                           std::vector<std::vector<size_t>>& members) {
  Folder folder(left_form, right_form, indices);
  std::vector<size_t> all(indices.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  folder.Run(all, {});
  members = std::move(folder.parts);
  return std::move(folder.result);
}

NamePair Literal(std::string_view left_form, std::string_view right_form, const std::pair<Index, Index>& index) {
  std::vector<std::string> left, right;
  for (const int64_t value : index.first) left.push_back(std::to_string(value));
  for (const int64_t value : index.second) right.push_back(std::to_string(value));
  return {Filled(left_form, left), Filled(right_form, right)};
}

bool IsCapture(const std::vector<std::string>& segments, size_t k) {
  const std::string hole = fmt::format("{{{}:int}}", kNames[std::min(k, kNames.size() - 1)]);
  return std::any_of(segments.begin(), segments.end(),
                     [&](const std::string& segment) { return segment.ends_with(hole); });
}

NamePair Core(const NamePair& pair) {
  size_t front = 0, back = 0;
  const size_t shorter = std::min(pair.left.size(), pair.right.size());
  while (front < shorter && Definition(pair.left[front]) == pair.right[front]) ++front;
  while (back < shorter - front &&
         Definition(pair.left[pair.left.size() - 1 - back]) == pair.right[pair.right.size() - 1 - back])
    ++back;
  while (true) {
    const NamePair core{
        {pair.left.begin() + static_cast<std::ptrdiff_t>(front), pair.left.end() - static_cast<std::ptrdiff_t>(back)},
        {pair.right.begin() + static_cast<std::ptrdiff_t>(front),
         pair.right.end() - static_cast<std::ptrdiff_t>(back)}};
    const std::set<char> have = Captures(core.left), need = Captures(core.right);
    // A number at the beginning would be renamed wherever it stands.
    const bool number = core.left.empty() || core.left[0].starts_with('{') ||
                        core.left[0].find_first_not_of("0123456789") == std::string::npos;
    const bool enough = !number && std::includes(have.begin(), have.end(), need.begin(), need.end());
    if (enough || (front == 0 && back == 0)) return core;
    front > 0 ? --front : --back;
  }
}

std::optional<std::string> Written(const std::vector<std::string>& segments) {
  static const std::set<std::string> kReserved = [] {
    const std::vector<std::string> words = Words().reserved;
    return std::set<std::string>(words.begin(), words.end());
  }();
  std::string name;
  for (const std::string& segment : segments) name += (name.empty() ? "" : ".") + segment;
  int depth = 0;  // in a hole, a star multiplies
  const bool special = std::any_of(name.begin(), name.end(), [&](char c) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    return c == '"' || c == '\\' || (c == '*' && depth == 0);
  });
  if (special || std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 32; })) {
    return std::nullopt;
  }
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool digit = name.empty() || (name[0] >= '0' && name[0] <= '9');
  const bool bare = !digit && std::all_of(name.begin(), name.end(), [&](char c) { return word(c) || c == '.'; }) &&
                    name.find("..") == std::string::npos && name.back() != '.' && name[0] != '.' &&
                    !kReserved.contains(name);
  return bare ? name : fmt::format("\"{}\"", name);
}

}  // namespace ckmap::suggest
