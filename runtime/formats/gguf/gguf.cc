#include "runtime/formats/gguf/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"
#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/gguf/gguf_blocks.h"
#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kMaxAxes = 4;
constexpr uint32_t kDefaultAlignment = 32;
constexpr uint32_t kMaxAlignment = 1U << 16;
constexpr int64_t kMaxText = int64_t{1} << 20;  // of a value that is kept; longer ones are passed over
constexpr int64_t kMinEntry = 8 + 4 + 1;        // bytes of a key-value pair at least
constexpr int64_t kMinTensor = 8 + 4 + 4 + 8;   // bytes of a tensor's entry at least

// Types of values.
enum ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kText = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12
};

// Bytes of a number's type; 0 for others.
int64_t NumberSize(uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
      return 8;
    default:
      return 0;
  }
}

// The file from the front to the back, through a window.
class Cursor {
 public:
  explicit Cursor(const InputFile& source) : source_(source) {}

  int64_t at() const { return at_; }
  int64_t left() const { return source_.size() - at_; }
  void set_big_endian() { big_endian_ = true; }
  bool big_endian() const { return big_endian_; }

  Result<void> Read(std::span<std::byte> out) {
    if (static_cast<int64_t>(out.size()) > left()) return Short();
    while (!out.empty()) {
      if (at_ < window_begin_ || at_ >= window_begin_ + static_cast<int64_t>(window_.size()))
        CKMAP_RETURN_IF_ERROR(Fill());
      const auto from = static_cast<size_t>(at_ - window_begin_);
      const size_t count = std::min(out.size(), window_.size() - from);
      std::memcpy(out.data(), window_.data() + from, count);
      out = out.subspan(count);
      at_ += static_cast<int64_t>(count);
    }
    return {};
  }

  Result<void> Skip(int64_t count) {
    if (count > left()) return Short();
    at_ += count;
    return {};
  }

  template <typename T>
  Result<T> Number() {
    std::array<std::byte, sizeof(T)> raw{};
    CKMAP_RETURN_IF_ERROR(Read(raw));
    if (big_endian_) std::reverse(raw.begin(), raw.end());
    return LoadLittle<T>(raw.data());
  }

  // A count of things of `unit` bytes at least, that lie ahead.
  Result<int64_t> Count(int64_t unit) {
    CKMAP_ASSIGN_OR_RETURN(const auto count, Number<uint64_t>());
    if (count > static_cast<uint64_t>(left() / unit)) {
      return Malformed(fmt::format("byte {}: promises {} entries, but only {} bytes follow", at_ - 8, count, left()));
    }
    return static_cast<int64_t>(count);
  }

  Result<std::string> Text(int64_t length) {
    std::string text(static_cast<size_t>(length), '\0');
    CKMAP_RETURN_IF_ERROR(Read(std::as_writable_bytes(std::span(text))));
    return text;
  }

 private:
  static constexpr int64_t kWindow = int64_t{1} << 16;

  Error Short() const {
    return Malformed(fmt::format("byte {}: the file ends within its header (is it cut short?)", at_));
  }

  Result<void> Fill() {
    window_begin_ = at_;
    window_.resize(static_cast<size_t>(std::min(kWindow, left())));
    return source_.ReadAt(window_begin_, window_);
  }

  const InputFile& source_;
  int64_t at_ = 0;
  bool big_endian_ = false;
  int64_t window_begin_ = 0;
  std::vector<std::byte> window_;
};

struct Entry {
  TensorInfo info;
  const GgmlType* type = nullptr;
  int64_t bytes = 0;
};

class GgufReader {
 public:
  GgufReader(const InputFile& source, StoredCheckpoint& checkpoint)
      : source_(source), checkpoint_(checkpoint), cursor_(source) {}

  Result<void> Read() {
    CKMAP_RETURN_IF_ERROR(ReadVersion());
    CKMAP_ASSIGN_OR_RETURN(const int64_t tensors, cursor_.Count(kMinTensor));
    CKMAP_ASSIGN_OR_RETURN(const int64_t values, cursor_.Count(kMinEntry));
    for (int64_t i = 0; i < values; ++i) CKMAP_RETURN_IF_ERROR(ReadPair());
    for (int64_t i = 0; i < tensors; ++i) CKMAP_RETURN_IF_ERROR(ReadTensor());
    return AddAll();
  }

