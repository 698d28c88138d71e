// Drafts for the manifests of real networks, against what the shipped packs do with them: how many targets a draft
// writes, how many it calls certain, and whether those are right, piece by piece. `tests/suggest/report.sh` prints it all.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/suggest/suggest.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kRules = std::string(CKMAP_SOURCE_DIR) + "/rules";
const std::string kFamilies = std::string(CKMAP_TEST_DATA) + "/families";

struct Case {
  std::string name, source, target, config;
  std::string migration;  // what is right; empty: no pack is for this pair
};

std::map<std::string, std::string> Migrations() {
  std::map<std::string, std::string> migrations;  // family → pack/file
  for (const auto& pack : fs::directory_iterator(kRules)) {
    if (!fs::exists(pack.path() / "pack.yaml")) continue;
    for (const YAML::Node& migration : YAML::LoadFile(pack.path() / "pack.yaml")["migrations"]) {
      for (const YAML::Node& family : migration["verified"]) {
        migrations[family.as<std::string>()] = fmt::format("{}/{}", pack.path().filename().string(), migration["file"].as<std::string>());
      }
    }
  }
  return migrations;
}

std::vector<Case> AllCases() {
  const auto migrations = Migrations();
  std::vector<Case> cases;
  for (const auto& entry : fs::directory_iterator(kFamilies)) {
    const std::string file = entry.path().filename().string();
    constexpr std::string_view kEnding = ".source.json";
    if (!file.ends_with(kEnding)) continue;
    const std::string name = file.substr(0, file.size() - kEnding.size());
    if (!fs::exists(fmt::format("{}/{}.target.json", kFamilies, name))) continue;
    const auto found = migrations.find(name);
    cases.push_back({name, file, name + ".target.json", name + ".config.json", found == migrations.end() ? "" : found->second});
  }
  cases.push_back({"llama3_8b", "llama3_8b.source.json", "llama3_8b.mindformers.json", "llama3_8b.config.json", "llama/hf2mindformers.ckmap"});
  cases.push_back({"qwen2_5_7b", "qwen2_5_7b.source.json", "qwen2_5_7b.mindformers.json", "qwen2_5_7b.config.json", "llama/hf2mindformers.ckmap"});
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return cases;
}

Manifest Read(const std::string& name) {
  auto manifest = ReadManifest(kFamilies + "/" + name);
  if (!manifest) FAIL(manifest.error().message());
  return *std::move(manifest);
}

std::optional<BoundPlan> BindText(const std::string& path, const std::string& text, const Case& test, bool with_config) {
  CompileOptions options;
  options.pack_path = {kRules};
  if (!text.empty()) options.memory_files[path] = text;
  const CompileResult compiled = Compile(path, options);
  REQUIRE_MESSAGE(compiled.plan.has_value(), RenderText(compiled.diagnostics, compiled.sources));
  BindOptions bind;
  const std::string config = kFamilies + "/" + test.config;
  if (with_config && fs::exists(config)) bind.config_json = *ReadTextFile(config);
  if (with_config && test.name.find("contiguous") != std::string::npos) bind.defines = {{"contiguous_attention", "true"}, {"interleaved_mlp", "false"}};
  auto bound = Bind(*compiled.plan, Read(test.source), Read(test.target), bind);
  REQUIRE(bound.ok());
  for (size_t i = 0; i < std::min<size_t>(bound->issues.size(), 3) && !bound->plan; ++i) MESSAGE(test.name << ": " << bound->issues[i].code << " " << bound->issues[i].message);
  return std::move(bound->plan);
}

