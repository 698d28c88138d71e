#include "runtime/migrate/verify.h"

#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

Result<Receipt> FindReceipt(const VerifyRequest& request, const Checkpoint& output) {
  if (request.report.empty() && request.report_json.empty()) {
    const auto found = output.metadata().find(std::string(kReceiptKey));
    if (found == output.metadata().end()) {
      return Error(ErrorCode::kUsage,
                   fmt::format("{}: carries no receipt (a {} holds none, or ckmap did not write it); "
                               "give the report of its run: --report FILE.json",
                               request.output, output.format()));
    }
    auto receipt = ParseReceipt(found->second);
    if (!receipt) return std::move(receipt).error().Context(request.output + ": receipt");
    return receipt;
  }
  std::string text = request.report_json;
  if (!request.report.empty()) {
    CKMAP_ASSIGN_OR_RETURN(text, ReadTextFile(request.report));
  }
  const std::string name = request.report.empty() ? "report" : request.report;
  auto receipt = ParseReceipt(text);
  if (!receipt) return std::move(receipt).error().Context(name);
  if (!receipt->tensors.empty() && !receipt->has_digests) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: `{}` has no digest: this is the report of a dry run, not of `apply`", name,
                             receipt->tensors.front().name));
  }
  return receipt;
}

// Values of parameters that nobody gives are those that the receipt claims: what is made with them shows whether they
// are, where they matter. Gives the names.
std::vector<std::string> TakeParams(const Plan& plan, const Receipt& receipt,
                                    std::map<std::string, std::string>& defines) {
  std::vector<std::string> taken;
  for (const plan::Variable& variable : plan.proto().variables()) {
    const auto said = receipt.params.find(variable.name());
    if (!variable.is_param() || variable.fixed() || said == receipt.params.end() || defines.contains(variable.name()))
      continue;
    std::string value = said->second;
    const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
    if (quoted && (variable.type() == plan::Variable::STRING || value.size() == 2))
      value = value.substr(1, value.size() - 2);
    defines.emplace(variable.name(), std::move(value));
    taken.push_back(variable.name());
  }
  return taken;
}

bool ReadNumber(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Result<void> TakeRanks(const Receipt& receipt, std::map<std::string, Rank>& ranks) {
  constexpr int64_t kMaxRanks = 1 << 20;
  for (const auto& [group, text] : receipt.ranks) {
    const size_t slash = text.find('/');
    Rank rank;
    const bool read = slash != std::string::npos && ReadNumber(std::string_view(text).substr(0, slash), rank.index) &&
                      ReadNumber(std::string_view(text).substr(slash + 1), rank.count);
    if (!read || rank.index < 0 || rank.count < 1 || rank.index >= rank.count || rank.count > kMaxRanks) {
      return Error(ErrorCode::kMalformed,
                   fmt::format("the receipt's rank of `{}` is no INDEX/COUNT", EscapeText(group)));
    }
    ranks.emplace(group, rank);
  }
  return {};
}

// The dry run that the receipt speaks of, once more. Where the plan does not fit, its issues say why.
Result<PreparedMigration> DryRun(const VerifyRequest& request, const Receipt& receipt, MigrationSource source,
                                 const Manifest& output, std::vector<std::string>& assumed) {
  CKMAP_ASSIGN_OR_RETURN(const Plan plan, LoadPlanOrPack(request.plan));
  CKMAP_ASSIGN_OR_RETURN(BindOptions options, ReadParams(request.params));
  if (request.params.config.empty() && request.params.config_json.empty())
    assumed = TakeParams(plan, receipt, options.defines);
  CKMAP_RETURN_IF_ERROR(TakeRanks(receipt, options.placement.ranks));
  if (!receipt.ranks.empty() && request.target.empty()) {
    return Error(ErrorCode::kUsage,
                 "the receipt says that the output is the slice of a rank: give the whole target, --target T");
  }
  // Without the target that it was written for, the output's own names, dtypes and shapes are what is to come out.
  Manifest target = output;
  if (!request.target.empty()) {
    CKMAP_ASSIGN_OR_RETURN(target, ReadManifest(request.target));
  }
  return PrepareMigration(plan, std::move(source), TargetFile{.manifest = std::move(target)}, options);
}

}  // namespace

Result<VerifyOutcome> VerifyOutput(const VerifyRequest& request) {
  SourceOptions open = request.open;
  open.open.root.clear();
  CKMAP_ASSIGN_OR_RETURN(auto output, OpenCheckedSource(request.output, open));
  CKMAP_ASSIGN_OR_RETURN(const Receipt receipt, FindReceipt(request, *output));
  if (!receipt.root.empty()) {
    open.open.root = receipt.root;
    CKMAP_ASSIGN_OR_RETURN(output, OpenCheckedSource(request.output, open));
  }
  const bool has_source = !request.source.empty() || !request.named_sources.empty();
  if (!request.plan.empty() && !has_source) {
    return Error(
        ErrorCode::kUsage,
        "--plan: what the plan makes depends on the source: give --source (a spec of its names and shapes will do, and "
        "proves nothing of the bytes)");
  }
  MigrationSource source;
  if (has_source) {
    CKMAP_ASSIGN_OR_RETURN(source, OpenMigrationSources(request.source, request.named_sources, request.open));
    if (source.spec && request.plan.empty()) {
      return Error(ErrorCode::kUsage,
                   fmt::format("{} is a spec, which has no bytes to compare: give --plan, too", source.path));
    }
  }
  const std::shared_ptr<const Checkpoint> checkpoint = source.checkpoint;
  std::optional<PreparedMigration> dry_run;
  std::vector<std::string> assumed;
  if (!request.plan.empty()) {
    CKMAP_ASSIGN_OR_RETURN(dry_run, DryRun(request, receipt, std::move(source), output->manifest(), assumed));
    if (!dry_run->fits()) {
      VerifyOutcome outcome;
      outcome.tensors = static_cast<int64_t>(receipt.tensors.size());
      outcome.issues = dry_run->report.issues;
      outcome.issues.push_back(ReceiptIssue("", "the plan does not make this output of this source"));
      return outcome;
    }
  }
  return VerifyReceipt({.output = *output,
                        .receipt = receipt,
                        .source = checkpoint.get(),
                        .dry_run = dry_run ? &dry_run->report : nullptr,
                        .whole_target = !request.target.empty(),
                        .assumed = std::move(assumed),
                        .progress = request.progress,
                        .stop = request.stop});
}

}  // namespace ckmap
