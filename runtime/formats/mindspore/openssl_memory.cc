#include "runtime/formats/mindspore/openssl_memory.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>

#include <openssl/crypto.h>

namespace ckmap {
namespace {

// Memory that takes pages only once it is used. Blocks are not reused: what setting up takes stays until the end,
// nearly all of it. All ciphers and the random numbers together were measured to ask for a third of this.
class Reserve {
 public:
  void* Take(size_t size) {
    if (size > kBytes) return nullptr;
    const size_t block = (size + kHead + kAlign - 1) / kAlign * kAlign;
    size_t begin = used_.load();
    do {
      if (block > kBytes - begin) return nullptr;
    } while (!used_.compare_exchange_weak(begin, begin + block));
    std::byte* const head = memory_.data() + begin;
    std::memcpy(head, &size, sizeof size);
    return head + kHead;
  }

  bool Holds(const void* data) const {
    return std::less_equal<>{}(static_cast<const void*>(memory_.data()), data) &&
           std::less<>{}(data, static_cast<const void*>(memory_.data() + memory_.size()));
  }

  static size_t SizeOf(const void* data) {
    size_t size = 0;
    std::memcpy(&size, static_cast<const std::byte*>(data) - kHead, sizeof size);
    return size;
  }

 private:
  static constexpr size_t kBytes = size_t{2} << 20;
  static constexpr size_t kAlign = alignof(std::max_align_t), kHead = kAlign;  // the head holds the size

  alignas(std::max_align_t) std::array<std::byte, kBytes> memory_{};
  std::atomic<size_t> used_{0};
};

Reserve reserve;

void* Allocate(size_t size, const char* /*file*/, int /*line*/) {
  void* const data = std::malloc(size);
  return data != nullptr ? data : reserve.Take(size);
}

void Free(void* data, const char* /*file*/, int /*line*/) {
  if (!reserve.Holds(data)) std::free(data);
}

void* Reallocate(void* old, size_t size, const char* file, int line) {
  if (old == nullptr) return Allocate(size, file, line);
  if (size == 0) {
    Free(old, file, line);
    return nullptr;
  }
  const bool reserved = reserve.Holds(old);
  if (!reserved) {
    void* const data = std::realloc(old, size);
    if (data != nullptr) return data;
  }
  const size_t held = reserved ? Reserve::SizeOf(old) : ::malloc_usable_size(old);
  void* const data = Allocate(size, file, line);
  if (data == nullptr) return nullptr;  // `old` stays as it is
  std::memcpy(data, old, std::min(held, size));
  Free(old, file, line);
  return data;
}

}  // namespace

CipherContext NewCipherContext() {
  // Refused where OpenSSL has allocated before, as in a program that uses it itself: then its memory is that program's.
  [[maybe_unused]] static const int set = ::CRYPTO_set_mem_functions(Allocate, Reallocate, Free);
  return CipherContext(::EVP_CIPHER_CTX_new());
}

}  // namespace ckmap
