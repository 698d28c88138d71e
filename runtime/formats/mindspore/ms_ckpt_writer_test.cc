#include "runtime/formats/mindspore/ms_ckpt_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/base/file_crc.h"
#include "runtime/formats/create.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST_CASE("messages as MindSpore writes them") {
  TempFolder folder;
  const std::string path = folder / "m.ckpt";
  auto writer =
      CreateCheckpoint(path, OutputFormat::kMindSporeCkpt,
                       {{"w", DType::kF32, {1, 2}}, {"s", DType::kI64, {}}, {"e", DType::kBool, {0, 300}}}, {});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("12345678")).ok());
  REQUIRE((*writer)->Write(1, 0, Bytes("ABCDEFGH")).ok());
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  const std::string expected(
      "\x0a\x1c\x0a\x01w\x12\x17\x08\x01\x08\x02\x12\x07"
      "Float32\x1a\x08"
      "12345678"
      "\x0a\x16\x0a\x01s\x12\x11\x12\x05"
      "Int64\x1a\x08"
      "ABCDEFGH"
      "\x0a\x12\x0a\x01"
      "e\x12\x0d\x08\x00\x08\xac\x02\x12\x04"
      "Bool\x1a\x00",
      30 + 24 + 20);
  CHECK(*ReadTextFile(path) == expected);
  CHECK((*files)[0].bytes == static_cast<int64_t>(expected.size()));
}

TEST_CASE("the parts of a map parameter become one message, wherever they stand") {
  TempFolder folder;
  const std::string path = folder / "m.ckpt";
  auto writer = CreateCheckpoint(path, OutputFormat::kMindSporeCkpt,
                                 {{"m#status", DType::kI32, {1}},
                                  {"w", DType::kU8, {1}},
                                  {"m#value", DType::kF16, {1, 2}},
                                  {"m#key", DType::kI32, {1}}},
                                 {});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("stat")).ok());
  REQUIRE((*writer)->Write(1, 0, Bytes("w")).ok());
  REQUIRE((*writer)->Write(2, 0, Bytes("valu")).ok());
  REQUIRE((*writer)->Write(3, 0, Bytes("key ")).ok());
  REQUIRE((*writer)->Commit().ok());
  const std::string expected(
      "\x0a\x3c\x0a\x01m\x1a\x37"
      "\x0a\x0f\x08\x01\x12\x05int32\x1a\x04key "
      "\x0a\x13\x08\x01\x08\x02\x12\x07"
      "float16\x1a\x04valu"
      "\x0a\x0f\x08\x01\x12\x05int32\x1a\x04stat"
      "\x0a\x11\x0a\x01w\x12\x0c\x08\x01\x12\x05UInt8\x1a\x01w",
      7 + 17 + 21 + 17 + 19);
  CHECK(*ReadTextFile(path) == expected);
}

TEST_CASE("parts that are no map parameter stay tensors") {
  const std::vector<std::vector<OutputTensor>> cases = {
      {{"m#key", DType::kI32, {1}}, {"m#value", DType::kF16, {1, 2}}},  // one is missing
      {{"m#key", DType::kI32, {1}}, {"m#value", DType::kF16, {2, 2}}, {"m#status", DType::kI32, {1}}},  // other rows
      {{"m#key", DType::kI64, {1}},
       {"m#value", DType::kF16, {1, 2}},
       {"m#status", DType::kI32, {1}}},  // no type of theirs
      {{"m#key", DType::kI32, {}}, {"m#value", DType::kF16, {1, 2}}, {"m#status", DType::kI32, {1}}}};  // a scalar
  for (const auto& tensors : cases) {
    TempFolder folder;
    const std::string path = folder / "m.ckpt";
    auto writer = CreateCheckpoint(path, OutputFormat::kMindSporeCkpt, tensors, {});
    REQUIRE(writer.ok());
    REQUIRE((*writer)->Commit().ok());
    CHECK(ReadTextFile(path)->find("m#value") != std::string::npos);
  }
}

