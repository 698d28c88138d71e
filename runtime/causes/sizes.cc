// Sizes that differ: another number of classes, another vocabulary or resolution, another width, a slice of one rank.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

struct SizeMisfit {
  size_t target = 0;
  std::string source, name;  // source: "" if it is made of several
  std::vector<size_t> axes;
  Shape given, wanted;
  bool copied = false;  // no rule stands between
};

bool IsNorm(const std::string& name) {
  return HasWord(name, {"norm", "bn", "ln", "layernorm", "layer", "gamma", "beta", "batchnorm", "groupnorm"});
}

class Sizes {
 public:
  explicit Sizes(const Findings& findings) : findings_(findings), situation_(findings.situation) {
    for (const Misfit& misfit : findings.shapes) {
      const IssueFacts& facts = *misfit.facts;
      if (facts.given.size() != facts.wanted.size()) continue;
      SizeMisfit found{.target = misfit.target,
                       .source = {},
                       .name = situation_.target[misfit.target].name,
                       .axes = {},
                       .given = facts.given,
                       .wanted = facts.wanted,
                       .copied = facts.line == 0};
      if (facts.sources.size() == 1) found.source = situation_.source[facts.sources[0]].name;
      for (size_t i = 0; i < facts.given.size(); ++i) {
        if (facts.given[i] != facts.wanted[i] && facts.wanted[i] != -1) found.axes.push_back(i);
      }
      misfits_.push_back(std::move(found));
    }
  }

  void Suggest(Hypotheses& out) const {
    if (misfits_.empty()) return;
    Dynamic(out);
    std::map<std::pair<int64_t, int64_t>, std::vector<const SizeMisfit*>> pairs;
    for (const SizeMisfit& misfit : misfits_) {
      if (misfit.axes.size() != 1) continue;
      pairs[{misfit.given[misfit.axes[0]], misfit.wanted[misfit.axes[0]]}].push_back(&misfit);
    }
    Slices(out);
    if (pairs.size() <= 12) {
      for (const auto& [sizes, those] : pairs) OneSize(sizes.first, sizes.second, those, out);
    }
    if (pairs.size() != 1 || misfits_.size() != pairs.begin()->second.size()) Widths(out);
  }

 private:
  void Diagnose(std::string kind, std::string message, std::vector<std::string> notes,
                const std::vector<const SizeMisfit*>& those, int order, Hypotheses& out) const {
    std::vector<std::pair<size_t, Shape>> shapes;
    for (const SizeMisfit* misfit : those) shapes.emplace_back(misfit->target, misfit->given);
    out.push_back({.kind = std::move(kind),
                   .message = std::move(message),
                   .notes = std::move(notes),
                   .apply =
                       [shapes](Situation& s) {
                         for (const auto& [target, shape] : shapes) s.target.at(target).shape = shape;
                       },
                   .edit = {},
                   .order = order});
  }

  std::vector<const SizeMisfit*> All() const {
    std::vector<const SizeMisfit*> all;
    for (const SizeMisfit& misfit : misfits_) all.push_back(&misfit);
    return all;
  }

  static std::string NamesOf(const std::vector<const SizeMisfit*>& those, size_t shown = 3) {
    std::vector<std::string> names, patterns;
    for (const SizeMisfit* misfit : those) names.push_back(misfit->name);
    for (const auto& [pattern, count] : FoldAll(names)) patterns.push_back(count == 1 ? names[0] : pattern);
    if (patterns.size() == names.size()) patterns = names;
    return Listed(patterns, shown);
  }

  // Sizes that a spec leaves open.
  void Dynamic(Hypotheses& out) const {
    std::vector<const SizeMisfit*> open;
    for (const SizeMisfit& misfit : misfits_) {
      const bool all = std::all_of(misfit.axes.begin(), misfit.axes.end(),
                                   [&](size_t axis) { return misfit.given[axis] < 0 || misfit.wanted[axis] < 0; });
      if (all) open.push_back(&misfit);
    }
    if (open.empty()) return;
    Diagnose("dynamic size",
             fmt::format("the source has a dynamic size (-1) where the target has a fixed one: {}", NamesOf(open)),
             {"describe the source with the sizes that its tensors have"}, open, 25, out);
  }

