#include "runtime/formats/open.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/run_files.h"
#include "runtime/formats/foreign.h"
#include "runtime/formats/gguf/gguf.h"
#include "runtime/formats/hdf5/hdf5.h"
#include "runtime/formats/mindspore/mf_checkpoint.h"
#include "runtime/formats/mindspore/mindir.h"
#include "runtime/formats/mindspore/ms_ckpt.h"
#include "runtime/formats/mindspore/ms_crypto.h"
#include "runtime/formats/mindspore/ms_ranks.h"
#include "runtime/formats/numpy/npz.h"
#include "runtime/formats/onnx/onnx.h"
#include "runtime/formats/safetensors/safetensors.h"
#include "runtime/formats/sharded/shard_index.h"
#include "runtime/formats/spec/spec.h"
#include "runtime/formats/storage/byte_source.h"
#include "runtime/formats/storage/ties.h"
#include "runtime/formats/torch/torch.h"

namespace ckmap {
namespace {

using Opened = Result<std::unique_ptr<Checkpoint>>;

// The first bytes of a file, and the file itself for those formats that need to look further.
struct Glance {
  const ByteSource& source;
  std::span<const std::byte> head;
};

struct Format {
  std::string_view name;
  bool (*fits)(const Glance&);
  Opened (*open)(std::unique_ptr<ByteSource>, const OpenOptions&);
};

constexpr std::array<Format, 2> kMindSporeFormats = {{
    {"MindSpore .ckpt",
     [](const Glance& glance) {
       return LooksLikeMsCkpt(glance.source) && !LooksLikeMindIr(glance.source) && !LooksLikePickle(glance.head);
     },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenMsCkpt(std::move(source)); }},
    {"MindIR", [](const Glance& glance) { return LooksLikeMindIr(glance.source); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenMindIr(std::move(source)); }},
}};

constexpr std::array<Format, 13> kReadFormats = {{
    {"safetensors", [](const Glance& glance) { return LooksLikeSafetensors(glance.source.file()); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) {
       return OpenSafetensors(std::move(*source).TakeFile());
     }},
    {"torch zip",
     [](const Glance& glance) {
       return LooksLikeTorchZip(glance.head) && !LooksLikeNpz(glance.head) && !LooksLikeKeras(glance.head);
     },
     [](std::unique_ptr<ByteSource> source, const OpenOptions& options) {
       return OpenTorchZip(std::move(*source).TakeFile(), options);
     }},
    {"torch legacy", [](const Glance& glance) { return LooksLikeTorchLegacy(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions& options) {
       return OpenTorchLegacy(std::move(*source).TakeFile(), options);
     }},
    {"torch tar", [](const Glance& glance) { return LooksLikeTorchTar(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions& options) {
       return OpenTorchTar(std::move(*source).TakeFile(), options);
     }},
    {"pickle", [](const Glance& glance) { return LooksLikePickle(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions& options) {
       return OpenPickle(std::move(*source).TakeFile(), options);
     }},
    {"npz", [](const Glance& glance) { return LooksLikeNpz(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenNpz(std::move(*source).TakeFile()); }},
    {"npy", [](const Glance& glance) { return LooksLikeNpy(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenNpy(std::move(*source).TakeFile()); }},
    {"GGUF", [](const Glance& glance) { return LooksLikeGguf(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenGguf(std::move(*source).TakeFile()); }},
    {"HDF5", [](const Glance& glance) { return LooksLikeHdf5(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenHdf5(std::move(*source).TakeFile()); }},
    {"Keras", [](const Glance& glance) { return LooksLikeKeras(glance.head); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenKeras(std::move(*source).TakeFile()); }},
    {"ONNX", [](const Glance& glance) { return LooksLikeOnnx(glance.source); },
     [](std::unique_ptr<ByteSource> source, const OpenOptions&) { return OpenOnnx(std::move(source)); }},
    kMindSporeFormats[0],
    kMindSporeFormats[1],
}};

Error Bad(const std::string& path, std::string_view what) {
  return {ErrorCode::kMalformed, fmt::format("{}: {}", path, what)};
}

// What a file of no known format may be.
Error Unknown(const ByteSource& source, std::string_view head) {
  const std::string& path = source.path();
  if (head.empty()) return Bad(path, "is empty");
  if (head.starts_with("version https://git-lfs")) {
    return Bad(path, "is a Git LFS pointer in place of the file; fetch it with `git lfs pull`");
  }
  if (head.starts_with("<!") || head.starts_with("<html")) {
    return Bad(path, "is a web page in place of the file; the download went wrong");
  }
  if (LooksLikeMsStrategy(source)) {
    return Bad(path, "is a parallel strategy of MindSpore, not weights (both end in .ckpt)");
  }
  return Bad(path,
             "is not a checkpoint that is known: safetensors, torch (zip, legacy, tar), pickle, MindSpore .ckpt, "
             "MindIR, npz, npy, GGUF, ONNX, HDF5 or Keras");
}

Result<std::string> ReadHead(const ByteSource& source) {
  std::string head(static_cast<size_t>(std::min(source.size(), static_cast<int64_t>(kTorchHeadBytes))), '\0');
  CKMAP_RETURN_IF_ERROR(source.ReadAt(0, std::as_writable_bytes(std::span(head))));
  return head;
}

Opened OpenAs(std::span<const Format> formats, std::unique_ptr<ByteSource> source, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const std::string head, ReadHead(*source));
  const Glance glance{*source, std::as_bytes(std::span(head))};
  std::vector<const Format*> fitting;
  for (const Format& format : formats) {
    if (format.fits(glance)) fitting.push_back(&format);
  }
  // A tar may be torch's own; SavedModel and ONNX begin alike.
  const bool doubtful =
      fitting.empty() || fitting[0]->name == "torch tar" || source->path().ends_with("saved_model.pb");
  if (doubtful && source->plain()) {
    if (const auto foreign = DescribeForeignFile(*source, head)) return Bad(source->path(), *foreign);
  }
  if (fitting.empty()) return Unknown(*source, head);
  if (fitting.size() > 1) {
    return Bad(source->path(), fmt::format("may be read as {} and as {}; a file must be one thing only",
                                           fitting[0]->name, fitting[1]->name));
  }
  return fitting[0]->open(std::move(source), options);
}

Opened OpenFile(InputFile file, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const auto cipher, DetectCipher(file));
  if (cipher) {
    CKMAP_ASSIGN_OR_RETURN(auto source, OpenDecrypted(std::move(file), options));
    Opened opened = OpenAs(kMindSporeFormats, std::move(source), options);
    if (opened || opened.error().code() != ErrorCode::kMalformed) return opened;
    if (opened.error().message().find(kCipherErrorMark) != std::string::npos) return opened;
    return Error(ErrorCode::kMalformed,
                 opened.error().message() +
                     " (this is what it decrypts to: a block is missing, out of place or changed, "
                     "or the key is wrong)");
  }
  return OpenAs(kReadFormats, MakePlainSource(std::move(file)), options);
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// All of a file that is open.
Result<std::string> ReadText(const InputFile& file) {
  constexpr int64_t kMaxText = int64_t{256} << 20;
  if (file.size() > kMaxText) {
    return Error(ErrorCode::kLimit, fmt::format("{}: {} bytes, the limit is {}", file.path(), file.size(), kMaxText));
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

Opened OpenFolder(const std::string& path, const OpenOptions& options, const OpenFileFn& open_file) {
  if (const auto foreign = DescribeForeignFolder(path)) return Bad(path, *foreign);
  EnterInputFolder(path);
  if (LooksLikeTorchDistributed(path)) return OpenTorchDistributed(path, options);
  if (LooksLikeMsRanks(path)) return OpenMsRanks(path, options.strategy, open_file);
  if (LooksLikeMfCheckpoint(path)) return OpenMfCheckpoint(path, open_file);
  return OpenShardFolder(path, open_file);
}

// Every file is opened once: what was looked at is what is read. `specs`: a spec is taken, too.
Result<CheckpointOrSpec> OpenOnce(const std::string& path, const OpenOptions& options, bool specs) {
  const OpenFileFn open_file = [&options](const std::string& name) -> Opened {
    CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(name));
    return OpenFile(std::move(file), options);
  };
  CheckpointOrSpec opened;
  if (IsFolder(path)) {
    CKMAP_ASSIGN_OR_RETURN(opened.checkpoint, OpenFolder(path, options, open_file));
    return opened;
  }
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  std::string text;
  if (MayBeShardIndex(path)) {
    auto read = ReadText(file);
    if (read) text = *std::move(read);
    if (LooksLikeShardIndex(path, text)) {
      if (!read) return std::move(read).error();
      CKMAP_ASSIGN_OR_RETURN(opened.checkpoint, OpenShardIndex(path, text, open_file));
      return opened;
    }
  }
  if (specs) {
    std::string head(static_cast<size_t>(std::min(file.size(), static_cast<int64_t>(kTorchHeadBytes))), '\0');
    CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(head))));
    if (LooksLikeSpec(head)) {
      if (text.empty()) {
        CKMAP_ASSIGN_OR_RETURN(text, ReadText(file));
      }
      auto manifest = ParseSpec(text);
      if (!manifest) return std::move(manifest).error().Context(path);
      opened.spec = *std::move(manifest);
      return opened;
    }
  }
  CKMAP_ASSIGN_OR_RETURN(opened.checkpoint, OpenFile(std::move(file), options));
  return opened;
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(CheckpointOrSpec opened, OpenOnce(path, options, false));
  return std::move(opened.checkpoint);
}

Result<CheckpointOrSpec> OpenCheckpointOrSpec(const std::string& path, const OpenOptions& options) {
  return OpenOnce(path, options, true);
}

Result<Manifest> ReadManifest(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(CheckpointOrSpec opened, OpenCheckpointOrSpec(path, options));
  return opened.spec ? *std::move(opened.spec) : ManifestWithTies(*opened.checkpoint);
}

}  // namespace ckmap
