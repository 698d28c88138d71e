// A plan bound to two manifests: for each target tensor the pieces of source tensors that make
// it. Nothing in here knows bytes or files; the executor does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/bind/issue.h"
#include "runtime/ops/element_op.h"
#include "runtime/plan/device_map.h"
#include "runtime/tensor/manifest.h"
#include "runtime/tensor/pieces.h"

namespace ckmap {

struct ComputedNode;  // runtime/bind/computed_node.h

// One input of a tensor that is made of pieces: a source tensor or the result of a computed node, with
// the elementwise chain that its elements pass.
struct BoundInput {
  size_t source = 0;                  // index into the source manifest; without meaning where there is a node
  std::vector<ElementOp> casts = {};  // in order; empty: bits are copied
  std::shared_ptr<const ComputedNode> node = nullptr;
  // Not kAny: the bytes of the source tensor, in row-major order, are taken as elements of this dtype, whose size
  // differs. Pieces count these elements.
  DType view = DType::kAny;
};

// A tensor that is made of pieces of others.
struct PiecedTensor {
  PieceValue value;  // pieces over `inputs`
  DType dtype = DType::kF32;
  std::vector<BoundInput> inputs;
  std::vector<std::byte> fill;  // the bytes of one element, for pieces with kFillInput
};

struct BoundTensor : PiecedTensor {
  size_t target = 0;  // index into the target manifest
  std::string name;
  Shape shape;                   // what -1 was is filled in
  std::string rule;              // "torch2ms.ckmap:12", as reports show it
  std::vector<std::string> ops;  // "permute(1, 0)", as reports show it
  bool initialized = false;      // made by `init` alone
};

struct DroppedTensor {
  size_t source = 0;
  std::string name;
  std::string rule;    // the statement that dropped it, or "allow unused"
  std::string equals;  // what it is said to hold, as reports show it; empty: nothing is said
};

// Two tensors that the plan takes to be equal: what is dropped because it equals something else, the padding that is
// taken off, tensors that the target ties. No tensor that is written shows whether they are, so the executor compares
// them.
struct ValueCheck {
  std::string tensor;      // that `found` belongs to, as messages name it
  bool of_target = false;  // else it is a tensor of the source
  PiecedTensor found;      // in the tensor's shape; only what its pieces cover is compared
  PiecedTensor expected;   // of the same shape and dtype, whole
  double tolerance = 0;    // 0: bit for bit; else how far a value may be off, as a part of what is expected
  std::string claim;       // who says so: "the statement at gpt2.ckmap:9 says that it equals `wte`"
  std::string help;        // what to do if the values are meant
};

struct KeptTensor {
  std::string name;
  std::string rule;  // `init … = keep`, `allow missing`, or "optional in the target"
};

// A rank of a group of ranks: 1 of 8, counted from 0.
struct Rank {
  int64_t index = 0;
  int64_t count = 1;
};

// What is said of placement beside the plan.
struct PlacementOptions {
  std::map<std::string, Rank> ranks;  // of each group that is cut; other groups' tensors stay whole
  DeviceMap devices;                  // goes before `place`
};

// The slice of a tensor that a rank writes.
struct TensorSlice {
  std::string group;
  int64_t axis = 0;
  int64_t begin = 0, end = 0;  // along the axis
  int64_t whole = 0;           // its size in the whole tensor
};

struct DevicePlace {
  std::string device;
  std::string where;  // the statement or the line that says so
};

struct BoundPlan {
  Manifest source;
  Manifest target;
  std::vector<BoundTensor> tensors;  // in the target manifest's order
  std::vector<DroppedTensor> dropped;
  std::vector<KeptTensor> kept;
  std::vector<ValueCheck> checks;  // must hold, or nothing is written
  std::vector<Issue> notes;        // severity note or warning; errors prevent a BoundPlan

  // Of tensors of `tensors`, by index.
  std::map<size_t, DevicePlace> devices;
  std::map<size_t, std::vector<TensorSlice>> slices;
  std::map<std::string, Rank> ranks;  // that the tensors were cut for

  // For the report.
  std::string plan_digest;                                 // sha256 of the plan's bytes, hex
  std::vector<std::pair<std::string, std::string>> packs;  // name, version
  std::map<std::string, std::string> params;               // as bound, printed
};

}  // namespace ckmap
