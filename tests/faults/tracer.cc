#include "tests/faults/tracer.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "tests/faults/scenarios.h"

namespace ckmap::faults {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

[[noreturn]] void RunChild(const std::vector<std::string>& command, const std::string& output_path) {
  if (!RedirectOutput(output_path)) ::_exit(126);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(126);
  ::raise(SIGSTOP);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

#ifdef __x86_64__
// Arguments of a call that are paths, where there are some.
bool NamesPath(const Call& call, const std::string& folder) {
  std::array<int, 2> paths = {-1, -1};
  switch (call.number) {
    case SYS_open:
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_statfs:
    case SYS_readlink:
      paths = {0, -1};
      break;
    case SYS_openat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_readlinkat:
      paths = {1, -1};
      break;
    default:
      return false;
  }
  return call.Text(call.arguments.at(static_cast<size_t>(paths[0]))).starts_with(folder);
}

class Tracer {
 public:
  explicit Tracer(const TraceOptions& options) : options_(options) {}

  TraceResult Run(const std::vector<std::string>& command) {
    main_ = ::fork();
    if (main_ < 0) Die("fork");
    if (main_ == 0) RunChild(command, options_.output_path);
    int status = 0;
    if (::waitpid(main_, &status, 0) != main_ || !WIFSTOPPED(status)) Die("the child did not stop");
    constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC;
    if (::ptrace(PTRACE_SETOPTIONS, main_, nullptr, kOptions) != 0) Die("ptrace");
    Continue(main_, 0);
    for (;;) {
      const pid_t thread = ::waitpid(-1, &status, __WALL);
      if (thread < 0) Die("waitpid");
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        pending_.erase(thread);
        if (thread != main_) continue;
        result_.status = status;
        return result_;
      }
      Stopped(thread, status);
    }
  }

 private:
  struct Pending {
    bool inside = false;
    bool counted = false;
    Verdict verdict;
    Call call;
  };

  void Continue(pid_t thread, int signal) {
    // A thread that was killed meanwhile is gone: its end comes next.
    (void)::ptrace(PTRACE_SYSCALL, thread, nullptr, static_cast<long>(signal));
  }

  void Stopped(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      Pending& pending = pending_[thread];
      pending.inside = !pending.inside;
      pending.inside ? Enter(thread, pending) : Leave(thread, pending);
      Continue(thread, 0);
      return;
    }
    const bool event = signal == SIGTRAP && (status >> 16) != 0;
    const bool first_stop = signal == SIGSTOP && !pending_.contains(thread);
    if (first_stop) pending_[thread];
    Continue(thread, event || first_stop ? 0 : signal);
  }

  void Enter(pid_t thread, Pending& pending) {
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0) return;
    Call& call = pending.call;
    call.number = static_cast<long>(registers.orig_rax);
    call.arguments = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
    call.process = main_;
    armed_ = armed_ || NamesPath(call, options_.from);
    pending.counted = armed_ && call.number != SYS_exit_group && call.number != SYS_exit;
    pending.verdict = {};
    if (!pending.counted) return;
    call.index = result_.calls++;
    pending.verdict = options_.decide(call);
    switch (pending.verdict.kind) {
      case Verdict::Kind::kPass:
        return;
      case Verdict::Kind::kKill:
        ::kill(main_, SIGKILL);
        return;
      case Verdict::Kind::kFail:
        // The kernel closes the file also where it reports an error, and ends its locks.
        if (call.number == SYS_close) return;
        if (call.number == SYS_brk)
          registers.rdi = 0;  // it reports no error, only where the break still is
        else
          registers.orig_rax = static_cast<unsigned long long>(-1);
        break;
      case Verdict::Kind::kShorten:
        if (call.number != SYS_read && call.number != SYS_write && call.number != SYS_pread64 &&
            call.number != SYS_pwrite64)
          return;
        if (registers.rdx > 1) registers.rdx = registers.rdx / 2;
        break;
    }
    (void)::ptrace(PTRACE_SETREGS, thread, nullptr, &registers);
  }

  void Leave(pid_t thread, Pending& pending) {
    if (!pending.counted) return;
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0) return;
    if (pending.verdict.kind != Verdict::Kind::kPass) {
      // A call leaves its arguments as they are, and code behind it counts on that.
      registers.rdi = pending.call.arguments[0];
      registers.rdx = pending.call.arguments[2];
      if (pending.verdict.kind == Verdict::Kind::kFail && pending.call.number != SYS_brk) {
        registers.rax = static_cast<unsigned long long>(-pending.verdict.error);
      }
      (void)::ptrace(PTRACE_SETREGS, thread, nullptr, &registers);
    }
    if (options_.done) options_.done(pending.call, static_cast<int64_t>(registers.rax));
  }

  const TraceOptions& options_;
  TraceResult result_;
  pid_t main_ = 0;
  bool armed_ = false;
  std::map<pid_t, Pending> pending_;
};
#endif

}  // namespace

