#include "runtime/formats/mindspore/ms_ckpt.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_ckpt_entry.h"
#include "runtime/formats/wire/wire_reader.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr int64_t kTrailerBytes = 17;
constexpr std::string_view kTrailerMagic = "crc_num";
constexpr int64_t kMaxText = int64_t{16} << 20;  // bytes of a str that is given out
constexpr int kFieldsSniffed = 16;
constexpr std::byte kEntryKey{0x0a};  // field 1, length-delimited
constexpr std::string_view kKeySuffix = ".__param_key__";

constexpr std::array<std::pair<std::string_view, DType>, 18> kTypes = {{
    {"Float32", DType::kF32},
    {"Float16", DType::kF16},
    {"BFloat16", DType::kBF16},
    {"Int32", DType::kI32},
    {"Int64", DType::kI64},
    {"Int8", DType::kI8},
    {"UInt8", DType::kU8},
    {"Int16", DType::kI16},
    {"UInt16", DType::kU16},
    {"UInt32", DType::kU32},
    {"UInt64", DType::kU64},
    {"Float64", DType::kF64},
    {"Bool", DType::kBool},
    {"Int4", DType::kI4},
    {"Complex64", DType::kC64},
    {"Complex128", DType::kC128},
    {"Float8E4M3FN", DType::kF8E4M3},
    {"Float8E5M2", DType::kF8E5M2},
}};
// Map parameters use numpy's names, and only these.
constexpr std::array<std::pair<std::string_view, DType>, 4> kMapTypes = {{
    {"int32", DType::kI32},
    {"float32", DType::kF32},
    {"float16", DType::kF16},
    {"float64", DType::kF64},
}};

template <size_t N>
std::optional<DType> FindType(const std::array<std::pair<std::string_view, DType>, N>& types, std::string_view name) {
  for (const auto& [text, dtype] : types) {
    if (text == name) return dtype;
  }
  return std::nullopt;
}

// load_checkpoint cuts at the first, whatever follows.
std::string WithoutKeySuffix(const std::string& tag) {
  const size_t at = tag.find(kKeySuffix);
  return at == std::string::npos || at == 0 ? tag : tag.substr(0, at);
}

// Puts the entries of a file together. Entries of one tag that follow each other are slices of one value.
class Assembler {
 public:
  Assembler(const ByteSource& source, SourceCheckpoint& checkpoint) : source_(source), checkpoint_(checkpoint) {}

  Result<void> Add(CkptEntry entry) {
    if (!open_ || open_->tag != entry.tag) {
      CKMAP_RETURN_IF_ERROR(Flush());
      return Begin(std::move(entry));
    }
    return Append(entry);
  }

  // Ends the value that is open.
  void Warn(std::string warning) { checkpoint_.AddWarning(std::move(warning)); }

  Result<void> Flush() {
    if (!open_) return {};
    const CkptEntry entry = std::move(*open_);
    open_.reset();
    if (entry.is_map) return FinishMap(entry);
    const CkptTensor& tensor = entry.tensors[0];
    if (tensor.type == "str") return FinishText(entry);
    if (tensor.type == "random_op" && entry.tag == "random_op") return FinishRandomState();
    return FinishTensor(entry);
  }

  size_t readable() const { return readable_; }
  bool has_map() const { return has_map_; }
  const std::string& first_unreadable() const { return first_unreadable_; }

 private:
  // The bytes of one tensor of the open value: a part per slice.
  struct Content {
    std::vector<SourcePart> parts;
    int64_t bytes = 0;
  };

  Error Bad(const CkptEntry& entry, std::string_view what) const {
    return {ErrorCode::kMalformed,
            fmt::format("tensor {} (entry at byte {}): {}", QuoteName(entry.tag), entry.position, what)};
  }

  Result<void> Begin(CkptEntry entry) {
    contents_.assign(entry.tensors.size(), {});
    for (size_t i = 0; i < entry.tensors.size(); ++i) AddPart(i, entry.tensors[i].content);
    open_ = std::move(entry);
    return open_->is_map ? CheckRows(*open_) : CheckRoom(*open_);
  }

