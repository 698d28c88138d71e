// Drafts for the manifests of real networks, against what the shipped packs do with them: how many targets a draft
// writes, how many it calls certain, and whether those are right, piece by piece. `tests/suggest/report.sh` prints it
// all.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
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
        migrations[(family.IsMap() ? family["network"] : family).as<std::string>()] =
            fmt::format("{}/{}", pack.path().filename().string(), migration["file"].as<std::string>());
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
    cases.push_back(
        {name, file, name + ".target.json", name + ".config.json", found == migrations.end() ? "" : found->second});
  }
  cases.push_back({"llama3_8b", "llama3_8b.source.json", "llama3_8b.mindformers.json", "llama3_8b.config.json",
                   "llama/hf2mindformers.ckmap"});
  cases.push_back({"qwen2_5_7b", "qwen2_5_7b.source.json", "qwen2_5_7b.mindformers.json", "qwen2_5_7b.config.json",
                   "llama/hf2mindformers.ckmap"});
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return cases;
}

Manifest Read(const std::string& name) {
  auto manifest = ReadManifest(kFamilies + "/" + name);
  if (!manifest) FAIL(manifest.error().message());
  return *std::move(manifest);
}

std::optional<BoundPlan> BindText(const std::string& path, const std::string& text, const Case& test,
                                  bool with_config) {
  CompileOptions options;
  options.pack_path = {kRules};
  if (!text.empty()) options.memory_files[path] = text;
  const CompileResult compiled = Compile(path, options);
  REQUIRE_MESSAGE(compiled.plan.has_value(), RenderText(compiled.diagnostics, compiled.sources));
  BindOptions bind;
  const std::string config = kFamilies + "/" + test.config;
  if (with_config && fs::exists(config)) bind.config_json = *ReadTextFile(config);
  if (with_config && test.name.find("contiguous") != std::string::npos)
    bind.defines = {{"contiguous_attention", "true"}, {"interleaved_mlp", "false"}};
  auto bound = Bind(*compiled.plan, Read(test.source), Read(test.target), bind);
  REQUIRE(bound.ok());
  for (size_t i = 0; i < std::min<size_t>(bound->issues.size(), 3) && !bound->plan; ++i)
    MESSAGE(test.name << ": " << bound->issues[i].code << " " << bound->issues[i].message);
  return std::move(bound->plan);
}

// Which elements of which sources a target is made of, as text.
std::map<std::string, std::string> Contents(const BoundPlan& plan) {
  std::map<std::string, std::string> contents;
  for (const BoundTensor& tensor : plan.tensors) {
    std::vector<std::string> pieces;
    for (const Piece& piece : tensor.value.pieces) {
      std::string text =
          piece.input == kFillInput ? "fill" : plan.source[tensor.inputs[static_cast<size_t>(piece.input)].source].name;
      text += fmt::format("+{}>{}", piece.src_offset, piece.dst_offset);
      for (const PieceAxis& axis : piece.axes)
        text += fmt::format(" {}:{}:{}", axis.size, axis.src_stride, axis.dst_stride);
      pieces.push_back(std::move(text));
    }
    std::sort(pieces.begin(), pieces.end());
    contents[tensor.name] = fmt::format("{}", fmt::join(pieces, "; "));
  }
  return contents;
}

// Statements of a rule file, without comments.
size_t StatementsOf(const std::string& text) {
  size_t count = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t comment = std::min(line.find(" #"), line.find("///"));
    if (line.starts_with("#")) continue;
    line = line.substr(0, comment);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      count += c == ';' && !quoted ? 1 : 0;
    }
  }
  return count;
}

// Of a pack's migration, with the files of the pack that it uses.
size_t StatementsOfPack(const std::string& path, std::set<std::string>& seen) {
  if (!seen.insert(path).second || !fs::exists(path)) return 0;
  const std::string text = *ReadTextFile(path);
  size_t count = StatementsOf(text);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("use ")) continue;
    const std::string used = line.substr(4, line.find_first_of("; ", 4) - 4);
    count += used.starts_with("\"")
                 ? StatementsOfPack((fs::path(path).parent_path() / used.substr(1, used.size() - 2)).string(), seen)
             : used.find('/') != std::string::npos ? StatementsOfPack(fmt::format("{}/{}.ckmap", kRules, used), seen)
                                                   : 0;
  }
  return count;
}

struct Score {
  size_t statements = 0, of_pack = 0;
  size_t targets = 0, covered = 0, certain = 0, right_certain = 0, right = 0;
  bool judged = false;
  std::vector<std::string> wrong;  // certain, and not what the pack does
};

