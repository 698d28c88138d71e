#include "runtime/exec/budget.h"

#include <sys/mman.h>

#include <algorithm>

namespace ckmap {

Budget Budget::Make(int threads, int64_t max_memory) {
  constexpr int64_t kLeast = int64_t{512} << 10;
  Budget budget;
  budget.threads = static_cast<int>(std::clamp<int64_t>(max_memory / kLeast, 1, std::max(threads, 1)));
  const int64_t each = std::max(max_memory / budget.threads, kLeast);
  budget.strip = std::clamp<int64_t>(each / 8, int64_t{64} << 10, int64_t{2} << 20) / 4096 * 4096;
  budget.convert = budget.strip / 4;
  budget.staging = (each - budget.strip - budget.convert) / 4096 * 4096;
  return budget;
}

Budget Budget::ForOperands() { return Make(1, int64_t{2} << 20); }

Buffer::Buffer(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
  void* data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return;
  ::madvise(data, bytes_, MADV_HUGEPAGE);  // without it everything is only slower
  data_ = static_cast<std::byte*>(data);
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace ckmap
