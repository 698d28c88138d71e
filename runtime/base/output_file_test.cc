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
#include <thread>

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

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

TEST_CASE("what replaces a file has its mode, and new files of a set are no more open than what the set replaces") {
  TempFolder folder;
  for (const char* name : {"a", "old1", "old2"}) Put(folder / name, "old");
  fs::permissions(folder / "a", fs::perms(0600));
  fs::permissions(folder / "old1", fs::perms(0640));
  REQUIRE(WriteWholeFile(folder / "a", "new", {.force = true}).ok());
  CHECK(ModeOf(folder / "a") == 0600);
  OutputSet set;
  AddText(set, folder / "old1", "1", true);
  AddText(set, folder / "new", "2", true);
  set.ReplaceAlso([&]() -> Result<std::vector<std::string>> { return std::vector<std::string>{folder / "old2"}; });
  REQUIRE(set.Publish({.force = true}).ok());
  CHECK(ModeOf(folder / "old1") == 0640);
  CHECK(ModeOf(folder / "new") == 0640);
  CHECK_FALSE(fs::exists(folder / "old2"));
  CHECK(folder.entries() == 3);
}

TEST_CASE("what belongs to a replaced set goes with it, and comes back if the new one cannot be") {
  TempFolder folder;
  for (const char* name : {"s1", "s2", "s3", "index.json"}) Put(folder / name, "old");
  const auto replace = [&](OutputSet& set) {
    set.ReplaceAlso([&]() -> Result<std::vector<std::string>> {
      return std::vector<std::string>{folder / "index.json", folder / "s1", folder / "s2", folder / "s3"};
    });
  };
  OutputSet set;
  AddText(set, folder / "s1", "new", true);
  replace(set);
  SUBCASE("") {
    REQUIRE(set.Publish({.force = true}).ok());
    CHECK(Get(folder / "s1") == "new");
    CHECK(folder.entries() == 1);
  }
  SUBCASE("not without force") {
    fs::remove(folder / "s1");
    const auto refused = set.Publish({});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == ErrorCode::kUsage);
    CHECK(Get(folder / "index.json") == "old");
    CHECK(folder.entries() == 3);
  }
  SUBCASE("a later file has no place") {
    AddText(set, folder / "x", "new", true);
    fs::create_directory(folder / "x");
    REQUIRE_FALSE(set.Publish({.force = true}).ok());
    for (const char* name : {"s1", "s2", "s3", "index.json"}) CHECK(Get(folder / name) == "old");
    CHECK(folder.entries() == 5);
  }
}

TEST_CASE("sets that are published at once are there one after the other") {
  constexpr int kRounds = 40;
  for (int round = 0; round < kRounds; ++round) {
    TempFolder folder;
    const bool force = round % 2 == 0;
    if (round % 4 == 0) Put(folder / "s1", "old");
    const auto publish = [&](const std::string& content, int files, bool& done) {
      OutputSet set;
      bool ok = set.AddFolder(folder / "new").ok();
      for (int i = 0; ok && i < files; ++i) {
        const auto file = set.Add(folder / ("new/s" + std::to_string(i)), 1, force);
        ok = file.ok() && WriteAt(set.fd(*file), 0, std::as_bytes(std::span(content))).ok();
      }
      set.ReplaceAlso([&]() -> Result<std::vector<std::string>> {
        std::vector<std::string> there;
        for (int i = 0; i < 5; ++i) {
          if (fs::exists(folder / ("new/s" + std::to_string(i))))
            there.push_back(folder / ("new/s" + std::to_string(i)));
        }
        return there;
      });
      done = ok && set.Publish({.force = force, .fsync = false}).ok();
    };
    bool first = false, second = false;
    std::thread other([&] { publish("a", 3, first); });
    publish("b", 5, second);
    other.join();
    REQUIRE((first || second));
    const std::string content = Get(folder / "new/s0");
    CHECK((content == "a" || content == "b"));
    CHECK((content == "a" ? first : second));
    size_t files = 0;
    for (const auto& entry : fs::directory_iterator(folder / "new")) {
      CHECK(Get(entry.path().string()) == content);
      ++files;
    }
    CHECK(files == (content == "a" ? 3 : 5));
  }
}

TEST_CASE("a link to a folder is not replaced") {
  TempFolder folder;
  fs::create_directory(folder / "model");
  fs::create_directory_symlink("model", folder / "link");
  OutputSet set;
  const auto refused = set.Add(folder / "link", 1, true);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message().find("is a link to a folder") != std::string::npos);
}

TEST_CASE("files opened beforehand are used in their folder, and leave nothing") {
  TempFolder folder;
  fs::create_directory(folder / "other");
  if (!ReserveUnnamed(folder.path(), 2)) {
    MESSAGE("no unnamed files here: not tested");
    return;
  }
  REQUIRE(WriteWholeFile(folder / "other/a", "1", {}).ok());
  REQUIRE(WriteWholeFile(folder / "a", "2", {}).ok());
  REQUIRE(WriteWholeFile(folder / "b", "3", {}).ok());
  REQUIRE(WriteWholeFile(folder / "c", "4", {}).ok());
  CHECK(Get(folder / "a") + Get(folder / "b") + Get(folder / "c") + Get(folder / "other/a") == "2341");
  CHECK(folder.entries() == 4);
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
