#include <doctest/doctest.h>

#include "runtime/detect/config_check.h"
#include "runtime/detect/pack_facts.h"

namespace ckmap {
namespace {

Manifest Of(const std::vector<std::pair<std::string, Shape>>& tensors, DType dtype = DType::kF32) {
  Manifest manifest;
  for (const auto& [name, shape] : tensors) manifest.Add({.name = name, .dtype = dtype, .shape = shape});
  return manifest;
}

Manifest SmallLlama(int64_t layers) {
  std::vector<std::pair<std::string, Shape>> tensors = {{"model.embed_tokens.weight", {100, 16}}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i);
    tensors.emplace_back(layer + ".self_attn.q_proj.weight", Shape{16, 16});
    tensors.emplace_back(layer + ".self_attn.k_proj.weight", Shape{8, 16});
    tensors.emplace_back(layer + ".mlp.gate_proj.weight", Shape{24, 16});
  }
  return Of(tensors);
}

std::vector<std::string> Contradictions(const Manifest& source, const std::string& config) {
  const auto found = ConfigContradictions(source, config, "config.json");
  REQUIRE(found.ok());
  return *found;
}

constexpr const char* kLlama =
    R"({"num_hidden_layers": 2, "vocab_size": 100, "hidden_size": 16, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 24})";

TEST_CASE("a config that says what the tensors say contradicts nothing") {
  CHECK(Contradictions(SmallLlama(2), kLlama).empty());
  CHECK(Contradictions(SmallLlama(2), "{}").empty());
  CHECK(Contradictions(Of({{"fc.weight", {10, 16}}}), kLlama).empty());
}

TEST_CASE("a contradiction names both numbers") {
  const auto layers = Contradictions(SmallLlama(3), kLlama);
  REQUIRE(layers.size() == 1);
  CHECK(layers[0] ==
        "config.json says num_hidden_layers = 2, and the tensors have 3 layers (`model.layers.0` to `model.layers.2`)");
  const auto sizes = Contradictions(
      SmallLlama(2), R"({"num_hidden_layers": 2, "vocab_size": 90, "hidden_size": 32, "num_attention_heads": 4,
                         "head_dim": 8, "num_key_value_heads": 4, "intermediate_size": 25})");
  REQUIRE(sizes.size() == 5);
  CHECK(sizes[0] == "config.json says vocab_size = 90, and axis 0 of `model.embed_tokens.weight` has the size 100");
  CHECK(sizes[1] == "config.json says hidden_size = 32, and axis 1 of `model.embed_tokens.weight` has the size 16");
  CHECK(sizes[2] ==
        "config.json says num_attention_heads = 4, and `model.layers.0.self_attn.q_proj.weight` has 16 "
        "rows, which are not 4 heads of 8");
  CHECK(sizes[3] ==
        "config.json says num_key_value_heads = 4, and `model.layers.0.self_attn.k_proj.weight` has 8 "
        "rows, which are not 4 heads of 8");
  CHECK(sizes[4] ==
        "config.json says intermediate_size = 25, and axis 0 of `model.layers.0.mlp.gate_proj.weight` has "
        "the size 24");
}

TEST_CASE("experts are counted in every layer, and layers for multi-token prediction may follow the others") {
  const Manifest experts = Of({{"model.layers.0.mlp.experts.0.w", {2}},
                               {"model.layers.0.mlp.experts.3.w", {2}},
                               {"model.layers.1.mlp.experts.3.w", {2}}});
  CHECK(Contradictions(experts, R"({"num_experts": 4})").empty());
  CHECK(Contradictions(experts, R"({"n_routed_experts": 8})").size() == 1);
  CHECK(Contradictions(experts, R"({"num_hidden_layers": 1, "num_nextn_predict_layers": 1})").empty());
}

TEST_CASE("numbers of a text_config count where the outer object has none") {
  const auto found = Contradictions(SmallLlama(2), R"({"text_config": {"hidden_size": 16, "vocab_size": 7}})");
  REQUIRE(found.size() == 1);
  CHECK(found[0].find("text_config.vocab_size = 7") != std::string::npos);
}

TEST_CASE("codes of quantised weights are not compared with sizes") {
  CHECK(Contradictions(Of({{"model.embed_tokens.weight", {100, 8}}}, DType::kU8), kLlama).empty());
}

TEST_CASE("a config that is not an object is malformed") {
  CHECK(ConfigContradictions({}, "[1]", "config.json").error().code() == ErrorCode::kMalformed);
  CHECK(ConfigContradictions({}, "{", "config.json").error().code() == ErrorCode::kMalformed);
}

constexpr const char* kYaml = R"(name: net
migrations:
  - file: a2b.ckmap
    source: {library: torchvision, tensors: [conv1.weight, "layer*.*.bn*.*", "aux.**?"]}
    target: {library: mindcv, describes: true, layers: nn}
  - file: other.ckmap
)";

TEST_CASE("the facts of a migration are read, and a source is recognised by its names") {
  const PackFacts facts = ReadPackFacts(kYaml, "a2b");
  CHECK(facts.source_library == "torchvision");
  CHECK(facts.target_library == "mindcv");
  CHECK(facts.describes);
  CHECK(facts.nn_layers);
  CHECK(WhyNotRecognised(facts, Of({{"conv1.weight", {1}}, {"layer1.0.bn2.bias", {1}}})).empty());
  CHECK(WhyNotRecognised(facts, Of({{"conv1.weight", {1}}, {"layer1.0.bn2.bias", {1}}, {"aux.x.y", {1}}})).empty());
  CHECK(WhyNotRecognised(facts, Of({{"conv1.weight", {1}}})) == "the source has no `layer*.*.bn*.*`");
  CHECK(WhyNotRecognised(facts, Of({{"conv1.weight", {1}}, {"layer1.0.bns.0.bias", {1}}})) ==
        "`layer1.0.bns.0.bias` is not a tensor of its source network");
  CHECK(WhyNotRecognised(ReadPackFacts(kYaml, "other"), Of({{"x", {1}}})).empty());
  CHECK(ReadPackFacts("[", "a2b").source_tensors.empty());
}

}  // namespace
}  // namespace ckmap
