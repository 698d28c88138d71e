// What every checkpoint format looks like from outside: a manifest, and bytes on demand.
//
// Adding a format is one file `runtime/formats/NAME.{h,cc}` with a function that opens it, one line
// in the table of `runtime/formats/open.cc` (how its content is recognised, what opens it), and
// `NAME_test.cc` beside it.
//
// Every file is hostile until proved otherwise: sizes are overflow-checked, counts are bounded by
// the bytes that remain before anything is allocated, nothing recurses on input, names are data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/secret_key.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// The entry of a checkpoint's metadata that says how ckmap made it (runtime/report/migration_report.h).
inline constexpr std::string_view kReceiptKey = "ckmap.receipt";
// Those with the plan's digest alone, and with its packs.
inline constexpr std::string_view kPlanKey = "ckmap.plan", kPacksKey = "ckmap.packs";

// Where the elements of a tensor lie in its storage.
struct TensorLayout {
  uint32_t storage = 0;          // index for ReadStorage
  int64_t offset = 0;            // bytes from the storage's start to element [0, …, 0]
  std::vector<int64_t> strides;  // bytes, one per axis, never negative; 0 repeats an element
  bool byteswap = false;         // elements are big-endian (each half of a complex one apart)
  bool conjugate = false;        // torch's lazy conjugate bit: negate the imaginary part
  bool negative = false;         // torch's lazy negative bit: negate the element
};

// A run of bytes in one of the checkpoint's files, as they are.
struct FileExtent {
  int fd = -1;  // owned by the checkpoint, open for reading
  int64_t offset = 0;
  int64_t length = 0;
};

// `extents` are the bytes of a storage or of a tensor, in order. Where [offset, offset + length) of them lies, if one
// extent of a file holds all of it.
std::optional<FileExtent> FindExtent(std::span<const FileExtent> extents, int64_t offset, int64_t length);

// Runs of files whose CRC-32s show whether the bytes of some storages are as they were written.
struct ChecksumGroup {
  std::string path;              // of the file, for messages
  std::vector<FileExtent> runs;  // none overlaps another one of the checkpoint
  // Compares the CRCs of the runs with what the file promises. kMalformed, with the path. Used while the checkpoint
  // lives.
  std::function<Result<void>(std::span<const uint32_t> crcs)> check;
};

// A value in a checkpoint that is not a tensor: an epoch number, a string.
struct OtherEntry {
  std::string name;
  std::string kind;  // "int" "float" "bool" "str" "bytes" "none" "list" "dict" "object" …
  // The value where it is a plain one; monostate where only its kind is told.
  std::variant<std::monostate, bool, int64_t, double, std::string> value;
};

// Implementations are immutable once open: all const methods may be called from many threads.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // "safetensors", "torch-zip", "ms-ckpt", …
  virtual std::string_view format() const = 0;

  // Tensors in the order of the file. Every shape has a byte count (NumBytes) and lies inside its
  // storage; every readable tensor has a layout.
  const Manifest& manifest() const { return manifest_; }
  const TensorLayout& layout(size_t tensor) const { return layouts_[tensor]; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<OtherEntry>& others() const { return others_; }
  // Facts that a person should know and that stop nothing (one line each).
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Bytes of one storage.
  virtual int64_t storage_bytes(uint32_t storage) const = 0;

  // The storage's bytes as runs of a file, in order, or empty where the file holds them in
  // another form (deflated, encrypted). Lets identity copies stay in the kernel.
  virtual std::vector<FileExtent> storage_extents(uint32_t storage) const = 0;

  // Fills `out` from `offset` (bytes in the storage). The range must lie inside the storage.
  virtual Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const = 0;

  // Checks what the format itself promises of these storages' bytes (zip CRC-32s). Reads them.
  virtual Result<void> VerifyStorage(uint32_t storage) const;

  // What VerifyStorage checks, for whoever reads the bytes anyway; storages of one group give one pointer. Null where
  // nothing is promised, or something else than CRC-32s of the file's bytes.
  virtual std::shared_ptr<const ChecksumGroup> checksums(uint32_t storage) const;

  // Whether the file carries a checksum over all of its tensors (MindSpore's crc_num) that
  // VerifyStorage checks.
  virtual bool has_crc() const { return false; }

  // Fails if a file of the checkpoint has changed (size, time of change) since it was opened.
  virtual Result<void> CheckUnchanged() const = 0;

 protected:
  Checkpoint() = default;

  Manifest manifest_;
  std::vector<TensorLayout> layouts_;  // one per tensor of the manifest
  std::map<std::string, std::string> metadata_;
  std::vector<OtherEntry> others_;
  std::vector<std::string> warnings_;
};

// MindSpore's ways to encrypt a file (runtime/formats/mindspore/ms_crypto.h).
enum class CipherMode { kAesGcm, kAesCbc, kSm4Cbc };

struct OpenOptions {
  // Of a torch file: the dict that holds the tensors ("state_dict", "a.b"); "": all.
  std::string root = {};
  // For an encrypted file: its key as raw bytes, exactly as MindSpore was given it (`enc_key`): 16,
  // 24 or 32 for AES, 16 for SM4. A key in hex or with a line feed at its end is the caller's to convert. The
  // checkpoint keeps a copy while it is open; every copy is wiped when it goes.
  SecretKey key = {};
  // The mode that the file must have; nullopt: the one that it says.
  std::optional<CipherMode> cipher = std::nullopt;
  // Of a torch file: objects of classes that are not known become entries that are told and left out,
  // instead of a refusal. They are never executed either way.
  bool skip_unknown_objects = false;
  // For the folder of a parallel run: its strategy file, if that is not in the folder.
  std::string strategy = {};
};

}  // namespace ckmap
