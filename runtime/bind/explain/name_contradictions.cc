#include "runtime/bind/explain/name_contradictions.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "runtime/bind/explain/crossed_words.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap {
namespace {

// Segments of a name, with words in their canonical spelling.
struct Spelling {
  std::vector<std::vector<std::string>> segments;

  // The name with one segment (`word` < 0) or one word of it replaced by a hole.
  std::string Around(size_t segment, int word) const {
    std::string out;
    for (size_t s = 0; s < segments.size(); ++s) {
      out += '.';
      if (s == segment && word < 0) {
        out += '\1';
        continue;
      }
      for (size_t w = 0; w < segments[s].size(); ++w) {
        out += s == segment && static_cast<size_t>(word) == w ? "\1" : segments[s][w];
        out += '_';
      }
    }
    return out;
  }
  std::string At(size_t segment, int word) const {
    return word < 0 ? fmt::format("{}", fmt::join(segments[segment], "_"))
                    : segments[segment][static_cast<size_t>(word)];
  }
};

Spelling SpellingOf(std::string_view name, std::string_view separator) {
  Spelling spelling;
  for (const std::string& segment : SegmentsOf(name, separator)) {
    std::vector<std::string> words;
    for (const std::string& word : WordsOfSegment(segment)) words.push_back(CanonicalWord(word));
    spelling.segments.push_back(std::move(words));
  }
  return spelling;
}

// What names of one form become, differing in one token alone: a → b.
struct Exchange {
  std::string to;
  size_t pair = 0;
};

class Contradictions {
 public:
  Contradictions(const BindContext& context, const TensorLinks& links) : context_(context), links_(links) {}

  void Find() {
    ByRoles();
    ByExchange();
    ByNumbers();
    ByOrder();
    for (const CrossedPair& crossed : FindCrossedWords(context_, links_, FirstOfEachForm()))
      AddPair(crossed.pair, crossed.left, crossed.right);
  }

  void Report(std::vector<Issue>& issues) const {
    for (const auto& [where, finding] : findings_) {
      constexpr size_t kShown = 3;
      std::vector<std::string> notes(
          finding.notes.begin(),
          finding.notes.begin() + static_cast<std::ptrdiff_t>(std::min(finding.notes.size(), kShown)));
      if (finding.notes.size() > kShown) notes.push_back(fmt::format("and {} more", finding.notes.size() - kShown));
      issues.push_back({"CK1234", IssueSeverity::kWarning, finding.tensor,
                        fmt::format("{}: {}", where, finding.message), std::move(notes),
                        "check which of the two is meant: shapes cannot tell"});
    }
  }

 private:
  struct Finding {
    std::string tensor, message;
    std::vector<std::string> notes;
  };

  const std::string& Source(size_t index) const { return context_.visible.files()[index].name; }
  const std::string& Target(size_t index) const { return context_.target[index].name; }

  void Add(const TensorLink& link, const std::string& tensor, std::string message, std::string note) {
    const auto [at, made] = findings_.try_emplace(links_.Where(link), Finding{tensor, std::move(message), {}});
    std::vector<std::string>& notes = at->second.notes;
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
  }

  void AddPair(size_t pair, const std::string& left, const std::string& right) {
    const TensorLinks::Pair& p = links_.pairs()[pair];
    const TensorLink& link = links_.all()[p.link];
    // One example of each two tokens is enough.
    if (!noted_.insert(pair).second || !told_.emplace(links_.Where(link), left, right).second) return;
    Add(link, Target(p.target), fmt::format("names contradict: `{}` goes to `{}`", left, right),
        fmt::format("`{}` becomes `{}`", Source(p.source), Target(p.target)));
  }

  // Pairs whose names differ in numbers alone are one form.
  std::vector<size_t> FirstOfEachForm() const {
    std::vector<size_t> first;
    std::set<std::pair<std::string, std::string>> seen;
    for (size_t i = 0; i < links_.pairs().size(); ++i) {
      const TensorLinks::Pair& pair = links_.pairs()[i];
      // Numbers of words are roles (w1, norm2): only those that are segments are left out.
      if (seen.emplace(Form(Source(pair.source), context_.source_separator),
                       Form(Target(pair.target), context_.target_separator))
              .second)
        first.push_back(i);
    }
    return first;
  }

