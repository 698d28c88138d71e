// MindSpore's encrypted files (`save_checkpoint(enc_key=…)`, encrypted MindIR), read block by block.
// The whole content of a file, a `.ckpt` or a `.mindir`, is cut into blocks of up to 64 MiB, each a record
//
//     i32 magic | [16-byte tag, AES-GCM only] | i32 block_len | i32 iv_len = 16 | iv | i32 cipher_len | cipher text
//
// with block_len = 4 + iv_len + 4 + cipher_len; all integers little-endian. Magic 0x7F3A5ED8 is AES-GCM
// (128-bit tag, no further data), 0x7F3A5ED9 AES-CBC, 0x7F3A5EDA SM4-CBC (both with PKCS#7 padding).
// Of the 16 bytes that are stored, MindSpore's AES-GCM uses the first 12 as its nonce; where these
// do not verify, all 16 are tried. Nothing binds the order or the number of the blocks.
//
// Refused: files of MindSpore 1.6 and before, whose AES-GCM blocks carry no tag; blocks of several modes in
// one file. A trailer "crc_num" with ten zero bytes behind the blocks is passed over.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/base/secret_key.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// The mode that the file's first four bytes name; nullopt for a file that is not encrypted so.
Result<std::optional<CipherMode>> DetectCipher(const InputFile& file);

// In every error that decryption itself gives.
inline constexpr std::string_view kCipherErrorMark = ": encrypted block at byte ";

// The plain bytes, decrypted where they are read: memory does not grow with the blocks. Heads and paddings are checked
// at once; the first use of an AES-GCM block checks its tag, so that no byte of a block that was changed
// is given out. Errors (kMalformed) tell apart, as far as the format lets them: no key, a key of a wrong
// length, another mode than options ask for, blocks that lie, a key that is wrong, a block that was changed.
Result<std::unique_ptr<ByteSource>> OpenDecrypted(InputFile file, const OpenOptions& options);

}  // namespace ckmap
