#include "runtime/formats/mindspore/mf_writer.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/mf_layout.h"
#include "runtime/formats/mindspore/mf_metadata.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxMeshRanks = 4096;  // their files are open at once
constexpr int64_t kGatherBytes = int64_t{64} << 10;

// common.json of a checkpoint that no training has written: no steps so far. The rest is not known.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCommonValues = {{
    {"epoch_num", "0"},
    {"step_num", "0"},
    {"global_step", "0"},
    {"loss_scale", "null"},
    {"global_batch_size", "null"},
    {"consumed_samples", "0"},
    {"ckpt_status", "null"},
}};

// What an optimizer holds beside the parameters of the network.
bool IsOptimizerState(std::string_view name) {
  constexpr std::array<std::string_view, 6> kStates = {"adam_m.",         "adam_v.", "main_param.",
                                                       "max_exp_avg_sq.", "muon_m.", "accu_grads."};
  return name == "global_step" || name == "learning_rate" ||
         std::any_of(kStates.begin(), kStates.end(), [&](std::string_view state) { return name.starts_with(state); });
}

// Characters that Python surely prints as they are.
bool IsPrintable(char32_t code) {
  const auto in = [code](char32_t first, char32_t last) { return code >= first && code <= last; };
  return in(0x20, 0x7e) || (in(0xa1, 0x24f) && code != 0xad) || in(0x400, 0x481) || in(0x4e00, 0x9fff);
}

// A tensor as the files hold it.
struct Sliced {
  MfLayout layout;
  std::vector<int64_t> fragments;
  Shape local_shape;
  std::vector<std::vector<int64_t>> writers;  // by slice: the ranks in whose files it is
  std::vector<std::vector<size_t>> copies;    // by slice: its tensors in the writer of the files

  size_t slices() const { return writers.size(); }
};

class MfWriter final : public CheckpointWriter {
 public:
  MfWriter(std::string folder, std::vector<OutputTensor> tensors, const WriteOptions& options)
      : folder_(std::move(folder)), tensors_(std::move(tensors)), options_(options) {}

  Result<void> Create(const CreateSafetensorsSetFn& create_files);

  std::vector<FileExtent> extents(size_t tensor) const override {
    const Sliced& sliced = sliced_[tensor];
    if (sliced.slices() == 1 && sliced.copies[0].size() == 1) return inner_->extents(sliced.copies[0][0]);
    const int64_t bytes = Bytes(tensor);
    if (bytes == 0) return {};
    return {{-1, positions_[tensor], bytes}};
  }
  const std::string& path(size_t tensor) const override { return inner_->path(sliced_[tensor].copies[0][0]); }
  Result<void> Write(size_t tensor, int64_t offset, std::span<const std::byte> data) override;
  Result<void> ReadBack(size_t tensor, int64_t offset, std::span<std::byte> out) const override;
  void ReplaceReceipt(std::string receipt) override { inner_->ReplaceReceipt(std::move(receipt)); }
  Result<std::vector<WrittenFile>> Commit() override { return inner_->Commit(); }
  int64_t total_bytes() const override { return inner_->total_bytes(); }
  OutputSet& files() override { return inner_->files(); }

 private:
  int64_t Bytes(size_t tensor) const { return *NumBytes(tensors_[tensor].shape, tensors_[tensor].dtype); }
  Result<void> Check();
  void Cut();
  void AssignRanks();
  SafetensorsSet NameFiles();
  std::string MetadataJson() const;
  std::string CommonJson() const;
  void WriteTensor(JsonWriter& json, size_t tensor) const;
  void WarnOfUncutAxes();

  // Calls `run(slice, offset in the slice, begin, length)` for each stretch of bytes [offset, offset + size) of a tensor
  // that lies in one slice without a gap.
  template <typename Run>
  Result<void> ForEachRun(size_t tensor, int64_t offset, int64_t size, Run run) const;

  std::string folder_;
  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  int64_t ranks_ = 1;
  std::vector<Sliced> sliced_;
  std::vector<int64_t> positions_;  // in which order tensors are wanted
  std::vector<std::string> file_names_;
  std::vector<size_t> file_of_;  // by tensor of inner_
  std::unique_ptr<CheckpointWriter> inner_;
};

