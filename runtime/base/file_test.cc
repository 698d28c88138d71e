#include "runtime/base/file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "runtime/base/folder.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

ErrorCode CodeOfOpening(const std::string& path) {
  const auto file = InputFile::Open(path);
  REQUIRE_FALSE(file.ok());
  return file.error().code();
}

TEST_CASE("only regular files are read; nothing else is waited for") {
  TempFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  fs::create_symlink(folder / "loop", folder / "loop");
  CHECK(CodeOfOpening(folder / "pipe") == ErrorCode::kMalformed);
  CHECK(CodeOfOpening("/dev/zero") == ErrorCode::kMalformed);
  CHECK(CodeOfOpening(folder.path()) == ErrorCode::kMalformed);
  CHECK(CodeOfOpening(folder / "loop") == ErrorCode::kIo);
  CHECK(CodeOfOpening(folder / "absent") == ErrorCode::kIo);
}

TEST_CASE("a file that is changed, cut short or replaced while it is read is an error") {
  TempFolder folder;
  const std::string path = folder / "a";
  Put(path, "0123456789");
  const auto file = InputFile::Open(path);
  REQUIRE(file.ok());
  CHECK(file->CheckUnchanged().ok());
  std::array<std::byte, 4> bytes{};
  SUBCASE("cut short") {
    fs::resize_file(path, 5);
    const auto read = file->ReadAt(4, bytes);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().code() == ErrorCode::kIo);
    CHECK_FALSE(file->CheckUnchanged().ok());
  }
  SUBCASE("written to") {
    const std::array<timeval, 2> later = {timeval{2'000'000'000, 0}, timeval{2'000'000'000, 0}};
    Put(path, "9876543210");
    REQUIRE(::utimes(path.c_str(), later.data()) == 0);
    CHECK_FALSE(file->CheckUnchanged().ok());
  }
  SUBCASE("replaced") {
    Put(folder / "b", "0123456789");
    fs::rename(folder / "b", path);
    const auto unchanged = file->CheckUnchanged();
    REQUIRE_FALSE(unchanged.ok());
    CHECK(unchanged.error().message().find("replaced") != std::string::npos);
  }
  SUBCASE("removed: what was opened is still there") {
    fs::remove(path);
    CHECK(file->ReadAt(0, bytes).ok());
    CHECK(file->CheckUnchanged().ok());
  }
}

TEST_CASE("a folder's names, sorted") {
  const TempFolder folder;
  CHECK(ListFolder(folder.path())->empty());
  Put(folder / "b", "");
  Put(folder / ".a", "");
  fs::create_directory(folder / "c");
  CHECK(*ListFolder(folder.path()) == std::vector<std::string>{".a", "b", "c"});
  CHECK(ListFolder(folder / "d").error().message().find("/d: cannot list: No such file or directory") !=
        std::string::npos);
  CHECK_FALSE(ListFolder(folder / "b").ok());
}

}  // namespace
}  // namespace ckmap
