// Tensors that only one side has: optimizer state, buffers, tied weights, biases, more layers, a head.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/causes/difference.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxPatterns = 12;

// Segments of names that no network has: what optimizers, schedulers and training loops keep.
bool IsTrainingState(std::string_view segment) {
  static const std::set<std::string, std::less<>> kSegments = {"optimizer",
                                                               "optimizer_states",
                                                               "optim",
                                                               "optimizers",
                                                               "opt_state",
                                                               "exp_avg",
                                                               "exp_avg_sq",
                                                               "max_exp_avg_sq",
                                                               "momentum_buffer",
                                                               "moments",
                                                               "moment1",
                                                               "moment2",
                                                               "adam_m",
                                                               "adam_v",
                                                               "lr_scheduler",
                                                               "lr_schedulers",
                                                               "scheduler",
                                                               "scaler",
                                                               "grad_scaler",
                                                               "global_step",
                                                               "learning_rate",
                                                               "beta1_power",
                                                               "beta2_power",
                                                               "epoch_num",
                                                               "step_num",
                                                               "loss_scale",
                                                               "scale_sense",
                                                               "current_iterator_step",
                                                               "last_overflow_iterator_step",
                                                               "accum",
                                                               "square_avg",
                                                               "param_groups",
                                                               "rng_state",
                                                               "fp32_groups_flat"};
  return kSegments.contains(segment);
}

// Leaves that a network computes by itself or that only counts.
bool IsBuffer(std::string_view leaf) {
  static const std::set<std::string, std::less<>> kLeaves = {
      "num_batches_tracked", "position_ids", "token_type_ids",          "inv_freq",  "masked_bias",
      "causal_mask",         "attn_mask",    "relative_position_index", "freqs_cis", "original_inv_freq"};
  return kLeaves.contains(leaf);
}

std::vector<std::string> Patterns(const std::vector<std::string>& names) {
  std::vector<std::string> patterns;
  for (const auto& [pattern, count] : FoldAll(names)) {
    if (Quoted(pattern) || count > 1) patterns.push_back(pattern);
  }
  return patterns;
}

// One pattern for names that begin or end alike, else each folded.
std::vector<std::string> TrainingPatterns(const std::vector<std::string>& names) {
  std::set<std::string> patterns;
  for (const std::string& name : names) {
    const Segments segments = SplitName(name);
    const auto at = std::find_if(segments.begin(), segments.end(), IsTrainingState);
    if (segments.size() == 1) {
      patterns.insert(name);
    } else if (at == segments.begin()) {
      patterns.insert(*at + ".**");
    } else {
      patterns.insert(at + 1 == segments.end() ? "**." + *at : "**." + *at + ".**");
    }
  }
  return {patterns.begin(), patterns.end()};
}

std::string Statements(const std::vector<std::string>& patterns, std::string_view form) {
  std::string text;
  for (const std::string& pattern : patterns)
    text += fmt::format("{}{}", text.empty() ? "" : "\n", fmt::format(fmt::runtime(form), pattern));
  return text;
}

class Leftovers {
 public:
  explicit Leftovers(const Findings& findings) : findings_(findings), situation_(findings.situation) {
    for (size_t i = 0; i < findings.unused.size(); ++i) unused_.push_back(findings.Unused(i).name);
    for (size_t i = 0; i < findings.missing.size(); ++i) missing_.push_back(findings.Missing(i).name);
  }

  void Suggest(Hypotheses& out) const {
    TrainingState(out);
    Buffers(out);
    Ties(out);
    if (missing_.empty()) OnlyUnused(out);
    if (unused_.empty()) OnlyMissing(out);
  }

 private:
  static std::vector<std::string> Those(const std::vector<std::string>& names, bool (*is)(std::string_view),
                                        bool leaf_only) {
    std::vector<std::string> those;
    for (const std::string& name : names) {
      const Segments segments = SplitName(name);
      if (leaf_only ? is(segments.back()) : std::any_of(segments.begin(), segments.end(), is)) those.push_back(name);
    }
    return those;
  }

