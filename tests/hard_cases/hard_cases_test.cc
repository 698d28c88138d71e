// The migrations that are hard to say, each as NAME.ckmap: bound to manifests of the real sizes, and run on a tiny
// network whose values numpy computed (make.py). Where the rules can be undone, they are, and give back the source.
#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "compiler/compiler.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/create.h"
#include "runtime/formats/open.h"
#include "tests/support/manifest_templates.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = std::string(CKMAP_SOURCE_DIR) + "/tests/hard_cases";

struct Case {
  const char* name;
  bool reversible;
  std::vector<std::string> lost;  // source tensors that the way back cannot give
};

Manifest ReadTemplates(const std::string& path) {
  auto text = ReadTextFile(path);
  if (!text) FAIL(text.error().message());
  return ManifestFromTemplates(*text);
}

Plan CompileCase(const std::string& name, bool reverse) {
  CompileOptions options;
  options.pack_path = {std::string(CKMAP_SOURCE_DIR) + "/rules"};
  options.reverse = reverse;
  CompileResult result = Compile(fmt::format("{}/{}.ckmap", kFolder, name), options);
  for (const Diagnostic& diagnostic : result.diagnostics)
    CHECK_MESSAGE(false, FormatCode(diagnostic.kind) << " " << diagnostic.message);
  REQUIRE(result.plan.has_value());
  return *std::move(result.plan);
}

BindOptions Config(const std::string& name, const char* size) {
  BindOptions options;
  const std::string path = fmt::format("{}/data/{}/{}.config.json", kFolder, name, size);
  if (fs::exists(path)) options.config_json = *ReadTextFile(path);
  return options;
}

BoundPlan BindOrFail(const Plan& plan, Manifest source, Manifest target, const BindOptions& options) {
  auto result = Bind(plan, std::move(source), std::move(target), options);
  if (!result) FAIL(result.error().message());
  // Nothing is left to chance: a rule that would fit otherwise as well is confirmed in the file.
  CHECK(result->issues.empty());
  for (size_t i = 0; i < std::min<size_t>(result->issues.size(), 5); ++i) {
    MESSAGE(result->issues[i].code << " " << result->issues[i].message);
  }
  REQUIRE(result->plan.has_value());
  return *std::move(result->plan);
}

std::unique_ptr<Checkpoint> Open(const std::string& path) {
  auto checkpoint = OpenCheckpoint(path);
  if (!checkpoint) FAIL(checkpoint.error().message());
  return *std::move(checkpoint);
}

void Apply(const BoundPlan& bound, const Checkpoint& source, const std::string& path) {
  WriteOptions options;
  options.fsync = false;
  auto writer = CreateCheckpoint(path, OutputFormat::kSafetensors, OutputTensors(bound), options);
  if (!writer) FAIL(writer.error().message());
  auto done = Execute(bound, source, **writer, {});
  if (!done) FAIL(done.error().message());
  auto files = (*writer)->Commit();
  if (!files) FAIL(files.error().message());
}

bool Lost(const Case& test, const std::string& name) {
  return std::any_of(test.lost.begin(), test.lost.end(), [&name](const std::string& pattern) {
    return pattern.starts_with("*") ? name.ends_with(pattern.substr(1)) : name == pattern;
  });
}

// Every tensor of `expected`, but for those that are lost, is in `found` with the same bytes, and nothing else is.
void CheckEqual(const Case& test, const Checkpoint& expected, const Checkpoint& found) {
  std::set<std::string> names;
  for (size_t i = 0; i < expected.manifest().size(); ++i) {
    const TensorInfo& info = expected.manifest()[i];
    if (Lost(test, info.name)) continue;
    names.insert(info.name);
    const auto at = found.manifest().Find(info.name);
    REQUIRE_MESSAGE(at.has_value(), info.name);
    CHECK_MESSAGE(found.manifest()[*at].shape == info.shape, info.name);
    const auto want = DigestTensor(expected, i), have = DigestTensor(found, *at);
    REQUIRE(static_cast<bool>(want));
    REQUIRE(static_cast<bool>(have));
    CHECK_MESSAGE(*have == *want, info.name);
  }
  CHECK(found.manifest().size() == names.size());
}

// The target of the way back: the source's manifest, without what the rules drop.
Manifest WithoutLost(const Case& test, const Manifest& manifest) {
  Manifest kept;
  for (const TensorInfo& info : manifest.tensors()) {
    if (!Lost(test, info.name)) kept.Add(info);
  }
  return kept;
}

