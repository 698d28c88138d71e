#include "runtime/formats/ms_crypto.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "runtime/formats/little_endian.h"

namespace ckmap {
namespace {

constexpr uint32_t kMagic = 0x7F3A5ED8;  // AES-GCM; the other modes follow it
constexpr int64_t kTagBytes = 16;
constexpr int64_t kIvBytes = 16;
constexpr int kGcmNonceBytes = 12;
constexpr int64_t kMaxPlain = int64_t{64} << 20;
constexpr int64_t kCipherBlock = 16;
constexpr int64_t kChunk = int64_t{1} << 20;
constexpr size_t kCachedBlocks = 2;
constexpr size_t kTailBytes = 17;
constexpr std::string_view kTail("crc_num\0\0\0\0\0\0\0\0\0\0", kTailBytes);

struct Block {
  std::array<unsigned char, kTagBytes> tag{};
  std::array<unsigned char, kIvBytes> iv{};
  int64_t cipher_begin = 0;  // in the file
  int64_t cipher_length = 0;
  int64_t plain_begin = 0;  // in the plain bytes
  int64_t plain_length = 0;
};

using Bytes = std::vector<std::byte>;

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { ::EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

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

const unsigned char* Raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* Raw(std::byte* data) { return reinterpret_cast<unsigned char*>(data); }
const unsigned char* Raw(const std::byte* data) { return reinterpret_cast<const unsigned char*>(data); }

class DecryptedSource final : public ByteSource {
 public:
  DecryptedSource(InputFile file, CipherMode mode, const EVP_CIPHER* cipher, SecretKey key)
      : ByteSource(std::move(file)), mode_(mode), cipher_(cipher), key_(std::move(key)) {}

  int64_t size() const override { return size_; }
  bool plain() const override { return false; }

  Result<void> ReadAt(int64_t offset, std::span<std::byte> out) const override {
    CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= size_ - offset);
    while (!out.empty()) {
      const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), offset,
                                          [](int64_t at, const Block& block) { return at < block.plain_begin; });
      const auto index = static_cast<size_t>(after - blocks_.begin()) - 1;
      CKMAP_ASSIGN_OR_RETURN(const std::shared_ptr<const Bytes> bytes, PlainBlock(index));
      const auto begin = static_cast<size_t>(offset - blocks_[index].plain_begin);
      const size_t count = std::min(out.size(), bytes->size() - begin);
      std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(begin), count, out.begin());
      out = out.subspan(count);
      offset += static_cast<int64_t>(count);
    }
    return {};
  }

  // Walks over the heads of all blocks.
  Result<void> FindBlocks();

 private:
  Error Bad(int64_t at, std::string_view what) const {
    return {ErrorCode::kMalformed, fmt::format("{}: encrypted block at byte {}: {}", path(), at, what)};
  }
  Result<Block> ReadHead(int64_t at) const;
  Result<int64_t> PlainLength(const Block& block, int64_t at) const;
  bool LooksUntagged(int64_t at) const;
  Result<std::shared_ptr<const Bytes>> PlainBlock(size_t index) const;
  Result<Bytes> Decrypt(const Block& block) const;
  Result<std::optional<Bytes>> TryDecrypt(const Block& block, int nonce_bytes) const;

  CipherMode mode_;
  const EVP_CIPHER* cipher_;
  SecretKey key_;
  std::vector<Block> blocks_;
  int64_t size_ = 0;

  struct Cached {
    size_t index;
    std::shared_ptr<const Bytes> bytes;
  };
  mutable std::mutex mutex_;
  mutable std::list<Cached> cache_;  // the one used last comes first
};

Result<void> DecryptedSource::FindBlocks() {
  int64_t at = 0;
  while (at < file().size()) {
    if (file().size() - at == static_cast<int64_t>(kTailBytes)) {
      std::array<char, kTailBytes> tail{};
      CKMAP_RETURN_IF_ERROR(file().ReadAt(at, std::as_writable_bytes(std::span(tail))));
      if (at > 0 && std::string_view(tail.data(), tail.size()) == kTail) break;
    }
    CKMAP_ASSIGN_OR_RETURN(Block block, ReadHead(at));
    block.plain_begin = size_;
    CKMAP_ASSIGN_OR_RETURN(block.plain_length, PlainLength(block, at));
    at = block.cipher_begin + block.cipher_length;
    size_ += block.plain_length;
    if (block.plain_length > 0) blocks_.push_back(block);
  }
  return {};
}

