#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/formats/torch/torch.h"
#include "runtime/formats/zip/zip_archive.h"
#include "tests/support/open_path.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
const std::string kTorch = CKMAP_TEST_DATA "/torch/";
const std::string kHostile = CKMAP_TEST_DATA "/hostile/";

std::vector<std::string> FilesWithOracles(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".pt.json")) files.push_back(path.substr(0, path.size() - 5));
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool IsLegacy(const std::string& path) { return fs::path(path).filename().string().starts_with("legacy_"); }

TEST_CASE("what torch reads from its zip files is what we read") {
  int read = 0;
  for (const std::string& path : FilesWithOracles(kTorch)) {
    const TorchOracle oracle = ReadTorchOracle(path + ".json");
    if (IsLegacy(path) || !oracle.refuse_scope.empty()) continue;
    CAPTURE(path);
    const auto checkpoint = OpenPath(OpenTorchZip, path, {});
    const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
    REQUIRE(failure == "");
    CHECK(CompareWithOracle(**checkpoint, oracle) == "");
    CHECK((*checkpoint)->CheckUnchanged().ok());
    const bool unchecked = path.ends_with("no_crc32.pt") || path.ends_with("skip_data.pt");
    CHECK(ReadAll(**checkpoint, !unchecked).ok());
    ++read;
  }
  CHECK(read >= 31);
}

TEST_CASE("files that hold no tensors for us are refused whole") {
  for (const std::string& path : FilesWithOracles(kTorch)) {
    if (IsLegacy(path) || ReadTorchOracle(path + ".json").refuse_scope != "file") continue;
    CAPTURE(path);
    const auto checkpoint = OpenPath(OpenTorchZip, path, {});
    REQUIRE(!checkpoint.ok());
    CHECK(checkpoint.error().code() == ErrorCode::kMalformed);
  }
}

TEST_CASE("entries without elements are listed and say why") {
  for (const std::string& path : FilesWithOracles(kTorch)) {
    if (IsLegacy(path) || ReadTorchOracle(path + ".json").refuse_scope != "entry") continue;
    CAPTURE(path);
    const auto checkpoint = OpenPath(OpenTorchZip, path, {});
    REQUIRE(checkpoint.ok());
    REQUIRE((*checkpoint)->manifest().size() > 0);
    for (const TensorInfo& tensor : (*checkpoint)->manifest().tensors()) CHECK(tensor.unreadable != "");
  }
}

TEST_CASE("hostile zip archives and pickles") {
  for (const HostileFile& hostile : ReadHostileIndex(kHostile + "torch_index.json")) {
    if (hostile.format != "torch-zip") continue;
    CAPTURE(hostile.file);
    CAPTURE(hostile.why);
    const auto checkpoint = OpenPath(OpenTorchZip, kHostile + hostile.file, {});
    const bool verify = hostile.must == "refuse";
    const Result<void> status = checkpoint.ok() ? ReadAll(**checkpoint, verify) : Result<void>(checkpoint.error());
    const std::string failure = status.ok() ? "" : status.error().message();
    if (hostile.must == "refuse") {
      REQUIRE(!status.ok());
      CHECK(status.error().code() == ErrorCode::kMalformed);
      CHECK(failure.size() < 1000);
    } else if (hostile.must == "accept") {
      CHECK(failure == "");
    }
    if (status.ok()) CHECK(CompareWithOracle(**checkpoint, ReadTorchOracle(kHostile + hostile.file + ".json")) == "");
  }
}

TEST_CASE("a refused global is named with its byte and nothing else is needed to find it") {
  const auto checkpoint = OpenPath(OpenTorchZip, kHostile + "pkl_global_os.system.pt", {});
  REQUIRE(!checkpoint.ok());
  CHECK(checkpoint.error().message().find("GLOBAL: refused: \"os.system\"") != std::string::npos);
  CHECK(checkpoint.error().message().find("nothing was executed") != std::string::npos);
  const auto module = OpenPath(OpenTorchZip, kTorch + "refuse_module.pt", {});
  CHECK(module.error().message().find("state_dict") != std::string::npos);
}