Result<void> MfWriter::Check() {
  Refusals refusals;
  CheckTensors(tensors_, refusals);
  for (const MeshAxis& axis : options_.mesh) {
    if (axis.count > kMaxMeshRanks / ranks_)
      return Error(ErrorCode::kLimit, fmt::format("{}: the mesh has more than {} ranks", folder_, kMaxMeshRanks));
    ranks_ *= axis.count;
  }
  for (const OutputTensor& tensor : tensors_) {
    if (MfDTypeName(tensor.dtype).empty())
      refusals.Add(tensor.name, fmt::format("MindFormers has no name for the dtype {}", DTypeName(tensor.dtype)));
    if (MfStorageKey(tensor.name, 0).empty())
      refusals.Add(tensor.name, "its name has a character that metadata.json might escape in another way than Python");
  }
  for (const OutputTensor& tensor : tensors_) {
    std::vector<int64_t> parts(tensor.shape.size(), 1);
    for (const OutputCut& cut : tensor.cuts) parts[cut.axis] *= options_.mesh[cut.mesh_axis].count;
    for (size_t k = 0; k < parts.size(); ++k) {
      if (tensor.shape[k] % parts[k] == 0) continue;
      refusals.Add(tensor.name, fmt::format("axis {} of {} cannot be cut in {} equal slices", k,
                                            FormatShape(tensor.shape), parts[k]));
    }
  }
  return refusals.ToResult(folder_, "MindFormers' Checkpoint 2.0");
}

void MfWriter::Cut() {
  int64_t position = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const OutputTensor& tensor = tensors_[i];
    Sliced& sliced = sliced_.emplace_back();
    sliced.layout.axes.resize(tensor.shape.size());
    for (const MeshAxis& axis : options_.mesh) sliced.layout.mesh.push_back(axis.count);
    for (const OutputCut& cut : tensor.cuts)
      sliced.layout.axes[cut.axis].push_back(static_cast<int64_t>(cut.mesh_axis));
    for (int64_t rank = 0; rank < ranks_; ++rank) sliced.layout.ranks.push_back(rank);
    sliced.layout.FindHolders();
    sliced.fragments = sliced.layout.Fragments();
    sliced.local_shape = tensor.shape;
    for (size_t k = 0; k < tensor.shape.size(); ++k) {
      sliced.local_shape[k] /= sliced.fragments[k];
    }
    sliced.writers.resize(sliced.layout.holders.size());
    sliced.copies.resize(sliced.layout.holders.size());
    positions_.push_back(position);
    position += Bytes(i);
  }
}

// Without replicas, of those who hold a slice the one with the least bytes so far writes it.
void MfWriter::AssignRanks() {
  std::vector<int64_t> load(static_cast<size_t>(ranks_), 0);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Sliced& sliced = sliced_[i];
    const int64_t bytes = *NumBytes(sliced.local_shape, tensors_[i].dtype);
    for (size_t slice = 0; slice < sliced.slices(); ++slice) {
      const std::vector<int64_t>& holders = sliced.layout.holders[slice];
      if (options_.replicas) {
        sliced.writers[slice] = holders;
        continue;
      }
      const int64_t least = *std::min_element(holders.begin(), holders.end(), [&](int64_t a, int64_t b) {
        return load[static_cast<size_t>(a)] < load[static_cast<size_t>(b)];
      });
      load[static_cast<size_t>(least)] += bytes;
      sliced.writers[slice] = {least};
    }
  }
}

// Files are numbered among the ranks that have something of their kind.
SafetensorsSet MfWriter::NameFiles() {
  SafetensorsSet set;
  set.folder = folder_;
  size_t inner = 0;
  for (const std::string_view kind : {"model", "opt"}) {
    std::map<int64_t, std::vector<std::pair<size_t, size_t>>> held;  // by rank: tensor and slice
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (IsOptimizerState(tensors_[i].name) != (kind == "opt")) continue;
      for (size_t slice = 0; slice < sliced_[i].slices(); ++slice) {
        for (const int64_t rank : sliced_[i].writers[slice]) held[rank].emplace_back(i, slice);
      }
    }
    size_t number = 0;
    for (const auto& [rank, slices] : held) {
      SafetensorsSet::File& file = set.files.emplace_back();
      file.name = fmt::format("{}-{:07}-{:07}.safetensors", kind, number++, held.size());
      file_names_.push_back(file.name);
      for (const auto& [tensor, slice] : slices) {
        file.tensors.push_back({tensors_[tensor].name, tensors_[tensor].dtype, sliced_[tensor].local_shape});
        // Its copies are in the order of the writing ranks, which are ascending here too.
        sliced_[tensor].copies[slice].push_back(inner++);
        file_of_.push_back(set.files.size() - 1);
      }
    }
  }
  return set;
}

