#include "compiler/suggest/align.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "compiler/suggest/fit.h"
#include "compiler/suggest/words.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap::suggest {
namespace {

constexpr size_t kMaxAligned = 2000;  // modules that are aligned one by one
constexpr size_t kWindow = 8;         // pairs of the sequence on either side among which rivals are looked for
constexpr double kBetter = 0.05;      // by which names must say that two pairs are not to be exchanged
constexpr size_t kMaxAlternatives = 4;

class Aligner {
 public:
  Aligner(const Network& source, const std::vector<bool>& source_done, const Network& target,
          const std::vector<bool>& target_done)
      : source_(source), target_(target), left_(Rest(source, source_done)), right_(Rest(target, target_done)) {}

  std::vector<Match> Run() {
    if (left_.empty() || right_.empty() || left_.size() > kMaxAligned || right_.size() > kMaxAligned) return {};
    NumberContents();
    FindSequence();
    if (pairs_.size() < std::min(left_.size(), right_.size())) {
      auto pairs = PairBlocks();
      if (pairs.size() > pairs_.size()) pairs_ = std::move(pairs);
    }
    const bool whole = pairs_.size() == left_.size() && pairs_.size() == right_.size();
    std::map<std::pair<std::string, std::string>, std::map<bool, Match>> by_form;
    for (size_t p = 0; p < pairs_.size(); ++p) {
      const auto [i, k] = pairs_[p];
      std::vector<std::string> rivals;
      const bool alone = counts_left_[content_left_[i]] == 1 && counts_right_[content_right_[k]] == 1;
      const bool sure = (whole || alone) && Supported(p, rivals) && (alone || pairs_.size() >= 8 || Alike(i, k) > 0.5);
      Match& match = by_form[{Left(i).form, Right(k).form}][sure];
      match.modules.emplace_back(left_[i], right_[k]);
      match.certain = sure;
      for (std::string& rival : rivals) {
        const bool known =
            std::find(match.alternatives.begin(), match.alternatives.end(), rival) != match.alternatives.end();
        if (!known && match.alternatives.size() < kMaxAlternatives) match.alternatives.push_back(std::move(rival));
      }
    }
    std::vector<Match> matches;
    for (auto& [forms, some] : by_form) {
      for (auto& [sure, match] : some) {
        if (!sure) match.alternatives.emplace_back("another of its shape: the order of the modules alone says so");
        matches.push_back(std::move(match));
      }
    }
    return matches;
  }

 private:
  static std::vector<size_t> Rest(const Network& network, const std::vector<bool>& done) {
    std::vector<size_t> rest;
    for (size_t i = 0; i < done.size(); ++i) {
      if (!done[i] && !IsOptimizerState(network.modules[i].path)) rest.push_back(i);
    }
    return rest;
  }
  const Module& Left(size_t i) const { return source_.modules[left_[i]]; }
  const Module& Right(size_t k) const { return target_.modules[right_[k]]; }

  // Contents as numbers, so that most pairs are told apart at once.
  void NumberContents() {
    std::map<std::string, size_t> numbers;
    for (size_t i = 0; i < left_.size(); ++i)
      content_left_.push_back(numbers.try_emplace(ContentOf(source_, Left(i)), numbers.size()).first->second);
    for (size_t k = 0; k < right_.size(); ++k)
      content_right_.push_back(numbers.try_emplace(ContentOf(target_, Right(k)), numbers.size()).first->second);
    counts_left_.resize(numbers.size(), 0);
    counts_right_.resize(numbers.size(), 0);
    for (const size_t c : content_left_) ++counts_left_[c];
    for (const size_t c : content_right_) ++counts_right_[c];
  }

  const Roles& RolesFor(const std::string& form) {
    const auto [found, fresh] = roles_.try_emplace(form);
    if (fresh) found->second = RolesOf(form);
    return found->second;
  }

