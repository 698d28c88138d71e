#include "runtime/formats/safetensors/safetensors_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/base/file_crc.h"
#include "runtime/formats/create.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string HeaderOf(const std::string& file) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  return file.substr(8, length);
}

TEST_CASE("layout: dtypes widest first, then names; contiguous; padded to 8") {
  TempFolder folder;
  const std::string path = folder / "m.safetensors";
  auto writer = CreateCheckpoint(
      path, OutputFormat::kSafetensors,
      {{"b", DType::kU8, {3}}, {"c", DType::kF32, {1, 2}}, {"a\"\\é", DType::kF32, {}}, {"e", DType::kI64, {0, 4}}},
      {.metadata = {{"format", "ms"}}});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("xy")).ok());
  REQUIRE((*writer)->Write(0, 2, Bytes("z")).ok());
  REQUIRE((*writer)->Write(1, 0, Bytes("12345678")).ok());
  REQUIRE((*writer)->Write(2, 0, Bytes("abcd")).ok());
  CHECK_FALSE(fs::exists(path));
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  const std::string file = *ReadTextFile(path);
  CHECK((*files)[0].path == path);
  CHECK((*files)[0].bytes == static_cast<int64_t>(file.size()));
  const std::string header = HeaderOf(file);
  CHECK(header.size() % 8 == 0);
  const std::string expected = R"({"__metadata__":{"format":"ms"},)"
                               R"("e":{"dtype":"I64","shape":[0,4],"data_offsets":[0,0]},)"
                               R"("a\"\\é":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                               R"("c":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]},)"
                               R"("b":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}})";
  CHECK(header.substr(0, expected.size()) == expected);
  CHECK(header.find_first_not_of(' ', expected.size()) == std::string::npos);
  CHECK(file.substr(8 + header.size()) == "abcd12345678xyz");
}

TEST_CASE("copies lie at the same place of a block as in their source, where most bytes want it so") {
  TempFolder folder;
  const auto begin_of = [&](const std::string& name, std::vector<OutputTensor> tensors) {
    const auto writer = CreateCheckpoint(folder / name, OutputFormat::kSafetensors, std::move(tensors), {});
    REQUIRE(writer.ok());
    return (*writer)->extents(0)[0].offset;
  };
  const OutputTensor large{.name = "a", .dtype = DType::kU8, .shape = {2 << 20}, .copied_from = 4096 * 7 + 1272};
  const OutputTensor less{.name = "b", .dtype = DType::kU8, .shape = {1 << 20}, .copied_from = 8};
  CHECK(begin_of("one.safetensors", {large}) % 4096 == 1272);
  CHECK(begin_of("two.safetensors", {large, less}) % 4096 == 1272);
  // Data never begin at an odd place, and a small file is not padded.
  OutputTensor odd = large;
  odd.copied_from = 4096 + 3;
  CHECK(begin_of("odd.safetensors", {odd}) < 256);
  OutputTensor small = less;
  small.shape = {1 << 16};
  CHECK(begin_of("small.safetensors", {small}) < 256);
}

TEST_CASE("everything that does not fit is told at once, and nothing is made") {
  TempFolder folder;
  const auto writer = CreateCheckpoint(folder / "m.safetensors", OutputFormat::kSafetensors,
                                       {{"z", DType::kC128, {2}},
                                        {"twice", DType::kF32, {2}},
                                        {"twice", DType::kF32, {2}},
                                        {"format", DType::kF32, {2}},
                                        {"odd", DType::kF6E2M3, {3}},
                                        {std::string("a\0b", 3), DType::kF32, {2}}},
                                       {.metadata = {{"format", "ms"}}});
  REQUIRE_FALSE(writer.ok());
  CHECK(writer.error().code() == ErrorCode::kMismatch);
  for (const char* part : {"c128", "`twice`: the name occurs twice", "metadata", "`odd`", "control"}) {
    CHECK_MESSAGE(writer.error().message().find(part) != std::string::npos, part);
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("shards of a bounded size and their index") {
  TempFolder folder;
  auto writer = CreateCheckpoint(
      folder / "out", OutputFormat::kSafetensors,
      {{"a", DType::kU8, {6}}, {"b", DType::kU8, {4}}, {"c", DType::kU8, {20}}, {"d", DType::kU8, {1}}},
      {.metadata = {}, .max_shard_size = 10});
  REQUIRE(writer.ok());
  for (size_t i = 0; i < 4; ++i) {
    const std::string data(std::array{6U, 4U, 20U, 1U}.at(i), static_cast<char>('a' + i));
    REQUIRE((*writer)->Write(i, 0, Bytes(data)).ok());
  }
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  REQUIRE(files->size() == 4);
  CHECK(files->back().path == folder / "out/model.safetensors.index.json");
  const std::string index = *ReadTextFile(files->back().path);
  CHECK(index.find("31") != std::string::npos);
  CHECK(index.find("model-00002-of-00003.safetensors") != std::string::npos);
  CHECK((*ReadTextFile(folder / "out/model-00001-of-00003.safetensors")).ends_with("aaaaaabbbb"));
  CHECK((*ReadTextFile(folder / "out/model-00003-of-00003.safetensors")).ends_with("d"));
}

TEST_CASE("one shard needs no index") {
  TempFolder folder;
  auto writer = CreateCheckpoint(folder / "x.safetensors", OutputFormat::kSafetensors, {{"a", DType::kU8, {6}}},
                                 {.metadata = {}, .max_shard_size = 10});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Commit().ok());
  CHECK(fs::exists(folder / "x.safetensors"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("crc_num covers names and bytes in name order; a scalar integer counts as that many zeros") {
  TempFolder folder;
  auto writer = CreateCheckpoint(folder / "x.safetensors", OutputFormat::kSafetensors,
                                 {{"w", DType::kU8, {3}}, {"n", DType::kI64, {}}}, {.metadata = {}, .crc = true});
  REQUIRE(writer.ok());
  const int64_t value = 5;
  REQUIRE((*writer)->Write(0, 0, Bytes("abc")).ok());
  REQUIRE((*writer)->Write(1, 0, std::as_bytes(std::span(&value, 1))).ok());
  REQUIRE((*writer)->Commit().ok());
  const std::string_view covered("n\0\0\0\0\0wabc", 10);
  const std::string header = HeaderOf(*ReadTextFile(folder / "x.safetensors"));
  const std::string expected = "\"crc_num\":\"" + std::to_string(ExtendCrc32(0, Bytes(covered))) + "\"";
  CHECK(header.find(expected) != std::string::npos);
  CHECK(header.size() % 8 == 0);
}

TEST_CASE("a negative scalar has no checksum") {
  TempFolder folder;
  auto writer = CreateCheckpoint(folder / "x.safetensors", OutputFormat::kSafetensors, {{"n", DType::kI8, {}}},
                                 {.metadata = {}, .crc = true});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("\xff")).ok());
  CHECK_FALSE((*writer)->Commit().ok());
  writer = Error(ErrorCode::kIo, "");
  CHECK(folder.entries() == 0);
}

TEST_CASE("what only MindSpore cannot read is a warning") {
  TempFolder folder;
  auto writer =
      CreateCheckpoint(folder / "x.safetensors", OutputFormat::kSafetensors, {{"q", DType::kF8E4M3, {2}}}, {});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->warnings().size() == 1);
  CHECK((*writer)->warnings()[0].find("f8_e4m3") != std::string::npos);
}

}  // namespace
}  // namespace ckmap
