// JSON by simdjson, where memory may run out.
#pragma once

#include <cstddef>
#include <string>

#include <simdjson.h>

namespace ckmap {

// Begins to read the first `length` bytes of `padded` as JSON. Throws std::bad_alloc where simdjson has no memory; its
// own
// `iterate` would go on without a place for strings.
simdjson::error_code BeginJson(simdjson::ondemand::parser& parser, const std::string& padded, size_t length,
                               simdjson::ondemand::document& document);

// The first key that an object of the document holds twice, as a dotted path ("text_config.hidden_size"); "" if there
// is none. Which of the two values counts is not said by JSON, and readers differ.
std::string FindRepeatedKey(simdjson::dom::element root);

// std::bad_alloc if the error is want of memory, and not one of the text.
void ThrowIfOutOfMemory(simdjson::error_code error);

}  // namespace ckmap
