#include "runtime/formats/torch/torch_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/formats/torch/torch.h"
#include "tests/support/open_path.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("ckmap-torch-" + std::to_string(::getpid()))) {
    fs::create_directory(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

TEST_CASE("what is written is read back the same, all dtypes, scalars and empty tensors") {
  const Folder folder;
  const std::string path = folder.File("out.pt");
  std::vector<OutputTensor> tensors = {
      {"scalar", DType::kF32, {}}, {"empty", DType::kF64, {0, 3}}, {"a.b", DType::kF32, {300, 2}}};
  for (const DType dtype : {DType::kBool,       DType::kI8,     DType::kU8,     DType::kI16,    DType::kU16,
                            DType::kI32,        DType::kU32,    DType::kI64,    DType::kU64,    DType::kF16,
                            DType::kBF16,       DType::kF64,    DType::kF8E4M3, DType::kF8E5M2, DType::kF8E4M3Fnuz,
                            DType::kF8E5M2Fnuz, DType::kF8E8M0, DType::kC32,    DType::kC64,    DType::kC128}) {
    tensors.push_back({"t_" + std::string(DTypeName(dtype)), dtype, {2, 3}});
  }
  auto writer = CreateTorch(path, tensors, {});
  REQUIRE(writer.ok());
  std::vector<std::string> contents;
  for (size_t i = 0; i < tensors.size(); ++i) {
    contents.emplace_back(static_cast<size_t>(*NumBytes(tensors[i].shape, tensors[i].dtype)),
                          static_cast<char>('a' + i));
    REQUIRE((*writer)->Write(i, 0, std::as_bytes(std::span(contents[i]))).ok());
    for (const FileExtent& extent : (*writer)->extents(i)) CHECK(extent.offset % 64 == 0);
  }
  CHECK(!fs::exists(path));
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  CHECK(static_cast<int64_t>(fs::file_size(path)) == (*writer)->total_bytes());

  const auto checkpoint = OpenPath(OpenTorchZip, path, {});
  const std::string failure = checkpoint.ok() ? "" : checkpoint.error().message();
  REQUIRE(failure == "");
  REQUIRE((*checkpoint)->manifest().size() == tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = (*checkpoint)->manifest()[i];
    CHECK(info.name == tensors[i].name);
    CHECK(info.dtype == tensors[i].dtype);
    CHECK(info.shape == tensors[i].shape);
    CHECK(*LogicalBytes(**checkpoint, i) == contents[i]);
  }
  CHECK(ReadAll(**checkpoint, true).ok());
  if (const char* keep = std::getenv("CKMAP_KEEP_TORCH")) fs::copy_file(path, keep);
}

TEST_CASE("what torch cannot hold is refused before anything is written") {
  const Folder folder;
  const std::string path = folder.File("out.pt");
  const auto packed = CreateTorch(path, {{"w", DType::kI4, {2}}, {"v", DType::kF6E2M3, {4}}}, {});
  REQUIRE(!packed.ok());
  CHECK(packed.error().code() == ErrorCode::kMismatch);
  WriteOptions sharded;
  sharded.max_shard_size = 100;
  CHECK(CreateTorch(path, {{"w", DType::kF32, {2}}}, sharded).error().code() == ErrorCode::kUsage);
  CHECK(!fs::exists(path));
}

}  // namespace
}  // namespace ckmap
