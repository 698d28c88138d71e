// The bytes of an output depend on the inputs alone: not on the number of threads, the memory for buffers, the vector
// instructions of the processor, or the way by which the bytes reach whoever wants them.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <ckmap/compiler.h>

#include "tests/support/temp_folder.h"

namespace {

using ckmap::TempFolder;
constexpr int64_t kKiB = 1024;
using Tensors = std::map<std::string, std::vector<std::byte>>;

template <typename T>
T Must(ckmap::Result<T> result) {
  if (!result) FAIL(result.error().message());
  return *std::move(result);
}

struct Stored {
  std::string name, dtype;
  ckmap::Shape shape;
  int64_t element;
};

// Odd sizes and powers of two, smaller and larger than the least memory for buffers.
const std::vector<Stored> kStored = {
    {"w32", "F32", {217, 139}, 4},       {"big32", "F32", {1024, 512}, 4},   {"w64", "F64", {131, 67}, 8},
    {"w16", "F16", {150, 257}, 2},       {"b16", "BF16", {213, 130}, 2},     {"f8", "F8_E4M3", {384, 256}, 1},
    {"e5", "F8_E5M2", {129, 65}, 1},     {"i8", "I8", {255, 130}, 1},        {"u8", "U8", {257, 64}, 1},
    {"i64", "I64", {65, 33}, 8},         {"conv", "F32", {48, 33, 3, 3}, 4}, {"bconv", "BF16", {32, 48, 3, 3}, 2},
    {"q", "F32", {256, 128}, 4},         {"k", "F32", {256, 128}, 4},        {"v", "F32", {256, 128}, 4},
    {"scales", "F32", {3, 2}, 4},        {"left", "F32", {70, 90}, 4},       {"right", "F32", {90, 130}, 4},
    {"tokens", "F32", {2, 7, 64, 9}, 4}, {"dense", "F32", {517, 391}, 4},
};

// Any bit patterns: NaNs of all kinds, infinities and subnormal numbers are among them. Scales, factors and what is
// quantised are small numbers.
void WriteSource(const std::string& path) {
  std::mt19937 random(7);
  std::string header = "{", data;
  for (const Stored& stored : kStored) {
    int64_t count = 1;
    for (const int64_t size : stored.shape) count *= size;
    const size_t begin = data.size();
    const bool numbers =
        stored.name == "scales" || stored.name == "left" || stored.name == "right" || stored.name == "dense";
    for (int64_t i = 0; i < count; ++i) {
      if (numbers) {
        const float value = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 64;
        data.append(reinterpret_cast<const char*>(&value), sizeof value);
      } else {
        for (int64_t b = 0; b < stored.element; ++b) data += static_cast<char>(random());
      }
    }
    header += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.size() > 1 ? "," : "", stored.name, stored.dtype, fmt::join(stored.shape, ","), begin,
                          data.size());
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << header << data;
}

// Every kernel: casts among the dtypes, arithmetic, transposes of each element size, orders of axes, computed tensors.
std::string Rules() {
  std::string rules = "ckmap 1;\nmigration t from pytorch to pytorch;\n";
  const std::vector<std::string> floats = {"f64", "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2"};
  const std::vector<std::string> sources = {"w64", "w32", "w16", "b16", "f8", "e5", "i8", "u8", "conv"};
  for (const std::string& from : sources) {
    for (const std::string& to : floats) {
      rules += fmt::format("\"{}\" | cast({}, overflow=saturate) -> \"cast.{}.{}\";\n", from, to, from, to);
      rules +=
          fmt::format("\"{}\" | cast({}, overflow=saturate) | transpose() -> \"turned.{}.{}\";\n", from, to, from, to);
    }
  }
  for (const std::string& name : {"w64", "w32", "big32", "w16", "b16", "f8", "e5", "i8", "u8", "i64"})
    rules += fmt::format("\"{}\" | transpose() -> \"transposed.{}\";\n", name, name);
  for (const std::string& name : {"w64", "w32", "w16", "b16"}) {
    rules += fmt::format("\"{}\" | scale(0.3, overflow=saturate) | add(1.5, overflow=saturate) -> \"scaled.{}\";\n",
                         name, name);
    rules += fmt::format("\"{}\" | neg() | flip(axis=0) -> \"negated.{}\";\n", name, name);
  }
  return rules + R"("conv"   | permute(2, 3, 1, 0) -> "hwio";
"bconv"  | permute(2, 3, 1, 0) -> "bhwio";
"tokens" | permute(3, 1, 0, 2) -> "permuted";
"{q,k,v}" | interleave(axis=0, block=64) -> "qkv";
"q" | rearrange("(h two d) c -> (h d two) c", h=4, two=2) -> "rope";
"{f8,scales}" | dequantize(to=bf16, block=[128, 128], overflow=saturate) -> "dequantized";
"{left,right}" | matmul() -> "product";
("dense", ("dense" | absmax(block=[128, 128], over=448)) | quantize(to=f8_e4m3, block=[128, 128], reciprocal=1)),
  ("dense" | absmax(block=[128, 128], over=448)) -> "fp8", "fp8_scales";
"dense", ("dense" | absmax(block=[-1, -1], over=127)) | quantize(to=i8) -> "int8";
("dense" | cast(bf16)), ("dense" | cast(bf16) | absmax(block=[1, 17], over=7.5, zeros=epsilon))
  | quantize(to=i16, block=[1, 17]) | add(8) | pack(bits=4, to=i32, overflow=saturate) -> "int4";
"dense", ("dense" | absmax(block=[-1, 1], over=3.5)) | quantize(to=i16)
  | pack(bits=3, to=u8, axis=0, signed=true, overflow=saturate) | transpose() -> "int3";
"big32" | slice(axis=1, begin=3, end=500, step=7) -> "sliced";
"i64" | bitcast(i16) -> "halves";
"big32" -> "copied";
)";
}

