#include "runtime/formats/mindspore/ms_ckpt_writer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/file_crc.h"
#include "runtime/base/output_file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/mindspore/ms_encrypt.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kSlice = int64_t{512} << 20;
constexpr size_t kMaxName = 1024;
constexpr std::string_view kTrailerMark = "crc_num";
constexpr int64_t kCrcTrailerBytes = 17;
constexpr size_t kFlushAt = size_t{1} << 20;
// Contents up to here are skipped over in one buffer of messages rather than by a write each.
constexpr int64_t kSmall = 8192;
constexpr int64_t kMaxTextMessage = int64_t{4} << 20;

// "" for dtypes that MindSpore cannot load.
std::string_view TypeName(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "Bool";
    case DType::kI8:
      return "Int8";
    case DType::kU8:
      return "UInt8";
    case DType::kI16:
      return "Int16";
    case DType::kU16:
      return "UInt16";
    case DType::kI32:
      return "Int32";
    case DType::kU32:
      return "UInt32";
    case DType::kI64:
      return "Int64";
    case DType::kU64:
      return "UInt64";
    case DType::kF16:
      return "Float16";
    case DType::kBF16:
      return "BFloat16";
    case DType::kF32:
      return "Float32";
    case DType::kF64:
      return "Float64";
    case DType::kI4:
      return "Int4";
    case DType::kF8E4M3:
    case DType::kF8E5M2:
    case DType::kF8E4M3Fnuz:
    case DType::kF8E5M2Fnuz:
    case DType::kF8E8M0:
    case DType::kF4:
    case DType::kF6E2M3:
    case DType::kF6E3M2:
    case DType::kC32:
    case DType::kC64:
    case DType::kC128:
    case DType::kAny:
      return "";
  }
  return "";
}

void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

uint64_t VarintSize(uint64_t value) {
  uint64_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

// The parts of a message whose sizes do not depend on the slice.
struct MessageHead {
  std::string tag;     // field 1 of Value
  std::string tensor;  // dims and tensor_type, fields 1 and 2 of TensorProto
};

MessageHead MakeHead(const std::string& name, const Shape& dims, std::string_view type) {
  MessageHead head;
  head.tag = '\x0a';
  PutVarint(head.tag, name.size());
  head.tag += name;
  for (const int64_t size : dims) {
    head.tensor += '\x08';
    PutVarint(head.tensor, static_cast<uint64_t>(size));
  }
  head.tensor += '\x12';
  PutVarint(head.tensor, type.size());
  head.tensor += type;
  return head;
}

// What stands before `content` bytes of a slice; they end the message.
std::string MessagePrefix(const MessageHead& head, int64_t content) {
  const auto length = static_cast<uint64_t>(content);
  const uint64_t tensor = head.tensor.size() + 1 + VarintSize(length) + length;
  const uint64_t value = head.tag.size() + 1 + VarintSize(tensor) + tensor;
  std::string out = "\x0a";
  PutVarint(out, value);
  out += head.tag;
  out += '\x12';
  PutVarint(out, tensor);
  out += head.tensor;
  out += '\x1a';
  PutVarint(out, length);
  return out;
}

// The name of a map parameter's part is that of the parameter and one of these; all three make one.
constexpr std::array<std::string_view, 3> kMapParts = {"#key", "#value", "#status"};

// numpy's names, and only these. "" for others.
std::string_view MapTypeName(DType dtype) {
  switch (dtype) {
    case DType::kI32:
      return "int32";
    case DType::kF16:
      return "float16";
    case DType::kF32:
      return "float32";
    case DType::kF64:
      return "float64";
    default:
      return "";
  }
}

bool AreMap(const std::array<const OutputTensor*, 3>& parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const OutputTensor* part) {
    return part != nullptr && !MapTypeName(part->dtype).empty() && !part->shape.empty() &&
           part->shape[0] == parts[0]->shape[0];
  });
}

// What stands before each of a map parameter's contents. They follow each other in one message.
std::array<std::string, 3> MapPrefixes(std::string_view name, const std::array<const OutputTensor*, 3>& parts) {
  std::array<std::string, 3> heads;
  uint64_t map = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto length = static_cast<uint64_t>(*NumBytes(parts[i]->shape, parts[i]->dtype));
    std::string tensor = MakeHead("", parts[i]->shape, MapTypeName(parts[i]->dtype)).tensor;
    tensor += '\x1a';
    PutVarint(tensor, length);
    heads[i] = "\x0a";
    PutVarint(heads[i], tensor.size() + length);
    heads[i] += tensor;
    map += heads[i].size() + length;
  }
  const std::string tag = MakeHead(std::string(name), {}, "").tag;
  std::string front = "\x0a";
  PutVarint(front, tag.size() + 1 + VarintSize(map) + map);
  front += tag + '\x1a';
  PutVarint(front, map);
  heads[0].insert(0, front);
  return heads;
}

