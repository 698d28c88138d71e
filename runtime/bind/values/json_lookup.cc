#include "runtime/bind/values/json_lookup.h"

#include <algorithm>

#include <fmt/format.h>
#include <re2/re2.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

// Keys are names as a rule, in which only the dot means something to a regular expression: any character.
bool IsPlain(std::string_view key) {
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

bool EndsInPlain(std::string_view name, std::string_view key) {
  if (name.size() < key.size()) return false;
  const size_t begin = name.size() - key.size();
  if (begin > 0 && name[begin - 1] != '.') return false;
  return std::equal(key.begin(), key.end(), name.begin() + static_cast<std::ptrdiff_t>(begin),
                    [](char k, char n) { return k == '.' || k == n; });
}

Result<bool> Matches(std::string_view name, std::string_view key) {
  if (IsPlain(key)) return EndsInPlain(name, key);
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 regex(fmt::format("(?s:.*\\.)?({})", key), options);
  if (!regex.ok()) {
    return Error(ErrorCode::kMismatch, fmt::format("the key {} cannot be used as a regular expression: {}",
                                                   QuoteName(key), EscapeText(regex.error())));
  }
  return RE2::FullMatch(name, regex);
}

}  // namespace

std::optional<std::string> CanonicalJson(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(text).get(root);
  ThrowIfOutOfMemory(error);
  if (error || !FindRepeatedKey(root).empty()) return std::nullopt;
  return simdjson::minify(root);
}

Result<Value> LookupByPattern(const std::string& json, std::string_view name, const Value& otherwise) {
  Value rest = otherwise;
  if (const auto* integer = std::get_if<int64_t>(&rest)) rest = static_cast<double>(*integer);
  if (json.empty() || json == "null") return rest;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::object object;
  const auto error = parser.parse(json).get(root);
  ThrowIfOutOfMemory(error);
  if (error || root.get(object))
    return Error(ErrorCode::kMismatch, fmt::format("{} is not a JSON object", EscapeText(json)));
  for (const auto& [key, value] : object) {
    CKMAP_ASSIGN_OR_RETURN(const bool matches, Matches(name, key));
    if (!matches) continue;
    double number = 0;
    if (value.get(number))
      return Error(ErrorCode::kMismatch, fmt::format("the value of {} is not a number", QuoteName(key)));
    return Value(number);
  }
  return rest;
}

Result<Value> JsonNumberAt(const std::string& json, std::string_view key, std::optional<int64_t> index,
                           std::string_view name) {
  const auto wrong = [&](std::string_view why) {
    return Error(ErrorCode::kMismatch, fmt::format("{}: {}", QuoteName(name), why));
  };
  simdjson::dom::parser parser;
  simdjson::dom::element root, value;
  const auto error = parser.parse(json).get(root);
  ThrowIfOutOfMemory(error);
  if (error || !root.is_object()) return wrong("its bytes are not a JSON object");
  if (root[key].get(value)) return wrong(fmt::format("the JSON object in it has no {}", QuoteName(key)));
  if (index) {
    simdjson::dom::array list;
    if (*index < 0 || value.get(list) || list.at(static_cast<size_t>(*index)).get(value))
      return wrong(fmt::format("{} is not a list with an element {}", QuoteName(key), *index));
  }
  int64_t integer = 0;
  double number = 0;
  if (value.is_int64() && !value.get(integer)) return Value(integer);
  if (value.is_number() && !value.get(number)) return Value(number);
  return wrong(fmt::format("{} is not a number", QuoteName(key)));
}

std::optional<std::vector<int64_t>> JsonIntegers(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array list;
  const auto error = parser.parse(json).get(root);
  ThrowIfOutOfMemory(error);
  if (error || root.get(list)) return std::nullopt;
  std::vector<int64_t> values;
  for (const simdjson::dom::element item : list) {
    int64_t value = 0;
    if (!item.is_int64() || item.get(value)) return std::nullopt;
    values.push_back(value);
  }
  return values;
}

}  // namespace ckmap
