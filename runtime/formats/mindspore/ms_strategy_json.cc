// The JSON form of a strategy file: {"parallel_layout_item": {"name": {"dev_matrix": [2, 2], "tensor_map": [0, -1],
// "field": 0, "opt_weight_shard_step": 0, "opt_weight_shard_size": 0, "param_split_shape": [], "indices_offset": []}}};
// the last two may be absent. What else there is (current_stage, parallel_strategy_item) is not of weights.
#include <limits>
#include <string>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_strategy.h"

namespace ckmap {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kItems = "parallel_layout_item";

Result<int64_t> Number(const dom::element& value) {
  int64_t number = 0;
  if (value.get(number) || number < std::numeric_limits<int32_t>::min() ||
      number > std::numeric_limits<int32_t>::max()) {
    return Malformed("is no number of 32 bits");
  }
  return number;
}

Result<std::vector<int64_t>> Numbers(const dom::array& values) {
  if (values.size() > kMaxStrategyAxes) return Malformed(fmt::format("has more than {} numbers", kMaxStrategyAxes));
  std::vector<int64_t> numbers;
  for (const dom::element& value : values) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t number, Number(value));
    numbers.push_back(number);
  }
  return numbers;
}

// One field of a layout.
Result<void> ReadField(std::string_view key, const dom::element& value, ParallelLayout& layout) {
  if (key == "field" || key == "opt_weight_shard_step" || key == "opt_weight_shard_size") {
    CKMAP_ASSIGN_OR_RETURN(const int64_t number, Number(value));
    if (key == "opt_weight_shard_step") layout.shard_step = number;
    if (key == "opt_weight_shard_size") layout.shard_size = number;
    if (key == "field" && number != 0) layout.refused = kStrategyHasField;
    return {};
  }
  dom::array values;
  if (value.get(values)) return Malformed("is no list");
  if (key == "tensor_map" && values.size() > 0 && values.at(0).is_array()) {
    layout.refused = kStrategyCutsTwice;
    return {};
  }
  CKMAP_ASSIGN_OR_RETURN(std::vector<int64_t> numbers, Numbers(values));
  if (key == "dev_matrix") layout.devices = std::move(numbers);
  if (key == "tensor_map") layout.tensor_map = std::move(numbers);
  if (key == "param_split_shape" && values.size() > 0) layout.refused = kStrategyUneven;
  return {};
}

Result<ParallelLayout> ReadLayout(const dom::element& item) {
  dom::object fields;
  if (item.get(fields)) return Malformed("its layout is no object");
  ParallelLayout layout;
  std::unordered_set<std::string_view> seen;
  for (const auto& [key, value] : fields) {
    const bool list =
        key == "dev_matrix" || key == "tensor_map" || key == "param_split_shape" || key == "indices_offset";
    if (!list && key != "field" && key != "opt_weight_shard_step" && key != "opt_weight_shard_size") continue;
    if (!seen.insert(key).second) return Malformed(fmt::format("its `{}` is given twice", key));
    if (auto read = ReadField(key, value, layout); !read)
      return std::move(read).error().Context(fmt::format("its `{}`", key));
  }
  for (const std::string_view key :
       {"dev_matrix", "tensor_map", "field", "opt_weight_shard_step", "opt_weight_shard_size"}) {
    if (!seen.contains(key)) return Malformed(fmt::format("its layout has no `{}`", key));
  }
  return layout;
}

}  // namespace

bool LooksLikeJsonStrategy(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' &&
         text.find(fmt::format("\"{}\"", kItems)) != std::string_view::npos;
}

Result<std::map<std::string, ParallelLayout>> ReadJsonStrategy(const std::string& text) {
  dom::parser parser;
  dom::element root;
  const auto error = parser.parse(text).get(root);
  ThrowIfOutOfMemory(error);
  if (error) return Malformed(fmt::format("is no JSON: {}", simdjson::error_message(error)));
  dom::object fields;
  if (root.get(fields)) return Malformed("is no JSON object");
  std::map<std::string, ParallelLayout> layouts;
  bool found = false;
  for (const auto& [key, value] : fields) {
    if (key != kItems) continue;
    if (std::exchange(found, true)) return Malformed(fmt::format("`{}` is given twice", kItems));
    dom::object items;
    if (value.get(items)) return Malformed(fmt::format("`{}` is no object", kItems));
    for (const auto& [name, item] : items) {
      auto layout = ReadLayout(item);
      if (!layout) return std::move(layout).error().Context(QuoteName(name));
      CKMAP_RETURN_IF_ERROR(AddLayout(std::string(name), *std::move(layout), layouts));
    }
  }
  return layouts;
}

}  // namespace ckmap
