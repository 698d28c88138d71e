// One zip archive of torch.save: a file of its own, or an item of a distributed checkpoint.
// Internal to torch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_checkpoint.h"
#include "runtime/formats/torch/torch_objects.h"

namespace ckmap {

struct TorchArchive {
  std::unique_ptr<std::string> bytes;  // what `pickle` refers to
  Pickle pickle;
  TorchObjects objects;
  bool script = false;  // TorchScript: the root is a module
};

// The archive that fills [begin, begin + length) of `file`, which `checkpoint` owns. Its storages
// become storages of the checkpoint; its tensors are not added.
Result<TorchArchive> ReadTorchArchive(const InputFile& file, int64_t begin, int64_t length, TorchCheckpoint& checkpoint,
                                      const OpenOptions& options);

}  // namespace ckmap
