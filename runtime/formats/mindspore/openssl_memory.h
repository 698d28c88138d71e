// Memory of OpenSSL. Setting itself up, OpenSSL 3.0 does not look at the result of every allocation, and so crashes
// where one fails. It is given memory that was set aside then, so that running out of memory is told by whoever asks
// next and can say it.
#pragma once

#include "runtime/formats/mindspore/ms_cipher.h"

namespace ckmap {

// As EVP_CIPHER_CTX_new, which nothing here calls otherwise. Null: no memory.
CipherContext NewCipherContext();

}  // namespace ckmap
