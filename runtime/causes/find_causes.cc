#include "runtime/causes/find_causes.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "runtime/causes/hypotheses.h"

namespace ckmap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxCauses = 8;
constexpr size_t kMaxAlternatives = 3;

std::set<std::pair<std::string, std::string>> KeysOf(const std::vector<Issue>& errors) {
  std::set<std::pair<std::string, std::string>> keys;
  for (const Issue& issue : errors) keys.emplace(issue.code, issue.tensor);
  return keys;
}

// How bad a trial is: where parameters stop the bind, nothing is known of the tensors.
size_t Weight(const std::vector<Issue>& errors, bool stopped) { return stopped ? SIZE_MAX : errors.size(); }

struct Tried {
  Hypothesis hypothesis;
  Trial trial;
  Situation situation;
};

class Search {
 public:
  Search(const CauseOptions& options) : options_(options), end_(Clock::now() + Budget(options.seconds)) {}

  Causes Run(Situation situation, std::vector<Issue> errors) {
    Causes causes;
    causes.errors = errors.size();
    while (causes.causes.size() < kMaxCauses && !errors.empty() && Clock::now() < end_) {
      std::vector<Tried> tried = TryAll(situation, errors);
      if (tried.empty()) break;
      causes.causes.push_back(CauseOf(tried, errors));
      situation = std::move(tried.front().situation);
      errors = std::move(tried.front().trial.errors);
    }
    causes.rest = std::move(errors);
    return causes;
  }

 private:
  static Clock::duration Budget(double seconds) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  Hypotheses Propose(const Situation& situation, const std::vector<Issue>& errors) const {
    const Findings findings(situation, errors);
    Hypotheses out;
    SuggestPrefixes(findings, options_.source_has_roots, out);
    SuggestParameters(findings, out);
    SuggestRenames(findings, out);
    SuggestLayouts(findings, out);
    SuggestJoins(findings, out);
    SuggestDTypes(findings, out);
    SuggestLeftovers(findings, out);
    SuggestParts(findings, out);
    SuggestSizes(findings, out);
    SuggestExchanged(findings, out);
    SuggestPacks(findings, out);
    std::stable_sort(out.begin(), out.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.order < b.order; });
    return out;
  }

  // What leaves fewer errors, the best first.
  std::vector<Tried> TryAll(const Situation& situation, const std::vector<Issue>& errors) {
    std::vector<Tried> tried;
    const bool stopped =
        std::any_of(errors.begin(), errors.end(), [](const Issue& issue) { return issue.code.starts_with("CK13"); });
    const size_t before = Weight(errors, stopped);
    for (Hypothesis& hypothesis : Propose(situation, errors)) {
      if (Clock::now() >= end_) {
        complete_ = false;
        break;
      }
      Situation changed = situation;
      hypothesis.apply(changed);
      auto trial = Try(changed);
      if (!trial || Weight(trial->errors, trial->stopped) >= before) continue;
      if (hypothesis.whole && !trial->errors.empty()) continue;
      tried.push_back({std::move(hypothesis), *std::move(trial), std::move(changed)});
    }
    std::stable_sort(tried.begin(), tried.end(), [](const Tried& a, const Tried& b) {
      return std::pair(Weight(a.trial.errors, a.trial.stopped), a.hypothesis.order) <
             std::pair(Weight(b.trial.errors, b.trial.stopped), b.hypothesis.order);
    });
    return tried;
  }

  // Whether another hypothesis leaves as few errors and converts to something else.
  static bool IsRival(const Tried& best, const Tried& other) {
    if (other.trial.errors.size() > best.trial.errors.size()) return false;
    if (best.trial.errors.empty()) return other.trial.result != best.trial.result;
    const bool same_group = !other.hypothesis.group.empty() && other.hypothesis.group == best.hypothesis.group;
    return KeysOf(other.trial.errors) == KeysOf(best.trial.errors) &&
           (same_group || other.hypothesis.order <= best.hypothesis.order);
  }

  Cause CauseOf(const std::vector<Tried>& tried, const std::vector<Issue>& errors) {
    const Tried& best = tried.front();
    Cause cause{.kind = best.hypothesis.kind,
                .message = best.hypothesis.message,
                .notes = best.hypothesis.notes,
                .errors_left = best.trial.errors.size()};
    const auto left = KeysOf(best.trial.errors);
    for (const Issue& issue : errors) {
      if (!left.contains({issue.code, issue.tensor})) ++cause.explains;
    }
    std::vector<const Tried*> rivals;
    for (size_t i = 1; i < tried.size(); ++i) {
      if (IsRival(best, tried[i])) rivals.push_back(&tried[i]);
    }
    const bool certain = certain_ && complete_ && best.hypothesis.evident && rivals.empty();
    AddEdit(best, certain, cause);
    if (!cause.edits.empty()) certain_ = certain;  // what is said of the network itself leaves the rules as they are
    std::set<std::string> results = {best.trial.result};
    for (const Tried* rival : rivals) {
      if (cause.edits.size() > kMaxAlternatives) break;
      if (rival->trial.result.empty() || results.insert(rival->trial.result).second) AddEdit(*rival, false, cause);
    }
    return cause;
  }

  static void AddEdit(const Tried& tried, bool proved, Cause& cause) {
    CauseEdit edit = tried.hypothesis.edit;
    if (edit.option.empty() && edit.new_text.empty() && edit.old_text.empty()) return;
    edit.errors_left = tried.trial.errors.size();
    edit.proved = proved;
    cause.edits.push_back(std::move(edit));
  }

  CauseOptions options_;
  Clock::time_point end_;
  bool complete_ = true;
  bool certain_ = true;  // so far: what stands on a guess is not proved either
};

}  // namespace

Causes FindCauses(const Plan& plan, const Manifest& source, const Manifest& target, const BindOptions& bind,
                  const std::vector<Issue>& issues, const CauseOptions& options) {
  std::vector<Issue> errors;
  for (const Issue& issue : issues) {
    if (issue.severity == IssueSeverity::kError) errors.push_back(issue);
  }
  if (errors.empty() || options.seconds <= 0) return {.causes = {}, .rest = std::move(errors), .errors = 0};
  Situation situation{.plan = plan.proto(), .source = source, .target = target, .bind = bind};
  situation.bind.remarks = false;
  return Search(options).Run(std::move(situation), std::move(errors));
}

}  // namespace ckmap
