#include "compiler/suggest/match.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

#include "compiler/suggest/align.h"
#include "compiler/suggest/fit.h"
#include "compiler/suggest/words.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap::suggest {
namespace {

constexpr double kMargin = 0.08;     // by which a pair must be better than its rivals to be sure by its words
constexpr double kTurned = 0.3;      // against a matrix that would have to be transposed
constexpr double kOtherDepth = 0.3;  // against names with more or fewer numbers
constexpr double kAgreement = 0.2;   // for each role that both names have
constexpr double kContainer = 0.4;   // for blocks that are each other's, and against blocks that are not
constexpr size_t kMaxListed = 8;
constexpr size_t kMaxParents = 64;  // modules that the siblings of one come from, of which each is looked at
constexpr size_t kMaxPairs = 1600;  // of groups of one content that are compared pair by pair
constexpr size_t kMaxAllPairs = 400'000;

class Matcher {
 public:
  Matcher(const Network& source, size_t first_source, const Network& target, size_t first_target,
          Containers& containers)
      : source_(source),
        target_(target),
        containers_(containers),
        source_done_(source.modules.size(), false),
        target_done_(target.modules.size(), false) {
    for (size_t i = 0; i < first_source; ++i) source_done_[i] = true;
    for (size_t i = 0; i < first_target; ++i) target_done_[i] = true;
  }

  std::vector<Match> Run() {
    MatchValues();
    MatchEqualNames();
    MatchGroups();
    for (Match& match : AlignModules(source_, source_done_, target_, target_done_)) Take(std::move(match));
    DoubtTornModules();
    DoubtSquares();
    DoubtRows();
    return std::move(matches_);
  }

 private:
  void Take(Match match) {
    for (const auto& [a, b] : match.modules) source_done_[a] = target_done_[b] = true;
    matches_.push_back(std::move(match));
  }
  bool FitsModules(size_t a, size_t b) const { return Fits(source_, source_.modules[a], target_, target_.modules[b]); }

  // Modules whose values occur once on each side.
  void MatchValues() {
    if (source_.prints == nullptr || target_.prints == nullptr) return;
    const auto by_content = [](const Network& network, const std::vector<bool>& done) {
      std::unordered_map<std::string, std::vector<size_t>> modules;
      for (size_t m = 0; m < network.modules.size(); ++m) {
        if (!done[m] && HasValues(network, network.modules[m]))
          modules[ContentOf(network, network.modules[m])].push_back(m);
      }
      return modules;
    };
    const auto left = by_content(source_, source_done_), right = by_content(target_, target_done_);
    std::map<std::pair<std::string, std::string>, Match> by_form;
    for (const auto& [content, sources] : left) {
      const auto found = right.find(content);
      if (found == right.end() || sources.size() > 1 || found->second.size() > 1 ||
          !FitsModules(sources[0], found->second[0]))
        continue;
      by_form[{source_.modules[sources[0]].form, target_.modules[found->second[0]].form}].modules.emplace_back(
          sources[0], found->second[0]);
    }
    for (auto& [forms, match] : by_form) {
      std::sort(match.modules.begin(), match.modules.end());
      Vote(forms.first, forms.second, 10);
      Take(std::move(match));
    }
  }

  // Modules of one name in both are the same, if they can be.
  void MatchEqualNames() {
    std::unordered_map<std::string, size_t> by_path;
    for (size_t b = 0; b < target_.modules.size(); ++b) {
      if (!target_done_[b]) by_path[target_.modules[b].path] = b;
    }
    std::map<std::string, Match> by_form;
    for (size_t a = 0; a < source_.modules.size(); ++a) {
      if (source_done_[a]) continue;
      const auto found = by_path.find(source_.modules[a].path);
      if (found != by_path.end() && Fits(source_, source_.modules[a], target_, target_.modules[found->second], true))
        by_form[source_.modules[a].form].modules.emplace_back(a, found->second);
    }
    for (auto& [form, match] : by_form) {
      Vote(form, form);
      Take(std::move(match));
    }
  }

