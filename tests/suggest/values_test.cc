// Drafts from two checkpoints: `ckmapc suggest --values`. The source of a real network gets values, a shipped pack makes
// the target of them, and the draft has to say what the pack says. Traps are values that do not tell tensors apart:
// norms that nobody trained, biases of zeros, copies. What they leave open may be guessed, and must not be called sure.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/suggest/suggest.h"
#include "runtime/base/file.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/open.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

const std::string kRules = std::string(CKMAP_SOURCE_DIR) + "/rules";
const std::string kFamilies = std::string(CKMAP_TEST_DATA) + "/families";

enum class Trap { kNone, kFreshNorms, kFreshNormsAndBiases, kCopies, kAllZero };

struct Pair {
  const char* family;
  const char* migration;
};

const std::vector<Pair> kPairs = {
    {"inception_v3", "inception/torchvision2mindcv"},
    {"densenet121", "densenet/torchvision2mindcv"},
    {"resnet18", "resnet/torchvision2mindcv"},
    {"mobilenet_v2", "mobilenet/v2_torchvision2mindcv"},
    {"ghostnet_050", "ghostnet/timm2mindcv"},
    {"regnet_x_200mf", "regnet/timm2mindcv"},
    {"res2net50", "res2net/timm2mindcv"},
    {"bert_mindformers", "bert/hf2mindformers"},
    {"clip_mindformers", "clip/hf2mindformers"},
    {"gpt2_mindformers", "gpt2/hf2mindformers"},
    {"llama_mindformers", "llama/hf2mindformers"},
    {"repvgg_a0", "repvgg/timm2mindcv"},
    {"mnasnet_050", "mnasnet/torchvision2mindcv"},
    {"qwen3_mf2_graph", "mindformers2/hf2mindformers2"},
    {"t5_mindone", "mindone/hf2mindone"},
    {"whisper_mindone", "mindone/hf2mindone"},
};

// Wide layers an eighth as wide, so that a test writes megabytes and not gigabytes. Numbers of layers stay.
Manifest Narrow(const Manifest& manifest) {
  Manifest narrow;
  for (TensorInfo tensor : manifest.tensors()) {
    for (int64_t& size : tensor.shape) size = size >= 64 && size % 8 == 0 ? size / 8 : size;
    narrow.Add(std::move(tensor));
  }
  return narrow;
}

Manifest Read(const std::string& name, bool narrow) {
  auto manifest = ReadManifest(kFamilies + "/" + name);
  if (!manifest) FAIL(manifest.error().message());
  return narrow ? Narrow(*manifest) : *std::move(manifest);
}

std::optional<BoundPlan> BindRules(const std::string& path, const std::string& text, const Manifest& source,
                                   const Manifest& target, const BindOptions& bind) {
  CompileOptions options;
  options.pack_path = {kRules};
  if (!text.empty()) options.memory_files[path] = text;
  const CompileResult compiled = Compile(path, options);
  REQUIRE(compiled.plan.has_value());
  auto bound = Bind(*compiled.plan, source, target, bind);
  REQUIRE(bound.ok());
  return std::move(bound->plan);
}

// ---- values ---------------------------------------------------------------------------------------------------

using Values = std::vector<std::vector<float>>;

float Random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<float>(static_cast<int64_t>(state % 2'000'001) - 1'000'000) / 1'000'000.0F;
}

bool IsNormLeaf(const Manifest& manifest, const TensorInfo& tensor) {
  if (tensor.shape.size() != 1) return false;
  const std::string path = tensor.name.substr(0, tensor.name.rfind('.') + 1);
  if (manifest.Find(path + "running_mean")) return true;
  const auto weight = manifest.Find(path + "weight");
  return weight && manifest[*weight].shape.size() == 1;
}

