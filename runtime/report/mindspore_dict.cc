#include "runtime/report/mindspore_dict.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

// Those that load_checkpoint knows.
bool IsLoadable(DType dtype, bool safetensors) {
  constexpr DType kBoth[] = {DType::kBool, DType::kI8,  DType::kI16, DType::kI32, DType::kI64, DType::kU8,  DType::kU16,
                             DType::kU32,  DType::kU64, DType::kF16, DType::kF32, DType::kF64, DType::kBF16};
  if (std::find(std::begin(kBoth), std::end(kBoth), dtype) != std::end(kBoth)) return true;
  return dtype == DType::kI4 || (dtype == DType::kAny && !safetensors);
}

std::string UnknownDType(const TensorInfo& tensor) {
  return fmt::format("`{}` is {}, which it does not know", tensor.name, DTypeName(tensor.dtype));
}

bool HasPrefix(const std::vector<std::string>& prefixes, std::string_view name) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

bool Matches(const std::vector<std::string>& globs, std::string_view name) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) { return GlobMatches(glob, name); });
}

using Choice = std::function<bool(std::string_view)>;

Choice ByPrefixes(const Selection& selection) {
  return [&selection](std::string_view name) {
    if (!selection.specify_prefix.empty() && !HasPrefix(selection.specify_prefix, name)) return false;
    return !HasPrefix(selection.filter_prefix, name);
  };
}

Choice ByGlobs(const Selection& selection) {
  return [&selection](std::string_view name) {
    if (!selection.only.empty() && !Matches(selection.only, name)) return false;
    return !Matches(selection.drop, name);
  };
}

// MindSpore walks the header in its order: each tensor must begin where the one before it ends.
bool HeaderInDataOrder(const Checkpoint& file) {
  int64_t last = -1;
  for (size_t i = 0; i < file.manifest().size(); ++i) {
    const std::vector<FileExtent> extents = file.storage_extents(file.layout(i).storage);
    if (extents.empty() || file.storage_bytes(file.layout(i).storage) == 0) continue;
    if (extents[0].offset < last) return false;
    last = extents[0].offset;
  }
  return true;
}

// The ending that load_checkpoint goes by: it compares text, a dot is not needed.
std::string WhyNameIsRefused(const std::string& path, bool safetensors) {
  const char* const wanted = safetensors ? "safetensors" : "ckpt";
  if (path.ends_with(wanted)) return "";
  const char* const other = safetensors ? "ckpt" : "safetensors";
  if (path.ends_with(other)) return fmt::format("the file is called {} and holds {}", other, wanted);
  return fmt::format("the file holds {0}, and its name does not end with {0}", wanted);
}

}  // namespace

MindSporeDict::MindSporeDict(const Manifest& manifest) {
  for (const TensorInfo& tensor : manifest.tensors()) Add({tensor, false});
}

MindSporeDict::MindSporeDict(const Checkpoint& file, const std::string& path, const Selection& selection) {
  const bool safetensors = file.format() == "safetensors", ckpt = file.format() == "ms-ckpt";
  if (!safetensors && !ckpt) {
    raises_ = fmt::format("it reads one .ckpt or .safetensors file, this is {}", file.format());
    return;
  }
  raises_ = WhyNameIsRefused(path, safetensors);
  if (!raises_.empty()) return;
  const bool prefixes = !selection.specify_prefix.empty() || !selection.filter_prefix.empty();
  const bool globs = !selection.only.empty() || !selection.drop.empty();
  if (prefixes && safetensors) ignored_.push_back("prefixes are ignored for safetensors; choice_func is not");
  if (prefixes && ckpt && globs) ignored_.push_back("choice_func (--only, --drop) is ignored beside prefixes");
  const Choice keeps = prefixes && ckpt ? ByPrefixes(selection) : ByGlobs(selection);

  std::vector<size_t> order(file.manifest().size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (safetensors) {
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return file.manifest()[a].name < file.manifest()[b].name; });
    if (!HeaderInDataOrder(file)) raises_ = "the header lists tensors in another order than their data";
    // The header is checked as a whole, also what choice_func leaves out.
    for (const TensorInfo& tensor : file.manifest().tensors()) {
      if (raises_.empty() && !IsLoadable(tensor.dtype, safetensors)) raises_ = UnknownDType(tensor);
    }
  }
  for (const size_t i : order) {
    if (keeps(file.manifest()[i].name)) Add({file.manifest()[i], false});
  }
  for (const OtherEntry& other : file.others()) {
    if (!ckpt || !keeps(other.name)) continue;
    if (other.name == "random_op" && other.kind == "bytes") {
      raises_ = "`random_op` is of a type that MindSpore 2.7 and later do not know";
    } else {
      TensorInfo text;
      text.name = other.name;
      Add({std::move(text), true});
    }
  }
  CheckEntries(file, safetensors);
}

void MindSporeDict::Add(Entry entry) {
  if (index_.emplace(entry.tensor.name, entries_.size()).second) entries_.push_back(std::move(entry));
}

void MindSporeDict::CheckEntries(const Checkpoint& file, bool safetensors) {
  constexpr size_t kLongestName = 1024;
  for (const Entry& entry : entries_) {
    if (!raises_.empty()) return;
    const TensorInfo& tensor = entry.tensor;
    if (entry.text) continue;
    if (!IsLoadable(tensor.dtype, safetensors)) {
      raises_ = UnknownDType(tensor);
    } else if (!safetensors && tensor.name.size() > kLongestName) {
      raises_ = fmt::format("a name has {} characters, more than {}", tensor.name.size(), kLongestName);
    } else if (safetensors && tensor.dtype != DType::kI4 && file.metadata().contains(tensor.name)) {
      raises_ = fmt::format("`{}` is an entry of the metadata too", tensor.name);
    }
  }
  if (raises_.empty() && entries_.empty()) raises_ = "nothing is left: \"The loaded parameter dict is empty\"";
}

const MindSporeDict::Entry* MindSporeDict::Find(const std::string& name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? nullptr : &entries_[at->second];
}

}  // namespace ckmap
