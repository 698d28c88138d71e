// Every migration that a pack ships is bound to the manifests of the real networks that its
// pack.yaml names, without any weights; where the rules can be undone, there and back is the identity.
#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "compiler/compiler.h"
#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/bind/computed_node.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kRules = std::string(CKMAP_SOURCE_DIR) + "/rules";
const std::string kFamilies = std::string(CKMAP_TEST_DATA) + "/families";

struct Case {
  std::string migration;  // "resnet/torchvision2mindcv"
  std::string source, target, config;
};

// The families of each pack.yaml that have manifests here, and the published sizes of the large models.
std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const auto& pack : fs::directory_iterator(kRules)) {
    if (!fs::exists(pack.path() / "pack.yaml")) continue;
    for (const YAML::Node& migration : YAML::LoadFile(pack.path() / "pack.yaml")["migrations"]) {
      const std::string stem = fs::path(migration["file"].as<std::string>()).stem();
      for (const YAML::Node& family : migration["verified"]) {
        const std::string name = (family.IsMap() ? family["network"] : family).as<std::string>();
        if (!fs::exists(fmt::format("{}/{}.target.json", kFamilies, name))) continue;
        cases.push_back({fmt::format("{}/{}", pack.path().filename().string(), stem), name + ".source.json",
                         name + ".target.json", name + ".config.json"});
      }
    }
  }
  const auto full_size = [&](const char* migration, const std::string& model, const std::string& target) {
    cases.push_back(
        {migration, model + ".source.json", fmt::format("{}.{}.json", model, target), model + ".config.json"});
  };
  full_size("llama/hf2mindformers", "llama3_8b", "mindformers");
  full_size("llama/hf2mindformers_fused", "llama3_8b", "mindformers_fused");
  full_size("llama/hf2mindformers", "qwen2_5_7b", "mindformers");
  full_size("llama/hf2mindformers_fused", "qwen2_5_7b", "mindformers_fused");
  full_size("qwen/hf2mcore", "qwen3_8b", "mindformers_mcore");
  full_size("mindone/hf2mindone", "mixtral_8x7b", "mindone");
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
    return std::tie(a.migration, a.source) < std::tie(b.migration, b.source);
  });
  return cases;
}

Manifest Read(const std::string& name) {
  auto manifest = ReadManifest(kFamilies + "/" + name);
  if (!manifest) FAIL(manifest.error().message());
  return *std::move(manifest);
}

BindOptions OptionsOf(const Case& test) {
  BindOptions options;
  if (fs::exists(kFamilies + "/" + test.config)) options.config_json = *ReadTextFile(kFamilies + "/" + test.config);
  if (test.source.find("contiguous") != std::string::npos) {
    // Names and shapes are those of the other layout: only a parameter tells them apart.
    options.defines["contiguous_attention"] = "true";
    options.defines["interleaved_mlp"] = "false";
  }
  // Nor do they tell which of MindFormers 2's three networks of a model the target is.
  const std::pair<const char*, const char*> layouts[] = {
      {"_mf2_graph", "graph"}, {"_mf2_pynative", "pynative"}, {"_mf2_infer", "inference"}};
  for (const auto& [part, layout] : layouts) {
    const bool asks = test.migration.find("deepseek_v4") == std::string::npos;
    if (asks && test.source.find(part) != std::string::npos) options.defines["layout"] = layout;
  }
  return options;
}

Plan CompilePack(const Case& test) {
  CompileOptions options;
  options.pack_path = {kRules};
  const CompileResult result = Compile(fmt::format("{}/{}.ckmap", kRules, test.migration), options);
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(diagnostic.message);
  REQUIRE(result.plan.has_value());
  return *result.plan;
}