Values Fill(const Manifest& manifest, Trap trap) {
  uint64_t state = 0x9e3779b97f4a7c15ULL;
  Values values;
  std::map<Shape, size_t> first;
  for (size_t i = 0; i < manifest.size(); ++i) {
    const TensorInfo& tensor = manifest[i];
    std::vector<float>& own = values.emplace_back(static_cast<size_t>(*NumElements(tensor.shape)));
    for (float& value : own) value = Random(state);
    const bool bias = tensor.name.ends_with("bias"), mean = tensor.name.ends_with("running_mean");
    if (trap == Trap::kAllZero) std::fill(own.begin(), own.end(), 0.0F);
    if (trap == Trap::kFreshNorms || trap == Trap::kFreshNormsAndBiases) {
      if (IsNormLeaf(manifest, tensor)) std::fill(own.begin(), own.end(), bias || mean ? 0.0F : 1.0F);
      if (bias && trap == Trap::kFreshNormsAndBiases) std::fill(own.begin(), own.end(), 0.0F);
    }
    // Every third of one shape is a copy of its first.
    const auto [at, made] = first.try_emplace(tensor.shape, i);
    if (trap == Trap::kCopies && !made && i % 3 == 0) own = values[at->second];
  }
  return values;
}

// What the pieces of a plan make of the source's values. Plans that compute are no part of this test.
std::optional<Values> Apply(const BoundPlan& plan, const Values& source) {
  Values target(plan.target.size());
  for (size_t i = 0; i < plan.target.size(); ++i)
    target[i].resize(static_cast<size_t>(*NumElements(plan.target[i].shape)), 0.5F);
  for (const BoundTensor& tensor : plan.tensors) {
    for (const BoundInput& input : tensor.inputs) {
      if (input.node != nullptr || !input.casts.empty() || input.view != DType::kAny) return std::nullopt;
    }
    for (const Piece& piece : tensor.value.pieces) {
      if (piece.input == kFillInput) return std::nullopt;
      const std::vector<float>& from = source[tensor.inputs[static_cast<size_t>(piece.input)].source];
      std::vector<int64_t> index(piece.axes.size(), 0);
      for (bool more = true; more;) {
        int64_t left = piece.src_offset, right = piece.dst_offset;
        for (size_t a = 0; a < index.size(); ++a) {
          left += index[a] * piece.axes[a].src_stride;
          right += index[a] * piece.axes[a].dst_stride;
        }
        target[tensor.target].at(static_cast<size_t>(right)) = from.at(static_cast<size_t>(left));
        size_t a = index.size();
        while (a > 0 && ++index[a - 1] == piece.axes[a - 1].size) index[--a] = 0;
        more = a > 0;
      }
    }
  }
  return target;
}

// A safetensors file, all of it f32.
void WriteFile(const std::string& path, const Manifest& manifest, const Values& values) {
  std::string header = "{";
  size_t at = 0;
  for (size_t i = 0; i < manifest.size(); ++i) {
    header += fmt::format("{}\"{}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", i == 0 ? "" : ",",
                          manifest[i].name, fmt::join(manifest[i].shape, ","), at, at + 4 * values[i].size());
    at += 4 * values[i].size();
  }
  header += "}";
  const uint64_t size = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(std::bit_cast<std::array<char, 8>>(size).data(), 8);
  file << header;
  for (const std::vector<float>& some : values)
    file.write(reinterpret_cast<const char*>(some.data()), static_cast<std::streamsize>(4 * some.size()));
  REQUIRE(file.good());
}

// ---- judging --------------------------------------------------------------------------------------------------

// Which elements of which sources each target is made of, as text.
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

struct Score {
  size_t targets = 0, right = 0, certain = 0;
  std::vector<std::string> wrong;  // certain, and not what the pack does
};

Score& operator+=(Score& sum, const Score& one) {
  sum.targets += one.targets;
  sum.right += one.right;
  sum.certain += one.certain;
  sum.wrong.insert(sum.wrong.end(), one.wrong.begin(), one.wrong.end());
  return sum;
}