  void Drop(std::string kind, std::string message, const std::vector<std::string>& patterns, std::string_view reason,
            bool evident, int order, Hypotheses& out) const {
    if (patterns.empty() || patterns.size() > kMaxPatterns) return;
    out.push_back({.kind = std::move(kind),
                   .message = std::move(message),
                   .apply =
                       [patterns](Situation& s) {
                         for (const std::string& pattern : patterns) AddDrop(s.plan, pattern);
                       },
                   .edit = {.file = EditedFile(situation_.plan),
                            .new_text = Statements(patterns, fmt::format("drop \"{{}}\" because \"{}\";", reason))},
                   .evident = evident,
                   .order = order});
  }

  void Keep(std::string kind, std::string message, const std::vector<std::string>& patterns, plan::Init::Kind init,
            std::string_view word, int order, Hypotheses& out) const {
    if (patterns.empty() || patterns.size() > kMaxPatterns) return;
    std::string form = fmt::format("init \"{{}}\" = {};", word);
    out.push_back({.kind = std::move(kind),
                   .message = std::move(message),
                   .apply =
                       [patterns, init](Situation& s) {
                         for (const std::string& pattern : patterns) AddInit(s.plan, pattern, init);
                       },
                   .edit = {.file = EditedFile(situation_.plan), .new_text = Statements(patterns, form)},
                   .evident = false,
                   .order = order});
  }

  void TrainingState(Hypotheses& out) const {
    const auto of_source = Those(unused_, IsTrainingState, false), of_target = Those(missing_, IsTrainingState, false);
    if (!of_source.empty()) {
      Drop("training state",
           fmt::format("{} of the source are state of the training, not of the network: {}", of_source.size(),
                       Listed(TrainingPatterns(of_source))),
           TrainingPatterns(of_source), "state of the training", true, 12, out);
    }
    if (!of_target.empty()) {
      const auto patterns = TrainingPatterns(of_target);
      out.push_back({.kind = "training state",
                     .message = fmt::format("the target is a checkpoint of a training: {} of its tensors are not of "
                                            "the network: {}",
                                            of_target.size(), Listed(patterns)),
                     .apply =
                         [patterns](Situation& s) {
                           for (const std::string& pattern : patterns)
                             AddPolicy(s.plan, plan::TargetPolicy::ALLOW_MISSING, pattern);
                         },
                     .edit = {.file = EditedFile(situation_.plan),
                              .new_text = Statements(patterns, "target {{ allow missing \"{}\"; }}")},
                     .order = 12});
    }
  }

  void Buffers(Hypotheses& out) const {
    const auto names = Those(unused_, IsBuffer, true);
    if (names.empty()) return;
    std::set<std::string> patterns;
    for (const std::string& name : names) {
      const Segments segments = SplitName(name);
      patterns.insert(segments.size() == 1 ? name : "**." + segments.back());
    }
    const std::vector<std::string> list(patterns.begin(), patterns.end());
    Drop("buffers",
         fmt::format("the source has {} buffers that are not weights, and the target has no place for them: {}",
                     names.size(), Listed(list)),
         list, "a buffer, not a weight", true, 12, out);
  }

