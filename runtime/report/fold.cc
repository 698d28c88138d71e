#include "runtime/report/fold.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

// Literal text, or the values that a number has taken (in the order of the first name's).
struct Token {
  std::string text;
  std::vector<int64_t> values;  // empty: a literal
  bool number() const { return !values.empty(); }
  friend bool operator==(const Token&, const Token&) = default;
};
using Tokens = std::vector<Token>;

bool IsWord(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

Tokens Tokenize(std::string_view name) {
  constexpr size_t kMaxDigits = 15;
  Tokens tokens;
  std::string literal;
  for (size_t i = 0; i < name.size();) {
    size_t end = i;
    while (end < name.size() && IsDigit(name[end])) ++end;
    const bool ends_segment = end == name.size() || !IsWord(name[end]);
    const bool plain = end - i <= kMaxDigits && (end - i == 1 || name[i] != '0');
    if (end == i) {
      literal += name[i++];
      continue;
    }
    if (ends_segment && plain) {
      int64_t value = 0;
      for (size_t k = i; k < end; ++k) value = value * 10 + (name[k] - '0');
      tokens.push_back({std::exchange(literal, ""), {}});
      tokens.push_back({"", {value}});
    } else {
      literal.append(name.substr(i, end - i));
    }
    i = end;
  }
  tokens.push_back({std::move(literal), {}});
  // No network counts in so many ways; the time to fold grows with the numbers of a name.
  constexpr size_t kMaxTokens = 33;
  if (tokens.size() > kMaxTokens) return {{std::string(name), {}}};
  return tokens;
}

// "3", "{0..31}", "{0,1}", "{0..3,5}", "{0,3..30}".
std::string FormatValues(const std::vector<int64_t>& values) {
  if (values.size() == 1) return fmt::format("{}", values[0]);
  const int64_t step = values[1] - values[0];
  bool even = values.size() >= 4 && step != 1;
  for (size_t i = 1; i < values.size(); ++i) even = even && values[i] - values[i - 1] == step;
  if (even && step != 0) return fmt::format("{{{},{}..{}}}", values[0], values[1], values.back());
  std::string out = "{";
  for (size_t begin = 0; begin < values.size();) {
    size_t end = begin + 1;
    while (end < values.size() && values[end] == values[end - 1] + 1) ++end;
    if (begin > 0) out += ',';
    if (end - begin >= 3) {
      out += fmt::format("{}..{}", values[begin], values[end - 1]);
    } else {
      end = begin + 1;
      out += fmt::format("{}", values[begin]);
    }
    begin = end;
  }
  return out + "}";
}

std::string Render(const Tokens& tokens) {
  std::string out;
  for (const Token& token : tokens) out += token.number() ? FormatValues(token.values) : EscapeText(token.text);
  return out;
}

struct Row {
  std::vector<Tokens> names;
  std::vector<size_t> members;
  const std::string* detail = nullptr;
  bool folded_away = false;
};

// Index in `tokens` of its number `position` counted from the left; tokens.size() if it has fewer.
size_t NumberAt(const Tokens& tokens, size_t position) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].number() && position-- == 0) return i;
  }
  return tokens.size();
}

// Equal for rows that may fold at token `open` of their first name.
std::string KeyOf(const Row& row, size_t open) {
  std::string key = *row.detail;
  for (size_t n = 0; n < row.names.size(); ++n) {
    key += '\0';
    for (size_t i = 0; i < row.names[n].size(); ++i) {
      const Token& token = row.names[n][i];
      key += '\1';
      if (!token.number()) {
        key += token.text;
      } else if (n > 0 || i == open) {
        key += fmt::format("\2{}", token.values.size());
      } else {
        key += fmt::format("\3{}", fmt::join(token.values, ","));
      }
    }
  }
  return key;
}

// Whether the numbers at one place of the other names follow the one that folds: all equal, or each
// the same distance from it, or (of three and more) a multiple of it.
bool FollowsAlong(const std::vector<int64_t>& lead, const std::vector<int64_t>& others) {
  const int64_t lead_step = lead[1] - lead[0];
  const int64_t step = others[1] - others[0];
  if (step != lead_step && (lead.size() < 3 || step == 0)) return false;
  for (size_t i = 1; i < lead.size(); ++i) {
    if ((others[i] - others[0]) * lead_step != (lead[i] - lead[0]) * step) return false;
  }
  return true;
}

