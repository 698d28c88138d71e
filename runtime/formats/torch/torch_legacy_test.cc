#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <string>

#include "runtime/base/file.h"
#include "runtime/formats/torch/torch.h"
#include "tests/support/open_path.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
const std::string kTorch = CKMAP_TEST_DATA "/torch/";
const std::string kHostile = CKMAP_TEST_DATA "/hostile/";

bool IsTar(const std::string& path) { return path.ends_with("legacy_tar.pt"); }

Result<std::unique_ptr<Checkpoint>> Open(const std::string& path, bool tar) {
  return tar ? OpenPath(OpenTorchTar, path, {}) : OpenPath(OpenTorchLegacy, path, {});
}

std::array<bool, 3> Looks(const std::string& path) {
  const auto file = InputFile::Open(path);
  REQUIRE(file.ok());
  std::string head(static_cast<size_t>(std::min<int64_t>(file->size(), kTorchHeadBytes)), '\0');
  REQUIRE(file->ReadAt(0, std::as_writable_bytes(std::span(head))).ok());
  const auto bytes = std::as_bytes(std::span(head));
  return {LooksLikeTorchZip(bytes), LooksLikeTorchLegacy(bytes), LooksLikeTorchTar(bytes)};
}

TEST_CASE("what torch reads from its old containers is what we read") {
  int read = 0;
  for (const auto& entry : fs::directory_iterator(kTorch)) {
    const std::string path = entry.path().string();
    if (!entry.path().filename().string().starts_with("legacy_") || !path.ends_with(".pt")) continue;
    CAPTURE(path);
    const TorchOracle oracle = ReadTorchOracle(path + ".json");
    const auto checkpoint = Open(path, IsTar(path));
    if (oracle.refuse_scope == "file") {
      CHECK(!checkpoint.ok());
      continue;
    }
    const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
    REQUIRE(failure == "");
    if (oracle.refuse_scope == "entry") {
      for (const TensorInfo& tensor : (*checkpoint)->manifest().tensors()) CHECK(tensor.unreadable != "");
      continue;
    }
    CHECK(CompareWithOracle(**checkpoint, oracle) == "");
    ++read;
  }
  CHECK(read >= 7);
}

TEST_CASE("hostile old containers") {
  for (const HostileFile& hostile : ReadHostileIndex(kHostile + "torch_index.json")) {
    if (hostile.format != "torch-legacy" && hostile.format != "torch-tar") continue;
    CAPTURE(hostile.file);
    CAPTURE(hostile.why);
    const auto checkpoint = Open(kHostile + hostile.file, hostile.format == "torch-tar");
    const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
    if (hostile.must == "refuse") {
      REQUIRE(!checkpoint.ok());
      CHECK(checkpoint.error().code() == ErrorCode::kMalformed);
    } else if (hostile.must == "accept") {
      CHECK(failure == "");
    }
    if (checkpoint.ok())
      CHECK(CompareWithOracle(**checkpoint, ReadTorchOracle(kHostile + hostile.file + ".json")) == "");
  }
}

TEST_CASE("each container is recognised by its content alone") {
  CHECK(Looks(kTorch + "zip_default.pt") == std::array{true, false, false});
  CHECK(Looks(kTorch + "legacy_default.pt") == std::array{false, true, false});
  CHECK(Looks(kTorch + "legacy_protocol1.pt") == std::array{false, true, false});
  CHECK(Looks(kTorch + "legacy_protocol4.pt") == std::array{false, true, false});
  CHECK(Looks(kTorch + "legacy_tar.pt") == std::array{false, false, true});
  CHECK(Looks(kTorch + "legacy_tar.pt.json") == std::array{false, false, false});
}

}  // namespace
}  // namespace ckmap
