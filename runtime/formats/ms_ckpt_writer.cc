#include "runtime/formats/ms_ckpt_writer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/formats/file_crc.h"
#include "runtime/formats/ms_cipher.h"
#include "runtime/formats/ms_encrypt.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kSlice = int64_t{512} << 20;
constexpr size_t kMaxName = 1024;
constexpr std::string_view kTrailerMark = "crc_num";
constexpr int64_t kTrailerBytes = 17;
constexpr size_t kFlushAt = size_t{1} << 20;
// Contents up to here are skipped over in one buffer of messages rather than by a write each.
constexpr int64_t kSmall = 8192;
constexpr int64_t kMaxText = int64_t{4} << 20;

// "" for dtypes that MindSpore cannot load.
std::string_view TypeName(DType dtype) {
  switch (dtype) {
    case DType::kBool: return "Bool";
    case DType::kI8: return "Int8";
    case DType::kU8: return "UInt8";
    case DType::kI16: return "Int16";
    case DType::kU16: return "UInt16";
    case DType::kI32: return "Int32";
    case DType::kU32: return "UInt32";
    case DType::kI64: return "Int64";
    case DType::kU64: return "UInt64";
    case DType::kF16: return "Float16";
    case DType::kBF16: return "BFloat16";
    case DType::kF32: return "Float32";
    case DType::kF64: return "Float64";
    case DType::kI4: return "Int4";
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
    case DType::kAny: return "";
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
  return static_cast<size_t>(std::count_if(name.begin(), name.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void CheckTexts(const std::vector<OutputTensor>& tensors, const std::map<std::string, std::string>& texts,
                Refusals& refusals) {
  for (const auto& [name, text] : texts) {
    const bool taken = std::any_of(tensors.begin(), tensors.end(),
                                   [&name = name](const OutputTensor& tensor) { return tensor.name == name; });
    if (taken) refusals.Add(name, "a text has the same name; drop one of them");
    if (!IsValidUtf8(text)) refusals.Add(fmt::format("text `{}` is not UTF-8", EscapeText(name)));
    if (static_cast<int64_t>(text.size()) > kMaxText) {
      refusals.Add(fmt::format("text `{}` has {} bytes, at most {} are written", EscapeText(name), text.size(), kMaxText));
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
      refusals.Add(tensor.name.substr(0, 60) + "…",
                   "the name is longer than the 1024 characters that MindSpore loads");
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
  MessageHead Head(const OutputTensor& tensor) const {
    const bool old_scalar = options_.old_scalars && tensor.shape.empty();
    return MakeHead(tensor.name, old_scalar ? Shape{0} : tensor.shape, TypeName(tensor.dtype));
  }
  Result<int64_t> LayOut();
  Result<void> WritePrefixes();
  Result<bool> EndsLikeTrailer() const;
  Result<void> WriteTrailer(int64_t message_bytes);

  std::string path_;
  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  std::vector<int64_t> offsets_;  // of each tensor's first message
  int64_t total_bytes_ = 0;       // before encryption
  OutputSet set_;
  OutputSet scratch_;  // never published: gone with the writer, however that ends
};

Result<int64_t> CkptWriter::LayOut() {
  int64_t offset = 0;
  offsets_.reserve(tensors_.size());
  for (const OutputTensor& tensor : tensors_) {
    offsets_.push_back(offset);
    const MessageHead head = Head(tensor);
    int64_t left = *NumBytes(tensor.shape, tensor.dtype);
    do {
      const int64_t slice = std::min(left, kSlice);
      const auto prefix = static_cast<int64_t>(MessagePrefix(head, slice).size());
      if (__builtin_add_overflow(offset, prefix + slice, &offset)) {
        return Error(ErrorCode::kLimit, path_ + ": the tensors together exceed 2^63 bytes");
      }
      left -= slice;
    } while (left > 0);
  }
  if (__builtin_add_overflow(offset, static_cast<int64_t>(TextMessages(options_.texts).size()), &offset)) {
    return Error(ErrorCode::kLimit, path_ + ": the entries together exceed 2^63 bytes");
  }
  return offset;
}

std::vector<FileExtent> CkptWriter::extents(size_t tensor) const {
  std::vector<FileExtent> runs;
  const OutputTensor& info = tensors_[tensor];
  const MessageHead head = Head(info);
  int64_t offset = offsets_[tensor];
  for (int64_t left = *NumBytes(info.shape, info.dtype); left > 0;) {
    const int64_t slice = std::min(left, kSlice);
    offset += static_cast<int64_t>(MessagePrefix(head, slice).size());
    runs.push_back({fd(), offset, slice});
    offset += slice;
    left -= slice;
  }
  return runs;
}

// The file's first byte is left zero until Commit: before that, nothing parses it.
Result<void> CkptWriter::WritePrefixes() {
  std::string buffer;
  int64_t at = 0;  // file offset of the buffer's first byte
  const auto flush = [&]() -> Result<void> {
    const std::string_view rest = at == 0 ? std::string_view(buffer).substr(std::min<size_t>(1, buffer.size()))
                                          : std::string_view(buffer);
    const int64_t offset = at == 0 ? 1 : at;
    at += static_cast<int64_t>(buffer.size());
    Result<void> written = WriteAt(fd(), offset, std::as_bytes(std::span(rest)));
    buffer.clear();
    if (!written) return std::move(written).error().Context(path_);
    return {};
  };
  for (const OutputTensor& tensor : tensors_) {
    const MessageHead head = Head(tensor);
    int64_t left = *NumBytes(tensor.shape, tensor.dtype);
    do {
      const int64_t slice = std::min(left, kSlice);
      buffer += MessagePrefix(head, slice);
      if (slice <= kSmall) {
        buffer.append(static_cast<size_t>(slice), '\0');
        if (buffer.size() >= kFlushAt) CKMAP_RETURN_IF_ERROR(flush());
      } else {
        CKMAP_RETURN_IF_ERROR(flush());
        at += slice;
      }
      left -= slice;
    } while (left > 0);
  }
  buffer += TextMessages(options_.texts);
  return flush();
}

Result<void> CkptWriter::Create() {
  CKMAP_ASSIGN_OR_RETURN(const int64_t message_bytes, LayOut());
  total_bytes_ = message_bytes + (options_.crc ? kTrailerBytes : 0);
  CKMAP_RETURN_IF_ERROR(set_.Add(path_, total_bytes(), options_.force));
  if (options_.cipher) CKMAP_RETURN_IF_ERROR(scratch_.Add(path_, total_bytes_, options_.force));
  return WritePrefixes();
}

// MindSpore cuts off the last 17 bytes if they begin like the trailer, tensor or not.
Result<bool> CkptWriter::EndsLikeTrailer() const {
  if (options_.crc || total_bytes_ < kTrailerBytes) return false;
  std::array<char, kTrailerMark.size()> end{};
  if (Result<void> read = ReadAt(fd(), total_bytes_ - kTrailerBytes, std::as_writable_bytes(std::span(end)));
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
  if (needs_trailer) total_bytes_ += kTrailerBytes;
  if (needs_trailer || options_.crc) {
    if (Result<void> ok = WriteTrailer(total_bytes_ - kTrailerBytes); !ok) {
      return std::move(ok).error().Context(path_);
    }
  }
  if (options_.cipher) {
    Result<void> ok = EncryptFile(scratch_.fd(0), total_bytes_, set_.fd(0), *options_.cipher, options_.key, DefaultThreads());
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
    return Error(ErrorCode::kUsage,
                 path + ": a .ckpt has no shards; leave out --max-shard-size, or write safetensors");
  }
  if (options.crc && options.cipher) {
    return Error(ErrorCode::kUsage, path + ": MindSpore cannot read a file that is encrypted and has a CRC; leave out one of "
                                           "--crc and --encrypt (AES-GCM protects every byte by itself)");
  }
  if (options.cipher && FindCipher(*options.cipher, options.key.bytes().size()) == nullptr) {
    return Error(ErrorCode::kUsage, WrongKeyLength(*options.cipher, options.key.bytes().size()).message()).Context(path);
  }
  CKMAP_RETURN_IF_ERROR(CheckCkpt(path, tensors, options));
  auto writer = std::make_unique<CkptWriter>(path, std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create());
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
