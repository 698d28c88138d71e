#include "runtime/bind/explain/crossed_words.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/names/vocabulary.h"

namespace ckmap {
namespace {

constexpr size_t kMaxGroup = 400;  // norms of one shape, of which each is compared with each

using WordSet = std::set<std::string>;

bool IsIndexSegment(const std::string& text) { return text.find_first_not_of("0123456789") == std::string::npos; }

// What a name says without its numbers and its leaf: what counts blocks in one network counts branches in another.
struct NormName {
  WordSet words;
  std::vector<std::string> segments;  // those that are not numbers, as they are spelt
  bool norm = false;
};

NormName NormNameOf(const std::string& name, std::string_view separator) {
  NormName result;
  std::vector<std::string> segments = SegmentsOf(name, separator);
  if (segments.size() > 1) segments.pop_back();
  for (const std::string& segment : segments) {
    if (IsIndexSegment(segment)) continue;
    result.segments.push_back(segment);
    std::vector<std::string> words;
    for (const std::string& word : WordsOfSegment(segment)) {
      if (IsIndexSegment(word)) continue;
      std::string canonical = CanonicalWord(word);
      if (canonical == "norm" && !words.empty() && words.back() == "layer") words.pop_back();  // layer_norm
      words.push_back(std::move(canonical));
    }
    result.norm = std::find(words.begin(), words.end(), "norm") != words.end();  // of the last segment
    result.words.insert(words.begin(), words.end());
  }
  result.words.erase("norm");
  return result;
}

WordSet Without(const WordSet& words, const WordSet& others) {
  WordSet rest;
  std::set_difference(words.begin(), words.end(), others.begin(), others.end(), std::inserter(rest, rest.end()));
  return rest;
}

bool ShareWord(const WordSet& a, const WordSet& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& word) { return b.contains(word); });
}

// WordSet that say on which side of another word's place a norm stands: which one they mean is not said by themselves.
bool SaysSide(const WordSet& words) {
  static const WordSet kSides = {"pre", "post", "before", "after"};
  return ShareWord(words, kSides);
}

struct MovedNorm {
  size_t pair = 0;
  NormName source, target;
};

// Whether two norms go to each other's names: what tells the first from the second is in the target of the second, and
// nothing speaks for what the rules do.
bool Crossed(const MovedNorm& a, const MovedNorm& b) {
  const WordSet source_a = Without(a.source.words, b.source.words), source_b = Without(b.source.words, a.source.words),
                target_a = Without(a.target.words, b.target.words), target_b = Without(b.target.words, a.target.words);
  if (ShareWord(source_a, target_a) || ShareWord(source_b, target_b)) return false;
  // All that tells one of them apart is what tells the other's target apart.
  if ((!source_a.empty() && source_a == target_b) || (!source_b.empty() && source_b == target_a)) return true;
  if (SaysSide(source_a) || SaysSide(source_b) || SaysSide(target_a) || SaysSide(target_b)) return false;
  const auto cross = [](const WordSet& left, const WordSet& right) {
    return ShareWord(left, right) || (left.empty() && right.empty());
  };
  return (ShareWord(source_a, target_b) || ShareWord(source_b, target_a)) && cross(source_a, target_b) &&
         cross(source_b, target_a);
}

// The segments by which a name differs from another, or its last.
std::string Telling(const NormName& name, const NormName& other) {
  size_t begin = 0;
  while (begin + 1 < name.segments.size() && begin < other.segments.size() &&
         name.segments[begin] == other.segments[begin])
    ++begin;
  return fmt::format("{}",
                     fmt::join(name.segments.begin() + static_cast<std::ptrdiff_t>(begin), name.segments.end(), "."));
}

}  // namespace

std::vector<CrossedPair> FindCrossedWords(const BindContext& context, const TensorLinks& links,
                                          const std::vector<size_t>& pairs) {
  std::map<std::pair<Shape, std::string>, std::vector<MovedNorm>> groups;  // shape and leaf → norms
  for (const size_t i : pairs) {
    const TensorLinks::Pair& pair = links.pairs()[i];
    const TensorInfo &source = context.visible.files()[pair.source], &target = context.target[pair.target];
    if (source.shape.size() != 1 || source.shape != target.shape) continue;
    MovedNorm norm{i, NormNameOf(source.name, context.source_separator),
                   NormNameOf(target.name, context.target_separator)};
    if (!norm.source.norm || !norm.target.norm) continue;
    groups[{source.shape, SegmentsOf(source.name, context.source_separator).back()}].push_back(std::move(norm));
  }
  std::vector<CrossedPair> found;
  for (const auto& [key, norms] : groups) {
    if (norms.size() > kMaxGroup) continue;
    for (const MovedNorm& a : norms) {
      for (const MovedNorm& b : norms) {
        if (a.pair == b.pair || !Crossed(a, b)) continue;
        found.push_back({a.pair, Telling(a.source, b.source), Telling(a.target, b.target)});
        break;
      }
    }
  }
  std::sort(found.begin(), found.end(), [](const CrossedPair& a, const CrossedPair& b) { return a.pair < b.pair; });
  return found;
}

}  // namespace ckmap