// numpy's `<U`: UTF-32, little-endian. An empty text is one zero.
std::string Utf32(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size() || out.empty();) {
    char32_t code = 0;
    if (at < text.size()) at += std::max<size_t>(1, DecodeUtf8(text, at, code));
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(code >> shift);
    if (text.empty()) break;
  }
  return out;
}

// Entries as append_dict makes them of strings.
std::string TextMessages(const std::map<std::string, std::string>& texts) {
  std::string out;
  for (const auto& [name, text] : texts) {
    const std::string content = Utf32(text);
    out += MessagePrefix(MakeHead(name, {0}, "str"), static_cast<int64_t>(content.size())) + content;
  }
  return out;
}

size_t CountCharacters(std::string_view name) {
  return static_cast<size_t>(
      std::count_if(name.begin(), name.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void CheckTexts(const std::vector<OutputTensor>& tensors, const std::map<std::string, std::string>& texts,
                Refusals& refusals) {
  for (const auto& [name, text] : texts) {
    const bool taken = std::any_of(tensors.begin(), tensors.end(),
                                   [&name = name](const OutputTensor& tensor) { return tensor.name == name; });
    if (taken) refusals.Add(name, "a text has the same name; drop one of them");
    if (!IsValidUtf8(text)) refusals.Add(fmt::format("text `{}` is not UTF-8", EscapeText(name)));
    if (static_cast<int64_t>(text.size()) > kMaxTextMessage) {
      refusals.Add(fmt::format("text `{}` has {} bytes, at most {} are written", EscapeText(name), text.size(),
                               kMaxTextMessage));
    }
  }
}

Result<void> CheckCkpt(const std::string& path, const std::vector<OutputTensor>& tensors, const WriteOptions& options) {
  Refusals refusals;
  CheckTensors(tensors, refusals);
  CheckTexts(tensors, options.texts, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (TypeName(tensor.dtype).empty()) {
      refusals.Add(tensor.name,
                   fmt::format("MindSpore cannot load dtype {} from a .ckpt; cast it, or write safetensors",
                               DTypeName(tensor.dtype)));
    }
    if (CountCharacters(tensor.name) > kMaxName) {
      refusals.Add(tensor.name.substr(0, 60) + "…", "the name is longer than the 1024 characters that MindSpore loads");
    }
    if (tensor.shape == Shape{0}) {
      refusals.Add(tensor.name, "shape [0] stands for a scalar in a .ckpt; drop the tensor, or write safetensors");
    }
    for (const int64_t size : tensor.shape) {
      if (size > std::numeric_limits<int32_t>::max()) {
        refusals.Add(tensor.name, fmt::format("MindSpore cannot load an axis of {}, only up to 2^31 - 1", size));
      }
    }
  }
  return refusals.ToResult(path, "a MindSpore .ckpt");
}

class CkptWriter final : public CheckpointWriter {
 public:
  CkptWriter(std::string path, std::vector<OutputTensor> tensors, const WriteOptions& options)
      : path_(std::move(path)), tensors_(std::move(tensors)), options_(options) {
    if (!options_.metadata.empty()) warnings_.emplace_back("a .ckpt holds no metadata: it is left out");
  }

  Result<void> Create();

  std::vector<FileExtent> extents(size_t tensor) const override;
  const std::string& path(size_t /*tensor*/) const override { return path_; }
  int64_t total_bytes() const override {
    return options_.cipher ? EncryptedBytes(total_bytes_, *options_.cipher) : total_bytes_;
  }
  Result<std::vector<WrittenFile>> Commit() override;

 private:
  // Where the messages go: the output itself, or a file without a name from which it is encrypted.
  int fd() const { return options_.cipher ? scratch_.fd(0) : set_.fd(0); }
  // Brings the parts of map parameters together.
  void FindMaps();
  // Calls `visit(prefix, bytes of content)` for all that stands in the file for a tensor.
  void ForEachSlice(size_t tensor, const std::function<void(const std::string&, int64_t)>& visit) const;
  Result<int64_t> LayOut();
  Result<void> WritePrefixes();
  Result<bool> EndsLikeTrailer() const;
  Result<void> WriteTrailer(int64_t message_bytes);

  std::string path_;
  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  std::vector<size_t> order_;                             // tensors as they lie in the file
  std::unordered_map<size_t, std::string> map_prefixes_;  // of tensors that are parts of map parameters
  std::vector<int64_t> offsets_;                          // where each tensor begins, with what stands before it
  int64_t total_bytes_ = 0;                               // before encryption
  OutputSet scratch_;                                     // never published: gone with the writer, however that ends
};

void CkptWriter::FindMaps() {
  std::unordered_map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].name.find('#') != std::string::npos) by_name.emplace(tensors_[i].name, i);
  }
  order_.reserve(tensors_.size());
  std::vector<bool> placed(tensors_.size(), false);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (placed[i]) continue;
    const std::string_view whole = std::string_view(tensors_[i].name).substr(0, tensors_[i].name.rfind('#'));
    std::array<size_t, 3> places{};
    std::array<const OutputTensor*, 3> parts{};
    for (size_t part = 0; part < parts.size() && by_name.contains(tensors_[i].name); ++part) {
      const auto found = by_name.find(std::string(whole).append(kMapParts[part]));
      if (found == by_name.end()) continue;
      places[part] = found->second;
      parts[part] = &tensors_[found->second];
    }
    if (std::find(parts.begin(), parts.end(), &tensors_[i]) == parts.end() || whole.empty() || !AreMap(parts)) {
      order_.push_back(i);
      continue;
    }
    auto prefixes = MapPrefixes(whole, parts);
    for (size_t part = 0; part < parts.size(); ++part) {
      placed[places[part]] = true;
      order_.push_back(places[part]);
      map_prefixes_.emplace(places[part], std::move(prefixes[part]));
    }
  }
}

