#include "runtime/formats/torch/torch_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/formats/writer_checks.h"
#include "runtime/formats/zip/zip_file_writer.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {
namespace {

constexpr size_t kBatch = 1000;  // pairs a SETITEMS, as Python writes them

struct TorchType {
  DType dtype;
  std::string_view storage;  // "": untyped, and the tensor names its type
  std::string_view name;
};
constexpr TorchType kTypes[] = {
    {DType::kBool, "BoolStorage", "bool"},
    {DType::kI8, "CharStorage", "int8"},
    {DType::kU8, "ByteStorage", "uint8"},
    {DType::kI16, "ShortStorage", "int16"},
    {DType::kU16, "", "uint16"},
    {DType::kI32, "IntStorage", "int32"},
    {DType::kU32, "", "uint32"},
    {DType::kI64, "LongStorage", "int64"},
    {DType::kU64, "", "uint64"},
    {DType::kF16, "HalfStorage", "float16"},
    {DType::kBF16, "BFloat16Storage", "bfloat16"},
    {DType::kF32, "FloatStorage", "float32"},
    {DType::kF64, "DoubleStorage", "float64"},
    {DType::kF8E4M3, "", "float8_e4m3fn"},
    {DType::kF8E5M2, "", "float8_e5m2"},
    {DType::kF8E4M3Fnuz, "", "float8_e4m3fnuz"},
    {DType::kF8E5M2Fnuz, "", "float8_e5m2fnuz"},
    {DType::kF8E8M0, "", "float8_e8m0fnu"},
    {DType::kF4, "", "float4_e2m1fn_x2"},
    {DType::kC32, "", "complex32"},
    {DType::kC64, "ComplexFloatStorage", "complex64"},
    {DType::kC128, "ComplexDoubleStorage", "complex128"},
};

const TorchType* FindType(DType dtype) {
  for (const TorchType& type : kTypes) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

// ---- the pickle, protocol 2

std::string PickleInt(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  if (bits < 0x100) return "K" + Little(bits, 1);
  if (bits < 0x10000) return "M" + Little(bits, 2);
  if (bits < 0x80000000) return "J" + Little(bits, 4);
  return "\x8a\x08" + Little(bits, 8);
}

std::string PickleText(std::string_view text) { return "X" + Little(text.size(), 4) + std::string(text); }

std::string PickleTuple(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t value : values) out += PickleInt(value);
  return out + "t";
}

// torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()), or _v3 with the
// element type where storages have no class for it.
std::string PickleTensor(const OutputTensor& tensor, size_t key) {
  const TorchType& type = *FindType(tensor.dtype);
  const bool typed = !type.storage.empty();
  const int64_t count = typed ? *NumElements(tensor.shape) : *NumBytes(tensor.shape, tensor.dtype);
  std::string out = typed ? "ctorch._utils\n_rebuild_tensor_v2\n" : "ctorch._utils\n_rebuild_tensor_v3\n";
  out += "((" + PickleText("storage");
  out += typed ? fmt::format("ctorch\n{}\n", type.storage) : "ctorch.storage\nUntypedStorage\n";
  out += PickleText(std::to_string(key)) + PickleText("cpu") + PickleInt(count) + "tQ";
  out += PickleInt(0) + PickleTuple(tensor.shape) + PickleTuple(RowMajorStrides(tensor.shape));
  out +=
      "\x89"
      "ccollections\nOrderedDict\n)R";
  if (!typed) out += fmt::format("ctorch\n{}\n", type.name);
  return out + "tR";
}

std::string PicklePlain(const PlainValue& value) {
  struct Spell {
    std::string operator()(std::monostate) const { return "N"; }
    std::string operator()(bool flag) const { return flag ? "\x88" : "\x89"; }
    std::string operator()(int64_t number) const {
      return number < 0 ? "\x8a\x08" + Little(static_cast<uint64_t>(number), 8) : PickleInt(number);
    }
    std::string operator()(double number) const {
      std::string bytes = Little(std::bit_cast<uint64_t>(number), 8);
      std::reverse(bytes.begin(), bytes.end());
      return "G" + bytes;
    }
    std::string operator()(const std::string& text) const { return PickleText(text); }
  };
  return std::visit(Spell(), value);
}

// The pickle of an output: dicts in dicts, with tensors and plain values in them.
class PickleWriter {
 public:
  PickleWriter(const std::vector<OutputTensor>& tensors, const Nesting& nesting)
      : tensors_(tensors), nesting_(nesting) {
    for (size_t i = 0; i < tensors.size(); ++i) by_name_.emplace(tensors[i].name, i);
  }

