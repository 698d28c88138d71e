#include "runtime/folder/model_config.h"

#include <set>
#include <string_view>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/json_document.h"
#include "runtime/base/json_writer.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxConfig = int64_t{16} << 20;

Result<simdjson::dom::object> ParseObject(simdjson::dom::parser& parser, const std::string& text) {
  simdjson::dom::element root;
  simdjson::dom::object object;
  const simdjson::error_code error = parser.parse(text).get(root);
  ThrowIfOutOfMemory(error);
  if (error != simdjson::SUCCESS)
    return Error(ErrorCode::kMalformed, fmt::format("not JSON: {}", simdjson::error_message(error)));
  if (root.get(object) != simdjson::SUCCESS) return Error(ErrorCode::kMalformed, "not a JSON object");
  if (const std::string key = FindRepeatedKey(root); !key.empty())
    return Error(ErrorCode::kMalformed, fmt::format("the key `{}` is given twice", key));
  return object;
}

std::string NetworkOf(simdjson::dom::object config) {
  std::string_view name;
  simdjson::dom::array classes;
  if (config["architectures"].get(classes) == simdjson::SUCCESS && classes.size() > 0 &&
      classes.at(0).get(name) == simdjson::SUCCESS)
    return std::string(name);
  for (const char* key : {"_class_name", "architecture"}) {
    if (config[key].get(name) == simdjson::SUCCESS) return std::string(name);
  }
  return {};
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const std::string& path) {
  ModelConfig config;
  CKMAP_ASSIGN_OR_RETURN(config.text, ReadTextFile(path, kMaxConfig));
  simdjson::dom::parser parser;
  auto object = ParseObject(parser, config.text);
  if (!object) return std::move(object).error().Context(path);
  config.network = NetworkOf(*object);
  return config;
}

Result<std::string> EditConfig(const std::string& text, const std::map<std::string, std::string>& changes) {
  if (changes.empty()) return text;
  simdjson::dom::parser validator;
  CKMAP_RETURN_IF_ERROR(ParseObject(validator, text));
  std::string padded = text;
  padded.resize(text.size() + simdjson::SIMDJSON_PADDING, ' ');
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  simdjson::ondemand::object root;
  if (BeginJson(parser, padded, text.size(), document) != simdjson::SUCCESS ||
      document.get_object().get(root) != simdjson::SUCCESS)
    return Error(ErrorCode::kMalformed, "not a JSON object");
  std::string edited;
  std::set<std::string, std::less<>> seen;
  const auto add = [&](const std::string& key, std::string_view value) {
    edited += fmt::format("{}\n  {}: {}", edited.empty() ? "" : ",", JsonString(key), value);
  };
  for (auto field : root) {
    std::string_view key, value;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS ||
        simdjson::to_json_string(field.value()).get(value) != simdjson::SUCCESS)
      return Error(ErrorCode::kMalformed, "not a JSON object");
    seen.emplace(key);
    const auto change = changes.find(std::string(key));
    if (change == changes.end()) {
      while (!value.empty() && (value.back() == ' ' || value.back() == '\n' || value.back() == '\r'))
        value.remove_suffix(1);
      add(std::string(key), value);
    } else if (!change->second.empty()) {
      add(change->first, change->second);
    }
  }
  for (const auto& [key, value] : changes) {
    if (!seen.contains(key) && !value.empty()) add(key, value);
  }
  return fmt::format("{{{}\n}}\n", edited);
}

}  // namespace ckmap
