#include "runtime/report/verify_receipt.h"

#include <optional>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/exec/bound_digests.h"
#include "runtime/exec/tensor_reader.h"

namespace ckmap {
namespace {

class Verifier {
 public:
  explicit Verifier(const VerifyInput& input) : input_(input) {}

  Result<VerifyOutcome> Run() {
    const Manifest& manifest = input_.output.manifest();
    std::vector<bool> listed(manifest.size(), false);
    outcome_.tensors = static_cast<int64_t>(input_.receipt.tensors.size());
    CKMAP_RETURN_IF_ERROR(Recompute());
    int64_t done = 0;
    for (const ReceiptTensor& tensor : input_.receipt.tensors) {
      if (input_.stop != nullptr && input_.stop->load()) return Error(ErrorCode::kIo, "stopped before it was complete");
      if (input_.progress) input_.progress(done, outcome_.tensors);
      ++done;
      const auto index = manifest.Find(tensor.name);
      if (!index) {
        Add(tensor.name, fmt::format("`{}` is missing", tensor.name));
        continue;
      }
      listed[*index] = true;
      CKMAP_RETURN_IF_ERROR(Check(tensor, *index));
    }
    CompareMetadata();
    for (size_t i = 0; i < manifest.size(); ++i) {
      if (!listed[i]) Add(manifest[i].name, fmt::format("`{}` is not in the report", manifest[i].name));
    }
    Conclude();
    return std::move(outcome_);
  }

 private:
  void Add(const std::string& tensor, std::string message) {
    outcome_.issues.push_back(ReceiptIssue(tensor, std::move(message)));
  }

  // What the plan gives: what is said of its tensors, and their bytes.
  Result<void> Recompute() {
    if (input_.dry_run == nullptr) return {};
    CKMAP_ASSIGN_OR_RETURN(Receipt recomputed, ParseReceipt(ReceiptJson(*input_.dry_run, false)));
    CKMAP_ASSIGN_OR_RETURN(Receipt report, ParseReceipt(ReportJson(*input_.dry_run)));
    recomputed.lists = std::move(report.lists);
    if (!input_.whole_target) recomputed.lists.erase("kept");  // what is not in the output
    outcome_.issues = CompareReceipts(input_.receipt, recomputed);
    if (input_.source == nullptr) return {};
    ExecOptions options;
    options.stop = input_.stop;
    const BoundPlan& bound = *input_.dry_run->bound;
    CKMAP_ASSIGN_OR_RETURN(std::vector<std::string> digests, DigestBound(bound, *input_.source, options));
    for (size_t i = 0; i < digests.size(); ++i) made_.emplace(bound.tensors[i].name, std::move(digests[i]));
    return {};
  }

  // The plan's digest and the packs stand in some files a second time, beside the receipt.
  void CompareMetadata() {
    const auto compare = [&](std::string_view key, const std::string& says) {
      const auto found = input_.output.metadata().find(std::string(key));
      if (found == input_.output.metadata().end() || found->second == says) return;
      Add("", fmt::format("`{}` in the file's metadata is \"{}\", the receipt says \"{}\"", key,
                          EscapeText(found->second), EscapeText(says)));
    };
    compare(kPlanKey, input_.receipt.plan_digest);
    compare(kPacksKey, PacksText(input_.receipt));
  }

  Result<void> Check(const ReceiptTensor& said, size_t index) {
    const TensorInfo& tensor = input_.output.manifest()[index];
    if (DTypeName(tensor.dtype) != said.dtype || tensor.shape != said.shape) {
      Add(said.name, fmt::format("`{}` is {} {}, the report says {} {}", said.name, DTypeName(tensor.dtype),
                                 FormatShape(tensor.shape), said.dtype, FormatShape(said.shape)));
      return {};
    }
    const auto made = made_.find(said.name);
    const bool copied = input_.source != nullptr && input_.dry_run == nullptr && said.copied();
    if (said.sha256.empty() && made == made_.end() && !copied) return {};
    CKMAP_ASSIGN_OR_RETURN(const std::string digest, DigestTensor(input_.output, index));
    if (!said.sha256.empty()) {
      ++outcome_.by_digest;
      if (digest != said.sha256)
        Add(said.name, fmt::format("the bytes of `{}` are not those that were written", said.name));
    }
    if (made != made_.end()) {
      ++outcome_.recomputed;
      if (digest != made->second)
        Add(said.name, fmt::format("the bytes of `{}` are not those that the plan makes of the source", said.name));
    }
    return copied ? CheckCopy(said, digest) : Result<void>();
  }