  static std::string Form(const std::string& name, std::string_view separator) {
    std::string form;
    for (const std::string& segment : SegmentsOf(name, separator)) {
      const bool number = segment.find_first_not_of("0123456789") == std::string::npos;
      form += number ? "#" : segment;
      form += '.';
    }
    return form;
  }

  void ByRoles() {
    std::set<size_t> fused;  // links of which a tensor holds several others
    for (const TensorLinks::Fused& whole : links_.fused()) fused.insert(whole.link);
    const bool reverse = HasReverse(context_.visible.files(), context_.source_separator) &&
                         HasReverse(context_.target, context_.target_separator);
    std::vector<std::pair<size_t, Contradiction>> embeddings;
    for (const size_t i : FirstOfEachForm()) {
      const TensorLinks::Pair& pair = links_.pairs()[i];
      const NameRoles left = RolesOf(Source(pair.source), context_.source_separator, context_.visible.files()),
                      right = RolesOf(Target(pair.target), context_.target_separator, context_.target);
      for (Contradiction& found : ContradictionsOf(left, right)) {
        if (IsNormOfAnotherKind(found)) continue;
        // A fused tensor's name tells of all its parts, or of one: the order says more (ByOrder).
        const bool part = found.question == "projection" || found.question == "branch";
        if (part && (fused.contains(pair.link) || links_.all()[pair.link].instance->sources.size() > 1)) {
          if (links_.all()[pair.link].bound->inputs.size() > 1) continue;
        }
        if (found.question == "embedding") {
          embeddings.emplace_back(i, std::move(found));
        } else {
          AddPair(i, found.left, found.right);
        }
      }
      if (reverse && IsReverse(Source(pair.source), context_.source_separator) !=
                         IsReverse(Target(pair.target), context_.target_separator)) {
        const bool from = IsReverse(Source(pair.source), context_.source_separator);
        AddPair(i, from ? "reverse" : "forward", from ? "forward" : "reverse");
      }
    }
    AddEmbeddings(embeddings);
  }

  static bool HasReverse(const Manifest& manifest, std::string_view separator) {
    return std::any_of(manifest.tensors().begin(), manifest.tensors().end(),
                       [&](const TensorInfo& tensor) { return IsReverse(tensor.name, separator); });
  }

  // One embedding may well serve as another's, where they are tied; two that are exchanged may not.
  void AddEmbeddings(const std::vector<std::pair<size_t, Contradiction>>& found) {
    const auto roles = [&](size_t i) {
      const TensorLinks::Pair& pair = links_.pairs()[i];
      return std::pair(
          RolesOf(Source(pair.source), context_.source_separator, context_.visible.files())
              .by_question.at("embedding")
              .role,
          RolesOf(Target(pair.target), context_.target_separator, context_.target).by_question.at("embedding").role);
    };
    for (const auto& [i, contradiction] : found) {
      const auto own = roles(i);
      const bool exchanged = std::any_of(found.begin(), found.end(), [&](const auto& other) {
        const auto its = roles(other.first);
        return its.first == own.second && its.second == own.first;
      });
      if (exchanged) AddPair(i, contradiction.left, contradiction.right);
    }
  }

  // Networks with norms on both sides of a layer mean other places by the same words.
  bool IsNormOfAnotherKind(const Contradiction& found) const {
    if (found.question != "norm" && found.question != "sublayer") return false;
    if (!checked_norms_) {
      checked_norms_ = true;
      for (const Manifest* manifest : {&context_.visible.files(), &context_.target}) {
        for (const TensorInfo& tensor : manifest->tensors()) {
          for (const char* other : {"pre_feedforward", "post_feedforward", "post_mlp", "post_self_attn"}) {
            four_norms_ = four_norms_ || tensor.name.find(other) != std::string::npos;
          }
        }
      }
    }
    return four_norms_;
  }

