#include "runtime/migrate/card.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/open.h"
#include "runtime/report/numbers.h"

namespace ckmap {
namespace {

constexpr int64_t kCardBlock = int64_t{1} << 18;  // elements that are compared at once

// How near two checkpoints are, over all their elements.
struct Nearness {
  int64_t equal = 0;  // bit for bit
  double max_difference = 0;
  double dot = 0, left = 0, right = 0;  // sums of products

  double cosine() const { return left == 0 || right == 0 ? (left == right ? 1 : 0) : dot / std::sqrt(left * right); }
};

Result<void> CompareElements(const Checkpoint& a, size_t in_a, const Checkpoint& b, size_t in_b, Nearness& nearness) {
  const DType type_a = a.manifest()[in_a].dtype, type_b = b.manifest()[in_b].dtype;
  if (!IsNumber(type_a) || !IsNumber(type_b)) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("{}: its dtype has no numbers to compare", QuoteName(a.manifest()[in_a].name)));
  }
  CKMAP_ASSIGN_OR_RETURN(const auto reader_a, TensorReader::Make(a, in_a));
  CKMAP_ASSIGN_OR_RETURN(const auto reader_b, TensorReader::Make(b, in_b));
  const int64_t size_a = reader_a->element(), size_b = reader_b->element();
  const int64_t count = reader_a->bytes() / size_a;
  std::vector<std::byte> bytes_a, bytes_b;
  std::vector<double> left, right;
  for (int64_t begin = 0; begin < count; begin += kCardBlock) {
    const int64_t part = std::min(kCardBlock, count - begin);
    bytes_a.resize(static_cast<size_t>(part * size_a));
    bytes_b.resize(static_cast<size_t>(part * size_b));
    CKMAP_RETURN_IF_ERROR(reader_a->Read(begin * size_a, bytes_a));
    CKMAP_RETURN_IF_ERROR(reader_b->Read(begin * size_b, bytes_b));
    left.clear();
    right.clear();
    ToNumbers(type_a, bytes_a, left);
    ToNumbers(type_b, bytes_b, right);
    for (size_t i = 0; i < left.size(); ++i) {
      const auto size = static_cast<size_t>(size_a);
      nearness.equal += type_a == type_b && std::memcmp(&bytes_a[i * size], &bytes_b[i * size], size) == 0 ? 1 : 0;
      nearness.max_difference = std::max(nearness.max_difference, std::abs(left[i] - right[i]));
      nearness.dot += left[i] * right[i];
      nearness.left += left[i] * left[i];
      nearness.right += right[i] * right[i];
    }
  }
  return {};
}

Result<Nearness> CompareWith(const Checkpoint& output, const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(const auto reference, OpenCheckpoint(path, {}));
  Nearness nearness;
  for (size_t i = 0; i < output.manifest().size(); ++i) {
    const TensorInfo& tensor = output.manifest()[i];
    const auto at = reference->manifest().Find(tensor.name);
    if (!at || reference->manifest()[*at].shape != tensor.shape) {
      return Error(ErrorCode::kMismatch, fmt::format("{}: it has no {} of the shape {}", EscapeText(path),
                                                     QuoteName(tensor.name), FormatShape(tensor.shape)));
    }
    CKMAP_RETURN_IF_ERROR(CompareElements(output, i, *reference, *at, nearness));
  }
  if (reference->manifest().size() == output.manifest().size()) return nearness;
  return Error(ErrorCode::kMismatch, fmt::format("{}: it has {}, the output {}", EscapeText(path),
                                                 Plural(static_cast<int64_t>(reference->manifest().size()), "tensor"),
                                                 output.manifest().size()));
}

// "transformers 4.57.1 LlamaForCausalLM", as far as a config.json says it.
std::string NetworkOfConfig(const std::string& config) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array classes;
  std::string_view version, name;
  if (parser.parse(config).get(root) != simdjson::SUCCESS) return {};
  if (root["transformers_version"].get(version) != simdjson::SUCCESS) return {};
  const bool named = root["architectures"].get(classes) == simdjson::SUCCESS && classes.size() > 0 &&
                     classes.at(0).get(name) == simdjson::SUCCESS;
  return fmt::format("transformers {}{}{}", version, named ? " " : "", name);
}

}  // namespace

Result<std::string> MakeVerificationCard(const CardRequest& request) {
  CKMAP_ASSIGN_OR_RETURN(const auto output, OpenCheckpoint(request.output, {}));
  int64_t elements = 0;
  for (const TensorInfo& tensor : output->manifest().tensors()) elements += NumElements(tensor.shape).value_or(0);
  std::optional<Nearness> nearness;
  if (!request.reference.empty()) {
    CKMAP_ASSIGN_OR_RETURN(nearness, CompareWith(*output, request.reference));
  }
  std::string config;
  if (!request.config.empty()) {
    CKMAP_ASSIGN_OR_RETURN(config, ReadTextFile(request.config));
  }
  std::string card = fmt::format("- network: {}\n", JsonString(request.network));
  const auto add = [&card](const char* key, const std::string& value) {
    if (!value.empty()) card += fmt::format("  {}: {}\n", key, value);
  };
  const auto text = [](const std::string& value) { return value.empty() ? value : JsonString(value); };
  add("source", text(request.source_network.empty() ? NetworkOfConfig(config) : request.source_network));
  add("target", text(request.target_network));
  if (!config.empty()) add("config", "sha256:" + Sha256Hex(config));
  std::string defines;
  for (const auto& [name, value] : request.defines)
    defines += fmt::format("{}{}: {}", defines.empty() ? "" : ", ", JsonString(name), JsonString(value));
  if (!defines.empty()) add("defines", "{" + defines + "}");
  add("tensors", std::to_string(output->manifest().size()));
  add("elements", std::to_string(elements));
  add("equal", std::to_string(nearness ? nearness->equal : elements));
  if (nearness) {
    add("max_difference", fmt::format("{}", nearness->max_difference));
    add("cosine", fmt::format("{}", std::clamp(nearness->cosine(), -1.0, 1.0)));
  }
  add("date", request.date);
  add("command", text(request.command));
  return card;
}

}  // namespace ckmap