  double Alike(size_t i, size_t k) {
    const auto [found, fresh] = alike_.try_emplace({Left(i).form, Right(k).form}, 0.0F);
    if (fresh) {
      const bool contradict = Contradict(RolesFor(Left(i).form), RolesFor(Right(k).form));
      found->second = contradict ? -1.0F : static_cast<float>(Similarity(Left(i).form, Right(k).form));
    }
    return found->second;
  }
  // What a pair adds to the sequence; negative: it is none.
  float Gain(size_t i, size_t k) {
    if (content_left_[i] != content_right_[k] || !Fits(source_, Left(i), target_, Right(k))) return -1.0F;
    const double alike = Alike(i, k);
    return alike < 0 ? -1.0F : 1.0F + 0.3F * static_cast<float>(alike);
  }

  void FindSequence() {
    const size_t width = right_.size() + 1;
    std::vector<float> best((left_.size() + 1) * width, 0);
    for (size_t i = left_.size(); i-- > 0;) {
      for (size_t k = right_.size(); k-- > 0;) {
        const float skip = std::max(best[(i + 1) * width + k], best[i * width + k + 1]);
        const float both = Gain(i, k);
        best[i * width + k] = both < 0 ? skip : std::max(skip, both + best[(i + 1) * width + k + 1]);
      }
    }
    for (size_t i = 0, k = 0; i < left_.size() && k < right_.size();) {
      const float both = Gain(i, k);
      if (both >= 0 && best[i * width + k] == both + best[(i + 1) * width + k + 1]) {
        pairs_.emplace_back(i++, k++);
      } else if (best[i * width + k] == best[(i + 1) * width + k]) {
        ++i;
      } else {
        ++k;
      }
    }
  }

  // ---- block by block: where the modules of a block stand in another order ---------------------------------

  struct Block {
    std::string content;  // what its modules hold, in any order
    std::vector<size_t> modules;
  };
  // Modules of one path up to the last number; a module without numbers is a block.
  std::vector<Block> BlocksOf(bool source) const {
    const std::vector<size_t>& contents = source ? content_left_ : content_right_;
    std::map<std::string, size_t> by_path;
    std::vector<Block> blocks;
    for (size_t i = 0; i < contents.size(); ++i) {
      const Module& module = source ? Left(i) : Right(i);
      const size_t hole = module.form.rfind('#');
      std::string path = module.path;
      if (hole != std::string::npos) {
        path = module.form.substr(0, hole + 1);
        for (const int64_t number : module.index) path += "/" + std::to_string(number);
      }
      const auto [found, fresh] = by_path.try_emplace(path, blocks.size());
      if (fresh) blocks.emplace_back();
      blocks[found->second].modules.push_back(i);
    }
    for (Block& block : blocks) {
      std::vector<size_t> sorted;
      for (const size_t i : block.modules) sorted.push_back(contents[i]);
      std::sort(sorted.begin(), sorted.end());
      for (const size_t content : sorted) block.content += std::to_string(content) + " ";
    }
    return blocks;
  }

