#include "runtime/causes/difference.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/text.h"

namespace ckmap {

NameDifference Differ(const Segments& from, const Segments& to) {
  const size_t n = from.size(), m = to.size();
  std::vector<std::vector<size_t>> best(n + 1, std::vector<size_t>(m + 1, 0));  // of what begins at (i, j)
  for (size_t i = n; i-- > 0;) {
    for (size_t j = m; j-- > 0;) {
      best[i][j] = from[i] == to[j] ? best[i + 1][j + 1] + 1 : std::max(best[i + 1][j], best[i][j + 1]);
    }
  }
  NameDifference difference{.runs = {}, .common = best[0][0]};
  NameDifference::Run run;
  const auto flush = [&](size_t next) {
    if (!run.from.empty() || !run.to.empty()) difference.runs.push_back(std::move(run));
    run = {.from = {}, .to = {}, .begin = next};
  };
  size_t i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && from[i] == to[j]) {
      ++i, ++j;
      flush(i);
    } else if (j == m || (i < n && best[i + 1][j] >= best[i][j + 1])) {
      run.from.push_back(from[i++]);
    } else {
      run.to.push_back(to[j++]);
    }
  }
  flush(i);
  return difference;
}

std::optional<NumberedSegment> NumberIn(std::string_view segment) {
  const auto begin = std::find_if(segment.begin(), segment.end(), IsDigit);
  const auto end = std::find_if_not(begin, segment.end(), IsDigit);
  if (begin == segment.end() || end - begin > 9 || std::any_of(end, segment.end(), IsDigit)) return std::nullopt;
  NumberedSegment found{.before = std::string(segment.begin(), begin), .after = std::string(end, segment.end())};
  if (*begin == '0' && end - begin > 1) return std::nullopt;
  std::from_chars(&*begin, &*begin + (end - begin), found.number);
  return found;
}

int Likeness(const Segments& a, const Segments& b) {
  int score = 0;
  for (const std::string& left : a) {
    for (const std::string& right : b) {
      for (const std::string& x : WordsOf(left)) {
        for (const std::string& y : WordsOf(right)) {
          if (x == y) {
            score += 4;
          } else if (x.size() > 2 && y.size() > 2 && (x.starts_with(y) || y.starts_with(x))) {
            score += 3;
          } else if ((x.size() <= 2 || y.size() <= 2) && x.front() == y.front()) {
            score += 2;  // q and query
          } else if (x.size() == 2 && (x.back() == y.front())) {
            score += 2;  // wq and query
          }
        }
      }
    }
  }
  return score;
}

}  // namespace ckmap
