// no_exec PROGRAM ARGUMENT…: runs the program so that the kernel kills it (SIGSYS) when it starts another program or
// opens a socket. The program itself is started by one execve, which is let through because its path lies at
// an address that the filter knows; in the new program's memory that address means nothing.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter knows x86-64 and AArch64"
#endif

constexpr uint32_t kForbidden[] = {
    __NR_execveat, __NR_socket, __NR_connect, __NR_bind,   __NR_accept,
    __NR_accept4,  __NR_sendto, __NR_sendmsg, __NR_ptrace, __NR_process_vm_writev,
};

sock_filter Load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter Return(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
sock_filter JumpIfEqual(uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

std::vector<sock_filter> Filter(const char* allowed_path) {
  const auto address = reinterpret_cast<uint64_t>(allowed_path);
  std::vector<sock_filter> filter = {
      Load(offsetof(seccomp_data, arch)),
      JumpIfEqual(kArchitecture, 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(offsetof(seccomp_data, nr)),
      JumpIfEqual(__NR_execve, 0, 6),
      Load(offsetof(seccomp_data, args[0])),
      JumpIfEqual(static_cast<uint32_t>(address), 0, 3),
      Load(offsetof(seccomp_data, args[0]) + 4),
      JumpIfEqual(static_cast<uint32_t>(address >> 32), 0, 1),
      Return(SECCOMP_RET_ALLOW),
      Return(SECCOMP_RET_KILL_PROCESS),
  };
  for (const uint32_t number : kForbidden) {
    filter.push_back(JumpIfEqual(number, 0, 1));
    filter.push_back(Return(SECCOMP_RET_KILL_PROCESS));
  }
  filter.push_back(Return(SECCOMP_RET_ALLOW));
  return filter;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: no_exec PROGRAM ARGUMENT…\n");
    return 2;
  }
  std::vector<sock_filter> filter = Filter(argv[1]);
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("no_exec: cannot install the filter");
    return 2;
  }
  ::execve(argv[1], argv + 1, environ);
  std::fprintf(stderr, "no_exec: cannot run %s: %s\n", argv[1], std::strerror(errno));
  return 2;
}
