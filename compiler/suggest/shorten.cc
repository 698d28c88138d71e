#include "compiler/suggest/shorten.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap::suggest {
namespace {

constexpr size_t kMaxPaths = 60;     // of which others are looked for
constexpr size_t kMaxRenames = 400;  // with more, names have no structure that is worth the time

using Names = std::vector<std::string>;

Names SegmentsOfWritten(const std::string& written) {
  const bool quoted = written.size() >= 2 && written.front() == '"';
  return Segments(quoted ? written.substr(1, written.size() - 2) : written);
}

Names Part(const Names& segments, size_t begin, size_t end) {
  return {segments.begin() + static_cast<std::ptrdiff_t>(begin), segments.begin() + static_cast<std::ptrdiff_t>(end)};
}

// The letters of captures, `n` of "{n:int}" and "{2 * n + 1}".
std::set<char> Letters(const Names& segments) {
  std::set<char> letters;
  for (const std::string& segment : segments) {
    bool inside = false;
    for (size_t i = 0; i < segment.size(); ++i) {
      if (segment[i] == '{') inside = true;
      if (segment[i] == '}' || segment[i] == ':') inside = false;
      if (inside && std::isalpha(static_cast<unsigned char>(segment[i])) != 0) letters.insert(segment[i]);
    }
  }
  return letters;
}

bool Contains(const std::set<char>& all, const std::set<char>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// nullopt: it cannot be written, or says nothing.
std::optional<Renaming> Say(const Names& left, const Names& right) {
  if (left == right) return std::nullopt;
  const NamePair core = Core({left, right});
  const auto from = Written(core.left);
  const auto to = core.right.empty() ? std::optional<std::string>("\"\"") : Written(core.right);
  if (!from || !to || *from == *to) return std::nullopt;
  return Renaming{*from, *to};
}

// ---- a path that several begin with ---------------------------------------------------------------------------

// Renames that begin with one path, and what they say when the path is said by itself.
struct SharedPath {
  std::vector<size_t> renames;
  std::set<Renaming> said;
};

std::vector<SharedPath> PathsOf(const std::vector<Renaming>& renames) {
  std::map<std::pair<Names, Names>, SharedPath> by_path;
  for (size_t r = 0; r < renames.size(); ++r) {
    const Names left = SegmentsOfWritten(renames[r].left), right = SegmentsOfWritten(renames[r].right);
    for (size_t i = 1; i < left.size(); ++i) {
      for (size_t k = 1; k < right.size(); ++k) {
        const Names from = Part(left, 0, i), to = Part(right, 0, k), rest = Part(left, i, left.size()),
                    others = Part(right, k, right.size());
        if (!Contains(Letters(from), Letters(to)) || !Contains(Letters(rest), Letters(others))) continue;
        SharedPath& path = by_path[{from, to}];
        path.renames.push_back(r);
        if (const auto behind = Say(rest, others)) path.said.insert(*behind);
      }
    }
  }
  std::vector<SharedPath> paths;
  for (auto& [names, path] : by_path) {
    if (path.renames.size() < 2) continue;
    if (const auto whole = Say(names.first, names.second)) path.said.insert(*whole);
    paths.push_back(std::move(path));
  }
  std::stable_sort(paths.begin(), paths.end(),
                   [](const SharedPath& a, const SharedPath& b) { return a.renames.size() > b.renames.size(); });
  if (paths.size() > kMaxPaths) paths.resize(kMaxPaths);
  return paths;
}

// A path, and others behind which the same is said: `encoder.{n}` and `decoder.{n}`.
void AddPaths(const std::vector<Renaming>& renames, std::vector<Shortening>& out) {
  const std::vector<SharedPath> paths = PathsOf(renames);
  for (size_t seed = 0; seed < paths.size(); ++seed) {
    std::set<size_t> removed(paths[seed].renames.begin(), paths[seed].renames.end());
    std::set<Renaming> said = paths[seed].said;
    const auto add = [&] {
      Shortening shorter{{removed.begin(), removed.end()}, {}};
      // What others say already costs nothing.
      for (const Renaming& one : said) {
        const auto known = std::find(renames.begin(), renames.end(), one);
        if (known == renames.end() || removed.contains(static_cast<size_t>(known - renames.begin())))
          shorter.added.push_back(one);
      }
      if (shorter.added.size() < shorter.removed.size()) out.push_back(std::move(shorter));
    };
    add();
    const size_t alone = removed.size();
    for (const SharedPath& other : paths) {
      const auto more = static_cast<size_t>(
          std::count_if(other.renames.begin(), other.renames.end(), [&](size_t r) { return !removed.contains(r); }));
      const auto costs = static_cast<size_t>(std::count_if(other.said.begin(), other.said.end(),
                                                           [&](const Renaming& one) { return !said.contains(one); }));
      if (more != other.renames.size() || costs >= more) continue;
      removed.insert(other.renames.begin(), other.renames.end());
      said.insert(other.said.begin(), other.said.end());
    }
    if (removed.size() > alone) add();
  }
}

// Renames of which another one stands for all: `a.0.{i:int}` beside `a.{n:int}.{i:int}`.
void AddInstances(const std::vector<Renaming>& renames, std::vector<Shortening>& out) {
  for (size_t r = 0; r < renames.size(); ++r) {
    const Names own = SegmentsOfWritten(renames[r].left);
    const bool instance = std::any_of(renames.begin(), renames.end(), [&](const Renaming& other) {
      const Names pattern = SegmentsOfWritten(other.left);
      if (pattern == own || pattern.size() != own.size()) return false;
      for (size_t i = 0; i < own.size(); ++i) {
        if (own[i] != pattern[i] && pattern[i].find('{') == std::string::npos) return false;
      }
      return true;
    });
    if (instance) out.push_back({{r}, {}});
  }
}

// ---- names that differ in one text, which both sides have --------------------------------------------------------

bool IsWord(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; });
}

