#include "runtime/migrate/mapped_files.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>

namespace ckmap {

struct MappedFiles::Mapping {
  Mapping(int fd, bool writable) {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || status.st_size <= 0) return;
    size = static_cast<size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                                writable ? MAP_PRIVATE : MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) data = static_cast<const std::byte*>(mapped);
  }
  ~Mapping() {
    if (data != nullptr) ::munmap(const_cast<std::byte*>(data), size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const std::byte* data = nullptr;
  size_t size = 0;
};

std::shared_ptr<const std::byte> MappedFiles::Map(const FileExtent& extent) {
  const std::lock_guard lock(mutex_);
  auto& file = files_[extent.fd];
  if (file == nullptr) file = std::make_shared<const Mapping>(extent.fd, writable_);
  // The file may be shorter than it was when it was opened: what is not there must not be touched.
  if (file->data == nullptr || static_cast<size_t>(extent.offset + extent.length) > file->size) return nullptr;
  return {file, file->data + extent.offset};
}

std::shared_ptr<std::byte> AllocateElements(int64_t bytes) {
  constexpr std::align_val_t kAlignment{64};
  constexpr int64_t kLarge = int64_t{128} << 10;
  if (bytes >= kLarge) {
    // The allocator would keep what is given back, in as many places as there are threads; the kernel takes it at once.
    const auto size = static_cast<size_t>(bytes);
    void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    return {static_cast<std::byte*>(mapped), [size](std::byte* memory) { ::munmap(memory, size); }};
  }
  auto* const data = static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes), kAlignment, std::nothrow));
  if (data == nullptr) return nullptr;
  return {data, [](std::byte* memory) { ::operator delete(memory, kAlignment); }};
}

std::shared_ptr<const std::byte> MapElements(MappedFiles& maps, const FileExtent& extent, DType dtype) {
  const int bits = DTypeBits(dtype);
  const int64_t alignment = bits % 8 == 0 ? std::min(bits / 8, 8) : 1;
  // Files are mapped at a page, so that their offsets say how their bytes are aligned.
  return extent.offset % alignment == 0 ? maps.Map(extent) : nullptr;
}

}  // namespace ckmap
