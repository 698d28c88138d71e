#include "runtime/formats/mindspore/ms_strategy.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/wire/wire_reader.h"
#include "runtime/formats/wire/wire_schema.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxStrategyName = 4096;
constexpr int64_t kMaxJson = int64_t{256} << 20;
constexpr int64_t kMaxStrategyRanks = int64_t{1} << 20;

constexpr WireMessageText kStrategyMessages[] = {
    {"ParallelStrategyMap", "1v! 2:ParallelStrategyItem 3:ParallelLayoutItem"},
    {"ParallelStrategyItem", "1s! 2:ParallelStrategys!"},
    {"ParallelStrategys", "1v! 2:ParallelStrategy"},
    {"ParallelStrategy", "1v"},
    {"ParallelLayoutItem", "1s! 2:ParallelLayouts!"},
    {"ParallelLayouts", "1:DevMatrix 2:TensorMap 3:ParamSplitShape 4:IndicesOffset 5v! 6v! 7v!"},
    {"DevMatrix", "1v"},
    {"TensorMap", "1v"},
    {"ParamSplitShape", "1v"},
    {"IndicesOffset", "1v"},
};

class StrategyReader {
 public:
  explicit StrategyReader(const ByteSource& source) : source_(source), reader_(source) {}

  Result<std::map<std::string, ParallelLayout>> Read() {
    CKMAP_RETURN_IF_ERROR(WireSchema(kStrategyMessages).Check(source_, 0, source_.size()));
    std::map<std::string, ParallelLayout> layouts;
    for (int64_t at = 0; at < source_.size();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, source_.size()));
      if (field.number != 3 || field.type != WireType::kBytes) continue;
      std::string name;
      CKMAP_ASSIGN_OR_RETURN(ParallelLayout layout, ReadItem(field, name));
      CKMAP_RETURN_IF_ERROR(AddLayout(std::move(name), std::move(layout), layouts));
    }
    return layouts;
  }

 private:
  Result<ParallelLayout> ReadItem(const WireField& item, std::string& name) {
    ParallelLayout layout;
    for (int64_t at = item.begin; at < item.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, item.end()));
      if (field.type != WireType::kBytes) continue;
      if (field.number == 1) {
        CKMAP_ASSIGN_OR_RETURN(name, reader_.Text(field, kMaxStrategyName));
      } else if (field.number == 2) {
        CKMAP_RETURN_IF_ERROR(ReadLayouts(field, layout));
      }
    }
    return layout;
  }

  Result<void> ReadLayouts(const WireField& message, ParallelLayout& layout) {
    int maps = 0;
    int matrices = 0;
    int splits = 0;
    for (int64_t at = message.begin; at < message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
      if (field.number == 1 && field.type == WireType::kBytes) {
        ++matrices;
        CKMAP_RETURN_IF_ERROR(ReadNumbers(field, layout.devices));
      } else if (field.number == 2 && field.type == WireType::kBytes) {
        if (++maps > 1) layout.refused = kStrategyCutsTwice;
        CKMAP_RETURN_IF_ERROR(ReadNumbers(field, layout.tensor_map));
      } else if (field.number == 3 && field.type == WireType::kBytes) {
        ++splits;
        std::vector<int64_t> sizes;
        CKMAP_RETURN_IF_ERROR(ReadNumbers(field, sizes));
        if (!sizes.empty()) layout.refused = kStrategyUneven;
      } else if (field.number == 5 && field.type == WireType::kVarint && field.value != 0) {
        layout.refused = kStrategyHasField;
      } else if (field.number == 6 && field.type == WireType::kVarint) {
        layout.shard_step = static_cast<int32_t>(field.value);
      } else if (field.number == 7 && field.type == WireType::kVarint) {
        layout.shard_size = static_cast<int32_t>(field.value);
      }
    }
    if (matrices != 1 || maps == 0 || splits == 0) {
      return Malformed(fmt::format(
          "a layout with {} device matrices, {} tensor maps and {} param_split_shape; one of each is expected",
          matrices, maps, splits));
    }
    return {};
  }

  // Message { repeated dim = 1; }, packed or not.
  Result<void> ReadNumbers(const WireField& message, std::vector<int64_t>& numbers) {
    const auto add = [&numbers](uint64_t value) -> Result<void> {
      if (numbers.size() == kMaxStrategyAxes)
        return Malformed(fmt::format("a layout of more than {} axes", kMaxStrategyAxes));
      numbers.push_back(static_cast<int64_t>(value));
      return {};
    };
    for (int64_t at = message.begin; at < message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
      if (field.number != 1) continue;
      if (field.type == WireType::kVarint) {
        CKMAP_RETURN_IF_ERROR(add(field.value));
        continue;
      }
      for (int64_t inner = field.begin; field.type == WireType::kBytes && inner < field.end();) {
        CKMAP_ASSIGN_OR_RETURN(const uint64_t value, reader_.Varint(inner, field.end()));
        CKMAP_RETURN_IF_ERROR(add(value));
      }
    }
    return {};
  }

  const ByteSource& source_;
  WireReader reader_;
};

