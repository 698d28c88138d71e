// The results of computed nodes, in ranges, for one thread. Nodes whose operands hold further nodes
// nest: each depth has buffers of its own and keeps the evaluators of the last few nodes that were
// asked for, with what they have read and summed.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/byte_layout.h"
#include "runtime/exec/gather.h"

namespace ckmap {

// `count` elements from `begin` on of a node's row-major result, wanted at `out`.
struct Segment {
  int64_t begin = 0;
  int64_t count = 0;
  std::byte* out = nullptr;
};

class NodeEvaluator;  // node_evaluator.h
class ReadChecks;     // exec/read_checks.h

class Evaluators {
 public:
  // `checks`: see what is read of the source; may be null. `stop`, if not null, becomes true where a long computation
  // is to end with an Error soon. All must outlive it.
  explicit Evaluators(const Checkpoint& source, ReadChecks* checks = nullptr, const std::atomic<bool>* stop = nullptr);
  ~Evaluators();

  // Fills `wanted`; `overflowed` is added to. `level`: of the caller (gather.h).
  Result<void> Evaluate(const std::shared_ptr<const LoweredNode>& node, int level, std::span<const Segment> wanted,
                        int64_t& overflowed);

  // An Error once the stop flag is set. To be asked every few milliseconds of work.
  Result<void> CheckStop() const;

  // The target tensor that is made now, for messages; not copied.
  void set_target(std::string_view name) { target_ = name; }
  std::string_view target() const { return target_; }
  ReadChecks* checks() const { return checks_; }

 private:
  struct Entry {
    std::shared_ptr<const LoweredNode> node;
    std::unique_ptr<NodeEvaluator> evaluator;
  };
  struct Level {
    std::unique_ptr<Gatherer> gatherer;
    std::vector<Entry> entries;  // the one used last in front
  };

  const Checkpoint& source_;
  ReadChecks* checks_;
  const std::atomic<bool>* stop_;
  std::string_view target_;
  // One more than the binder nests: bytes that a file does not keep in order are put in order by a node
  // (byte_layout.cc).
  std::array<Level, kMaxComputedDepth + 1> levels_;
};

}  // namespace ckmap
