// The values of a torch pickle as one flat list of names. Internal to torch.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_objects.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {

struct TorchEntries {
  Manifest manifest;
  std::vector<TensorLayout> layouts;  // one per tensor
  std::vector<OtherEntry> others;
  std::vector<std::pair<std::string, int64_t>> dicts;  // that hold tensors themselves, and how many
  std::shared_ptr<const Nesting> nesting;              // null for one dict of tensors
};

// A container of the pickle, and its name.
struct TorchRoot {
  PickleId id = kNoPickle;
  std::string_view name;
};

// Depth first, in file order: keys of dicts (texts, integers, True, None; others as Python shows them, or by kind and
// place: "object#3") and indices of lists and tuples are joined with dots; a bare tensor has the name "". Empty
// containers and what is no tensor go to `others`.
//
// Where unknown objects are skipped, what an object was given is listed beneath its name: as a list or dict holds it,
// attributes by their names, arguments that hold anything as __args__.0, a state of another form as __state__. What
// is listed elsewhere already is another entry of kind "reference" with the name of that place.
//
// kMalformed: two tensors (or a tensor and another value) of one name, one key twice in a dict, a
// container that holds itself (unless unknown objects are skipped), names with control characters or beyond 64 KiB,
// nesting beyond kMaxPickleDepth, values that the memo repeats out of proportion to the pickle.
//
// With `inner`, a container inside of `root`, this is the root of the nesting; null if it lies in an object.
Result<TorchEntries> FlattenTorch(const Pickle& pickle, PickleId root, const TorchObjects& objects,
                                  const TorchRoot& inner = {});

// The value at a path as FlattenTorch would name it ("state_dict", "a.b"); "" is the root. An error
// (kUsage) lists the dicts that hold tensors.
Result<PickleId> FindTorchRoot(const Pickle& pickle, const TorchObjects& objects, std::string_view path);

// UTF-8 without control characters, at most 64 KiB.
Result<void> CheckTorchName(std::string_view name);

// A leaf as others() tells it, without its name.
OtherEntry DescribeTorchLeaf(const Pickle& pickle, PickleId id);

}  // namespace ckmap