  std::string Write() {
    out_ = "\x80\x02";
    Open(0);
    while (!path_.empty()) {
      Level& level = path_.back();
      if (level.next == level.parts.size()) {
        Close();
        continue;
      }
      const size_t at = level.next++;
      if (level.kind != Nesting::Kind::kTuple && at % kBatch == 0) out_ += "(";
      const Nesting::Node& node = nesting_.nodes[level.parts[at]];
      if (level.kind == Nesting::Kind::kDict) out_ += PicklePlain(node.key);
      if (IsContainer(node)) {
        Open(level.parts[at]);
        continue;
      }
      Leaf(node);
      Ended();
    }
    return std::move(out_) + ".";
  }

 private:
  struct Level {
    Nesting::Kind kind;
    std::vector<uint32_t> parts;
    size_t next = 0;
  };

  static bool IsContainer(const Nesting::Node& node) {
    return node.kind == Nesting::Kind::kDict || node.kind == Nesting::Kind::kList || node.kind == Nesting::Kind::kTuple;
  }

  std::optional<size_t> Output(const Nesting::Node& node) const {
    const bool tensor = node.kind == Nesting::Kind::kTensor && node.inside;
    const auto found = tensor ? by_name_.find(node.name) : by_name_.end();
    return found == by_name_.end() ? std::nullopt : std::optional(found->second);
  }

  void Open(uint32_t index) {
    const Nesting::Node& node = nesting_.nodes[index];
    Level level{.kind = node.kind, .parts = {}};
    for (const uint32_t part : node.parts) {
      // A list keeps the places of its items; a dict is without what is not written.
      const Nesting::Node& inner = nesting_.nodes[part];
      const bool written = IsContainer(inner) || inner.kind == Nesting::Kind::kValue || Output(inner);
      if (written || node.kind != Nesting::Kind::kDict) level.parts.push_back(part);
    }
    out_ += node.kind == Nesting::Kind::kDict ? "}" : node.kind == Nesting::Kind::kList ? "]" : "(";
    path_.push_back(std::move(level));
  }

  void Leaf(const Nesting::Node& node) {
    if (node.kind == Nesting::Kind::kValue) {
      out_ += PicklePlain(node.value);
    } else if (const auto tensor = Output(node)) {
      out_ += PickleTensor(tensors_[*tensor], tensors_[*tensor].same_as.value_or(*tensor));
    } else {
      out_ += "N";
    }
  }

  // A part of the innermost container is complete.
  void Ended() {
    if (path_.empty() || path_.back().kind == Nesting::Kind::kTuple) return;
    const Level& level = path_.back();
    if (level.next % kBatch == 0 || level.next == level.parts.size()) {
      out_ += level.kind == Nesting::Kind::kDict ? "u" : "e";
    }
  }

  void Close() {
    if (path_.back().kind == Nesting::Kind::kTuple) out_ += "t";
    path_.pop_back();
    Ended();
  }