void CkptWriter::ForEachSlice(size_t tensor, const std::function<void(const std::string&, int64_t)>& visit) const {
  const OutputTensor& info = tensors_[tensor];
  int64_t left = *NumBytes(info.shape, info.dtype);
  if (const auto map = map_prefixes_.find(tensor); map != map_prefixes_.end()) return visit(map->second, left);
  const bool old_scalar = options_.old_scalars && info.shape.empty();
  const MessageHead head = MakeHead(info.name, old_scalar ? Shape{0} : info.shape, TypeName(info.dtype));
  do {
    const int64_t slice = std::min(left, kSlice);
    visit(MessagePrefix(head, slice), slice);
    left -= slice;
  } while (left > 0);
}

Result<int64_t> CkptWriter::LayOut() {
  int64_t offset = 0;
  bool too_large = false;
  offsets_.resize(tensors_.size());
  for (const size_t tensor : order_) {
    offsets_[tensor] = offset;
    ForEachSlice(tensor, [&](const std::string& prefix, int64_t bytes) {
      too_large = too_large || __builtin_add_overflow(offset, static_cast<int64_t>(prefix.size()) + bytes, &offset);
    });
    if (too_large) return Error(ErrorCode::kLimit, path_ + ": the tensors together exceed 2^63 bytes");
  }
  if (__builtin_add_overflow(offset, static_cast<int64_t>(TextMessages(options_.texts).size()), &offset)) {
    return Error(ErrorCode::kLimit, path_ + ": the entries together exceed 2^63 bytes");
  }
  return offset;
}

std::vector<FileExtent> CkptWriter::extents(size_t tensor) const {
  std::vector<FileExtent> runs;
  int64_t offset = offsets_[tensor];
  ForEachSlice(tensor, [&](const std::string& prefix, int64_t bytes) {
    offset += static_cast<int64_t>(prefix.size());
    if (bytes > 0) runs.push_back({fd(), offset, bytes});
    offset += bytes;
  });
  return runs;
}

