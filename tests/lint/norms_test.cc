// Norms that are exchanged, in the networks of the shipped packs: two norms of one block have the same shape, so that
// names alone can tell. What the lint says is asked for the rules as they are, and for each two norms exchanged in all
// blocks.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "compiler/compiler.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/bind/names/vocabulary.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kRules = std::string(CKMAP_SOURCE_DIR) + "/rules";
const std::string kFamilies = std::string(CKMAP_TEST_DATA) + "/families";

struct Case {
  std::string family, migration;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const auto& pack : fs::directory_iterator(kRules)) {
    if (!fs::exists(pack.path() / "pack.yaml")) continue;
    for (const YAML::Node& migration : YAML::LoadFile(pack.path() / "pack.yaml")["migrations"]) {
      for (const YAML::Node& family : migration["verified"]) {
        const std::string name = (family.IsMap() ? family["network"] : family).as<std::string>();
        if (!fs::exists(fmt::format("{}/{}.target.json", kFamilies, name))) continue;
        cases.push_back({name, (pack.path() / migration["file"].as<std::string>()).string()});
      }
    }
  }
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
    return std::pair(a.family, a.migration) < std::pair(b.family, b.migration);
  });
  return cases;
}

Manifest Read(const std::string& name) {
  auto manifest = ReadManifest(kFamilies + "/" + name);
  if (!manifest) FAIL(manifest.error().message());
  return *std::move(manifest);
}

BindResult BindFamily(const Case& test) {
  CompileOptions options;
  options.pack_path = {kRules};
  const CompileResult compiled = Compile(test.migration, options);
  REQUIRE(compiled.plan.has_value());
  BindOptions bind;
  const std::string config = fmt::format("{}/{}.config.json", kFamilies, test.family);
  if (fs::exists(config)) bind.config_json = *ReadTextFile(config);
  if (test.family.find("contiguous") != std::string::npos)
    bind.defines = {{"contiguous_attention", "true"}, {"interleaved_mlp", "false"}};
  for (const auto& [part, layout] : {std::pair("_mf2_graph", "graph"), std::pair("_mf2_pynative", "pynative"),
                                     std::pair("_mf2_infer", "inference")}) {
    if (test.migration.find("deepseek_v4") == std::string::npos && test.family.find(part) != std::string::npos)
      bind.defines["layout"] = layout;
  }
  auto bound = Bind(*compiled.plan, Read(test.family + ".source.json"), Read(test.family + ".target.json"), bind);
  REQUIRE(bound.ok());
  REQUIRE(bound->plan.has_value());
  return *std::move(bound);
}

// The tensors that move as they are, as rules of one line each.
struct Moves {
  Manifest source, target;
  std::vector<std::pair<std::string, std::string>> names;
};

Moves MovesOf(const BoundPlan& plan) {
  Moves moves;
  for (const BoundTensor& tensor : plan.tensors) {
    if (tensor.inputs.size() != 1 || tensor.inputs[0].node != nullptr || tensor.value.pieces.size() != 1) continue;
    const TensorInfo &source = plan.source[tensor.inputs[0].source], &target = plan.target[tensor.target];
    if (source.shape != target.shape || source.dtype != target.dtype || moves.source.Find(source.name)) continue;
    moves.source.Add(source);
    moves.target.Add(target);
    moves.names.emplace_back(source.name, target.name);
  }
  return moves;
}

// The name without the number of its block, the first that is a segment, and that number.
std::pair<std::string, std::string> Folded(const std::string& name) {
  std::string stem, number;
  for (const std::string& segment : SegmentsOf(name, ".")) {
    const bool folds = number.empty() && segment.find_first_not_of("0123456789") == std::string::npos;
    if (folds) number = segment;
    stem += (stem.empty() ? "" : ".") + (folds ? "#" : segment);
  }
  return {stem, number};
}

std::string Stem(const std::string& name) { return Folded(name).first; }

// The weight of a layer norm: batch norms stand behind convolutions, and none of their names speaks.
bool IsNorm(const Manifest& manifest, const std::string& name) {
  const std::vector<std::string> segments = SegmentsOf(name, ".");
  if (segments.size() < 2 || segments.back() == "bias" || segments.back() == "beta") return false;
  const std::string path = name.substr(0, name.size() - segments.back().size());
  if (manifest.Find(path + "running_mean")) return false;
  const std::string& module = segments[segments.size() - 2];
  return module.find("norm") != std::string::npos || module.find("Norm") != std::string::npos ||
         module.starts_with("ln") || module.ends_with("_ln");
}

