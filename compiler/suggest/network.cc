#include "compiler/suggest/network.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "runtime/base/text.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap::suggest {
namespace {

constexpr size_t kSeries = 4;  // so many names that differ in the number at their end are a series

// Numbers that do not fit, or that are not written as numbers are (007), stay text.
bool IsIndex(std::string_view text) {
  return !text.empty() && text.size() < 10 && std::all_of(text.begin(), text.end(), IsDigit) &&
         (text.size() == 1 || text[0] != '0');
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
    if (FixSequences()) {
      network_.groups.clear();
      MakeGroups();
    }
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
      for (const std::string& segment : SegmentsOf(module.path, ".")) {
        const size_t digits = DigitsAt(segment);
        if (digits > 0 && digits < segment.size()) seen[segment.substr(0, digits)].insert(segment.substr(digits));
      }
    }
    for (const auto& [stem, numbers] : seen) {
      if (numbers.size() >= (IsRepeated(stem) ? 2 : kSeries)) series_.insert(stem);
    }
  }
  // Stems that are repeated in every network: two of them are a series.
  static bool IsRepeated(const std::string& stem) {
    constexpr std::array<std::string_view, 8> kRepeated = {"layer_",  "layers_",   "block_", "blocks_",
                                                           "expert_", "resblock_", "cell_",  "encoder_layer_"};
    return std::any_of(kRepeated.begin(), kRepeated.end(), [&](std::string_view end) { return stem.ends_with(end); });
  }
  static size_t DigitsAt(const std::string& segment) {
    size_t at = segment.size();
    while (at > 0 && IsDigit(segment[at - 1])) --at;
    return IsIndex(std::string_view(segment).substr(at)) ? at : segment.size();
  }

  void Form(Module& module) {
    for (const std::string& segment : SegmentsOf(module.path, ".")) {
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
      std::stable_sort(group.modules.begin(), group.modules.end(),
                       [&](size_t a, size_t b) { return network_.modules[a].index < network_.modules[b].index; });
    }
  }

  // What a module holds, as text: "b[64] w[64, 16]".
  std::string Signature(const Module& module) const {
    std::string text;
    for (const auto& [kind, leaf] : module.leaves) text += kind + FormatShape(network_.Tensor(leaf).shape);
    return text;
  }

  // The numbers of a sequence that is the same in every layer, `mlp.0` and `mlp.2`, are names and not indices: each has
  // one content in all layers, and the contents differ.
  bool FixSequences() {
    bool fixed = false;
    for (const Group& group : network_.groups) {
      const size_t holes = network_.modules[group.modules[0]].index.size();
      if (holes < 2 || group.modules.size() < 4) continue;
      std::map<int64_t, std::set<std::string>> contents;
      std::map<int64_t, std::set<Index>> outer;
      for (const size_t m : group.modules) {
        const Module& module = network_.modules[m];
        contents[module.index.back()].insert(Signature(module));
        outer[module.index.back()].insert(Index(module.index.begin(), module.index.end() - 1));
      }
      std::set<std::string> all;
      bool constant = contents.size() >= 2 && outer.begin()->second.size() >= 2;
      for (const auto& [value, signatures] : contents) {
        constant = constant && signatures.size() == 1 && outer[value] == outer.begin()->second;
        all.insert(*signatures.begin());
      }
      if (!constant || all.size() < 2) continue;
      for (const size_t m : group.modules) FixLast(network_.modules[m]);
      fixed = true;
    }
    return fixed;
  }
  static void FixLast(Module& module) {
    const size_t hole = module.form.rfind('#');
    module.form.replace(hole, 1, std::to_string(module.index.back()));
    module.index.pop_back();
  }

  Network network_;
  std::map<std::string, size_t> by_path_;
  std::set<std::string> series_;
};

}  // namespace

std::string KindOf(std::string_view leaf) {
  static const std::map<std::string, std::string, std::less<>> kKinds = {
      {"weight", "w"},
      {"gamma", "w"},
      {"embedding_table", "w"},
      {"w", "w"},
      {"embedding_weight", "w"},
      {"bias", "b"},
      {"beta", "b"},
      {"running_mean", "mean"},
      {"moving_mean", "mean"},
      {"running_var", "var"},
      {"moving_variance", "var"},
      {"num_batches_tracked", "count"},
  };
  const auto found = kKinds.find(leaf);
  return found == kKinds.end() ? "" : found->second;
}

Network ReadNetwork(const Manifest& manifest, const std::vector<bool>& skipped,
                    const std::vector<Fingerprint>* prints) {
  Network network = Reader(manifest, skipped).Take();
  network.prints = prints;
  return network;
}

void AddTensors(Network& network, const std::vector<bool>& used) {
  std::map<std::string, size_t> by_form;
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    Module module;
    module.path = (*network.manifest)[i].name;
    for (const std::string& segment : SegmentsOf(module.path, ".")) {
      if (!module.form.empty()) module.form += '.';
      module.form += IsIndex(segment) ? "#" : segment;
      if (IsIndex(segment)) module.index.push_back(std::stoll(segment));
    }
    module.leaves["w"] = {"", i};
    // No form is that of a group of modules: those have tensors beneath them.
    const auto [found, fresh] = by_form.try_emplace(module.form, network.groups.size());
    if (fresh) network.groups.push_back({module.form, {}});
    network.groups[found->second].modules.push_back(network.modules.size());
    network.modules.push_back(std::move(module));
  }
  for (const auto& [form, group] : by_form) {
    std::stable_sort(network.groups[group].modules.begin(), network.groups[group].modules.end(),
                     [&](size_t a, size_t b) { return network.modules[a].index < network.modules[b].index; });
  }
}

}  // namespace ckmap::suggest