  std::vector<std::pair<size_t, size_t>> PairBlocks() {
    const std::vector<Block> left = BlocksOf(true), right = BlocksOf(false);
    const size_t width = right.size() + 1;
    std::vector<size_t> best((left.size() + 1) * width, 0);
    for (size_t i = left.size(); i-- > 0;) {
      for (size_t k = right.size(); k-- > 0;) {
        best[i * width + k] = std::max(best[(i + 1) * width + k], best[i * width + k + 1]);
        if (left[i].content == right[k].content)
          best[i * width + k] = std::max(best[i * width + k], left[i].modules.size() + best[(i + 1) * width + k + 1]);
      }
    }
    std::vector<std::pair<size_t, size_t>> pairs;
    for (size_t i = 0, k = 0; i < left.size() && k < right.size();) {
      if (left[i].content == right[k].content &&
          best[i * width + k] == left[i].modules.size() + best[(i + 1) * width + k + 1]) {
        PairModules(left[i++], right[k++], pairs);
      } else if (best[i * width + k] == best[(i + 1) * width + k]) {
        ++i;
      } else {
        ++k;
      }
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
  }
  // Those of one content: first the names that are most alike, else in the order in which they stand. Matrices go
  // first, and the norm behind a matrix goes with it.
  void PairModules(const Block& left, const Block& right, std::vector<std::pair<size_t, size_t>>& pairs) {
    std::set<size_t> taken_left, taken_right;
    const std::set<size_t> all_left(left.modules.begin(), left.modules.end()),
        all_right(right.modules.begin(), right.modules.end());
    const auto take = [&](size_t i, size_t k) {
      if (!all_left.contains(i) || !all_right.contains(k) || Gain(i, k) < 0 || taken_left.contains(i) ||
          taken_right.contains(k))
        return false;
      taken_left.insert(i);
      taken_right.insert(k);
      pairs.emplace_back(i, k);
      return true;
    };
    for (const bool matrices : {true, false}) {
      std::vector<std::tuple<int, size_t, size_t>> fitting;
      for (const size_t i : left.modules) {
        for (const size_t k : right.modules) {
          if (IsMatrix(Left(i)) == matrices && Gain(i, k) >= 0)
            fitting.emplace_back(-static_cast<int>(Alike(i, k) / kBetter), i, k);
        }
      }
      std::sort(fitting.begin(), fitting.end());
      for (const auto& [alike, i, k] : fitting) {
        if (!take(i, k)) continue;
        if (matrices && i + 1 < left_.size() && k + 1 < right_.size() && !IsMatrix(Left(i + 1))) take(i + 1, k + 1);
      }
    }
  }
  // Of a module of the source.
  bool IsMatrix(const Module& module) const {
    const auto weight = module.leaves.find("w");
    return weight != module.leaves.end() && WithoutOnes(source_.Tensor(weight->second).shape).size() > 1;
  }

  // Whether nothing near by could change places with this pair: names or numbers say which is which.
  bool Supported(size_t p, std::vector<std::string>& rivals) {
    const auto [i, k] = pairs_[p];
    bool supported = true;
    for (size_t q = p > kWindow ? p - kWindow : 0; q < std::min(pairs_.size(), p + kWindow + 1); ++q) {
      const auto [other_i, other_k] = pairs_[q];
      if (q == p || content_left_[other_i] != content_left_[i]) continue;
      if (Ordered(Left(i).path, Left(other_i).path, Right(k).path, Right(other_k).path)) continue;
      if (Alike(i, k) + Alike(other_i, other_k) >=
          std::max(Alike(i, other_k), 0.0) + std::max(Alike(other_i, k), 0.0) + kBetter)
        continue;
      supported = false;
      rivals.push_back(Right(other_k).form);
    }
    return supported;
  }

  // Names that differ in numbers alone, on both sides in the same direction.
  static bool Ordered(const std::string& a, const std::string& other_a, const std::string& b,
                      const std::string& other_b) {
    const NameTemplate left = TemplateOf(a), left_other = TemplateOf(other_a), right = TemplateOf(b),
                       right_other = TemplateOf(other_b);
    // The words of one side may differ, where the other side counts: `b1.conv2` and `b2.conv1`.
    const bool counted =
        (left.stem == left_other.stem) || (right.stem == right_other.stem) || Before(left, left_other) != 0;
    return counted && Before(left, left_other) != 0 && Before(left, left_other) == Before(right, right_other);
  }
  // By the first number that differs, if nothing but numbers differs before it.
  static int Before(const NameTemplate& a, const NameTemplate& b) {
    const auto same = std::mismatch(a.stem.begin(), a.stem.end(), b.stem.begin(), b.stem.end());
    const auto shared = static_cast<size_t>(std::count(a.stem.begin(), same.first, '#'));
    for (size_t n = 0; n < std::min({shared, a.numbers.size(), b.numbers.size()}); ++n) {
      if (a.numbers[n] != b.numbers[n]) return a.numbers[n] < b.numbers[n] ? -1 : 1;
    }
    return 0;
  }

  const Network& source_;
  const Network& target_;
  std::vector<size_t> left_, right_;
  std::vector<size_t> content_left_, content_right_, counts_left_, counts_right_;
  std::map<std::pair<std::string, std::string>, float> alike_;
  std::map<std::string, Roles> roles_;            // by form
  std::vector<std::pair<size_t, size_t>> pairs_;  // of left_ and right_
};

}  // namespace

std::vector<Match> AlignModules(const Network& source, const std::vector<bool>& source_done, const Network& target,
                                const std::vector<bool>& target_done) {
  return Aligner(source, source_done, target, target_done).Run();
}

}  // namespace ckmap::suggest