// Which elements of which sources a target is made of, as text.
std::map<std::string, std::string> Contents(const BoundPlan& plan) {
  std::map<std::string, std::string> contents;
  for (const BoundTensor& tensor : plan.tensors) {
    std::vector<std::string> pieces;
    for (const Piece& piece : tensor.value.pieces) {
      std::string text = piece.input == kFillInput ? "fill" : plan.source[tensor.inputs[static_cast<size_t>(piece.input)].source].name;
      text += fmt::format("+{}>{}", piece.src_offset, piece.dst_offset);
      for (const PieceAxis& axis : piece.axes) text += fmt::format(" {}:{}:{}", axis.size, axis.src_stride, axis.dst_stride);
      pieces.push_back(std::move(text));
    }
    std::sort(pieces.begin(), pieces.end());
    contents[tensor.name] = fmt::format("{}", fmt::join(pieces, "; "));
  }
  return contents;
}

struct Score {
  size_t targets = 0, covered = 0, certain = 0, right_certain = 0, right = 0;
  bool judged = false;
  std::vector<std::string> wrong;  // certain, and not what the pack does
};

Score Judge(const Case& test, std::string& text) {
  const auto suggestion = Suggest(Read(test.source), Read(test.target), {{kRules}, test.source, test.target});
  REQUIRE_MESSAGE(suggestion.ok(), suggestion.error().message());
  text = suggestion->text;
  Score score;
  score.targets = static_cast<size_t>(suggestion->targets);
  score.certain = suggestion->certain.size();
  score.covered = score.certain + suggestion->open.size();
  const auto draft = BindText("draft.ckmap", suggestion->text + "target { allow missing \"**\"; allow unused \"**\"; }\n", test, false);
  if (test.migration.empty() || !draft) return score;
  const auto truth = BindText(kRules + "/" + test.migration, "", test, true);
  if (!truth) return score;
  score.judged = true;
  const auto drafted = Contents(*draft), wanted = Contents(*truth);
  const auto right = [&](const std::string& name) {
    const auto a = drafted.find(name), b = wanted.find(name);
    return a != drafted.end() && b != wanted.end() && a->second == b->second;
  };
  for (const std::string& name : suggestion->certain) {
    if (right(name)) ++score.right_certain;
    else score.wrong.push_back(name);
  }
  score.right = score.right_certain + static_cast<size_t>(std::count_if(suggestion->open.begin(), suggestion->open.end(), right));
  return score;
}

TEST_CASE("certain lines of a draft are right, and most targets are covered") {
  const bool print = std::getenv("CKMAP_SUGGEST_REPORT") != nullptr;
  if (print) fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", "network", "targets", "covered", "certain", "certain right", "all right");
  Score total;
  size_t judged_certain = 0, judged_targets = 0;
  for (const Case& test : AllCases()) {
    CAPTURE(test.name);
    std::string text;
    const Score score = Judge(test, text);
    if (print) {
      fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", test.name, score.targets, score.covered, score.certain,
                 score.judged ? std::to_string(score.right_certain) : "no pack", score.judged ? std::to_string(score.right) : "");
      for (size_t i = 0; i < std::min<size_t>(score.wrong.size(), 4); ++i) fmt::print("    wrong: {}\n", score.wrong[i]);
      if (const char* folder = std::getenv("CKMAP_SUGGEST_FOLDER")) {
        FILE* file = std::fopen(fmt::format("{}/{}.ckmap", folder, test.name).c_str(), "w");
        if (file != nullptr) {
          fmt::print(file, "{}", text);
          std::fclose(file);
        }
      }
    }
    total.targets += score.targets;
    total.covered += score.covered;
    total.certain += score.certain;
    if (!score.judged) continue;
    judged_certain += score.certain;
    judged_targets += score.targets;
    total.right_certain += score.right_certain;
    total.right += score.right;
    CHECK_MESSAGE(score.wrong.empty(), "certain, but not what the pack does: ", fmt::format("{}", fmt::join(score.wrong, " ")));
  }
  if (print) {
    fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", "all", total.targets, total.covered, total.certain, "", "");
    fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", "those with a pack", judged_targets, "", judged_certain, total.right_certain, total.right);
  }
  CHECK(total.covered * 10 > total.targets * 8);
}

}  // namespace
}  // namespace ckmap
