#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/formats/storage/pieced_source.h"
#include "runtime/formats/torch/torch.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
const std::string kTorch = CKMAP_TEST_DATA "/torch/";

// A copy of a fixture that may be damaged.
class Copy {
 public:
  explicit Copy(const std::string& folder)
      : path_(fs::temp_directory_path() / ("ckmap-dcp-" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::copy(folder, path_, fs::copy_options::recursive);
  }
  ~Copy() { fs::remove_all(path_); }
  std::string path() const { return path_.string(); }
  // Replaces the first `from` by `to`, of equal length.
  void Patch(const std::string& file, const std::string& from, const std::string& to) const {
    std::ifstream in(path_ / file, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    in.close();
    const size_t at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    REQUIRE(from.size() == to.size());
    bytes.replace(at, from.size(), to);
    std::ofstream(path_ / file, std::ios::binary) << bytes;
  }

 private:
  fs::path path_;
};

TEST_CASE("what torch joins from the pieces of a distributed checkpoint is what we read") {
  for (const std::string name : {"dcp_single", "dcp_two_ranks"}) {
    CAPTURE(name);
    CHECK(LooksLikeTorchDistributed(kTorch + name));
    const auto checkpoint = OpenTorchDistributed(kTorch + name, {});
    const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
    REQUIRE(failure == "");
    CHECK(CompareWithOracle(**checkpoint, ReadTorchOracle(kTorch + name + ".json")) == "");
    CHECK(ReadAll(**checkpoint, true).ok());
    CHECK((*checkpoint)->CheckUnchanged().ok());
  }
  CHECK(!LooksLikeTorchDistributed(kTorch));
}

TEST_CASE("root keeps the names under it") {
  OpenOptions options;
  options.root = "model";
  const auto checkpoint = OpenTorchDistributed(kTorch + "dcp_single", options);
  REQUIRE(checkpoint.ok());
  CHECK((*checkpoint)->manifest().Find("fc.weight").has_value());
  options.root = "net";
  const auto absent = OpenTorchDistributed(kTorch + "dcp_single", options);
  REQUIRE(!absent.ok());
  CHECK(absent.error().code() == ErrorCode::kUsage);
}

TEST_CASE("data files outside of the folder, code and missing files are refused") {
  const Copy copy(kTorch + "dcp_two_ranks");
  SUBCASE("a path") { copy.Patch(".metadata", "__0_0.distcp", "../../passwd"); }
  SUBCASE("a missing file") { fs::remove(fs::path(copy.path()) / "__1_0.distcp"); }
  SUBCASE("a global") { copy.Patch(".metadata", "StorageMeta", "SystemMetas"); }
  SUBCASE("a layout") { copy.Patch(".metadata", "torch.strided", "torch.strifed"); }
  SUBCASE("a name that is not where its keys lead") { copy.Patch(".metadata", "whole", "wholu"); }
  SUBCASE("a damaged item") { copy.Patch("__1_0.distcp", "FloatStorage", "ShortStorage"); }
  SUBCASE("a cut file") { fs::resize_file(fs::path(copy.path()) / "__1_0.distcp", 100); }
  CHECK(!OpenTorchDistributed(copy.path(), {}).ok());
}

TEST_CASE("pieces must tile the tensor") {
  const auto source = MemorySource(std::string("\0\1\2\3\4\5", 6));
  const SourcePiece left{{0, 0}, {2, 2}, 0, source.get()};
  const SourcePiece right{{0, 2}, {2, 1}, 4, source.get()};
  const auto whole = PiecedSource({2, 3}, 1, {left, right});
  REQUIRE(whole.ok());
  std::string bytes(6, '\xff');
  REQUIRE((*whole)->Read(0, std::as_writable_bytes(std::span(bytes))).ok());
  CHECK(bytes == std::string("\0\1\4\2\3\5", 6));
  std::string middle(3, '\xff');
  REQUIRE((*whole)->Read(1, std::as_writable_bytes(std::span(middle))).ok());
  CHECK(middle == std::string("\1\4\2", 3));
  CHECK(!PiecedSource({2, 3}, 1, {left}).ok());
  CHECK(!PiecedSource({2, 3}, 1, {left, left, right}).ok());
  CHECK(!PiecedSource({2, 2}, 1, {left, right}).ok());
}

}  // namespace
}  // namespace ckmap
