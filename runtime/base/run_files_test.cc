#include "runtime/base/run_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/run_list.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

bool Refused(const std::string& path) {
  const Result<OutputClaim> claim = OutputClaim::Make(path);
  if (!claim) CHECK(claim.error().code() == ErrorCode::kUsage);
  return !claim.ok();
}

TEST_CASE("what was opened is no output, under none of its names") {
  const TempFolder folder;
  const RunFiles run;
  fs::create_directories(folder / "in/below");
  Put(folder / "in/a", "x");
  Put(folder / "b", "y");
  fs::create_symlink("in/a", folder / "link");
  fs::create_symlink("link", folder / "link_to_link");
  fs::create_hard_link(folder / "in/a", folder / "hard");
  fs::create_directory_symlink("in", folder / "way");
  REQUIRE(ReadTextFile(folder / "link").ok());
  for (const char* name : {"in/a", "in/./a", "in/below/../a", "link", "link_to_link", "hard", "way/a"}) {
    CAPTURE(name);
    CHECK(Refused(folder / name));
  }
  for (const char* name : {"b", "in/b", "new", "absent/a"}) CHECK_FALSE(Refused(folder / name));
  SUBCASE("not even when its name is gone") {
    fs::remove(folder / "link");
    CHECK(Refused(folder / "link"));
  }
}

TEST_CASE("nothing is made in a folder that is read as a whole") {
  const TempFolder folder;
  const RunFiles run;
  fs::create_directories(folder / "model/below");
  fs::create_directory_symlink("model", folder / "way");
  EnterInputFolder(folder / "model");
  for (const char* name : {"model", "model/", "model/new", "model/below/new", "way/new", "model/absent/new"}) {
    CAPTURE(name);
    CHECK(Refused(folder / name));
  }
  CHECK_FALSE(Refused(folder / "model.ckpt"));
}

TEST_CASE("two outputs are never one file") {
  const TempFolder folder;
  const RunFiles run;
  const Result<OutputClaim> first = OutputClaim::Make(folder / "new/Report.json");
  REQUIRE(first.ok());
  CHECK(Refused(folder / "new/Report.json"));
  CHECK(Refused(folder / "new//Report.json"));
  CHECK(Refused(folder / "new/report.json"));
  CHECK_FALSE(Refused(folder / "new/other.json"));
  {
    const Result<OutputClaim> other = OutputClaim::Make(folder / "other");
    CHECK(Refused(folder / "other"));
  }
  CHECK_FALSE(Refused(folder / "other"));
}

TEST_CASE("a claim whose file is read later refuses the next claim") {
  const TempFolder folder;
  const RunFiles run;
  Put(folder / "config.json", "{}");
  const Result<OutputClaim> report = OutputClaim::Make(folder / "config.json");
  REQUIRE(report.ok());
  REQUIRE(ReadTextFile(folder / "config.json").ok());
  CHECK(Refused(folder / "x.ckpt"));
}

TEST_CASE("a run that has ended keeps no list") {
  const TempFolder folder;
  Put(folder / "a", "x");
  {
    const RunFiles run;
    REQUIRE(ReadTextFile(folder / "a").ok());
    CHECK_FALSE(WriteWholeFile(folder / "a", "y", {.force = true}).ok());
  }
  CHECK(WriteWholeFile(folder / "a", "y", {.force = true}).ok());
}

// Other contents of the same size, with the time of modification put back.
void ChangeUnnoticed(const std::string& path) {
  struct stat before {};
  REQUIRE(::stat(path.c_str(), &before) == 0);
  std::fstream(path, std::ios::in | std::ios::out) << "z";
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

TEST_CASE("an input that changes is noticed, its time of modification put back or not") {
  const TempFolder folder;
  const RunFiles run;
  Put(folder / "a", "x");
  const auto file = InputFile::Open(folder / "a");
  REQUIRE(file.ok());
  CHECK(CheckInputsUnchanged().ok());
  CHECK(file->CheckUnchanged().ok());
  SUBCASE("in place") {
    ChangeUnnoticed(folder / "a");
    const auto changed = file->CheckUnchanged();
    REQUIRE_FALSE(changed.ok());
    CHECK(changed.error().code() == ErrorCode::kIo);
    CHECK_FALSE(InputFile::Open(folder / "a").ok());
    // No output gets its name then.
    CHECK_FALSE(WriteWholeFile(folder / "new", "y", {}).ok());
    CHECK_FALSE(fs::exists(folder / "new"));
  }
  SUBCASE("by another file") {
    Put(folder / "b", "x");
    fs::rename(folder / "b", folder / "a");
    CHECK_FALSE(file->CheckUnchanged().ok());
  }
  CHECK_FALSE(CheckInputsUnchanged().ok());
}

TEST_CASE("an input that loses its name, or gets another, is whole") {
  const TempFolder folder;
  const RunFiles run;
  Put(folder / "a", "x");
  const auto file = InputFile::Open(folder / "a");
  SUBCASE("removed") { fs::remove(folder / "a"); }
  SUBCASE("moved") { fs::rename(folder / "a", folder / "b"); }
  SUBCASE("linked") { fs::create_hard_link(folder / "a", folder / "b"); }
  CHECK(file->CheckUnchanged().ok());
  CHECK(CheckInputsUnchanged().ok());
}

TEST_CASE("a file that is changed in place is checked, and read again as it is then") {
  const TempFolder folder;
  const RunFiles run;
  Put(folder / "a", "x");
  REQUIRE(ReadTextFile(folder / "a").ok());
  const PublishOptions options{.force = true, .fsync = false, .in_place = true};
  SUBCASE("") {
    REQUIRE(WriteWholeFile(folder / "a", "y", options).ok());
    CHECK(*ReadTextFile(folder / "a") == "y");
  }
  SUBCASE("but not where somebody else changed it meanwhile") {
    ChangeUnnoticed(folder / "a");
    CHECK_FALSE(WriteWholeFile(folder / "a", "y", options).ok());
  }
}

TEST_CASE("a list of a library holds what its scopes open, and lives as long as it does") {
  const TempFolder folder;
  Put(folder / "a", "x");
  Put(folder / "b", "y");
  {
    const RunList list;
    {
      const RunList::Scope scope(list);
      REQUIRE(ReadTextFile(folder / "a").ok());
    }
    REQUIRE(ReadTextFile(folder / "b").ok());
    CHECK(Refused(folder / "a"));
    CHECK_FALSE(Refused(folder / "b"));
    Put(folder / "a", "changed");
    CHECK(CheckInputsUnchanged().ok());  // of no concern to whoever is not in its scope
    const RunList::Scope scope(list);
    CHECK_FALSE(CheckInputsUnchanged().ok());
  }
  CHECK_FALSE(Refused(folder / "a"));
}

}  // namespace
}  // namespace ckmap
