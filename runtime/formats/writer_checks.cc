#include "runtime/formats/writer_checks.h"

#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr size_t kReasonsShown = 50;
constexpr size_t kMaxName = size_t{1} << 16;
constexpr size_t kMaxAxes = 64;

bool HasControl(std::string_view name) {
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

}  // namespace

void Refusals::Add(const std::string& tensor, std::string reason) {
  lines_.push_back(fmt::format("tensor `{}`: {}", EscapeText(tensor), reason));
}

Result<void> Refusals::ToResult(const std::string& path, std::string_view format) const {
  if (lines_.empty()) return {};
  std::string text = fmt::format("{}: cannot be written as {}:", path, format);
  for (size_t i = 0; i < lines_.size() && i < kReasonsShown; ++i) text += "\n  " + lines_[i];
  if (lines_.size() > kReasonsShown) {
    text += fmt::format("\n  and {} more", lines_.size() - kReasonsShown);
  }
  return Error(ErrorCode::kMismatch, std::move(text));
}

void CheckTensors(const std::vector<OutputTensor>& tensors, Refusals& refusals) {
  std::unordered_set<std::string_view> names;
  for (const OutputTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) refusals.Add(tensor.name, "the name occurs twice");
    if (!IsValidUtf8(tensor.name)) refusals.Add(tensor.name, "the name is not UTF-8");
    if (HasControl(tensor.name)) refusals.Add(tensor.name, "the name holds control characters");
    if (tensor.name.size() > kMaxName) {
      refusals.Add(tensor.name.substr(0, 60) + "…", "the name is longer than 65536 bytes");
    }
    if (tensor.shape.size() > kMaxAxes) {
      refusals.Add(tensor.name, fmt::format("has {} axes, at most 64 can be read again", tensor.shape.size()));
    }
    if (!NumBytes(tensor.shape, tensor.dtype)) {
      refusals.Add(tensor.name, fmt::format("{} {} is no number of whole bytes below 2^62", DTypeName(tensor.dtype),
                                            FormatShape(tensor.shape)));
    }
  }
}

std::string NameSome(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 3; ++i) {
    text += (i == 0 ? "`" : ", `") + EscapeText(names[i]) + "`";
  }
  if (names.size() > 3) text += fmt::format(" and {} more", names.size() - 3);
  return text;
}

}  // namespace ckmap
