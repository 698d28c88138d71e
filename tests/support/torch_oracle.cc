#include "tests/support/torch_oracle.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

namespace dom = simdjson::dom;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string Text(const dom::element& object, std::string_view key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

std::string ValueText(const dom::element& leaf) {
  dom::element value;
  if (leaf["value"].get(value) != simdjson::SUCCESS) return "";
  if (value.is_string()) return std::string(std::string_view(value));
  if (value.is_bool()) return bool(value) ? "true" : "false";
  if (value.is_int64()) return fmt::format("{}", int64_t(value));
  if (value.is_double()) return fmt::format("{}", double(value));
  return "";
}

std::string ValueText(const OtherEntry& entry) {
  if (const auto* b = std::get_if<bool>(&entry.value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&entry.value)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&entry.value)) return fmt::format("{}", *d);
  if (const auto* s = std::get_if<std::string>(&entry.value)) return *s;
  return "";
}

// One element as it lies in the file to one as it is meant.
void Resolve(char* element, size_t size, DType dtype, const TensorLayout& layout) {
  const size_t half = IsComplex(dtype) ? size / 2 : size;
  for (size_t at = 0; at < size; at += half) {
    if (layout.byteswap) std::reverse(element + at, element + at + half);
    const bool flip = layout.negative != (layout.conjugate && at > 0);
    if (flip) element[at + half - 1] = static_cast<char>(element[at + half - 1] ^ 0x80);
  }
}

}  // namespace

TorchOracle ReadTorchOracle(const std::string& json_path) {
  dom::parser parser;
  const dom::element root = parser.load(json_path);
  TorchOracle oracle;
  oracle.refuse_scope = Text(root, "refuse_scope");
  for (const dom::element& entry : root["tensors"].get_array()) {
    TorchOracle::Tensor tensor;
    tensor.name = Text(entry, "name");
    tensor.dtype = Lower(Text(entry, "dtype"));
    tensor.sha256 = Text(entry, "sha256");
    for (const int64_t size : entry["shape"].get_array()) tensor.shape.push_back(size);
    int64_t group = -1;
    if (entry["storage_group"].get(group) == simdjson::SUCCESS) tensor.group = group;
    oracle.tensors.push_back(std::move(tensor));
  }
  dom::array leaves;
  if (root["leaves"].get(leaves) == simdjson::SUCCESS) {
    for (const dom::element& entry : leaves) {
      std::string kind = Text(entry, "type");
      if (kind == "NoneType") kind = "none";
      const bool container = kind == "dict" || kind == "list" || kind == "tuple" || kind == "set" || kind == "Size";
      oracle.leaves.push_back({Text(entry, "name"), kind, container ? "" : ValueText(entry)});
    }
  }
  return oracle;
}

std::vector<HostileFile> ReadHostileIndex(const std::string& json_path) {
  dom::parser parser;
  std::vector<HostileFile> files;
  for (const dom::element& entry : parser.load(json_path).get_array()) {
    files.push_back({Text(entry, "file"), Text(entry, "format"), Text(entry, "why"), Text(entry, "must")});
  }
  return files;
}

Result<std::string> LogicalBytes(const Checkpoint& checkpoint, size_t index) {
  const TensorInfo& info = checkpoint.manifest()[index];
  const TensorLayout& layout = checkpoint.layout(index);
  const auto bytes = static_cast<size_t>(*NumBytes(info.shape, info.dtype));
  std::string logical(bytes, '\0');
  if (bytes == 0) return logical;
  if (DTypeBits(info.dtype) < 8) {
    CKMAP_RETURN_IF_ERROR(
        checkpoint.ReadStorage(layout.storage, layout.offset, std::as_writable_bytes(std::span(logical))));
    return logical;
  }
  const auto size = static_cast<size_t>(DTypeSize(info.dtype));
  int64_t span = static_cast<int64_t>(size);
  for (size_t axis = 0; axis < info.shape.size(); ++axis) span += (info.shape[axis] - 1) * layout.strides[axis];
  std::string physical(static_cast<size_t>(span), '\0');
  CKMAP_RETURN_IF_ERROR(
      checkpoint.ReadStorage(layout.storage, layout.offset, std::as_writable_bytes(std::span(physical))));
  std::vector<int64_t> at(info.shape.size(), 0);
  for (size_t out = 0; out < bytes; out += size) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < at.size(); ++axis) offset += at[axis] * layout.strides[axis];
    physical.copy(logical.data() + out, size, static_cast<size_t>(offset));
    Resolve(logical.data() + out, size, info.dtype, layout);
    for (size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < info.shape[axis]) break;
      at[axis] = 0;
    }
  }
  return logical;
}