  const std::vector<OutputTensor>& tensors_;
  const Nesting& nesting_;
  std::unordered_map<std::string_view, size_t> by_name_;
  std::vector<Level> path_;
  std::string out_;
};

void CheckPlaces(const std::vector<OutputTensor>& tensors, const Nesting& nesting, Refusals& refusals) {
  std::unordered_set<std::string_view> places;
  for (const Nesting::Node& node : nesting.nodes) {
    if (node.kind == Nesting::Kind::kTensor && node.inside) places.insert(node.name);
  }
  for (const OutputTensor& tensor : tensors) {
    if (!places.contains(tensor.name)) refusals.Add(tensor.name, "has no place among the dicts of the target's file");
  }
}

// What a person should know of values that come from the target's file.
void WarnOfNesting(const std::vector<OutputTensor>& tensors, const Nesting& nesting,
                   std::vector<std::string>& warnings) {
  std::unordered_set<std::string_view> written;
  for (const OutputTensor& tensor : tensors) written.insert(tensor.name);
  std::vector<std::string> values, left_out, lost;
  std::vector<bool> reached(nesting.nodes.size(), false);
  for (size_t i = 0; i < nesting.nodes.size(); ++i) {
    const Nesting::Node& node = nesting.nodes[i];
    if (i > 0 && !reached[i]) continue;
    if (node.kind == Nesting::Kind::kValue) values.push_back(node.name);
    if (node.kind == Nesting::Kind::kLeftOut) left_out.push_back(node.name);
    for (const uint32_t part : node.parts) {
      reached[part] = true;
      const Nesting::Node& inner = nesting.nodes[part];
      const bool absent = inner.kind == Nesting::Kind::kTensor && !written.contains(inner.name);
      if (absent && node.kind != Nesting::Kind::kDict) lost.push_back(inner.name);
    }
  }
  const auto warn = [&](std::string_view what, const std::vector<std::string>& names) {
    if (!names.empty()) warnings.push_back(fmt::format("{}: {}", what, NameSome(names)));
  };
  warn("values beside the tensors, taken from the target's file", values);
  warn("left out, though the target's file has it", left_out);
  warn("an object or a key of the target's file that is written as a dict or a text", nesting.converted);
  warn("None stands in a list in place of a tensor that is not written", lost);
}

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateTorch(const std::string& path, std::vector<OutputTensor> tensors,
                                                      const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage, path + ": torch files are written whole; write safetensors for shards");
  }
  if (options.crc) {
    return Error(ErrorCode::kUsage, path + ": the checksum is MindSpore's; torch files have their own, always");
  }
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (FindType(tensor.dtype) == nullptr) {
      refusals.Add(tensor.name, fmt::format("torch has no dtype {}", DTypeName(tensor.dtype)));
    }
  }
  std::vector<std::string> names;
  for (const OutputTensor& tensor : tensors) names.push_back(tensor.name);
  const std::shared_ptr<const Nesting> nesting = options.nesting != nullptr ? options.nesting : NestingOf(names, "");
  CheckPlaces(tensors, *nesting, refusals);
  CKMAP_RETURN_IF_ERROR(refusals.ToResult(path, "torch"));
  std::vector<ZipTensor> members;
  for (size_t i = 0; i < tensors.size(); ++i) {
    // Tensors of the same bytes share a storage, as torch's own tied tensors do.
    members.push_back({.member = fmt::format("archive/data/{}", i),
                       .header = "",
                       .bytes = *NumBytes(tensors[i].shape, tensors[i].dtype),
                       .same_as = tensors[i].same_as});
  }
  ZipFileWriter::Parts parts{
      .before = {{"archive/data.pkl", PickleWriter(tensors, *nesting).Write()}, {"archive/byteorder", "little"}},
      .tensors = std::move(members),
      .after = {{"archive/version", "3\n"}}};
  std::vector<std::string> warnings;
  WarnOfNesting(tensors, *nesting, warnings);
  if (options.metadata.size() > options.metadata.count(std::string(kReceiptKey))) {
    warnings.emplace_back("torch files have no place for metadata; it is left out");
  }
  if (const auto receipt = options.metadata.find(std::string(kReceiptKey)); receipt != options.metadata.end()) {
    // torch reads the records that it knows, and passes over others; `extra/` is for what belongs to nobody else.
    parts.receipt = "archive/extra/" + std::string(kReceiptKey);
    parts.after.emplace_back(parts.receipt, receipt->second);
  }
  return ZipFileWriter::Create(path, std::move(parts), options, std::move(warnings));
}

}  // namespace ckmap
