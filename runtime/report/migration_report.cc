#include "runtime/report/migration_report.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/report/causes.h"
#include "runtime/report/fold.h"
#include "runtime/report/issues.h"
#include "runtime/report/source_cell.h"

namespace ckmap {
namespace {

void WriteShape(JsonWriter& json, const Shape& shape) {
  json.BeginArray();
  for (const int64_t size : shape) json.Int(size);
  json.EndArray();
}

void WriteTexts(JsonWriter& json, const std::vector<std::string>& texts) {
  json.BeginArray();
  for (const std::string& text : texts) json.String(text);
  json.EndArray();
}

// The last operation on the elements of any input that may change values; the others are on the way to it.
const ElementOp* CastOf(const BoundTensor& tensor) {
  for (const BoundInput& input : tensor.inputs) {
    for (size_t i = input.casts.size(); i-- > 0;) {
      const ElementOp::Kind kind = input.casts[i].kind;
      if (kind == ElementOp::Kind::kCast || kind == ElementOp::Kind::kScale || kind == ElementOp::Kind::kAdd)
        return &input.casts[i];
    }
  }
  return nullptr;
}

void WriteTarget(JsonWriter& json, const MigrationReport& report, size_t index) {
  const BoundTensor& tensor = report.bound->tensors[index];
  json.BeginObject();
  json.Key("name").String(tensor.name);
  json.Key("dtype").String(DTypeName(tensor.dtype));
  json.Key("shape");
  WriteShape(json, tensor.shape);
  json.Key("rule").String(tensor.rule);
  json.Key("sources");
  WriteTexts(json, SourcesOf(*report.bound, tensor));
  json.Key("ops");
  WriteTexts(json, tensor.ops);
  if (const auto placed = report.bound->devices.find(index); placed != report.bound->devices.end()) {
    json.Key("device").String(placed->second.device);
  }
  if (const auto cut = report.bound->slices.find(index); cut != report.bound->slices.end()) {
    json.Key("slices").BeginArray();
    for (const TensorSlice& slice : cut->second) {
      json.BeginObject().Key("group").String(slice.group).Key("axis").Int(slice.axis).Key("begin").Int(slice.begin);
      json.Key("end").Int(slice.end).Key("of").Int(slice.whole).EndObject();
    }
    json.EndArray();
  }
  const TensorOutcome* outcome = report.outcome ? &report.outcome->tensors[index] : nullptr;
  if (const ElementOp* cast = CastOf(tensor); cast != nullptr) {
    json.Key("cast").BeginObject().Key("to").String(DTypeName(cast->to));
    if (outcome != nullptr) {
      json.Key("overflowed").Int(outcome->overflowed).Key("changed").Int(outcome->changed);
    }
    json.EndObject();
  } else if (ComputedDepth(tensor) > 0) {
    json.Key("computed").BeginObject().Key("depth").Int(ComputedDepth(tensor));
    if (outcome != nullptr) json.Key("overflowed").Int(outcome->overflowed);
    json.EndObject();
  }
  if (outcome != nullptr && !outcome->sha256.empty()) json.Key("sha256").String(outcome->sha256);
  json.EndObject();
}

// What a receipt keeps of it.
void WriteReceiptTarget(JsonWriter& json, const BoundPlan& bound, const BoundTensor& tensor, std::string_view sha256) {
  json.BeginObject();
  json.Key("name").String(tensor.name);
  json.Key("dtype").String(DTypeName(tensor.dtype));
  json.Key("shape");
  WriteShape(json, tensor.shape);
  if (!tensor.rule.empty()) json.Key("rule").String(tensor.rule);
  json.Key("sources");
  WriteTexts(json, SourcesOf(bound, tensor));
  if (!tensor.ops.empty()) {
    json.Key("ops");
    WriteTexts(json, tensor.ops);
  }
  if (const CastOp* cast = CastOf(tensor); cast != nullptr) {
    json.Key("cast").BeginObject().Key("to").String(DTypeName(cast->to)).EndObject();
  }
  if (!sha256.empty()) json.Key("sha256").String(sha256);
  json.EndObject();
}

template <typename Items>
void WriteNamesAndRules(JsonWriter& json, const Items& items) {
  json.BeginArray().OnLines();
  for (const auto& item : items) {
    json.BeginObject().Key("name").String(item.name).Key("rule").String(item.rule);
    if constexpr (requires { item.equals; }) {
      if (!item.equals.empty()) json.Key("equals").String(item.equals);
    }
    json.EndObject();
  }
  json.EndArray();
}

std::vector<KeptTensor> InitializedOf(const BoundPlan& bound) {
  std::vector<KeptTensor> initialized;
  for (const BoundTensor& tensor : bound.tensors) {
    if (tensor.initialized) initialized.push_back({tensor.name, tensor.rule});
  }
  return initialized;
}

void WritePlan(JsonWriter& json, const MigrationReport& report) {
  json.BeginObject().Key("digest").String(report.plan_digest).Key("migration").String(report.migration);
  json.Key("packs").BeginArray();
  for (const auto& [name, version] : report.packs) {
    json.BeginObject().Key("name").String(name).Key("version").String(version).EndObject();
  }
  json.EndArray().Key("params").BeginObject();
  if (report.bound) {
    for (const auto& [name, value] : report.bound->params) json.Key(name).String(value);
  }
  json.EndObject();
  if (report.bound && !report.bound->ranks.empty()) {
    json.Key("ranks").BeginObject();
    for (const auto& [group, rank] : report.bound->ranks)
      json.Key(group).String(fmt::format("{}/{}", rank.index, rank.count));
    json.EndObject();
  }
  json.EndObject();
}

std::string HowOf(const BoundTensor& tensor) {
  std::vector<std::string> ops = tensor.ops;
  const ElementOp* cast = CastOf(tensor);
  const bool told = std::any_of(ops.begin(), ops.end(), [](const std::string& op) { return op.rfind("cast", 0) == 0; });
  if (cast != nullptr && cast->kind == ElementOp::Kind::kCast && !told)
    ops.push_back(fmt::format("cast({})", DTypeName(cast->to)));
  return EscapeText(fmt::format("{}", fmt::join(ops, " | ")));
}

std::string MappingTable(const BoundPlan& bound, const ReportTextOptions& options) {
  std::vector<FoldRow> rows;
  for (const BoundTensor& tensor : bound.tensors) {
    FoldRow row{.names = {tensor.name}, .detail = ""};
    row.names.push_back(tensor.initialized ? "(init)" : SourceCell(bound, tensor));
    row.detail =
        fmt::format("{}\n{}\n{}\n{}", DTypeName(tensor.dtype), FormatShape(tensor.shape), HowOf(tensor), tensor.rule);
    rows.push_back(std::move(row));
  }
  TextTable table({"", "target", "dtype", "shape", "from", "by", "rule"});
  table.AlignRight(0);
  const auto add = [&](std::string count, const std::string& name, const std::string& sources,
                       const BoundTensor& tensor) {
    table.AddRow({std::move(count), name, std::string(DTypeName(tensor.dtype)), FormatShape(tensor.shape), sources,
                  HowOf(tensor), EscapeText(tensor.rule)});
  };
  if (options.all) {
    for (size_t i = 0; i < rows.size(); ++i) add("", EscapeText(rows[i].names[0]), rows[i].names[1], bound.tensors[i]);
  } else {
    for (const FoldedRow& row : FoldRows(rows)) {
      const size_t count = row.members.size();
      add(count > 1 ? fmt::format("{} ×", count) : "", row.names[0], row.names[1], bound.tensors[row.members[0]]);
    }
  }
  return table.Render();
}

// "gpt2.ckmap:9, compared with "wte.weight"".
template <typename Item>
std::string RuleOf(const Item& item) {
  if constexpr (requires { item.equals; }) {
    if (!item.equals.empty()) return fmt::format("{}, compared with {}", item.rule, item.equals);
  }
  return item.rule;
}

// "dropped   bn{1,2}.num_batches_tracked   (torch2ms.ckmap:7)", folded.
template <typename Items>
std::string NameList(const std::string& what, const Items& items, const ReportTextOptions& options) {
  if (items.empty()) return "";
  std::vector<FoldRow> rows;
  for (const auto& item : items) rows.push_back({{item.name}, RuleOf(item)});
  TextTable table({"", what, "rule"});
  table.AlignRight(0);
  if (options.all) {
    for (const auto& item : items) table.AddRow({"", EscapeText(item.name), EscapeText(RuleOf(item))});
  } else {
    for (const FoldedRow& row : FoldRows(rows)) {
      const size_t count = row.members.size();
      table.AddRow(
          {count > 1 ? fmt::format("{} ×", count) : "", row.names[0], EscapeText(RuleOf(items[row.members[0]]))});
    }
  }
  return "\n" + table.Render();
}

// What stands on each device, in the devices' order.
std::string DeviceLists(const BoundPlan& bound, const ReportTextOptions& options) {
  std::map<std::string, std::vector<KeptTensor>> devices;
  for (const auto& [index, place] : bound.devices)
    devices[place.device].push_back({bound.tensors[index].name, place.where});
  std::string out;
  for (const auto& [device, tensors] : devices) out += NameList("on " + device, tensors, options);
  return out;
}

}  // namespace

MigrationReport MigrationReport::Of(const Plan& plan) {
  MigrationReport report;
  report.plan_digest = plan.digest();
  report.migration = plan.proto().migration();
  std::set<std::string> seen;
  for (const plan::SourceFile& file : plan.proto().files()) {
    if (!file.pack().empty() && seen.insert(file.pack()).second) {
      report.packs.emplace_back(file.pack(), file.pack_version());
    }
  }
  return report;
}

bool MigrationReport::ok() const {
  return bound != nullptr && std::none_of(issues.begin(), issues.end(),
                                          [](const Issue& issue) { return issue.severity == IssueSeverity::kError; });
}

std::vector<std::string> SourcesOf(const BoundPlan& plan, const BoundTensor& tensor) {
  std::vector<std::string> names;
  std::set<size_t> seen;
  ForEachSource(tensor, [&](size_t source) {
    if (seen.insert(source).second) names.push_back(plan.source[source].name);
  });
  return names;
}

std::string ReportJson(const MigrationReport& report) {
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("ok").Bool(report.ok());
  json.Key("applied").Bool(report.applied);
  json.Key("plan");
  WritePlan(json, report);
  json.Key("source").BeginObject().Key("path").String(report.source_path);
  json.Key("format").String(report.source_format).EndObject();
  json.Key("target").BeginObject().Key("path").String(report.target_path).EndObject();
  json.Key("files").BeginArray();
  for (const WrittenFile& file : report.files) {
    json.BeginObject().Key("path").String(file.path).Key("bytes").Int(file.bytes).EndObject();
  }
  json.EndArray();
  json.Key("bytes_read").Int(report.cost.bytes_read);
  json.Key("bytes_written").Int(report.cost.bytes_written);
  json.Key("peak_memory").Int(report.cost.peak_memory);
  json.Key("targets").BeginArray().OnLines();
  for (size_t i = 0; report.bound && i < report.bound->tensors.size(); ++i) WriteTarget(json, report, i);
  json.EndArray();
  const BoundPlan nothing;
  const BoundPlan& bound = report.bound ? *report.bound : nothing;
  json.Key("dropped");
  WriteNamesAndRules(json, bound.dropped);
  json.Key("initialized");
  WriteNamesAndRules(json, InitializedOf(bound));
  json.Key("kept");
  WriteNamesAndRules(json, bound.kept);
  json.Key("warnings");
  WriteTexts(json, report.warnings);
  json.Key("issues");
  WriteIssues(json, report.issues);
  json.Key("causes");
  WriteCauses(json, report.causes);
  json.EndObject();
  return std::move(json).Finish();
}

std::string ReceiptJson(const MigrationReport& report, bool digests) {
  const std::string unknown(64, '0');
  const BoundPlan& bound = *report.bound;
  JsonWriter json;
  json.BeginObject().Key("plan");
  WritePlan(json, report);
  if (!report.target_root.empty()) json.Key("root").String(report.target_root);
  json.Key("targets").BeginArray();
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    const std::string_view sha256 = !digests         ? std::string_view()
                                    : report.outcome ? report.outcome->tensors[i].sha256
                                                     : unknown;
    WriteReceiptTarget(json, bound, bound.tensors[i], sha256);
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

std::string ReportText(const MigrationReport& report, const ReportTextOptions& options) {
  if (!report.bound) return "";
  const BoundPlan& bound = *report.bound;
  const std::vector<KeptTensor> initialized = InitializedOf(bound);
  std::string out = MappingTable(bound, options);
  out += NameList("dropped", bound.dropped, options);
  out += NameList("kept by the network", bound.kept, options);
  out += DeviceLists(bound, options);
  if (!bound.params.empty()) {
    out += "\nparams:";
    for (const auto& [name, value] : bound.params) out += fmt::format(" {}={}", EscapeText(name), EscapeText(value));
    out += "\n";
  }
  if (!bound.ranks.empty()) {
    out += "\nrank:";
    for (const auto& [group, rank] : bound.ranks)
      out += fmt::format(" {}={}/{}", EscapeText(group), rank.index, rank.count);
    out += "\n";
  }
  const auto count = [](const auto& items) { return FormatCount(static_cast<int64_t>(items.size())); };
  out += fmt::format("\n{} from {}", Plural(static_cast<int64_t>(bound.tensors.size() - initialized.size()), "tensor"),
                     Plural(static_cast<int64_t>(bound.source.size()), "source tensor"));
  if (!initialized.empty()) out += fmt::format(", {} initialized", count(initialized));
  if (!bound.dropped.empty()) out += fmt::format(", {} dropped", count(bound.dropped));
  if (!bound.kept.empty()) out += fmt::format(", {} kept", count(bound.kept));
  out += fmt::format("; {} {}, {} {}, {} of memory\n", report.applied ? "read" : "reads",
                     FormatBytes(report.cost.bytes_read), report.applied ? "wrote" : "writes",
                     FormatBytes(report.cost.bytes_written), FormatBytes(report.cost.peak_memory));
  return out;
}

}  // namespace ckmap
