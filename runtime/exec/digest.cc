#include <algorithm>

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/gather.h"

namespace ckmap {

Result<std::string> DigestTensor(const Checkpoint& checkpoint, size_t tensor) {
  const TensorInfo& info = checkpoint.manifest()[tensor];
  PiecedTensor whole;
  whole.dtype = info.dtype;
  whole.inputs = {{tensor, {}}};
  whole.value = WholeTensor(0, info.shape);
  Result<LoweredTensor> lowered = LowerTensor(whole, checkpoint, "");
  if (!lowered) return std::move(lowered).error().Context("tensor `" + EscapeText(info.name) + "`");

  const Budget budget = Budget::Make(1, int64_t{16} << 20);
  Evaluators evaluators(checkpoint);
  evaluators.set_target(info.name);
  Gatherer gatherer(checkpoint, budget, evaluators, 0);
  Sha256 sha;
  const int64_t step = std::min(budget.strip, int64_t{1} << 20) / lowered->element * lowered->element;
  for (int64_t begin = 0; begin < lowered->bytes; begin += step) {
    const int64_t end = std::min(lowered->bytes, begin + step);
    CKMAP_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                           gatherer.Gather(*lowered, begin, end));
    sha.Update(bytes);
  }
  return sha.HexDigest();
}

}  // namespace ckmap
