#include "runtime/formats/output_file.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/base/file.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, std::string_view text) { std::ofstream(path) << text; }
std::string Get(const std::string& path) { return *ReadTextFile(path); }

size_t AddText(OutputSet& set, const std::string& path, std::string_view text, bool force = false) {
  const auto file = set.Add(path, static_cast<int64_t>(text.size()), force);
  REQUIRE(file.ok());
  REQUIRE(WriteAt(set.fd(*file), 0, std::as_bytes(std::span(text))).ok());
  return *file;
}

TEST_CASE("a file has its name only after Publish") {
  TempFolder folder;
  OutputSet set;
  AddText(set, folder / "a", "hello");
  CHECK_FALSE(fs::exists(folder / "a"));
  CHECK(folder.entries() == 1);
  REQUIRE(set.Publish({}).ok());
  CHECK(Get(folder / "a") == "hello");
  CHECK(folder.entries() == 1);
}

TEST_CASE("an unpublished set leaves nothing, not even the folder it made") {
  TempFolder folder;
  {
    OutputSet set;
    REQUIRE(set.AddFolder(folder / "new").ok());
    AddText(set, folder / "new/a", "x");
    AddText(set, folder / "b", "y");
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("what is there stays without force") {
  TempFolder folder;
  Put(folder / "a", "old");
  OutputSet set;
  const auto refused = set.Add(folder / "a", 3, false);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code() == ErrorCode::kUsage);
  CHECK(Get(folder / "a") == "old");
}

TEST_CASE("a file that appears meanwhile is not replaced, and the set takes back what it named") {
  TempFolder folder;
  OutputSet set;
  AddText(set, folder / "a", "1");
  AddText(set, folder / "b", "2");
  Put(folder / "b", "another program's");
  const auto published = set.Publish({});
  REQUIRE_FALSE(published.ok());
  CHECK(published.error().code() == ErrorCode::kUsage);
  CHECK_FALSE(fs::exists(folder / "a"));
  CHECK(Get(folder / "b") == "another program's");
  CHECK(folder.entries() == 1);
}

TEST_CASE("force replaces, and failure brings back what was replaced") {
  TempFolder folder;
  Put(folder / "a", "old a");
  {
    OutputSet set;
    AddText(set, folder / "a", "new a", true);
    AddText(set, folder / "b", "new b", true);
    fs::create_directory(folder / "b");  // cannot be replaced by a file
    Put(folder / "b/inside", "");
    const auto published = set.Publish({.force = true, .fsync = true});
    REQUIRE_FALSE(published.ok());
    CHECK(Get(folder / "a") == "old a");
    CHECK(fs::exists(folder / "b/inside"));
    CHECK(folder.entries() == 2);
  }
  OutputSet set;
  AddText(set, folder / "a", "newer", true);
  REQUIRE(set.Publish({.force = true, .fsync = false}).ok());
  CHECK(Get(folder / "a") == "newer");
}

TEST_CASE("too large for the disk is said before a byte is written") {
  TempFolder folder;
  OutputSet set;
  const auto refused = set.Add(folder / "a", int64_t{1} << 60, false);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code() == ErrorCode::kIo);
  CHECK(refused.error().message().find("free") != std::string::npos);
  CHECK(folder.entries() == 0);
}

TEST_CASE("names as long as the file system takes") {
  TempFolder folder;
  OutputSet set;
  const std::string name(255, 'n');
  AddText(set, folder / name, "x");
  REQUIRE(set.Publish({}).ok());
  CHECK(fs::exists(folder / name));
}

TEST_CASE("a signal handler removes what is temporary") {
  TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGTERM, [](int) {
      RemoveTemporaryFiles();
      ::_exit(143);
    });
    OutputSet set;
    if (!set.AddFolder(folder / "new") || !set.Add(folder / "new/a", 10, false)) ::_exit(1);
    if (!set.Add(folder / "b", 10, false)) ::_exit(1);
    ::raise(SIGTERM);
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 143);
  CHECK(folder.entries() == 0);
}

}  // namespace
}  // namespace ckmap