std::string Call::Memory(uint64_t address, size_t length) const {
  std::string bytes(length, '\0');
  const iovec local{bytes.data(), length};
  const iovec remote{reinterpret_cast<void*>(address), length};  // NOLINT: an address of another process
  const ssize_t count = ::process_vm_readv(process, &local, 1, &remote, 1, 0);
  bytes.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return bytes;
}

std::string Call::Text(uint64_t address) const {
  // Up to the end of the page first: the next one may not be there.
  constexpr uint64_t kPage = 4096;
  std::string bytes = Memory(address, static_cast<size_t>(kPage - address % kPage));
  if (bytes.find('\0') == std::string::npos) bytes += Memory(address + bytes.size(), kPage);
  return bytes.substr(0, bytes.find('\0'));
}

#ifdef __x86_64__
TraceResult Trace(const std::vector<std::string>& command, const TraceOptions& options) {
  return Tracer(options).Run(command);
}

bool CanTrace() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}
#else
TraceResult Trace(const std::vector<std::string>&, const TraceOptions&) { return {}; }
bool CanTrace() { return false; }
#endif

std::string CallName(long number) {
  static const std::map<long, const char*> names = {
      {SYS_openat, "openat"},
      {SYS_close, "close"},
      {SYS_read, "read"},
      {SYS_pread64, "pread64"},
      {SYS_write, "write"},
      {SYS_pwrite64, "pwrite64"},
      {SYS_fsync, "fsync"},
      {SYS_fallocate, "fallocate"},
      {SYS_ftruncate, "ftruncate"},
      {SYS_linkat, "linkat"},
      {SYS_renameat2, "renameat2"},
      {SYS_dup, "dup"},
      {SYS_flock, "flock"},
      {SYS_getdents64, "getdents64"},
      {SYS_statfs, "statfs"},
      {SYS_mmap, "mmap"},
      {SYS_munmap, "munmap"},
      {SYS_madvise, "madvise"},
      {SYS_brk, "brk"},
      {SYS_futex, "futex"},
      {SYS_newfstatat, "newfstatat"},
      {SYS_prctl, "prctl"},
      {SYS_getrandom, "getrandom"},
      {SYS_rt_sigaction, "rt_sigaction"},
      {SYS_rt_sigprocmask, "rt_sigprocmask"},
      {SYS_mprotect, "mprotect"},
#ifdef __x86_64__
      {SYS_open, "open"},
      {SYS_access, "access"},
      {SYS_rename, "rename"},
      {SYS_unlink, "unlink"},
      {SYS_mkdir, "mkdir"},
      {SYS_rmdir, "rmdir"},
      {SYS_readlink, "readlink"},
#endif
  };
  const auto it = names.find(number);
  return it == names.end() ? "call " + std::to_string(number) : it->second;
}

}  // namespace ckmap::faults
