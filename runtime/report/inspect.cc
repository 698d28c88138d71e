#include "runtime/report/inspect.h"

#include <map>
#include <variant>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/report/fold.h"
#include "runtime/report/shared_bytes.h"

namespace ckmap {
namespace {

void WriteTensor(JsonWriter& json, const TensorInfo& tensor, const std::string& digest) {
  json.BeginObject().Key("name").String(tensor.name).Key("dtype").String(DTypeName(tensor.dtype));
  json.Key("shape").BeginArray();
  for (const int64_t size : tensor.shape) json.Int(size);
  json.EndArray();
  if (const auto bytes = NumBytes(tensor.shape, tensor.dtype); bytes && tensor.dtype != DType::kAny) {
    json.Key("bytes").Int(*bytes);
  }
  if (tensor.storage >= 0) json.Key("storage").Int(tensor.storage);
  if (tensor.optional) json.Key("optional").Bool(true);
  if (!tensor.tied_to.empty()) json.Key("tied_to").String(tensor.tied_to);
  if (!tensor.unreadable.empty()) json.Key("unreadable").String(tensor.unreadable);
  if (!digest.empty()) json.Key("sha256").String(digest);
  json.EndObject();
}

void WriteTensors(JsonWriter& json, const Manifest& manifest, const std::vector<std::string>& digests) {
  json.Key("tensors").BeginArray().OnLines();
  for (size_t i = 0; i < manifest.size(); ++i) WriteTensor(json, manifest[i], digests.empty() ? "" : digests[i]);
  json.EndArray();
}

void WriteOther(JsonWriter& json, const OtherEntry& other) {
  json.BeginObject().Key("name").String(other.name).Key("kind").String(other.kind);
  if (const auto* flag = std::get_if<bool>(&other.value)) json.Key("value").Bool(*flag);
  if (const auto* integer = std::get_if<int64_t>(&other.value)) json.Key("value").Int(*integer);
  if (const auto* number = std::get_if<double>(&other.value)) json.Key("value").Number(*number);
  if (const auto* text = std::get_if<std::string>(&other.value)) json.Key("value").String(*text);
  json.EndObject();
}

std::string OtherText(const OtherEntry& other) {
  constexpr size_t kShown = 80;
  if (const auto* flag = std::get_if<bool>(&other.value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&other.value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&other.value)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&other.value)) {
    return JsonString(text->size() > kShown ? text->substr(0, kShown) + "…" : *text);
  }
  return "";
}

std::string FlagsOf(const TensorInfo& tensor) {
  std::vector<std::string> flags;
  if (tensor.optional) flags.emplace_back("optional");
  if (!tensor.tied_to.empty()) flags.push_back("tied to " + EscapeText(tensor.tied_to));
  if (!tensor.unreadable.empty()) flags.push_back("unreadable: " + EscapeText(tensor.unreadable));
  return fmt::format("{}", fmt::join(flags, "; "));
}

std::string BytesText(const TensorInfo& tensor, int64_t times) {
  const auto bytes = tensor.dtype == DType::kAny ? std::nullopt : NumBytes(tensor.shape, tensor.dtype);
  return bytes ? FormatBytes(*bytes * times) : "";
}

std::string TensorTable(const Manifest& manifest, const InspectOptions& options) {
  const bool digests = !options.digests.empty();
  TextTable table({"", "name", "dtype", "shape", "bytes", digests ? "sha256" : ""});
  table.AlignRight(0);
  table.AlignRight(4);
  const auto add = [&](const std::string& count, const std::string& name, size_t index, int64_t times) {
    const TensorInfo& tensor = manifest[index];
    const std::string flags = FlagsOf(tensor);
    table.AddRow({count, name, std::string(DTypeName(tensor.dtype)), FormatShape(tensor.shape),
                  BytesText(tensor, times),
                  digests ? options.digests[index] + (flags.empty() ? "" : "  " + flags) : flags});
  };
  // With digests no two rows are alike.
  if (options.all || digests) {
    for (size_t i = 0; i < manifest.size(); ++i) add("", EscapeText(manifest[i].name), i, 1);
    return table.Render();
  }
  std::vector<FoldRow> rows;
  for (const TensorInfo& tensor : manifest.tensors()) {
    rows.push_back({{tensor.name, tensor.tied_to},
                    fmt::format("{} {} {} {}", DTypeName(tensor.dtype), FormatShape(tensor.shape), tensor.optional,
                                tensor.unreadable)});
  }
  for (const FoldedRow& row : FoldRows(rows)) {
    const size_t count = row.members.size();
    add(count > 1 ? fmt::format("{} ×", count) : "", row.names[0], row.members[0], static_cast<int64_t>(count));
  }
  return table.Render();
}

// Elements and bytes, each tensor counted by itself.
std::string Totals(const Manifest& manifest) {
  double elements = 0;
  int64_t bytes = 0;
  for (const TensorInfo& tensor : manifest.tensors()) {
    const auto count = NumElements(tensor.shape);
    if (count) elements += static_cast<double>(*count);
    const auto size = tensor.dtype == DType::kAny ? std::nullopt : NumBytes(tensor.shape, tensor.dtype);
    if (size && bytes < (int64_t{1} << 61)) bytes += *size;
  }
  std::string amount = elements < 1e6   ? fmt::format("{:.0f}", elements)
                       : elements < 1e9 ? fmt::format("{:.1f} million", elements / 1e6)
                                        : fmt::format("{:.2f} billion", elements / 1e9);
  return fmt::format("{}, {} elements, {}", Plural(static_cast<int64_t>(manifest.size()), "tensor"), amount,
                     FormatBytes(bytes));
}

// "shares its bytes: a, b", one line for each group of tensors that do.
std::string SharedBytes(const Checkpoint& checkpoint) {
  std::string out;
  for (const std::vector<size_t>& group : TensorsThatShareBytes(checkpoint)) {
    std::vector<std::string> names;
    for (const size_t tensor : group) names.push_back(checkpoint.manifest()[tensor].name);
    std::vector<std::string> folded;
    for (FoldedRow& row : FoldNames(names)) folded.push_back(std::move(row.names[0]));
    constexpr size_t kShown = 6;
    const size_t hidden = folded.size() > kShown ? folded.size() - kShown : 0;
    folded.resize(folded.size() - hidden);
    out += fmt::format("shares its bytes: {}{}\n", fmt::join(folded, ", "),
                       hidden > 0 ? fmt::format(" and {} more", hidden) : "");
  }
  return out;
}

// Entries of one kind and value fold as tensors do; what is beyond a page is counted.
std::string OthersTable(const std::vector<OtherEntry>& others, bool all) {
  constexpr size_t kShown = 40;
  TextTable table({"", "other entries", "kind", "value"});
  table.AlignRight(0);
  if (all) {
    for (const OtherEntry& other : others)
      table.AddRow({"", EscapeText(other.name), EscapeText(other.kind), EscapeText(OtherText(other))});
    return table.Render();
  }
  std::vector<FoldRow> rows;
  for (const OtherEntry& other : others) rows.push_back({{other.name}, other.kind + ' ' + OtherText(other)});
  const std::vector<FoldedRow> folded = FoldRows(rows);
  const size_t shown = folded.size() > kShown ? kShown : folded.size();
  size_t entries = 0;
  for (size_t i = 0; i < shown; ++i) {
    const size_t count = folded[i].members.size();
    const OtherEntry& other = others[folded[i].members[0]];
    entries += count;
    table.AddRow({count > 1 ? fmt::format("{} ×", count) : "", folded[i].names[0], EscapeText(other.kind),
                  EscapeText(OtherText(other))});
  }
  std::string out = table.Render();
  if (entries < others.size()) {
    out += fmt::format("… and {} more of {} entries; --all lists them\n", others.size() - entries, others.size());
  }
  return out;
}

}  // namespace

