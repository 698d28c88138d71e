// A folder of torch.distributed.checkpoint: `.metadata` is a pickle of torch's own plan (names,
// shapes, boxes, and where each box lies), and every item of the data files is a whole zip archive
// of torch.save, which holds one box of a tensor or one other value.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/storage/pieced_source.h"
#include "runtime/formats/torch/torch.h"
#include "runtime/formats/torch/torch_archive.h"

namespace ckmap {
namespace {

constexpr std::string_view kMetadataName = ".metadata";

// Where an item lies.
struct Item {
  std::string file;
  int64_t offset = 0;
  int64_t length = 0;
};

// A tensor's boxes, or the one item of another value.
struct Value {
  std::string name;
  bool tensor = false;
  DType dtype = DType::kAny;
  Shape shape;
  std::vector<std::pair<Shape, Shape>> boxes;  // offsets, sizes
};

struct DistributedPlan {
  std::vector<Value> values;
  std::map<std::pair<std::string, Shape>, Item> items;  // by name and the box's offsets
};

class PlanReader {
 public:
  explicit PlanReader(const Pickle& pickle) : pickle_(pickle) {}
  Result<DistributedPlan> Read();

 private:
  // The state of an object of this class as a dict; its values by name.
  Result<PickleId> Field(PickleId object, std::string_view type, std::string_view name) const;
  Result<PickleId> Optional(PickleId object, std::string_view type, std::string_view name) const;
  bool IsA(PickleId id, std::string_view type) const {
    return pickle_.kind(id) == PickleKind::kObject && pickle_.callable(id).name == type;
  }
  Result<std::string> Text(PickleId id) const;
  Result<int64_t> Integer(PickleId id) const;
  Result<std::span<const PickleId>> Dict(PickleId id) const;
  Result<Value> ReadValue(std::string name, PickleId object) const;
  Result<DType> ReadProperties(PickleId properties) const;
  Result<void> CheckPath(std::string_view name, PickleId path) const;
  Result<void> CheckPaths() const;
  Result<void> ReadItem(PickleId index, PickleId info);

