// `json` parameters: values of the config that are more than a number or a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/bind/values/value.h"

namespace ckmap {

// The same JSON without white space between its tokens; nullopt: it is not JSON, or an object has a key twice.
std::optional<std::string> CanonicalJson(const std::string& text);

// The number that the object `json` has for `name`: that of its first key K for which the whole name matches
// `(.*\.)?(K)`, as PEFT reads alpha_pattern and rank_pattern; `otherwise` if no key does. "" and "null" are empty
// objects. Errors (kMismatch): it is no object of numbers, or a key is no regular expression.
Result<Value> LookupByPattern(const std::string& json, std::string_view name, const Value& otherwise);

// The number that the object in `json` has under `key`; of a list under it, that of `index`. `name`: of what holds the
// text, for errors (kMismatch).
Result<Value> JsonNumberAt(const std::string& json, std::string_view key, std::optional<int64_t> index,
                           std::string_view name);

// The integers of a JSON list; nullopt: it is none.
std::optional<std::vector<int64_t>> JsonIntegers(const std::string& json);

}  // namespace ckmap
