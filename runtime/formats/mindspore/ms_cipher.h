// What reading and writing MindSpore's encrypted files share (their layout: ms_crypto.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <openssl/evp.h>

#include "runtime/base/result.h"
#include "runtime/base/secret_key.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

inline constexpr uint32_t kCipherMagic = 0x7F3A5ED8;  // AES-GCM; the other modes follow it
inline constexpr int64_t kTagBytes = 16;
inline constexpr int64_t kIvBytes = 16;
inline constexpr int kGcmNonceBytes = 12;
inline constexpr int64_t kMaxPlainBlock = int64_t{64} << 20;
inline constexpr int64_t kCipherUnit = 16;  // bytes that the ciphers work on

struct CipherContextFree {
  // Wipes the expanded key too.
  void operator()(EVP_CIPHER_CTX* context) const { ::EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextFree>;

inline const unsigned char* RawBytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* RawBytes(std::byte* data) { return reinterpret_cast<unsigned char*>(data); }
inline const unsigned char* RawBytes(const std::byte* data) { return reinterpret_cast<const unsigned char*>(data); }

// The cipher for a key of this length; nullptr where the mode takes no such key.
const EVP_CIPHER* FindCipher(CipherMode mode, size_t key_bytes);

// "a key of 15 bytes does not fit AES-GCM, which takes 16, 24 or 32"
Error WrongKeyLength(CipherMode mode, size_t key_bytes);

// Bytes before a block's cipher text.
constexpr int64_t BlockHeadBytes(CipherMode mode) {
  return 4 + (mode == CipherMode::kAesGcm ? kTagBytes : 0) + 4 + 4 + kIvBytes + 4;
}

// "AES-GCM", "AES-CBC", "SM4-CBC".
std::string_view CipherModeName(CipherMode mode);

// "aes-gcm", "aes-cbc", "sm4-cbc", in any case.
std::optional<CipherMode> ParseCipherMode(std::string_view name);

}  // namespace ckmap
