#include "runtime/base/mistake_list.h"

#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMistakesShown = 20;

}  // namespace

void MistakeList::Add(std::string mistake) {
  if (count_++ < kMistakesShown) shown_.push_back(std::move(mistake));
}

Error MistakeList::ToError(ErrorCode code, std::string_view where) const {
  if (count_ == 1) return {code, fmt::format("{}: {}", where, shown_[0])};
  std::string text = fmt::format("{}: {} mistakes:", where, count_);
  for (const std::string& mistake : shown_) text += "\n  " + mistake;
  if (count_ > shown_.size()) text += fmt::format("\n  and {} more", count_ - shown_.size());
  return {code, std::move(text)};
}

}  // namespace ckmap
