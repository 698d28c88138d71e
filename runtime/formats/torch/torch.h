// Checkpoints of torch.save: the zip container (torch 1.6 and later), the stacked pickles before it
// (0.1.10 to 1.5), the tar of 0.1.1, TorchScript archives and distributed checkpoints. A torch file
// is a pickle, which is a program; here it is read as data and nothing in it is executed
// (pickle.h, torch_globals.h).
//
// Names: keys of dicts and indices of lists, joined with dots from the top, or from
// OpenOptions::root. Values that are no tensors are others(). Tensors over one storage have equal
// storage ids. Strides, offsets, big-endian files, and the lazy conjugate and negative bits are
// told by layout().
//   quantised tensor t    its parts t.int_repr, t.scale and t.zero_point, or t.scales,
//   t.zero_points and
//                         the other entry t.axis
//   numpy array           a tensor; a numpy scalar is an other entry
//   sparse, nested, meta tensors, bare storages: listed as TensorInfo::unreadable
//   float4_e2m1fn_x2      f4; an element is a byte of two values
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {

// How many first bytes of a file the functions below want to see (fewer if it is shorter).
inline constexpr size_t kTorchHeadBytes = 512;

// By content. A zip archive may be of another kind; OpenTorchZip says what it lacks.
bool LooksLikeTorchZip(std::span<const std::byte> head);
bool LooksLikeTorchLegacy(std::span<const std::byte> head);
bool LooksLikeTorchTar(std::span<const std::byte> head);
// A pickle by itself, of protocol 2 to 5, or a dict of an older one.
bool LooksLikePickle(std::span<const std::byte> head);
// A folder with the `.metadata` of torch.distributed.checkpoint.
bool LooksLikeTorchDistributed(const std::string& folder);

// kMalformed: broken, hostile, or not of this format. kLimit: a stated limit. kUsage: options.root
// names nothing; the error lists the dicts that hold tensors. Errors begin with the path.
Result<std::unique_ptr<Checkpoint>> OpenTorchZip(InputFile file, const OpenOptions& options);
Result<std::unique_ptr<Checkpoint>> OpenTorchLegacy(InputFile file, const OpenOptions& options);
Result<std::unique_ptr<Checkpoint>> OpenTorchTar(InputFile file, const OpenOptions& options);
// Dicts of numpy arrays, as detectron2 (.pkl) and Paddle (.pdparams) write them. kLimit beyond kMaxPickleBytes.
Result<std::unique_ptr<Checkpoint>> OpenPickle(InputFile file, const OpenOptions& options);
Result<std::unique_ptr<Checkpoint>> OpenTorchDistributed(const std::string& folder, const OpenOptions& options);

// How the values of such a checkpoint lie in one another; null for one dict of tensors, and for other checkpoints.
std::shared_ptr<const Nesting> TorchNesting(const Checkpoint& checkpoint);

}  // namespace ckmap
