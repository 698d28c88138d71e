#include "runtime/formats/mindspore/ms_ranks.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/formats/storage/storage_source.h"
#include "runtime/formats/storage/stored_checkpoint.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

using Tensors = std::map<std::string, std::vector<float>>;  // of one rank: the slices, all of one axis

// Four ranks, of which the first two hold one half of `cut` and the last two the other, each a half of `shards`, and
// all `whole`.
constexpr std::string_view kStrategy = R"({"current_stage": 1, "parallel_strategy_item": {}, "parallel_layout_item": {
  "cut": {"dev_matrix": [2, 2], "tensor_map": [1], "param_split_shape": [], "indices_offset": [], "field": 0,
          "opt_weight_shard_step": 0, "opt_weight_shard_size": 0},
  "shards": {"dev_matrix": [4], "tensor_map": [0], "field": 0, "opt_weight_shard_step": 0, "opt_weight_shard_size": 0},
  "whole": {"dev_matrix": [2, 2], "tensor_map": [-1], "field": 0, "opt_weight_shard_step": 0, "opt_weight_shard_size": 0}}})";

std::vector<Tensors> AllRanks() {
  std::vector<Tensors> ranks(4);
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto number = static_cast<float>(rank);
    ranks[rank] = {{"cut", {rank < 2 ? 1.0F : 3.0F, rank < 2 ? 2.0F : 4.0F}},
                   {"shards", {number}},
                   {"whole", {7, 8}},
                   {"step", {5}}};
  }
  return ranks;
}

