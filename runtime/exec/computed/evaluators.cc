#include "runtime/exec/computed/evaluators.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

constexpr size_t kKept = 4;                      // evaluators of one depth
constexpr int64_t kResident = int64_t{1} << 15;  // operands of up to so many elements are read once
constexpr int64_t kReadAhead = int64_t{1} << 13;

// The elements as f64. Wide ones by themselves, since casts have no fast way from them to f64.
void Widen(DType dtype, const std::byte* src, int64_t count, double* out) {
  switch (dtype) {
    case DType::kF64: std::memcpy(out, src, static_cast<size_t>(count) * sizeof(double)); return;
    case DType::kF32:
      for (int64_t i = 0; i < count; ++i) {
        float value;
        std::memcpy(&value, src + i * 4, sizeof value);
        out[i] = value;
      }
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < count; ++i) {
        uint16_t half;
        std::memcpy(&half, src + i * 2, sizeof half);
        out[i] = std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
      }
      return;
    default: break;
  }
  CastCounts counts;
  CastElements({dtype, DType::kF64, Overflow::kSaturate}, src, reinterpret_cast<std::byte*>(out),
               static_cast<size_t>(count), counts);
}

// The float next to `value` whose last bit is 1, where no float is equal. Rounded to nearest once more, to a format with at
// least two bits less, it gives what rounding `value` there at once gives.
float RoundToOdd(double value) {
  const auto nearest = static_cast<float>(value);
  const double back = nearest;
  if (back == value || value != value) return nearest;
  auto bits = std::bit_cast<uint32_t>(nearest);
  if ((bits & 1) == 0) bits = std::abs(back) > std::abs(value) ? bits - 1 : bits + 1;
  return std::bit_cast<float>(bits);
}

}  // namespace

Evaluators::Evaluators(const Checkpoint& source, ReadChecks* checks) : source_(source), checks_(checks) {}
Evaluators::~Evaluators() = default;

Result<void> Evaluators::Evaluate(const std::shared_ptr<const LoweredNode>& node, int level,
                                  std::span<const Segment> wanted, int64_t& overflowed) {
  CKMAP_CHECK(level < kMaxComputedDepth);  // the binder sees to it
  Level& at = levels_[static_cast<size_t>(level)];
  if (at.gatherer == nullptr) {
    at.gatherer = std::make_unique<Gatherer>(source_, Budget::ForOperands(), *this, level + 1);
  }
  auto found = std::find_if(at.entries.begin(), at.entries.end(),
                            [&](const Entry& entry) { return entry.node->node == node->node; });
  if (found == at.entries.end()) {
    if (at.entries.size() == kKept) at.entries.pop_back();
    found =
        at.entries.insert(at.entries.begin(), Entry{node, NodeEvaluator::Make(node, *at.gatherer)});
  } else {
    std::rotate(at.entries.begin(), found, found + 1);
    found = at.entries.begin();
  }
  return found->evaluator->Evaluate(wanted, overflowed);
}

OperandReader::OperandReader(const LoweredTensor& lowered, const PiecedTensor& operand,
                             Gatherer& gatherer)
    : lowered_(lowered),
      shape_(operand.value.shape),
      dtype_(operand.dtype == DType::kI4 ? DType::kU8 : operand.dtype),
      gatherer_(gatherer),
      size_(*NumElements(operand.value.shape)) {}

Result<const double*> OperandReader::Read(int64_t begin, int64_t count) {
  CKMAP_CHECK(begin >= 0 && count >= 0 && begin + count <= size_);
  if (begin < begin_ || begin + count > end_) {
    if (size_ <= kResident) {
      CKMAP_RETURN_IF_ERROR(Load(0, size_));
    } else {
      // What goes on where the last read ended goes on further.
      const bool goes_on = begin >= begin_ && begin <= end_ && end_ > 0;
      const int64_t ahead = goes_on ? std::max(count, kReadAhead) : count;
      CKMAP_RETURN_IF_ERROR(Load(begin, std::min(ahead, size_ - begin)));
    }
  }
  return values_.data() + (begin - begin_);
}