  // ---- whole groups ------------------------------------------------------------------------------------

  struct Open {
    size_t group = 0;
    std::vector<size_t> modules;  // those that are not matched
    std::string form, content;
    Roles roles;
    bool state = false;  // an optimizer's
  };
  static std::vector<Open> OpenGroups(const Network& network, const std::vector<bool>& done) {
    std::vector<Open> open;
    for (size_t g = 0; g < network.groups.size(); ++g) {
      Open entry{g, {}, network.groups[g].form, "", {}, false};
      for (const size_t module : network.groups[g].modules) {
        if (!done[module]) entry.modules.push_back(module);
      }
      if (entry.modules.empty()) continue;
      entry.content = fmt::format("{} {}", entry.modules.size(), ContentOf(network, network.modules[entry.modules[0]]));
      entry.roles = RolesOf(entry.form);
      entry.state = IsOptimizerState(network.modules[entry.modules[0]].path);
      open.push_back(std::move(entry));
    }
    return open;
  }
  bool FitsGroups(const Open& a, const Open& b) const {
    if (a.modules.size() != b.modules.size() || a.state != b.state) return false;
    for (size_t i = 0; i < a.modules.size(); ++i) {
      if (!FitsModules(a.modules[i], b.modules[i])) return false;
    }
    // Forms with unlike numbers of indices are an irregular network's: they are aligned one by one.
    return !Irregular(a, b);
  }

  struct Candidate {
    double score = 0;
    size_t a = 0, b = 0;  // indices of open groups
    bool contradicts = false;
  };

  // Pairs of groups that fit. Only groups of one content do, so that random names cost no more than others.
  void FindCandidates() {
    std::unordered_map<std::string, std::vector<size_t>> by_content;
    for (size_t b = 0; b < right_.size(); ++b) by_content[right_[b].content].push_back(b);
    std::unordered_map<std::string, size_t> sources;
    for (const Open& open : left_) ++sources[open.content];
    size_t pairs = 0;
    for (size_t a = 0; a < left_.size(); ++a) {
      const auto found = by_content.find(left_[a].content);
      if (found == by_content.end()) continue;
      if (found->second.size() * sources[left_[a].content] > kMaxPairs || pairs > kMaxAllPairs) continue;
      pairs += found->second.size();
      for (const size_t b : found->second) {
        if (FitsGroups(left_[a], right_[b]))
          all_.push_back({Names(left_[a], right_[b]), a, b, Contradict(left_[a].roles, right_[b].roles)});
      }
    }
    by_left_.resize(left_.size());
    by_right_.resize(right_.size());
    for (size_t c = 0; c < all_.size(); ++c) {
      by_left_[all_[c].a].push_back(c);
      by_right_[all_[c].b].push_back(c);
    }
  }

  double Names(const Open& a, const Open& b) const {
    const Module &left = source_.modules[a.modules[0]], &right = target_.modules[b.modules[0]];
    double score = Similarity(a.form, b.form) + kAgreement * Agreements(a.roles, b.roles);
    if (left.index.size() != right.index.size()) score -= kOtherDepth;
    if (Transposed(source_, left, target_, right)) score -= kTurned;
    return score;
  }

  // The best pairs first, no group twice. Names that contradict each other are no pair.
  std::vector<Candidate> Choose() {
    std::vector<Candidate> sorted;
    for (const Candidate& candidate : all_) {
      if (candidate.contradicts) continue;
      sorted.push_back(candidate);
      const std::string from = ContainerOf(left_[candidate.a].form), to = ContainerOf(right_[candidate.b].form);
      const auto found = containers_.find(from);
      if (from.empty() || found == containers_.end()) continue;
      sorted.back().score += found->second == to ? kContainer : -kContainer;
    }
    // Of pairs that are equally good the one that keeps the order of the modules.
    std::stable_sort(sorted.begin(), sorted.end(), [](const Candidate& x, const Candidate& y) {
      return std::make_tuple(-x.score, x.a, x.b) < std::make_tuple(-y.score, y.a, y.b);
    });
    std::vector<bool> used_left(left_.size(), false), used_right(right_.size(), false);
    std::vector<Candidate> chosen;
    for (const Candidate& candidate : sorted) {
      if (used_left[candidate.a] || used_right[candidate.b]) continue;
      used_left[candidate.a] = used_right[candidate.b] = true;
      chosen.push_back(candidate);
    }
    return chosen;
  }

