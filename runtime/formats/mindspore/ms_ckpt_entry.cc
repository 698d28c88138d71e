#include "runtime/formats/mindspore/ms_ckpt_entry.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxType = 64;
constexpr int64_t kMaxDim = std::numeric_limits<int32_t>::max();  // MindSpore's loader casts dims to int

Error Bad(int64_t position, std::string_view what) {
  return {ErrorCode::kMalformed, fmt::format("entry at byte {}: {}", position, what)};
}

Result<void> AddDim(CkptTensor& tensor, uint64_t value, int64_t position) {
  if (tensor.dims.size() == kMaxTensorRank) {
    return Bad(position, fmt::format("a tensor of more than {} dims", kMaxTensorRank));
  }
  if (value > uint64_t{kMaxDim}) {
    return Bad(position, fmt::format("a dim of {}, it must be from 0 to 2147483647", static_cast<int64_t>(value)));
  }
  tensor.dims.push_back(static_cast<int64_t>(value));
  return {};
}

Result<void> ReadDims(WireReader& reader, const WireField& field, CkptTensor& tensor, int64_t position) {
  if (field.type == WireType::kVarint) return AddDim(tensor, field.value, position);
  if (field.type != WireType::kBytes) return Bad(position, "dims of the wrong wire type");
  for (int64_t at = field.begin; at < field.end();) {  // packed
    CKMAP_ASSIGN_OR_RETURN(const uint64_t value, reader.Varint(at, field.end()));
    CKMAP_RETURN_IF_ERROR(AddDim(tensor, value, position));
  }
  return {};
}

Result<CkptTensor> ReadTensor(WireReader& reader, const WireField& message, int64_t position) {
  CkptTensor tensor;
  bool has_type = false;
  bool has_content = false;
  for (int64_t at = message.begin; at < message.end();) {
    CKMAP_ASSIGN_OR_RETURN(const WireField field, reader.Next(at, message.end()));
    if (field.number == 1) {
      CKMAP_RETURN_IF_ERROR(ReadDims(reader, field, tensor, position));
    } else if (field.number == 2) {
      if (field.type != WireType::kBytes) return Bad(position, "a type of the wrong wire type");
      if (std::exchange(has_type, true)) return Bad(position, "a tensor with two types");
      CKMAP_ASSIGN_OR_RETURN(tensor.type, reader.Text(field, kMaxType));
    } else if (field.number == 3) {
      if (field.type != WireType::kBytes) return Bad(position, "a content of the wrong wire type");
      if (std::exchange(has_content, true)) return Bad(position, "a tensor with two contents");
      tensor.content = {field.begin, field.length};
    }
  }
  if (!has_type) return Bad(position, "a tensor without a type");
  return tensor;
}

Result<void> ReadMap(WireReader& reader, const WireField& message, CkptEntry& entry) {
  entry.is_map = true;
  for (int64_t at = message.begin; at < message.end();) {
    CKMAP_ASSIGN_OR_RETURN(const WireField field, reader.Next(at, message.end()));
    if (field.number != 1) continue;
    if (field.type != WireType::kBytes) return Bad(entry.position, "a tensor of the wrong wire type");
    if (entry.tensors.size() == 3) {
      return Bad(entry.position, "a map parameter must have three tensors (key, value, status), not more");
    }
    CKMAP_ASSIGN_OR_RETURN(CkptTensor tensor, ReadTensor(reader, field, entry.position));
    entry.tensors.push_back(std::move(tensor));
  }
  if (entry.tensors.size() != 3) {
    return Bad(entry.position, fmt::format("a map parameter must have three tensors (key, value, status), not {}",
                                           entry.tensors.size()));
  }
  return {};
}

}  // namespace

Result<CkptEntry> ReadCkptEntry(WireReader& reader, const WireField& field) {
  CkptEntry entry;
  entry.position = field.begin;
  if (field.type != WireType::kBytes) return Bad(entry.position, "is no message");
  bool has_tag = false;
  bool has_value = false;
  for (int64_t at = field.begin; at < field.end();) {
    CKMAP_ASSIGN_OR_RETURN(const WireField part, reader.Next(at, field.end()));
    if (part.number > 3) continue;
    if (part.type != WireType::kBytes) {
      return Bad(entry.position, fmt::format("field {} of the wrong wire type", part.number));
    }
    if (part.number == 1) {
      if (std::exchange(has_tag, true)) return Bad(entry.position, "two names");
      CKMAP_ASSIGN_OR_RETURN(entry.tag, reader.Text(part, int64_t{kMaxTensorName}));
      continue;
    }
    if (std::exchange(has_value, true)) return Bad(entry.position, "two tensors for one name");
    if (part.number == 2) {
      CKMAP_ASSIGN_OR_RETURN(CkptTensor tensor, ReadTensor(reader, part, entry.position));
      entry.tensors.push_back(std::move(tensor));
    } else {
      CKMAP_RETURN_IF_ERROR(ReadMap(reader, part, entry));
    }
  }
  if (!has_tag) return Bad(entry.position, "has no name");
  if (const std::string problem = TensorNameProblem(entry.tag); !problem.empty()) {
    return Bad(entry.position, fmt::format("tensor {}: {}", QuoteName(entry.tag), problem));
  }
  if (!has_value) return Bad(entry.position, fmt::format("{} has no tensor", QuoteName(entry.tag)));
  return entry;
}

}  // namespace ckmap