void MfWriter::WriteTensor(JsonWriter& json, size_t tensor) const {
  const Sliced& sliced = sliced_[tensor];
  const MfLayout& layout = sliced.layout;
  const auto list = [&json](const auto& numbers) {
    json.BeginArray();
    for (const int64_t number : numbers) json.Int(number);
    json.EndArray();
  };
  // MindFormers 2.1.0 cannot write or read a layout of rank 0.
  const bool has_layout = !tensors_[tensor].shape.empty();
  std::vector<int64_t> replica, order;
  std::vector<int64_t> seen(sliced.slices(), 0);
  for (int64_t place = 0; place < ranks_; ++place) {
    const int64_t slice = layout.SliceOf(place);
    if (seen[static_cast<size_t>(slice)] == 0) order.push_back(slice);
    replica.push_back(seen[static_cast<size_t>(slice)]++);
  }
  json.BeginObject().Key("properties").BeginObject();
  json.Key("dtype").String(MfDTypeName(tensors_[tensor].dtype)).Key("replica_id");
  if (has_layout) {
    list(replica);
  } else {
    json.Int(0);
  }
  json.Key("allow_shape_mismatch").Bool(false).Key("allow_to_save").Bool(true).EndObject();
  json.Key("global_shape");
  list(tensors_[tensor].shape);
  json.Key("axis_fragmentations");
  list(sliced.fragments);
  json.Key("layout");
  if (has_layout) {
    // MindFormers takes the values by their position.
    json.BeginObject().Key("device_matrix");
    list(layout.mesh);
    json.Key("tensor_map").BeginArray();
    for (const auto& cut : layout.axes) {
      std::vector<int64_t> from_right;
      for (const int64_t axis : cut) from_right.push_back(static_cast<int64_t>(layout.mesh.size()) - 1 - axis);
      if (from_right.size() > 1) {
        list(from_right);
      } else {
        json.Int(from_right.empty() ? -1 : from_right[0]);
      }
    }
    json.EndArray().Key("interleaved_parallel").Bool(false).Key("alias_name").BeginArray();
    for (const MeshAxis& axis : options_.mesh) json.String(axis.group);
    json.EndArray().Key("rank_list");
    list(layout.ranks);
    json.EndObject();
  } else {
    json.Null();
  }
  json.Key("chunk").BeginArray();
  for (const int64_t slice : order) {
    json.BeginObject().Key("global_offset").BeginArray().Int(slice).EndArray().Key("local_shape");
    list(sliced.local_shape);
    json.EndObject();
  }
  json.EndArray().EndObject();
}

std::string MfWriter::MetadataJson() const {
  JsonWriter json;
  json.BeginObject().Key("state_dict_metadata").BeginObject().OnLines();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    json.Key(tensors_[i].name);
    WriteTensor(json, i);
  }
  json.EndObject().Key("storage_data").BeginObject().OnLines();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Sliced& sliced = sliced_[i];
    for (size_t slice = 0; slice < sliced.slices(); ++slice) {
      json.Key(MfStorageKey(tensors_[i].name, static_cast<int64_t>(slice))).BeginArray();
      for (size_t copy = 0; copy < sliced.writers[slice].size(); ++copy) {
        json.BeginObject().Key("file_name").String(file_names_[file_of_[sliced.copies[slice][copy]]]);
        json.Key("storage_rank").Int(sliced.writers[slice][copy]).Key("rank_group").BeginArray();
        for (const int64_t rank : sliced.layout.holders[slice]) json.Int(rank);
        json.EndArray().EndObject();
      }
      json.EndArray();
    }
  }
  json.EndObject().EndObject();
  return std::move(json).Finish();
}

std::string MfWriter::CommonJson() const {
  std::string text = "{";
  for (const auto& [key, otherwise] : kCommonValues) {
    const auto given = options_.texts.find(std::string(key));
    text += fmt::format("{}\n    \"{}\": {}", text.size() > 1 ? "," : "", key,
                        given == options_.texts.end() ? std::string(otherwise) : given->second);
  }
  return text + "\n}";
}

void MfWriter::WarnOfUncutAxes() {
  for (size_t axis = 0; axis < options_.mesh.size(); ++axis) {
    const auto& [group, count] = options_.mesh[axis];
    const bool cuts = std::any_of(tensors_.begin(), tensors_.end(), [axis](const OutputTensor& tensor) {
      return std::any_of(tensor.cuts.begin(), tensor.cuts.end(),
                         [axis](const OutputCut& cut) { return cut.mesh_axis == axis; });
    });
    if (!cuts && count > 1)
      Warn(fmt::format("no tensor is cut over `{}`: its {} ranks hold the same", EscapeText(group), count));
  }
}

Result<void> MfWriter::Create(const CreateSafetensorsSetFn& create_files) {
  CKMAP_RETURN_IF_ERROR(Check());
  Cut();
  AssignRanks();
  SafetensorsSet set = NameFiles();
  if (!options_.mesh.empty()) set.first = {"metadata.json", MetadataJson()};
  set.last = {"common.json", CommonJson()};
  CKMAP_ASSIGN_OR_RETURN(inner_, create_files(set, options_));
  for (const std::string& warning : inner_->warnings()) Warn(warning);
  WarnOfUncutAxes();
  return {};
}