  void Vote(const std::string& from, const std::string& to, int weight = 1) {
    const std::string left = ContainerOf(from), right = ContainerOf(to);
    if (!left.empty() && !right.empty()) votes_[left][right] += weight;
  }
  // Blocks are each other's if most of their modules say so, those above all that have no rival.
  void CountVotes(const std::vector<Candidate>& chosen) {
    for (const Candidate& pair : chosen) {
      const bool only = by_left_[pair.a].size() == 1 && by_right_[pair.b].size() == 1;
      Vote(left_[pair.a].form, right_[pair.b].form,
           only ? 10 : 1 + 2 * Agreements(left_[pair.a].roles, right_[pair.b].roles));
    }
    std::vector<std::tuple<int, std::string, std::string>> pairs;
    for (const auto& [from, votes] : votes_) {
      for (const auto& [to, count] : votes) pairs.emplace_back(-count, from, to);
    }
    std::sort(pairs.begin(), pairs.end());
    std::set<std::string> taken;
    for (const auto& [count, from, to] : pairs) {
      if (!containers_.contains(from) && taken.insert(to).second) containers_[from] = to;
    }
  }

  void MatchGroups() {
    left_ = OpenGroups(source_, source_done_);
    right_ = OpenGroups(target_, target_done_);
    FindCandidates();
    CountVotes(Choose());
    const std::vector<Candidate> chosen = Choose();
    const std::vector<bool> sure = FindSure(chosen);
    for (size_t i = 0; i < chosen.size(); ++i) TakeGroups(chosen[i], sure[i]);
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

  // ---- how sure it is ------------------------------------------------------------------------------------

  // A pair is sure if every rival is excluded: its names contradict each other, or it is surely another's.
  std::vector<bool> FindSure(const std::vector<Candidate>& chosen) const {
    std::vector<bool> sure(chosen.size(), false), left(left_.size(), false), right(right_.size(), false);
    std::vector<size_t> source_of(right_.size(), left_.size());
    for (const Candidate& pair : chosen) source_of[pair.b] = pair.a;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < chosen.size(); ++i) {
        const Candidate& own = chosen[i];
        if (sure[i] || own.contradicts || !Telling(own)) continue;
        const auto excluded = [&](size_t c) {
          const Candidate& rival = all_[c];
          return (rival.a == own.a && rival.b == own.b) || rival.contradicts ||
                 (rival.a == own.a ? right[rival.b] : left[rival.a]);
        };
        const bool alone = std::all_of(by_left_[own.a].begin(), by_left_[own.a].end(), excluded) &&
                           std::all_of(by_right_[own.b].begin(), by_right_[own.b].end(), excluded);
        if (!alone && !(SameLastWords(left_[own.a].form, right_[own.b].form) && Best(own) && !Crossed(own, source_of)))
          continue;
        sure[i] = left[own.a] = right[own.b] = changed = true;
      }
    }
    return sure;
  }

  // One size with no word in common says little.
  bool Telling(const Candidate& pair) const {
    const Module& module = source_.modules[left_[pair.a].modules[0]];
    if (Similarity(left_[pair.a].form, right_[pair.b].form) > 0 || module.leaves.size() > 2) return true;
    return std::any_of(module.leaves.begin(), module.leaves.end(),
                       [&](const auto& leaf) { return WithoutOnes(source_.Tensor(leaf.second).shape).size() > 1; });
  }