// Coordinates of a rank in the devices, or why there are none.
Result<std::vector<int64_t>> Coordinates(const ParallelLayout& layout, int64_t rank, int64_t ranks) {
  int64_t count = 1;
  for (const int64_t size : layout.devices) {
    if (size < 1 || size > kMaxStrategyRanks || count > kMaxStrategyRanks / size)
      return Malformed("the strategy's device matrix is no matrix of devices");
    count *= size;
  }
  if (layout.devices.empty() || count != ranks) {
    return Malformed(fmt::format("its layout is for {} ranks (device matrix [{}]), and there are {}", count,
                                 fmt::join(layout.devices, ", "), ranks));
  }
  std::vector<int64_t> at(layout.devices.size());
  for (size_t axis = at.size(); axis-- > 0;) {
    at[axis] = rank % layout.devices[axis];
    rank /= layout.devices[axis];
  }
  return at;
}

// Into how many shards the optimizer cuts axis 0 further, and which one the rank holds.
struct OptimizerShard {
  int64_t parts = 1;
  int64_t index = 0;
};

Result<OptimizerShard> FindShard(const ParallelLayout& layout, const std::vector<int64_t>& at,
                                 const std::vector<bool>& used, int64_t rank, int64_t ranks) {
  if (layout.shard_step == 0 && layout.shard_size != 0)
    return Malformed(fmt::format("optimizer shards of step 0 and size {}", layout.shard_size));
  if (layout.shard_size == 0) return OptimizerShard{};
  std::vector<size_t> repeated;  // axes of the devices over which the tensor is not cut
  for (size_t axis = 0; axis < layout.devices.size(); ++axis) {
    if (!used[axis] && layout.devices[axis] > 1) repeated.push_back(axis);
  }
  const auto refuse = [&layout](std::string_view why) {
    return Malformed(fmt::format("optimizer shards of step {} and size {} over devices [{}]: {}", layout.shard_step,
                                 layout.shard_size, fmt::join(layout.devices, ", "), why));
  };
  const bool whole = std::none_of(used.begin(), used.end(), [](bool cut) { return cut; });
  if (whole) {
    const int64_t parts = layout.shard_size == -1 ? ranks : layout.shard_size;
    if (layout.shard_step != 1 || parts < 1 || ranks % parts != 0)
      return refuse("no way to share them out among the ranks");
    return OptimizerShard{parts, rank % parts};
  }
  if (repeated.size() != 1) return refuse("they go over several axes");
  int64_t step = 1;
  for (size_t axis = repeated[0] + 1; axis < layout.devices.size(); ++axis) step *= layout.devices[axis];
  const int64_t parts = layout.devices[repeated[0]];
  if (step != layout.shard_step) return refuse(fmt::format("the step must be {}", step));
  if (layout.shard_size != -1 && layout.shard_size != parts) return refuse("they go over a part of the replicas only");
  return OptimizerShard{parts, at[repeated[0]]};
}

}  // namespace