  Result<void> Append(const CkptEntry& entry) {
    CkptEntry& open = *open_;
    if (open.is_map != entry.is_map) return Bad(entry, "is a tensor and a map parameter");
    for (size_t i = 0; i < entry.tensors.size(); ++i) {
      CkptTensor& whole = open.tensors[i];
      const CkptTensor& slice = entry.tensors[i];
      if (whole.type != slice.type) {
        return Bad(entry, fmt::format("two slices of it have the types {} and {}", EscapeText(whole.type),
                                      EscapeText(slice.type)));
      }
      if (!entry.is_map && whole.dims != slice.dims) {
        return Bad(entry, fmt::format("two slices of it have the dims {} and {}; slices carry the dims of the whole",
                                      FormatShape(whole.dims), FormatShape(slice.dims)));
      }
      AddPart(i, slice.content);
    }
    if (!entry.is_map) return CheckRoom(entry);
    CKMAP_RETURN_IF_ERROR(CheckRows(entry));
    for (size_t i = 0; i < entry.tensors.size(); ++i) {
      std::vector<int64_t>& dims = open.tensors[i].dims;
      std::vector<int64_t> more = entry.tensors[i].dims;
      const int64_t rows = more[0];
      more[0] = dims[0];
      if (more != dims) return Bad(entry, "two parts of a map parameter differ in more than their rows");
      dims[0] += rows;
    }
    return {};
  }

  void AddPart(size_t tensor, const SourcePart& part) {
    if (part.length > 0) contents_[tensor].parts.push_back(part);
    contents_[tensor].bytes += part.length;
  }

  // A second tensor of the same name must not pass for more slices of the first.
  Result<void> CheckRoom(const CkptEntry& entry) const {
    const CkptTensor& tensor = open_->tensors[0];
    const auto dtype = FindType(kTypes, tensor.type);
    if (!dtype || tensor.dims == Shape{0}) return {};
    const auto bytes = NumBytes(tensor.dims, *dtype);
    const int64_t factor = *dtype == DType::kBF16 ? 2 : 1;
    if (bytes && contents_[0].bytes > *bytes * factor) {
      return Bad(entry, fmt::format("{} {} takes {} bytes, but {} are given: is the name used twice?", tensor.type,
                                    FormatShape(tensor.dims), *bytes, contents_[0].bytes));
    }
    return {};
  }

  // The three parts of a map parameter have one row for each key.
  Result<void> CheckRows(const CkptEntry& entry) const {
    for (const CkptTensor& tensor : entry.tensors) {
      if (tensor.dims.empty()) return Bad(entry, "a part of the map parameter is a scalar");
      if (tensor.dims[0] != entry.tensors[0].dims[0]) {
        return Bad(entry, fmt::format("the parts of the map parameter have {} and {} rows", entry.tensors[0].dims[0],
                                      tensor.dims[0]));
      }
      const auto dtype = FindType(kMapTypes, tensor.type);
      if (!dtype) {
        return Bad(entry, fmt::format("a map parameter of type `{}`; it must be int32, float16, float32 or float64",
                                      EscapeText(tensor.type)));
      }
      const auto bytes = NumBytes(tensor.dims, *dtype);
      if (!bytes || *bytes != tensor.content.length) return Bad(entry, WrongLength(tensor, tensor.content.length));
    }
    return {};
  }

  static std::string WrongLength(const CkptTensor& tensor, int64_t length) {
    const auto dtype = FindType(kTypes, tensor.type);
    const auto bytes = dtype ? NumBytes(tensor.dims, *dtype) : std::nullopt;
    return fmt::format("{} {} takes {} bytes, but {} are given", EscapeText(tensor.type), FormatShape(tensor.dims),
                       bytes ? fmt::format("{}", *bytes) : "another number of", length);
  }

  Result<void> FinishTensor(const CkptEntry& entry) {
    const CkptTensor& tensor = entry.tensors[0];
    Content& content = contents_[0];
    TensorInfo info;
    info.name = WithoutKeySuffix(entry.tag);
    info.shape = tensor.dims;
    if (tensor.type == "HiFloat8") {
      info.dtype = DType::kU8;
      if (content.bytes != NumElements(info.shape))
        return Bad(entry, "the content does not have the length of its dims");
      info.unreadable = "its type is HiFloat8, whose values nothing here can read (listed as the bytes it takes)";
      return AddUnreadable(entry, std::move(info));
    }
    const auto dtype = FindType(kTypes, tensor.type);
    if (!dtype) return Bad(entry, fmt::format("unknown type `{}`", EscapeText(tensor.type)));
    info.dtype = *dtype;
    if (info.shape == Shape{0}) {
      if (content.bytes == 0) {
        info.unreadable =
            "its dims are [0] and it has no content: that may be an empty tensor or a scalar whose value is lost "
            "(MindSpore would invent one)";
        return AddUnreadable(entry, std::move(info));
      }
      info.shape.clear();
    }
    const auto bytes = NumBytes(info.shape, info.dtype);
    if (!bytes) return Bad(entry, fmt::format("{} is too large", FormatShape(info.shape)));
    if (content.bytes == *bytes) return AddTensor(entry, std::move(info), 1);
    if (info.dtype == DType::kBF16 && content.bytes == 2 * *bytes) return AddTensor(entry, std::move(info), 2);
    return Bad(entry, WrongLength(tensor, content.bytes));
  }

