// A library to preload: makes a program a server that runs its own main again and again, each time in a fork with
// another allocation failing. What comes before main (loading libraries, above all) is done once for all of them. See
// allocation_server.h, which speaks to it. operator new of the C++ library takes its memory from malloc, so this is
// both.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/faults/allocation_protocol.h"

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

using ckmap::faults::AllocationReply;
using ckmap::faults::AllocationRequest;

std::atomic<long> countdown{-1};  // armed while positive
std::atomic<bool> fail_all{false};
bool all_after = false;
std::atomic<bool>* told = nullptr;  // shared with the server: set when an allocation failed

bool Fails() {
  if (fail_all.load()) return true;
  if (countdown.load() <= 0 || countdown.fetch_sub(1) != 1) return false;
  fail_all.store(all_after);
  told->store(true);
  return true;
}

using Main = int (*)(int, char**, char**);
Main real_main = nullptr;

int FailingMain(const AllocationRequest& request, int argc, char** argv, char** environment) {
  ::close(ckmap::faults::kRequestDescriptor);
  ::close(ckmap::faults::kReplyDescriptor);
  ::alarm(ckmap::faults::kAlarmSeconds);  // a program that waits forever is ended by a signal
  all_after = request.all_after;
  countdown.store(request.at);
  const int code = real_main(argc, argv, environment);
  countdown.store(-1);
  fail_all.store(false);
  return code;
}

int ServingMain(int argc, char** argv, char** environment) {
  ::unsetenv("LD_PRELOAD");
  told = new (::mmap(nullptr, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
      std::atomic<bool>{false};
  AllocationRequest request;
  while (::read(ckmap::faults::kRequestDescriptor, &request, sizeof request) == sizeof request) {
    told->store(false);
    if (::ftruncate(STDOUT_FILENO, 0) != 0 || ::ftruncate(STDERR_FILENO, 0) != 0) return 1;
    const pid_t child = ::fork();
    if (child == 0) return FailingMain(request, argc, argv, environment);
    AllocationReply reply;
    if (::waitpid(child, &reply.status, 0) != child) return 1;
    reply.failed = told->load();
    if (::write(ckmap::faults::kReplyDescriptor, &reply, sizeof reply) != sizeof reply) return 1;
  }
  ::_exit(0);
}

void* OutOfMemory() {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

extern "C" {

int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(), void (*rtld_fini)(),
                      void* stack_end) {
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  const auto start = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  real_main = main;
  return start(ServingMain, argc, argv, init, fini, rtld_fini, stack_end);
}

void* malloc(size_t size) { return Fails() ? OutOfMemory() : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return Fails() ? OutOfMemory() : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return Fails() ? OutOfMemory() : __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) { return Fails() ? OutOfMemory() : __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** result, size_t alignment, size_t size) {
  if (Fails()) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}
}
