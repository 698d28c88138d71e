#include "runtime/exec/executor.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/clone.h"
#include "runtime/exec/read_checks.h"
#include "runtime/exec/value_checks.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

int ThreadCount(const ExecOptions& options) { return options.threads > 0 ? options.threads : DefaultThreads(); }

// The storages whose checksums must be right.
std::vector<uint32_t> StoragesToCheck(const BoundPlan& plan, const Checkpoint& source, bool all) {
  std::set<uint32_t> wanted;
  for (const BoundTensor& tensor : plan.tensors) {
    ForEachSource(tensor, [&](size_t input) { wanted.insert(source.layout(input).storage); });
  }
  for (const ValueCheck& check : plan.checks) {
    for (const PiecedTensor* side : {&check.found, &check.expected}) {
      ForEachSource(*side, [&](size_t input) { wanted.insert(source.layout(input).storage); });
    }
  }
  for (size_t i = 0; all && i < source.manifest().size(); ++i) {
    if (source.manifest()[i].unreadable.empty()) wanted.insert(source.layout(i).storage);
  }
  return {wanted.begin(), wanted.end()};
}

int64_t BytesOf(const BoundTensor& tensor) { return NumBytes(tensor.shape, tensor.dtype).value_or(0); }

// What an execution writes; a writer may want less than the plan has.
int64_t BytesWanted(const BoundPlan& plan, const CheckpointWriter& writer) {
  int64_t bytes = 0;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    if (!writer.extents(i).empty()) bytes += BytesOf(plan.tensors[i]);
  }
  return bytes;
}

// The sha256 of a target tensor, read back from the output.
Result<std::string> DigestTarget(const CheckpointWriter& writer, size_t tensor, int64_t bytes,
                                 const Progress& progress) {
  constexpr int64_t kChunk = int64_t{256} << 10;
  std::vector<std::byte> buffer(static_cast<size_t>(kChunk));
  Sha256 sha;
  for (int64_t done = 0; done < bytes;) {
    CKMAP_RETURN_IF_ERROR(progress.CheckStop());
    const auto chunk = std::span(buffer).first(static_cast<size_t>(std::min(kChunk, bytes - done)));
    CKMAP_RETURN_IF_ERROR(writer.ReadBack(tensor, done, chunk));
    sha.Update(chunk);
    done += static_cast<int64_t>(chunk.size());
  }
  return sha.HexDigest();
}

Result<void> DigestTargets(const BoundPlan& plan, const CheckpointWriter& writer, int threads, const Progress& progress,
                           std::vector<TensorOutcome>& outcomes) {
  return ForEachInParallel(threads, outcomes.size(), [&]() -> ItemBody {
    return [&](size_t i) -> Result<void> {
      CKMAP_ASSIGN_OR_RETURN(outcomes[i].sha256, DigestTarget(writer, i, BytesOf(plan.tensors[i]), progress));
      return {};
    };
  });
}

int64_t BytesRead(const PiecedTensor& tensor, const Manifest& source) {
  int64_t bytes = 0;
  for (const Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) continue;
    const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
    if (input.node != nullptr) continue;
    int64_t read = 1;  // an axis that repeats elements reads them once
    for (const PieceAxis& axis : piece.axes) {
      if (axis.src_stride != 0 || axis.size == 0) read *= axis.size;
    }
    const DType dtype = input.view == DType::kAny ? source[input.source].dtype : input.view;
    bytes += (read * DTypeBits(dtype) + 7) / 8;
  }
  return bytes;
}

constexpr double kManyOperations = 1e12;
constexpr double kTileRows = 64;  // of what is written (compute_product.cc)

// How often each computed node is made, and what that takes (the tiles of compute_product.cc, the rows of
// compute_rows.cc).
class Work {
 public:
  // For all elements of a tensor, once, in tiles of so many rows: operands are read row by row.
  double Of(const PiecedTensor& tensor, double tile_rows = 1) {
    std::vector<double> read(tensor.inputs.size(), 0);
    for (const Piece& piece : tensor.value.pieces) {
      if (piece.input != kFillInput) read[static_cast<size_t>(piece.input)] += static_cast<double>(piece.elements());
    }
    double sum = 0;
    for (size_t i = 0; i < read.size(); ++i) {
      const ComputedNode* node = tensor.inputs[i].node.get();
      if (node != nullptr) sum += OfNode(*node, tile_rows) * read[i] / std::max(Elements(node->shape), 1.0);
    }
    return sum;
  }

 private:
  static double Elements(const Shape& shape) { return static_cast<double>(NumElements(shape).value_or(0)); }

  // Small operands are kept, others are made again each time.
  double Again(const PiecedTensor& operand, double times) {
    return Of(operand) * (Elements(operand.value.shape) <= 1 << 15 ? 1 : std::max(times, 1.0));
  }