  bool Best(const Candidate& own) const {
    double best = 0, score = 0;
    for (const auto* list : {&by_left_[own.a], &by_right_[own.b]}) {
      for (const size_t c : *list) {
        if (all_[c].a == own.a && all_[c].b == own.b)
          score = all_[c].score;
        else
          best = std::max(best, all_[c].score);
      }
    }
    return score >= best + kMargin;
  }

  // A rival pair that keeps the order of the two networks where this one does not speaks against it. `source_of`: of
  // each group of the target, the chosen one of the source.
  bool Crossed(const Candidate& own, const std::vector<size_t>& source_of) const {
    std::set<size_t> lefts;
    for (const size_t c : by_right_[own.b]) lefts.insert(all_[c].a);
    return std::any_of(by_left_[own.a].begin(), by_left_[own.a].end(), [&](size_t c) {
      const size_t b = all_[c].b, a = source_of[b];
      return b != own.b && a != left_.size() && lefts.contains(a) && (a < own.a) != (b < own.b);
    });
  }

  void TakeGroups(const Candidate& own, bool sure) {
    const Open &a = left_[own.a], &b = right_[own.b];
    Match match;
    for (size_t i = 0; i < a.modules.size(); ++i) match.modules.emplace_back(a.modules[i], b.modules[i]);
    match.certain = sure;
    std::vector<Candidate> rivals;
    for (const size_t c : by_left_[own.a]) {
      if (all_[c].b != own.b) rivals.push_back(all_[c]);
    }
    std::stable_sort(rivals.begin(), rivals.end(), [](const Candidate& x, const Candidate& y) {
      return std::make_tuple(x.contradicts, -x.score) < std::make_tuple(y.contradicts, -y.score);
    });
    for (const Candidate& rival : rivals) {
      if (match.alternatives.size() < kMaxListed) match.alternatives.push_back(right_[rival.b].form);
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

  // "a.b" of "a.b.c"; empty: there is none.
  static std::string_view ParentOf(std::string_view path) {
    const size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  }

  // `branch.1.conv` from `b2.conv` and `branch.1.bn` from `b3.bn`: where `b2.bn` fits as well, neither is sure.
  void DoubtTornModules() {
    if (source_.prints != nullptr) return;  // values tell
    std::map<std::string_view, size_t> of_path;
    for (size_t m = 0; m < source_.modules.size(); ++m) of_path.emplace(source_.modules[m].path, m);
    std::map<std::string_view, std::set<std::string_view>> parents;  // of a target's parent: those of the sources
    for (const Match& match : matches_) {
      for (const auto& [a, b] : match.modules) {
        const std::string_view from = ParentOf(source_.modules[a].path), to = ParentOf(target_.modules[b].path);
        if (!from.empty() && !to.empty()) parents[to].insert(from);
      }
    }
    for (Match& match : matches_) {
      for (const auto& [a, b] : match.modules) {
        if (!match.certain) break;
        const std::string_view path = source_.modules[a].path, from = ParentOf(path);
        const auto siblings = parents.find(ParentOf(target_.modules[b].path));
        if (from.empty() || siblings == parents.end()) continue;
        const std::string_view leaf = path.substr(from.size());
        size_t tried = 0;
        for (const std::string_view other : siblings->second) {
          if (other == from) continue;
          if (++tried > kMaxParents) break;
          const auto rival = of_path.find(std::string(other) + std::string(leaf));
          if (rival == of_path.end() || !FitsModules(rival->second, b)) continue;
          match.certain = false;
          match.alternatives.insert(match.alternatives.begin(),
                                    fmt::format("from {}, as its siblings", source_.modules[rival->second].path));
          break;
        }
      }
    }
  }

  // Where some matrices are transposed, a square one may be too, and no shape tells.
  void DoubtSquares() {
    if (source_.prints != nullptr) return;  // values tell
    const bool any = std::any_of(matches_.begin(), matches_.end(), [&](const Match& match) {
      const auto [a, b] = match.modules[0];
      return Transposed(source_, source_.modules[a], target_, target_.modules[b]);
    });
    if (!any) return;
    for (Match& match : matches_) {
      const auto [a, b] = match.modules[0];
      if (!Square(source_, source_.modules[a])) continue;
      match.certain = false;
      match.alternatives.insert(
          match.alternatives.begin(),
          "the same, with | transpose(): it is square, and others of this network are transposed");
    }
  }

  // ---- the order of rows ---------------------------------------------------------------------------------

  // Layers of one size and unlike names may hold their rows in another order, and no shape tells: fused projections
  // hold their parts one after another or group by group, and frameworks pair the rows that a rotary embedding turns
  // as halves or as neighbours.
  void DoubtRows() {
    if (source_.prints != nullptr) return;  // values tell
    const bool rotary = !NamesPositions(source_) && !NamesPositions(target_);
    for (Match& match : matches_) {
      const Module &a = source_.modules[match.modules[0].first], &b = target_.modules[match.modules[0].second];
      const std::string left = LastName(a.path), right = LastName(b.path);
      if (left == right) continue;
      const bool matrix = IsMatrix(source_, a);
      const char* doubt = matrix && (IsFused(left) || IsFused(right))
                              ? "the same with its parts in another order, or group by group: it is fused"
                          : rotary && (matrix ? IsRotated(left) || IsRotated(right) : IsRotatedNorm(left))
                              ? "the same with the rows of each head in another order: a rotary embedding may turn "
                                "halves or neighbours"
                              : nullptr;
      if (doubt == nullptr) continue;
      match.certain = false;
      match.alternatives.insert(match.alternatives.begin(), doubt);
    }
  }
  // The last segment of a module's name that is not a number.
  static std::string LastName(const std::string& path) {
    const std::vector<std::string> segments = SegmentsOf(path, ".");
    const auto last = std::find_if(segments.rbegin(), segments.rend(), [](const std::string& segment) {
      return segment.find_first_not_of("0123456789") != std::string::npos;
    });
    return last == segments.rend() ? "" : *last;
  }
  static bool IsMatrix(const Network& network, const Module& module) {
    const auto weight = module.leaves.find("w");
    return weight != module.leaves.end() && WithoutOnes(network.Tensor(weight->second).shape).size() == 2;
  }
  static bool IsFused(const std::string& name) { return OrderOfParts(name, ".").size() > 1; }
  static bool HasWord(const std::string& name, std::initializer_list<std::string_view> some) {
    const std::vector<std::string> words = WordsOf(name);
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      return std::find(some.begin(), some.end(), word) != some.end();
    });
  }
  static bool IsRotated(const std::string& name) { return HasWord(name, {"q", "k"}); }
  // The norm of each head's queries or keys; that of a compressed query, `q_a_layernorm`, is not rotated.
  static bool IsRotatedNorm(const std::string& name) {
    return IsRotated(name) && HasWord(name, {"norm"}) && !HasWord(name, {"a"});
  }
  // Positions that are added to the embeddings, or to the scores.
  static bool NamesPositions(const Network& network) {
    return std::any_of(network.groups.begin(), network.groups.end(), [](const Group& group) {
      return HasWord(group.form, {"position", "positions", "wpe", "relative", "rel"});
    });
  }

  const Network& source_;
  const Network& target_;
  Containers& containers_;
  std::map<std::string, std::map<std::string, int>> votes_;
  std::vector<bool> source_done_, target_done_;
  std::vector<Open> left_, right_;
  std::vector<Candidate> all_;                           // that fit
  std::vector<std::vector<size_t>> by_left_, by_right_;  // of all_
  std::vector<Match> matches_;
};

}  // namespace

std::string ContainerOf(const std::string& form) {
  const size_t hole = form.rfind('#');
  return hole == std::string::npos ? "" : form.substr(0, hole + 1);
}

std::vector<Match> MatchModules(const Network& source, size_t first_source, const Network& target, size_t first_target,
                                Containers& containers) {
  return Matcher(source, first_source, target, first_target, containers).Run();
}

}  // namespace ckmap::suggest