TEST_CASE("the CRC trailer covers all messages") {
  TempFolder folder;
  auto writer = CreateCheckpoint(folder / "m.ckpt", OutputFormat::kMindSporeCkpt, {{"w", DType::kU8, {4}}},
                                 {.metadata = {}, .crc = true});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("wxyz")).ok());
  REQUIRE((*writer)->Commit().ok());
  const std::string file = *ReadTextFile(folder / "m.ckpt");
  const std::string messages = file.substr(0, file.size() - 17);
  const uint32_t crc = ExtendCrc32(0, Bytes(messages));
  std::string trailer("crc_num\0\0\0\0\0\0", 13);
  for (int shift = 24; shift >= 0; shift -= 8) trailer += static_cast<char>(crc >> shift);
  CHECK(file.substr(file.size() - 17) == trailer);
}

TEST_CASE("a tensor that ends like a trailer gets a real one") {
  TempFolder folder;
  auto writer = CreateCheckpoint(folder / "m.ckpt", OutputFormat::kMindSporeCkpt, {{"w", DType::kU8, {17}}}, {});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Write(0, 0, Bytes("crc_num0123456789")).ok());
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  const std::string file = *ReadTextFile(folder / "m.ckpt");
  CHECK((*files)[0].bytes == static_cast<int64_t>(file.size()));
  CHECK(file.substr(file.size() - 34).starts_with("crc_num0123456789crc_num"));
}

TEST_CASE("a tensor beyond 512 MiB is cut in messages that repeat its head") {
  TempFolder folder;
  const int64_t bytes = (int64_t{512} << 20) + 100;
  auto writer = CreateCheckpoint(folder / "m.ckpt", OutputFormat::kMindSporeCkpt, {{"w", DType::kU8, {bytes}}}, {});
  REQUIRE(writer.ok());
  const auto runs = (*writer)->extents(0);
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].length == int64_t{512} << 20);
  CHECK(runs[1].length == 100);
  REQUIRE((*writer)->Write(0, runs[0].length - 3, Bytes("abcdef")).ok());
  std::string joint(6 + static_cast<size_t>(runs[1].offset - runs[0].offset - runs[0].length), '\0');
  REQUIRE(::pread(runs[0].fd, joint.data(), joint.size(), runs[0].offset + runs[0].length - 3) ==
          static_cast<ssize_t>(joint.size()));
  CHECK(joint.starts_with("abc\x0a"));
  CHECK(joint.ends_with("def"));
  CHECK(joint.find("UInt8") != std::string::npos);
}

TEST_CASE("what MindSpore could not load is refused, all of it at once") {
  TempFolder folder;
  const auto writer = CreateCheckpoint(folder / "m.ckpt", OutputFormat::kMindSporeCkpt,
                                       {{"c", DType::kC64, {2}},
                                        {"q", DType::kF8E5M2, {2}},
                                        {"empty", DType::kF32, {0}},
                                        {std::string(1025, 'n'), DType::kF32, {2}},
                                        {"long", DType::kI8, {int64_t{1} << 31, 0}}},
                                       {});
  REQUIRE_FALSE(writer.ok());
  CHECK(writer.error().code() == ErrorCode::kMismatch);
  for (const char* part : {"c64", "f8_e5m2", "shape [0]", "1024", "2147483648"}) {
    CHECK_MESSAGE(writer.error().message().find(part) != std::string::npos, part);
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("many tiny tensors lie where their extents say") {
  TempFolder folder;
  std::vector<OutputTensor> tensors;
  for (int i = 0; i < 60000; ++i) tensors.push_back({"t" + std::to_string(i), DType::kU8, {i % 40}});
  tensors[0].shape = tensors[40].shape = {2};
  for (size_t i = 80; i < tensors.size(); i += 40) tensors[i].shape = {};
  auto writer = CreateCheckpoint(folder / "m.ckpt", OutputFormat::kMindSporeCkpt, tensors, {});
  REQUIRE(writer.ok());
  const auto runs = (*writer)->extents(59999);
  REQUIRE(runs.size() == 1);
  std::string head(20, '\0');
  REQUIRE(::pread(runs[0].fd, head.data(), head.size(), runs[0].offset - 20) == 20);
  CHECK(head.find("t59999") != std::string::npos);
}

}  // namespace
}  // namespace ckmap