  // `spread`: 2 for a BFloat16 that is stored as Float32, whose upper (later) half counts.
  Result<void> AddTensor(const CkptEntry& entry, TensorInfo info, int64_t spread) {
    const int64_t size = DTypeSize(info.dtype);
    std::vector<int64_t> strides = RowMajorStrides(info.shape);
    for (int64_t& stride : strides) stride *= size * spread;
    ++readable_;
    if (checkpoint_.AddTensor(std::move(info), size * (spread - 1), std::move(strides),
                              std::move(contents_[0].parts))) {
      return {};
    }
    return Twice(entry);
  }

  Result<void> AddUnreadable(const CkptEntry& entry, TensorInfo info) {
    if (first_unreadable_.empty()) {
      first_unreadable_ = fmt::format("tensor {}: {}", QuoteName(info.name), info.unreadable);
    }
    if (checkpoint_.AddUnreadable(std::move(info))) return {};
    return Twice(entry);
  }

  Error Twice(const CkptEntry& entry) const {
    return Bad(entry, "the name comes a second time, with others between (MindSpore keeps the last silently)");
  }

  Result<void> FinishMap(const CkptEntry& entry) {
    constexpr std::array<std::string_view, 3> kParts = {"#key", "#value", "#status"};
    for (size_t i = 0; i < kParts.size(); ++i) {
      TensorInfo info;
      info.name = WithoutKeySuffix(entry.tag) + std::string(kParts[i]);
      info.dtype = *FindType(kMapTypes, entry.tensors[i].type);
      info.shape = entry.tensors[i].dims;
      if (!checkpoint_.AddTensor(std::move(info), std::move(contents_[i].parts))) return Twice(entry);
    }
    ++readable_;
    has_map_ = true;
    return {};
  }

  Result<void> FinishRandomState() {
    checkpoint_.AddOther({.name = "random_op", .kind = "bytes", .value = {}});
    checkpoint_.AddWarning(
        "`random_op` holds the state of random operators and is left out; MindSpore 2.7 and later cannot load a file "
        "that has it");
    ++readable_;
    return {};
  }

  Result<void> FinishText(const CkptEntry& entry);

  const ByteSource& source_;
  SourceCheckpoint& checkpoint_;
  std::optional<CkptEntry> open_;
  std::vector<Content> contents_;  // of the open value, one per tensor
  size_t readable_ = 0;
  std::string first_unreadable_;
  bool has_map_ = false;
};

void AppendUtf8(std::string& text, uint32_t code) {
  const auto tail = [&text, code](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// numpy's `<U`: UTF-32, little-endian; zeros at the end are its padding.
Result<void> Assembler::FinishText(const CkptEntry& entry) {
  const Content& content = contents_[0];
  if (content.bytes == 0 || content.bytes % 4 != 0) {
    return Bad(entry, fmt::format("a str of {} bytes; it must be a multiple of 4 and not 0", content.bytes));
  }
  OtherEntry other{.name = WithoutKeySuffix(entry.tag), .kind = "str", .value = {}};
  ++readable_;
  if (content.bytes > kMaxText) {
    checkpoint_.AddOther(std::move(other));
    return {};
  }
  std::vector<std::byte> raw(static_cast<size_t>(content.bytes));
  size_t filled = 0;
  for (const SourcePart& part : content.parts) {
    const auto out = std::span(raw).subspan(filled, static_cast<size_t>(part.length));
    CKMAP_RETURN_IF_ERROR(source_.ReadAt(part.begin, out));
    filled += out.size();
  }
  std::string text;
  for (size_t i = 0; i < raw.size(); i += 4) {
    const auto code = LoadLittle<uint32_t>(raw.data() + i);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return Bad(entry, fmt::format("a str with the value 0x{:x}, which is no character", code));
    }
    AppendUtf8(text, code);
  }
  text.resize(text.find_last_not_of('\0') + 1);
  other.value = std::move(text);
  checkpoint_.AddOther(std::move(other));
  return {};
}

struct Trailer {
  bool found = false;
  uint32_t crc = 0;
};

Result<Trailer> ReadTrailer(const ByteSource& source) {
  std::array<std::byte, kTrailerBytes> raw{};
  if (source.size() < kTrailerBytes) return Trailer{};
  CKMAP_RETURN_IF_ERROR(source.ReadAt(source.size() - kTrailerBytes, raw));
  if (std::memcmp(raw.data(), kTrailerMagic.data(), kTrailerMagic.size()) != 0) return Trailer{};
  Trailer trailer{.found = true};
  uint64_t high = 0;
  for (size_t i = kTrailerMagic.size(); i < raw.size(); ++i) {
    high |= trailer.crc >> 24;
    trailer.crc = (trailer.crc << 8) | std::to_integer<uint32_t>(raw[i]);
  }
  if (high != 0) return Error(ErrorCode::kMalformed, "the trailer's crc_num is no CRC-32");
  return trailer;
}

Result<void> ReadEntries(const ByteSource& source, int64_t end, Assembler& assembler) {
  WireReader reader(source);
  std::string unknown;
  for (int64_t at = 0; at < end;) {
    const int64_t begin = at;
    CKMAP_ASSIGN_OR_RETURN(const WireField field, reader.Next(at, end));
    if (field.number != 1) {
      if (unknown.empty())
        unknown = fmt::format("field {} at byte {} is none of a checkpoint's and is passed over, as MindSpore does",
                              field.number, begin);
      continue;
    }
    CKMAP_ASSIGN_OR_RETURN(CkptEntry entry, ReadCkptEntry(reader, field));
    CKMAP_RETURN_IF_ERROR(assembler.Add(std::move(entry)));
  }
  if (!unknown.empty()) assembler.Warn(std::move(unknown));
  return assembler.Flush();
}

}  // namespace