// Whether the last letters of a segment are a word or a number of their own: `6b` of `Mixed_6b`, not `4` of `14`.
bool BeginsWord(const std::string& segment, size_t size) {
  if (size == segment.size()) return true;
  const auto kind = [&](size_t at) {
    const auto c = static_cast<unsigned char>(segment[at]);
    return std::isdigit(c) != 0 ? 1 : std::isalpha(c) != 0 ? 2 : 0;
  };
  return kind(segment.size() - size) != kind(segment.size() - size - 1);
}

void AddTexts(const std::vector<Renaming>& renames, std::vector<Shortening>& out) {
  struct Group {
    Names left, right;  // with {} for the text
    size_t left_at = 0, right_at = 0;
    std::vector<size_t> renames;
    std::vector<std::string> texts;
  };
  std::map<std::string, Group> groups;
  for (size_t r = 0; r < renames.size(); ++r) {
    const Names left = SegmentsOfWritten(renames[r].left), right = SegmentsOfWritten(renames[r].right);
    for (size_t i = 0; i < left.size(); ++i) {
      for (size_t k = 0; k < right.size(); ++k) {
        size_t common = 0;
        while (common < left[i].size() && common < right[k].size() &&
               left[i][left[i].size() - 1 - common] == right[k][right[k].size() - 1 - common])
          ++common;
        for (size_t size = 1; size <= common; ++size) {
          const std::string text = left[i].substr(left[i].size() - size);
          if (!IsWord(text)) break;
          if (!BeginsWord(left[i], size) || !BeginsWord(right[k], size)) continue;
          Group group{left, right, i, k, {}, {}};
          group.left[i] = left[i].substr(0, left[i].size() - size);
          group.right[k] = right[k].substr(0, right[k].size() - size);
          const std::string key =
              fmt::format("{}\1{}\1{}\1{}", fmt::join(group.left, "."), i, fmt::join(group.right, "."), k);
          Group& known = groups.try_emplace(key, std::move(group)).first->second;
          known.renames.push_back(r);
          known.texts.push_back(text);
        }
      }
    }
  }
  for (auto& [key, group] : groups) {
    if (group.renames.size() < 2 || Letters(group.left).contains('x')) continue;
    std::sort(group.texts.begin(), group.texts.end());
    group.left[group.left_at] += fmt::format("{{x:{}}}", fmt::join(group.texts, "|"));
    group.right[group.right_at] += "{x}";
    const auto from = Written(group.left), to = Written(group.right);
    if (from && to) out.push_back({group.renames, {{*from, *to}}});
  }
}

}  // namespace

std::vector<Shortening> Shortenings(const std::vector<Renaming>& renames) {
  std::vector<Shortening> all;
  if (renames.size() > kMaxRenames) return all;
  AddPaths(renames, all);
  AddTexts(renames, all);
  AddInstances(renames, all);
  const auto saved = [](const Shortening& one) { return one.removed.size() - one.added.size(); };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Shortening& a, const Shortening& b) { return saved(a) > saved(b); });
  return all;
}

}  // namespace ckmap::suggest
