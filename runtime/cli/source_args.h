// How a source is opened, as the command line says it.
#pragma once

#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct SourceArgs {
  std::string root;      // --root
  std::string key_file;  // --key-file: a file that holds the key of an encrypted checkpoint
  std::string key_env;   // --key-env: the environment variable that holds it
};

// Reads the key. It is taken as raw bytes, or as hexadecimal digits after `hex:`; one line feed at
// the end of a key file is not part of it unless the length says so. The environment variable is
// removed once read. No message shows a key.
Result<OpenOptions> MakeOpenOptions(const SourceArgs& args);

// "hex:00ff…" decoded, anything else as it is; kUsage for bad digits.
Result<std::string> DecodeKey(std::string text);

}  // namespace ckmap
