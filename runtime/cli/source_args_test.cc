#include "runtime/cli/source_args.h"

#include <cstdlib>

#include <doctest/doctest.h>

#include "runtime/base/output_file.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

TEST_CASE("keys are raw bytes, or hexadecimal digits after hex:") {
  const std::string raw = "0123456789abcdef";
  CHECK(*DecodeKey(raw) == raw);
  CHECK(*DecodeKey(raw + "\n") == raw);
  CHECK(*DecodeKey("0123456789abcde\n") == "0123456789abcde\n");  // 16 bytes: the line feed belongs to it
  CHECK(*DecodeKey("hex:30313233\n") == "0123");
  CHECK(*DecodeKey("hex:FFfe") == "\xff\xfe");
  CHECK_FALSE(DecodeKey("hex:3").ok());
  CHECK_FALSE(DecodeKey("hex:3g").ok());
}

TEST_CASE("a key comes from a file or from the environment, never from both") {
  const TempFolder folder;
  REQUIRE(WriteWholeFile(folder / "key", "0123456789abcdef\n", {}).ok());
  const auto from_file = MakeSourceOptions({.root = "net", .key = {.file = folder / "key", .variable = ""}});
  REQUIRE(from_file.ok());
  CHECK(from_file->open.root == "net");
  CHECK(from_file->open.key.bytes() == "0123456789abcdef");

  ::setenv("CKMAP_TEST_KEY", "hex:000102030405060708090a0b0c0d0e0f", 1);
  const auto from_environment = MakeSourceOptions({.key = {.file = "", .variable = "CKMAP_TEST_KEY"}});
  REQUIRE(from_environment.ok());
  CHECK(from_environment->open.key.bytes().size() == 16);
  CHECK(std::getenv("CKMAP_TEST_KEY") == nullptr);

  const auto code = [](const SourceArgs& args) {
    const auto options = MakeSourceOptions(args);
    REQUIRE_FALSE(options.ok());
    return options.error().code();
  };
  CHECK(code({.key = {.file = "a", .variable = "B"}}) == ErrorCode::kUsage);
  CHECK(code({.key = {.file = "", .variable = "CKMAP_TEST_KEY"}}) == ErrorCode::kUsage);
  CHECK(code({.key = {.file = folder / "absent", .variable = ""}}) == ErrorCode::kIo);
  REQUIRE(WriteWholeFile(folder / "bad", "hex:secret", {}).ok());
  const auto bad = MakeSourceOptions({.key = {.file = folder / "bad", .variable = ""}});
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().message().find("secret") == std::string::npos);
}

}  // namespace
}  // namespace ckmap
