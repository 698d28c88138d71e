#include "runtime/base/secret_key.h"

#include <openssl/crypto.h>

namespace ckmap {

void SecretKey::Wipe(std::string& text) {
  text.resize(text.capacity());  // short strings live inside the object, and may have been longer
  ::OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace ckmap
