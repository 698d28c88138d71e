#include "runtime/base/json_document.h"

#include <memory>
#include <new>

namespace ckmap {
namespace {

// simdjson chooses the code for this processor when it is first used, and ends the program if it has no memory then. So it does so
// before main.
[[maybe_unused]] const bool kChosen = !simdjson::get_active_implementation()->name().empty();

}  // namespace

void ThrowIfOutOfMemory(simdjson::error_code error) {
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
}

simdjson::error_code BeginJson(simdjson::ondemand::parser& parser, const std::string& padded, size_t length,
                               simdjson::ondemand::document& document) {
  ThrowIfOutOfMemory(parser.allocate(length, parser.max_depth()));
  // `allocate` does not say whether it has a place for strings; if not, `iterate` tries once more and does not look either. So
  // there must be room for it now.
  std::make_unique<std::byte[]>(5 * length / 3 + simdjson::SIMDJSON_PADDING + 64);
  const simdjson::error_code error = parser.iterate(padded.data(), length, padded.size()).get(document);
  ThrowIfOutOfMemory(error);
  return error;
}

}  // namespace ckmap
