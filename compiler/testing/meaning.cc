#include "compiler/testing/meaning.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/bind/origin.h"

namespace ckmap {

std::string MeaningOf(const Result<BindResult>& bound) {
  if (!bound) return "error " + bound.error().message();
  std::string out;
  if (!bound->plan) {
    std::vector<std::string> issues;
    for (const Issue& issue : bound->issues) {
      if (issue.severity == IssueSeverity::kError) issues.push_back(issue.code + " " + issue.tensor);
    }
    std::sort(issues.begin(), issues.end());
    for (const std::string& issue : issues) out += issue + "\n";
    return out;
  }
  const auto origin = [](const PiecedTensor& tensor) {
    return OriginOf(tensor, [](size_t source) { return fmt::format("{}", source); });
  };
  for (const BoundTensor& tensor : bound->plan->tensors) out += fmt::format("{} {}\n", tensor.name, origin(tensor));
  for (const DroppedTensor& tensor : bound->plan->dropped)
    out += fmt::format("dropped {} {}\n", tensor.name, tensor.equals);
  for (const KeptTensor& tensor : bound->plan->kept) out += "kept " + tensor.name + "\n";
  for (const ValueCheck& check : bound->plan->checks) {
    out += fmt::format("compared {} {} {} {} {}\n", check.tensor, check.of_target, origin(check.found),
                       origin(check.expected), check.tolerance);
  }
  return out;
}

}  // namespace ckmap