  // Two or more names that differ in one token exchange it: query and key, norm1 and norm2.
  void ByExchange() {
    std::unordered_map<std::string, std::map<std::string, Exchange>> maps;
    const auto holes = [](const Spelling& spelling, const auto& visit) {
      for (size_t s = 0; s < spelling.segments.size(); ++s) {
        visit(s, -1);
        if (spelling.segments[s].size() < 2) continue;
        for (size_t w = 0; w < spelling.segments[s].size(); ++w) visit(s, static_cast<int>(w));
      }
    };
    for (const size_t i : FirstOfEachForm()) {
      const TensorLinks::Pair& pair = links_.pairs()[i];
      const Spelling left = SpellingOf(Source(pair.source), context_.source_separator),
                     right = SpellingOf(Target(pair.target), context_.target_separator);
      holes(left, [&](size_t s, int w) {
        holes(right, [&](size_t t, int v) {
          if (left.At(s, w) == right.At(t, v)) return;
          maps[left.Around(s, w) + '\2' + right.Around(t, v)].try_emplace(left.At(s, w), Exchange{right.At(t, v), i});
        });
      });
    }
    AddCycles(maps);
  }

  // Layers that exchange their numbers.
  void ByNumbers() {
    std::unordered_map<std::string, std::map<std::string, Exchange>> maps;
    for (size_t i = 0; i < links_.pairs().size(); ++i) {
      const TensorLinks::Pair& pair = links_.pairs()[i];
      const NameTemplate left = TemplateOf(Source(pair.source)), right = TemplateOf(Target(pair.target));
      if (left.numbers == right.numbers) continue;
      const auto around = [](const NameTemplate& name, size_t hole) {
        std::string key = name.stem;
        for (size_t k = 0; k < name.numbers.size(); ++k) key += k == hole ? "\1" : fmt::format("\3{}", name.numbers[k]);
        return key;
      };
      for (size_t p = 0; p < left.numbers.size(); ++p) {
        for (size_t q = 0; q < right.numbers.size(); ++q) {
          if (left.numbers[p] == right.numbers[q]) continue;
          maps[around(left, p) + '\2' + around(right, q)].try_emplace(std::to_string(left.numbers[p]),
                                                                      Exchange{std::to_string(right.numbers[q]), i});
        }
      }
    }
    AddCycles(maps);
  }

  // The tokens that come back to themselves. Each is walked over once: layers that move by one are a long chain.
  static std::vector<std::string> InCycles(const std::map<std::string, Exchange>& map) {
    std::vector<std::string> cycles;
    std::unordered_map<std::string, const Exchange*> walked;  // token → where its walk began
    for (const auto& [start, first] : map) {
      std::string at = start;
      auto next = map.find(at);
      for (; next != map.end() && walked.emplace(at, &first).second; next = map.find(at)) at = next->second.to;
      if (next == map.end() || walked.at(at) != &first) continue;
      const std::string end = at;
      do {
        cycles.push_back(at);
        at = map.at(at).to;
      } while (at != end);
    }
    return cycles;
  }

  void AddCycles(const std::unordered_map<std::string, std::map<std::string, Exchange>>& maps) {
    std::map<size_t, std::pair<std::string, std::string>> found;  // pair → tokens, in the pairs' order
    for (const auto& [form, map] : maps) {
      for (const std::string& start : InCycles(map)) {
        const Exchange& first = map.at(start);
        const auto [known, made] = found.try_emplace(first.pair, start, first.to);
        // The shortest tokens say it best, whatever the order of the map.
        const auto size = [](const auto& tokens) { return tokens.first.size() + tokens.second.size(); };
        const std::pair<std::string, std::string> tokens(start, first.to);
        if (!made && std::pair(size(tokens), tokens) < std::pair(size(known->second), known->second))
          known->second = tokens;
      }
    }
    for (const auto& [pair, tokens] : found) AddPair(pair, tokens.first, tokens.second);
  }

