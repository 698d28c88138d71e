// numpy arrays and scalars that lie inside a pickle. Internal to torch.
#pragma once

#include <optional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_objects.h"

namespace ckmap {

// The bytes of a bytes, bytearray or (from Python 2) str node, or of the _codecs.encode call that
// stands for bytes in protocols 0 to 2.
Result<std::string> PickledBytes(const Pickle& pickle, PickleId id);

// The array that an object node stands for; nullopt for one whose elements are no numbers (strings,
// objects, records), which is then a plain value of no interest.
Result<std::optional<TorchTensor>> ReadNumpyArray(const Pickle& pickle, PickleId id, TorchReferences& references);

// The elements of an array that ReadNumpyArray reads, in its order.
Result<std::string> NumpyArrayBytes(const Pickle& pickle, PickleId id);

// The values of an array of objects; kNoPickle for other arrays.
PickleId NumpyArrayObjects(const Pickle& pickle, PickleId id);

// The number that a scalar object stands for, as bool, int64 or double; monostate for other kinds.
Result<OtherEntry> ReadNumpyScalar(const Pickle& pickle, PickleId id);

}  // namespace ckmap
