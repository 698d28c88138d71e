// Random bytes as a file of MindSpore: `.ckpt`, MindIR, or encrypted with a fixed key. What opens is
// read whole. The file lies in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/formats/mindspore/mindir.h"
#include "runtime/formats/mindspore/ms_ckpt.h"
#include "runtime/formats/mindspore/ms_crypto.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxRead = int64_t{1} << 20;

void ReadAllOf(const Result<std::unique_ptr<Checkpoint>>& opened) {
  if (!opened) return;
  const Checkpoint& checkpoint = **opened;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    const TensorInfo& info = checkpoint.manifest()[i];
    CKMAP_CHECK(NumBytes(info.shape, info.dtype).has_value());
    if (!info.unreadable.empty()) continue;
    const uint32_t storage = checkpoint.layout(i).storage;
    CKMAP_CHECK(*NumBytes(info.shape, info.dtype) <= checkpoint.storage_bytes(storage));
    const int64_t count = std::min(checkpoint.storage_bytes(storage), kMaxRead);
    std::vector<std::byte> bytes(static_cast<size_t>(count));
    (void)checkpoint.ReadStorage(storage, checkpoint.storage_bytes(storage) - count, bytes);
    (void)checkpoint.VerifyStorage(storage);
  }
}

void OpenAll(const std::string& path) {
  const auto open = [&path] { return InputFile::Open(path); };
  auto file = open();
  if (!file) return;
  const OpenOptions options{.key = SecretKey("0123456789ABCDEF")};
  if (DetectCipher(*file)->has_value()) {
    auto source = OpenDecrypted(*std::move(file), options);
    if (source) ReadAllOf(OpenMsCkpt(*std::move(source)));
    return;
  }
  auto plain = MakePlainSource(*std::move(file));
  (void)LooksLikeMsCkpt(*plain);
  (void)LooksLikeMsStrategy(*plain);
  if (LooksLikeMindIr(*plain)) {
    ReadAllOf(OpenMindIr(std::move(plain)));
  } else {
    ReadAllOf(OpenMsCkpt(std::move(plain)));
  }
}

}  // namespace
}  // namespace ckmap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("fuzz", 0);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  ckmap::OpenAll("/proc/self/fd/" + std::to_string(fd));
  return 0;
}