Result<Block> DecryptedSource::ReadHead(int64_t at) const {
  const bool tagged = mode_ == CipherMode::kAesGcm;
  const int64_t head_bytes = 4 + (tagged ? kTagBytes : 0) + 4 + 4 + kIvBytes + 4;
  if (file().size() - at < head_bytes) return Bad(at, "its head is cut short");
  std::array<std::byte, 4 + kTagBytes + 4 + 4 + kIvBytes + 4> head{};
  CKMAP_RETURN_IF_ERROR(file().ReadAt(at, std::span(head).first(static_cast<size_t>(head_bytes))));
  const std::byte* next = head.data();
  if (LoadLittle<uint32_t>(next) != kMagic + static_cast<uint32_t>(mode_)) {
    return Bad(at, fmt::format("does not begin as an {} block; all blocks of a file have one mode",
                               CipherModeName(mode_)));
  }
  next += 4;
  Block block;
  if (tagged) {
    std::copy_n(Raw(next), kTagBytes, block.tag.begin());
    next += kTagBytes;
  }
  const auto block_length = int64_t{LoadLittle<int32_t>(next)};
  const auto iv_length = int64_t{LoadLittle<int32_t>(next + 4)};
  std::copy_n(Raw(next + 8), kIvBytes, block.iv.begin());
  block.cipher_length = int64_t{LoadLittle<int32_t>(next + 8 + kIvBytes)};
  block.cipher_begin = at + head_bytes;
  if (tagged && LooksUntagged(at)) {
    return Bad(at, "has no tag, as in files of MindSpore 1.6 and before; without it nothing vouches for "
                   "the content. Load and save it again with a later MindSpore");
  }
  if (iv_length != kIvBytes) return Bad(at, fmt::format("an IV of {} bytes, it must have 16", iv_length));
  if (block_length != 4 + iv_length + 4 + block.cipher_length) {
    return Bad(at, fmt::format("says it has {} bytes, its parts say {}", block_length,
                               4 + iv_length + 4 + block.cipher_length));
  }
  if (block.cipher_length <= 0 || block.cipher_length > file().size() - block.cipher_begin) {
    return Bad(at, fmt::format("a cipher text of {} bytes, {} follow", block.cipher_length,
                               file().size() - block.cipher_begin));
  }
  if (block.cipher_length > kMaxPlain + kCipherBlock) {
    return Error(ErrorCode::kLimit, fmt::format("{}: encrypted block at byte {}: {} bytes, at most 64 MiB are read",
                                                path(), at, block.cipher_length));
  }
  return block;
}

bool DecryptedSource::LooksUntagged(int64_t at) const {
  std::array<std::byte, 32> head{};
  if (file().size() - at < static_cast<int64_t>(head.size()) || !file().ReadAt(at, head)) return false;
  const auto cipher_length = int64_t{LoadLittle<int32_t>(head.data() + 28)};
  return LoadLittle<int32_t>(head.data() + 8) == kIvBytes && cipher_length > 0 &&
         LoadLittle<int32_t>(head.data() + 4) == 4 + kIvBytes + 4 + cipher_length;
}

Result<int64_t> DecryptedSource::PlainLength(const Block& block, int64_t at) const {
  if (mode_ == CipherMode::kAesGcm) return block.cipher_length;
  if (block.cipher_length % kCipherBlock != 0) {
    return Bad(at, fmt::format("a cipher text of {} bytes is no multiple of 16", block.cipher_length));
  }
  // The padding is in the last 16 bytes, which depend on the 16 before them (or on the IV).
  std::array<unsigned char, 2 * kCipherBlock> last{};
  const int64_t from = block.cipher_begin + block.cipher_length - 2 * kCipherBlock;
  std::copy(block.iv.begin(), block.iv.end(), last.begin());
  if (block.cipher_length > kCipherBlock) {
    CKMAP_RETURN_IF_ERROR(file().ReadAt(from, std::as_writable_bytes(std::span(last))));
  } else {
    CKMAP_RETURN_IF_ERROR(
        file().ReadAt(from + kCipherBlock, std::as_writable_bytes(std::span(last).subspan(kCipherBlock))));
  }
  const Context context(::EVP_CIPHER_CTX_new());
  std::array<unsigned char, 2 * kCipherBlock> plain{};
  int written = 0;
  const bool ok = context && ::EVP_DecryptInit_ex(context.get(), cipher_, nullptr, Raw(key_.bytes()), last.data()) == 1 &&
                  ::EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
                  ::EVP_DecryptUpdate(context.get(), plain.data(), &written, last.data() + kCipherBlock,
                                      int{kCipherBlock}) == 1 &&
                  written == kCipherBlock;
  if (!ok) return Bad(at, "the cipher cannot be run");
  const int padding = plain[kCipherBlock - 1];
  const bool valid = padding >= 1 && padding <= kCipherBlock &&
                     std::all_of(plain.begin() + (kCipherBlock - padding), plain.begin() + kCipherBlock,
                                 [padding](unsigned char byte) { return byte == padding; });
  if (!valid) return Bad(at, "does not decrypt (the key or the mode is wrong, or the file is damaged)");
  return block.cipher_length - padding;
}

