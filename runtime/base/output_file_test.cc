#include "runtime/base/output_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/base/file.h"
#include "runtime/base/output_names.h"
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

TEST_CASE("a replaced set is never a mixture: what was there goes first, its index before all") {
  TempFolder folder;
  for (const char* name : {"s1", "s2", "index"}) Put(folder / name, std::string("old ") + name);
  OutputSet set;
  for (const char* name : {"s1", "s2", "index"}) AddText(set, folder / name, std::string("new ") + name, true);
  SUBCASE("") {
    REQUIRE(set.Publish({.force = true, .fsync = true}).ok());
    for (const char* name : {"s1", "s2", "index"}) CHECK(Get(folder / name) == std::string("new ") + name);
  }
  SUBCASE("and comes back if one cannot be replaced") {
    fs::remove(folder / "s2");
    fs::create_directory(folder / "s2");
    REQUIRE_FALSE(set.Publish({.force = true, .fsync = true}).ok());
    CHECK(Get(folder / "s1") == "old s1");
    CHECK(fs::is_directory(folder / "s2"));
    CHECK(Get(folder / "index") == "old index");
  }
  CHECK(folder.entries() == 3);
}

TEST_CASE("a new folder is made when the set is published") {
  TempFolder folder;
  OutputSet set;
  REQUIRE(set.AddFolder(folder / "new/").ok());
  AddText(set, folder / "new/a", "1");
  AddText(set, folder / "new/index", "2");
  CHECK(folder.entries() == 0);
  REQUIRE(set.Publish({}).ok());
  CHECK(Get(folder / "new/a") == "1");
  CHECK(folder.entries() == 1);
}

TEST_CASE("only files and links are replaced") {
  TempFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  OutputSet set;
  const auto refused = set.Add(folder / "pipe", 1, true);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message().find("pipe or socket") != std::string::npos);
  Put(folder / "file", "kept");
  fs::create_symlink(folder / "file", folder / "link");
  AddText(set, folder / "link", "new", true);
  REQUIRE(set.Publish({.force = true, .fsync = false}).ok());
  CHECK(Get(folder / "file") == "kept");
  CHECK(Get(folder / "link") == "new");
  CHECK(folder.entries() == 3);
}

TEST_CASE("a folder that vanishes is an error, not a crash") {
  TempFolder folder;
  fs::create_directory(folder / "out");
  OutputSet set;
  AddText(set, folder / "out/a", "x");
  fs::remove_all(folder / "out");
  const auto published = set.Publish({});
  REQUIRE_FALSE(published.ok());
  CHECK(published.error().code() == ErrorCode::kIo);
  CHECK(folder.entries() == 0);
}

TEST_CASE("a limit on file sizes is an error") {
  TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    OutputSet set;
    const auto added = set.Add(folder / "a", 4096, false);
    ::_exit(!added.ok() && added.error().code() == ErrorCode::kIo ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(folder.entries() == 0);
}

TEST_CASE("what a killed program left is removed by the next that makes the same file, and nothing else") {
  TempFolder folder;
  Put(folder / ".a.ckmap-1-0123456789abcdef.partial", "left over");
  Put(folder / ".a.ckmap-1-0123456789abcdee.replaced", "left over");
  Put(folder / ".b.ckmap-1-0123456789abcdef.partial", "another file's");
  const std::string busy = folder / ".a.ckmap-2-0123456789abcdef.partial";
  const int fd = ::open(busy.c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  OutputSet set;
  AddText(set, folder / "a", "x");
  REQUIRE(set.Publish({}).ok());
  CHECK(fs::exists(busy));
  CHECK(fs::exists(folder / ".b.ckmap-1-0123456789abcdef.partial"));
  CHECK(folder.entries() == 3);
  ::close(fd);
}

TEST_CASE("files that need a name at once: made, published, replaced, removed") {
  TempFolder folder;
  const std::string first = TemporaryName(folder.path(), folder / "a", ".partial");
  const int fd = OpenNamed(first);
  REQUIRE(fd >= 0);
  CHECK(RenameNoReplace(first, folder / "a") == 0);
  const std::string second = TemporaryName(folder.path(), folder / "a", ".partial");
  const int other = OpenNamed(second);
  REQUIRE(other >= 0);
  CHECK(RenameNoReplace(second, folder / "a") == -1);
  CHECK(errno == EEXIST);
  CHECK(ExchangeNames(second, folder / "a") == 0);
  CHECK(fs::exists(second));
  ::close(fd);
  ::close(other);
  RemoveStale(folder.path(), folder / "a");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a small file appears whole, and replaces only when told") {
  const TempFolder folder;
  const std::string path = folder / "report.json";
  REQUIRE(WriteWholeFile(path, "one", {}).ok());
  const auto again = WriteWholeFile(path, "two", {});
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code() == ErrorCode::kUsage);
  CHECK(*ReadTextFile(path) == "one");
  REQUIRE(WriteWholeFile(path, "two", {.force = true}).ok());
  CHECK(*ReadTextFile(path) == "two");
  const auto nowhere = WriteWholeFile(folder / "absent/report.json", "x", {});
  REQUIRE_FALSE(nowhere.ok());
  CHECK(nowhere.error().code() == ErrorCode::kIo);
  CHECK(folder.entries() == 1);
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
