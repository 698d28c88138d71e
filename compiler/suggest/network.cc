#include "compiler/suggest/network.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "runtime/base/text.h"

namespace ckmap::suggest {
namespace {

constexpr size_t kSeries = 4;  // so many names that differ in the number at their end are a series

// Numbers that do not fit, or that are not written as numbers are (007), stay text.
bool IsIndex(std::string_view text) {
  return !text.empty() && text.size() < 10 && std::all_of(text.begin(), text.end(), IsDigit) && (text.size() == 1 || text[0] != '0');
}

std::vector<std::string> Split(std::string_view name, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = std::min(name.find(separator), name.size());
    parts.emplace_back(name.substr(0, end));
    if (end == name.size()) return parts;
    name.remove_prefix(end + 1);
  }
}

// What a leaf is in both frameworks; empty: it is no leaf, but a tensor that a module holds by its own name.
std::string KindOf(std::string_view leaf) {
  static const std::map<std::string, std::string, std::less<>> kKinds = {
      {"weight", "w"},           {"gamma", "w"},          {"embedding_table", "w"},    {"w", "w"},
      {"embedding_weight", "w"}, {"bias", "b"},           {"beta", "b"},               {"running_mean", "mean"},
      {"moving_mean", "mean"},   {"running_var", "var"},  {"moving_variance", "var"},  {"num_batches_tracked", "count"},
  };
  const auto found = kKinds.find(leaf);
  return found == kKinds.end() ? "" : found->second;
}

class Reader {
 public:
  Reader(const Manifest& manifest, const std::vector<bool>& skipped) {
    network_.manifest = &manifest;
    for (size_t i = 0; i < manifest.size(); ++i) {
      if (!skipped[i]) AddTensor(manifest[i].name, i);
    }
    FindSeries();
    for (Module& module : network_.modules) Form(module);
    MakeGroups();
  }
  Network Take() { return std::move(network_); }

 private:
  void AddTensor(const std::string& name, size_t tensor) {
    const size_t dot = name.rfind('.');
    const std::string leaf = dot == std::string::npos ? name : name.substr(dot + 1);
    const std::string kind = dot == std::string::npos ? "" : KindOf(leaf);
    const std::string path = kind.empty() ? name : name.substr(0, dot);
    auto [found, fresh] = by_path_.try_emplace(path, network_.modules.size());
    if (fresh) network_.modules.push_back({path, "", {}, {}});
    network_.modules[found->second].leaves[kind.empty() ? "w" : kind] = {kind.empty() ? "" : leaf, tensor};
  }

  // Segments that end in numbers, as `denselayer12`: a series if there are many of them.
  void FindSeries() {
    std::map<std::string, std::set<std::string>> seen;
    for (const Module& module : network_.modules) {
      for (const std::string& segment : Split(module.path, '.')) {
        const size_t digits = DigitsAt(segment);
        if (digits > 0 && digits < segment.size()) seen[segment.substr(0, digits)].insert(segment.substr(digits));
      }
    }
    for (const auto& [stem, numbers] : seen) {
      if (numbers.size() >= kSeries) series_.insert(stem);
    }
  }
  static size_t DigitsAt(const std::string& segment) {
    size_t at = segment.size();
    while (at > 0 && IsDigit(segment[at - 1])) --at;
    return IsIndex(std::string_view(segment).substr(at)) ? at : segment.size();
  }

  void Form(Module& module) {
    for (const std::string& segment : Split(module.path, '.')) {
      if (!module.form.empty()) module.form += '.';
      const size_t digits = DigitsAt(segment);
      const bool series = digits > 0 && digits < segment.size() && series_.contains(segment.substr(0, digits));
      if (digits == segment.size() || (digits > 0 && !series)) {
        module.form += segment;
        continue;
      }
      int64_t value = 0;
      std::from_chars(segment.data() + digits, segment.data() + segment.size(), value);
      module.form += segment.substr(0, digits) + "#";
      module.index.push_back(value);
    }
  }