bool LooksLikeMsStrategy(const ByteSource& source) {
  // ParallelStrategyMap: current_stage (field 1, a number), then items (fields 2 and 3, messages).
  WireReader reader(source);
  int64_t at = 0;
  for (const uint32_t number : {1U, 2U}) {
    if (at >= source.size()) return false;
    const auto field = reader.Next(at, source.size());
    if (!field || (number == 1 && (field->number != 1 || field->type != WireType::kVarint))) return false;
    if (number == 2 && (field->number > 3 || field->type != WireType::kBytes)) return false;
  }
  return true;
}

bool LooksLikeMsCkpt(const ByteSource& source) {
  // Zero bytes at 4 and then a brace or white space: the length and the header of safetensors.
  std::array<std::byte, 9> head{};
  if (source.size() >= static_cast<int64_t>(head.size())) {
    if (!source.ReadAt(0, head)) return false;
    const bool header = std::string_view("{ \t\r\n").find(static_cast<char>(head[8])) != std::string_view::npos;
    if (header && LoadLittle<uint32_t>(head.data() + 4) == 0) return false;
  }
  WireReader reader(source);
  int64_t at = 0;
  for (int i = 0; i < kFieldsSniffed && at < source.size(); ++i) {
    int64_t next = at;
    const auto key = reader.Varint(next, source.size());
    if (!key) return false;
    if (*key == std::to_integer<uint64_t>(kEntryKey)) {
      // An entry, perhaps cut short. What lies in it must begin as a field.
      if (!reader.Varint(next, source.size()) || next >= source.size()) return false;
      const auto inner = reader.Varint(next, source.size());
      return inner && (*inner >> 3) != 0 && (*inner & 7) <= 5 && (*inner & 7) != 4;
    }
    const auto field = reader.Next(at, source.size());  // some other field, which protobuf passes over
    if (!field || field->number == 1) return false;
  }
  return false;
}

Result<std::unique_ptr<Checkpoint>> OpenMsCkpt(std::unique_ptr<ByteSource> source) {
  const std::string path = source->path();
  const ByteSource& bytes = *source;
  auto trailer = ReadTrailer(bytes);
  if (!trailer) return std::move(trailer).error().Context(path);
  const int64_t end = bytes.size() - (trailer->found ? kTrailerBytes : 0);
  auto checkpoint = std::make_unique<SourceCheckpoint>("ms-ckpt", std::move(source));
  Assembler assembler(bytes, *checkpoint);
  if (auto read = ReadEntries(bytes, end, assembler); !read) {
    const bool named = read.error().message().starts_with(path);
    return named ? std::move(read).error() : std::move(read).error().Context(path);
  }
  if (assembler.readable() == 0) {
    return Error(
        ErrorCode::kMalformed,
        fmt::format("{}: holds no tensor{}", path,
                    assembler.first_unreadable().empty() ? "" : " that can be read: " + assembler.first_unreadable()));
  }
  if (trailer->found && assembler.has_map()) {
    checkpoint->AddWarning("the CRC is not checked: MindSpore leaves map parameters out of it");
  } else if (trailer->found && bytes.plain()) {
    checkpoint->ExpectCrc(trailer->crc, end);
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