std::string CompareWithOracle(const Checkpoint& checkpoint, const TorchOracle& oracle) {
  std::string differences;
  const auto differ = [&](std::string line) { differences += line + "\n"; };
  if (checkpoint.manifest().size() != oracle.tensors.size()) {
    differ(fmt::format("{} tensors, not {}", checkpoint.manifest().size(), oracle.tensors.size()));
  }
  std::map<int64_t, int64_t> storage_of_group;
  std::set<int64_t> grouped;
  for (size_t i = 0; i < oracle.tensors.size(); ++i) {
    const TorchOracle::Tensor& want = oracle.tensors[i];
    const auto found = checkpoint.manifest().Find(want.name);
    if (!found) {
      differ(fmt::format("no tensor \"{}\"", EscapeText(want.name)));
      continue;
    }
    const TensorInfo& have = checkpoint.manifest()[*found];
    if (*found != i) differ(fmt::format("\"{}\" is tensor {}, not {}", EscapeText(want.name), *found, i));
    if (DTypeName(have.dtype) != want.dtype || have.shape != want.shape) {
      differ(fmt::format("\"{}\" is {} {}, not {} {}", EscapeText(want.name), DTypeName(have.dtype),
                         FormatShape(have.shape), want.dtype, FormatShape(want.shape)));
      continue;
    }
    if (want.sha256.empty()) continue;  // only listed
    const auto bytes = LogicalBytes(checkpoint, *found);
    if (!bytes.ok()) {
      differ(bytes.error().message());
    } else if (Sha256Hex(*bytes) != want.sha256) {
      differ(fmt::format("\"{}\" has other elements", EscapeText(want.name)));
    }
    if (want.group >= 0) {
      const auto [at, fresh] = storage_of_group.emplace(want.group, have.storage);
      if (fresh ? !grouped.insert(have.storage).second : at->second != have.storage) {
        differ(fmt::format("\"{}\" shares its storage with others than it should", EscapeText(want.name)));
      }
    }
  }
  std::map<std::string, const OtherEntry*> others;
  for (const OtherEntry& other : checkpoint.others()) others[other.name] = &other;
  if (others.size() != oracle.leaves.size())
    differ(fmt::format("{} other values, not {}", others.size(), oracle.leaves.size()));
  for (const TorchOracle::Leaf& want : oracle.leaves) {
    const auto found = others.find(want.name);
    if (found == others.end()) {
      differ(fmt::format("no value \"{}\"", want.name));
    } else if ((!want.kind.empty() && found->second->kind != want.kind) ||
               (!want.value.empty() && ValueText(*found->second) != want.value)) {
      differ(fmt::format("value \"{}\" is {} {}, not {} {}", want.name, found->second->kind, ValueText(*found->second),
                         want.kind, want.value));
    }
  }
  return differences;
}

Result<void> ReadAll(const Checkpoint& checkpoint, bool verify) {
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    if (!checkpoint.manifest()[i].unreadable.empty()) continue;
    CKMAP_RETURN_IF_ERROR(LogicalBytes(checkpoint, i));
    if (verify) CKMAP_RETURN_IF_ERROR(checkpoint.VerifyStorage(checkpoint.layout(i).storage));
  }
  return {};
}

}  // namespace ckmap