 private:
  Result<void> ReadVersion() {
    CKMAP_RETURN_IF_ERROR(cursor_.Skip(static_cast<int64_t>(kMagic.size())));
    CKMAP_ASSIGN_OR_RETURN(uint32_t version, cursor_.Number<uint32_t>());
    if (version > 0xffffff) {
      cursor_.set_big_endian();
      version = version >> 24 | (version >> 8 & 0xff00) | (version << 8 & 0xff0000) | version << 24;
    }
    if (version == 2 || version == 3) return {};
    return Malformed(fmt::format("is GGUF of version {}; 2 and 3 are read{}", version,
                                 version == 1 ? " (convert it with llama.cpp of before 2024)" : ""));
  }

  Result<std::string> Key() {
    const int64_t at = cursor_.at();
    CKMAP_ASSIGN_OR_RETURN(const int64_t length, cursor_.Count(1));
    if (length > static_cast<int64_t>(kMaxTensorName)) {
      return Malformed(fmt::format("byte {}: a key of {} bytes, at most {} are read", at, length, kMaxTensorName));
    }
    CKMAP_ASSIGN_OR_RETURN(std::string key, cursor_.Text(length));
    const std::string problem = key.empty() ? "it is empty" : TensorNameProblem(key);
    if (!problem.empty()) return Malformed(fmt::format("byte {}: the key {}: {}", at, QuoteName(key), problem));
    return key;
  }

  Result<void> ReadPair() {
    CKMAP_ASSIGN_OR_RETURN(std::string key, Key());
    if (!keys_.insert(key).second) return Malformed(fmt::format("the key {} is given twice", QuoteName(key)));
    CKMAP_ASSIGN_OR_RETURN(const auto type, cursor_.Number<uint32_t>());
    if (type == kText) return ReadTextValue(std::move(key));
    if (type == kArray) return SkipArray(std::move(key));
    if (NumberSize(type) == 0)
      return Malformed(fmt::format("the key {} has a value of the unknown type {}", QuoteName(key), type));
    CKMAP_ASSIGN_OR_RETURN(OtherEntry entry, ReadNumber(type));
    if (key == "general.alignment") {
      const auto* alignment = std::get_if<int64_t>(&entry.value);
      if (type != kU32 || alignment == nullptr || *alignment <= 0 || *alignment > kMaxAlignment ||
          !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
        return Malformed(
            fmt::format("`general.alignment` must be a u32 that is a power of two up to {}", kMaxAlignment));
      }
      alignment_ = *alignment;
    }
    entry.name = std::move(key);
    checkpoint_.AddOther(std::move(entry));
    return {};
  }

