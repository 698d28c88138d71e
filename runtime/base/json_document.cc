#include "runtime/base/json_document.h"

#include <memory>
#include <new>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

namespace ckmap {
namespace {

// simdjson chooses the code for this processor when it is first used, and ends the program if it has no memory then. So
// it does so before main.
[[maybe_unused]] const bool kChosen = !simdjson::get_active_implementation()->name().empty();

}  // namespace

void ThrowIfOutOfMemory(simdjson::error_code error) {
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
}

simdjson::error_code BeginJson(simdjson::ondemand::parser& parser, const std::string& padded, size_t length,
                               simdjson::ondemand::document& document) {
  ThrowIfOutOfMemory(parser.allocate(length, parser.max_depth()));
  // `allocate` does not say whether it has a place for strings; if not, `iterate` tries once more and does not look
  // either. So there must be room for it now.
  std::make_unique<std::byte[]>(5 * length / 3 + simdjson::SIMDJSON_PADDING + 64);
  const simdjson::error_code error = parser.iterate(padded.data(), length, padded.size()).get(document);
  ThrowIfOutOfMemory(error);
  return error;
}

// The depth of documents is limited by simdjson.
std::string FindRepeatedKey(simdjson::dom::element root) {
  simdjson::dom::object object;
  if (root.get(object) == simdjson::SUCCESS) {
    std::unordered_set<std::string_view> keys;
    for (const auto& [key, value] : object) {
      if (!keys.insert(key).second) return std::string(key);
      if (!value.is_object() && !value.is_array()) continue;
      if (const std::string below = FindRepeatedKey(value); !below.empty()) return fmt::format("{}.{}", key, below);
    }
  }
  simdjson::dom::array array;
  if (root.get(array) == simdjson::SUCCESS) {
    size_t index = 0;
    for (const simdjson::dom::element value : array) {
      if (const std::string below = FindRepeatedKey(value); !below.empty()) return fmt::format("{}.{}", index, below);
      ++index;
    }
  }
  return "";
}

}  // namespace ckmap