  // Each tensor is smaller along one axis, all by one factor, and norms are whole.
  void Slices(Hypotheses& out) const {
    if (misfits_.size() < 2) return;
    int64_t ranks = 0;
    bool source_is_slice = true;
    std::map<size_t, std::vector<const SizeMisfit*>> by_axis;
    for (const SizeMisfit& misfit : misfits_) {
      if (misfit.axes.size() != 1) return;
      const size_t axis = misfit.axes[0];
      const int64_t given = misfit.given[axis], wanted = misfit.wanted[axis];
      if (given <= 0 || wanted <= 0 || (wanted % given != 0 && given % wanted != 0)) return;
      const int64_t factor = std::max(given, wanted) / std::min(given, wanted);
      if (ranks == 0) {
        ranks = factor;
        source_is_slice = given < wanted;
      }
      if (factor != ranks || source_is_slice != (given < wanted)) return;
      if (misfit.given.size() == 1 && IsNorm(misfit.name) && !misfit.name.ends_with("bias")) return;  // another width
      by_axis[axis].push_back(&misfit);
    }
    std::set<std::string> patterns;
    std::vector<std::string> names;
    for (const SizeMisfit& misfit : misfits_) names.push_back(misfit.name);
    const auto folds = FoldAll(names);
    if (ranks < 2 || (folds.size() < 3 && by_axis.size() < 2)) return;
    std::vector<std::string> notes;
    for (const auto& [axis, those] : by_axis) {
      notes.push_back(fmt::format("cut along axis {}: {} tensors, such as {}", axis, those.size(), NamesOf(those)));
    }
    const std::string what =
        source_is_slice
            ? fmt::format("the source is a slice of one of {} ranks, and the target the whole network", ranks)
            : fmt::format("the target is a slice of one of {} ranks, and the source the whole network", ranks);
    notes.push_back(source_is_slice ? "give all ranks' files, merged (a strategy file or their index), not one of them"
                                    : fmt::format("describe the whole network as the target; `shard` statements and "
                                                  "--rank GROUP=I/{} write slices",
                                                  ranks));
    Diagnose("slice", what, std::move(notes), All(), 22, out);
  }

