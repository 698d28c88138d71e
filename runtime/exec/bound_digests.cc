#include "runtime/exec/bound_digests.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "runtime/base/parallel.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/gather.h"
#include "runtime/exec/value_checks.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

// One thread's.
class Digester {
 public:
  Digester(const BoundPlan& plan, const Checkpoint& source, const Budget& budget)
      : plan_(plan), source_(source), evaluators_(source), gatherer_(source, budget, evaluators_, 0) {}

  Result<std::string> Digest(size_t index, Progress& progress) {
    if (!gatherer_.ok()) return Error(ErrorCode::kLimit, "out of memory");
    const BoundTensor& tensor = plan_.tensors[index];
    Result<LoweredTensor> lowered = LowerTensor(tensor, source_, tensor.rule);
    if (!lowered) return std::move(lowered).error().Context(fmt::format("tensor `{}`", EscapeText(tensor.name)));
    evaluators_.set_target(tensor.name);
    Sha256 sha;
    const int64_t element = lowered->element;
    const int64_t step = std::max(element, std::min(gatherer_.budget().strip, int64_t{1} << 20) / element * element);
    for (int64_t begin = 0; begin < lowered->bytes; begin += step) {
      const int64_t end = std::min(lowered->bytes, begin + step);
      CKMAP_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, gatherer_.Gather(*lowered, begin, end));
      CKMAP_RETURN_IF_ERROR(gatherer_.Settle(tensor.shape));
      sha.Update(bytes);
      CKMAP_RETURN_IF_ERROR(progress.Advance(end - begin));
    }
    return sha.HexDigest();
  }

 private:
  const BoundPlan& plan_;
  const Checkpoint& source_;
  Evaluators evaluators_;
  Gatherer gatherer_;
};

}  // namespace

Result<std::vector<std::string>> DigestBound(const BoundPlan& plan, const Checkpoint& source,
                                             const ExecOptions& options) {
  const int threads = options.threads > 0 ? options.threads : DefaultThreads();
  const Budget budget = Budget::Make(threads, options.max_memory);
  Progress progress(EstimateCost(plan, options).bytes_written + BytesToCheck(plan), options);
  CKMAP_RETURN_IF_ERROR(RunValueChecks(plan, source, budget, progress));
  std::vector<std::string> digests(plan.tensors.size());
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(budget.threads, digests.size(), [&]() -> ItemBody {
    return [&, digester = std::make_shared<Digester>(plan, source, budget)](size_t i) -> Result<void> {
      CKMAP_ASSIGN_OR_RETURN(digests[i], digester->Digest(i, progress));
      return {};
    };
  }));
  CKMAP_RETURN_IF_ERROR(source.CheckUnchanged());
  progress.Finish();
  return digests;
}

}  // namespace ckmap
