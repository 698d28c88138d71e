// Encrypted files. Bytes as they are: whatever their blocks say, opening and reading ends well. And bytes as plain
// content: what is encrypted decrypts to the same, and with one bit turned over AES-GCM gives out nothing of it.
#include "runtime/formats/mindspore/ms_crypto.h"
#include "runtime/formats/mindspore/ms_encrypt.h"
#include "tests/fuzz/fuzz_file.h"

namespace ckmap {
namespace {

constexpr std::string_view kKey = "0123456789ABCDEF";

std::unique_ptr<ByteSource> Open(const std::string& path) {
  auto file = InputFile::Open(path);
  if (!file || !DetectCipher(*file)->has_value()) return nullptr;
  auto source = OpenDecrypted(*std::move(file), {.key = SecretKey(std::string(kKey))});
  return source ? *std::move(source) : nullptr;
}

void ReadAsItIs(const std::string& path) {
  const auto source = Open(path);
  if (source == nullptr) return;
  std::vector<std::byte> some(static_cast<size_t>(std::min<int64_t>(source->size(), 4096)));
  (void)source->ReadAt(0, some);
  (void)source->ReadAt(source->size() - static_cast<int64_t>(some.size()), some);
}

void ThereAndBack(const uint8_t* data, size_t size, CipherMode mode) {
  const std::string path = FuzzFile(data, size);
  static const int sealed = ::memfd_create("sealed", 0);
  if (::ftruncate(sealed, 0) != 0) std::abort();
  auto plain = InputFile::Open(path);
  CKMAP_CHECK(plain.ok());
  const auto length = static_cast<int64_t>(size);
  CKMAP_CHECK(EncryptFile(plain->fd(), length, sealed, mode, SecretKey(std::string(kKey)), 1).ok());
  const std::string sealed_path = "/proc/self/fd/" + std::to_string(sealed);
  const auto source = Open(sealed_path);
  CKMAP_CHECK(source != nullptr && source->size() == length);
  std::vector<std::byte> back(size);
  CKMAP_CHECK(source->ReadAt(0, back).ok());
  CKMAP_CHECK(std::equal(back.begin(), back.end(), reinterpret_cast<const std::byte*>(data)));
  if (mode != CipherMode::kAesGcm) return;
  const auto at = static_cast<off_t>(EncryptedBytes(length, mode) - 1 - data[0] % length);
  unsigned char byte = 0;
  CKMAP_CHECK(::pread(sealed, &byte, 1, at) == 1);
  byte = static_cast<unsigned char>(byte ^ 4);
  CKMAP_CHECK(::pwrite(sealed, &byte, 1, at) == 1);
  const auto damaged = Open(sealed_path);
  CKMAP_CHECK(damaged == nullptr || !damaged->ReadAt(0, back).ok());
}

}  // namespace
}  // namespace ckmap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadAsItIs(ckmap::FuzzFile(data, size));
  if (size < 2) return 0;
  ckmap::ThereAndBack(data + 1, size - 1, static_cast<ckmap::CipherMode>(data[0] % 3));
  return 0;
}
