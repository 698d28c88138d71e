// `json` parameters: values of the config that are more than a number or a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/bind/values/value.h"

namespace ckmap {

// The same JSON without white space between its tokens; nullopt: it is not JSON, or an object has a key twice.
std::optional<std::string> CanonicalJson(const std::string& text);

// The number that the object `json` has for `name`: that of its first key K for which the whole name matches
// `(.*\.)?(K)`, as PEFT reads alpha_pattern and rank_pattern; `otherwise` if no key does. "" and "null" are empty
// objects. Errors (kMismatch): it is no object of numbers, or a key is no regular expression.
Result<Value> LookupByPattern(const std::string& json, std::string_view name, const Value& otherwise);

}  // namespace ckmap