  const Pickle& pickle_;
  DistributedPlan plan_;
};

// kNoPickle if the state has no such field.
Result<PickleId> PlanReader::Optional(PickleId object, std::string_view type, std::string_view name) const {
  if (!IsA(object, type))
    return Malformed(fmt::format("a {} where a {} should be", PickleKindName(pickle_.kind(object)), type));
  const PickleId state = pickle_.state(object);
  if (state == kNoPickle) return kNoPickle;
  CKMAP_ASSIGN_OR_RETURN(const auto fields, Dict(state));
  for (size_t i = 0; i < fields.size(); i += 2) {
    if (pickle_.kind(fields[i]) == PickleKind::kText && pickle_.text(fields[i]) == name) return fields[i + 1];
  }
  return kNoPickle;
}

Result<PickleId> PlanReader::Field(PickleId object, std::string_view type, std::string_view name) const {
  CKMAP_ASSIGN_OR_RETURN(const PickleId found, Optional(object, type, name));
  if (found == kNoPickle) return Malformed(fmt::format("a {} without \"{}\"", type, name));
  return found;
}

Result<std::string> PlanReader::Text(PickleId id) const {
  if (pickle_.kind(id) != PickleKind::kText)
    return Malformed(fmt::format("a {} where a text should be", PickleKindName(pickle_.kind(id))));
  return std::string(pickle_.text(id));
}

Result<int64_t> PlanReader::Integer(PickleId id) const {
  if (pickle_.kind(id) != PickleKind::kInt || pickle_.integer(id) < 0)
    return Malformed("an offset or length that is no number from 0 on");
  return pickle_.integer(id);
}

Result<std::span<const PickleId>> PlanReader::Dict(PickleId id) const {
  if (pickle_.kind(id) != PickleKind::kDict)
    return Malformed(fmt::format("a {} where a dict should be", PickleKindName(pickle_.kind(id))));
  return pickle_.items(id);
}

Result<DistributedPlan> PlanReader::Read() {
  const PickleId root = pickle_.root();
  CKMAP_ASSIGN_OR_RETURN(const PickleId names, Field(root, "Metadata", "state_dict_metadata"));
  CKMAP_ASSIGN_OR_RETURN(const auto values, Dict(names));
  for (size_t i = 0; i < values.size(); i += 2) {
    CKMAP_ASSIGN_OR_RETURN(std::string name, Text(values[i]));
    const std::string shown = EscapeText(name);
    auto value = ReadValue(std::move(name), values[i + 1]);
    if (!value.ok()) return std::move(value).error().Context(fmt::format("\"{}\"", shown));
    plan_.values.push_back(*std::move(value));
  }
  CKMAP_RETURN_IF_ERROR(CheckPaths());
  CKMAP_ASSIGN_OR_RETURN(const PickleId storage, Field(root, "Metadata", "storage_data"));
  CKMAP_ASSIGN_OR_RETURN(const auto places, Dict(storage));
  for (size_t i = 0; i < places.size(); i += 2) CKMAP_RETURN_IF_ERROR(ReadItem(places[i], places[i + 1]));
  return std::move(plan_);
}

Result<Value> PlanReader::ReadValue(std::string name, PickleId object) const {
  Value value;
  value.name = std::move(name);
  if (IsA(object, "BytesStorageMetadata")) return value;
  constexpr std::string_view kType = "TensorStorageMetadata";
  value.tensor = true;
  CKMAP_ASSIGN_OR_RETURN(const PickleId properties, Field(object, kType, "properties"));
  CKMAP_ASSIGN_OR_RETURN(value.dtype, ReadProperties(properties));
  CKMAP_ASSIGN_OR_RETURN(const PickleId size, Field(object, kType, "size"));
  CKMAP_ASSIGN_OR_RETURN(value.shape, TorchIntegers(pickle_, size));
  CKMAP_ASSIGN_OR_RETURN(const PickleId chunks, Field(object, kType, "chunks"));
  if (pickle_.kind(chunks) != PickleKind::kList) return Malformed("its chunks are no list");
  if (pickle_.items(chunks).size() > kMaxSourcePieces) {
    return Error(ErrorCode::kLimit,
                 fmt::format("{} pieces; {} are the limit", pickle_.items(chunks).size(), kMaxSourcePieces));
  }
  for (const PickleId chunk : pickle_.items(chunks)) {
    CKMAP_ASSIGN_OR_RETURN(const PickleId offsets, Field(chunk, "ChunkStorageMetadata", "offsets"));
    CKMAP_ASSIGN_OR_RETURN(const PickleId sizes, Field(chunk, "ChunkStorageMetadata", "sizes"));
    CKMAP_ASSIGN_OR_RETURN(Shape box_offsets, TorchIntegers(pickle_, offsets));
    CKMAP_ASSIGN_OR_RETURN(Shape box_sizes, TorchIntegers(pickle_, sizes));
    value.boxes.emplace_back(std::move(box_offsets), std::move(box_sizes));
  }
  return value;
}

// A tuple of the element type, the layout, whether it requires a gradient, the memory format and
// whether it is pinned. Torch refuses the plan if it does not know one of them.
Result<DType> PlanReader::ReadProperties(PickleId properties) const {
  constexpr size_t kProperties = 5;
  const PickleId state = IsA(properties, "TensorProperties") ? pickle_.state(properties) : kNoPickle;
  if (state == kNoPickle || pickle_.kind(state) != PickleKind::kTuple || pickle_.items(state).size() != kProperties)
    return Malformed(fmt::format("its properties are no tuple of {}", kProperties));
  const auto parts = pickle_.items(state);
  const TorchMeaning meaning =
      pickle_.kind(parts[0]) == PickleKind::kGlobal ? MeaningOf(pickle_.global(parts[0])) : TorchMeaning{};
  if (meaning.thing != TorchThing::kDType) return Malformed("no element type");
  const auto argument = [this](PickleId id, std::string_view callable, PickleKind kind) {
    if (!IsA(id, callable) || pickle_.arguments(id) == kNoPickle) return kNoPickle;
    const auto arguments = pickle_.items(pickle_.arguments(id));
    return arguments.size() == 1 && pickle_.kind(arguments[0]) == kind ? arguments[0] : kNoPickle;
  };
  const PickleId layout = argument(parts[1], "_get_layout", PickleKind::kText);
  if (layout == kNoPickle || !IsTorchLayout(pickle_.text(layout))) return Malformed("an unknown layout");
  constexpr int64_t kMemoryFormats = 3;
  const PickleId format = argument(parts[3], "_MEM_FORMAT_ENCODING", PickleKind::kInt);
  if (format == kNoPickle || pickle_.integer(format) < 0 || pickle_.integer(format) >= kMemoryFormats)
    return Malformed("an unknown memory format");
  return meaning.dtype;
}

// The names are the keys on the way to a value, joined by dots: torch builds the state dict from
// the keys and looks for the names again.
Result<void> PlanReader::CheckPath(std::string_view name, PickleId path) const {
  std::vector<std::string> keys;
  const bool tuple = pickle_.kind(path) == PickleKind::kTuple;
  for (const PickleId key : tuple ? pickle_.items(path) : std::span<const PickleId>()) {
    const bool number = pickle_.kind(key) == PickleKind::kInt;
    if (!number && pickle_.kind(key) != PickleKind::kText) {
      return Malformed(
          fmt::format("a {} as a key on the way to \"{}\"", PickleKindName(pickle_.kind(key)), EscapeText(name)));
    }
    keys.push_back(number ? fmt::format("{}", pickle_.integer(key)) : std::string(pickle_.text(key)));
  }
  const std::string joined = fmt::format("{}", fmt::join(keys, "."));
  if (tuple && joined == name) return {};
  return Malformed(fmt::format("\"{}\" is at \"{}\" in the state dict, which is another name", EscapeText(name),
                               EscapeText(joined)));
}

// Of the names that torch's own planner flattened; others keep no paths.
Result<void> PlanReader::CheckPaths() const {
  CKMAP_ASSIGN_OR_RETURN(const PickleId paths, Optional(pickle_.root(), "Metadata", "planner_data"));
  if (paths == kNoPickle || pickle_.kind(paths) != PickleKind::kDict) return {};
  const auto items = pickle_.items(paths);
  for (size_t i = 0; i < items.size(); i += 2) {
    CKMAP_ASSIGN_OR_RETURN(const std::string name, Text(items[i]));
    CKMAP_RETURN_IF_ERROR(CheckPath(name, items[i + 1]));
  }
  return {};
}

Result<void> PlanReader::ReadItem(PickleId index, PickleId info) {
  constexpr std::string_view kIndex = "MetadataIndex";
  constexpr std::string_view kInfo = "_StorageInfo";
  CKMAP_ASSIGN_OR_RETURN(const PickleId name_id, Field(index, kIndex, "fqn"));
  CKMAP_ASSIGN_OR_RETURN(std::string name, Text(name_id));
  CKMAP_ASSIGN_OR_RETURN(const PickleId offset_id, Optional(index, kIndex, "offset"));
  Shape offsets;
  if (offset_id != kNoPickle && pickle_.kind(offset_id) != PickleKind::kNone) {
    CKMAP_ASSIGN_OR_RETURN(offsets, TorchIntegers(pickle_, offset_id));
  }
  Item item;
  CKMAP_ASSIGN_OR_RETURN(const PickleId path, Field(info, kInfo, "relative_path"));
  CKMAP_ASSIGN_OR_RETURN(item.file, Text(path));
  CKMAP_ASSIGN_OR_RETURN(const PickleId begin, Field(info, kInfo, "offset"));
  CKMAP_ASSIGN_OR_RETURN(item.offset, Integer(begin));
  CKMAP_ASSIGN_OR_RETURN(const PickleId length, Field(info, kInfo, "length"));
  CKMAP_ASSIGN_OR_RETURN(item.length, Integer(length));
  CKMAP_ASSIGN_OR_RETURN(const PickleId transforms, Optional(info, kInfo, "transform_descriptors"));
  if (transforms != kNoPickle && pickle_.kind(transforms) != PickleKind::kNone) {
    return Malformed(fmt::format("\"{}\" is stored through an extension, which is not read", EscapeText(name)));
  }
  const bool plain = !item.file.empty() && item.file.find('/') == std::string::npos &&
                     item.file.find('\0') == std::string::npos && item.file != "." && item.file != "..";
  if (!plain) return Malformed(fmt::format("data file \"{}\" is no plain name in the folder", EscapeText(item.file)));
  if (!plan_.items.emplace(std::pair(std::move(name), std::move(offsets)), std::move(item)).second) {
    return Malformed("one piece has two places");
  }
  return {};
}

class FolderReader {
 public:
  FolderReader(std::string folder, const OpenOptions& options, TorchCheckpoint& checkpoint)
      : folder_(std::move(folder)), options_(options), checkpoint_(checkpoint) {}
  Result<void> Read();