TEST_CASE("root picks the dict that holds the tensors") {
  OpenOptions options;
  options.root = "model";
  const auto model = OpenPath(OpenTorchZip, kTorch + "zip_training.pt", options);
  REQUIRE(model.ok());
  CHECK((*model)->manifest().Find("embed.weight").has_value());
  CHECK(!(*model)->manifest().Find("rng").has_value());
  options.root = "optimizer.state.0";
  const auto state = OpenPath(OpenTorchZip, kTorch + "zip_training.pt", options);
  REQUIRE(state.ok());
  CHECK((*state)->manifest().size() == 3);
  CHECK((*state)->manifest()[0].name == "step");
  options.root = "net";
  const auto absent = OpenPath(OpenTorchZip, kTorch + "zip_training.pt", options);
  REQUIRE(!absent.ok());
  CHECK(absent.error().code() == ErrorCode::kUsage);
  CHECK(absent.error().message().find("\"model\" (11 tensors), \"optimizer.state.0\" (3 tensors)") !=
        std::string::npos);
}

// The fixture with other bytes in a record's place, of the same number.
std::string WithRecord(const std::string& fixture, const std::string& record, const std::string& bytes) {
  const std::string path = (fs::temp_directory_path() / "ckmap_torch_record.pt").string();
  {
    auto file = InputFile::Open(fixture);
    REQUIRE(file.ok());
    const auto archive = ZipArchive::Open(*file);
    REQUIRE(archive.ok());
    const auto& members = archive->members();
    const auto member =
        std::find_if(members.begin(), members.end(), [&](const ZipMember& m) { return m.name.ends_with(record); });
    REQUIRE(member != members.end());
    REQUIRE(!member->deflated);
    REQUIRE(member->size == static_cast<int64_t>(bytes.size()));
    fs::copy_file(fixture, path, fs::copy_options::overwrite_existing);
    std::fstream copy(path, std::ios::in | std::ios::out | std::ios::binary);
    copy.seekp(member->data_offset);
    copy << bytes;
  }
  const auto checkpoint = OpenPath(OpenTorchZip, path, {});
  const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
  fs::remove(path);
  return failure;
}

TEST_CASE("torch's own records are read as torch does, and what it does not understand is refused") {
  const std::string file = kTorch + "zip_protocol4.pt";
  CHECK(WithRecord(file, "/version", "10") == "");
  CHECK(WithRecord(file, "/version", " 1") == "");
  for (const char* version : {"11", "0\n", "x\n", "3x", "  "}) {
    CHECK(WithRecord(file, "/version", version).find("record \"version\" says") != std::string::npos);
  }
  CHECK(WithRecord(file, "/.storage_alignment", "8 ") == "");
  CHECK(WithRecord(file, "/.storage_alignment", "6a").find("which is no number") != std::string::npos);
  CHECK(WithRecord(file, "/.data/serialization_id", std::string(40, 'x')) == "");
  CHECK(WithRecord(file, "/.data/serialization_id", std::string(40, '\xff')).find("is not UTF-8") != std::string::npos);
}

TEST_CASE("records without a CRC-32 are read, and told of") {
  const auto checkpoint = OpenPath(OpenTorchZip, kTorch + "zip_no_crc32.pt", {});
  REQUIRE(checkpoint.ok());
  REQUIRE((*checkpoint)->warnings().size() == 1);
  CHECK((*checkpoint)->warnings()[0].find("set_crc32_options(False)") != std::string::npos);
  CHECK((*checkpoint)->VerifyStorage(0).ok());
}

TEST_CASE("stored records are runs of the file, deflated ones are not") {
  const auto stored = OpenPath(OpenTorchZip, kTorch + "zip_default.pt", {});
  REQUIRE(stored.ok());
  const auto extents = (*stored)->storage_extents(0);
  REQUIRE(extents.size() == 1);
  CHECK(extents[0].length == (*stored)->storage_bytes(0));
  CHECK(extents[0].offset % 64 == 0);
  const auto deflated = OpenPath(OpenTorchZip, kHostile + "zip_deflated.pt", {});
  REQUIRE(deflated.ok());
  CHECK((*deflated)->storage_extents(0).empty());
}

}  // namespace
}  // namespace ckmap
