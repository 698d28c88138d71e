// A key for reading or writing encrypted files: raw bytes that are wiped from memory when the last
// holder goes. It is never printed and never part of an error.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace ckmap {

class SecretKey {
 public:
  SecretKey() = default;
  // Takes the bytes over. Their source (a file's text, an environment variable) is the caller's to
  // wipe; `Wipe` does it.
  explicit SecretKey(std::string bytes) : bytes_(std::move(bytes)) {}
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey& other) {
    if (this != &other) {
      Wipe(bytes_);
      bytes_ = other.bytes_;
    }
    return *this;
  }
  // A short string leaves its bytes where they were.
  SecretKey(SecretKey&& other) noexcept : bytes_(std::move(other.bytes_)) { Wipe(other.bytes_); }
  SecretKey& operator=(SecretKey&& other) noexcept {
    if (this != &other) {
      Wipe(bytes_);
      bytes_ = std::move(other.bytes_);
      Wipe(other.bytes_);
    }
    return *this;
  }
  ~SecretKey() { Wipe(bytes_); }

  bool empty() const { return bytes_.empty(); }
  std::string_view bytes() const { return bytes_; }

  // Overwrites the text's bytes, in a way that no compiler leaves out, and empties it.
  static void Wipe(std::string& text);

 private:
  std::string bytes_;
};

}  // namespace ckmap
