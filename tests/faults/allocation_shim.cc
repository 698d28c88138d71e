// A library to preload: the allocation of number CKMAP_FAIL_ALLOCATION since main began fails, and with CKMAP_FAIL_AFTER=1
// all after it. operator new of the C++ library takes its memory from malloc, so this is both. The file
// CKMAP_FAIL_TOLD is not empty then.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

std::atomic<long> countdown{-1};  // armed while positive
std::atomic<bool> fail_all{false};
bool all_after = false;
int told = -1;  // opened before main: a sandbox forbids it later

bool Fails() {
  if (fail_all.load()) return true;
  if (countdown.load() <= 0 || countdown.fetch_sub(1) != 1) return false;
  fail_all.store(all_after);
  const int saved = errno;
  (void)!::write(told, "x", 1);
  errno = saved;
  return true;
}

using Main = int (*)(int, char**, char**);
Main real_main = nullptr;

int CountingMain(int argc, char** argv, char** environment) {
  if (const char* path = std::getenv("CKMAP_FAIL_TOLD")) told = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (const char* after = std::getenv("CKMAP_FAIL_AFTER")) all_after = *after == '1';
  if (const char* number = std::getenv("CKMAP_FAIL_ALLOCATION")) countdown.store(std::atol(number));
  const int code = real_main(argc, argv, environment);
  countdown.store(-1);
  fail_all.store(false);
  return code;
}

void* OutOfMemory() {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

extern "C" {

int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(), void (*rtld_fini)(), void* stack_end) {
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  const auto start = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  real_main = main;
  return start(CountingMain, argc, argv, init, fini, rtld_fini, stack_end);
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