  // An output layer that is the embedding.
  void Ties(Hypotheses& out) const {
    const auto is_head = [](const std::string& name) {
      return HasWord(name, {"lm", "head", "output", "decoder", "predictions", "proj", "logits", "classifier"}) &&
             name.ends_with("weight");
    };
    const auto is_embedding = [](const TensorInfo& tensor) {
      return tensor.shape.size() == 2 &&
             HasWord(tensor.name, {"embed", "embedding", "embeddings", "wte", "tok", "shared"});
    };
    const std::set<size_t> unused(findings_.unused.begin(), findings_.unused.end());
    std::vector<const TensorInfo*> embeddings;
    for (size_t i = 0; i < situation_.source.size(); ++i) {
      if (!unused.contains(i) && is_embedding(situation_.source[i])) embeddings.push_back(&situation_.source[i]);
    }
    for (const TensorInfo* embedding : embeddings) {
      const auto alone = std::count_if(embeddings.begin(), embeddings.end(),
                                       [&](const TensorInfo* other) { return other->shape == embedding->shape; });
      for (size_t i = 0; i < findings_.unused.size(); ++i) {
        const TensorInfo& head = findings_.Unused(i);
        if (head.shape != embedding->shape || !is_head(head.name) || !missing_.empty()) continue;
        const std::string name = head.name, of = embedding->name;
        if (!Quoted(name) || !Quoted(of)) continue;
        out.push_back({.kind = "tied",
                       .message = fmt::format("the target ties its output layer to the embedding: it has no place for "
                                              "`{}`, of the shape of `{}`",
                                              name, of),
                       .notes = {"`equals` compares the two when they are read: an error if they differ"},
                       .apply = [name, of](Situation& s) { AddDrop(s.plan, name, of); },
                       .edit = {.file = EditedFile(situation_.plan),
                                .new_text = fmt::format("drop \"{}\" equals \"{}\" because \"tied to the embedding\";",
                                                        name, of)},
                       .evident = alone == 1,
                       .order = 13,
                       .group = "tied"});
      }
      for (size_t i = 0; i < findings_.missing.size(); ++i) {
        const TensorInfo& head = findings_.Missing(i);
        if (head.shape != embedding->shape || !is_head(head.name)) continue;
        const bool other = std::any_of(findings_.unused.begin(), findings_.unused.end(),
                                       [&](size_t source) { return situation_.source[source].shape == head.shape; });
        if (other || !Quoted(head.name) || !Quoted(embedding->name)) continue;
        // A rule for the embedding takes it away from where it goes by itself: it is sent there, too.
        const std::string by_name = findings_.AfterRenames({*situation_.source.Find(embedding->name)})[0];
        std::vector<std::string> places = {""};
        for (const TensorInfo& tensor : situation_.target.tensors()) {
          const bool place = tensor.name == by_name || (is_embedding(tensor) && tensor.shape == embedding->shape);
          if (place && tensor.name != head.name && Quoted(tensor.name) && places.size() < 5)
            places.push_back(tensor.name);
        }
        for (const std::string& place : places) Tie(embedding->name, head.name, place, alone == 1, out);
      }
    }
  }

  void Tie(const std::string& embedding, const std::string& head, const std::string& place, bool evident,
           Hypotheses& out) const {
    std::vector<RuleText> rules = {
        {.sources = {embedding}, .ops = {}, .targets = {head}, .both_ways = false, .exactly = {}}};
    if (!place.empty())
      rules.push_back({.sources = {embedding}, .ops = {}, .targets = {place}, .both_ways = false, .exactly = {}});
    std::string text;
    for (const RuleText& rule : rules) text += (text.empty() ? "" : "\n") + rule.Text();
    out.push_back({.kind = "tied",
                   .message = fmt::format("the source ties its output layer to the embedding: `{}` is not in the file, "
                                          "and `{}` has its shape",
                                          head, embedding),
                   .apply =
                       [rules](Situation& s) {
                         for (const RuleText& rule : rules) AddRule(s.plan, rule);
                       },
                   .edit = {.file = EditedFile(situation_.plan), .new_text = text},
                   .evident = evident,
                   .order = 13,
                   .group = "tied"});
  }

  // The stem of layers that one side alone has: "model.layers" with the numbers. "" if the names are not of layers.
  struct Layers {
    std::string stem;
    std::set<int64_t> numbers, others;
  };
  static std::optional<Layers> LayersOf(const std::vector<std::string>& names,
                                        const std::vector<std::string>& all_names) {
    std::map<std::string, std::set<int64_t>> of_stem, all;
    std::map<std::string, size_t> counts;
    const auto collect = [](const std::string& name, auto visit) {
      const Segments segments = SplitName(name);
      for (size_t k = 0; k + 1 < segments.size(); ++k) {
        const auto number = NumberIn(segments[k]);
        if (!number || !number->after.empty()) continue;
        const bool whole = number->before.empty();
        if (!whole && !number->before.ends_with("layer") && !number->before.ends_with("block")) continue;
        if (whole && k == 0) continue;
        visit(whole ? JoinName(segments, 0, k) + "." : JoinName(segments, 0, k) + (k > 0 ? "." : "") + number->before,
              number->number);
      }
    };
    for (const std::string& name : names) {
      collect(name, [&](const std::string& stem, int64_t number) {
        of_stem[stem].insert(number);
        ++counts[stem];
      });
    }
    for (const std::string& name : all_names) {
      collect(name, [&](const std::string& stem, int64_t number) { all[stem].insert(number); });
    }
    for (const auto& [stem, numbers] : of_stem) {
      if (counts[stem] != names.size()) continue;
      Layers layers{.stem = stem, .numbers = numbers, .others = {}};
      for (const int64_t number : all[stem]) {
        if (!numbers.contains(number)) layers.others.insert(number);
      }
      if (!layers.others.empty()) return layers;
    }
    return std::nullopt;
  }

