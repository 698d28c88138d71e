// Writing a checkpoint: the layout is decided from names, dtypes and shapes before a byte is
// written; then any thread may write any range; then Commit makes the whole appear at once.
//
// Until Commit succeeds nothing has the final name: bytes go to temporary files in the same folder,
// which the destructor removes. With shards, the index is renamed last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/output_file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct Nesting;  // runtime/tensor/nesting.h

// create.h knows how each is written.
enum class OutputFormat { kSafetensors, kMindSporeCkpt, kTorch, kNpz, kGguf, kMindFormers };

// All ranks that write, as a mesh: an axis is a group of ranks. The outermost comes first; empty: one process.
struct MeshAxis {
  std::string group;
  int64_t count = 1;
};

// A tensor is cut along `axis` in as many equal slices as the mesh's axis `mesh_axis` has ranks.
struct OutputCut {
  size_t axis = 0;
  size_t mesh_axis = 0;
};

// File systems that share bytes between files share whole blocks of this size. Those with larger ones refuse
// (runtime/exec/clone.h).
inline constexpr int64_t kSharedBlock = 4096;

struct OutputTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  // The tensor of the list, an earlier one, that this one shares its bytes with: the same dtype, shape and
  // content. Kept as one storage where the format can (torch); elsewhere the bytes are written twice.
  std::optional<size_t> same_as = std::nullopt;
  // The offset, in some file, of the bytes that this tensor is a copy of: a hint. A format that can choose where its data
  // begin lets them lie at the same place of a block, so that the file system can share them (exec/clone.h).
  std::optional<int64_t> copied_from = std::nullopt;
  // For a format that holds the files of all ranks, in the order of the mesh's axes, each of which occurs once.
  std::vector<OutputCut> cuts = {};
};

struct WriteOptions {
  // safetensors' `__metadata__`, GGUF's key-value pairs; of torch's zip only kReceiptKey, as a record of its own.
  std::map<std::string, std::string> metadata = {};
  // Entries of type str in a .ckpt (MindSpore's append_dict); JSON values of a common.json.
  std::map<std::string, std::string> texts = {};
  // Of torch: the dicts that the tensors are written in, by their names, and the values beside them. Null: one dict.
  std::shared_ptr<const Nesting> nesting = nullptr;
  int64_t max_shard_size = 0;                       // bytes; 0: one file
  bool crc = false;                                 // MindSpore's crc_num
  bool old_scalars = false;                         // in a .ckpt: rank 0 as dims [0], as before MindSpore 2.3
  std::optional<CipherMode> cipher = std::nullopt;  // encrypt a .ckpt, with `key`
  SecretKey key = {};
  bool force = false;  // replace what is there
  bool fsync = true;
  bool index = false;  // with shards: an index even where one file suffices
  std::vector<MeshAxis> mesh = {};
  bool replicas = false;  // every rank's file holds all that the rank holds; else each slice is written once
};

// Files of safetensors that appear together, in a folder, with texts beside them.
struct SafetensorsSet {
  struct File {
    std::string name;
    std::vector<OutputTensor> tensors;
  };
  std::string folder;  // made if absent
  std::vector<File> files;
  // Names and contents: one that gets its name before all files, and one that gets it last.
  std::optional<std::pair<std::string, std::string>> first = std::nullopt, last = std::nullopt;
};

// One file of a commit, for the report.
struct WrittenFile {
  std::string path;
  int64_t bytes = 0;
};

class CheckpointWriter {
 public:
  virtual ~CheckpointWriter() = default;
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Where tensor `tensor` (index into the list given at creation) goes: runs of output files, in
  // order, that add up to its byte count; none for a tensor that is not wanted. One run with the descriptor -1 is not
  // in a file:
  // then Write is called, and the offset only says in which order tensors are wanted. The fds are open for reading and
  // writing and owned by the writer. A caller may write them directly (pwrite, copy_file_range), each byte exactly once
  // (tensors of the same bytes may have one place, which all of them write), and may rewrite what lies between two
  // neighbouring runs with the bytes that are there.
  virtual std::vector<FileExtent> extents(size_t tensor) const = 0;

  // The final name of the file where a tensor goes, for messages.
  virtual const std::string& path(size_t tensor) const = 0;

  // Writes data at a byte offset of a tensor; thread-safe. Same effect as writing the extents.
  virtual Result<void> Write(size_t tensor, int64_t offset, std::span<const std::byte> data);

  // Reads at a byte offset of a tensor whose bytes are all written; thread-safe.
  virtual Result<void> ReadBack(size_t tensor, int64_t offset, std::span<std::byte> out) const;

  // So many more bytes of a tensor are there, and none of its elements was refused; thread-safe.
  virtual Result<void> Completed(size_t /*tensor*/, int64_t /*bytes*/) { return {}; }

  // Before Commit: another value, of the same length, for the entry kReceiptKey of the metadata. Formats without
  // room for metadata pass over it.
  virtual void ReplaceReceipt(std::string /*receipt*/) {}

  // All bytes are written: add checksums, flush, give the files their names. Once only.
  virtual Result<std::vector<WrittenFile>> Commit() = 0;

  // Total size of the files to come, bytes.
  virtual int64_t total_bytes() const = 0;

  // Facts about the output that a person should know and that stop nothing (one line each), such
  // as dtypes that MindSpore's own reader refuses.
  const std::vector<std::string>& warnings() const { return warnings_; }
  void Warn(std::string fact) { warnings_.push_back(std::move(fact)); }

  // The files to come.
  virtual OutputSet& files() { return set_; }

 protected:
  CheckpointWriter() = default;

  std::vector<std::string> warnings_;
  OutputSet set_;
};

}  // namespace ckmap
