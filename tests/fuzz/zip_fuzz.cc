// Random bytes as a file of torch, in each of its containers; what opens is read whole. The file
// lies in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/torch/torch.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxRead = int64_t{1} << 20;

void ReadStorages(const Checkpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    if (!checkpoint.manifest()[i].unreadable.empty()) continue;
    const uint32_t storage = checkpoint.layout(i).storage;
    const int64_t count = std::min(checkpoint.storage_bytes(storage), kMaxRead);
    std::vector<std::byte> bytes(static_cast<size_t>(count));
    (void)checkpoint.ReadStorage(storage, checkpoint.storage_bytes(storage) - count, bytes);
    (void)checkpoint.VerifyStorage(storage);
  }
}

}  // namespace
}  // namespace ckmap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("fuzz", 0);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  for (const auto open : {ckmap::OpenTorchZip, ckmap::OpenTorchLegacy, ckmap::OpenTorchTar}) {
    auto file = ckmap::InputFile::Open(path);
    if (!file) return 0;
    const auto checkpoint = open(*std::move(file), {});
    if (checkpoint.ok()) ckmap::ReadStorages(**checkpoint);
  }
  return 0;
}
