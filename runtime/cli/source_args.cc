#include "runtime/cli/source_args.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/secret_key.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_cipher.h"

namespace ckmap {
namespace {

constexpr std::string_view kHex = "hex:";

bool IsKeyLength(size_t length) { return length == 16 || length == 24 || length == 32; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> KeyText(const KeyArgs& args, const std::string& option) {
  if (!args.file.empty() && !args.variable.empty()) {
    return Error(ErrorCode::kUsage, fmt::format("{0}key-file and {0}key-env: give one of them", option));
  }
  if (!args.file.empty()) return ReadTextFile(args.file, 1024);
  char* const value = std::getenv(args.variable.c_str());
  if (value == nullptr || *value == '\0') {
    return Error(ErrorCode::kUsage,
                 fmt::format("{}key-env {}: this environment variable is not set", option, args.variable));
  }
  std::string key = value;
  ::explicit_bzero(value, key.size());  // the process's own copy of its environment
  ::unsetenv(args.variable.c_str());
  return key;
}

}  // namespace

Result<std::string> DecodeKey(std::string text) {
  if (!text.empty() && text.back() == '\n' && (text.starts_with(kHex) || !IsKeyLength(text.size()))) text.pop_back();
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
  return Error(ErrorCode::kUsage, "the key: after `hex:` an even number of hexadecimal digits is expected");
}

Result<SecretKey> ReadKey(const KeyArgs& args, const std::string& option) {
  CKMAP_ASSIGN_OR_RETURN(std::string text, KeyText(args, option));
  CKMAP_ASSIGN_OR_RETURN(std::string key, DecodeKey(std::move(text)));
  SecretKey secret(key);
  SecretKey::Wipe(key);
  return secret;
}

Result<SourceOptions> MakeSourceOptions(const SourceArgs& args) {
  SourceOptions options;
  options.from = args.from;
  options.crc_check = args.crc_check;
  options.selection = args.selection;
  options.open.root = args.root;
  options.open.skip_unknown_objects = args.skip_unknown_objects;
  options.open.strategy = args.strategy;
  if (!args.dec_mode.empty()) {
    options.open.cipher = ParseCipherMode(args.dec_mode);
    if (!options.open.cipher) {
      return Error(ErrorCode::kUsage,
                   fmt::format("--dec-mode {}: not one of aes-gcm, aes-cbc, sm4-cbc", args.dec_mode));
    }
  }
  if (args.key.empty()) return options;
  CKMAP_ASSIGN_OR_RETURN(options.open.key, ReadKey(args.key));
  return options;
}

}  // namespace ckmap
