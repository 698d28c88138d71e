#include "compiler/suggest/match.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace ckmap::suggest {
namespace {

constexpr double kMargin = 0.08;      // by which a pair must be better than its rivals to be sure
constexpr double kTurned = 0.3;       // against a matrix that would have to be transposed
constexpr size_t kMaxAlternatives = 4;
constexpr size_t kMaxAligned = 2000;  // modules that are aligned one by one

Shape WithoutOnes(const Shape& shape) {
  Shape out;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(out), [](int64_t size) { return size != 1; });
  return out;
}

// Whether two modules can be the same one: the same kinds of tensors, in shapes that fit.
// `lacking`: the target may lack some of the source's tensors.
bool Fits(const Network& source, const Module& a, const Network& target, const Module& b, bool lacking = false) {
  size_t shared = 0;
  for (const auto& [kind, leaf] : a.leaves) {
    if (kind == "count") continue;
    const auto found = b.leaves.find(kind);
    if (found == b.leaves.end() && lacking) continue;
    if (found == b.leaves.end()) return false;
    if (LayoutOf(source.Tensor(leaf).shape, target.Tensor(found->second).shape) == Layout::kDifferent) return false;
    ++shared;
  }
  const size_t wanted = b.leaves.size() - b.leaves.count("count");
  return shared > 0 && shared == wanted;
}

bool Transposed(const Network& source, const Module& a, const Network& target, const Module& b) {
  const auto left = a.leaves.find("w"), right = b.leaves.find("w");
  return left != a.leaves.end() && right != b.leaves.end() &&
         LayoutOf(source.Tensor(left->second).shape, target.Tensor(right->second).shape) == Layout::kTransposed;
}

bool Square(const Network& network, const Module& module) {
  const auto weight = module.leaves.find("w");
  if (weight == module.leaves.end()) return false;
  const Shape& shape = network.Tensor(weight->second).shape;
  return shape.size() == 2 && shape[0] == shape[1];
}

class Matcher {
 public:
  Matcher(const Network& source, const Network& target)
      : source_(source), target_(target), source_done_(source.modules.size(), false), target_done_(target.modules.size(), false) {}

  std::vector<Match> Run() {
    MatchEqualNames();
    MatchGroups();
    AlignRest();
    DoubtSquares();
    return std::move(matches_);
  }

 private:
  void Take(Match match) {
    for (const auto& [a, b] : match.modules) source_done_[a] = target_done_[b] = true;
    matches_.push_back(std::move(match));
  }
  bool FitsModules(size_t a, size_t b) const { return Fits(source_, source_.modules[a], target_, target_.modules[b]); }

  // Modules of one name in both are the same, if they can be.
  void MatchEqualNames() {
    std::map<std::string, size_t> by_path;
    for (size_t b = 0; b < target_.modules.size(); ++b) by_path[target_.modules[b].path] = b;
    std::map<std::string, Match> by_form;
    for (size_t a = 0; a < source_.modules.size(); ++a) {
      const auto found = by_path.find(source_.modules[a].path);
      if (found != by_path.end() && Fits(source_, source_.modules[a], target_, target_.modules[found->second], true)) by_form[source_.modules[a].form].modules.emplace_back(a, found->second);
    }
    for (auto& [form, match] : by_form) Take(std::move(match));
  }

  // ---- whole groups ------------------------------------------------------------------------------------

  struct Open {
    size_t group = 0;
    std::vector<size_t> modules;  // those that are not matched
  };
  std::vector<Open> OpenGroups(const Network& network, const std::vector<bool>& done) const {
    std::vector<Open> open;
    for (size_t g = 0; g < network.groups.size(); ++g) {
      Open entry{g, {}};
      for (const size_t module : network.groups[g].modules) {
        if (!done[module]) entry.modules.push_back(module);
      }
      if (!entry.modules.empty()) open.push_back(std::move(entry));
    }
    return open;
  }
  bool FitsGroups(const Open& a, const Open& b) const {
    if (a.modules.size() != b.modules.size()) return false;
    for (size_t i = 0; i < a.modules.size(); ++i) {
      if (!FitsModules(a.modules[i], b.modules[i])) return false;
    }
    return true;
  }

  struct Candidate {
    double score = 0;
    size_t a = 0, b = 0;  // indices of open groups
  };