  Result<void> ReadTextValue(std::string key) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t length, cursor_.Count(1));
    if (length > kMaxText) {
      checkpoint_.AddOther({std::move(key), "str", {}});
      return cursor_.Skip(length);
    }
    CKMAP_ASSIGN_OR_RETURN(std::string value, cursor_.Text(length));
    if (key == "general.alignment") return Malformed("`general.alignment` is a text");
    if (IsValidUtf8(value)) {
      checkpoint_.AddMetadata(std::move(key), std::move(value));
    } else {
      checkpoint_.AddOther({std::move(key), "bytes", {}});
    }
    return {};
  }

  // What is told of a list is that it is there.
  Result<void> SkipArray(std::string key) {
    CKMAP_ASSIGN_OR_RETURN(const auto type, cursor_.Number<uint32_t>());
    if (key == "general.alignment") return Malformed("`general.alignment` is a list");
    const int64_t size = NumberSize(type);
    if (size == 0 && type != kText) {
      return Malformed(
          fmt::format("the key {} has a list of type {}; lists of numbers and of text are read", QuoteName(key), type));
    }
    CKMAP_ASSIGN_OR_RETURN(const int64_t count, cursor_.Count(size > 0 ? size : 8));
    if (size > 0) {
      CKMAP_RETURN_IF_ERROR(cursor_.Skip(count * size));
    } else {
      for (int64_t i = 0; i < count; ++i) {
        CKMAP_ASSIGN_OR_RETURN(const int64_t length, cursor_.Count(1));
        CKMAP_RETURN_IF_ERROR(cursor_.Skip(length));
      }
    }
    checkpoint_.AddOther({std::move(key), "list", {}});
    return {};
  }

  template <typename T>
  Result<OtherEntry> Integer() {
    CKMAP_ASSIGN_OR_RETURN(const T value, cursor_.Number<T>());
    if constexpr (std::same_as<T, uint64_t>) {
      if (value > static_cast<uint64_t>(INT64_MAX)) return OtherEntry{"", "int", std::to_string(value)};
    }
    return OtherEntry{"", "int", static_cast<int64_t>(value)};
  }

  Result<OtherEntry> ReadNumber(uint32_t type) {
    switch (type) {
      case kU8:
        return Integer<uint8_t>();
      case kI8:
        return Integer<int8_t>();
      case kU16:
        return Integer<uint16_t>();
      case kI16:
        return Integer<int16_t>();
      case kU32:
        return Integer<uint32_t>();
      case kI32:
        return Integer<int32_t>();
      case kU64:
        return Integer<uint64_t>();
      case kI64:
        return Integer<int64_t>();
      case kF32: {
        CKMAP_ASSIGN_OR_RETURN(const float value, cursor_.Number<float>());
        return OtherEntry{"", "float", double{value}};
      }
      case kF64: {
        CKMAP_ASSIGN_OR_RETURN(const double value, cursor_.Number<double>());
        return OtherEntry{"", "float", value};
      }
      default: {
        CKMAP_ASSIGN_OR_RETURN(const auto value, cursor_.Number<uint8_t>());
        if (value > 1) return Malformed(fmt::format("byte {}: a bool that is {}", cursor_.at() - 1, value));
        return OtherEntry{"", "bool", value == 1};
      }
    }
  }

  Result<void> ReadTensor() {
    Entry entry;
    CKMAP_ASSIGN_OR_RETURN(entry.info.name, Key());
    const auto bad = [&entry](std::string_view what) {
      return Malformed(fmt::format("tensor {}: {}", QuoteName(entry.info.name), what));
    };
    CKMAP_ASSIGN_OR_RETURN(const auto axes, cursor_.Number<uint32_t>());
    if (axes > kMaxAxes) return bad(fmt::format("has {} axes, at most {} are possible", axes, kMaxAxes));
    for (uint32_t i = 0; i < axes; ++i) {
      CKMAP_ASSIGN_OR_RETURN(const auto size, cursor_.Number<uint64_t>());
      if (size > uint64_t{kMaxTensorDim}) return bad(fmt::format("has an axis of size {}", size));
      entry.info.shape.insert(entry.info.shape.begin(), static_cast<int64_t>(size));
    }
    CKMAP_ASSIGN_OR_RETURN(const auto type, cursor_.Number<uint32_t>());
    entry.type = FindGgmlType(type);
    if (entry.type == nullptr) return bad(fmt::format("has elements of type {}, which is not known", type));
    CKMAP_RETURN_IF_ERROR(Measure(entry));
    CKMAP_ASSIGN_OR_RETURN(const auto offset, cursor_.Number<uint64_t>());
    if (offset != static_cast<uint64_t>(next_)) {
      return bad(fmt::format("lies at byte {} of the data, but the one before ends at {}, aligned to {}", offset, next_,
                             alignment_));
    }
    offsets_.push_back(next_);
    // Neither can overflow: sizes are below 2^62, and the sum is cut off far beyond any file.
    next_ = std::min((next_ + entry.bytes + alignment_ - 1) / alignment_ * alignment_, int64_t{1} << 62);
    if (next_ - alignment_ > source_.size()) return bad("lies beyond the end of the file (is it cut short?)");
    entries_.push_back(std::move(entry));
    return {};
  }

  // Bytes in the file, by the type's blocks along the innermost axis.
  static Result<void> Measure(Entry& entry) {
    const GgmlType& type = *entry.type;
    TensorInfo& info = entry.info;
    info.dtype = type.dtype != DType::kAny ? type.dtype : DType::kF32;
    const auto bytes = NumBytes(info.shape, info.dtype);
    if (!bytes)
      return Malformed(fmt::format("tensor {}: {} is too large", QuoteName(info.name), FormatShape(info.shape)));
    entry.bytes = *bytes;
    if (type.dtype != DType::kAny) return {};
    const int64_t inner = info.shape.empty() ? 1 : info.shape.back();
    if (inner % type.elements != 0) {
      return Malformed(fmt::format("tensor {}: rows of {} elements are no whole blocks of {} ({} each)",
                                   QuoteName(info.name), inner, type.name, type.elements));
    }
    entry.bytes = *NumElements(info.shape) / type.elements * type.bytes;
    return {};
  }

  Result<void> AddAll() {
    const int64_t data = (cursor_.at() + alignment_ - 1) / alignment_ * alignment_;
    std::map<std::string_view, int64_t> decoded;
    int64_t end = cursor_.at();
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[i];
      const std::string name = entry.info.name;
      const int64_t begin = data + offsets_[i];
      end = begin + entry.bytes;
      if (begin > source_.size() || entry.bytes > source_.size() - begin) {
        return Malformed(
            fmt::format("tensor {}: its {} bytes from byte {} on end beyond the file, which has {} (is it cut short?)",
                        QuoteName(name), entry.bytes, begin, source_.size()));
      }
      if (IsDecoded(*entry.type)) ++decoded[entry.type->name];
      if (!Add(entry, begin)) return Malformed(fmt::format("tensor {} is given twice", QuoteName(name)));
    }
    if (source_.size() - end >= alignment_) {
      return Malformed(fmt::format("{} bytes follow the last tensor", source_.size() - end));
    }
    std::string kinds;
    for (const auto& [name, count] : decoded)
      kinds += fmt::format("{}{} of {}", kinds.empty() ? "" : ", ", count, name);
    if (!kinds.empty()) {
      checkpoint_.AddWarning(
          fmt::format("quantised tensors are read as the f32 elements that ggml computes from them ({})", kinds));
    }
    return {};
  }

  // Whether elements are computed from blocks; those of big-endian files are nowhere described.
  bool IsDecoded(const GgmlType& type) const { return type.decode != nullptr && !cursor_.big_endian(); }

  bool Add(Entry& entry, int64_t begin) {
    const GgmlType& type = *entry.type;
    if (type.elements == 1) {
      const bool swap = cursor_.big_endian() && type.bytes > 1;
      return checkpoint_.AddDense(std::move(entry.info), FileSource(source_, begin, entry.bytes), swap);
    }
    if (!IsDecoded(type)) {
      entry.info.unreadable =
          fmt::format("it is quantised as {}{}, which is not decoded here; convert it to F16 or Q8_0 first",
                      cursor_.big_endian() ? "big-endian " : "", type.name);
      return checkpoint_.AddUnreadable(std::move(entry.info));
    }
    return checkpoint_.AddDense(std::move(entry.info), GgmlBlockSource(source_, begin, type, entry.bytes / type.bytes));
  }

  const InputFile& source_;
  StoredCheckpoint& checkpoint_;
  Cursor cursor_;
  std::unordered_set<std::string> keys_;
  int64_t alignment_ = kDefaultAlignment;
  int64_t next_ = 0;  // where the next tensor begins, from the data's start
  std::vector<Entry> entries_;
  std::vector<int64_t> offsets_;
};

}  // namespace

bool LooksLikeGguf(std::span<const std::byte> head) {
  return std::string_view(reinterpret_cast<const char*>(head.data()), head.size()).starts_with(kMagic);
}

Result<std::unique_ptr<Checkpoint>> OpenGguf(InputFile opened) {
  auto checkpoint = std::make_unique<StoredCheckpoint>("gguf");
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto read = GgufReader(file, *checkpoint).Read(); !read) return std::move(read).error().Context(file.path());
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