// `findings`: what the lint says.
BoundPlan BindOrFail(const Plan& plan, Manifest source, Manifest target, const BindOptions& options,
                     std::vector<std::string>* findings = nullptr) {
  auto result = Bind(plan, std::move(source), std::move(target), options);
  if (!result) FAIL(result.error().message());
  for (size_t i = 0; i < std::min<size_t>(result->issues.size(), 5) && !result->plan; ++i) {
    MESSAGE(result->issues[i].code << " " << result->issues[i].message);
  }
  REQUIRE(result->plan.has_value());
  for (size_t i = 0; i < result->issues.size() && findings != nullptr; ++i) {
    const Issue& issue = result->issues[i];
    if (issue.code == "CK1230" || issue.code == "CK1234")
      findings->push_back(fmt::format("{} {}", issue.code, issue.message));
  }
  return *std::move(result->plan);
}

// Tensors whose elements are numbers that no other element has.
using Values = std::vector<std::vector<int64_t>>;

Values Iota(const Manifest& manifest) {
  Values values;
  int64_t next = 0;
  for (const TensorInfo& tensor : manifest.tensors()) {
    values.emplace_back(static_cast<size_t>(*NumElements(tensor.shape)));
    std::iota(values.back().begin(), values.back().end(), next);
    next += static_cast<int64_t>(values.back().size());
  }
  return values;
}

Values Run(const BoundPlan& plan, const Values& source) {
  Values target(plan.target.size());
  for (const BoundTensor& tensor : plan.tensors) {
    auto& out = target[tensor.target];
    out.assign(static_cast<size_t>(*NumElements(tensor.shape)), -1);
    for (const Piece& piece : tensor.value.pieces) {
      if (piece.input == kFillInput) continue;
      const auto& in = source[tensor.inputs[static_cast<size_t>(piece.input)].source];
      std::vector<int64_t> index(piece.axes.size(), 0);
      while (true) {
        int64_t from = piece.src_offset, to = piece.dst_offset;
        for (size_t a = 0; a < index.size(); ++a) {
          from += index[a] * piece.axes[a].src_stride;
          to += index[a] * piece.axes[a].dst_stride;
        }
        out.at(static_cast<size_t>(to)) = in.at(static_cast<size_t>(from));
        size_t a = index.size();
        while (a > 0 && ++index[a - 1] == piece.axes[a - 1].size) index[--a] = 0;
        if (a == 0) break;
      }
    }
  }
  return target;
}

int64_t TotalElements(const Manifest& manifest) {
  int64_t total = 0;
  for (const TensorInfo& tensor : manifest.tensors()) total += *NumElements(tensor.shape);
  return total;
}

Plan Reversed(const Plan& plan) {
  plan::Plan reversed = plan.proto();
  reversed.set_reversed(true);
  auto back = ParsePlan(SerializePlan(reversed));
  REQUIRE(back.ok());
  return *std::move(back);
}

// Both sides without what the migration drops, and what it makes of nothing: that is not asked for on the way back.
std::pair<Manifest, Manifest> Asked(const BoundPlan& forward) {
  Manifest left, right;
  std::vector<bool> dropped(forward.source.size(), false);
  for (const DroppedTensor& tensor : forward.dropped) dropped[tensor.source] = true;
  for (size_t i = 0; i < forward.source.size(); ++i) {
    if (!dropped[i]) left.Add(forward.source[i]);
  }
  for (const BoundTensor& tensor : forward.tensors) right.Add(forward.target[tensor.target]);
  return {std::move(left), std::move(right)};
}

bool HasCasts(const BoundPlan& plan) {
  return std::any_of(plan.tensors.begin(), plan.tensors.end(), [](const BoundTensor& tensor) {
    return std::any_of(tensor.inputs.begin(), tensor.inputs.end(),
                       [](const BoundInput& input) { return !input.casts.empty(); });
  });
}

Manifest InF32(const Manifest& manifest) {
  Manifest same;
  for (TensorInfo tensor : manifest.tensors()) {
    tensor.dtype = DType::kF32;
    same.Add(std::move(tensor));
  }
  return same;
}

// A cast is not undone, by a reversed plan or by its text. With one dtype throughout there is none.
void WithoutCasts(const BoundPlan& bound, Manifest& left, Manifest& right) {
  if (!HasCasts(bound)) return;
  left = InF32(left);
  right = InF32(right);
}