Result<void> AddLayout(std::string name, ParallelLayout layout, std::map<std::string, ParallelLayout>& layouts) {
  if (name.find('-') != std::string::npos) {
    return Malformed(
        fmt::format("{} is of a pipeline's stage (\"stage-name\"), which are not merged here", QuoteName(name)));
  }
  const auto [place, added] = layouts.emplace(std::move(name), std::move(layout));
  return added ? Result<void>() : Malformed(fmt::format("the layout of {} comes twice", QuoteName(place->first)));
}

Result<std::map<std::string, ParallelLayout>> ReadStrategy(const ByteSource& source) {
  const auto read = [&source]() -> Result<std::map<std::string, ParallelLayout>> {
    char first = 0;
    if (source.size() > 0) CKMAP_RETURN_IF_ERROR(source.ReadAt(0, std::as_writable_bytes(std::span(&first, 1))));
    const bool json =
        std::string_view("{ \t\r\n").find(first) != std::string_view::npos;  // else the key of the first field
    if (!json) return StrategyReader(source).Read();
    if (source.size() > kMaxJson) return Malformed(fmt::format("a strategy of {} bytes", source.size()));
    std::string text(static_cast<size_t>(source.size()), '\0');
    CKMAP_RETURN_IF_ERROR(source.ReadAt(0, std::as_writable_bytes(std::span(text))));
    return ReadJsonStrategy(text);
  };
  auto layouts = read();
  if (layouts && layouts->empty()) layouts = Malformed("holds no layout of a parameter");
  if (layouts) return layouts;
  const bool named = layouts.error().message().starts_with(source.path());
  return named ? std::move(layouts).error() : std::move(layouts).error().Context(source.path());
}

Result<RankSlice> PlaceSlice(const ParallelLayout& layout, const Shape& slice, int64_t rank, int64_t ranks) {
  if (!layout.refused.empty()) return Malformed(layout.refused);
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> at, Coordinates(layout, rank, ranks));
  if (layout.tensor_map.size() != slice.size()) {
    return Malformed(fmt::format("its layout has {} axes, the slice {}", layout.tensor_map.size(), slice.size()));
  }
  RankSlice placed;
  std::vector<bool> used(layout.devices.size(), false);
  for (size_t axis = 0; axis < slice.size(); ++axis) {
    int64_t parts = 1;
    int64_t index = 0;
    if (const int64_t map = layout.tensor_map[axis]; map != -1) {
      if (map < 0 || map >= static_cast<int64_t>(layout.devices.size()))
        return Malformed("its tensor map names no axis of the devices");
      const auto device = layout.devices.size() - 1 - static_cast<size_t>(map);
      if (used[device]) return Malformed("two of its axes are cut over one axis of the devices");
      used[device] = true;
      parts = layout.devices[device];
      index = at[device];
    }
    if (slice[axis] > (int64_t{1} << 48)) return Malformed("a slice of that size is none");
    placed.whole.push_back(slice[axis] * parts);
    placed.offsets.push_back(slice[axis] * index);
  }
  CKMAP_ASSIGN_OR_RETURN(const OptimizerShard shard, FindShard(layout, at, used, rank, ranks));
  if (shard.parts == 1) return placed;
  if (slice.empty()) return Malformed("a scalar cannot be cut into optimizer shards");
  // Axis 0 is cut by the model first; each of its parts then into shards.
  const int64_t part = placed.offsets[0] / std::max<int64_t>(slice[0], 1);
  placed.offsets[0] = (part * shard.parts + shard.index) * slice[0];
  placed.whole[0] *= shard.parts;
  return placed;
}

}  // namespace ckmap
