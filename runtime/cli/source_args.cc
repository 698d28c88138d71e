#include "runtime/cli/source_args.h"

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/formats/secret_key.h"

namespace ckmap {
namespace {

constexpr std::string_view kHex = "hex:";

bool IsKeyLength(size_t length) { return length == 16 || length == 24 || length == 32; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> ReadKey(const SourceArgs& args) {
  if (!args.key_file.empty() && !args.key_env.empty()) {
    return Error(ErrorCode::kUsage, "--key-file and --key-env: give one of them");
  }
  if (!args.key_file.empty()) return ReadTextFile(args.key_file, 1024);
  const char* value = std::getenv(args.key_env.c_str());
  if (value == nullptr || *value == '\0') {
    return Error(ErrorCode::kUsage,
                 fmt::format("--key-env {}: this environment variable is not set", args.key_env));
  }
  std::string key = value;
  ::unsetenv(args.key_env.c_str());
  return key;
}

}  // namespace

Result<std::string> DecodeKey(std::string text) {
  if (!text.empty() && text.back() == '\n' && (text.starts_with(kHex) || !IsKeyLength(text.size())))
    text.pop_back();
  if (!text.starts_with(kHex)) return text;
  std::string key;
  bool ok = text.size() % 2 == 0;
  for (size_t i = kHex.size(); ok && i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    ok = high >= 0 && low >= 0;
    key += static_cast<char>(high * 16 + low);
  }
  SecretKey::Wipe(text);
  if (ok) return key;
  SecretKey::Wipe(key);
  return Error(ErrorCode::kUsage,
               "the key: after `hex:` an even number of hexadecimal digits is expected");
}

Result<OpenOptions> MakeOpenOptions(const SourceArgs& args) {
  OpenOptions options;
  options.root = args.root;
  if (args.key_file.empty() && args.key_env.empty()) return options;
  CKMAP_ASSIGN_OR_RETURN(std::string text, ReadKey(args));
  CKMAP_ASSIGN_OR_RETURN(std::string key, DecodeKey(std::move(text)));
  if (!IsKeyLength(key.size())) {
    SecretKey::Wipe(key);
    return Error(ErrorCode::kUsage,
                 "the key: 16, 24 or 32 bytes are expected (hexadecimal digits go after `hex:`)");
  }
  options.key = SecretKey(std::move(key));
  return options;
}

}  // namespace ckmap