void CheckRealSizes(const Case& test) {
  const std::string data = fmt::format("{}/data/{}/full", kFolder, test.name);
  const Manifest source = ReadTemplates(data + ".source.txt"), target = ReadTemplates(data + ".target.txt");
  const BoundPlan bound = BindOrFail(CompileCase(test.name, false), source, target, Config(test.name, "full"));
  CHECK(bound.tensors.size() == target.size());
  if (!test.reversible) return;
  std::set<std::string> dropped;
  for (const DroppedTensor& tensor : bound.dropped) dropped.insert(tensor.name);
  Manifest back;
  for (const TensorInfo& info : source.tensors()) {
    if (!dropped.contains(info.name)) back.Add(info);
  }
  BindOrFail(CompileCase(test.name, true), target, back, Config(test.name, "full"));
}

void CheckValues(const Case& test) {
  const TempFolder folder;
  const std::string data = fmt::format("{}/data/{}/tiny", kFolder, test.name);
  const auto source = Open(data + ".source.safetensors"), target = Open(data + ".target.safetensors");
  const BindOptions config = Config(test.name, "tiny");
  Apply(BindOrFail(CompileCase(test.name, false), source->manifest(), target->manifest(), config), *source,
        folder / "there.safetensors");
  const auto there = Open(folder / "there.safetensors");
  CheckEqual({test.name, false, {}}, *target, *there);
  if (!test.reversible) return;
  const BoundPlan bound =
      BindOrFail(CompileCase(test.name, true), there->manifest(), WithoutLost(test, source->manifest()), config);
  Apply(bound, *there, folder / "back.safetensors");
  CheckEqual(test, *source, *Open(folder / "back.safetensors"));
}

const std::set<std::string>& Known(const std::string& name = "") {
  static std::set<std::string> names;
  if (!name.empty()) names.insert(name);
  return names;
}

// HARD_CASE(name, reversible, source tensors that the way back cannot give …)
#define HARD_CASE(NAME, REVERSIBLE, ...)                                                               \
  const bool NAME##_known = !Known(#NAME).empty();                                                     \
  TEST_CASE(#NAME ": binds at its real sizes") { CheckRealSizes({#NAME, REVERSIBLE, {__VA_ARGS__}}); } \
  TEST_CASE(#NAME ": computes what numpy computes") { CheckValues({#NAME, REVERSIBLE, {__VA_ARGS__}}); }

HARD_CASE(bert_mindspore, true, "bert.embeddings.position_ids")
HARD_CASE(conv_layouts, true)
HARD_CASE(flat_indices, true)
HARD_CASE(gemma_and_mamba, false)
HARD_CASE(gate_up_interleaved, true)
HARD_CASE(gpt2_dense, true, "h.0.attn.bias", "h.0.attn.masked_bias", "h.1.attn.bias", "h.1.attn.masked_bias")
HARD_CASE(gpt2_keras_mha, true)
HARD_CASE(llama_meta_hf, true, "rope.freqs")
HARD_CASE(lora_merged, false)
HARD_CASE(maxtext_query_scale, false)
HARD_CASE(megatron_gqa, true)
HARD_CASE(mixtral_fused, true)
HARD_CASE(qwen2_5_fused, true)
HARD_CASE(repvgg_fused, false)
HARD_CASE(resnet50_mindcv, true, "*.num_batches_tracked")
HARD_CASE(tied_embeddings, false)
HARD_CASE(torch_mha, true)
HARD_CASE(vit_resized, false)
HARD_CASE(vit_timm_hf, true)
HARD_CASE(vocabulary_padding, true)
HARD_CASE(vocabulary_padding_learned, false)
HARD_CASE(weight_norm_folded, false)
HARD_CASE(yolo_indices, true, "model.4.dfl.conv.weight")

TEST_CASE("every case of the folder is tested") {
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".ckmap") files.insert(entry.path().stem().string());
  }
  CHECK(files == Known());
  // README.md tells of each, and names no other.
  const std::string readme = *ReadTextFile(kFolder + "/README.md");
  std::set<std::string> told;
  const std::string mark = ".ckmap](";
  for (size_t at = readme.find(mark); at != std::string::npos; at = readme.find(mark, at + 1)) {
    told.insert(readme.substr(readme.rfind('[', at) + 1, at - readme.rfind('[', at) - 1));
  }
  CHECK(told == Known());
}

}  // namespace
}  // namespace ckmap