 private:
  Result<void> AddTensor(const Value& value, std::string name);
  Result<void> AddOther(const Value& value, std::string name);
  Result<TorchArchive> ReadItem(const Value& value, const Shape& offsets);
  Result<void> Add(std::string name, const TorchTensor& tensor);

  const std::string folder_;
  const OpenOptions& options_;
  TorchCheckpoint& checkpoint_;
  DistributedPlan plan_;
  std::map<std::string, const InputFile*> files_;
};

Result<void> FolderReader::Read() {
  const std::string path = folder_ + "/" + std::string(kMetadataName);
  CKMAP_ASSIGN_OR_RETURN(const std::string bytes, ReadTextFile(path, kMaxPickleBytes));
  const auto read = [&]() -> Result<DistributedPlan> {
    CKMAP_ASSIGN_OR_RETURN(const Pickle pickle,
                           Pickle::Read(bytes, TorchAllowList(TorchAllowList::Scope::kDistributed)));
    if (pickle.end() != bytes.size()) return Malformed("data behind the pickle");
    return PlanReader(pickle).Read();
  };
  auto plan = read();
  if (!plan.ok()) return std::move(plan).error().Context(path);
  plan_ = *std::move(plan);
  const std::string prefix = options_.root.empty() ? "" : options_.root + ".";
  bool found = options_.root.empty();
  for (const Value& value : plan_.values) {
    if (!value.name.starts_with(prefix)) continue;
    found = true;
    std::string name = value.name.substr(prefix.size());
    auto status = value.tensor ? AddTensor(value, std::move(name)) : AddOther(value, std::move(name));
    if (!status.ok()) {
      return std::move(status).error().Context(fmt::format("{}: \"{}\"", folder_, EscapeText(value.name)));
    }
  }
  if (!found)
    return Error(ErrorCode::kUsage, fmt::format("{}: no name begins with \"{}\"", folder_, EscapeText(prefix)));
  return {};
}

Result<TorchArchive> FolderReader::ReadItem(const Value& value, const Shape& offsets) {
  auto item = plan_.items.find({value.name, offsets});
  if (item == plan_.items.end())
    return Malformed(fmt::format("no place is told for its piece at {}", FormatShape(offsets)));
  const Item& place = item->second;
  const InputFile*& file = files_[place.file];
  if (file == nullptr) {
    CKMAP_ASSIGN_OR_RETURN(file, checkpoint_.AddFile(folder_ + "/" + place.file));
  }
  if (place.offset > file->size() || place.length > file->size() - place.offset) {
    return Malformed(fmt::format("its piece lies behind the end of {}", EscapeText(place.file)));
  }
  auto archive = ReadTorchArchive(*file, place.offset, place.length, checkpoint_, options_);
  if (!archive.ok()) return std::move(archive).error().Context(EscapeText(place.file));
  if (archive->script) return Malformed("a TorchScript archive as a piece");
  return archive;
}

Result<void> FolderReader::Add(std::string name, const TorchTensor& tensor) {
  TensorInfo info;
  info.name = std::move(name);
  info.dtype = tensor.dtype;
  info.shape = tensor.shape;
  info.unreadable = tensor.unreadable;
  info.storage = tensor.unreadable.empty() ? int64_t{tensor.layout.storage} : -1;
  CKMAP_RETURN_IF_ERROR(CheckTorchName(info.name));
  if (!checkpoint_.AddTensor(std::move(info), tensor.layout)) return Malformed("the name is there twice");
  return {};
}

Result<void> FolderReader::AddTensor(const Value& value, std::string name) {
  if (value.dtype == DType::kAny)
    return Add(std::move(name), UnreadableTorchTensor(DType::kAny, value.shape, "its type has no counterpart"));
  if (!NumBytes(value.shape, value.dtype)) return Malformed("its shape is none");
  std::vector<SourcePiece> pieces;
  TorchTensor whole;
  for (const auto& [offsets, sizes] : value.boxes) {
    CKMAP_ASSIGN_OR_RETURN(const TorchArchive archive, ReadItem(value, offsets));
    const TorchTensor* tensor = archive.objects.tensor(archive.pickle.root());
    if (tensor == nullptr) return Malformed("its piece is no tensor");
    if (tensor->dtype != value.dtype || tensor->shape != sizes) {
      return Malformed(fmt::format("its piece at {} is {} {}, the plan says {} {}", FormatShape(offsets),
                                   DTypeName(tensor->dtype), FormatShape(tensor->shape), DTypeName(value.dtype),
                                   FormatShape(sizes)));
    }
    if (sizes == value.shape && value.boxes.size() == 1) return Add(std::move(name), *tensor);
    auto strides = RowMajorStrides(sizes);
    const bool whole_bytes = DTypeBits(value.dtype) >= 8;
    for (int64_t& stride : strides) stride *= whole_bytes ? DTypeSize(value.dtype) : 0;
    const TensorLayout& layout = tensor->layout;
    const bool dense =
        whole_bytes && tensor->unreadable.empty() && layout.strides == strides && !layout.conjugate && !layout.negative;
    if (!dense || (!pieces.empty() && layout.byteswap != whole.layout.byteswap)) {
      return Add(std::move(name),
                 UnreadableTorchTensor(value.dtype, value.shape, "its pieces are not plain contiguous tensors"));
    }
    whole.layout.byteswap = layout.byteswap;
    pieces.push_back({offsets, sizes, layout.offset, &checkpoint_.source(layout.storage)});
  }
  CKMAP_ASSIGN_OR_RETURN(auto source, PiecedSource(value.shape, DTypeSize(value.dtype), std::move(pieces)));
  whole.dtype = value.dtype;
  whole.shape = value.shape;
  whole.layout.storage = checkpoint_.AddSource(std::move(source));
  whole.layout.strides = RowMajorStrides(value.shape);
  for (int64_t& stride : whole.layout.strides) stride *= DTypeSize(value.dtype);
  return Add(std::move(name), whole);
}

// A value that was saved whole; it may hold tensors too.
Result<void> FolderReader::AddOther(const Value& value, std::string name) {
  CKMAP_ASSIGN_OR_RETURN(const TorchArchive archive, ReadItem(value, {}));
  CKMAP_ASSIGN_OR_RETURN(TorchEntries entries, FlattenTorch(archive.pickle, archive.pickle.root(), archive.objects));
  const auto full = [&](const std::string& inner) { return inner.empty() ? name : name + "." + inner; };
  for (size_t i = 0; i < entries.manifest.size(); ++i) {
    const TensorInfo& info = entries.manifest[i];
    CKMAP_RETURN_IF_ERROR(Add(full(info.name), {info.dtype, info.shape, entries.layouts[i], info.unreadable}));
  }
  for (OtherEntry& other : entries.others) {
    other.name = full(other.name);
    checkpoint_.AddOther(std::move(other));
  }
  return {};
}

}  // namespace

bool LooksLikeTorchDistributed(const std::string& folder) {
  std::error_code error;
  return std::filesystem::is_regular_file(folder + "/" + std::string(kMetadataName), error);
}

Result<std::unique_ptr<Checkpoint>> OpenTorchDistributed(const std::string& folder, const OpenOptions& options) {
  auto checkpoint = std::make_unique<TorchCheckpoint>("torch-distributed");
  CKMAP_RETURN_IF_ERROR(FolderReader(folder, options, *checkpoint).Read());
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
