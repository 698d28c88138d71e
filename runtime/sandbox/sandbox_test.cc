#include "runtime/sandbox/sandbox.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "runtime/base/output_file.h"
#include "runtime/base/parallel.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr int kNoSandbox = 77;

struct Places {
  TempFolder folder;
  SandboxRules rules;

  Places() {
    for (const char* name : {"in", "out", "secret"}) fs::create_directory(folder / name);
    for (const char* name : {"in/a", "secret/b", "secret/c"}) std::ofstream(folder / name) << name;
    fs::create_symlink("../secret/b", folder / "in/link");
    std::ofstream(folder / "out/old") << "old";
    rules = {{folder / "in"}, {{folder / "out/a", false, true, 3}, {folder / "out/new", true, true, 2}}};
  }
};

// What a child process in the sandbox of `places` ends with, as waitpid tells it.
int StatusInside(const Places& places, const std::function<int(const Places&)>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const SandboxState state = EnterSandbox(places.rules);
    ::_exit(state.files && state.calls && state.open_folders.empty() ? body(places) : kNoSandbox);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

// True, with a message, where the kernel or a sanitizer leaves nothing to test.
bool Unavailable() {
  static const bool unavailable = [] {
    const int status = StatusInside(Places(), [](const Places&) { return 0; });
    return WIFEXITED(status) && WEXITSTATUS(status) == kNoSandbox;
  }();
  if (unavailable) MESSAGE("no sandbox here: not tested");
  return unavailable;
}

bool Opens(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

TEST_CASE("inside, inputs are read and nothing else is") {
  if (Unavailable()) return;
  const int status = StatusInside(Places(), [](const Places& places) {
    if (!Opens(places.folder / "in/a", O_RDONLY)) return 1;
    if (!Opens(places.folder / "in/link", O_RDONLY)) return 2;
    if (Opens(places.folder / "in/a", O_WRONLY)) return 3;
    if (Opens(places.folder / "in/new", O_WRONLY | O_CREAT)) return 4;
    if (Opens(places.folder / "secret/c", O_RDONLY) || errno != EACCES) return 5;
    if (Opens("/etc/passwd", O_RDONLY)) return 6;
    if (Opens("/proc/self/environ", O_RDONLY)) return 7;
    if (Opens(places.folder / "absent", O_RDONLY) || errno != ENOENT) return 8;
    return 0;
  });
  CHECK(status == 0);
}

TEST_CASE("inside, files are made beside the output and nowhere else") {
  if (Unavailable()) return;
  const Places places;
  const int status = StatusInside(places, [](const Places& inside) {
    const std::string out = inside.folder / "out/";
    if (!WriteWholeFile(out + "a", "one", {})) return 1;
    if (!WriteWholeFile(out + "a", "two", {.force = true})) return 2;
    // What lies there can be neither read nor overwritten.
    if (Opens(out + "old", O_RDONLY) || Opens(out + "old", O_WRONLY) || ::truncate((out + "old").c_str(), 0) == 0)
      return 8;
    if (Opens(out + "other", O_WRONLY | O_CREAT)) return 9;
    OutputSet set;
    if (!set.AddFolder(out + "new") || !set.Add(out + "new/x", 1, false) || !set.Add(out + "new/y", 1, false)) return 3;
    if (!set.Publish({})) return 4;
    if (WriteWholeFile(inside.folder / "secret/d", "x", {})) return 5;
    if (::unlink((inside.folder / "secret/b").c_str()) == 0) return 6;
    if (::rename((out + "a").c_str(), (inside.folder / "secret/a").c_str()) == 0) return 7;
    return 0;
  });
  CHECK(status == 0);
  CHECK(fs::exists(places.folder / "out/a"));
  CHECK(fs::exists(places.folder / "out/new/y"));
}

TEST_CASE("inside, an output that replaces nothing cannot remove a file") {
  if (Unavailable()) return;
  Places places;
  places.rules.outputs = {{places.folder / "out/a", false, false, 1}};
  const int status = StatusInside(places, [](const Places& inside) {
    const std::string out = inside.folder / "out/";
    if (::unlink((out + "old").c_str()) == 0) return 1;
    if (::rename((out + "old").c_str(), (out + "b").c_str()) == 0) return 2;
    if (::mkdir((out + "c").c_str(), 0700) == 0) return 3;
    if (!WriteWholeFile(out + "a", "one", {})) return 4;
    return 0;
  });
  CHECK(status == 0);
  CHECK(fs::exists(places.folder / "out/old"));
  CHECK(fs::exists(places.folder / "out/a"));
}

TEST_CASE("inside, a replaced file keeps its mode") {
  if (Unavailable()) return;
  const Places places;
  std::ofstream(places.folder / "out/a") << "old";
  fs::permissions(places.folder / "out/a", fs::perms(0600));
  const int status = StatusInside(places, [](const Places& inside) {
    return WriteWholeFile(inside.folder / "out/a", "new", {.force = true}) ? 0 : 1;
  });
  CHECK(status == 0);
  CHECK(fs::status(places.folder / "out/a").permissions() == fs::perms(0600));
}

TEST_CASE("inside, threads, times and terminals work") {
  if (Unavailable()) return;
  const int status = StatusInside(Places(), [](const Places&) {
    std::thread([] {}).join();
    const auto done = ForEachInParallel(4, 8, []() -> ItemBody { return [](size_t) { return Result<void>(); }; });
    if (!done) return 1;
    const std::time_t now = std::time(nullptr);
    std::tm fields{};
    if (::localtime_r(&now, &fields) == nullptr || DefaultThreads() < 1) return 2;
    winsize size{};
    if (::ioctl(0, TIOCGWINSZ, &size) != 0 && errno != ENOTTY) return 3;
    return 0;
  });
  CHECK(status == 0);
}

TEST_CASE("inside, programs, processes and the network end the process") {
  if (Unavailable()) return;
  const auto killed_by = [](int (*body)()) {
    const int status = StatusInside(Places(), [body](const Places&) { return body(); });
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  };
  CHECK(killed_by([] { return ::execl("/bin/true", "true", nullptr); }) == SIGSYS);
  CHECK(killed_by([] { return static_cast<int>(::fork()); }) == SIGSYS);
  CHECK(killed_by([] { return ::socket(AF_INET, SOCK_STREAM, 0); }) == SIGSYS);
  CHECK(killed_by([] { return ::socket(AF_UNIX, SOCK_DGRAM, 0); }) == SIGSYS);
  CHECK(killed_by([] { return ::memfd_create("x", 0); }) == SIGSYS);
  CHECK(killed_by([] {
          std::thread([] { ::execl("/bin/true", "true", nullptr); }).join();
          return 0;
        }) == SIGSYS);
}

TEST_CASE("inside, memory is never executable, signals stay at home, and a terminal cannot be typed on") {
  if (Unavailable()) return;
  const int status = StatusInside(Places(), [](const Places&) {
    if (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
      return 1;
    }
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || ::mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0) return 2;
    if (::kill(::getppid(), 0) == 0) return 3;
    if (::ioctl(0, TIOCSTI, "x") == 0 || errno != ENOTTY) return 4;
    if (::symlink("/etc/passwd", "link") == 0 || errno != ENOSYS) return 5;
    return 0;
  });
  CHECK(status == 0);
}

}  // namespace
}  // namespace ckmap
