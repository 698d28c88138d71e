#include "runtime/bind/names/matcher.h"

#include <algorithm>

#include <re2/re2.h>
#include <re2/set.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

RE2::Options SetOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  // The automaton of all patterns together is built lazily within this; beyond it Match falls back.
  options.set_max_mem(int64_t{256} << 20);
  return options;
}

constexpr size_t kMaxRuns = 64;
constexpr size_t kMaxMasks = 16;  // of one number of runs; each costs a look-up for each name

size_t CountRuns(std::string_view text) {
  size_t runs = 0;
  for (size_t i = 0; i < text.size(); ++i) runs += IsDigit(text[i]) && (i == 0 || !IsDigit(text[i - 1])) ? 1 : 0;
  return runs;
}

// The name with a '#' in the place of each run that the mask holds.
void TakeOutRuns(std::string_view name, uint64_t mask, std::string& out) {
  out.clear();
  size_t copied = 0, run = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsDigit(name[i])) continue;
    const size_t begin = i;
    while (i < name.size() && IsDigit(name[i])) ++i;
    if ((mask >> run++ & 1) == 0) continue;
    out.append(name, copied, begin - copied);
    out += '#';
    copied = i;
  }
  out.append(name, copied);
}

}  // namespace

Matcher::Matcher() : set_(std::make_unique<re2::RE2::Set>(SetOptions(), RE2::ANCHOR_BOTH)) {}
Matcher::~Matcher() = default;

size_t Matcher::Add(const CompiledName& pattern) {
  const size_t id = patterns_.size();
  patterns_.push_back(&pattern);
  if (pattern.literal()) {
    literals_[*pattern.literal()].push_back(id);
  } else if (!AddByRuns(pattern, id) && set_->Add(pattern.regex(), nullptr) >= 0) {
    set_ids_.push_back(id);
  }
  return id;
}

bool Matcher::AddByRuns(const CompiledName& pattern, size_t id) {
  if (pattern.around_digits().empty()) return false;
  std::string text = pattern.around_digits().front();
  uint64_t mask = 0;
  size_t runs = CountRuns(text);
  for (size_t i = 1; i < pattern.around_digits().size(); ++i) {
    if (runs >= kMaxRuns) return false;
    mask |= uint64_t{1} << runs;
    text += '#' + pattern.around_digits()[i];
    runs += 1 + CountRuns(pattern.around_digits()[i]);
  }
  if (runs > kMaxRuns) return false;
  std::vector<uint64_t>& masks = masks_[runs];
  if (std::find(masks.begin(), masks.end(), mask) == masks.end()) {
    if (masks.size() == kMaxMasks) return false;
    masks.push_back(mask);
  }
  without_runs_[text].push_back(id);
  return true;
}

void Matcher::Compile() {
  if (!set_ids_.empty() && !set_->Compile()) set_.reset();
}

void Matcher::Find(std::string_view name, Candidates& found) const {
  std::vector<size_t>& ids = found.ids;
  ids.clear();
  const auto add = [&](const Ids& map, std::string_view text) {
    const auto at = map.find(text);
    if (at != map.end()) ids.insert(ids.end(), at->second.begin(), at->second.end());
  };
  if (!literals_.empty()) add(literals_, name);
  if (const auto masks = masks_.find(CountRuns(name)); masks != masks_.end()) {
    for (const uint64_t mask : masks->second) {
      TakeOutRuns(name, mask, found.text);
      add(without_runs_, found.text);
    }
  }
  if (!set_ids_.empty()) AddFromSet(name, ids);
  if (ids.size() > 1) std::sort(ids.begin(), ids.end());
}

void Matcher::AddFromSet(std::string_view name, std::vector<size_t>& ids) const {
  std::vector<int> hits;
  RE2::Set::ErrorInfo error{};
  const bool matched = set_ && set_->Match(re2::StringPiece(name.data(), name.size()), &hits, &error);
  if (!set_ || (!matched && error.kind != RE2::Set::kNoError)) {
    ids.insert(ids.end(), set_ids_.begin(), set_ids_.end());  // out of memory: try each
  } else {
    for (const int hit : hits) ids.push_back(set_ids_[static_cast<size_t>(hit)]);
  }
}

}  // namespace ckmap
