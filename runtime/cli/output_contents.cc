#include "runtime/cli/output_contents.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

bool SameElements(const BoundInput& a, const BoundInput& b, const Checkpoint& source) {
  if (a.node != nullptr || b.node != nullptr) return false;
  const auto same_cast = [](const CastOp& x, const CastOp& y) {
    return x.from == y.from && x.to == y.to && x.overflow == y.overflow;
  };
  if (!std::equal(a.casts.begin(), a.casts.end(), b.casts.begin(), b.casts.end(), same_cast)) return false;
  if (a.source == b.source) return true;
  const TensorInfo& x = source.manifest()[a.source];
  const TensorInfo& y = source.manifest()[b.source];
  const TensorLayout& left = source.layout(a.source);
  const TensorLayout& right = source.layout(b.source);
  return x.dtype == y.dtype && x.shape == y.shape && left.storage == right.storage && left.offset == right.offset &&
         left.strides == right.strides && left.byteswap == right.byteswap && left.conjugate == right.conjugate &&
         left.negative == right.negative;
}

bool SameContent(const BoundTensor& a, const BoundTensor& b, const Checkpoint& source) {
  return a.dtype == b.dtype && a.shape == b.shape && a.fill == b.fill && a.value.pieces == b.value.pieces &&
         std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [&source](const BoundInput& x, const BoundInput& y) { return SameElements(x, y, source); });
}

// Metadata that say how a file is to be read; another file has its own.
bool IsTechnical(const std::string& key, const std::string& value) {
  return key == "format" || key == "crc_num" || key == "remove_redundancy" || value == "Int4" || key.starts_with("ckmap.");
}

}  // namespace

std::vector<OutputTensor> OutputTensors(const BoundPlan& bound, const Checkpoint& source,
                                        std::vector<std::string>& warnings) {
  std::vector<OutputTensor> tensors;
  std::map<std::string_view, size_t> indices;
  for (size_t i = 0; i < bound.tensors.size(); ++i) indices.emplace(bound.tensors[i].name, i);
  std::vector<std::string> apart;
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    const BoundTensor& tensor = bound.tensors[i];
    tensors.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
    const std::string& tied = bound.target[tensor.target].tied_to;
    const auto other = indices.find(tied);
    if (tied.empty() || other == indices.end() || other->second == i) continue;
    if (!SameContent(tensor, bound.tensors[other->second], source)) {
      apart.push_back(tensor.name);
    } else if (other->second < i) {
      tensors[i].same_as = tensors[other->second].same_as.value_or(other->second);
    }
  }
  if (!apart.empty()) {
    warnings.push_back(fmt::format("tied in the target, but not the same bytes in the source, so written by themselves: {}",
                                   NameSome(apart)));
  }
  return tensors;
}

void CarryTexts(const BoundPlan& bound, const Checkpoint& source, OutputFormat format, WriteOptions& options,
                std::vector<std::string>& warnings) {
  std::set<std::string_view> names;
  for (const BoundTensor& tensor : bound.tensors) names.insert(tensor.name);
  // MindSpore's reader would mistake a metadata entry of a tensor's name for the tensor's dtype.
  std::erase_if(options.metadata, [&names](const auto& entry) { return names.contains(entry.first); });
  const bool metadata = format == OutputFormat::kSafetensors || format == OutputFormat::kGguf;
  auto& texts = metadata ? options.metadata : options.texts;
  std::vector<std::string> lost;
  const auto carry = [&](const std::string& name, const std::string* text) {
    const bool room = (metadata || format == OutputFormat::kMindSporeCkpt) && text != nullptr && !names.contains(name);
    if (!room || !texts.emplace(name, *text).second) lost.push_back(name);
  };
  const bool from_mindspore = source.format() == "ms-ckpt";
  for (const OtherEntry& other : source.others()) {
    carry(other.name, from_mindspore && other.kind == "str" ? std::get_if<std::string>(&other.value) : nullptr);
  }
  for (const auto& [key, value] : source.metadata()) {
    if (!IsTechnical(key, value)) carry(key, &value);
  }
  if (lost.empty()) return;
  warnings.push_back(fmt::format("left out, as the output has no place for what is no tensor: {} ({})",
                                 lost.size() == 1 ? "1 entry" : fmt::format("{} entries", lost.size()), NameSome(lost)));
}

}  // namespace ckmap