  std::vector<std::string> AllNames(const Manifest& manifest) const {
    std::vector<std::string> names;
    for (const TensorInfo& tensor : manifest.tensors()) names.push_back(tensor.name);
    return names;
  }

  static std::string LayerPatternsText(const Layers& layers) {
    std::vector<std::string> names;
    for (const int64_t number : layers.numbers) names.push_back(fmt::format("`{}{}`", layers.stem, number));
    if (names.size() > 4) return fmt::format("{} … {}", names.front(), names.back());
    return fmt::format("{}", fmt::join(names, ", "));
  }

  static std::vector<std::string> LayerPatterns(const Layers& layers) {
    std::vector<std::string> patterns;
    for (const int64_t number : layers.numbers) patterns.push_back(fmt::format("{}{}.**", layers.stem, number));
    return patterns;
  }

  static bool AllEndIn(const std::vector<std::string>& names, std::initializer_list<std::string_view> leaves) {
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::any_of(leaves.begin(), leaves.end(), [&](std::string_view leaf) {
        return SplitName(name).back() == leaf || SplitName(name).back().ends_with("_" + std::string(leaf));
      });
    });
  }

  void OnlyUnused(Hypotheses& out) const {
    if (unused_.empty()) return;
    if (const auto layers = LayersOf(unused_, AllNames(situation_.source))) {
      const size_t more = layers->numbers.size(), common = layers->others.size();
      Drop("layers",
           fmt::format("the source has {} layers in `{}`, the target {}: {} have no place", more + common, layers->stem,
                       common, LayerPatternsText(*layers)),
           LayerPatterns(*layers), "the target has fewer layers", false, 70, out);
      if (!out.empty())
        out.back().notes.push_back(
            "is the target made with the right number of layers? dropping them changes what the network computes");
      return;
    }
    const auto patterns = Patterns(unused_);
    if (AllEndIn(unused_, {"bias"})) {
      Drop("biases",
           fmt::format("the source has {} biases that the target's layers lack: {}", unused_.size(), Listed(patterns)),
           patterns, "the target has no biases", false, 71, out);
      if (!out.empty())
        out.back().notes.push_back(
            "is the target made with biases (has_bias=True)? without them it computes something else");
      return;
    }
    Drop("unused",
         fmt::format("the target has no place for {} of the source: {}",
                     Plural(static_cast<int64_t>(unused_.size()), "tensor"), Listed(patterns)),
         patterns, "the target has no such part", false, 80, out);
  }

  void OnlyMissing(Hypotheses& out) const {
    if (missing_.empty()) return;
    if (const auto layers = LayersOf(missing_, AllNames(situation_.target))) {
      const bool inside = *layers->numbers.rbegin() < *layers->others.rbegin();
      Keep("layers",
           inside
               ? fmt::format("the source lacks {}: is a shard of the checkpoint missing?", LayerPatternsText(*layers))
               : fmt::format("the target has {} layers in `{}`, the source {}: nothing is there for {}",
                             layers->numbers.size() + layers->others.size(), layers->stem, layers->others.size(),
                             LayerPatternsText(*layers)),
           LayerPatterns(*layers), plan::Init::KEEP, "keep", 70, out);
      if (!out.empty())
        out.back().notes.push_back("is the target made with the right number of layers? `keep` leaves them untrained");
      return;
    }
    const auto patterns = Patterns(missing_);
    if (AllEndIn(missing_, {"bias", "beta"})) {
      Keep("biases",
           fmt::format("the target has {} biases that the source lacks: {}", missing_.size(), Listed(patterns)),
           patterns, plan::Init::ZEROS, "zeros", 71, out);
      return;
    }
    Keep("missing",
         fmt::format("the source has nothing for {} of the target: {}",
                     Plural(static_cast<int64_t>(missing_.size()), "tensor"), Listed(patterns)),
         patterns, plan::Init::KEEP, "keep", 80, out);
  }

  const Findings& findings_;
  const Situation& situation_;
  std::vector<std::string> unused_, missing_;
};

}  // namespace

void SuggestLeftovers(const Findings& findings, Hypotheses& out) { Leftovers(findings).Suggest(out); }

}  // namespace ckmap