  // A fused tensor whose name tells another order of its parts than the rule.
  void ByOrder() {
    for (const TensorLinks::Fused& fused : links_.fused()) {
      const std::string& whole = fused.on_source ? Source(fused.whole) : Target(fused.whole);
      const std::vector<std::string> told =
          OrderOfParts(whole, fused.on_source ? context_.source_separator : context_.target_separator);
      std::vector<std::string> found;
      for (const TensorLinks::Fused::Part& part : fused.parts) found.push_back(RoleOfPart(fused, part));
      if (ForeignPart(fused, found) || told.size() < 2) continue;
      found.erase(std::unique(found.begin(), found.end()), found.end());
      found.resize(PeriodOf(found));
      std::vector<size_t> places;
      for (const std::string& word : found) {
        const auto at = std::find(told.begin(), told.end(), word);
        if (at == told.end()) break;
        places.push_back(static_cast<size_t>(at - told.begin()));
      }
      if (places.size() != found.size() || std::is_sorted(places.begin(), places.end())) continue;
      Add(links_.all()[fused.link], whole,
          fmt::format("names contradict: `{}` gives the order {}, the rule has {}", whole, fmt::join(told, ", "),
                      fmt::join(found, ", ")),
          fmt::format("the first part is `{}`",
                      fused.on_source ? Target(fused.parts[0].tensor) : Source(fused.parts[0].tensor)));
    }
  }

  // Of expert after expert each one tells the same.
  static size_t PeriodOf(const std::vector<std::string>& words) {
    for (size_t period = 1; period < words.size(); ++period) {
      if (words.size() % period != 0) continue;
      bool repeats = true;
      for (size_t i = period; i < words.size() && repeats; ++i) repeats = words[i] == words[i - period];
      if (repeats) return period;
    }
    return words.size();
  }

  // The way back (down, output) does not belong among what goes in (gate and up, query and key and value).
  bool ForeignPart(const TensorLinks::Fused& fused, const std::vector<std::string>& found) {
    for (const auto& [back, in] : {std::pair("down", "gate"), std::pair("down", "up"), std::pair("output", "q"),
                                   std::pair("output", "k"), std::pair("output", "v")}) {
      const auto foreign = std::find(found.begin(), found.end(), back), own = std::find(found.begin(), found.end(), in);
      if (foreign == found.end() || own == found.end()) continue;
      const auto name = [&](auto at) {
        const size_t tensor = fused.parts[static_cast<size_t>(at - found.begin())].tensor;
        return fused.on_source ? Target(tensor) : Source(tensor);
      };
      Add(links_.all()[fused.link], name(foreign),
          fmt::format("names contradict: `{}` is the {} projection, and is put beside `{}`", name(foreign), back,
                      name(own)),
          fmt::format("the fused tensor is `{}`", fused.on_source ? Source(fused.whole) : Target(fused.whole)));
      return true;
    }
    return false;
  }

  std::string RoleOfPart(const TensorLinks::Fused& fused, const TensorLinks::Fused::Part& part) const {
    const NameRoles roles = fused.on_source
                                ? RolesOf(Target(part.tensor), context_.target_separator, context_.target)
                                : RolesOf(Source(part.tensor), context_.source_separator, context_.visible.files());
    for (const char* question : {"projection", "branch"}) {
      const auto role = roles.by_question.find(question);
      if (role != roles.by_question.end()) return CanonicalWord(role->second.role);
    }
    return "";
  }

  const BindContext& context_;
  const TensorLinks& links_;
  std::map<std::string, Finding> findings_;  // where → what
  std::set<std::tuple<std::string, std::string, std::string>> told_;
  std::set<size_t> noted_;  // pairs of which something was said
  mutable bool checked_norms_ = false, four_norms_ = false;
};

}  // namespace

void ReportContradictions(const BindContext& context, const TensorLinks& links, std::vector<Issue>& issues) {
  Contradictions contradictions(context, links);
  contradictions.Find();
  contradictions.Report(issues);
}

}  // namespace ckmap