Score Judge(const Case& test, bool packs, std::string& text) {
  SuggestOptions options;
  options.pack_path = {kRules};
  options.source_name = test.source;
  options.target_name = test.target;
  options.packs = packs;
  if (const std::string config = kFamilies + "/" + test.config; packs && fs::exists(config))
    options.config_json = *ReadTextFile(config);
  const auto suggestion = Suggest(Read(test.source), Read(test.target), options);
  REQUIRE_MESSAGE(suggestion.ok(), suggestion.error().message());
  text = suggestion->text;
  Score score;
  score.targets = static_cast<size_t>(suggestion->targets);
  score.certain = suggestion->certain.size();
  score.covered = score.certain + suggestion->open.size();
  const auto draft = BindText("draft.ckmap", suggestion->text, test, packs);
  CHECK_MESSAGE(draft, "the draft does not bind");
  if (test.migration.empty() || !draft) return score;
  const auto truth = BindText(kRules + "/" + test.migration, "", test, true);
  if (!truth) return score;
  score.judged = true;
  std::set<std::string> seen;
  score.statements = StatementsOf(suggestion->text);
  score.of_pack = StatementsOfPack(kRules + "/" + test.migration, seen);
  const auto drafted = Contents(*draft), wanted = Contents(*truth);
  const auto right = [&](const std::string& name) {
    const auto a = drafted.find(name), b = wanted.find(name);
    return a != drafted.end() && b != wanted.end() && a->second == b->second;
  };
  for (const std::string& name : suggestion->certain) {
    if (right(name))
      ++score.right_certain;
    else
      score.wrong.push_back(name);
  }
  score.right =
      score.right_certain + static_cast<size_t>(std::count_if(suggestion->open.begin(), suggestion->open.end(), right));
  return score;
}

bool TooLong(const Score& score) { return score.judged && score.statements * 2 > score.of_pack * 3; }

void CheckAll(bool packs) {
  const bool print = std::getenv("CKMAP_SUGGEST_REPORT") != nullptr;
  if (print)
    fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12} {:>12} {:>8}\n", "network", "targets", "covered", "certain",
               "certain right", "all right", "statements", "pack's");
  Score total;
  size_t judged_certain = 0, judged_targets = 0, judged = 0, too_long = 0;
  for (const Case& test : AllCases()) {
    CAPTURE(test.name);
    std::string text;
    const Score score = Judge(test, packs, text);
    if (print) {
      fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12} {:>12} {:>8}{}\n", test.name, score.targets, score.covered,
                 score.certain, score.judged ? std::to_string(score.right_certain) : "no pack",
                 score.judged ? std::to_string(score.right) : "", score.statements, score.of_pack,
                 TooLong(score) ? " long" : "");
      for (size_t i = 0; i < std::min<size_t>(score.wrong.size(), 4); ++i)
        fmt::print("    wrong: {}\n", score.wrong[i]);
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
    ++judged;
    too_long += TooLong(score) ? 1 : 0;
    total.right_certain += score.right_certain;
    total.right += score.right;
    CHECK_MESSAGE(score.wrong.empty(),
                  "certain, but not what the pack does: ", fmt::format("{}", fmt::join(score.wrong, " ")));
  }
  if (print) {
    fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", "all", total.targets, total.covered, total.certain, "", "");
    fmt::print("{:<28} {:>7} {:>8} {:>8} {:>14} {:>12}\n", "those with a pack", judged_targets, "", judged_certain,
               total.right_certain, total.right);
  }
  CHECK(total.covered * 100 >= total.targets * 97);
  CHECK(total.right * 100 >= judged_targets * (packs ? 99 : 97));
  MESSAGE(too_long << " of " << judged << " drafts are longer than half as long again as the pack");
  CHECK(too_long * 100 <= judged * 15);
}

TEST_CASE("certain lines of a draft are right, and most targets are covered") { CheckAll(false); }

TEST_CASE("packs that bind are found") { CheckAll(true); }

// ---- whatever the names and shapes are -------------------------------------------------------------------------

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  size_t Roll(size_t sides) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<size_t>(state_ % sides);
  }
  const std::string& Of(const std::vector<std::string>& words) { return words[Roll(words.size())]; }

 private:
  uint64_t state_;
};

