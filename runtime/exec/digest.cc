#include <algorithm>

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

// A digest writes nothing.
class NoWriter final : public CheckpointWriter {
 public:
  std::vector<FileExtent> extents(size_t /*tensor*/) const override { return {}; }
  const std::string& path(size_t /*tensor*/) const override { return path_; }
  Result<std::vector<WrittenFile>> Commit() override { return std::vector<WrittenFile>{}; }
  int64_t total_bytes() const override { return 0; }

 private:
  std::string path_;
};

}  // namespace

Result<std::string> DigestTensor(const Checkpoint& checkpoint, size_t tensor) {
  const TensorInfo& info = checkpoint.manifest()[tensor];
  BoundTensor whole;
  whole.name = info.name;
  whole.dtype = info.dtype;
  whole.shape = info.shape;
  whole.inputs = {{tensor, {}}};
  whole.value = WholeTensor(0, info.shape);
  BoundPlan plan;
  plan.tensors.push_back(std::move(whole));
  Result<LoweredTensor> lowered = LowerTensor(plan.tensors[0], checkpoint);
  if (!lowered) return std::move(lowered).error().Context("tensor `" + EscapeText(info.name) + "`");

  NoWriter writer;
  const Schedule schedule;
  const Budget budget = Budget::Make(1, int64_t{16} << 20);
  const ExecOptions options;
  Progress progress(0, options);
  ExecutionContext context{plan, checkpoint, writer, schedule, budget, progress, {}, {}};
  Worker worker(context);
  Sha256 sha;
  const int64_t step = std::min(budget.strip, int64_t{1} << 20) / lowered->element * lowered->element;
  for (int64_t begin = 0; begin < lowered->bytes; begin += step) {
    const int64_t end = std::min(lowered->bytes, begin + step);
    CKMAP_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                           worker.Gather(*lowered, 0, begin, end));
    sha.Update(bytes);
  }
  return sha.HexDigest();
}

}  // namespace ckmap