  static int64_t Grid(int64_t tokens) {
    for (const int64_t extra : {0, 1, 2}) {
      const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(tokens - extra))));
      if (side > 1 && side * side == tokens - extra) return side;
    }
    return 0;
  }

  void OneSize(int64_t given, int64_t wanted, const std::vector<const SizeMisfit*>& those, Hypotheses& out) const {
    if (given < 0 || wanted < 0) return;
    const auto all = [&](auto is) { return std::all_of(those.begin(), those.end(), is); };
    const bool first = all([](const SizeMisfit* misfit) { return misfit->axes[0] == 0; });
    const bool embeds = std::any_of(those.begin(), those.end(), [](const SizeMisfit* misfit) {
      return HasWord(misfit->name, {"embed", "embedding", "embeddings", "wte", "tok", "word", "lm", "vocab", "shared"});
    });
    const bool positions = all([](const SizeMisfit* misfit) {
      return HasWord(misfit->name, {"pos", "position", "positions", "positional", "wpe"});
    });
    const bool heads = all([](const SizeMisfit* misfit) {
      return HasWord(misfit->name, {"fc", "head", "classifier", "cls", "dense", "linear", "output", "logits", "class",
                                    "score", "predictor", "pred", "projector"});
    });
    std::string kind = "size", message, note;
    const std::string where = NamesOf(those);
    if (positions) {
      kind = "resolution";
      const int64_t from = Grid(given), to = Grid(wanted);
      message = from > 0 && to > 0
                    ? fmt::format(
                          "another resolution: the source has {} positions ({} x {}), the target {} "
                          "({} x {}): {}",
                          given, from, from, wanted, to, to, where)
                    : fmt::format("the source has {} positions, the target {}: {}", given, wanted, where);
      note = from > 0 && to > 0
                 ? "make the network for the source's image size, or resize the embedding with `interpolate`"
                 : fmt::format("make the network with {} positions, or cut or pad the embedding", given);
    } else if (first && embeds) {
      kind = "vocabulary";
      int64_t multiple = 0;
      for (const int64_t step : {512, 256, 128, 64, 32, 16, 8}) {
        const int64_t small = std::min(given, wanted), large = std::max(given, wanted);
        if (large % step == 0 && (small + step - 1) / step * step == large) {
          multiple = step;
          break;
        }
      }
      message = fmt::format("the vocabulary has {} words in the source and {} in the target{}: {}", given, wanted,
                            multiple > 0 ? fmt::format(" (padded to a multiple of {})", multiple) : "", where);
      note = fmt::format("make the network with vocab_size={}, or {}", given,
                         wanted > given ? "pad with rows that no token uses" : "cut off rows if no token uses them");
    } else if (first && heads && those.size() <= 6) {
      kind = "classes";
      message = fmt::format("the source has {} classes, the target {}: {}", given, wanted, where);
      note = fmt::format("make the network with num_classes={}, or leave the head out and train it anew", given);
    } else {
      message = fmt::format("{} is {} in the source and {} in the target, in {} tensor{}: {}",
                            those.size() == 1 ? fmt::format("axis {}", those[0]->axes[0]) : "one size", given, wanted,
                            those.size(), those.size() == 1 ? "" : "s", where);
      note = fmt::format("make the network with {} there", given);
    }
    Diagnose(kind, message, {note}, those, 30, out);
    if (kind == "classes") Reinit(those, out);
    if (kind == "vocabulary") Resize(given, wanted, those, out);
  }

  // Leaves the head out.
  void Reinit(const std::vector<const SizeMisfit*>& those, Hypotheses& out) const {
    std::vector<std::pair<std::string, std::string>> names;
    std::string text;
    for (const SizeMisfit* misfit : those) {
      if (!misfit->copied || misfit->source.empty() || !Quoted(misfit->source) || !Quoted(misfit->name)) return;
      names.emplace_back(misfit->source, misfit->name);
      text += fmt::format("{}drop \"{}\" because \"other classes\";\ninit \"{}\" = keep;", text.empty() ? "" : "\n",
                          misfit->source, misfit->name);
    }
    out.push_back({.kind = "classes",
                   .message = "",
                   .apply =
                       [names](Situation& s) {
                         for (const auto& [source, target] : names) {
                           AddDrop(s.plan, source);
                           AddInit(s.plan, target, plan::Init::KEEP);
                         }
                       },
                   .edit = {.file = EditedFile(situation_.plan), .new_text = text, .why = "the head is trained anew"},
                   .evident = false,
                   .order = 31});
  }

  void Resize(int64_t given, int64_t wanted, const std::vector<const SizeMisfit*>& those, Hypotheses& out) const {
    std::vector<RuleText> rules;
    std::string text;
    for (const SizeMisfit* misfit : those) {
      if (!misfit->copied || misfit->source.empty() || !Quoted(misfit->source) || !Quoted(misfit->name)) return;
      OpText op{.name = "pad", .numbers = {{"axis", 0}, {"after", wanted - given}}};
      if (wanted < given) op = {.name = "slice", .numbers = {{"axis", 0}, {"end", wanted}}};
      rules.push_back(
          {.sources = {misfit->source}, .ops = {op}, .targets = {misfit->name}, .both_ways = false, .exactly = {}});
      text += (text.empty() ? "" : "\n") + rules.back().Text();
    }
    // What a slice cuts off is left out.
    const bool cuts = wanted < given;
    if (cuts) {
      for (const SizeMisfit* misfit : those) text += fmt::format("\ntarget {{ allow unused \"{}\"; }}", misfit->source);
    }
    std::vector<std::string> sources;
    for (const SizeMisfit* misfit : those) sources.push_back(misfit->source);
    out.push_back({.kind = "vocabulary",
                   .message = "",
                   .apply =
                       [rules, sources, cuts](Situation& s) {
                         for (const RuleText& rule : rules) AddRule(s.plan, rule);
                         if (!cuts) return;
                         for (const std::string& source : sources)
                           AddPolicy(s.plan, plan::TargetPolicy::ALLOW_UNUSED, source);
                       },
                   .edit = {.file = EditedFile(situation_.plan),
                            .new_text = text,
                            .why = cuts ? "right if no token uses the last rows" : "the rows that are added are zeros"},
                   .evident = false,
                   .order = 31});
  }

  // Several sizes.
  void Widths(Hypotheses& out) const {
    std::map<std::pair<int64_t, int64_t>, size_t> counts;
    for (const SizeMisfit& misfit : misfits_) {
      for (const size_t axis : misfit.axes) ++counts[{misfit.given[axis], misfit.wanted[axis]}];
    }
    std::vector<std::pair<size_t, std::pair<int64_t, int64_t>>> order;
    for (const auto& [sizes, count] : counts) order.emplace_back(count, sizes);
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::string> pairs;
    for (size_t i = 0; i < order.size() && i < 4; ++i)
      pairs.push_back(
          fmt::format("{} against {} ({} times)", order[i].second.first, order[i].second.second, order[i].first));
    Diagnose("width",
             fmt::format("the source and the target are networks of different sizes: {} tensors, {}", misfits_.size(),
                         fmt::join(pairs, ", ")),
             {fmt::format("make the network with the source's sizes (the first: {} for {}), or take the checkpoint of "
                          "the network's size",
                          order[0].second.first, order[0].second.second)},
             All(), 40, out);
  }

  const Findings& findings_;
  const Situation& situation_;
  std::vector<SizeMisfit> misfits_;
};

}  // namespace

void SuggestSizes(const Findings& findings, Hypotheses& out) { Sizes(findings).Suggest(out); }

}  // namespace ckmap
