// What the calls in a torch pickle mean: tensors, their parts, plain values. Internal to torch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_globals.h"
#include "runtime/formats/torch/torch_tensor.h"

namespace ckmap {

// A persistent id refers to a storage, or (in the tar container) to a tensor.
using TorchReference = std::variant<TorchStorageRef, TorchTensor>;

// Stated limit.
inline constexpr size_t kMaxTorchTensors = size_t{1} << 20;

// The container's side: where the bytes are.
class TorchReferences {
 public:
  virtual ~TorchReferences() = default;
  // What the persistent id `value` refers to. Called once for each that the pickle has, in order.
  virtual Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) = 0;
  // A storage of bytes that lie in the pickle itself; its index.
  virtual uint32_t AddBytes(std::string bytes) = 0;
  // The same for bytes that the pickle holds as they are, for containers that need no copy.
  virtual uint32_t AddPickledBytes(std::string_view bytes) { return AddBytes(std::string(bytes)); }
  // Whether the elements of the container's storages are big-endian.
  virtual bool byteswap() const { return false; }
};

// The usual persistent id: ("storage", class, key, location, elements), and in the old container
// one part more.
struct TorchStorageId {
  std::string_view key;
  TorchStorageRef ref;  // without its storage
  int64_t bytes = 0;
  PickleId view = kNoPickle;  // the sixth part
};
Result<TorchStorageId> ParseTorchStorageId(const Pickle& pickle, PickleId value, size_t parts);

// A tensor that has no counterpart here, as the tensors it consists of.
struct TorchParts {
  std::vector<std::pair<std::string, TorchTensor>> tensors;
  std::vector<OtherEntry> others;
};

class TorchObjects {
 public:
  // Interprets every object and persistent id of the pickle, also those that nothing holds: a file
  // is refused for any of them. `pickle` must outlive the result. A call that is given what nobody knows (where
  // the allow-list lets that pass) stays an object. A global that the pickle may only mention is refused unless a
  // tensor or an array says that it is of this class.
  static Result<TorchObjects> Interpret(const Pickle& pickle, TorchReferences& references);

  // What the node is, or nullptr.
  const TorchTensor* tensor(PickleId id) const;
  const TorchParts* parts(PickleId id) const;
  // Whether it is an object of no meaning here, which holds what it was made of.
  bool opaque(PickleId id) const;
  // The attributes of a tensor that has no elements of its own, only tensors among its attributes; or kNoPickle.
  PickleId wrapped(PickleId id) const;
  // Tensors that carry Python attributes.
  int64_t attributed() const { return attributed_; }
  // Classes of tensors that were read as plain ones, and how many there are of each.
  const std::map<std::string, int64_t>& subclasses() const { return subclasses_; }

 private:
  friend class TorchInterpreter;
  std::unordered_map<PickleId, TorchTensor> tensors_;
  std::unordered_map<PickleId, TorchParts> parts_;
  std::unordered_set<PickleId> opaque_;
  std::unordered_map<PickleId, PickleId> wrapped_;
  std::map<std::string, int64_t> subclasses_;
  int64_t attributed_ = 0;
};

// Integers of a tuple, a list or a torch.Size.
Result<std::vector<int64_t>> TorchIntegers(const Pickle& pickle, PickleId id);

// "pickle byte 12, torch._utils._rebuild_tensor_v2: " in front of an error.
std::string TorchObjectContext(const Pickle& pickle, PickleId id);

}  // namespace ckmap