// Binds the plan backwards and runs both ways on tensors that are their own indices.
void CheckThereAndBack(const Plan& plan, const BoundPlan& forward, const BindOptions& options) {
  auto [left, right] = Asked(forward);
  WithoutCasts(forward, left, right);
  const BoundPlan again = BindOrFail(plan, left, right, options);
  const BoundPlan back = BindOrFail(Reversed(plan), right, left, options);
  const Values start = Iota(left);
  CHECK(Run(back, Run(again, start)) == start);
}

// What becomes of what, whatever the order of inputs: "target <- source: piece".
std::vector<std::string> Moves(const BoundPlan& plan) {
  std::vector<std::string> moves;
  for (const BoundTensor& tensor : plan.tensors) {
    for (const Piece& piece : tensor.value.pieces) {
      const std::string source =
          piece.input == kFillInput ? "fill" : plan.source[tensor.inputs[static_cast<size_t>(piece.input)].source].name;
      moves.push_back(fmt::format("{} {} <- {} {}:", tensor.name, piece.dst_offset, source, piece.src_offset));
      for (const PieceAxis& axis : piece.axes)
        moves.back() += fmt::format(" {}:{}:{}", axis.size, axis.src_stride, axis.dst_stride);
    }
  }
  std::sort(moves.begin(), moves.end());
  return moves;
}

ReversedText ReverseTextOf(const std::string& path, const std::map<std::string, std::string>& files) {
  CompileOptions options;
  options.pack_path = {kRules};
  options.memory_files = files;
  ReversedText reversed = ReverseToText(path, options);
  for (const Diagnostic& diagnostic : reversed.diagnostics) {
    MESSAGE(diagnostic.message);
    for (const std::string& note : diagnostic.notes) MESSAGE(note);
  }
  return reversed;
}

Plan CompileText(const std::string& text) {
  CompileOptions options;
  options.pack_path = {kRules};
  options.memory_files["text.ckmap"] = text;
  const CompileResult result = Compile("text.ckmap", options);
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(diagnostic.message);
  REQUIRE(result.plan.has_value());
  return *result.plan;
}

// Rules that are reversible once shapes are known, but not as text: of `flatten` the shape before it is not written, and
// one text cannot hold a parameter and the one of the same name in a used file.
const std::set<std::string> kNotAsText = {"mindformers2/hf2mindformers2", "mindformers2/deepseek_v3_hf2mindformers2"};

TEST_CASE("the text from right to left means what the reversed plan means, and turned again what the rules mean") {
  int checked = 0;
  for (const Case& test : AllCases()) {
    CAPTURE(test.migration);
    CAPTURE(test.target);
    const Plan plan = CompilePack(test);
    if (!std::all_of(plan.proto().rules().begin(), plan.proto().rules().end(),
                     [](const plan::Rule& rule) { return rule.reversible(); }))
      continue;
    const ReversedText text = ReverseTextOf(fmt::format("{}/{}.ckmap", kRules, test.migration), {});
    if (kNotAsText.contains(test.migration)) {
      CHECK_FALSE(text.text.has_value());
      continue;
    }
    REQUIRE(text.text.has_value());
    const ReversedText again = ReverseTextOf("back.ckmap", {{"back.ckmap", *text.text}});
    REQUIRE(again.text.has_value());
    const BindOptions options = OptionsOf(test);
    const BoundPlan bound = BindOrFail(plan, Read(test.source), Read(test.target), options);
    auto [left, right] = Asked(bound);
    WithoutCasts(bound, left, right);
    CHECK(Moves(BindOrFail(CompileText(*text.text), right, left, options)) ==
          Moves(BindOrFail(Reversed(plan), right, left, options)));
    CHECK(Moves(BindOrFail(CompileText(*again.text), left, right, options)) ==
          Moves(BindOrFail(plan, left, right, options)));
    ++checked;
  }
  CHECK(checked >= 25);
  MESSAGE(checked, " migrations");
}

