// The bytes of a tensor, in row-major order, as elements of another dtype.
#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

class BitcastEvaluator final : public NodeEvaluator {
 public:
  using NodeEvaluator::NodeEvaluator;

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& /*overflowed*/) override {
    const int64_t element = DTypeSize(node().dtype);
    for (const Segment& segment : wanted) {
      CKMAP_RETURN_IF_ERROR(operand(0).ReadBytes(segment.begin * element, Bytes(segment.out, segment.count * element)));
    }
    return {};
  }
};

}  // namespace

EvaluatorPtr MakeEvaluator(const BitcastSpec& /*spec*/, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<BitcastEvaluator>(std::move(node), gatherer);
}

}  // namespace ckmap
