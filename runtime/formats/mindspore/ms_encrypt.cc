#include "runtime/formats/mindspore/ms_encrypt.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <openssl/rand.h>

#include "runtime/base/file.h"
#include "runtime/base/parallel.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/mindspore/openssl_memory.h"

namespace ckmap {
namespace {

constexpr int64_t kBlockBytes = int64_t{1} << 20;

int64_t CipherBytes(int64_t plain, CipherMode mode) {
  return mode == CipherMode::kAesGcm ? plain : (plain / kCipherUnit + 1) * kCipherUnit;
}

int64_t BlockBytes(int64_t plain, CipherMode mode) { return BlockHeadBytes(mode) + CipherBytes(plain, mode); }

Error CipherFailed() { return {ErrorCode::kIo, "the cipher cannot be run (is OpenSSL's default provider there?)"}; }

void PutInt(std::vector<std::byte>& out, int64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

// One thread's part of the work: a context and its buffers, used for block after block.
class BlockWriter {
 public:
  BlockWriter(int from, int to, CipherMode mode, const SecretKey& key)
      : from_(from), to_(to), mode_(mode), key_(key), context_(NewCipherContext()) {}

  Result<void> Write(int64_t from, int64_t plain_bytes, int64_t to) {
    const EVP_CIPHER* cipher = FindCipher(mode_, key_.bytes().size());
    std::array<unsigned char, kIvBytes> iv{};
    if (!context_ || ::RAND_bytes(iv.data(), int{kIvBytes}) != 1) return CipherFailed();
    // In AES-GCM the nonce is the first 12 bytes of the 16, which is the length it has unless told otherwise.
    if (::EVP_EncryptInit_ex(context_.get(), cipher, nullptr, RawBytes(key_.bytes()), iv.data()) != 1)
      return CipherFailed();
    int64_t at = to + BlockHeadBytes(mode_);
    plain_.resize(static_cast<size_t>(std::min(kBlockBytes, plain_bytes)));
    sealed_.resize(plain_.size() + kCipherUnit);
    for (int64_t done = 0; done < plain_bytes;) {
      const auto count = static_cast<size_t>(std::min(kBlockBytes, plain_bytes - done));
      CKMAP_RETURN_IF_ERROR(ReadAt(from_, from + done, std::span(plain_).first(count)));
      int written = 0;
      if (::EVP_EncryptUpdate(context_.get(), RawBytes(sealed_.data()), &written,
                              RawBytes(std::as_const(plain_).data()), static_cast<int>(count)) != 1) {
        return CipherFailed();
      }
      CKMAP_RETURN_IF_ERROR(Put(at, written));
      at += written;
      done += static_cast<int64_t>(count);
    }
    int written = 0;
    if (::EVP_EncryptFinal_ex(context_.get(), RawBytes(sealed_.data()), &written) != 1) return CipherFailed();
    CKMAP_RETURN_IF_ERROR(Put(at, written));
    CKMAP_CHECK(at + written == to + BlockBytes(plain_bytes, mode_));
    (void)::fallocate(from_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, plain_bytes);
    return WriteHead(to, plain_bytes, iv);
  }

 private:
  Result<void> Put(int64_t at, int count) {
    return WriteAt(to_, at, std::span(sealed_).first(static_cast<size_t>(count)));
  }

  Result<void> WriteHead(int64_t to, int64_t plain_bytes, const std::array<unsigned char, kIvBytes>& iv) {
    const int64_t cipher_bytes = CipherBytes(plain_bytes, mode_);
    std::vector<std::byte> head;
    PutInt(head, int64_t{kCipherMagic} + static_cast<int64_t>(mode_));
    if (mode_ == CipherMode::kAesGcm) {
      std::array<std::byte, kTagBytes> tag{};
      if (::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, int{kTagBytes}, tag.data()) != 1)
        return CipherFailed();
      head.insert(head.end(), tag.begin(), tag.end());
    }
    PutInt(head, 4 + kIvBytes + 4 + cipher_bytes);
    PutInt(head, kIvBytes);
    for (const unsigned char byte : iv) head.push_back(std::byte{byte});
    PutInt(head, cipher_bytes);
    return WriteAt(to_, to, head);
  }

  int from_;
  int to_;
  CipherMode mode_;
  const SecretKey& key_;
  CipherContext context_;
  std::vector<std::byte> plain_;
  std::vector<std::byte> sealed_;
};

}  // namespace

int64_t EncryptedBytes(int64_t plain_bytes, CipherMode mode) {
  const int64_t whole = plain_bytes / kMaxPlainBlock;
  const int64_t rest = plain_bytes % kMaxPlainBlock;
  return whole * BlockBytes(kMaxPlainBlock, mode) + (rest > 0 ? BlockBytes(rest, mode) : 0);
}

Result<void> EncryptFile(int from, int64_t plain_bytes, int to, CipherMode mode, const SecretKey& key, int threads) {
  if (FindCipher(mode, key.bytes().size()) == nullptr) return WrongKeyLength(mode, key.bytes().size());
  const int64_t blocks = (plain_bytes + kMaxPlainBlock - 1) / kMaxPlainBlock;
  return ForEachInParallel(threads, static_cast<size_t>(blocks), [&]() -> ItemBody {
    const auto writer = std::make_shared<BlockWriter>(from, to, mode, key);
    return [=](size_t block) {
      const int64_t begin = static_cast<int64_t>(block) * kMaxPlainBlock;
      return writer->Write(begin, std::min(kMaxPlainBlock, plain_bytes - begin),
                           static_cast<int64_t>(block) * BlockBytes(kMaxPlainBlock, mode));
    };
  });
}

}  // namespace ckmap