  void MakeGroups() {
    std::map<std::string, size_t> by_form;
    for (size_t i = 0; i < network_.modules.size(); ++i) {
      const auto [found, fresh] = by_form.try_emplace(network_.modules[i].form, network_.groups.size());
      if (fresh) network_.groups.push_back({network_.modules[i].form, {}});
      network_.groups[found->second].modules.push_back(i);
    }
    for (Group& group : network_.groups) {
      std::stable_sort(group.modules.begin(), group.modules.end(), [&](size_t a, size_t b) {
        return network_.modules[a].index < network_.modules[b].index;
      });
    }
  }

  Network network_;
  std::map<std::string, size_t> by_path_;
  std::set<std::string> series_;
};

// Words that mean the same, and words that say nothing.
std::string Meaning(const std::string& word) {
  static const std::map<std::string, std::string, std::less<>> kMeanings = {
      {"layernorm", "norm"}, {"ln", "norm"},       {"rmsnorm", "norm"},    {"bn", "norm"},          {"attn", "attention"},
      {"embeddings", "embedding"}, {"embed", "embedding"}, {"embeddings", "embedding"}, {"emb", "embedding"}, {"tok", "token"},
      {"tokens", "token"},   {"word", "token"},    {"query", "q"},         {"key", "k"},            {"value", "v"},
      {"wq", "q"},           {"wk", "k"},          {"wv", "v"},            {"wo", "out"},           {"o", "out"},
      {"output", "out"},     {"ffn", "mlp"},       {"fc", "linear"},       {"dense", "linear"},     {"classifier", "head"},
      {"proj", "projection"}, {"pos", "position"}, {"positional", "position"}, {"downsample", "down"}, {"sample", ""},
      {"cls", "class"},      {"blocks", "layer"},  {"layers", "layer"},    {"block", "layer"},      {"resblocks", "layer"},
      {"h", "layer"},        {"model", ""},        {"self", ""},           {"module", ""},          {"gamma", ""},
      {"router", "gate"},    {"final", ""},        {"features", "feature"},
  };
  const auto found = kMeanings.find(word);
  return found == kMeanings.end() ? word : found->second;
}

// "c_attnProj1" → c, attn, proj, 1.
std::vector<std::string> Pieces(std::string_view segment) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < segment.size(); ++i) {
    const auto c = static_cast<unsigned char>(segment[i]);
    const bool upper = std::isupper(c) != 0 && i > 0 && std::islower(static_cast<unsigned char>(segment[i - 1])) != 0;
    const bool digit = IsDigit(segment[i]) && i > 0 && !IsDigit(segment[i - 1]);
    if (segment[i] == '_' || segment[i] == '-' || segment[i] == '#') {
      words.emplace_back();
      continue;
    }
    if (upper || digit) words.emplace_back();
    words.back() += static_cast<char>(std::tolower(c));
  }
  return words;
}

}  // namespace

Network ReadNetwork(const Manifest& manifest, const std::vector<bool>& skipped) { return Reader(manifest, skipped).Take(); }

std::vector<std::string> WordsOf(std::string_view form) {
  std::vector<std::string> words;
  for (const std::string& segment : Split(form, '.')) {
    for (const std::string& piece : Pieces(segment)) {
      const std::string word = Meaning(piece);
      if (!word.empty()) words.push_back(word);
    }
  }
  return words;
}

double Similarity(std::string_view a, std::string_view b) {
  if (a == b) return 1.0;
  const std::vector<std::string> left = WordsOf(a), right = WordsOf(b);
  const auto weight = [](size_t from_end) { return from_end < 2 ? 3.0 : from_end < 4 ? 1.5 : 1.0; };
  double common = 0, total = 0;
  std::vector<bool> taken(right.size(), false);
  for (size_t i = left.size(); i-- > 0;) {
    const double own = weight(left.size() - 1 - i);
    total += own;
    for (size_t k = right.size(); k-- > 0;) {
      if (taken[k] || right[k] != left[i]) continue;
      taken[k] = true;
      common += own + weight(right.size() - 1 - k);
      break;
    }
  }
  for (size_t k = 0; k < right.size(); ++k) total += weight(right.size() - 1 - k);
  return total > 0 ? 0.99 * common / total : 0;
}

}  // namespace ckmap::suggest