TEST_CASE("every migration binds to the networks that it was verified on, and the lint says nothing of it") {
  const std::vector<Case> cases = AllCases();
  REQUIRE(cases.size() > 30);
  for (const Case& test : cases) {
    CAPTURE(test.migration);
    CAPTURE(test.target);
    SUBCASE(fmt::format("{} {}", test.migration, test.target).c_str()) {
      const Plan plan = CompilePack(test);
      const BindOptions options = OptionsOf(test);
      std::vector<std::string> findings;
      const BoundPlan bound = BindOrFail(plan, Read(test.source), Read(test.target), options, &findings);
      CHECK_MESSAGE(findings.empty(), fmt::format("{}", fmt::join(findings, "\n")));
      const bool reversible = std::all_of(plan.proto().rules().begin(), plan.proto().rules().end(),
                                          [](const plan::Rule& rule) { return rule.reversible(); });
      if (reversible && TotalElements(bound.source) < 1'000'000) CheckThereAndBack(plan, bound, options);
    }
  }
}

// DeepSeek-V3 as it is published: 62 layers in FP8, the last for multi-token prediction, each weight with the scales of
// its blocks of 128 x 128.
Manifest PublishedDeepSeek() {
  Manifest manifest;
  const auto add = [&](const std::string& name, DType dtype, const Shape& shape) {
    manifest.Add({.name = name,
                  .dtype = dtype,
                  .shape = shape,
                  .storage = -1,
                  .optional = false,
                  .tied_to = "",
                  .unreadable = ""});
  };
  const auto scaled = [&](const std::string& name, int64_t rows, int64_t columns) {
    add(name + ".weight", DType::kF8E4M3, {rows, columns});
    add(name + ".weight_scale_inv", DType::kF32, {(rows + 127) / 128, (columns + 127) / 128});
  };
  const auto mlp = [&](const std::string& name, int64_t width) {
    scaled(name + ".gate_proj", width, 7168);
    scaled(name + ".up_proj", width, 7168);
    scaled(name + ".down_proj", 7168, width);
  };
  add("model.embed_tokens.weight", DType::kBF16, {129280, 7168});
  for (int n = 0; n < 62; ++n) {
    const std::string layer = fmt::format("model.layers.{}.", n);
    scaled(layer + "self_attn.q_a_proj", 1536, 7168);
    scaled(layer + "self_attn.q_b_proj", 24576, 1536);
    scaled(layer + "self_attn.kv_a_proj_with_mqa", 576, 7168);
    scaled(layer + "self_attn.kv_b_proj", 32768, 512);
    scaled(layer + "self_attn.o_proj", 7168, 16384);
    add(layer + "self_attn.q_a_layernorm.weight", DType::kBF16, {1536});
    add(layer + "self_attn.kv_a_layernorm.weight", DType::kBF16, {512});
    add(layer + "input_layernorm.weight", DType::kBF16, {7168});
    add(layer + "post_attention_layernorm.weight", DType::kBF16, {7168});
    if (n < 3) {
      mlp(layer + "mlp", 18432);
      continue;
    }
    for (int e = 0; e < 256; ++e) mlp(fmt::format("{}mlp.experts.{}", layer, e), 2048);
    mlp(layer + "mlp.shared_experts", 2048);
    add(layer + "mlp.gate.weight", DType::kBF16, {256, 7168});
    add(layer + "mlp.gate.e_score_correction_bias", DType::kF32, {256});
  }
  for (const char* norm : {"enorm", "hnorm", "shared_head.norm"})
    add(fmt::format("model.layers.61.{}.weight", norm), DType::kBF16, {7168});
  for (const char* copy : {"embed_tokens", "shared_head.head"})
    add(fmt::format("model.layers.61.{}.weight", copy), DType::kBF16, {129280, 7168});
  add("model.layers.61.eh_proj.weight", DType::kBF16, {7168, 14336});
  add("model.norm.weight", DType::kBF16, {7168});
  add("lm_head.weight", DType::kBF16, {129280, 7168});
  return manifest;
}