// A block of norms: what stands in front of the number of its block.
std::string BlockOf(const std::string& name) {
  const std::string stem = Stem(name);
  const size_t at = stem.find('#');
  return at == std::string::npos ? "" : stem.substr(0, at);
}

std::vector<std::string> Findings(const Moves& moves) {
  std::string rules = "ckmap 1;\n";
  for (const auto& [from, to] : moves.names) rules += fmt::format("\"{}\" -> \"{}\";\n", from, to);
  CompileOptions options;
  options.memory_files["a.ckmap"] = rules;
  const CompileResult compiled = Compile("a.ckmap", options);
  REQUIRE(compiled.plan.has_value());
  const auto bound = Bind(*compiled.plan, moves.source, moves.target, {});
  REQUIRE(bound.ok());
  REQUIRE(bound->plan.has_value());
  std::vector<std::string> findings;
  for (const Issue& issue : bound->issues) {
    if (issue.code == "CK1234") findings.push_back(issue.message);
  }
  return findings;
}

// Both leaves of one kind, in one block, of one shape: exchanged in every block at once, by their names without numbers.
std::set<std::pair<std::string, std::string>> Exchanges(const Moves& moves) {
  std::set<std::pair<std::string, std::string>> exchanges;
  const auto& names = moves.names;
  std::vector<size_t> norms;
  std::set<std::string> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    if (IsNorm(moves.source, names[i].first) && IsNorm(moves.target, names[i].second) &&
        seen.insert(names[i].first).second)
      norms.push_back(i);
  }
  for (const size_t a : norms) {
    for (const size_t b : norms) {
      if (Stem(names[a].first) >= Stem(names[b].first) || moves.source[a].shape != moves.source[b].shape) continue;
      if (SegmentsOf(names[a].first, ".").back() != SegmentsOf(names[b].first, ".").back()) continue;
      if (BlockOf(names[a].first) != BlockOf(names[b].first)) continue;
      exchanges.emplace(Stem(names[a].first), Stem(names[b].first));
    }
  }
  return exchanges;
}

// nullopt: what would have to be exchanged is not there in each block.
std::optional<Moves> Exchanged(Moves moves, const std::string& first, const std::string& second) {
  std::map<std::string, std::pair<std::vector<size_t>, std::vector<size_t>>> by_number;
  for (size_t i = 0; i < moves.names.size(); ++i) {
    const auto [stem, number] = Folded(moves.names[i].first);
    if (stem == first) by_number[number].first.push_back(i);
    if (stem == second) by_number[number].second.push_back(i);
  }
  bool any = false;
  for (const auto& [number, places] : by_number) {
    if (places.first.size() != 1 || places.second.size() != 1) continue;
    const size_t a = places.first[0], b = places.second[0];
    if (moves.source[a].shape != moves.source[b].shape) continue;
    std::swap(moves.names[a].second, moves.names[b].second);
    any = true;
  }
  return any ? std::optional(std::move(moves)) : std::nullopt;
}

TEST_CASE("two norms that are exchanged are remarked upon in every network of the packs") {
  const bool show = std::getenv("CKMAP_SHOW_FINDINGS") != nullptr;
  size_t wrong = 0, found = 0, right = 0;
  std::set<std::string> pairs;
  for (const Case& test : AllCases()) {
    CAPTURE(test.family);
    const BindResult bound = BindFamily(test);
    for (const Issue& issue : bound.issues) CHECK_MESSAGE(issue.code != "CK1234", issue.message);
    const Moves moves = MovesOf(*bound.plan);
    const std::vector<std::string> none = Findings(moves);
    CHECK_MESSAGE(none.empty(), none[0]);
    ++right;
    for (const auto& [first, second] : Exchanges(moves)) {
      const auto exchanged = Exchanged(moves, first, second);
      if (!exchanged) continue;
      ++wrong;
      const std::vector<std::string> findings = Findings(*exchanged);
      if (!findings.empty()) {
        ++found;
        pairs.insert(test.family);
      }
      if (show) {
        fmt::print("{} {}: {} <-> {}{}\n", findings.empty() ? "silent" : "found ", test.family, first, second,
                   findings.empty() ? "" : "\n    " + findings[0]);
      }
    }
  }
  MESSAGE(found << " of " << wrong << " exchanges found, in " << pairs.size() << " families; nothing is said of "
                << right << " right ones");
  CHECK(pairs.size() >= 30);
  CHECK(found * 100 >= wrong * 95);
}

}  // namespace
}  // namespace ckmap
