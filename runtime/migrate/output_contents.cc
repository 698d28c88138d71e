#include "runtime/migrate/output_contents.h"

#include <map>
#include <numeric>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/mindspore/mf_writer.h"
#include "runtime/formats/writer_checks.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {
namespace {

// Metadata that say how a file is to be read; another file has its own.
bool IsTechnical(const std::string& key, const std::string& value) {
  return key == "format" || key == "crc_num" || key == "remove_redundancy" || value == "Int4" ||
         key.starts_with("ckmap.");
}

std::string AsJson(const OtherEntry& entry) {
  if (const auto* number = std::get_if<int64_t>(&entry.value)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<double>(&entry.value)) {
    const std::string text = fmt::format("{}", *number);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  return entry.kind == "none" ? "null" : "";
}

void WarnLost(const std::vector<std::string>& lost, std::vector<std::string>& warnings) {
  if (lost.empty()) return;
  warnings.push_back(fmt::format("left out, as the output has no place for what is no tensor: {} ({})",
                                 lost.size() == 1 ? "1 entry" : fmt::format("{} entries", lost.size()),
                                 NameSome(lost)));
}

// How far a training has come: common.json, from one such checkpoint to another.
void CarryCommon(const Checkpoint& source, WriteOptions& options, std::vector<std::string>& warnings) {
  std::vector<std::string> lost;
  for (const OtherEntry& other : source.others()) {
    const std::string value = source.format() == "mf-ckpt2" && IsMfCommonKey(other.name) ? AsJson(other) : "";
    if (value.empty()) {
      lost.push_back(other.name);
    } else {
      options.texts.emplace(other.name, value);
    }
  }
  for (const auto& [key, value] : source.metadata()) {
    if (!IsTechnical(key, value)) lost.push_back(key);
  }
  WarnLost(lost, warnings);
}

}  // namespace

std::vector<OutputTensor> TiedOutputTensors(const BoundPlan& bound) {
  std::vector<OutputTensor> tensors = OutputTensors(bound);
  std::map<std::string_view, size_t> indices;
  for (size_t i = 0; i < bound.tensors.size(); ++i) indices.emplace(bound.tensors[i].name, i);
  std::vector<size_t> first(tensors.size());  // an earlier tensor of the same bytes, or itself
  std::iota(first.begin(), first.end(), size_t{0});
  const auto root = [&](size_t i) {
    while (first[i] != i) i = first[i];
    return i;
  };
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    const auto other = indices.find(bound.target[bound.tensors[i].target].tied_to);
    if (other == indices.end() || bound.slices.contains(i) || bound.slices.contains(other->second)) continue;
    // What the target ties is equal: it is made of the same pieces, or was compared (runtime/bind/target/tied.h).
    const size_t a = root(i), b = root(other->second);
    first[std::max(a, b)] = std::min(a, b);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (root(i) != i) tensors[i].same_as = root(i);
  }
  return tensors;
}

void CarryTexts(const BoundPlan& bound, const Checkpoint& source, OutputFormat format, WriteOptions& options,
                std::vector<std::string>& warnings) {
  std::set<std::string_view> names;
  for (const BoundTensor& tensor : bound.tensors) names.insert(tensor.name);
  // MindSpore's reader would mistake a metadata entry of a tensor's name for the tensor's dtype.
  std::erase_if(options.metadata, [&names](const auto& entry) { return names.contains(entry.first); });
  if (format == OutputFormat::kMindFormers) return CarryCommon(source, options, warnings);
  const bool metadata = format == OutputFormat::kSafetensors || format == OutputFormat::kGguf;
  auto& texts = metadata ? options.metadata : options.texts;
  std::vector<std::string> lost;
  const auto carry = [&](const std::string& name, const std::string* text) {
    const bool room = (metadata || format == OutputFormat::kMindSporeCkpt) && text != nullptr && !names.contains(name);
    if (!room || !texts.emplace(name, *text).second) lost.push_back(name);
  };
  // The target's file has a value of that name, which is written: the writer says so.
  std::set<std::string_view> given;
  if (format == OutputFormat::kTorch && options.nesting != nullptr) {
    for (const Nesting::Node& node : options.nesting->nodes) {
      if (node.kind == Nesting::Kind::kValue) given.insert(node.name);
    }
  }
  const bool from_mindspore = source.format() == "ms-ckpt";
  for (const OtherEntry& other : source.others()) {
    if (given.contains(other.name)) continue;
    carry(other.name, from_mindspore && other.kind == "str" ? std::get_if<std::string>(&other.value) : nullptr);
  }
  for (const auto& [key, value] : source.metadata()) {
    if (!IsTechnical(key, value)) carry(key, &value);
  }
  WarnLost(lost, warnings);
}

}  // namespace ckmap
