// Which pack is said to bind: for the manifests of all real networks, each pack is tried. What is right stands in
// pack.yaml, which names the networks that a migration is verified on.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "compiler/compiler.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/detect/config_check.h"
#include "runtime/detect/described_network.h"
#include "runtime/detect/pack_search.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kRules = std::string(CKMAP_SOURCE_DIR) + "/rules";
const std::string kFamilies = std::string(CKMAP_TEST_DATA) + "/families";

struct Family {
  std::string name, source, target, config;
};

// What each is verified on: family → names of packs.
struct Packs {
  std::vector<PackCandidate> candidates;
  std::map<std::string, std::set<std::string>> right;
};

const Packs& AllPacks() {
  static const Packs packs = [] {
    Packs all;
    for (const auto& pack : fs::directory_iterator(kRules)) {
      const fs::path file = pack.path() / "pack.yaml";
      if (!fs::exists(file)) continue;
      const std::string yaml = *ReadTextFile(file.string());
      for (const YAML::Node& migration : YAML::Load(yaml)["migrations"]) {
        const std::string stem = fs::path(migration["file"].as<std::string>()).stem();
        CompileOptions options;
        options.pack_path = {kRules};
        const CompileResult compiled = Compile((pack.path() / (stem + ".ckmap")).string(), options);
        REQUIRE(compiled.plan.has_value());
        const std::string name = fmt::format("{}/{}", pack.path().filename().string(), stem);
        all.candidates.push_back({name, *compiled.plan, ReadPackFacts(yaml, stem)});
        for (const YAML::Node& family : migration["verified"])
          all.right[(family.IsMap() ? family["network"] : family).as<std::string>()].insert(name);
      }
    }
    std::sort(all.candidates.begin(), all.candidates.end(),
              [](const PackCandidate& a, const PackCandidate& b) { return a.name < b.name; });
    return all;
  }();
  return packs;
}

// Those whose source and target are in the data of the tests.
std::vector<Family> Families() {
  std::vector<Family> families;
  for (const auto& entry : fs::directory_iterator(kFamilies)) {
    const std::string path = entry.path().string();
    constexpr std::string_view kEnding = ".source.json";
    if (!path.ends_with(kEnding)) continue;
    const std::string begin = path.substr(0, path.size() - kEnding.size());
    if (fs::exists(begin + ".target.json"))
      families.push_back({fs::path(begin).filename(), path, begin + ".target.json", begin + ".config.json"});
  }
  std::sort(families.begin(), families.end(), [](const Family& a, const Family& b) { return a.name < b.name; });
  return families;
}

BindOptions OptionsOf(const Family& family) {
  BindOptions options;
  if (fs::exists(family.config)) options.config_json = *ReadTextFile(family.config);
  // What no file tells, the user does: for which of a model's networks in MindFormers 2 it is.
  constexpr std::pair<std::string_view, std::string_view> kLayouts[] = {
      {"_mf2_graph", "graph"}, {"_mf2_pynative", "pynative"}, {"_mf2_infer", "inference"}};
  for (const auto& [part, layout] : kLayouts) {
    if (family.name.find(part) != std::string::npos) options.defines["layout"] = layout;
  }
  return options;
}

Manifest Read(const std::string& path) {
  auto manifest = ReadManifest(path);
  if (!manifest) FAIL(manifest.error().message());
  return *std::move(manifest);
}

TEST_CASE("the right pack comes first for each real network, and all that are said to bind do what it does") {
  size_t first = 0, judged = 0;
  for (const Family& family : Families()) {
    CAPTURE(family.name);
    const Manifest source = Read(family.source);
    const PackSearch search =
        SearchPacks(AllPacks().candidates, source, Read(family.target), {.bind = OptionsOf(family)});
    const auto right = AllPacks().right.find(family.name);
    if (right == AllPacks().right.end()) {
      // No pack is for it.
      for (const PackFit& fit : search.fitting) MESSAGE(family.name << ": " << fit.name);
      CHECK(search.fitting.empty());
      continue;
    }
    ++judged;
    CHECK(!search.fitting.empty());
    if (search.fitting.empty()) continue;
    const bool is_first = right->second.contains(search.fitting.front().name);
    if (!is_first) MESSAGE(family.name << ": first is " << search.fitting.front().name);
    first += is_first ? 1 : 0;
    // Wrong is a pack by which other elements would go to a target, unless that is a decision that the shapes leave.
    for (const PackFit& fit : search.fitting) {
      CAPTURE(fit.name);
      CHECK(!fit.differs);
    }
  }
  MESSAGE(fmt::format("the right pack is first for {} of {} networks", first, judged));
  CHECK(judged >= 39);
  CHECK(first * 100 >= judged * 95);
}

TEST_CASE(
    "without a target, the packs that fit are those for the source's network, and their network is the real one") {
  size_t found = 0, judged = 0;
  for (const Family& family : Families()) {
    CAPTURE(family.name);
    const Manifest source = Read(family.source), target = Read(family.target);
    const PackSearch search = SearchPacks(AllPacks().candidates, source, std::nullopt, {.bind = OptionsOf(family)});
    std::vector<std::string> names;
    for (const PackFit& fit : search.fitting) names.push_back(fit.name);
    const auto right = AllPacks().right.find(family.name);
    if (right == AllPacks().right.end()) {
      CHECK(names == std::vector<std::string>{});
      continue;
    }
    for (const PackCandidate& candidate : AllPacks().candidates) {
      if (!candidate.facts.describes || !right->second.contains(candidate.name)) continue;
      CAPTURE(candidate.name);
      ++judged;
      const bool fits = std::find(names.begin(), names.end(), candidate.name) != names.end();
      CHECK(fits);
      found += fits ? 1 : 0;
      const auto network = DescribeNetwork(candidate.plan, candidate.facts, source, OptionsOf(family));
      REQUIRE(network.ok());
      REQUIRE(network->target.has_value());
      for (const TensorInfo& tensor : network->target->tensors()) {
        CAPTURE(tensor.name);
        const auto real = target.Find(tensor.name);
        CHECK(real.has_value());
        if (real) CHECK(target[*real].shape == tensor.shape);
      }
      for (const TensorInfo& tensor : target.tensors()) {
        CAPTURE(tensor.name);
        const bool own = tensor.optional || network->target->Find(tensor.name).has_value();
        CHECK(own);
      }
    }
  }
  CHECK(judged >= 20);
  CHECK(found == judged);
}

TEST_CASE("no config contradicts the tensors of its network, and one number more or less does") {
  size_t changed = 0;
  for (const Family& family : Families()) {
    if (!fs::exists(family.config)) continue;
    CAPTURE(family.name);
    const Manifest source = Read(family.source);
    std::string config = *ReadTextFile(family.config);
    const auto none = ConfigContradictions(source, config, "config.json");
    REQUIRE(none.ok());
    CHECK(*none == std::vector<std::string>{});
    const std::string key = "\"num_hidden_layers\": ";
    const size_t at = config.find(key);
    // Of two lists of layers the number is not compared.
    const bool two = config.find("\"encoder_layers\"") != std::string::npos ||
                     source.Find("text_model.final_layer_norm.weight").has_value();
    if (at == std::string::npos || two) continue;
    config.insert(at + key.size(), "1");
    const auto one = ConfigContradictions(source, config, "config.json");
    REQUIRE(one.ok());
    CHECK(one->size() == 1);
    ++changed;
  }
  CHECK(changed >= 10);
}

}  // namespace
}  // namespace ckmap
