#include "runtime/causes/situation.h"

#include <map>

#include <fmt/format.h>

#include "runtime/base/sha256.h"
#include "runtime/bind/origin.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

// What the bound plan writes and keeps. Sources count by their first place, since hypotheses rename them.
std::string ResultOf(const BoundPlan& bound, const std::vector<size_t>& ids) {
  std::string text;
  for (const BoundTensor& tensor : bound.tensors) {
    text += fmt::format("{}={}\n", tensor.name, OriginOf(tensor, [&](size_t source) {
                          return fmt::format("{}", ids.empty() ? source : ids[source]);
                        }));
  }
  for (const KeptTensor& kept : bound.kept) text += fmt::format("{} kept\n", kept.name);
  return Sha256Hex(text);
}

}  // namespace

std::optional<Trial> Try(const Situation& situation) {
  const auto plan = ParsePlan(SerializePlan(situation.plan));
  if (!plan) return std::nullopt;
  auto bound = Bind(*plan, situation.source, situation.target, situation.bind);
  if (!bound) return std::nullopt;
  Trial trial;
  for (Issue& issue : bound->issues) {
    if (issue.severity != IssueSeverity::kError) continue;
    trial.stopped = trial.stopped || issue.code.starts_with("CK13");
    trial.errors.push_back(std::move(issue));
  }
  if (bound->plan) trial.result = ResultOf(*bound->plan, situation.source_ids);
  return trial;
}

bool Situation::RenameSources(const std::function<std::string(const std::string&)>& rename) {
  Manifest renamed;
  std::vector<size_t> ids;
  std::map<std::string, std::string, std::less<>> contents;
  renamed.framework = source.framework;
  for (size_t i = 0; i < source.size(); ++i) {
    TensorInfo tensor = source[i];
    tensor.name = rename(tensor.name);
    if (!tensor.tied_to.empty()) tensor.tied_to = rename(tensor.tied_to);
    if (tensor.name.empty()) continue;
    if (const auto known = bind.source.contents.find(source[i].name); known != bind.source.contents.end())
      contents.emplace(tensor.name, known->second);
    if (!renamed.Add(std::move(tensor))) return false;
    ids.push_back(source_ids.empty() ? i : source_ids[i]);
  }
  source = std::move(renamed);
  source_ids = std::move(ids);
  bind.source.contents = std::move(contents);
  return true;
}

Manifest Without(const Manifest& manifest, const std::set<std::string>& names) {
  Manifest rest;
  rest.framework = manifest.framework;
  for (const TensorInfo& tensor : manifest.tensors()) {
    if (!names.contains(tensor.name)) rest.Add(tensor);
  }
  return rest;
}

}  // namespace ckmap