template <typename Run>
Result<void> MfWriter::ForEachRun(size_t tensor, int64_t offset, int64_t size, Run run) const {
  const Sliced& sliced = sliced_[tensor];
  const Shape& shape = tensors_[tensor].shape;
  // Bytes that follow each other in the tensor and in a slice: from the last axis that is cut on.
  size_t last = shape.size();
  while (last > 0 && sliced.fragments[last - 1] == 1) --last;
  int64_t length = DTypeSize(tensors_[tensor].dtype);
  for (size_t k = last; k < shape.size(); ++k) length *= shape[k];
  if (last > 0) length *= sliced.local_shape[last - 1];
  for (int64_t at = offset; at < offset + size;) {
    int64_t block = at / length, slice = 0, row = 0, slice_step = 1, row_step = 1;
    for (size_t k = last; k-- > 0;) {
      // Of the last axis that is cut, `block` counts slices; of those before it, indices.
      const int64_t extent = k + 1 == last ? sliced.fragments[k] : shape[k];
      const int64_t index = block % extent;
      block /= extent;
      if (k + 1 == last) {
        slice += index * slice_step;
      } else {
        slice += index / sliced.local_shape[k] * slice_step;
        row += index % sliced.local_shape[k] * row_step;
        row_step *= sliced.local_shape[k];
      }
      slice_step *= sliced.fragments[k];
    }
    const int64_t within = at % length;
    const int64_t count = std::min(length - within, offset + size - at);
    CKMAP_RETURN_IF_ERROR(run(static_cast<size_t>(slice), row * length + within, at - offset, count));
    at += count;
  }
  return {};
}

Result<void> MfWriter::Write(size_t tensor, int64_t offset, std::span<const std::byte> data) {
  const Sliced& sliced = sliced_[tensor];
  const auto put = [&](size_t slice, int64_t at, std::span<const std::byte> bytes) -> Result<void> {
    for (const size_t copy : sliced.copies[slice]) CKMAP_RETURN_IF_ERROR(inner_->Write(copy, at, bytes));
    return {};
  };
  // Short runs that follow each other in a slice are written together.
  struct Pending {
    int64_t begin = 0;
    std::vector<std::byte> bytes;
  };
  std::map<size_t, Pending> pending;
  CKMAP_RETURN_IF_ERROR(
      ForEachRun(tensor, offset, static_cast<int64_t>(data.size()),
                 [&](size_t slice, int64_t at, int64_t begin, int64_t length) -> Result<void> {
                   const auto part = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(length));
                   if (length >= kGatherBytes) return put(slice, at, part);
                   Pending& run = pending[slice];
                   if (!run.bytes.empty() && run.begin + static_cast<int64_t>(run.bytes.size()) != at) {
                     CKMAP_RETURN_IF_ERROR(put(slice, run.begin, run.bytes));
                     run.bytes.clear();
                   }
                   if (run.bytes.empty()) run.begin = at;
                   run.bytes.insert(run.bytes.end(), part.begin(), part.end());
                   return {};
                 }));
  for (const auto& [slice, run] : pending) CKMAP_RETURN_IF_ERROR(put(slice, run.begin, run.bytes));
  return {};
}

Result<void> MfWriter::ReadBack(size_t tensor, int64_t offset, std::span<std::byte> out) const {
  const Sliced& sliced = sliced_[tensor];
  return ForEachRun(tensor, offset, static_cast<int64_t>(out.size()),
                    [&](size_t slice, int64_t at, int64_t begin, int64_t length) {
                      return inner_->ReadBack(sliced.copies[slice][0], at,
                                              out.subspan(static_cast<size_t>(begin), static_cast<size_t>(length)));
                    });
}

}  // namespace

std::string MfFileIn(const std::string& folder) {
  return folder + (folder.ends_with('/') ? "" : "/") + "model-0000000-0000001.safetensors";
}

bool IsMfCommonKey(std::string_view key) {
  return std::any_of(kCommonValues.begin(), kCommonValues.end(),
                     [key](const auto& known) { return known.first == key; });
}

std::string MfStorageKey(std::string_view name, int64_t number) {
  const char quote = name.find('\'') != std::string_view::npos && name.find('"') == std::string_view::npos ? '"' : '\'';
  std::string text = "(";
  text += quote;
  for (size_t at = 0; at < name.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(name, at, code);
    if (length == 0 || !IsPrintable(code)) return "";
    if (name[at] == quote || name[at] == '\\') text += '\\';
    text += name.substr(at, length);
    at += length;
  }
  return text + fmt::format("{}, ({},))", quote, number);
}

Result<std::unique_ptr<CheckpointWriter>> CreateMfCheckpoint(const std::string& path, std::vector<OutputTensor> tensors,
                                                             const WriteOptions& options,
                                                             const CreateSafetensorsSetFn& create_files) {
  auto writer = std::make_unique<MfWriter>(path, std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create(create_files));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
