#include "runtime/formats/mindspore/ms_cipher.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "runtime/base/check.h"

namespace ckmap {

const EVP_CIPHER* FindCipher(CipherMode mode, size_t key_bytes) {
  if (mode == CipherMode::kSm4Cbc) return key_bytes == 16 ? ::EVP_sm4_cbc() : nullptr;
  const bool gcm = mode == CipherMode::kAesGcm;
  switch (key_bytes) {
    case 16:
      return gcm ? ::EVP_aes_128_gcm() : ::EVP_aes_128_cbc();
    case 24:
      return gcm ? ::EVP_aes_192_gcm() : ::EVP_aes_192_cbc();
    case 32:
      return gcm ? ::EVP_aes_256_gcm() : ::EVP_aes_256_cbc();
    default:
      return nullptr;
  }
}

Error WrongKeyLength(CipherMode mode, size_t key_bytes) {
  return {ErrorCode::kMalformed,
          fmt::format("a key of {} bytes does not fit {}, which takes {} (hexadecimal digits go after `hex:`)",
                      key_bytes, CipherModeName(mode), mode == CipherMode::kSm4Cbc ? "16" : "16, 24 or 32")};
}

std::string_view CipherModeName(CipherMode mode) {
  switch (mode) {
    case CipherMode::kAesGcm:
      return "AES-GCM";
    case CipherMode::kAesCbc:
      return "AES-CBC";
    case CipherMode::kSm4Cbc:
      return "SM4-CBC";
  }
  CKMAP_CHECK(false);
}

std::optional<CipherMode> ParseCipherMode(std::string_view name) {
  for (const CipherMode mode : {CipherMode::kAesGcm, CipherMode::kAesCbc, CipherMode::kSm4Cbc}) {
    const bool same = std::equal(name.begin(), name.end(), CipherModeName(mode).begin(), CipherModeName(mode).end(),
                                 [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
    if (same) return mode;
  }
  return std::nullopt;
}

}  // namespace ckmap
