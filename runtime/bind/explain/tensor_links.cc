#include "runtime/bind/explain/tensor_links.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

namespace ckmap {

TensorLinks::TensorLinks(const BindContext& context, const BoundPlan& bound,
                         const std::vector<const RuleInstance*>& instances)
    : context_(context) {
  for (const BoundTensor& tensor : bound.tensors) {
    const RuleInstance* instance = instances[tensor.target];
    if (instance == nullptr || tensor.initialized) continue;
    links_.push_back({&tensor, instance});
    for (const BoundInput& input : tensor.inputs) {
      if (input.node == nullptr) pairs_.push_back({input.source, tensor.target, links_.size() - 1});
    }
    AddJoined(links_.size() - 1);
  }
  AddCut();
}

void TensorLinks::AddJoined(size_t link) {
  const BoundTensor& bound = *links_[link].bound;
  std::map<size_t, std::pair<int64_t, int64_t>> parts;  // source → its first place in the target, elements
  for (const Piece& piece : bound.value.pieces) {
    if (piece.input == kFillInput) continue;
    const BoundInput& input = bound.inputs[static_cast<size_t>(piece.input)];
    if (input.node != nullptr) return;
    const auto [at, made] = parts.try_emplace(input.source, std::pair{piece.dst_offset, int64_t{0}});
    at->second.first = std::min(at->second.first, piece.dst_offset);
    at->second.second += piece.elements();
  }
  if (parts.size() < 2) return;
  std::vector<std::tuple<int64_t, size_t, int64_t>> ordered;
  for (const auto& [source, part] : parts) ordered.emplace_back(part.first, source, part.second);
  std::sort(ordered.begin(), ordered.end());
  Fused fused{.on_source = false, .whole = bound.target, .parts = {}, .link = link};
  for (const auto& [place, source, elements] : ordered) fused.parts.push_back({source, elements});
  fused_.push_back(std::move(fused));
}

void TensorLinks::AddCut() {
  struct Cut {
    std::vector<std::tuple<int64_t, size_t, int64_t>> parts;  // place in the source, target, elements
    size_t link = 0;
  };
  // Several rules may cut one source; what each of them makes of it is one list.
  std::map<std::pair<size_t, const plan::Rule*>, Cut> cuts;
  for (size_t i = 0; i < links_.size(); ++i) {
    const TensorLink& link = links_[i];
    if (link.instance->writes.size() < 2 || link.bound->inputs.size() != 1) continue;
    const BoundInput& input = link.bound->inputs[0];
    int64_t place = std::numeric_limits<int64_t>::max(), elements = 0;
    for (const Piece& piece : link.bound->value.pieces) {
      if (piece.input == kFillInput) continue;
      place = std::min(place, piece.src_offset);
      elements += piece.elements();
    }
    if (input.node != nullptr || elements == 0) continue;
    Cut& cut = cuts[{input.source, link.instance->rule}];
    if (cut.parts.empty()) cut.link = i;
    cut.parts.emplace_back(place, link.bound->target, elements);
  }
  for (auto& [key, cut] : cuts) {
    if (cut.parts.size() < 2) continue;
    std::sort(cut.parts.begin(), cut.parts.end());
    Fused fused{.on_source = true, .whole = key.first, .parts = {}, .link = cut.link};
    for (const auto& [place, target, elements] : cut.parts) fused.parts.push_back({target, elements});
    fused_.push_back(std::move(fused));
  }
  std::sort(fused_.begin(), fused_.end(), [](const Fused& a, const Fused& b) {
    return std::tie(a.link, a.on_source, a.whole) < std::tie(b.link, b.on_source, b.whole);
  });
}

std::string TensorLinks::Where(const TensorLink& link) const {
  return link.instance->rule != nullptr ? context_.Where(link.instance->rule->loc()) : link.instance->passed;
}

}  // namespace ckmap