TEST_CASE("the published DeepSeek-V3, in FP8 and with multi-token prediction, binds to the network in bf16") {
  const Case test{"deepseek/hf2mcore_fp8", "", "deepseek_v3.mindformers_mcore.json", "deepseek_v3.config.json"};
  Manifest source = PublishedDeepSeek();
  CHECK(source.size() == 91'991);
  const BoundPlan bound = BindOrFail(CompilePack(test), std::move(source), Read(test.target), OptionsOf(test));
  CHECK(bound.tensors.size() == 863);
  CHECK(bound.dropped.size() == 2);
  CHECK(bound.kept.size() == 118);
}

// The operands of the one node that a target tensor is made by; 0: it is a copy.
size_t MergedFrom(const BoundPlan& bound, std::string_view name) {
  for (const BoundTensor& tensor : bound.tensors) {
    if (tensor.name != name) continue;
    REQUIRE(tensor.inputs.size() == 1);
    if (tensor.inputs[0].node == nullptr) return 0;
    REQUIRE(std::holds_alternative<LoraMergeSpec>(tensor.inputs[0].node->spec));
    return tensor.inputs[0].node->operands.size();
  }
  FAIL("nothing writes ", name);
  return 0;
}

TEST_CASE("adapters of PEFT are merged into their bases, beside it and inside a PeftModel") {
  const auto add = [](Manifest& manifest, const std::string& name, const Shape& shape) {
    manifest.Add({.name = name,
                  .dtype = DType::kF32,
                  .shape = shape,
                  .storage = -1,
                  .optional = false,
                  .tied_to = "",
                  .unreadable = ""});
  };
  const std::vector<std::pair<std::string, Shape>> base = {{"model.embed_tokens.weight", {10, 8}},
                                                           {"model.layers.0.self_attn.q_proj.weight", {12, 8}},
                                                           {"model.layers.0.self_attn.q_proj.bias", {12}},
                                                           {"model.layers.0.self_attn.v_proj.weight", {8, 8}},
                                                           {"model.norm.weight", {8}}};
  Manifest target, beside, inside;
  const std::string root = "base_model.model.", layer = root + "model.layers.0.self_attn.";
  for (const auto& [name, shape] : base) {
    add(target, name, shape);
    add(beside, name, shape);
    const bool adapted = name.find("norm") == std::string::npos;
    const size_t dot = name.rfind('.');
    add(inside, root + (adapted ? name.substr(0, dot) + ".base_layer" + name.substr(dot) : name), shape);
  }
  for (Manifest* manifest : {&beside, &inside}) {
    const std::string part = manifest == &inside ? ".default" : "";
    for (const auto& [proj, out] : {std::pair<std::string, int64_t>{"q_proj", 12}, {"v_proj", 8}}) {
      add(*manifest, layer + proj + ".lora_A" + part + ".weight", {2, 8});
      add(*manifest, layer + proj + ".lora_B" + part + ".weight", {out, 2});
    }
    add(*manifest, layer + "v_proj.lora_magnitude_vector" + (part.empty() ? "" : part + ".weight"), {8});
    add(*manifest, root + "model.embed_tokens.lora_embedding_A" + part, {2, 10});
    add(*manifest, root + "model.embed_tokens.lora_embedding_B" + part, {8, 2});
  }
  BindOptions options;
  options.config_json = R"({"lora_alpha": 16, "use_rslora": true, "fan_in_fan_out": false})";
  for (const auto& [migration, source] :
       {std::pair{"lora/merge", &beside}, std::pair{"lora/merge_peft_model", &inside}}) {
    CAPTURE(migration);
    const BoundPlan bound = BindOrFail(CompilePack({migration, "", "", ""}), *source, target, options);
    CHECK(bound.tensors.size() == base.size());
    CHECK(bound.dropped.empty());
    CHECK(MergedFrom(bound, "model.layers.0.self_attn.q_proj.weight") == 3);
    CHECK(MergedFrom(bound, "model.layers.0.self_attn.v_proj.weight") == 4);
    CHECK(MergedFrom(bound, "model.embed_tokens.weight") == 3);
    CHECK(MergedFrom(bound, "model.layers.0.self_attn.q_proj.bias") == 0);
    CHECK(MergedFrom(bound, "model.norm.weight") == 0);
  }
}

}  // namespace
}  // namespace ckmap