// The file's first byte is left zero until Commit: before that, nothing parses it.
Result<void> CkptWriter::WritePrefixes() {
  std::string buffer;
  int64_t at = 0;  // file offset of the buffer's first byte
  Result<void> done;
  const auto flush = [&] {
    const std::string_view rest =
        at == 0 ? std::string_view(buffer).substr(std::min<size_t>(1, buffer.size())) : std::string_view(buffer);
    const int64_t offset = at == 0 ? 1 : at;
    at += static_cast<int64_t>(buffer.size());
    if (done) done = WriteAt(fd(), offset, std::as_bytes(std::span(rest)));
    buffer.clear();
  };
  for (const size_t tensor : order_) {
    ForEachSlice(tensor, [&](const std::string& prefix, int64_t bytes) {
      buffer += prefix;
      if (bytes <= kSmall) {
        buffer.append(static_cast<size_t>(bytes), '\0');
        if (buffer.size() >= kFlushAt) flush();
      } else {
        flush();
        at += bytes;
      }
    });
    if (!done) break;
  }
  buffer += TextMessages(options_.texts);
  flush();
  if (!done) return std::move(done).error().Context(path_);
  return {};
}

Result<void> CkptWriter::Create() {
  FindMaps();
  CKMAP_ASSIGN_OR_RETURN(const int64_t message_bytes, LayOut());
  total_bytes_ = message_bytes + (options_.crc ? kCrcTrailerBytes : 0);
  CKMAP_RETURN_IF_ERROR(set_.Add(path_, total_bytes(), options_.force));
  if (options_.cipher) CKMAP_RETURN_IF_ERROR(scratch_.AddScratch(path_, total_bytes_));
  return WritePrefixes();
}

// MindSpore cuts off the last 17 bytes if they begin like the trailer, tensor or not.
Result<bool> CkptWriter::EndsLikeTrailer() const {
  if (options_.crc || total_bytes_ < kCrcTrailerBytes) return false;
  std::array<char, kTrailerMark.size()> end{};
  if (Result<void> read = ReadAt(fd(), total_bytes_ - kCrcTrailerBytes, std::as_writable_bytes(std::span(end)));
      !read) {
    return std::move(read).error().Context(path_);
  }
  return std::string_view(end.data(), end.size()) == kTrailerMark;
}

// "crc_num" and the CRC of all messages as a big-endian number of ten bytes.
Result<void> CkptWriter::WriteTrailer(int64_t message_bytes) {
  const int threads = DefaultThreads();
  CKMAP_ASSIGN_OR_RETURN(const uint32_t crc, FileCrc32(fd(), 0, message_bytes, threads));
  std::string trailer(kTrailerMark);
  trailer.append(6, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) trailer += static_cast<char>(crc >> shift);
  return WriteAt(fd(), message_bytes, std::as_bytes(std::span(trailer)));
}

Result<std::vector<WrittenFile>> CkptWriter::Commit() {
  if (total_bytes_ > 0) {
    const std::byte first{0x0a};
    if (Result<void> ok = WriteAt(fd(), 0, std::span(&first, 1)); !ok) {
      return std::move(ok).error().Context(path_);
    }
  }
  CKMAP_ASSIGN_OR_RETURN(const bool needs_trailer, EndsLikeTrailer());
  if (needs_trailer) total_bytes_ += kCrcTrailerBytes;
  if (needs_trailer || options_.crc) {
    if (Result<void> ok = WriteTrailer(total_bytes_ - kCrcTrailerBytes); !ok) {
      return std::move(ok).error().Context(path_);
    }
  }
  if (options_.cipher) {
    Result<void> ok =
        EncryptFile(scratch_.fd(0), total_bytes_, set_.fd(0), *options_.cipher, options_.key, DefaultThreads());
    if (!ok) {
      return std::move(ok).error().Context(path_);
    }
  }
  CKMAP_RETURN_IF_ERROR(set_.Publish({options_.force, options_.fsync}));
  return std::vector<WrittenFile>{{path_, total_bytes()}};
}

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateMindSporeCkpt(const std::string& path,
                                                              std::vector<OutputTensor> tensors,
                                                              const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage, path + ": a .ckpt has no shards; leave out --max-shard-size, or write safetensors");
  }
  if (options.crc && options.cipher) {
    return Error(ErrorCode::kUsage,
                 path +
                     ": MindSpore cannot read a file that is encrypted and has a CRC; leave out one of "
                     "--crc and --encrypt (AES-GCM protects every byte by itself)");
  }
  if (options.cipher && FindCipher(*options.cipher, options.key.bytes().size()) == nullptr) {
    return Error(ErrorCode::kUsage, WrongKeyLength(*options.cipher, options.key.bytes().size()).message())
        .Context(path);
  }
  CKMAP_RETURN_IF_ERROR(CheckCkpt(path, tensors, options));
  auto writer = std::make_unique<CkptWriter>(path, std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create());
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