  double OfNode(const ComputedNode& node, double tile_rows) {
    const std::pair key{&node, tile_rows};
    if (const auto known = nodes_.find(key); known != nodes_.end()) return known->second;
    const double elements = Elements(node.shape);
    const std::vector<PiecedTensor>& operands = node.operands;
    double work = 0;
    const auto product = [&](double rows, double inner, double columns, size_t left, size_t right) {
      work += elements * inner + Again(operands[left], std::ceil(columns / 1024)) +
              Again(operands[right], std::ceil(rows / tile_rows));
    };
    if (const auto* spec = std::get_if<ProductSpec>(&node.spec)) {
      product(static_cast<double>(spec->rows), static_cast<double>(spec->inner), static_cast<double>(spec->columns), 0,
              1);
    } else if (const auto* lora = std::get_if<LoraMergeSpec>(&node.spec)) {
      product(static_cast<double>(lora->rows), static_cast<double>(lora->inner), static_cast<double>(lora->columns), 1,
              2);
      work += Of(operands[0]);
      if (operands.size() == 4) work *= 2;  // the rows are measured first
    } else {
      const bool rows = std::holds_alternative<RowScaleSpec>(node.spec);
      for (const PiecedTensor& operand : operands) work += Elements(operand.value.shape) + Again(operand, rows ? 3 : 1);
    }
    return nodes_[key] = work;
  }

  std::map<std::pair<const ComputedNode*, double>, double> nodes_;
};

Result<void> CloneWhatCanBe(ExecutionContext& context, Schedule& schedule) {
  for (const auto& [tensor, bytes] : CloneRuns(context.source, schedule)) {
    CKMAP_RETURN_IF_ERROR(context.writer.Completed(tensor, bytes));
    CKMAP_RETURN_IF_ERROR(context.progress.Advance(bytes));
  }
  return {};
}

}  // namespace

Cost EstimateCost(const BoundPlan& plan, const ExecOptions& options) {
  Cost cost;
  int depth = 0;
  Work work;
  double most = 0;
  const BoundTensor* heaviest = nullptr;
  for (const BoundTensor& tensor : plan.tensors) {
    const double operations = ComputedDepth(tensor) == 0 ? 0 : work.Of(tensor, kTileRows);
    cost.operations += operations;
    if (operations > most) {
      most = operations;
      heaviest = &tensor;
    }
    cost.bytes_written += NumBytes(tensor.shape, tensor.dtype).value_or(0);
    // What computed nodes read is counted once for each tensor, though tiles may read parts of it again.
    ForEachPieced(tensor, [&](const PiecedTensor& part) { cost.bytes_read += BytesRead(part, plan.source); });
    depth = std::max(depth, ComputedDepth(tensor));
  }
  for (const ValueCheck& check : plan.checks) {
    for (const PiecedTensor* side : {&check.found, &check.expected}) {
      ForEachPieced(*side, [&](const PiecedTensor& part) { cost.bytes_read += BytesRead(part, plan.source); });
      depth = std::max(depth, ComputedDepth(*side));
    }
  }
  if (cost.operations > kManyOperations) {
    cost.warning = fmt::format(
        "computing takes about {:.1e} operations, of which a core does 1e9 a second; `{}` alone takes {:.1e}. An "
        "operand that is computed itself is "
        "computed again for each tile of the result: write it to a checkpoint first",
        cost.operations, EscapeText(heaviest->name), most);
  }
  const Budget budget = Budget::Make(ThreadCount(options), options.max_memory);
  cost.peak_memory = budget.threads * (budget.total() + depth * kComputedMemory);
  return cost;
}

std::vector<OutputTensor> OutputTensors(const BoundPlan& plan) {
  std::vector<OutputTensor> outputs;
  outputs.reserve(plan.tensors.size());
  for (const BoundTensor& tensor : plan.tensors)
    outputs.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
  return outputs;
}

Result<ExecResult> Execute(const BoundPlan& plan, const Checkpoint& source, CheckpointWriter& writer,
                           const ExecOptions& options) {
  const int threads = ThreadCount(options);
  const Budget budget = Budget::Make(threads, options.max_memory);
  std::optional<ReadChecks> own;
  if (options.checks == nullptr) own.emplace(source, StoragesToCheck(plan, source, options.check_all));
  ReadChecks& checks = own ? *own : *options.checks;
  CKMAP_ASSIGN_OR_RETURN(Schedule schedule, MakeSchedule(plan, source, writer, budget));
  Progress progress(BytesWanted(plan, writer) + BytesToCheck(plan), options);
  ExecutionContext context{plan, source, writer, schedule, budget, progress, checks, {}, {}};
  context.outcomes.resize(plan.tensors.size());
  // First, since what does not hold makes all the rest in vain.
  Result<void> done = RunValueChecks(plan, source, budget, progress);
  if (done) done = CloneWhatCanBe(context, schedule);
  if (done)
    done = ForEachInParallel(budget.threads, schedule.tasks.size(), [&]() -> ItemBody {
      return [&, worker = std::make_shared<Worker>(context)](size_t i) { return worker->Run(schedule.tasks[i]); };
    });
  // A value that is refused may be one of a damaged source: then that is what must be reported.
  if (own && (done || done.error().code() == ErrorCode::kMismatch)) CKMAP_RETURN_IF_ERROR(checks.Finish(threads));
  CKMAP_RETURN_IF_ERROR(done);
  if (options.digest) {
    CKMAP_RETURN_IF_ERROR(DigestTargets(plan, writer, threads, progress, context.outcomes));
  }
  CKMAP_RETURN_IF_ERROR(source.CheckUnchanged());
  progress.Finish();
  return ExecResult{std::move(context.outcomes)};
}

}  // namespace ckmap
