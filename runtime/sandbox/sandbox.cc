#include "runtime/sandbox/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "runtime/base/output_names.h"

namespace ckmap {
namespace {

// Landlock's interface (Documentation/userspace-api/landlock.rst), written down here because the headers of a
// system may be older than its kernel. The numbers of its calls are the same on all architectures.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr unsigned kAskVersion = 1;
constexpr int kPathBeneath = 1;

constexpr uint64_t kWriteFile = 1U << 1;
constexpr uint64_t kReadFile = 1U << 2;
constexpr uint64_t kReadFolder = 1U << 3;
constexpr uint64_t kRemoveFolder = 1U << 4;
constexpr uint64_t kRemoveFile = 1U << 5;
constexpr uint64_t kMakeFolder = 1U << 7;
constexpr uint64_t kMakeFile = 1U << 8;
constexpr uint64_t kMakeLink = 1U << 12;  // to replace one; making one is no call that is allowed
constexpr uint64_t kMoveAcross = 1U << 13;
constexpr uint64_t kTruncate = 1U << 14;

constexpr uint64_t kRead = kReadFile | kReadFolder;
constexpr uint64_t kOfFiles = 1U | kWriteFile | kReadFile | kTruncate;  // rights that a rule for one file may name
constexpr uint64_t kWrite =
    kRead | kWriteFile | kRemoveFolder | kRemoveFile | kMakeFolder | kMakeFile | kMakeLink | kMoveAcross | kTruncate;

struct RulesetAttributes {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scopes = 0;
};

struct [[gnu::packed]] PathRule {
  uint64_t allowed = 0;
  int32_t parent = -1;
};

constexpr size_t kMaxLinks = 100'000;  // entries of a folder that are looked at

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Every right that this version of the interface knows; version 2 is the first that can move files between folders.
RulesetAttributes AllRights(long version) {
  RulesetAttributes all;
  const int rights = version >= 5 ? 16 : version >= 3 ? 15 : 14;
  all.files = (uint64_t{1} << rights) - 1;
  if (version >= 4) all.network = 3;  // bind and connect by TCP
  if (version >= 6) all.scopes = 3;   // abstract Unix sockets, signals
  return all;
}

class Landlock {
 public:
  // Empty, or why there is none.
  std::string Apply(const SandboxRules& rules) {
    const long version = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
    if (version < 0) return fmt::format("the kernel has no Landlock ({})", std::strerror(errno));
    if (version < 2) return "the kernel's Landlock is too old (version 1)";
    const RulesetAttributes all = AllRights(version);
    handled_ = all.files;
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    const FileDescriptor ruleset(static_cast<int>(::syscall(kCreateRuleset, &all, size, 0)));
    if (ruleset.get() < 0) return fmt::format("Landlock: {}", std::strerror(errno));
    ruleset_ = ruleset.get();
    for (const std::string& path : rules.read) AllowReading(path);
    // OpenSSL reads its configuration when it is first used; to have it do that now takes longer than all of this.
    for (const char* path : {"/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"}) {
      Allow(path, kRead);
    }
    for (const SandboxOutput& output : rules.outputs) AllowOutput(output);
    if (::syscall(kRestrictSelf, ruleset.get(), 0) != 0) return fmt::format("Landlock: {}", std::strerror(errno));
    return "";
  }

  // Folders where all had to be allowed.
  std::vector<std::string> open_folders() const { return open_folders_; }

 private:
  void AllowOutput(const SandboxOutput& output) {
    struct stat status {};
    const bool is_there = ::stat(output.path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    const bool makes_folder = output.folder && !is_there;
    std::string path = output.path;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const std::string folder = is_there ? path : FolderOf(path);
    if (::stat(folder.c_str(), &status) != 0) return;
    if (const std::optional<FolderLock> quiet = FolderLock::Try(folder)) {
      RemoveStale(folder, output.folder ? folder + "/" : path);
    }
    uint64_t rights = kReadFolder | kMakeFile;
    if (output.replaces || output.folder || output.files > 1) rights |= kRemoveFile;
    if (output.replaces) rights |= kMakeLink;
    if (makes_folder) rights |= kMakeFolder | kRemoveFolder | kMoveAcross;
    if (!ReserveUnnamed(folder, output.files) && UnnamedUnsupported(errno)) {
      open_folders_.push_back(folder);
      rights = kWrite;
    }
    Allow(folder, rights);
    AllowIndexes(folder);  // they say which files belong to an older checkpoint
  }

  void AllowIndexes(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), ::closedir);
    if (listing == nullptr) return;
    for (size_t seen = 0; seen < kMaxLinks; ++seen) {
      const dirent* entry = ::readdir(listing.get());
      if (entry == nullptr) return;
      const std::string_view name = entry->d_name;
      if (name.ends_with(".index.json") || name == "param_name_map.json")
        Allow(folder + "/" + entry->d_name, kReadFile);
    }
  }

  void Allow(const std::string& path, uint64_t rights) {
    const FileDescriptor fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status {};
    if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return;
    if (!S_ISDIR(status.st_mode)) rights &= kOfFiles;
    const PathRule rule{rights & handled_, fd.get()};
    // What cannot be allowed stays forbidden, and whoever opens it says so.
    (void)::syscall(kAddRule, ruleset_, kPathBeneath, &rule, 0);
  }

  void AllowReading(const std::string& path) {
    Allow(path, kRead);
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
    if (folder == nullptr) return;
    for (size_t seen = 0; seen < kMaxLinks; ++seen) {
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) return;
      if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) AllowLinked(path + "/" + entry->d_name);
    }
  }

  // Files only: a link to a folder would open all that is in it.
  void AllowLinked(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) Allow(path, kRead);
  }

  int ruleset_ = -1;
  std::vector<std::string> open_folders_;
  uint64_t handled_ = 0;
};

// Leak checkers and symbolizers of sanitizers start programs and trace threads.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kSanitizer = true;
#else
constexpr bool kSanitizer = false;
#endif
#else
constexpr bool kSanitizer = false;
#endif

}  // namespace

SandboxState EnterSandbox(const SandboxRules& rules) {
  SandboxState state;
  if (kSanitizer) {
    state.missing = "this program was built with a sanitizer";
    return state;
  }
  ::tzset();  // reads the time zone now, since it cannot later
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    state.missing = fmt::format("no_new_privs: {}", std::strerror(errno));
    return state;
  }
  Landlock landlock;
  state.missing = landlock.Apply(rules);
  state.open_folders = landlock.open_folders();
  state.files = state.missing.empty();
  const std::string calls = LimitSystemCalls(rules.memory_files);
  state.calls = calls.empty();
  if (!calls.empty()) state.missing += (state.missing.empty() ? "" : "; ") + calls;
  return state;
}

}  // namespace ckmap
