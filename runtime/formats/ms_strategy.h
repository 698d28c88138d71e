// The strategy file of a parallel run of MindSpore: how each parameter is cut over the ranks. Protobuf, straspb.ParallelStrategyMap:
//
//     ParallelStrategyMap { current_stage = 1; parallel_strategy_item = 2; repeated ParallelLayoutItem parallel_layout_item = 3; }
//     ParallelLayoutItem  { param_name = 1; ParallelLayouts parallel_layouts = 2; }
//     ParallelLayouts     { repeated DevMatrix dev_matrix = 1; repeated TensorMap tensor_map = 2; repeated param_split_shape = 3;
//                           repeated indices_offset = 4; field = 5; opt_weight_shard_step = 6; opt_weight_shard_size = 7; }
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/byte_source.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct ParallelLayout {
  std::vector<int64_t> devices;     // dev_matrix: ranks are its row-major positions
  std::vector<int64_t> tensor_map;  // for each axis of the tensor an axis of devices, counted from the last; -1: not cut
  int64_t shard_step = 0;           // of the optimizer's shards
  int64_t shard_size = 0;           // 0: none, -1: all replicas
  std::string refused;              // why this layout cannot be merged here; "" if it can
};

// By parameter. Errors begin with the path.
Result<std::map<std::string, ParallelLayout>> ReadStrategy(const ByteSource& source);

// The part of a tensor that one rank holds.
struct RankSlice {
  Shape whole;    // the tensor's shape
  Shape offsets;  // of the slice in it
};

// kMalformed, with the exact reason, if the layout does not say where a slice of this shape belongs.
Result<RankSlice> PlaceSlice(const ParallelLayout& layout, const Shape& slice, int64_t rank, int64_t ranks);

}  // namespace ckmap
