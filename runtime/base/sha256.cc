#include "runtime/base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <new>

#include <fmt/format.h>

#include "runtime/base/check.h"

namespace ckmap {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  // OpenSSL may take memory here, and nothing else can go wrong.
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}
Sha256::~Sha256() = default;

void Sha256::Update(std::span<const std::byte> data) {
  CKMAP_CHECK(EVP_DigestUpdate(state_->context, data.data(), data.size()) == 1);
}

std::string Sha256::HexDigest() {
  std::array<unsigned char, 32> digest{};
  CKMAP_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
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