Result<void> OperandReader::Load(int64_t begin, int64_t count) {
  begin_ = end_ = 0;  // nothing, should an error end this
  values_.resize(static_cast<size_t>(count));
  const int64_t element = lowered_.element;
  const int64_t step = gatherer_.budget().strip / element;
  for (int64_t done = 0; done < count; done += step) {
    const int64_t n = std::min(step, count - done);
    CKMAP_ASSIGN_OR_RETURN(
        const std::span<const std::byte> bytes,
        gatherer_.Gather(lowered_, (begin + done) * element, (begin + done + n) * element));
    CKMAP_RETURN_IF_ERROR(gatherer_.Settle(shape_));
    Widen(dtype_, bytes.data(), n, values_.data() + done);
  }
  begin_ = begin;
  end_ = begin + count;
  return {};
}

NodeEvaluator::NodeEvaluator(std::shared_ptr<const LoweredNode> lowered, Gatherer& gatherer)
    : lowered_(std::move(lowered)), gatherer_(gatherer) {
  for (size_t i = 0; i < lowered_->operands.size(); ++i) {
    operands_.emplace_back(lowered_->operands[i], node().operands[i], gatherer);
  }
}

std::unique_ptr<NodeEvaluator> NodeEvaluator::Make(std::shared_ptr<const LoweredNode> lowered,
                                                   Gatherer& gatherer) {
  return std::visit([&](const auto& spec) { return MakeEvaluator(spec, lowered, gatherer); },
                    lowered->node->spec);
}

Result<void> NodeEvaluator::Encode(int64_t begin, std::span<const double> values, std::byte* out,
                                   int64_t& overflowed) {
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  const DType dtype = node().dtype;
  if (dtype == DType::kF64) {
    std::memcpy(out, bytes, values.size_bytes());
    return {};
  }
  CastCounts counts;
  if (dtype == DType::kBF16 || dtype == DType::kF16) {
    floats_.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) floats_[i] = RoundToOdd(values[i]);
    CastElements({DType::kF32, dtype, node().overflow}, reinterpret_cast<const std::byte*>(floats_.data()), out,
                 values.size(), counts);
  } else {
    CastElements({DType::kF64, dtype, node().overflow}, bytes, out, values.size(), counts);
  }
  overflowed += counts.overflowed;
  if (node().overflow != Overflow::kError || counts.overflowed == 0) return {};
  const double value = values[static_cast<size_t>(counts.first_overflow)];
  return Wrong(fmt::format(
      "element {} is {}, which {} cannot hold; say overflow=saturate{} if that is meant",
      FormatCoordinates(begin + counts.first_overflow, node().shape), value,
      DTypeName(node().dtype),
      CanCast({DType::kF64, node().dtype, Overflow::kInf}) ? " or inf" : ""));
}

Error NodeEvaluator::Wrong(std::string message) const {
  return Error(ErrorCode::kMismatch, std::move(message))
      .Context(fmt::format("target tensor `{}`, by {}", EscapeText(gatherer_.target()),
                           EscapeText(node().text)));
}

Result<void> RangeEvaluator::Evaluate(std::span<const Segment> wanted, int64_t& overflowed) {
  block_.resize(kBlock);
  const int64_t element = DTypeSize(node().dtype);
  for (const Segment& segment : wanted) {
    for (int64_t done = 0; done < segment.count; done += kBlock) {
      const int64_t count = std::min(kBlock, segment.count - done);
      CKMAP_RETURN_IF_ERROR(Compute(segment.begin + done, count, block_.data()));
      CKMAP_RETURN_IF_ERROR(Encode(segment.begin + done,
                                   std::span(block_).first(static_cast<size_t>(count)),
                                   segment.out + done * element, overflowed));
    }
  }
  return {};
}

}  // namespace ckmap
