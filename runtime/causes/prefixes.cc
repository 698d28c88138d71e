// Segments that all names of one side have and those of the other side lack: what a wrapper (`module`, `_orig_mod`) or a
// part of a larger network puts before them, or a dict inside the file.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxPrefixes = 6;

// Runs of segments that most of the names begin with, and single ones that most of them hold; the most frequent first.
std::vector<std::pair<std::string, size_t>> CommonRuns(const std::vector<std::string>& names) {
  std::map<std::string, size_t> counts;
  for (const std::string& name : names) {
    const Segments segments = SplitName(name);
    std::set<std::string> of_name;
    for (size_t k = 1; k <= 3 && k < segments.size(); ++k) of_name.insert(JoinName(segments, 0, k));
    for (size_t k = 1; k + 1 < segments.size(); ++k) of_name.insert(segments[k]);
    for (const std::string& run : of_name) ++counts[run];
  }
  std::vector<std::pair<std::string, size_t>> runs;
  for (const auto& [run, count] : counts) {
    if (count >= 2 && count * 2 >= names.size() && run.find_first_not_of("0123456789.") != std::string::npos)
      runs.emplace_back(run, count);
  }
  std::stable_sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (runs.size() > kMaxPrefixes) runs.resize(kMaxPrefixes);
  return runs;
}

std::string CountedNames(size_t count, size_t all, std::string_view side) {
  return count == all ? fmt::format("all names of the {}", side)
                      : fmt::format("{} of {} names of the {}", count, all, side);
}

size_t CountWith(const Manifest& manifest, const std::string& prefix) {
  return static_cast<size_t>(std::count_if(manifest.tensors().begin(), manifest.tensors().end(),
                                           [&](const TensorInfo& tensor) { return tensor.name.starts_with(prefix); }));
}

void OfSource(const Findings& findings, bool source_has_roots, Hypotheses& out) {
  const Situation& situation = findings.situation;
  std::vector<std::string> names;
  for (const size_t source : findings.unused) names.push_back(situation.source[source].name);
  for (const auto& [run, votes] : CommonRuns(names)) {
    if (!Quoted(run)) continue;
    const std::string prefix = run + ".";
    const size_t count = CountWith(situation.source, prefix);
    const std::string found = count > 0 ? fmt::format("begin with `{}`, which the target's do not", prefix)
                                        : fmt::format("hold the segment `{}`, which the target's do not", run);
    const std::string message =
        fmt::format("{} {}", CountedNames(count > 0 ? count : votes, situation.source.size(), "source"), found);
    out.push_back({.kind = "prefix",
                   .message = message,
                   .apply = [run = run](Situation& s) { AddRename(s.plan, run, ""); },
                   .edit = {.file = EditedFile(situation.plan), .new_text = RenameText(run, "")},
                   .order = 10});
    if (count > 0) {
      out.push_back(
          {.kind = "prefix",
           .message = message,
           .notes = {fmt::format("a rename does not reach rules that name tensors in full: save the checkpoint "
                                 "without the prefix, or put the rules of your file in: within \"{}\" <-> \"\" {{ … }}",
                                 run)},
           .apply =
               [prefix](Situation& s) {
                 s.RenameSources([&](const std::string& name) {
                   return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
                 });
               },
           .order = 11});
    }
    if (!source_has_roots || count == 0 || count == situation.source.size()) continue;
    out.push_back({.kind = "root",
                   .message = fmt::format("the tensors are in the dict `{}` of the file ({} of {}); the others are not "
                                          "of the network",
                                          run, count, situation.source.size()),
                   .apply =
                       [prefix](Situation& s) {
                         s.RenameSources([&](const std::string& name) {
                           return name.starts_with(prefix) ? name.substr(prefix.size()) : std::string();
                         });
                       },
                   .edit = {.option = "--root " + run},
                   .order = HasWord(run, {"ema", "teacher", "average", "swa", "optimizer", "discriminator"}) ? 9 : 8});
  }
}

void OfTarget(const Findings& findings, Hypotheses& out) {
  const Situation& situation = findings.situation;
  std::vector<std::string> names;
  for (const size_t target : findings.missing) names.push_back(situation.target[target].name);
  for (const auto& [run, votes] : CommonRuns(names)) {
    if (!Quoted(run)) continue;
    const size_t count = CountWith(situation.target, run + ".");
    out.push_back({.kind = "prefix",
                   .message = fmt::format("{} {} `{}`, which the source's do not",
                                          CountedNames(count > 0 ? count : votes, situation.target.size(), "target"),
                                          count > 0 ? "begin with" : "hold the segment", count > 0 ? run + "." : run),
                   .apply = [run = run](Situation& s) { AddRename(s.plan, run, "", true); },
                   .edit = {.file = EditedFile(situation.plan), .new_text = RenameText(run, "", true)},
                   .order = 11});
  }
}

}  // namespace

void SuggestPrefixes(const Findings& findings, bool source_has_roots, Hypotheses& out) {
  if (findings.unused.size() >= 2) OfSource(findings, source_has_roots, out);
  if (findings.missing.size() >= 2 && !findings.unused.empty()) OfTarget(findings, out);
}

}  // namespace ckmap
