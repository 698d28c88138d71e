// Writing MindSpore's encrypted files (their layout: ms_crypto.h), block by block.
#pragma once

#include <cstdint>

#include "runtime/base/result.h"
#include "runtime/base/secret_key.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Bytes that `plain_bytes` take when they are encrypted.
int64_t EncryptedBytes(int64_t plain_bytes, CipherMode mode);

// Encrypts the first `plain_bytes` of the file `from` into the file `to`, on up to `threads` threads, each
// with buffers of 2 MiB. Each block has an IV of its own, from the system's random numbers. The
// room of blocks that are done is given back to the disk, where the file system can: `from` is used up.
Result<void> EncryptFile(int from, int64_t plain_bytes, int to, CipherMode mode, const SecretKey& key, int threads);

}  // namespace ckmap
