#include "runtime/base/sha256.h"

// The plain functions, which OpenSSL 3 would have replaced by EVP: those set the whole library up first, which takes
// milliseconds and, where memory runs out on the way, crashes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>

#include <fmt/format.h>

#include "runtime/base/check.h"

namespace ckmap {

struct Sha256::State {
  SHA256_CTX context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) { CKMAP_CHECK(::SHA256_Init(&state_->context) == 1); }
Sha256::~Sha256() = default;

void Sha256::Update(std::span<const std::byte> data) {
  CKMAP_CHECK(::SHA256_Update(&state_->context, data.data(), data.size()) == 1);
}

std::string Sha256::HexDigest() {
  std::array<unsigned char, 32> digest{};
  CKMAP_CHECK(::SHA256_Final(digest.data(), &state_->context) == 1);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string Sha256Hex(std::string_view data) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(data)));
  return hash.HexDigest();
}

}  // namespace ckmap
