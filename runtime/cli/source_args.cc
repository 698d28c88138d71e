#include "runtime/cli/source_args.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/open.h"
#include "runtime/base/secret_key.h"

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

// Formats as people call them; each covers several as `inspect` tells them.
bool IsFormat(std::string_view asked, std::string_view format) {
  const auto family = [&format](std::string_view name) { return format == name || format.starts_with(std::string(name) + "-"); };
  if (asked == "ckpt") return family("ms-ckpt");
  return family(asked);
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

Result<SecretKey> ReadKey(const KeyArgs& args, const std::string& option) {
  CKMAP_ASSIGN_OR_RETURN(std::string text, KeyText(args, option));
  CKMAP_ASSIGN_OR_RETURN(std::string key, DecodeKey(std::move(text)));
  SecretKey secret(key);
  SecretKey::Wipe(key);
  return secret;
}

Result<OpenOptions> MakeOpenOptions(const SourceArgs& args) {
  OpenOptions options;
  options.root = args.root;
  options.skip_unknown_objects = args.skip_unknown_objects;
  options.strategy = args.strategy;
  if (!args.dec_mode.empty()) {
    options.cipher = ParseCipherMode(args.dec_mode);
    if (!options.cipher) {
      return Error(ErrorCode::kUsage, fmt::format("--dec-mode {}: not one of aes-gcm, aes-cbc, sm4-cbc", args.dec_mode));
    }
  }
  if (args.key.empty()) return options;
  CKMAP_ASSIGN_OR_RETURN(options.key, ReadKey(args.key));
  return options;
}

Result<std::unique_ptr<Checkpoint>> OpenSource(const std::string& path, const SourceArgs& args) {
  CKMAP_ASSIGN_OR_RETURN(const OpenOptions options, MakeOpenOptions(args));
  return OpenSource(path, args, options);
}

Result<std::unique_ptr<Checkpoint>> OpenSource(const std::string& path, const SourceArgs& args, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, OpenCheckpoint(path, options));
  if (!args.from.empty() && !IsFormat(args.from, checkpoint->format())) {
    return Error(ErrorCode::kMalformed, fmt::format("{}: is {}, not {} as --from says", path, checkpoint->format(), args.from));
  }
  if (args.crc_check) {
    if (!checkpoint->has_crc()) {
      return Error(ErrorCode::kMalformed, path + ": carries no checksum (crc_num) that --crc-check could check");
    }
    for (size_t i = 0; i < checkpoint->manifest().size(); ++i) {
      if (!checkpoint->manifest()[i].unreadable.empty()) continue;
      CKMAP_RETURN_IF_ERROR(checkpoint->VerifyStorage(checkpoint->layout(i).storage));
    }
  }
  auto selected = Select(std::move(checkpoint), args.selection);
  if (!selected) return std::move(selected).error().Context(path);
  return selected;
}

}  // namespace ckmap