Manifest RandomManifest(Dice& dice, size_t tensors) {
  static const std::vector<std::string> kWords = {"layers",
                                                  "blocks",
                                                  "encoder",
                                                  "decoder",
                                                  "attn",
                                                  "mlp",
                                                  "norm",
                                                  "conv1",
                                                  "conv2",
                                                  "bn",
                                                  "q_proj",
                                                  "k_proj",
                                                  "v_proj",
                                                  "qkv",
                                                  "fc_w",
                                                  "0",
                                                  "1",
                                                  "2",
                                                  "7",
                                                  "12",
                                                  "encoder_layer_0",
                                                  "encoder_layer_1",
                                                  "rename",
                                                  "a-b",
                                                  "{x}",
                                                  "x#",
                                                  "*",
                                                  "\"",
                                                  "",
                                                  "экс",
                                                  "exp_avg",
                                                  "007"};
  static const std::vector<std::string> kLeaves = {"weight",
                                                   "bias",
                                                   "gamma",
                                                   "beta",
                                                   "running_mean",
                                                   "running_var",
                                                   "moving_mean",
                                                   "moving_variance",
                                                   "num_batches_tracked",
                                                   "w",
                                                   "embedding_table",
                                                   "scale"};
  static const std::vector<DType> kTypes = {DType::kF32,  DType::kF32, DType::kF32, DType::kF16,
                                            DType::kBF16, DType::kI64, DType::kBool};
  Manifest manifest;
  for (size_t i = 0; i < tensors; ++i) {
    TensorInfo info;
    for (size_t segments = dice.Roll(5); segments > 0; --segments) info.name += dice.Of(kWords) + ".";
    info.name += dice.Of(kLeaves);
    info.dtype = kTypes[dice.Roll(kTypes.size())];
    for (size_t rank = dice.Roll(4); rank > 0; --rank)
      info.shape.push_back(std::vector<int64_t>{0, 1, 2, 4, 4, 8, 12}[dice.Roll(7)]);
    manifest.Add(std::move(info));
  }
  return manifest;
}

void CheckBinds(const Manifest& source, const Manifest& target) {
  SuggestOptions options;
  options.pack_path = {kRules};
  const auto suggestion = Suggest(source, target, options);
  REQUIRE_MESSAGE(suggestion.ok(), suggestion.error().message());
  CAPTURE(suggestion->text);
  CompileOptions compile;
  compile.pack_path = {kRules};
  compile.memory_files["draft.ckmap"] = suggestion->text;
  const CompileResult compiled = Compile("draft.ckmap", compile);
  REQUIRE_MESSAGE(compiled.plan.has_value(), RenderText(compiled.diagnostics, compiled.sources));
  const auto bound = Bind(*compiled.plan, source, target, {});
  REQUIRE_MESSAGE(bound.ok(), bound.error().message());
  REQUIRE_MESSAGE(bound->plan.has_value(), bound->issues[0].message);
  CHECK(bound->plan->tensors.size() == suggestion->certain.size() + suggestion->open.size());
}

TEST_CASE("a draft compiles and binds to what it was made from") {
  const char* count = std::getenv("CKMAP_SUGGEST_CASES");
  const int cases = count != nullptr ? std::atoi(count) : 200;
  for (int seed = 0; seed < cases; ++seed) {
    CAPTURE(seed);
    Dice dice(static_cast<uint64_t>(seed) + 1);
    const Manifest source = RandomManifest(dice, dice.Roll(16));
    // Sometimes the same network, changed here and there.
    Manifest target = RandomManifest(dice, dice.Roll(8));
    for (const TensorInfo& tensor : source.tensors()) {
      if (dice.Roll(2) == 0) continue;
      TensorInfo other = tensor;
      if (dice.Roll(2) == 0) other.name = "net." + other.name;
      if (dice.Roll(4) == 0) std::reverse(other.shape.begin(), other.shape.end());
      target.Add(std::move(other));
    }
    CheckBinds(source, target);
  }
}

TEST_CASE("a draft without the layers that are shipped says so") {
  Dice dice(7);
  const Manifest source = RandomManifest(dice, 8);
  SuggestOptions options;
  auto suggestion = Suggest(source, source, options);
  REQUIRE(suggestion.ok());
  REQUIRE(suggestion->notes.size() == 1);
  CHECK(suggestion->notes[0].find("`std`") != std::string::npos);
  CHECK(suggestion->text.find("/// Note: the pack `std` is in none of the folders") != std::string::npos);
  options.pack_path = {kRules};
  suggestion = Suggest(source, source, options);
  REQUIRE(suggestion.ok());
  CHECK(suggestion->notes.empty());
}

TEST_CASE("a draft for names without structure takes time in proportion to them") {
  Dice dice(1);
  const auto random = [&](bool same_shape) {
    Manifest manifest;
    for (size_t i = 0; i < 20'000; ++i) {
      TensorInfo info;
      for (int segment = 0; segment < 3; ++segment) {
        for (int letter = 0; letter < 6; ++letter) info.name += static_cast<char>('a' + dice.Roll(26));
        info.name += segment < 2 ? "." : "";
      }
      info.dtype = DType::kF32;
      info.shape = {same_shape ? 64 : static_cast<int64_t>(i) + 2, 3};
      manifest.Add(std::move(info));
    }
    return manifest;
  };
  for (const bool same_shape : {true, false}) CheckBinds(random(same_shape), random(same_shape));
}

}  // namespace
}  // namespace ckmap
