// How a source is opened, as the command line says it.
#pragma once

#include <string>

#include "runtime/base/result.h"
#include "runtime/base/secret_key.h"
#include "runtime/formats/selection.h"
#include "runtime/migrate/open_source.h"

namespace ckmap {

struct KeyArgs {
  std::string file;      // --key-file: a file that holds the key
  std::string variable;  // --key-env: the environment variable that holds it

  bool empty() const { return file.empty() && variable.empty(); }
};

struct SourceArgs {
  std::string root = {};      // --root
  KeyArgs key = {};           // of an encrypted checkpoint
  std::string dec_mode = {};  // --dec-mode: the cipher that it must have
  std::string from = {};      // --from: the format that it must have
  bool crc_check = false;     // --crc-check: it must carry a checksum, and that must be right
  bool skip_unknown_objects = false;
  std::string strategy = {};  // --strategy
  Selection selection = {};
};

// Reads a key. It is taken as raw bytes, or as hexadecimal digits after `hex:`; one line feed at
// the end of a key file is not part of it unless the length says so. The environment variable is
// removed once read. No message shows a key. `option` begins the names of the options: "--".
Result<SecretKey> ReadKey(const KeyArgs& args, const std::string& option = "--");

// "hex:00ff…" decoded, anything else as it is; kUsage for bad digits.
Result<std::string> DecodeKey(std::string text);

// Reads the key, whose environment variable is gone then: once for each command.
Result<SourceOptions> MakeSourceOptions(const SourceArgs& args);

}  // namespace ckmap