  void MatchGroups() {
    const std::vector<Open> left = OpenGroups(source_, source_done_), right = OpenGroups(target_, target_done_);
    std::vector<Candidate> candidates;
    for (size_t a = 0; a < left.size(); ++a) {
      for (size_t b = 0; b < right.size(); ++b) {
        if (!FitsGroups(left[a], right[b])) continue;
        const bool same_depth = source_.modules[left[a].modules[0]].index.size() == target_.modules[right[b].modules[0]].index.size();
        const bool turned = Transposed(source_, source_.modules[left[a].modules[0]], target_, target_.modules[right[b].modules[0]]);
        candidates.push_back({Similarity(source_.groups[left[a].group].form, target_.groups[right[b].group].form) + (same_depth ? 0.0 : -0.3) - (turned ? kTurned : 0.0), a, b});
      }
    }
    // Forms with unlike numbers of indices are an irregular network's: they are aligned one by one.
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(),
                                    [&](const Candidate& c) { return Irregular(left[c.a], right[c.b]); }),
                     candidates.end());
    std::vector<Candidate> all = candidates;
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& x, const Candidate& y) {
      return std::make_tuple(-x.score, x.a, x.b) < std::make_tuple(-y.score, y.a, y.b);
    });
    std::set<size_t> used_left, used_right;
    std::vector<Candidate> chosen;
    for (const Candidate& candidate : candidates) {
      if (used_left.contains(candidate.a) || used_right.contains(candidate.b)) continue;
      used_left.insert(candidate.a);
      used_right.insert(candidate.b);
      chosen.push_back(candidate);
    }
    for (const Candidate& candidate : chosen) TakeGroups(left[candidate.a], right[candidate.b], candidate, all, chosen, right);
  }

  bool Irregular(const Open& a, const Open& b) const {
    const auto& first = source_.modules[a.modules[0]].index;
    const auto& second = target_.modules[b.modules[0]].index;
    if (a.modules.size() == 1) return first.size() != second.size() && !first.empty() && !second.empty();
    if (first.size() != second.size()) return true;
    // The same steps in every index.
    for (size_t i = 0; i < a.modules.size(); ++i) {
      for (size_t k = 0; k < first.size(); ++k) {
        const int64_t shift = target_.modules[b.modules[i]].index[k] - source_.modules[a.modules[i]].index[k];
        if (shift != second[k] - first[k]) return true;
      }
    }
    return false;
  }

  void TakeGroups(const Open& a, const Open& b, const Candidate& own, const std::vector<Candidate>& all,
                  const std::vector<Candidate>& chosen, const std::vector<Open>& right) {
    Match match;
    for (size_t i = 0; i < a.modules.size(); ++i) match.modules.emplace_back(a.modules[i], b.modules[i]);
    // Rivals: other partners of either side that would fit.
    std::vector<Candidate> rivals;
    double best = 0;
    for (const Candidate& other : all) {
      if ((other.a == own.a) == (other.b == own.b)) continue;
      best = std::max(best, other.score);
      if (other.a == own.a) rivals.push_back(other);
    }
    // A rival pair that keeps the order of the two networks where this one does not speaks against it too.
    const bool crossed = std::any_of(chosen.begin(), chosen.end(), [&](const Candidate& other) {
      const bool rival = std::any_of(all.begin(), all.end(), [&](const Candidate& c) { return c.a == own.a && c.b == other.b; }) &&
                         std::any_of(all.begin(), all.end(), [&](const Candidate& c) { return c.a == other.a && c.b == own.b; });
      return rival && (other.a < own.a) != (other.b < own.b);
    });
    const bool rivalry = best > 0 || !rivals.empty();
    const bool named = SharePart(source_.groups[a.group].form, target_.groups[b.group].form);
    const bool same_words = SameLastWords(source_.groups[a.group].form, target_.groups[b.group].form);
    match.certain = !rivalry || named || (same_words && own.score >= best + kMargin && !crossed);
    std::stable_sort(rivals.begin(), rivals.end(), [](const Candidate& x, const Candidate& y) { return x.score > y.score; });
    for (const Candidate& rival : rivals) {
      if (match.alternatives.size() < kMaxAlternatives) match.alternatives.push_back(target_.groups[right[rival.b].group].form);
    }
    Take(std::move(match));
  }

  // "attention.layernorm_1" and "attn.ln1", but not "post_attention_norm" and "attention_norm".
  static bool SameLastWords(std::string_view a, std::string_view b) {
    const auto words = [](std::string_view form) {
      std::vector<std::string> last = WordsOf(form.substr(form.rfind('.') + 1));
      std::sort(last.begin(), last.end());
      return last;
    };
    return words(a) == words(b);
  }

  // Whether both names end in the same word for one part among others of its shape.
  static bool SharePart(std::string_view a, std::string_view b) {
    static const std::set<std::string> kParts = {"q", "k", "v", "out", "gate", "up", "down"};
    const auto parts = [](std::string_view form) {
      std::set<std::string> found;
      for (const std::string& word : WordsOf(form.substr(form.rfind('.') + 1))) {
        if (kParts.contains(word)) found.insert(word);
      }
      return found;
    };
    const auto left = parts(a);
    return left.size() == 1 && left == parts(b);
  }

  // ---- one by one --------------------------------------------------------------------------------------

  // Irregular networks keep the order of their modules: the longest common sequence of modules that fit.
  void AlignRest() {
    const std::vector<size_t> left = Rest(source_done_), right = Rest(target_done_);
    if (left.empty() || right.empty() || left.size() > kMaxAligned || right.size() > kMaxAligned) return;
    const size_t width = right.size() + 1;
    std::vector<float> best((left.size() + 1) * width, 0);
    std::map<std::pair<std::string, std::string>, float> alike;
    const auto gain = [&](size_t i, size_t k) {
      if (!FitsModules(left[i], right[k])) return -1.0F;
      const auto key = std::make_pair(source_.modules[left[i]].form, target_.modules[right[k]].form);
      const auto [found, fresh] = alike.try_emplace(key, 0.0F);
      if (fresh) found->second = 1.0F + 0.3F * static_cast<float>(Similarity(key.first, key.second));
      return found->second;
    };
    for (size_t i = left.size(); i-- > 0;) {
      for (size_t k = right.size(); k-- > 0;) {
        const float skip = std::max(best[(i + 1) * width + k], best[i * width + k + 1]);
        const float both = gain(i, k);
        best[i * width + k] = both < 0 ? skip : std::max(skip, both + best[(i + 1) * width + k + 1]);
      }
    }
    std::map<std::pair<std::string, std::string>, Match> by_form;
    size_t taken = 0;
    for (size_t i = 0, k = 0; i < left.size() && k < right.size();) {
      const float both = gain(i, k);
      if (both >= 0 && best[i * width + k] == both + best[(i + 1) * width + k + 1]) {
        by_form[{source_.modules[left[i]].form, target_.modules[right[k]].form}].modules.emplace_back(left[i], right[k]);
        ++i;
        ++k;
        ++taken;
      } else if (best[i * width + k] == best[(i + 1) * width + k]) {
        ++i;
      } else {
        ++k;
      }
    }
    // Two sequences that fit whole, and are long, are the same network; parts of them may be chance.
    const bool whole = taken == left.size() && taken == right.size();
    const bool only = whole && OnlyFit(left, right);
    for (auto& [forms, match] : by_form) {
      match.certain = whole && (taken >= 8 || Similarity(forms.first, forms.second) > 0.5 || only);
      if (!match.certain) match.alternatives.push_back("(the order of the modules alone says so)");
      Take(std::move(match));
    }
  }
  // Whether each module of one side fits exactly one of the other: then shapes alone prove the pairs.
  bool OnlyFit(const std::vector<size_t>& left, const std::vector<size_t>& right) const {
    size_t pairs = 0;
    for (const size_t a : left) {
      for (const size_t b : right) pairs += FitsModules(a, b) ? 1 : 0;
    }
    return pairs == left.size();
  }

  static std::vector<size_t> Rest(const std::vector<bool>& done) {
    std::vector<size_t> rest;
    for (size_t i = 0; i < done.size(); ++i) {
      if (!done[i]) rest.push_back(i);
    }
    return rest;
  }

  // Where some matrices are transposed, a square one may be too, and no shape tells.
  void DoubtSquares() {
    const bool any = std::any_of(matches_.begin(), matches_.end(), [&](const Match& match) {
      const auto [a, b] = match.modules[0];
      return Transposed(source_, source_.modules[a], target_, target_.modules[b]);
    });
    if (!any) return;
    for (Match& match : matches_) {
      const auto [a, b] = match.modules[0];
      if (!Square(source_, source_.modules[a])) continue;
      match.certain = false;
      match.alternatives.insert(match.alternatives.begin(), "(the same, with | transpose(): it is square, and others of this network are transposed)");
    }
  }

  const Network& source_;
  const Network& target_;
  std::vector<bool> source_done_, target_done_;
  std::vector<Match> matches_;
};

}  // namespace

Layout LayoutOf(const Shape& source, const Shape& target) {
  const auto same = [](const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](int64_t x, int64_t y) { return x == y || y == -1; });
  };
  if (same(source, target)) return Layout::kSame;
  if (same(WithoutOnes(source), WithoutOnes(target))) return Layout::kSqueezed;
  if (source.size() == 2 && same({source[1], source[0]}, target)) return Layout::kTransposed;
  return Layout::kDifferent;
}

std::vector<Match> MatchModules(const Network& source, const Network& target) { return Matcher(source, target).Run(); }

}  // namespace ckmap::suggest