// Folds the rows of one group into the first of them, if they fold. `ordered`: they stay in their order, and must be
// neighbours.
void FoldGroup(std::vector<Row>& rows, std::vector<size_t> group, size_t open, bool ordered) {
  const auto lead_value = [&](size_t row) { return rows[row].names[0][open].values[0]; };
  std::vector<size_t> sorted = group;
  if (ordered) {
    if (group.back() - group.front() + 1 != group.size()) return;
  } else {
    std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) { return lead_value(a) < lead_value(b); });
  }
  std::vector<int64_t> lead;
  for (const size_t row : sorted) {
    if (rows[row].names[0][open].values.size() > 1) return;
    if (!lead.empty() && lead.back() == lead_value(row)) return;
    lead.push_back(lead_value(row));
  }
  Row folded = rows[sorted[0]];
  folded.names[0][open].values = lead;
  for (size_t n = 1; n < folded.names.size(); ++n) {
    for (size_t i = 0; i < folded.names[n].size(); ++i) {
      const Token& first = rows[sorted[0]].names[n][i];
      if (!first.number()) continue;
      const bool equal =
          std::all_of(sorted.begin(), sorted.end(), [&](size_t row) { return rows[row].names[n][i] == first; });
      if (equal) continue;
      if (first.values.size() > 1) return;
      std::vector<int64_t> values;
      for (const size_t row : sorted) values.push_back(rows[row].names[n][i].values[0]);
      if (!FollowsAlong(lead, values)) return;
      folded.names[n][i].values = std::move(values);
    }
  }
  folded.members.clear();
  for (const size_t row : sorted) {
    folded.members.insert(folded.members.end(), rows[row].members.begin(), rows[row].members.end());
    rows[row].folded_away = true;
  }
  rows[group[0]] = std::move(folded);
  rows[group[0]].folded_away = false;
}

}  // namespace

namespace {

std::vector<FoldedRow> Fold(const std::vector<FoldRow>& input, bool ordered) {
  std::vector<Row> rows;
  rows.reserve(input.size());
  size_t numbers = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    Row row{.names = {}, .members = {i}, .detail = &input[i].detail};
    for (const std::string& name : input[i].names) row.names.push_back(Tokenize(name));
    if (!row.names.empty()) {
      numbers =
          std::max(numbers, static_cast<size_t>(std::count_if(row.names[0].begin(), row.names[0].end(),
                                                              [](const Token& token) { return token.number(); })));
    }
    rows.push_back(std::move(row));
  }
  // The last number first: experts fold before the layers that hold them.
  for (size_t position = numbers; position-- > 0;) {
    std::unordered_map<std::string, size_t> group_of;
    std::vector<std::pair<size_t, std::vector<size_t>>> groups;  // the open token, the rows
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].names.empty()) continue;
      const size_t open = NumberAt(rows[i].names[0], position);
      if (open == rows[i].names[0].size()) continue;
      const auto [it, added] = group_of.emplace(KeyOf(rows[i], open), groups.size());
      if (added) groups.push_back({open, {}});
      groups[it->second].second.push_back(i);
    }
    for (auto& [open, group] : groups) {
      if (group.size() > 1) FoldGroup(rows, std::move(group), open, ordered);
    }
    std::erase_if(rows, [](const Row& row) { return row.folded_away; });
  }
  std::vector<FoldedRow> result;
  for (Row& row : rows) {
    FoldedRow folded{.names = {}, .members = std::move(row.members)};
    for (const Tokens& tokens : row.names) folded.names.push_back(Render(tokens));
    result.push_back(std::move(folded));
  }
  return result;
}

std::vector<FoldRow> RowsOf(const std::vector<std::string>& names) {
  std::vector<FoldRow> rows;
  rows.reserve(names.size());
  for (const std::string& name : names) rows.push_back({{name}, ""});
  return rows;
}

}  // namespace

std::vector<FoldedRow> FoldRows(const std::vector<FoldRow>& rows) { return Fold(rows, false); }

std::vector<FoldedRow> FoldNames(const std::vector<std::string>& names) { return Fold(RowsOf(names), false); }

std::vector<FoldedRow> FoldOrderedNames(const std::vector<std::string>& names) { return Fold(RowsOf(names), true); }

}  // namespace ckmap
