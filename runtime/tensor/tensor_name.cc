#include "runtime/tensor/tensor_name.h"

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

bool IsControl(char32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

}  // namespace

std::string TensorNameProblem(std::string_view name) {
  if (name.size() > kMaxTensorName) {
    return fmt::format("the name has {} bytes, at most {} are read", name.size(), kMaxTensorName);
  }
  for (size_t i = 0; i < name.size();) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if (byte >= 0x20 && byte < 0x7f) {
      ++i;
      continue;
    }
    char32_t code = 0;
    const size_t length = DecodeUtf8(name, i, code);
    if (length == 0) return "the name is not UTF-8";
    if (IsControl(code)) {
      return fmt::format("the name holds the control character U+{:04X}", static_cast<uint32_t>(code));
    }
    i += length;
  }
  return "";
}

}  // namespace ckmap
