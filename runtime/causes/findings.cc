#include "runtime/causes/findings.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/bind/names/renamer.h"
#include "runtime/bind/values/variables.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLetter(char c) { return IsUpper(c) || (c >= 'a' && c <= 'z'); }

// What the renames of the plan make of the names; the names themselves where that cannot be said.
std::vector<std::string> NamesAfterRenames(const Situation& situation, const std::vector<size_t>& sources) {
  std::vector<std::string> names;
  for (const size_t source : sources) names.push_back(situation.source[source].name);
  std::vector<Issue> ignored;
  const auto variables = BindVariables(situation.plan, situation.bind.defines, situation.bind.config_json,
                                       situation.bind.config_path, ignored);
  if (!variables) return names;
  const auto renamer = Renamer::Create(situation.plan, *variables, situation.target);
  if (!renamer) return names;
  for (std::string& name : names) {
    if (auto renamed = renamer->of_source().Apply(name, nullptr)) name = *std::move(renamed);
  }
  return names;
}

}  // namespace

std::vector<std::string> Findings::AfterRenames(const std::vector<size_t>& sources) const {
  return NamesAfterRenames(situation, sources);
}

Segments SplitName(std::string_view name, std::string_view separator) {
  Segments segments;
  while (true) {
    const size_t at = name.find(separator);
    segments.emplace_back(name.substr(0, at));
    if (at == std::string_view::npos) return segments;
    name.remove_prefix(at + separator.size());
  }
}

std::string JoinName(const Segments& segments, size_t begin, size_t end, std::string_view separator) {
  std::string name;
  for (size_t i = begin; i < end; ++i) {
    if (i > begin) name += separator;
    name += segments[i];
  }
  return name;
}

Findings::Findings(const Situation& from, const std::vector<Issue>& errors) : situation(from) {
  for (const Issue& issue : errors) {
    const auto target = from.target.Find(issue.tensor);
    if (issue.code == "CK1201" && target) {
      missing.push_back(*target);
    } else if (issue.code == "CK1202") {
      if (const auto source = from.source.Find(issue.tensor)) unused.push_back(*source);
    } else if (issue.code == "CK1203" && target && issue.facts && issue.facts->given != issue.facts->wanted) {
      shapes.push_back({*target, issue.facts.get()});
    } else if (issue.code == "CK1204" && target && issue.facts) {
      dtypes.push_back({*target, issue.facts.get()});
    } else if (issue.code == "CK1206") {
      unknown.push_back(issue.tensor);
      // What has no place is not used, whichever rule would write it.
      if (issue.facts && issue.facts->sources.size() == 1 &&
          std::find(unused.begin(), unused.end(), issue.facts->sources[0]) == unused.end())
        unused.push_back(issue.facts->sources[0]);
    } else {
      if (issue.code == "CK1207") needed.push_back(issue.tensor);
      if (issue.facts && issue.facts->line > 0) of_rules.push_back(&issue);
    }
  }
  renamed = AfterRenames(unused);
}

std::optional<NameFold> FoldName(std::string_view name) {
  if (!Quoted(name)) return std::nullopt;
  NameFold fold;
  Segments segments = SplitName(name), references = segments;
  char letter = 'i';
  for (size_t k = 0; k < segments.size(); ++k) {
    const std::string text = segments[k];
    if (text.empty() || text.size() > 9 || !std::all_of(text.begin(), text.end(), IsDigit)) continue;
    int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (fmt::format("{}", number) != text || letter > 'n') continue;
    fold.numbers.push_back(number);
    segments[k] = fmt::format("{{{}:int}}", letter);
    references[k] = fmt::format("{{{}}}", letter);
    ++letter;
  }
  fold.pattern = JoinName(segments, 0, segments.size());
  fold.reference = JoinName(references, 0, references.size());
  return fold;
}

std::vector<std::pair<std::string, size_t>> FoldAll(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, size_t>> folds;
  std::map<std::string, size_t> places;
  std::vector<std::string> firsts;
  for (const std::string& name : names) {
    const auto fold = FoldName(name);
    const std::string pattern = fold ? fold->pattern : name;
    const auto [at, made] = places.try_emplace(pattern, folds.size());
    if (made) folds.emplace_back(pattern, 0);
    if (++folds[at->second].second == 1) firsts.push_back(name);
  }
  for (size_t i = 0; i < folds.size(); ++i) {
    if (folds[i].second == 1) folds[i].first = firsts[i];
  }
  return folds;
}

std::string Listed(const std::vector<std::string>& names, size_t shown) {
  std::vector<std::string> quoted;
  for (size_t i = 0; i < names.size() && i < shown; ++i) quoted.push_back(QuoteName(names[i]));
  const std::string list = fmt::format("{}", fmt::join(quoted, ", "));
  return names.size() > shown ? fmt::format("{} and {} more", list, names.size() - shown) : list;
}

std::vector<std::string> WordsOf(std::string_view name) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  };
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!IsLetter(c)) {
      flush();
      continue;
    }
    if (IsUpper(c) && i > 0 && !IsUpper(name[i - 1])) flush();
    word += static_cast<char>(IsUpper(c) ? c - 'A' + 'a' : c);
  }
  flush();
  return words;
}

int LeafKind(std::string_view leaf) {
  static const std::map<std::string, int, std::less<>> kKinds = {{"weight", 1},
                                                                 {"gamma", 1},
                                                                 {"w", 1},
                                                                 {"kernel", 1},
                                                                 {"embedding_table", 1},
                                                                 {"embedding_weight", 1},
                                                                 {"bias", 2},
                                                                 {"beta", 2},
                                                                 {"b", 2},
                                                                 {"running_mean", 3},
                                                                 {"moving_mean", 3},
                                                                 {"running_var", 4},
                                                                 {"moving_variance", 4},
                                                                 {"num_batches_tracked", 5}};
  const auto found = kKinds.find(leaf);
  return found == kKinds.end() ? 0 : found->second;
}

bool HasWord(std::string_view name, std::initializer_list<std::string_view> words) {
  for (const std::string& word : WordsOf(name)) {
    if (std::find(words.begin(), words.end(), word) != words.end()) return true;
  }
  return false;
}

}  // namespace ckmap
