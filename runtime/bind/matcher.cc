#include "runtime/bind/matcher.h"

#include <algorithm>

#include <re2/re2.h>
#include <re2/set.h>

namespace ckmap {
namespace {

RE2::Options SetOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  // The automaton of all patterns together is built lazily within this; beyond it Match falls back.
  options.set_max_mem(int64_t{256} << 20);
  return options;
}

}  // namespace

Matcher::Matcher() : set_(std::make_unique<re2::RE2::Set>(SetOptions(), RE2::ANCHOR_BOTH)) {}
Matcher::~Matcher() = default;

size_t Matcher::Add(const CompiledName& pattern) {
  const size_t id = patterns_.size();
  patterns_.push_back(&pattern);
  if (pattern.literal()) {
    literals_[*pattern.literal()].push_back(id);
  } else if (set_->Add(pattern.regex(), nullptr) >= 0) {
    set_ids_.push_back(id);
  }
  return id;
}

void Matcher::Compile() {
  if (!set_ids_.empty() && !set_->Compile()) set_.reset();
}

std::vector<size_t> Matcher::Candidates(std::string_view name) const {
  std::vector<size_t> ids;
  if (const auto found = literals_.find(name); found != literals_.end()) ids = found->second;
  if (set_ids_.empty()) return ids;
  std::vector<int> hits;
  RE2::Set::ErrorInfo error{};
  const bool matched =
      set_ && set_->Match(re2::StringPiece(name.data(), name.size()), &hits, &error);
  if (!set_ || (!matched && error.kind != RE2::Set::kNoError)) {
    ids.insert(ids.end(), set_ids_.begin(), set_ids_.end());  // out of memory: try each
  } else {
    for (const int hit : hits) ids.push_back(set_ids_[static_cast<size_t>(hit)]);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace ckmap