  Result<void> CheckCopy(const ReceiptTensor& said, const std::string& digest) {
    ++outcome_.by_source;
    const std::string& from = said.sources.front();
    const auto index = input_.source->manifest().Find(from);
    if (!index || DTypeName(input_.source->manifest()[*index].dtype) != said.dtype) {
      Add(said.name,
          fmt::format("`{}` was copied from `{}`, which the source does not hold as {}", said.name, from, said.dtype));
      return {};
    }
    CKMAP_ASSIGN_OR_RETURN(const std::string original, DigestTensor(*input_.source, *index));
    if (original != digest)
      Add(said.name, fmt::format("the bytes of `{}` are not those of `{}` in the source", said.name, from));
    return {};
  }

  void Conclude() {
    std::vector<std::string>&proved = outcome_.proved, &unproved = outcome_.unproved;
    proved.emplace_back("names, dtypes and shapes, against the receipt");
    if (outcome_.recomputed > 0) {
      proved.push_back(
          fmt::format("bytes, made again from the source by the plan ({})", Plural(outcome_.recomputed, "tensor")));
    }
    if (outcome_.by_digest > 0) proved.emplace_back("bytes, against the digests of the receipt");
    if (outcome_.by_source > 0) {
      proved.push_back(fmt::format("bytes of the {} that the receipt calls {}, against the source",
                                   Plural(outcome_.by_source, "tensor"),
                                   outcome_.by_source == 1 ? "a copy" : "copies"));
    }
    const int64_t others = outcome_.tensors - outcome_.by_source;
    if (input_.source != nullptr && input_.dry_run == nullptr && others > 0) {
      unproved.push_back(fmt::format("that the other {} {} made of the source (--plan PLAN makes {} again)",
                                     Plural(others, "tensor"), others == 1 ? "was" : "were",
                                     others == 1 ? "it" : "them"));
    }
    if (outcome_.tensors > 0 && outcome_.by_digest == 0 && outcome_.recomputed == 0) {
      unproved.push_back(
          fmt::format("{}bytes: the receipt has no digests (apply --digest)", outcome_.by_source > 0 ? "other " : ""));
    }
    if (input_.dry_run != nullptr) {
      proved.emplace_back(
          "what the receipt says of plan, packs, parameters, rules, sources and operations, against the plan");
      if (!input_.receipt.lists.empty())
        proved.push_back(fmt::format("which tensors are dropped{} initialized{}, against the plan",
                                     input_.whole_target ? "," : " and", input_.whole_target ? " and kept" : ""));
      const auto kept = input_.receipt.lists.find("kept");
      if (!input_.whole_target && kept != input_.receipt.lists.end() && !kept->second.empty())
        unproved.emplace_back("which tensors the network keeps: they are not in the output (--target TARGET)");
      if (!input_.assumed.empty()) {
        unproved.push_back(fmt::format(
            "that the parameters had these values, which were taken from the receipt: {} (give -D or --config)",
            fmt::format("{}", fmt::join(input_.assumed, ", "))));
      }
      if (input_.source == nullptr) unproved.emplace_back("that the bytes were made of the source: it is a spec");
    } else {
      unproved.emplace_back(
          "the receipt itself, which nothing signs (--plan PLAN --source SOURCE recomputes what it says)");
    }
    if (!input_.receipt.others.empty()) {
      unproved.push_back(fmt::format("what else the receipt says, under: {}",
                                     EscapeText(fmt::format("{}", fmt::join(input_.receipt.others, ", ")))));
    }
  }

  const VerifyInput& input_;
  VerifyOutcome outcome_;
  std::unordered_map<std::string, std::string> made_;  // digests by name
};

}  // namespace

Result<VerifyOutcome> VerifyReceipt(const VerifyInput& input) { return Verifier(input).Run(); }

}  // namespace ckmap