// nullopt: the pack computes, or does not bind to what is narrow.
std::optional<Score> Judge(const Pair& pair, Trap trap) {
  const std::string family = pair.family;
  BindOptions bind;
  if (const std::string config = fmt::format("{}/{}.config.json", kFamilies, family); fs::exists(config))
    bind.config_json = *ReadTextFile(config);
  if (family.ends_with("_mf2_graph")) bind.defines["layout"] = "graph";
  const bool narrow = bind.config_json.empty();
  Manifest source = Read(family + ".source.json", narrow), target = Read(family + ".target.json", narrow);
  for (Manifest* manifest : {&source, &target}) {
    Manifest floats;
    for (TensorInfo tensor : manifest->tensors()) {
      tensor.dtype = DType::kF32;
      floats.Add(std::move(tensor));
    }
    *manifest = std::move(floats);
  }
  const auto truth = BindRules(fmt::format("{}/{}.ckmap", kRules, pair.migration), "", source, target, bind);
  if (!truth) return std::nullopt;
  const Values values = Fill(source, trap);
  const auto made = Apply(*truth, values);
  if (!made) return std::nullopt;
  TempFolder folder;
  WriteFile(folder / "source.safetensors", source, values);
  WriteFile(folder / "target.safetensors", target, *made);
  const auto left = OpenCheckpoint(folder / "source.safetensors"),
             right = OpenCheckpoint(folder / "target.safetensors");
  REQUIRE(left.ok());
  REQUIRE(right.ok());
  SuggestOptions options;
  options.pack_path = {kRules};
  options.packs = false;
  options.source = left->get();
  options.target = right->get();
  const Manifest &from = (*left)->manifest(), &to = (*right)->manifest();
  const auto draft = Suggest(from, to, options);
  REQUIRE_MESSAGE(draft.ok(), draft.error().message());
  const auto bound = BindRules("draft.ckmap", draft->text, from, to, {});
  REQUIRE_MESSAGE(bound.has_value(), draft->text);
  const auto drafted = Contents(*bound), wanted = Contents(*truth);
  Score score;
  score.targets = truth->tensors.size();
  score.certain = draft->certain.size();
  for (const auto& [name, content] : wanted) {
    const auto found = drafted.find(name);
    const bool same = found != drafted.end() && found->second == content;
    score.right += same ? 1 : 0;
    const bool sure = std::find(draft->certain.begin(), draft->certain.end(), name) != draft->certain.end();
    if (sure && !same)
      score.wrong.push_back(fmt::format("{}: {} is {}, not {}", family, name,
                                        found == drafted.end() ? "nothing" : found->second, content));
  }
  if (const char* keep = std::getenv("CKMAP_SUGGEST_FOLDER")) {
    std::ofstream file(fmt::format("{}/{}-{}.ckmap", keep, family, static_cast<int>(trap)));
    file << draft->text;
  }
  return score;
}

Score JudgeAll(Trap trap, const char* name) {
  Score total;
  size_t pairs = 0;
  for (const Pair& pair : kPairs) {
    CAPTURE(std::string(pair.family));
    const auto score = Judge(pair, trap);
    if (!score) continue;
    ++pairs;
    if (std::getenv("CKMAP_SUGGEST_REPORT") != nullptr) {
      fmt::print("{:<12} {:<20} {:>4} targets, {:>4} right, {:>4} sure, {} of them wrong\n", name, pair.family,
                 score->targets, score->right, score->certain, score->wrong.size());
      for (size_t i = 0; i < std::min<size_t>(score->wrong.size(), 3); ++i) fmt::print("    {}\n", score->wrong[i]);
    }
    total += *score;
  }
  CHECK(pairs >= 10);
  MESSAGE(std::string(name) << ": " << pairs << " pairs, " << total.right << " of " << total.targets << " right, "
                            << total.certain << " sure, " << total.wrong.size() << " of them wrong");
  CHECK_MESSAGE(total.wrong.empty(), fmt::format("{}", fmt::join(total.wrong, "\n")));
  return total;
}

TEST_CASE("values settle what shapes leave open") {
  const Score score = JudgeAll(Trap::kNone, "no trap");
  CHECK(score.right * 1000 >= score.targets * 995);
  CHECK(score.certain * 1000 >= score.targets * 950);
}

TEST_CASE("what values cannot settle is never called sure") {
  JudgeAll(Trap::kFreshNorms, "fresh norms");
  JudgeAll(Trap::kFreshNormsAndBiases, "no biases");
  JudgeAll(Trap::kCopies, "copies");
  JudgeAll(Trap::kAllZero, "all zero");
}

}  // namespace
}  // namespace ckmap
