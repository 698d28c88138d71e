// The system calls of a conversion, as a seccomp filter.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include <fmt/format.h>

#include "runtime/sandbox/sandbox.h"

namespace ckmap {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
constexpr uint32_t kArchitecture = 0;  // not known here: no filter
#endif

// Frequent ones first.
constexpr int kAllowed[] = {
    SYS_pread64,
    SYS_pwrite64,
    SYS_futex,
    SYS_read,
    SYS_write,
    SYS_madvise,
    SYS_munmap,
    SYS_brk,
    SYS_mremap,
    // files
    SYS_openat,
    SYS_close,
    SYS_fstat,
    SYS_lseek,
    SYS_readv,
    SYS_writev,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_getcwd,
    SYS_fcntl,
    SYS_flock,
    SYS_dup,
    SYS_dup3,
    SYS_fadvise64,
    SYS_readahead,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_fallocate,
    SYS_ftruncate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_linkat,
    SYS_renameat2,
    SYS_fchmod,
    SYS_fchown,
    SYS_umask,
    SYS_mincore,
    SYS_msync,
#ifdef SYS_newfstatat
    SYS_newfstatat,
#endif
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef __x86_64__
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_link,
    SYS_rename,
    SYS_dup2,
    SYS_getdents,
    SYS_poll,
    SYS_time,
#endif
    // threads, signals, time, the process itself
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_membarrier,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_ppoll,
    SYS_getrandom,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_times,
    SYS_mlock,
    SYS_munlock,
    SYS_getcpu,
#ifdef SYS_getrlimit
    SYS_getrlimit,
#endif
#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef SYS_pipe2
    SYS_pipe2,
#endif
};

// Nothing that ckmap or its libraries do, and all that an intruder would want.
constexpr int kFatal[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_open_by_handle_at,
    SYS_userfaultfd,
    SYS_setuid,
    SYS_setgid,
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef __x86_64__
    SYS_fork,
    SYS_vfork,
#endif
};

constexpr uint32_t kArgument0 = offsetof(seccomp_data, args[0]);
constexpr uint32_t kArgument1 = offsetof(seccomp_data, args[1]);
constexpr uint32_t kArgument2 = offsetof(seccomp_data, args[2]);

// The lower half of an argument; the architectures above are little-endian.
class Filter {
 public:
  Filter() {
    Load(offsetof(seccomp_data, arch));
    // A call through another interface of the processor has other numbers.
    If(BPF_JEQ, kArchitecture, 1, 0);
    Return(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
  }

  void Answer(int call, uint32_t answer) {
    If(BPF_JEQ, static_cast<uint32_t>(call), 0, 1);
    Return(answer);
  }

  // The call is allowed if its argument has one of these values.
  void AllowValues(int call, uint32_t argument, std::initializer_list<uint32_t> values, uint32_t otherwise) {
    If(BPF_JEQ, static_cast<uint32_t>(call), 0, static_cast<uint8_t>(2 + 2 * values.size()));
    Load(argument);
    for (const uint32_t value : values) {
      If(BPF_JEQ, value, 0, 1);
      Return(SECCOMP_RET_ALLOW);
    }
    Return(otherwise);
  }

  // The call is answered so if its argument has all or some of these bits.
  void IfBits(int call, uint32_t argument, uint32_t bits, uint32_t some, uint32_t none) {
    If(BPF_JEQ, static_cast<uint32_t>(call), 0, 4);
    Load(argument);
    If(BPF_JSET, bits, 0, 1);
    Return(some);
    Return(none);
  }

  // All other calls; empty, or why it could not be.
  std::string Install() {
    Return(kUnknown);
    const sock_fprog program{static_cast<uint16_t>(program_.size()), program_.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return "";
    return fmt::format("the kernel has no seccomp filters ({})", std::strerror(errno));
  }

  static constexpr uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;

 private:
  void Load(uint32_t offset) { program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
  void Return(uint32_t answer) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, answer)); }
  void If(uint16_t test, uint32_t value, uint8_t skip_if, uint8_t skip_else) {
    program_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, skip_if, skip_else));
  }

  std::vector<sock_filter> program_;
};

}  // namespace

std::string LimitSystemCalls(bool memory_files) {
  if (kArchitecture == 0) return "no list of system calls for this architecture";
  constexpr uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM;
  const auto self = static_cast<uint32_t>(::getpid());
  Filter filter;
  for (const int call : kAllowed) filter.Answer(call, SECCOMP_RET_ALLOW);
  for (const int call : kFatal) filter.Answer(call, SECCOMP_RET_KILL_PROCESS);
  filter.Answer(SYS_memfd_create, memory_files ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
  // Memory is never executable: what a file smuggles in cannot be run.
  filter.IfBits(SYS_mmap, kArgument2, PROT_EXEC, kDenied, SECCOMP_RET_ALLOW);
  filter.IfBits(SYS_mprotect, kArgument2, PROT_EXEC, kDenied, SECCOMP_RET_ALLOW);
  // Threads, but no processes. clone3 keeps its flags where no filter sees them: ENOSYS, and clone is used.
  filter.IfBits(SYS_clone, kArgument0, CLONE_THREAD, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
  // A terminal can be asked for its size, never be made to type (TIOCSTI).
  filter.AllowValues(SYS_ioctl, kArgument1,
                     {TCGETS, TIOCGWINSZ, static_cast<uint32_t>(FICLONE), static_cast<uint32_t>(FICLONERANGE)},
                     SECCOMP_RET_ERRNO | ENOTTY);
  filter.AllowValues(SYS_kill, kArgument0, {self}, kDenied);
  filter.AllowValues(SYS_tgkill, kArgument0, {self}, kDenied);
  filter.AllowValues(SYS_prlimit64, kArgument0, {0}, kDenied);
  return filter.Install();
}

}  // namespace ckmap
