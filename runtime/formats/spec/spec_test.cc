#include "runtime/formats/spec/spec.h"

#include <doctest/doctest.h>

#include <string>

namespace ckmap {
namespace {

std::string Mistakes(std::string_view text) {
  const auto manifest = ParseSpec(text);
  if (manifest) return "";
  CHECK(manifest.error().code() == ErrorCode::kMalformed);
  return manifest.error().message();
}

}  // namespace

TEST_CASE("YAML and JSON give one manifest") {
  const auto yaml = ParseSpec(
      "framework: mindspore\n"
      "tensors:\n"
      "  - {name: embed.weight, dtype: f32, shape: [10, 64]}\n"
      "  - {name: pos_embed,    dtype: any, shape: [1, -1, 768], optional: true}\n"
      "  - name: head.weight\n"
      "    dtype: f32\n"
      "    shape: [10, 64]\n"
      "    tied_to: embed.weight\n"
      "  - {name: 1.scale, dtype: bf16, shape: []}\n");
  const auto json = ParseSpec(
      R"({"framework": "mindspore", "tensors": [
      {"name": "embed.weight", "dtype": "f32", "shape": [10, 64]},
      {"name": "pos_embed", "dtype": "any", "shape": [1, -1, 768], "optional": true},
      {"shape": [10, 64], "dtype": "f32", "tied_to": "embed.weight", "name": "head.weight"},
      {"name": "1.scale", "dtype": "bf16", "shape": []}]})");
  REQUIRE(yaml.ok());
  REQUIRE(json.ok());
  CHECK(yaml->tensors() == json->tensors());
  CHECK(yaml->framework == "mindspore");
  CHECK((*yaml)[1].optional);
  CHECK((*yaml)[1].shape == Shape{1, -1, 768});
  CHECK((*yaml)[2].tied_to == "embed.weight");
}

TEST_CASE("all mistakes at once, by line") {
  const std::string yaml = Mistakes(
      "tensors:\n"
      "  - {name: a, dtype: f33, shape: [1]}\n"
      "  - {name: b, dtype: f32, shape: [1.5, -2, 01]}\n"
      "  - {name: b, dtype: f32, shape: [1]}\n"
      "  - {name: b, dtype: f32, shape: [1]}\n"
      "  - {name: c, dtype: f32, shape: 3, colour: red}\n"
      "  - {name: d, dtype: f32}\n"
      "  - {name: e, dtype: f32, shape: [1], tied_to: nowhere, optional: 1}\n"
      "  - {name: f, name: g, dtype: f32, shape: [1]}\n"
      "more: 1\n");
  for (const char* expected :
       {"line 2: unknown dtype `f33`", "line 3: ", "`1.5`", "`-2`", "`01`", "line 4: tensor `b` is given twice",
        "line 6: `shape` must be a list", "line 6: unknown key `colour`", "line 7: a tensor without `shape`",
        "line 8: `e` is tied to `nowhere`", "line 8: `optional`", "line 9: `name` is given twice",
        "line 10: unknown key `more`"}) {
    CHECK_MESSAGE(yaml.find(expected) != std::string::npos, expected << " in\n" << yaml);
  }
  const std::string json = Mistakes(
      "{\"tensors\": [\n"
      "{\"name\": \"a\", \"dtype\": 5, \"shape\": [1e3]},\n"
      "{\"name\": \"b\", \"dtype\": \"f32\", \"shape\": {}, \"x\": [1, {\"y\": 2}]},\n"
      "7]}");
  for (const char* expected : {"line 2: `dtype` must be text", "line 2: a shape holds", "line 3: `shape` must be",
                               "line 3: unknown key `x`", "line 4: a tensor must be"}) {
    CHECK_MESSAGE(json.find(expected) != std::string::npos, expected << " in\n" << json);
  }
}

TEST_CASE("what is no spec, or a trap") {
  CHECK(Mistakes("tensors: &a [*a]\n").find("anchors and aliases") != std::string::npos);
  CHECK(Mistakes("tensors:\n  - &x {name: a, dtype: f32, shape: [1]}\n  - *x\n").find("line 3") != std::string::npos);
  CHECK(Mistakes("framework: torch\n").find("no `tensors`") != std::string::npos);
  CHECK(Mistakes("tensors: [\n").find("YAML") != std::string::npos);
  CHECK(Mistakes("{\"tensors\": [}").find("JSON") != std::string::npos);
  CHECK(Mistakes("{\"tensors\": []} 1") != "");
  CHECK(Mistakes("{\"tensors\": [], \"tensors\": []}").find("given twice") != std::string::npos);
  CHECK(Mistakes("? [a, b]\n: {c: d}\ntensors: []\n") != "");
  CHECK(Mistakes(std::string(100'000, '[')) != "");
  CHECK(Mistakes("{\"tensors\": " + std::string(100'000, '[')) != "");
  CHECK(ParseSpec("tensors: []\n").ok());
  CHECK_FALSE(LooksLikeSpec(std::string_view("tensors\0", 8)));
}

TEST_CASE("100,000 tensors as JSON") {
  std::string json = "{\"tensors\": [";
  for (int i = 0; i < 100'000; ++i) {
    json += (i == 0 ? "" : ",\n") + std::string("{\"name\": \"layers.") + std::to_string(i) +
            ".weight\", \"dtype\": \"bf16\", \"shape\": [4096, 4096]}";
  }
  json += "]}";
  const auto manifest = ParseSpec(json);
  REQUIRE(manifest.ok());
  CHECK(manifest->size() == 100'000);
}

}  // namespace ckmap
