#include "runtime/formats/spec/spec_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

// Words that are certainly text to every reader of YAML stand as they are, all others in quotes, as in JSON.
std::string YamlText(std::string_view text) {
  constexpr std::array<std::string_view, 9> kNotText = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const bool plain = !text.empty() && letter(text.front()) && std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || IsDigit(c) || c == '.' || c == '-' || c == '/';
  }) && std::none_of(kNotText.begin(), kNotText.end(), [&](std::string_view word) {
    return word.size() == text.size() && std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
             return a == (b >= 'A' && b <= 'Z' ? b + 32 : b);
           });
  });
  return plain ? std::string(text) : JsonString(text);
}

}  // namespace

std::string SpecYaml(const Manifest& manifest) {
  std::string out = manifest.framework.empty() ? "" : fmt::format("framework: {}\n", YamlText(manifest.framework));
  out += manifest.size() == 0 ? "tensors: []\n" : "tensors:\n";
  for (const TensorInfo& tensor : manifest.tensors()) {
    out += fmt::format("  - {{name: {}, dtype: {}, shape: [{}]{}{}}}\n", YamlText(tensor.name), DTypeName(tensor.dtype),
                       fmt::join(tensor.shape, ", "), tensor.optional ? ", optional: true" : "",
                       tensor.tied_to.empty() ? "" : ", tied_to: " + YamlText(tensor.tied_to));
  }
  return out;
}

std::string SpecJson(const Manifest& manifest) {
  JsonWriter json;
  json.BeginObject().OnLines();
  if (!manifest.framework.empty()) json.Key("framework").String(manifest.framework);
  json.Key("tensors").BeginArray().OnLines();
  for (const TensorInfo& tensor : manifest.tensors()) {
    json.BeginObject()
        .Key("name")
        .String(tensor.name)
        .Key("dtype")
        .String(DTypeName(tensor.dtype))
        .Key("shape")
        .BeginArray();
    for (const int64_t size : tensor.shape) json.Int(size);
    json.EndArray();
    if (tensor.optional) json.Key("optional").Bool(true);
    if (!tensor.tied_to.empty()) json.Key("tied_to").String(tensor.tied_to);
    json.EndObject();
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

}  // namespace ckmap