std::string InspectJson(const std::string& path, const Checkpoint& checkpoint, const InspectOptions& options) {
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("path").String(path).Key("format").String(checkpoint.format());
  json.Key("metadata").BeginObject();
  for (const auto& [key, value] : checkpoint.metadata()) json.Key(key).String(value);
  json.EndObject();
  WriteTensors(json, checkpoint.manifest(), options.digests);
  json.Key("others").BeginArray().OnLines();
  for (const OtherEntry& other : checkpoint.others()) WriteOther(json, other);
  json.EndArray();
  json.Key("warnings").BeginArray();
  for (const std::string& warning : checkpoint.warnings()) json.String(warning);
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

std::string InspectText(const std::string& path, const Checkpoint& checkpoint, const InspectOptions& options) {
  const Manifest& manifest = checkpoint.manifest();
  std::string out =
      fmt::format("{}: {}, {}\n\n", options.style.Bold(EscapeText(path)), checkpoint.format(), Totals(manifest));
  out += TensorTable(manifest, options);
  if (const std::string shared = SharedBytes(checkpoint); !shared.empty()) out += "\n" + shared;
  if (!checkpoint.metadata().empty()) {
    constexpr size_t kShown = 200;
    TextTable table({"metadata", "value"});
    for (const auto& [key, value] : checkpoint.metadata()) {
      std::string shown = value.size() > kShown ? value.substr(0, kShown) + "…" : value;
      if (key == kReceiptKey)
        shown = fmt::format("{}, for `ckmap verify`", FormatBytes(static_cast<int64_t>(value.size())));
      table.AddRow({EscapeText(key), EscapeText(shown)});
    }
    out += "\n" + table.Render();
  }
  if (!checkpoint.others().empty()) {
    out += "\n" + OthersTable(checkpoint.others(), options.all);
  }
  return out;
}

std::string InspectSpecJson(const std::string& path, const Manifest& manifest) {
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("path").String(path).Key("format").String("spec").Key("framework").String(manifest.framework);
  json.Key("metadata").BeginObject().EndObject();
  WriteTensors(json, manifest, {});
  json.Key("others").BeginArray().EndArray().EndObject();
  return std::move(json).Finish();
}

std::string InspectSpecText(const std::string& path, const Manifest& manifest, const InspectOptions& options) {
  return fmt::format("{}: a spec, {}\n\n{}", options.style.Bold(EscapeText(path)), Totals(manifest),
                     TensorTable(manifest, options));
}

}  // namespace ckmap
