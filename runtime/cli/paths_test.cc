#include "runtime/cli/paths.h"

#include <filesystem>

#include <doctest/doctest.h>
#include <stdlib.h>

#include "runtime/base/file.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "ckmap-paths-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  fs::path path;
};

bool Apart(const std::string& out, const std::vector<std::string>& inputs) {
  const auto result = CheckOutputApart(out, inputs);
  if (!result) CHECK(result.error().code() == ErrorCode::kUsage);
  return result.ok();
}

TEST_CASE("an output is never one of the inputs") {
  const Folder folder;
  REQUIRE(WriteWholeFile(folder / "a.pth", "x", false).ok());
  fs::create_symlink(folder.path / "a.pth", folder.path / "link.pth");
  fs::create_hard_link(folder.path / "a.pth", folder.path / "hard.pth");
  CHECK_FALSE(Apart(folder / "a.pth", {folder / "a.pth"}));
  CHECK_FALSE(Apart(folder / "./x/../a.pth", {folder / "a.pth"}) == fs::exists(folder.path / "x"));
  CHECK_FALSE(Apart(folder / "link.pth", {folder / "a.pth"}));
  CHECK_FALSE(Apart(folder / "hard.pth", {"elsewhere", folder / "a.pth"}));
  CHECK(Apart(folder / "new.ckpt", {folder / "a.pth"}));
}

TEST_CASE("an output does not go among the shards that are read") {
  const Folder folder;
  fs::create_directory(folder.path / "model");
  REQUIRE(WriteWholeFile(folder / "model/index.json", "{}", false).ok());
  REQUIRE(WriteWholeFile(folder / "single.pth", "x", false).ok());
  CHECK_FALSE(Apart(folder / "model/out.safetensors", {folder / "model"}));
  CHECK_FALSE(Apart(folder / "model", {folder / "model"}));
  CHECK_FALSE(Apart(folder / "model/out.safetensors", {folder / "model/index.json"}));
  CHECK_FALSE(Apart(folder.path.string(), {folder / "single.pth"}));
  CHECK(Apart(folder / "out.safetensors", {folder / "model"}));
}

TEST_CASE("a small file appears whole, and replaces only when told") {
  const Folder folder;
  const std::string path = folder / "report.json";
  REQUIRE(WriteWholeFile(path, "one", false).ok());
  const auto again = WriteWholeFile(path, "two", false);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code() == ErrorCode::kUsage);
  CHECK(*ReadTextFile(path) == "one");
  REQUIRE(WriteWholeFile(path, "two", true).ok());
  CHECK(*ReadTextFile(path) == "two");
  const auto nowhere = WriteWholeFile(folder / "absent/report.json", "x", false);
  REQUIRE_FALSE(nowhere.ok());
  CHECK(nowhere.error().code() == ErrorCode::kIo);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

}  // namespace
}  // namespace ckmap
