#include "runtime/formats/mindspore/ms_crypto.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "runtime/base/little_endian.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/mindspore/openssl_memory.h"

namespace ckmap {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;
constexpr int64_t kGuess = 64;      // bytes from which a right key is recognised
constexpr size_t kBlocksTried = 2;  // others that are asked whether the key is right
constexpr size_t kTailBytes = 17;
constexpr std::string_view kTail("crc_num\0\0\0\0\0\0\0\0\0\0", kTailBytes);

using Bytes = std::vector<std::byte>;
using Counter = std::array<unsigned char, kIvBytes>;

struct Block {
  std::array<unsigned char, kTagBytes> tag{};
  std::array<unsigned char, kIvBytes> iv{};
  int64_t at = 0;            // of its head, in the file
  int64_t cipher_begin = 0;  // in the file
  int64_t cipher_length = 0;
  int64_t plain_begin = 0;  // in the plain bytes
  int64_t plain_length = 0;
};

// What is known of an AES-GCM block once its tag was checked.
struct Checked {
  std::once_flag once;
  bool tag_is_right = false;
  Counter counter{};  // of its first 16 bytes
  Result<void> read;  // whether the file could be read
};

// AES in counter mode, and one block of it at a time: what AES-GCM is made of.
const EVP_CIPHER* CounterCipher(size_t key_bytes) {
  return key_bytes == 16 ? ::EVP_aes_128_ctr() : key_bytes == 24 ? ::EVP_aes_192_ctr() : ::EVP_aes_256_ctr();
}
const EVP_CIPHER* SingleCipher(size_t key_bytes) {
  return key_bytes == 16 ? ::EVP_aes_128_ecb() : key_bytes == 24 ? ::EVP_aes_192_ecb() : ::EVP_aes_256_ecb();
}

// Its last four bytes count, on their own, as AES-GCM has it.
uint32_t CountOf(const Counter& counter) {
  return static_cast<uint32_t>(counter[12]) << 24 | static_cast<uint32_t>(counter[13]) << 16 |
         static_cast<uint32_t>(counter[14]) << 8 | counter[15];
}
Counter Advance(Counter counter, uint32_t by) {
  const uint32_t count = CountOf(counter) + by;
  for (int i = 0; i < 4; ++i) counter[static_cast<size_t>(12 + i)] = static_cast<unsigned char>(count >> (24 - 8 * i));
  return counter;
}

// Whether bytes begin as what is encrypted does: a `.ckpt` or a MindIR, both a protobuf message whose first field
// has number 1 and bytes, for a `.ckpt` with another such field inside. Wrong keys pass once in some
// hundred times; only the wording of an error rests on it.
bool LooksLikeContent(std::span<const std::byte> head) {
  if (head.size() < 4 || head[0] != std::byte{0x0a}) return false;
  size_t at = 1;
  while (at < head.size() && at < 10 && (head[at] & std::byte{0x80}) != std::byte{0}) ++at;
  if (++at >= head.size()) return false;
  const bool version = std::isdigit(static_cast<unsigned char>(head[at])) != 0 &&
                       head[at + 1 < head.size() ? at + 1 : at] == std::byte{'.'};
  return head[at] == std::byte{0x0a} || version;
}

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
      const Block& block = blocks_[index];
      const int64_t begin = offset - block.plain_begin;
      const auto count = std::min(out.size(), static_cast<size_t>(block.plain_length - begin));
      if (mode_ == CipherMode::kAesGcm) {
        CKMAP_RETURN_IF_ERROR(CheckBlock(index));
        CKMAP_RETURN_IF_ERROR(ReadCounter(block, checked_[index]->counter, begin, out.first(count)));
      } else {
        CKMAP_RETURN_IF_ERROR(ReadChained(block, begin, out.first(count)));
      }
      out = out.subspan(count);
      offset += static_cast<int64_t>(count);
    }
    return {};
  }

  // Walks over the heads of all blocks.
  Result<void> FindBlocks();

 private:
  Error Bad(int64_t at, std::string_view what) const {
    return {ErrorCode::kMalformed, fmt::format("{}{}{}: {}", path(), kCipherErrorMark, at, what)};
  }
  // Not the file's fault.
  Error CipherFailed(const Block& block) const {
    return {ErrorCode::kIo,
            fmt::format("{}{}{}: the cipher cannot be run (no memory, or no default provider of OpenSSL)", path(),
                        kCipherErrorMark, block.at)};
  }

  Result<Block> ReadHead(int64_t at) const;
  bool LooksUntagged(int64_t at) const;

  // Of the CBC modes.
  Result<void> FindPaddings();
  Result<int> Padding(const Block& block) const;
  Result<void> ReadChained(const Block& block, int64_t begin, std::span<std::byte> out) const;

  // Of AES-GCM. The first use of a block checks its tag, over all of it; after that any part of it is
  // decrypted by itself.
  Result<void> CheckBlock(size_t index) const;
  Result<void> Check(const Block& block, Checked& checked) const;
  Result<bool> TagIsRight(const Block& block, int nonce_bytes) const;
  Result<Counter> FirstCounter(const Block& block, int nonce_bytes) const;
  Result<void> ReadCounter(const Block& block, const Counter& first, int64_t begin, std::span<std::byte> out) const;
  Error ExplainTag(size_t index) const;
  bool BeginsRight() const;

  CipherMode mode_;
  const EVP_CIPHER* cipher_;
  SecretKey key_;
  std::vector<Block> blocks_;
  int64_t size_ = 0;
  mutable std::vector<std::unique_ptr<Checked>> checked_;  // one per block, AES-GCM only
};

