#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "runtime/folder/model_config.h"
#include "runtime/folder/survey.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

void Put(const fs::path& path, const std::string& text = "x") {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string WhyLeft(const ModelFolder& folder, const std::string& name) {
  const auto at = std::find_if(folder.left_behind.begin(), folder.left_behind.end(),
                               [&](const auto& entry) { return entry.first == name; });
  return at == folder.left_behind.end() ? "" : at->second;
}

TEST_CASE("the files of an allow-list go along, and everything else is named") {
  const TempFolder temp;
  const fs::path dir = temp.path();
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json", "LICENSE.txt", "LICENSE.py",
                           "modeling_x.py", "training_args.bin.txt", "run.sh"})
    Put(dir / name);
  Put(dir / "onnx/model.onnx");
  const auto folder = SurveyFolder(dir.string(), false);
  REQUIRE(folder.ok());
  CHECK(folder->weights == (dir / "model.safetensors").string());
  CHECK(folder->stem == "model");
  CHECK(folder->config == (dir / "config.json").string());
  CHECK(folder->carried == std::vector<std::string>{"LICENSE.txt", "tokenizer.json"});
  CHECK(WhyLeft(*folder, "modeling_x.py") == "code, which --with-code carries");
  CHECK(WhyLeft(*folder, "LICENSE.py") == "code, which --with-code carries");
  CHECK(WhyLeft(*folder, "run.sh") == "not one of the files that go along");
  CHECK(WhyLeft(*folder, "onnx") == "a folder");
  const auto with_code = SurveyFolder(dir.string(), true);
  REQUIRE(with_code.ok());
  CHECK(with_code->carried == std::vector<std::string>{"LICENSE.py", "LICENSE.txt", "modeling_x.py", "tokenizer.json"});
}

TEST_CASE("one whole file goes before an index, and an index before old formats") {
  const TempFolder temp;
  const fs::path dir = temp.path();
  Put(dir / "pytorch_model.bin");
  CHECK(SurveyFolder(dir.string(), false)->stem == "pytorch_model");
  Put(dir / "model.safetensors.index.json");
  Put(dir / "model-00001-of-00002.safetensors");
  const auto sharded = SurveyFolder(dir.string(), false);
  CHECK(sharded->weights == (dir / "model.safetensors.index.json").string());
  CHECK(WhyLeft(*sharded, "model-00001-of-00002.safetensors").empty());
  CHECK(WhyLeft(*sharded, "pytorch_model.bin").find("weights beside") == 0);
  Put(dir / "model.safetensors");
  const auto whole = SurveyFolder(dir.string(), false);
  CHECK(whole->weights == (dir / "model.safetensors").string());
  CHECK(WhyLeft(*whole, "model.safetensors.index.json").find("an index beside `model.safetensors`") == 0);
  CHECK(std::find(whole->carried.begin(), whole->carried.end(), "model.safetensors.index.json") ==
        whole->carried.end());
}

TEST_CASE("of several checkpoints that nothing ranks none is chosen") {
  const TempFolder temp;
  const fs::path dir = temp.path();
  CHECK(SurveyFolder(dir.string(), false).error().code() == ErrorCode::kUsage);
  Put(dir / "a.pth");
  Put(dir / "b.pth");
  const auto several = SurveyFolder(dir.string(), false);
  REQUIRE(!several.ok());
  CHECK(several.error().message().find("a.pth, b.pth") != std::string::npos);
}

TEST_CASE("links that lead out of the folder and pipes are not read") {
  const TempFolder temp;
  const fs::path dir = fs::path(temp.path()) / "model";
  Put(dir / "model.safetensors");
  Put(fs::path(temp.path()) / "secret.txt");
  fs::create_symlink("../secret.txt", dir / "tokenizer.json");
  fs::create_symlink("model.safetensors", dir / "vocab.txt");
  fs::create_symlink("nothing", dir / "merges.txt");
  REQUIRE(::mkfifo((dir / "vocab.json").c_str(), 0600) == 0);
  const auto folder = SurveyFolder(dir.string(), false);
  REQUIRE(folder.ok());
  CHECK(folder->carried == std::vector<std::string>{"vocab.txt"});
  CHECK(WhyLeft(*folder, "tokenizer.json") == "a link that leads out of the folder");
  CHECK(WhyLeft(*folder, "merges.txt") == "a link that leads to no file");
  CHECK(WhyLeft(*folder, "vocab.json") == "not a regular file");
  for (const char* name : {"config.json", "model.safetensors.index.json", "x.safetensors"}) {
    REQUIRE(::mkfifo((dir / name).c_str(), 0600) == 0);
    CHECK(SurveyFolder(dir.string(), false).error().code() == ErrorCode::kMalformed);
    fs::remove(dir / name);
  }
}

TEST_CASE("a snapshot of a hub's cache is made of links to its blobs") {
  const TempFolder temp;
  const fs::path cache = temp.path();
  Put(cache / "blobs/1");
  const fs::path dir = cache / "snapshots/abc";
  fs::create_directories(dir);
  fs::create_symlink("../../blobs/1", dir / "model.safetensors");
  fs::create_symlink("../../blobs/1", dir / "config.json");
  const auto folder = SurveyFolder(dir.string(), false);
  REQUIRE(folder.ok());
  CHECK(!folder->config.empty());
}

TEST_CASE("a config keeps what is not changed, letter for letter") {
  const std::string text = "{\n  \"architectures\": [\"X\"],\n  \"eps\": 1e-05,\n  \"q\": {\"a\": 1},\n  \"z\": null }";
  CHECK(*EditConfig(text, {}) == text);
  CHECK(*EditConfig(text, {{"q", ""}, {"eps", "1"}, {"torch_dtype", "\"bfloat16\""}}) ==
        "{\n  \"architectures\": [\"X\"],\n  \"eps\": 1,\n  \"z\": null,\n  \"torch_dtype\": \"bfloat16\"\n}\n");
  CHECK(EditConfig("[1]", {{"a", "1"}}).error().code() == ErrorCode::kMalformed);
}

TEST_CASE("a config names its network; one that is no object, repeats a key or is huge is refused") {
  const TempFolder temp;
  const std::string path = temp.path() + "/config.json";
  Put(path, R"({"architectures": ["LlamaForCausalLM"]})");
  CHECK(ReadModelConfig(path)->network == "LlamaForCausalLM");
  Put(path, R"({"_class_name": "UNet2DConditionModel"})");
  CHECK(ReadModelConfig(path)->network == "UNet2DConditionModel");
  Put(path, "{}");
  CHECK(ReadModelConfig(path)->network.empty());
  Put(path, "[]");
  CHECK(ReadModelConfig(path).error().code() == ErrorCode::kMalformed);
  Put(path, R"({"a": 1, "a": 2})");
  CHECK(ReadModelConfig(path).error().code() == ErrorCode::kMalformed);
  Put(path, std::string((16 << 20) + 1, ' '));
  CHECK(ReadModelConfig(path).error().code() == ErrorCode::kLimit);
}

}  // namespace
}  // namespace ckmap
