#include "runtime/migrate/save.h"

#include <chrono>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/target/decisions.h"
#include "runtime/exec/clone.h"
#include "runtime/formats/create.h"
#include "runtime/migrate/output_contents.h"

namespace ckmap {
namespace {

constexpr size_t kMaxReceipt = size_t{16} << 20;  // readers have limits for what stands before the tensors

// Who made it from what, for formats that have room for such.
std::map<std::string, std::string> Metadata(const PreparedMigration& migration, OutputFormat format, bool digests) {
  const MigrationReport& report = migration.report;
  std::map<std::string, std::string> metadata;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) metadata[key] = value;
  };
  const std::string receipt = ReceiptJson(report, digests);
  if (receipt.size() <= kMaxReceipt) add(std::string(kReceiptKey), receipt);
  if (format == OutputFormat::kTorch) return metadata;
  // A .ckpt has room for nothing that MindSpore would not load as a parameter; numpy would as an array.
  const bool safetensors = format == OutputFormat::kSafetensors || format == OutputFormat::kMindFormers;
  if (!safetensors && format != OutputFormat::kGguf) return {};
  if (migration.to_framework == "mindspore") add("format", "ms");
  if (migration.to_framework == "pytorch" || migration.to_framework == "torch") add("format", "pt");
  add(std::string(kPlanKey), report.plan_digest);
  std::string packs;
  for (const auto& [name, version] : report.packs) packs += (packs.empty() ? "" : ", ") + name + " " + version;
  add(std::string(kPacksKey), packs);
  return metadata;
}

}  // namespace

Result<OutputFormat> FindOutputFormat(const std::string& path, const std::string& name, const std::string& option) {
  const auto format = name.empty() ? OutputFormatFromPath(path) : ParseOutputFormat(name);
  if (format) return *format;
  if (!name.empty())
    return Error(ErrorCode::kUsage, fmt::format("{} {}: not one of {}", option, name, OutputFormatNames()));
  return Error(ErrorCode::kUsage, fmt::format("the ending of `{}` names no format that is written; say {} {}", path,
                                              option, OutputFormatNames()));
}

Result<void> SaveMigration(const PreparedMigration& migration, const std::string& path, SaveRequest request,
                           MigrationReport& report) {
  CKMAP_RETURN_IF_ERROR(CheckDecided(report.issues));
  const auto start = std::chrono::steady_clock::now();
  const BoundPlan& bound = *report.bound;
  const Checkpoint& source = *migration.source.checkpoint;
  if (bound.tensors.empty()) {
    return Error(ErrorCode::kMismatch, fmt::format("{}: no tensor would be written: the target wants none of {}", path,
                                                   migration.source.path));
  }
  if (request.format == OutputFormat::kMindFormers && !bound.slices.empty()) {
    return Error(ErrorCode::kUsage,
                 fmt::format("{}: a checkpoint of MindFormers holds whole tensors, or those of all ranks of a mesh: it "
                             "cannot be written for one rank",
                             path));
  }
  std::vector<OutputTensor> tensors = TiedOutputTensors(bound);
  for (const auto& [tensor, cuts] : migration.cuts) tensors[tensor].cuts = cuts;
  if (request.format == OutputFormat::kSafetensors) FindCopies(bound, source, tensors);
  request.write.metadata = Metadata(migration, request.format, request.digests);
  request.write.nesting = migration.nesting;
  CarryTexts(bound, source, request.format, request.write, report.warnings);
  CKMAP_ASSIGN_OR_RETURN(const auto writer, CreateCheckpoint(path, request.format, std::move(tensors), request.write));
  report.warnings.insert(report.warnings.end(), writer->warnings().begin(), writer->warnings().end());
  request.run.check_all = migration.source.crc_check;
  CKMAP_ASSIGN_OR_RETURN(report.outcome, Execute(bound, source, *writer, request.run));
  if (request.run.stop != nullptr && request.run.stop->load()) return Error(ErrorCode::kIo, "interrupted");
  if (request.digests && request.write.metadata.contains(std::string(kReceiptKey))) {
    writer->ReplaceReceipt(ReceiptJson(report, true));
  }
  CKMAP_ASSIGN_OR_RETURN(report.files, writer->Commit());
  report.applied = true;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  NoteOverflows(report);
  return {};
}

namespace {

// What values did not fit into: a dtype, or the bits that numbers are packed in.
std::string Holder(const BoundTensor& tensor) {
  for (const BoundInput& input : tensor.inputs) {
    const auto* pack = input.node == nullptr ? nullptr : std::get_if<PackSpec>(&input.node->spec);
    if (pack != nullptr) return Plural(pack->bits, "bit");
  }
  return std::string(DTypeName(tensor.dtype));
}

}  // namespace

void NoteOverflows(MigrationReport& report) {
  for (size_t i = 0; i < report.bound->tensors.size(); ++i) {
    const int64_t overflowed = report.outcome->tensors[i].overflowed;
    if (overflowed == 0) continue;
    const BoundTensor& tensor = report.bound->tensors[i];
    report.issues.push_back(
        {.code = "CK1402",
         .severity = IssueSeverity::kWarning,
         .tensor = tensor.name,
         .message = fmt::format("`{}`: {} did not fit {}", tensor.name, Plural(overflowed, "value"), Holder(tensor)),
         .notes = {fmt::format("by the rule at {}", tensor.rule)},
         .help = ""});
  }
}

}  // namespace ckmap