Result<void> DecryptedSource::FindBlocks() {
  for (int64_t at = 0; at < file().size();) {
    if (file().size() - at == static_cast<int64_t>(kTailBytes)) {
      std::array<char, kTailBytes> tail{};
      CKMAP_RETURN_IF_ERROR(file().ReadAt(at, std::as_writable_bytes(std::span(tail))));
      if (at > 0 && std::string_view(tail.data(), tail.size()) == kTail) break;
    }
    CKMAP_ASSIGN_OR_RETURN(const Block block, ReadHead(at));
    at = block.cipher_begin + block.cipher_length;
    blocks_.push_back(block);
  }
  if (mode_ == CipherMode::kAesGcm) {
    for (Block& block : blocks_) {
      block.plain_length = block.cipher_length;
      checked_.push_back(std::make_unique<Checked>());
    }
  } else {
    CKMAP_RETURN_IF_ERROR(FindPaddings());
  }
  for (Block& block : blocks_) {
    block.plain_begin = size_;
    size_ += block.plain_length;
  }
  std::erase_if(blocks_, [](const Block& block) { return block.plain_length == 0; });
  return {};
}

Result<Block> DecryptedSource::ReadHead(int64_t at) const {
  const bool tagged = mode_ == CipherMode::kAesGcm;
  const int64_t head_bytes = BlockHeadBytes(mode_);
  if (file().size() - at < head_bytes) return Bad(at, "its head is cut short");
  std::array<std::byte, BlockHeadBytes(CipherMode::kAesGcm)> head{};
  CKMAP_RETURN_IF_ERROR(file().ReadAt(at, std::span(head).first(static_cast<size_t>(head_bytes))));
  const std::byte* next = head.data();
  if (LoadLittle<uint32_t>(next) != kCipherMagic + static_cast<uint32_t>(mode_)) {
    return Bad(at,
               fmt::format("does not begin as an {} block; all blocks of a file have one mode", CipherModeName(mode_)));
  }
  next += 4;
  Block block;
  if (tagged) {
    std::copy_n(RawBytes(next), kTagBytes, block.tag.begin());
    next += kTagBytes;
  }
  const auto block_length = int64_t{LoadLittle<int32_t>(next)};
  const auto iv_length = int64_t{LoadLittle<int32_t>(next + 4)};
  std::copy_n(RawBytes(next + 8), kIvBytes, block.iv.begin());
  block.cipher_length = int64_t{LoadLittle<int32_t>(next + 8 + kIvBytes)};
  block.at = at;
  block.cipher_begin = at + head_bytes;
  if (tagged && LooksUntagged(at)) {
    return Bad(at,
               "has no tag, as in files of MindSpore 1.6 and before; without it nothing vouches for "
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
  if (!tagged && block.cipher_length % kCipherUnit != 0) {
    return Bad(at, fmt::format("a cipher text of {} bytes is no multiple of 16", block.cipher_length));
  }
  if (block.cipher_length > kMaxPlainBlock + kCipherUnit) {
    return Error(ErrorCode::kLimit, fmt::format("{}{}{}: {} bytes, at most 64 MiB are read", path(), kCipherErrorMark,
                                                at, block.cipher_length));
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

// A wrong key passes the check of one padding in some 250; of the rest, the first content tells.
Result<void> DecryptedSource::FindPaddings() {
  const Block* bad = nullptr;
  size_t right = 0;
  for (Block& block : blocks_) {
    CKMAP_ASSIGN_OR_RETURN(const int padding, Padding(block));
    block.plain_length = block.cipher_length - padding;
    if (padding > 0) {
      ++right;
    } else if (bad == nullptr) {
      bad = &block;
    }
  }
  if (bad == nullptr) return {};
  std::array<std::byte, kGuess> head{};
  const auto count = static_cast<size_t>(std::min(kGuess, blocks_[0].cipher_length));
  CKMAP_RETURN_IF_ERROR(ReadChained(blocks_[0], 0, std::span(head).first(count)));
  if (LooksLikeContent(std::span(head).first(count)) || right > 1) {
    return Bad(bad->at, fmt::format("its padding is wrong though the key fits: the block was changed or cut ({} of {} "
                                    "blocks are as they should be)",
                                    right, blocks_.size()));
  }
  return Bad(bad->at, "does not decrypt with this key: the key or the mode is wrong, or all of the file was changed");
}

// Bytes of padding, 1 to 16; 0 where they are none. They are in the last 16 bytes, which depend on the 16 before them
// (or on the IV).
Result<int> DecryptedSource::Padding(const Block& block) const {
  std::array<std::byte, kCipherUnit> last{};
  CKMAP_RETURN_IF_ERROR(ReadChained(block, block.cipher_length - kCipherUnit, last));
  const auto padding = std::to_integer<int>(last.back());
  const bool valid =
      padding >= 1 && padding <= kCipherUnit &&
      std::all_of(last.end() - padding, last.end(), [&last](std::byte byte) { return byte == last.back(); });
  return valid ? padding : 0;
}

// Any part of a chained block needs the 16 bytes of cipher text before it, no more.
Result<void> DecryptedSource::ReadChained(const Block& block, int64_t begin, std::span<std::byte> out) const {
  const CipherContext context = NewCipherContext();
  Bytes chunk;
  while (!out.empty()) {
    const int64_t unit = begin / kCipherUnit * kCipherUnit;
    const int64_t skip = begin - unit;
    const int64_t units = (skip + std::min(static_cast<int64_t>(out.size()), kChunk) + kCipherUnit - 1) / kCipherUnit;
    const int64_t count = units * kCipherUnit;
    chunk.resize(static_cast<size_t>(kCipherUnit + count));
    if (unit == 0) {
      std::transform(block.iv.begin(), block.iv.end(), chunk.begin(),
                     [](unsigned char byte) { return std::byte{byte}; });
      CKMAP_RETURN_IF_ERROR(file().ReadAt(block.cipher_begin, std::span(chunk).subspan(kCipherUnit)));
    } else {
      CKMAP_RETURN_IF_ERROR(file().ReadAt(block.cipher_begin + unit - kCipherUnit, chunk));
    }
    Counter chain{};
    std::copy_n(RawBytes(std::as_const(chunk).data()), kIvBytes, chain.begin());
    unsigned char* const data = RawBytes(chunk.data() + kCipherUnit);
    int written = 0;
    const bool ok =
        context && ::EVP_DecryptInit_ex(context.get(), cipher_, nullptr, RawBytes(key_.bytes()), chain.data()) == 1 &&
        ::EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
        ::EVP_DecryptUpdate(context.get(), data, &written, data, static_cast<int>(count)) == 1 && written == count;
    if (!ok) return CipherFailed(block);
    const auto take = std::min(out.size(), static_cast<size_t>(count - skip));
    std::copy_n(chunk.begin() + kCipherUnit + skip, take, out.begin());
    out = out.subspan(take);
    begin += static_cast<int64_t>(take);
  }
  return {};
}

Result<void> DecryptedSource::CheckBlock(size_t index) const {
  Checked& checked = *checked_[index];
  std::call_once(checked.once, [&] { checked.read = Check(blocks_[index], checked); });
  CKMAP_RETURN_IF_ERROR(checked.read);
  if (!checked.tag_is_right) return ExplainTag(index);
  return {};
}

Result<void> DecryptedSource::Check(const Block& block, Checked& checked) const {
  for (const int nonce_bytes : {kGcmNonceBytes, int{kIvBytes}}) {
    CKMAP_ASSIGN_OR_RETURN(checked.tag_is_right, TagIsRight(block, nonce_bytes));
    if (!checked.tag_is_right) continue;
    CKMAP_ASSIGN_OR_RETURN(checked.counter, FirstCounter(block, nonce_bytes));
    break;
  }
  return {};
}

Result<bool> DecryptedSource::TagIsRight(const Block& block, int nonce_bytes) const {
  const CipherContext context = NewCipherContext();
  bool ok = context && ::EVP_DecryptInit_ex(context.get(), cipher_, nullptr, nullptr, nullptr) == 1 &&
            ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_IVLEN, nonce_bytes, nullptr) == 1 &&
            ::EVP_DecryptInit_ex(context.get(), nullptr, nullptr, RawBytes(key_.bytes()), block.iv.data()) == 1;
  Bytes chunk(static_cast<size_t>(std::min(kChunk, block.cipher_length)));
  for (int64_t done = 0; ok && done < block.cipher_length;) {
    const auto count = static_cast<size_t>(std::min(kChunk, block.cipher_length - done));
    CKMAP_RETURN_IF_ERROR(file().ReadAt(block.cipher_begin + done, std::span(chunk).first(count)));
    int written = 0;
    ok = ::EVP_DecryptUpdate(context.get(), RawBytes(chunk.data()), &written, RawBytes(std::as_const(chunk).data()),
                             static_cast<int>(count)) == 1;
    done += static_cast<int64_t>(count);
  }
  auto tag = block.tag;
  ok = ok && ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, int{kTagBytes}, tag.data()) == 1;
  if (!ok) return CipherFailed(block);
  int written = 0;
  return ::EVP_DecryptFinal_ex(context.get(), RawBytes(chunk.data()), &written) == 1;
}

// AES-GCM encrypts by adding the AES of a counter; what it makes of zeros is that AES, and going back from it gives the
// counter, whatever the nonce's length.
Result<Counter> DecryptedSource::FirstCounter(const Block& block, int nonce_bytes) const {
  const CipherContext gcm = NewCipherContext();
  const CipherContext single = NewCipherContext();
  const Counter zeros{};
  Counter stream{};
  Counter counter{};
  int written = 0;
  const bool ok = gcm && single && ::EVP_EncryptInit_ex(gcm.get(), cipher_, nullptr, nullptr, nullptr) == 1 &&
                  ::EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_GCM_SET_IVLEN, nonce_bytes, nullptr) == 1 &&
                  ::EVP_EncryptInit_ex(gcm.get(), nullptr, nullptr, RawBytes(key_.bytes()), block.iv.data()) == 1 &&
                  ::EVP_EncryptUpdate(gcm.get(), stream.data(), &written, zeros.data(), int{kCipherUnit}) == 1 &&
                  ::EVP_DecryptInit_ex(single.get(), SingleCipher(key_.bytes().size()), nullptr, RawBytes(key_.bytes()),
                                       nullptr) == 1 &&
                  ::EVP_CIPHER_CTX_set_padding(single.get(), 0) == 1 &&
                  ::EVP_DecryptUpdate(single.get(), counter.data(), &written, stream.data(), int{kCipherUnit}) == 1;
  if (!ok) return CipherFailed(block);
  return counter;
}

Result<void> DecryptedSource::ReadCounter(const Block& block, const Counter& first, int64_t begin,
                                          std::span<std::byte> out) const {
  const CipherContext context = NewCipherContext();
  const EVP_CIPHER* const cipher = CounterCipher(key_.bytes().size());
  while (!out.empty()) {
    const Counter counter = Advance(first, static_cast<uint32_t>(begin / kCipherUnit));
    const auto skip = static_cast<int>(begin % kCipherUnit);
    // OpenSSL's counter carries on beyond its last four bytes, AES-GCM's does not.
    const int64_t before_wrap = ((int64_t{1} << 32) - CountOf(counter)) * kCipherUnit - skip;
    const auto count = static_cast<size_t>(std::min({static_cast<int64_t>(out.size()), kChunk, before_wrap}));
    CKMAP_RETURN_IF_ERROR(file().ReadAt(block.cipher_begin + begin, out.first(count)));
    Counter skipped{};
    int written = 0;
    const bool ok = context &&
                    ::EVP_DecryptInit_ex(context.get(), cipher, nullptr, RawBytes(key_.bytes()), counter.data()) == 1 &&
                    ::EVP_DecryptUpdate(context.get(), skipped.data(), &written, skipped.data(), skip) == 1 &&
                    ::EVP_DecryptUpdate(context.get(), RawBytes(out.data()), &written,
                                        RawBytes(std::as_const(out).data()), static_cast<int>(count)) == 1;
    if (!ok) return CipherFailed(block);
    out = out.subspan(count);
    begin += static_cast<int64_t>(count);
  }
  return {};
}

// A wrong key makes all tags wrong, a changed byte that of its block alone.
Error DecryptedSource::ExplainTag(size_t index) const {
  const Block& block = blocks_[index];
  size_t tried = 0;
  for (size_t i = 0; i < blocks_.size() && tried < kBlocksTried; ++i) {
    if (i == index) continue;
    ++tried;
    Checked& other = *checked_[i];
    std::call_once(other.once, [&] { other.read = Check(blocks_[i], other); });
    if (other.read && other.tag_is_right) {
      return Bad(block.at, "was changed since it was encrypted: its tag is wrong, though the key fits other blocks");
    }
  }
  if (BeginsRight()) {
    return Bad(block.at,
               "was changed since it was encrypted: its tag is wrong, though the key seems right (what it "
               "decrypts to begins as it should)");
  }
  return Bad(block.at,
             blocks_.size() > 1
                 ? "does not decrypt with this key, and no other block does: the key is wrong"
                 : "does not decrypt with this key: the key is wrong, or the block was changed from its beginning");
}

bool DecryptedSource::BeginsRight() const {
  for (const int nonce_bytes : {kGcmNonceBytes, int{kIvBytes}}) {
    std::array<std::byte, kGuess> head{};
    const auto begin = std::span(head).first(static_cast<size_t>(std::min(kGuess, blocks_[0].plain_length)));
    const auto counter = FirstCounter(blocks_[0], nonce_bytes);
    if (counter && ReadCounter(blocks_[0], *counter, 0, begin) && LooksLikeContent(begin)) return true;
  }
  return false;
}

}  // namespace