Result<std::shared_ptr<const Bytes>> DecryptedSource::PlainBlock(size_t index) const {
  const std::lock_guard lock(mutex_);
  for (auto entry = cache_.begin(); entry != cache_.end(); ++entry) {
    if (entry->index != index) continue;
    cache_.splice(cache_.begin(), cache_, entry);
    return entry->bytes;
  }
  if (cache_.size() >= kCachedBlocks) cache_.pop_back();  // before the new one needs its memory
  CKMAP_ASSIGN_OR_RETURN(Bytes plain, Decrypt(blocks_[index]));
  cache_.push_front({index, std::make_shared<const Bytes>(std::move(plain))});
  return cache_.front().bytes;
}

Result<Bytes> DecryptedSource::Decrypt(const Block& block) const {
  const std::array<int, 2> nonces = {kGcmNonceBytes, int{kIvBytes}};
  const size_t tries = mode_ == CipherMode::kAesGcm ? 2 : 1;
  for (size_t i = 0; i < tries; ++i) {
    CKMAP_ASSIGN_OR_RETURN(std::optional<Bytes> plain, TryDecrypt(block, nonces[i]));
    if (plain) return *std::move(plain);
  }
  return Error(ErrorCode::kMalformed,
               fmt::format("{}: the encrypted block whose cipher text begins at byte {} does not decrypt (the key is "
                           "wrong, or the file is damaged)",
                           path(), block.cipher_begin));
}

Result<std::optional<Bytes>> DecryptedSource::TryDecrypt(const Block& block, int nonce_bytes) const {
  const Context context(::EVP_CIPHER_CTX_new());
  const bool gcm = mode_ == CipherMode::kAesGcm;
  bool ok = context && ::EVP_DecryptInit_ex(context.get(), cipher_, nullptr, nullptr, nullptr) == 1;
  if (gcm) {
    ok = ok && ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_IVLEN, nonce_bytes, nullptr) == 1;
  }
  ok = ok && ::EVP_DecryptInit_ex(context.get(), nullptr, nullptr, Raw(key_.bytes()), block.iv.data()) == 1;
  Bytes plain(static_cast<size_t>(block.cipher_length + kCipherBlock));
  Bytes chunk(static_cast<size_t>(std::min(kChunk, block.cipher_length)));
  size_t filled = 0;
  for (int64_t done = 0; ok && done < block.cipher_length;) {
    const int64_t count = std::min(kChunk, block.cipher_length - done);
    CKMAP_RETURN_IF_ERROR(
        file().ReadAt(block.cipher_begin + done, std::span(chunk).first(static_cast<size_t>(count))));
    int written = 0;
    ok = ::EVP_DecryptUpdate(context.get(), Raw(plain.data() + filled), &written, Raw(std::as_const(chunk).data()),
                             static_cast<int>(count)) == 1;
    filled += static_cast<size_t>(std::max(0, written));
    done += count;
  }
  if (gcm) {
    auto tag = block.tag;
    ok = ok && ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, int{kTagBytes}, tag.data()) == 1;
  }
  int written = 0;
  ok = ok && ::EVP_DecryptFinal_ex(context.get(), Raw(plain.data() + filled), &written) == 1;
  filled += static_cast<size_t>(std::max(0, written));
  if (!ok || static_cast<int64_t>(filled) != block.plain_length) return std::optional<Bytes>();
  plain.resize(filled);
  return std::optional<Bytes>(std::move(plain));
}

}  // namespace

std::optional<CipherMode> DetectCipher(const InputFile& file) {
  std::array<std::byte, 4> head{};
  if (file.size() < 4 || !file.ReadAt(0, head)) return std::nullopt;
  const uint32_t offset = LoadLittle<uint32_t>(head.data()) - kMagic;
  if (offset > static_cast<uint32_t>(CipherMode::kSm4Cbc)) return std::nullopt;
  return static_cast<CipherMode>(offset);
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

Result<std::unique_ptr<ByteSource>> OpenDecrypted(InputFile file, const OpenOptions& options) {
  const auto mode = DetectCipher(file);
  CKMAP_CHECK(mode.has_value());
  const std::string path = file.path();
  const auto bad = [&path](std::string message) {
    return Error(ErrorCode::kMalformed, fmt::format("{}: {}", path, message));
  };
  if (options.cipher && *options.cipher != *mode) {
    return bad(fmt::format("is encrypted with {}, not with {}", CipherModeName(*mode), CipherModeName(*options.cipher)));
  }
  if (options.key.empty()) {
    return bad(fmt::format("is encrypted with {}; a key is needed to read it (--key-file or --key-env)",
                           CipherModeName(*mode)));
  }
  const EVP_CIPHER* cipher = FindCipher(*mode, options.key.bytes().size());
  if (cipher == nullptr) {
    return bad(fmt::format("a key of {} bytes does not fit {}, which takes {}", options.key.bytes().size(),
                           CipherModeName(*mode), *mode == CipherMode::kSm4Cbc ? "16" : "16, 24 or 32"));
  }
  auto source = std::make_unique<DecryptedSource>(std::move(file), *mode, cipher, options.key);
  CKMAP_RETURN_IF_ERROR(source->FindBlocks());
  return std::unique_ptr<ByteSource>(std::move(source));
}

}  // namespace ckmap
