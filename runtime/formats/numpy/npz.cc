#include "runtime/formats/numpy/npz.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/formats/numpy/npy_header.h"
#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/tensor/numpy_types.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr std::string_view kEnding = ".npy";
constexpr int64_t kMaxShownText = 4096;  // bytes of a single text that is shown with its value

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<std::string> ReadText(const StorageSource& source, int64_t offset, int64_t count) {
  std::string text(static_cast<size_t>(count), '\0');
  CKMAP_RETURN_IF_ERROR(source.Read(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

void AppendUtf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18 & 7)), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)),
        put(0x80 | (code & 0x3f));
  }
}

// numpy's fixed text (UCS-4, filled up with zeros) as UTF-8.
std::string Utf8FromUcs4(std::string_view bytes, bool big_endian) {
  std::string out;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::string unit(bytes.substr(i, 4));
    if (big_endian) std::reverse(unit.begin(), unit.end());
    AppendUtf8(out, LoadLittle<uint32_t>(unit.data()));
  }
  return out.substr(0, out.find_last_not_of('\0') + 1);
}

// One array in `source`, a whole .npy file.
class ArrayReader {
 public:
  ArrayReader(StoredCheckpoint& checkpoint, std::string name, std::unique_ptr<StorageSource> source)
      : checkpoint_(checkpoint), name_(std::move(name)), source_(std::move(source)) {}

  Result<void> Read() {
    const int64_t prefix_bytes = std::min<int64_t>(source_->bytes(), kNpyPrefix);
    CKMAP_ASSIGN_OR_RETURN(const std::string prefix, ReadText(*source_, 0, prefix_bytes));
    CKMAP_ASSIGN_OR_RETURN(const NpyText where, FindNpyText(prefix, source_->bytes()));
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadText(*source_, where.begin, where.length));
    CKMAP_ASSIGN_OR_RETURN(header_, ParseNpyText(text));
    data_ = where.begin + where.length;
    if (const std::string problem = TensorNameProblem(name_); !problem.empty()) return Bad(problem);
    if (header_.dtype != DType::kAny) return AddNumbers();
    // No one may ever read its elements: what the header says must not rest on a byte that is damaged.
    CKMAP_RETURN_IF_ERROR(source_->Verify());
    const std::string_view kind = NpyKindName(header_.descr);
    if (kind == "records" || kind == "long doubles" || kind == "opaque bytes") return AddUnreadable(kind);
    return AddOther(kind);
  }

 private:
  static Error Bad(std::string what) { return {ErrorCode::kMalformed, std::move(what)}; }

  Result<void> CheckSize(int64_t wanted) const {
    const int64_t found = source_->bytes() - data_;
    if (found == wanted) return {};
    return Bad(fmt::format("{} {} takes {} bytes, but {} follow the header", header_.descr, FormatShape(header_.shape),
                           wanted, found));
  }

  Result<void> AddNumbers() {
    CKMAP_RETURN_IF_ERROR(CheckSize(*NumBytes(header_.shape, header_.dtype)));
    TensorInfo info;
    info.name = std::move(name_);
    info.dtype = header_.dtype;
    info.shape = header_.shape;
    TensorLayout layout;
    layout.offset = data_;
    layout.byteswap = header_.byteswap;
    layout.strides = header_.fortran_order ? ColumnMajorStrides(info.shape) : RowMajorStrides(info.shape);
    for (int64_t& stride : layout.strides) stride *= DTypeSize(info.dtype);
    layout.storage = checkpoint_.AddSource(std::move(source_));
    info.storage = layout.storage;
    if (!checkpoint_.AddTensor(std::move(info), std::move(layout))) return Bad("there is another array of this name");
    return {};
  }

  Result<void> AddUnreadable(std::string_view kind) {
    TensorInfo info;
    info.name = std::move(name_);
    info.shape = header_.shape;
    info.unreadable = fmt::format("its elements are {}{}, which have no counterpart here", kind,
                                  header_.descr.empty() ? "" : fmt::format(" ({})", EscapeText(header_.descr)));
    if (!checkpoint_.AddUnreadable(std::move(info))) return Bad("there is another array of this name");
    return {};
  }

  Result<void> AddOther(std::string_view kind) {
    OtherEntry entry{.name = std::move(name_), .kind = fmt::format("array of {}", kind), .value = {}};
    const int64_t item = NpyItemSize(header_.descr);
    if (item > 0) {
      const int64_t count = *NumElements(header_.shape);
      if (count > (int64_t{1} << 62) / item)
        return Bad(fmt::format("the shape {} is too large", FormatShape(header_.shape)));
      CKMAP_RETURN_IF_ERROR(CheckSize(count * item));
    }
    if (header_.shape.empty() && item > 0 && item <= kMaxShownText) {
      CKMAP_ASSIGN_OR_RETURN(const std::string raw, ReadText(*source_, data_, item));
      const bool text = header_.descr[1] == 'U';
      entry.kind = text ? "str" : "bytes";
      if (text) entry.value = Utf8FromUcs4(raw, header_.descr[0] == '>');
      std::string hex;
      if (!text) {
        for (const char byte : raw) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
        entry.value = std::move(hex);
      }
    }
    checkpoint_.AddOther(std::move(entry));
    return {};
  }

  StoredCheckpoint& checkpoint_;
  std::string name_;
  std::unique_ptr<StorageSource> source_;
  NpyHeader header_;
  int64_t data_ = 0;  // where the elements begin
};

Result<void> ReadArchive(const InputFile& file, StoredCheckpoint& checkpoint) {
  CKMAP_ASSIGN_OR_RETURN(const ZipArchive* archive, checkpoint.AddArchive(file, 0, file.size(), ZipNames::kAny));
  for (size_t i = 0; i < archive->members().size(); ++i) {
    const std::string& member = archive->members()[i].name;
    if (!member.ends_with(kEnding)) {
      return Error(ErrorCode::kMalformed,
                   fmt::format("an archive of arrays with the member \"{}\", which is no .npy", EscapeText(member)));
    }
    std::string name = member.substr(0, member.size() - kEnding.size());
    if (auto read = ArrayReader(checkpoint, std::move(name), ZipSource(file, *archive, i)).Read(); !read) {
      return std::move(read).error().Context(fmt::format("zip member \"{}\"", EscapeText(member)));
    }
  }
  return {};
}

Result<void> ReadSingle(const InputFile& file, StoredCheckpoint& checkpoint) {
  std::string name = std::filesystem::path(file.path()).filename().string();
  if (name.ends_with(kEnding) && name.size() > kEnding.size()) name.resize(name.size() - kEnding.size());
  return ArrayReader(checkpoint, std::move(name), FileSource(file, 0, file.size())).Read();
}

Result<std::unique_ptr<Checkpoint>> Open(InputFile opened, std::string_view format,
                                         Result<void> (*read)(const InputFile&, StoredCheckpoint&)) {
  auto checkpoint = std::make_unique<StoredCheckpoint>(format);
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto status = read(file, *checkpoint); !status) return std::move(status).error().Context(file.path());
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace

bool LooksLikeNpy(std::span<const std::byte> head) { return AsText(head).starts_with(kNpyMagic); }

bool LooksLikeNpz(std::span<const std::byte> head) { return FirstZipMember(head).ends_with(kEnding); }

Result<std::unique_ptr<Checkpoint>> OpenNpy(InputFile file) { return Open(std::move(file), "npy", ReadSingle); }

Result<std::unique_ptr<Checkpoint>> OpenNpz(InputFile file) { return Open(std::move(file), "npz", ReadArchive); }

}  // namespace ckmap