class Folder {
 public:
  explicit Folder(size_t ranks) : path_(fs::temp_directory_path() / fmt::format("ckmap-ranks-{}", ::getpid())) {
    fs::remove_all(path_);
    for (size_t rank = 0; rank < ranks; ++rank) {
      fs::create_directories(path_ / fmt::format("rank_{}", rank));
      std::ofstream(path_ / fmt::format("rank_{}", rank) / "net.ckpt") << "x";
    }
  }
  ~Folder() { fs::remove_all(path_); }
  void Put(const std::string& name, std::string_view text) const { std::ofstream(path_ / name) << text; }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

Result<std::unique_ptr<Checkpoint>> Merge(const std::vector<Tensors>& ranks, const std::string& name = "strategy.json",
                                          std::string_view strategy = kStrategy) {
  const Folder folder(ranks.size());
  folder.Put(name, strategy);
  size_t rank = 0;
  return OpenMsRanks(folder.path(), "", [&](const std::string&) -> Result<std::unique_ptr<Checkpoint>> {
    auto checkpoint = std::make_unique<StoredCheckpoint>("test");
    for (const auto& [tensor, values] : ranks[rank]) {
      TensorInfo info;
      info.name = tensor;
      info.dtype = DType::kF32;
      info.shape = {static_cast<int64_t>(values.size())};
      std::string bytes(values.size() * sizeof(float), '\0');
      std::memcpy(bytes.data(), values.data(), bytes.size());
      CHECK(checkpoint->AddDense(std::move(info), MemorySource(std::move(bytes))));
    }
    ++rank;
    return std::unique_ptr<Checkpoint>(std::move(checkpoint));
  });
}

std::vector<float> Values(const Checkpoint& checkpoint, const std::string& name) {
  const auto index = checkpoint.manifest().Find(name);
  REQUIRE(index.has_value());
  const uint32_t storage = checkpoint.layout(*index).storage;
  std::vector<float> values(static_cast<size_t>(checkpoint.storage_bytes(storage)) / sizeof(float));
  REQUIRE(checkpoint.ReadStorage(storage, 0, std::as_writable_bytes(std::span(values))).ok());
  return values;
}

std::string WhyNot(const std::vector<Tensors>& ranks, std::string_view strategy = kStrategy) {
  const auto merged = Merge(ranks, "strategy.json", strategy);
  return merged ? "" : merged.error().message();
}

bool Has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

void CheckMerged(const Result<std::unique_ptr<Checkpoint>>& merged) {
  REQUIRE(merged.ok());
  CHECK((*merged)->manifest().size() == 4);
  CHECK(Values(**merged, "cut") == std::vector<float>{1, 2, 3, 4});
  CHECK(Values(**merged, "shards") == std::vector<float>{0, 1, 2, 3});
  CHECK(Values(**merged, "whole") == std::vector<float>{7, 8});
  CHECK(Values(**merged, "step") == std::vector<float>{5});
}

TEST_CASE("slices are put together, by a strategy in JSON too") { CheckMerged(Merge(AllRanks())); }

TEST_CASE("slices that are left out where another rank holds them are no loss, if all are") {
  auto ranks = AllRanks();
  ranks[1].erase("cut");
  ranks[2].erase("cut");
  for (const size_t rank : {0, 1, 3}) ranks[rank].erase("whole");
  CheckMerged(Merge(ranks));
}

TEST_CASE("one slice that is missing among several that are alike is damage") {
  auto ranks = AllRanks();
  ranks[3].erase("cut");
  CHECK(Has(WhyNot(ranks), "does not hold `cut`"));
  ranks = AllRanks();
  ranks[2].erase("whole");
  CHECK(Has(WhyNot(ranks), "does not hold `whole`"));
  ranks = AllRanks();
  ranks[2].erase("shards");
  CHECK(Has(WhyNot(ranks), "`shards`"));
}

TEST_CASE("what no layout names must be in all ranks, and alike") {
  auto ranks = AllRanks();
  ranks[2].erase("step");
  CHECK(Has(WhyNot(ranks), "`step`: is in no layout of the strategy, and 3 of 4 ranks hold it"));
  ranks = AllRanks();
  ranks[3]["other"] = {1};
  CHECK(Has(WhyNot(ranks), "`other`: is in no layout of the strategy, and 1 of 4 ranks hold it"));
  ranks = AllRanks();
  ranks[1]["step"] = {6};
  CHECK(Has(WhyNot(ranks), "hold other values of it"));
}

TEST_CASE("strategies that are none are refused, each with its reason") {
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text(kStrategy);
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    return WhyNot(AllRanks(), text);
  };
  CHECK(Has(changed("\"field\": 0", "\"field\": 1"), "field slice"));
  CHECK(Has(changed("\"param_split_shape\": []", "\"param_split_shape\": [1, 3]"), "several sizes"));
  CHECK(Has(changed("\"tensor_map\": [1]", "\"tensor_map\": [[1, 0]]"), "several axes"));
  CHECK(Has(changed("\"tensor_map\": [1]", "\"tensor_map\": [1.5]"), "`tensor_map`: is no number"));
  CHECK(Has(changed("\"tensor_map\": [1]", "\"tensor_map\": 1"), "is no list"));
  CHECK(Has(changed("\"tensor_map\": [1],", ""), "has no `tensor_map`"));
  CHECK(Has(changed("\"field\": 0", "\"field\": 0, \"field\": 0"), "given twice"));
  CHECK(Has(changed("\"dev_matrix\": [4]", "\"dev_matrix\": [8]"), "for 8 ranks"));
  CHECK(Has(changed("\"opt_weight_shard_size\": 0", "\"opt_weight_shard_size\": 4"), "step 0 and size 4"));
  CHECK(Has(changed("\"cut\"", "\"0-cut\""), "pipeline"));
  CHECK(Has(changed("\"cut\"", "\"whole\""), "comes twice"));
  CHECK(Has(changed("\"current_stage\": 1", "\"current_stage\": x"), "no JSON"));
  CHECK(Has(WhyNot(AllRanks(), R"({"parallel_layout_item": {}})"), "no layout of a parameter"));
  CHECK(Has(WhyNot(AllRanks(), "{}"), "no strategy file"));
}

}  // namespace
}  // namespace ckmap
