#include "runtime/migrate/paths.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "runtime/base/output_file.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

bool Apart(const std::string& out, const std::vector<std::string>& inputs) {
  const auto result = CheckOutputApart(out, inputs);
  if (!result) CHECK(result.error().code() == ErrorCode::kUsage);
  return result.ok();
}

TEST_CASE("an output is never one of the inputs") {
  const TempFolder folder;
  REQUIRE(WriteWholeFile(folder / "a.pth", "x", {}).ok());
  fs::create_symlink(folder / "a.pth", folder / "link.pth");
  fs::create_hard_link(folder / "a.pth", folder / "hard.pth");
  CHECK_FALSE(Apart(folder / "a.pth", {folder / "a.pth"}));
  CHECK_FALSE(Apart(folder / "./a.pth", {folder / "a.pth"}));
  CHECK_FALSE(Apart(folder / "link.pth", {folder / "a.pth"}));
  CHECK_FALSE(Apart(folder / "hard.pth", {"elsewhere", folder / "a.pth"}));
  CHECK(Apart(folder / "new.ckpt", {folder / "a.pth"}));
}

TEST_CASE("an output does not go among the shards that are read") {
  const TempFolder folder;
  fs::create_directory(folder / "model");
  REQUIRE(WriteWholeFile(folder / "model/index.json", "{}", {}).ok());
  REQUIRE(WriteWholeFile(folder / "single.pth", "x", {}).ok());
  CHECK_FALSE(Apart(folder / "model/out.safetensors", {folder / "model"}));
  CHECK_FALSE(Apart(folder / "model", {folder / "model"}));
  CHECK_FALSE(Apart(folder / "model/out.safetensors", {folder / "model/index.json"}));
  CHECK_FALSE(Apart(folder.path(), {folder / "single.pth"}));
  CHECK(Apart(folder / "out.safetensors", {folder / "model"}));
}

}  // namespace
}  // namespace ckmap
