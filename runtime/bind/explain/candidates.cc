#include "runtime/bind/explain/candidates.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMaxPool = 4000;
constexpr size_t kMaxNameLength = 256;  // beyond it names are compared by their ends alone

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view Tail(std::string_view name) {
  return name.size() > kMaxNameLength ? name.substr(name.size() - kMaxNameLength) : name;
}

int64_t Score(const TensorInfo& wanted, const TensorInfo& other) {
  const std::string_view a = Tail(wanted.name), b = Tail(other.name);
  const auto length = static_cast<int64_t>(std::max(a.size(), b.size()));
  int64_t score = 100 - 100 * static_cast<int64_t>(EditDistance(a, b)) / std::max<int64_t>(length, 1);
  if (wanted.shape == other.shape) {
    score += 40;
  } else if (NumElements(wanted.shape) == NumElements(other.shape)) {
    score += 20;
  } else {
    score -= 20;
  }
  return score;
}

}  // namespace

std::string DescribeTensor(const TensorInfo& tensor) {
  return fmt::format("`{}` ({} {})", tensor.name, DTypeName(tensor.dtype), FormatShape(tensor.shape));
}

std::vector<std::string> NearestNames(const TensorInfo& wanted, const Manifest& manifest,
                                      const std::vector<size_t>& pool) {
  std::vector<std::pair<int64_t, size_t>> scored;
  for (size_t i = 0; i < std::min(pool.size(), kMaxPool); ++i) {
    const int64_t score = Score(wanted, manifest[pool[i]]);
    if (score >= 60) scored.emplace_back(-score, pool[i]);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> names;
  for (const auto& [score, index] : scored) {
    if (names.size() == 3) break;
    names.push_back(DescribeTensor(manifest[index]));
  }
  return names;
}

}  // namespace ckmap
