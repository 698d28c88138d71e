// The strategy file of a parallel run of MindSpore: how each parameter is cut over the ranks. Protobuf,
// straspb.ParallelStrategyMap:
//
//     ParallelStrategyMap { current_stage = 1; parallel_strategy_item = 2; repeated ParallelLayoutItem parallel_layout_item = 3; }
//     ParallelLayoutItem  { param_name = 1; ParallelLayouts parallel_layouts = 2; }
//     ParallelLayouts     { repeated DevMatrix dev_matrix = 1; repeated TensorMap tensor_map = 2; repeated param_split_shape = 3;
//                           repeated indices_offset = 4; field = 5; opt_weight_shard_step = 6; opt_weight_shard_size = 7; }
//
// or the same as JSON (ms_strategy_json.cc), as newer releases write it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/storage/byte_source.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct ParallelLayout {
  std::vector<int64_t> devices;  // dev_matrix: ranks are its row-major positions
  std::vector<int64_t>
      tensor_map;          // for each axis of the tensor an axis of devices, counted from the last; -1: not cut
  int64_t shard_step = 0;  // of the optimizer's shards
  int64_t shard_size = 0;  // 0: none, -1: all replicas
  std::string refused;     // why this layout cannot be merged here; "" if it can
};

// By parameter. Errors begin with the path.
Result<std::map<std::string, ParallelLayout>> ReadStrategy(const ByteSource& source);

// Whether the text may be a strategy file in JSON, and its layouts; ReadStrategy calls them.
bool LooksLikeJsonStrategy(std::string_view text);
Result<std::map<std::string, ParallelLayout>> ReadJsonStrategy(const std::string& text);

// For both forms: adds a layout, and why some are refused.
Result<void> AddLayout(std::string name, ParallelLayout layout, std::map<std::string, ParallelLayout>& layouts);
inline constexpr size_t kMaxStrategyAxes = 64;
inline constexpr std::string_view kStrategyCutsTwice = "an axis of it is cut over several axes of the devices";
inline constexpr std::string_view kStrategyUneven = "its parts have several sizes (param_split_shape)";
inline constexpr std::string_view kStrategyHasField = "it has a field slice (field)";

// The part of a tensor that one rank holds.
struct RankSlice {
  Shape whole;    // the tensor's shape
  Shape offsets;  // of the slice in it
};

// kMalformed, with the exact reason, if the layout does not say where a slice of this shape belongs.
Result<RankSlice> PlaceSlice(const ParallelLayout& layout, const Shape& slice, int64_t rank, int64_t ranks);

}  // namespace ckmap