Result<std::optional<CipherMode>> DetectCipher(const InputFile& file) {
  std::array<std::byte, 4> head{};
  if (file.size() < 4) return std::optional<CipherMode>();
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, head));
  const uint32_t offset = LoadLittle<uint32_t>(head.data()) - kCipherMagic;
  if (offset > static_cast<uint32_t>(CipherMode::kSm4Cbc)) return std::optional<CipherMode>();
  return std::optional(static_cast<CipherMode>(offset));
}

Result<std::unique_ptr<ByteSource>> OpenDecrypted(InputFile file, const OpenOptions& options) {
  const std::string path = file.path();
  CKMAP_ASSIGN_OR_RETURN(const auto mode, DetectCipher(file));
  const auto bad = [&path](std::string message) {
    return Error(ErrorCode::kMalformed, fmt::format("{}: {}", path, message));
  };
  if (!mode) return bad("is not encrypted");
  if (options.cipher && *options.cipher != *mode) {
    return bad(
        fmt::format("is encrypted with {}, not with {}", CipherModeName(*mode), CipherModeName(*options.cipher)));
  }
  if (options.key.empty()) {
    return bad(fmt::format("is encrypted with {}; a key is needed to read it (--key-file or --key-env)",
                           CipherModeName(*mode)));
  }
  const EVP_CIPHER* cipher = FindCipher(*mode, options.key.bytes().size());
  if (cipher == nullptr) return WrongKeyLength(*mode, options.key.bytes().size()).Context(path);
  auto source = std::make_unique<DecryptedSource>(std::move(file), *mode, cipher, options.key);
  CKMAP_RETURN_IF_ERROR(source->FindBlocks());
  return std::unique_ptr<ByteSource>(std::move(source));
}

}  // namespace ckmap