// One way from a file to the tensors of a migration.
struct Way {
  const char* source;
  const char* name;
  ckmap::SaveOptions save;  // format "": by Load
};

const std::vector<Way> kWays = {{"source.safetensors", "safetensors", {.format = "safetensors"}},
                                {"source.safetensors", "shards", {.format = "safetensors", .max_shard_size = 1 << 20}},
                                {"source.safetensors", "load", {.format = ""}},
                                {"source.pth", "torch", {.format = "torch"}},
                                {"source.pth", "load", {.format = ""}}};

Tensors Get(const ckmap::Migration& migration, const Way& way, int threads, int64_t memory, const TempFolder& folder) {
  Tensors tensors;
  const auto keep = [&](const ckmap::Tensor& tensor) {
    tensors[tensor.name()].assign(tensor.bytes().begin(), tensor.bytes().end());
  };
  if (way.save.format.empty()) {
    auto stream = Must(migration.Load({.threads = threads, .max_memory = memory}));
    for (auto next = Must(stream.Next()); next; next = Must(stream.Next())) keep(*next);
    return tensors;
  }
  ckmap::SaveOptions save = way.save;
  save.force = true;
  save.fsync = false;
  save.run = {.threads = threads, .max_memory = memory};
  const std::string out = folder / (std::string("out.") + way.name);
  Must(migration.Save(out, save));
  const auto file = Must(ckmap::Checkpoint::Open(out));
  for (const auto& tensor : file.manifest().tensors()) keep(Must(file.Read(tensor.name)));
  return tensors;
}

TEST_CASE("the same bytes for all threads, memories, vector instructions and ways") {
  const TempFolder folder;
  WriteSource(folder / "source.safetensors");
  const auto plain = Must(ckmap::Checkpoint::Open(folder / "source.safetensors"));
  const auto same = Must(ckmap::CompileText("ckmap 1;\nmigration same from pytorch to pytorch;\n"));
  Must(Must(ckmap::Migration::Prepare(same, plain, "same")).Save(folder / "source.pth", {.format = "torch"}));
  const auto plan = Must(ckmap::CompileText(Rules()));
  const auto prepare = [&](const Way& way) {
    return Must(ckmap::Migration::Prepare(plan, Must(ckmap::Checkpoint::Open(folder / way.source)), "same"));
  };
  const Tensors expected = Get(prepare(kWays[0]), kWays[0], 1, int64_t{256} << 20, folder);
  CHECK(expected.size() > 120);

  int combinations = 0, levels = 0;
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t level = 1; level <= supported && level > 0; level <<= 1) {
    if ((supported & level) == 0) continue;
    ++levels;
    hwy::SetSupportedTargetsForTest(level);
    hwy::GetChosenTarget().DeInit();
    const bool all = levels == 1;  // the best ones; of the others fewer cases, for the sake of time
    for (const int threads : all ? std::vector{1, 2, 8} : std::vector{2}) {
      for (const int64_t memory :
           all ? std::vector{512 * kKiB, 8192 * kKiB, 131072 * kKiB} : std::vector{512 * kKiB, 131072 * kKiB}) {
        for (const Way& way : kWays) {
          CAPTURE(hwy::TargetName(level));
          CAPTURE(threads);
          CAPTURE(memory);
          CAPTURE(way.name);
          const Tensors found = Get(prepare(way), way, threads, memory, folder);
          REQUIRE(found.size() == expected.size());
          for (const auto& [name, bytes] : expected) CHECK_MESSAGE(found.at(name) == bytes, name);
          ++combinations;
        }
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  MESSAGE(combinations << " combinations, " << levels << " kinds of vector instructions");
  CHECK(combinations >= 45);  // on a processor with one kind
}

}  // namespace
