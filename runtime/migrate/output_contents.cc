#include "runtime/migrate/output_contents.h"

#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/bind/origin.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

// A source tensor by what it holds: two that share their bytes are one.
std::string Stored(const Checkpoint& source, size_t index) {
  const TensorInfo& info = source.manifest()[index];
  const TensorLayout& layout = source.layout(index);
  return fmt::format("{} {} in {} at {} by {} {} {} {}", DTypeName(info.dtype), FormatShape(info.shape), layout.storage,
                     layout.offset, FormatShape(layout.strides), layout.byteswap, layout.conjugate, layout.negative);
}

bool SameContent(const BoundTensor& a, const BoundTensor& b, const Checkpoint& source) {
  const auto stored = [&source](size_t index) { return Stored(source, index); };
  return OriginOf(a, stored) == OriginOf(b, stored);
}

// Metadata that say how a file is to be read; another file has its own.
bool IsTechnical(const std::string& key, const std::string& value) {
  return key == "format" || key == "crc_num" || key == "remove_redundancy" || value == "Int4" || key.starts_with("ckmap.");
}

}  // namespace

std::vector<OutputTensor> TiedOutputTensors(const BoundPlan& bound, const Checkpoint& source,
                                            std::vector<std::string>& warnings) {
  std::vector<OutputTensor> tensors = OutputTensors(bound);
  std::map<std::string_view, size_t> indices;
  for (size_t i = 0; i < bound.tensors.size(); ++i) indices.emplace(bound.tensors[i].name, i);
  std::vector<std::string> apart;
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    const BoundTensor& tensor = bound.tensors[i];
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
