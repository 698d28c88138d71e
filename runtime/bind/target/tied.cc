#include "runtime/bind/target/tied.h"

#include <set>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/origin.h"

namespace ckmap {
namespace {

bool SameElements(const PiecedTensor& a, const PiecedTensor& b) {
  const auto by_index = [](size_t source) { return fmt::format("{}", source); };
  return OriginOf(a, by_index) == OriginOf(b, by_index);
}

bool SameSources(const PiecedTensor& a, const PiecedTensor& b) {
  std::set<size_t> of_a, of_b;
  ForEachSource(a, [&of_a](size_t source) { of_a.insert(source); });
  ForEachSource(b, [&of_b](size_t source) { of_b.insert(source); });
  return !of_a.empty() && of_a == of_b;
}

std::string FromText(const BoundPlan& bound, const BoundTensor& tensor) {
  std::string sources;
  ForEachSource(tensor, [&](size_t source) {
    const std::string name = fmt::format("`{}`", bound.source[source].name);
    if (sources.size() < 200 && sources.find(name) == std::string::npos)
      sources += (sources.empty() ? "" : ", ") + name;
  });
  return sources.empty() ? tensor.rule : fmt::format("{} ({})", sources, tensor.rule);
}

}  // namespace

void CheckTied(BoundPlan& bound, std::vector<Issue>& issues) {
  std::unordered_map<std::string_view, size_t> written;
  std::vector<size_t> untied;
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    if (written.empty() && bound.target[bound.tensors[i].target].tied_to.empty()) continue;  // most targets tie nothing
    if (written.empty()) {
      for (size_t k = 0; k < bound.tensors.size(); ++k) written.emplace(bound.tensors[k].name, k);
    }
    const BoundTensor& tensor = bound.tensors[i];
    const auto found = written.find(bound.target[tensor.target].tied_to);
    if (found == written.end() || found->second == i) continue;
    const BoundTensor& other = bound.tensors[found->second];
    if (SameElements(tensor, other) || tensor.dtype != other.dtype || tensor.shape != other.shape) continue;
    if (SameSources(tensor, other)) {
      issues.push_back({.code = "CK1233",
                        .severity = IssueSeverity::kWarning,
                        .tensor = tensor.name,
                        .message = fmt::format("the target ties `{}` to `{}`, and the rules make them differently: "
                                               "each gets its own elements",
                                               tensor.name, other.name),
                        .notes = {fmt::format("`{}` comes from {}", other.name, FromText(bound, other)),
                                  fmt::format("`{}` comes from {}", tensor.name, FromText(bound, tensor))},
                        .help = "a network that ties them keeps one of the two; take one of the rules away, or the "
                                "tie out of the target"});
      untied.push_back(tensor.target);
      continue;
    }
    bound.checks.push_back(
        {.tensor = tensor.name,
         .of_target = true,
         .found = tensor,
         .expected = other,
         .tolerance = 0,
         .claim = fmt::format("the target ties it to `{}`, which comes from {}, while it comes from {}", other.name,
                              FromText(bound, other), FromText(bound, tensor)),
         .help = "drop one of the sources, or convert for a target that does not tie them"});
  }
  for (const size_t target : untied) bound.target.at(target).tied_to.clear();
}

}  // namespace ckmap
