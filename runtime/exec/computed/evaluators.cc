#include "runtime/exec/computed/evaluators.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/kernels/cast.h"

namespace ckmap {
namespace {

constexpr size_t kKept = 4;                      // evaluators of one depth
constexpr int64_t kResident = int64_t{1} << 15;  // operands of up to so many elements are read once
constexpr int64_t kReadAhead = int64_t{1} << 13;

template <typename T>
constexpr DType kDTypeOf = DType::kF64;
template <>
constexpr DType kDTypeOf<float> = DType::kF32;

template <typename T>
void Widen(DType dtype, const std::byte* src, int64_t count, T* out) {
  if (dtype == kDTypeOf<T>) {
    std::memcpy(out, src, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  CastCounts counts;
  CastElements({dtype, kDTypeOf<T>, Overflow::kSaturate}, src, reinterpret_cast<std::byte*>(out),
               static_cast<size_t>(count), counts);
}

// The elements of an integer dtype.
void WidenIntegers(DType dtype, const std::byte* src, int64_t count, Wide* out) {
  const int width = DTypeBits(dtype);
  const bool is_signed = DTypeName(dtype).front() == 'i';
  const auto size = static_cast<size_t>(DTypeSize(dtype));
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, src + static_cast<size_t>(i) * size, size);
    out[i] = static_cast<Wide>(bits);
    if (is_signed && (bits >> (width - 1) & 1) != 0) out[i] -= Wide{1} << width;
  }
}

// Whether an element is found by reading a block of the weight. Each thread would read all of it if it read all scales.
bool HoldsScales(const PiecedTensor& operand) {
  bool holds = false;
  ForEachPieced(operand, [&](const PiecedTensor& part) {
    for (const BoundInput& input : part.inputs)
      holds = holds || (input.node != nullptr && std::holds_alternative<AbsmaxSpec>(input.node->spec));
  });
  return holds;
}

}  // namespace

std::string FormatInteger(Wide value) {
  std::string digits;
  const bool negative = value < 0;
  do {
    const auto digit = static_cast<int>(value % 10);
    digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  return negative ? "-" + digits : digits;
}

Evaluators::Evaluators(const Checkpoint& source, ReadChecks* checks, const std::atomic<bool>* stop)
    : source_(source), checks_(checks), stop_(stop) {}
Evaluators::~Evaluators() = default;

Result<void> Evaluators::Evaluate(const std::shared_ptr<const LoweredNode>& node, int level,
                                  std::span<const Segment> wanted, int64_t& overflowed) {
  CKMAP_CHECK(static_cast<size_t>(level) < levels_.size());  // the binder sees to it
  Level& at = levels_[static_cast<size_t>(level)];
  if (at.gatherer == nullptr) {
    at.gatherer = std::make_unique<Gatherer>(source_, Budget::ForOperands(), *this, level + 1);
  }
  auto found = std::find_if(at.entries.begin(), at.entries.end(),
                            [&](const Entry& entry) { return entry.node->node == node->node; });
  if (found == at.entries.end()) {
    if (at.entries.size() == kKept) at.entries.pop_back();
    found = at.entries.insert(at.entries.begin(), Entry{node, NodeEvaluator::Make(node, *at.gatherer)});
  } else {
    std::rotate(at.entries.begin(), found, found + 1);
    found = at.entries.begin();
  }
  return found->evaluator->Evaluate(wanted, overflowed);
}

Result<void> Evaluators::CheckStop() const {
  if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) return Stopped();
  return {};
}

OperandReader::OperandReader(const LoweredTensor& lowered, const PiecedTensor& operand, std::string_view name,
                             Gatherer& gatherer)
    : lowered_(lowered),
      name_(name),
      shape_(operand.value.shape),
      dtype_(operand.dtype == DType::kI4 ? DType::kU8 : operand.dtype),
      gatherer_(gatherer),
      size_(*NumElements(operand.value.shape)),
      costly_(HoldsScales(operand)) {}

Result<const double*> OperandReader::Read(int64_t begin, int64_t count) {
  return ReadAs(begin, count, values_,
                [this](const std::byte* bytes, int64_t at, int64_t n, double* out) -> Result<void> {
                  Widen(dtype_, bytes, n, out);
                  return CheckExact(bytes, at, n);
                });
}

Result<const float*> OperandReader::ReadFloats(int64_t begin, int64_t count) {
  return ReadAs(begin, count, floats_,
                [this](const std::byte* bytes, int64_t /*at*/, int64_t n, float* out) -> Result<void> {
                  Widen(dtype_, bytes, n, out);
                  return {};
                });
}

Result<const Wide*> OperandReader::ReadIntegers(int64_t begin, int64_t count) {
  return ReadAs(begin, count, integers_,
                [this](const std::byte* bytes, int64_t /*at*/, int64_t n, Wide* out) -> Result<void> {
                  WidenIntegers(dtype_, bytes, n, out);
                  return {};
                });
}

template <typename T, typename Widen>
Result<const T*> OperandReader::ReadAs(int64_t begin, int64_t count, std::vector<T>& values, Widen widen) {
  CKMAP_CHECK(begin >= 0 && count >= 0 && begin + count <= size_);
  if (begin < begin_ || begin + count > end_) {
    if (costly_) {
      CKMAP_RETURN_IF_ERROR(Load(begin, count, values, widen));
    } else if (size_ <= kResident) {
      CKMAP_RETURN_IF_ERROR(Load(0, size_, values, widen));
    } else {
      // What goes on where the last read ended goes on further.
      const bool goes_on = begin >= begin_ && begin <= end_ && end_ > 0;
      const int64_t ahead = goes_on ? std::max(count, kReadAhead) : count;
      CKMAP_RETURN_IF_ERROR(Load(begin, std::min(ahead, size_ - begin), values, widen));
    }
  }
  return static_cast<const T*>(values.data() + (begin - begin_));
}

template <typename T, typename Widen>
Result<void> OperandReader::Load(int64_t begin, int64_t count, std::vector<T>& values, Widen widen) {
  begin_ = end_ = 0;  // nothing, should an error end this
  values.resize(static_cast<size_t>(count));
  const int64_t element = lowered_.element;
  const int64_t step = gatherer_.budget().strip / element;
  for (int64_t done = 0; done < count; done += step) {
    const int64_t n = std::min(step, count - done);
    CKMAP_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                           gatherer_.Gather(lowered_, (begin + done) * element, (begin + done + n) * element));
    CKMAP_RETURN_IF_ERROR(gatherer_.Settle(shape_));
    CKMAP_RETURN_IF_ERROR(widen(bytes.data(), begin + done, n, values.data() + done));
  }
  begin_ = begin;
  end_ = begin + count;
  return {};
}

Result<void> OperandReader::ReadBytes(int64_t begin, std::span<std::byte> out) {
  const int64_t element = lowered_.element;
  const int64_t step = gatherer_.budget().strip / element * element;
  const int64_t end = begin + static_cast<int64_t>(out.size());
  for (int64_t at = begin; at < end;) {
    const int64_t first = at / element * element;
    const int64_t last = std::min(first + step, (end + element - 1) / element * element);
    CKMAP_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, gatherer_.Gather(lowered_, first, last));
    CKMAP_RETURN_IF_ERROR(gatherer_.Settle(shape_));
    const int64_t until = std::min(last, end);
    std::memcpy(out.data() + (at - begin), bytes.data() + (at - first), static_cast<size_t>(until - at));
    at = until;
  }
  return {};
}

// 64-bit integers may have more digits than f64.
Result<void> OperandReader::CheckExact(const std::byte* bytes, int64_t begin, int64_t count) const {
  if (dtype_ != DType::kI64 && dtype_ != DType::kU64) return {};
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes + i * 8, sizeof bits);
    if (!CastElement({dtype_, DType::kF64, Overflow::kError}, bits).changed) continue;
    return Error(ErrorCode::kMismatch, fmt::format("target tensor `{}`: element {} of {} is {}, which the computation, "
                                                   "in f64, would round; cast it to a float first if that is meant",
                                                   EscapeText(gatherer_.target()), FormatCoordinates(begin + i, shape_),
                                                   EscapeText(name_), FormatElement(dtype_, bits)));
  }
  return {};
}

NodeEvaluator::NodeEvaluator(std::shared_ptr<const LoweredNode> lowered, Gatherer& gatherer)
    : lowered_(std::move(lowered)), gatherer_(gatherer) {
  for (size_t i = 0; i < lowered_->operands.size(); ++i) {
    operands_.emplace_back(lowered_->operands[i], node().operands[i], node().names[i], gatherer);
  }
}

std::unique_ptr<NodeEvaluator> NodeEvaluator::Make(std::shared_ptr<const LoweredNode> lowered, Gatherer& gatherer) {
  return std::visit([&](const auto& spec) { return MakeEvaluator(spec, lowered, gatherer); }, lowered->node->spec);
}

template <typename T>
Result<void> NodeEvaluator::EncodeAs(int64_t begin, std::span<T> values, std::byte* out, int64_t& overflowed) {
  // Which of several NaNs comes out of a sum depends on the processor and the compiler. One for all does not.
  for (T& value : values) value = value != value ? std::numeric_limits<T>::quiet_NaN() : value;
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  const DType dtype = node().dtype;
  if (dtype == kDTypeOf<T>) {
    std::memcpy(out, bytes, values.size_bytes());
    return {};
  }
  CastCounts counts;
  CastElements({kDTypeOf<T>, dtype, node().overflow}, bytes, out, values.size(), counts);
  overflowed += counts.overflowed;
  if (node().overflow != Overflow::kError || counts.overflowed == 0) return {};
  const double value = values[static_cast<size_t>(counts.first_overflow)];
  return DoesNotFit(begin + counts.first_overflow, fmt::format("{}", value));
}

Result<void> NodeEvaluator::Encode(int64_t begin, std::span<double> values, std::byte* out, int64_t& overflowed) {
  return EncodeAs(begin, values, out, overflowed);
}

Result<void> NodeEvaluator::EncodeFloats(int64_t begin, std::span<float> values, std::byte* out, int64_t& overflowed) {
  return EncodeAs(begin, values, out, overflowed);
}

Result<void> NodeEvaluator::EncodeIntegers(int64_t begin, std::span<const Wide> values, std::byte* out,
                                           int64_t& overflowed) {
  const DType dtype = node().dtype;
  const int width = DTypeBits(dtype);
  const bool is_signed = DTypeName(dtype).front() == 'i';
  const Wide high = (Wide{1} << (is_signed ? width - 1 : width)) - 1, low = is_signed ? -high - 1 : Wide{0};
  const auto size = static_cast<size_t>(DTypeSize(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const Wide value = std::clamp(values[i], low, high);
    const auto bits = static_cast<uint64_t>(value);
    std::memcpy(out + i * size, &bits, size);
    if (value == values[i]) continue;
    ++overflowed;
    if (node().overflow == Overflow::kError)
      return DoesNotFit(begin + static_cast<int64_t>(i), FormatInteger(values[i]));
  }
  return {};
}

Error NodeEvaluator::DoesNotFit(int64_t element, const std::string& value) const {
  return Wrong(fmt::format("element {} is {}, which {} cannot hold; say overflow=saturate{} if that is meant",
                           FormatCoordinates(element, node().shape), value, DTypeName(node().dtype),
                           CanCast({DType::kF64, node().dtype, Overflow::kInf}) ? " or inf" : ""));
}

Error NodeEvaluator::Wrong(std::string message) const {
  return Error(ErrorCode::kMismatch, std::move(message))
      .Context(fmt::format("target tensor `{}`, by {}", EscapeText(gatherer_.target()), EscapeText(node().text)));
}

Result<void> RangeEvaluator::Evaluate(std::span<const Segment> wanted, int64_t& overflowed) {
  block_.resize(kBlock);
  const int64_t element = DTypeSize(node().dtype);
  for (const Segment& segment : wanted) {
    for (int64_t done = 0; done < segment.count; done += kBlock) {
      const int64_t count = std::min(kBlock, segment.count - done);
      CKMAP_RETURN_IF_ERROR(CheckStop());
      CKMAP_RETURN_IF_ERROR(Compute(segment.begin + done, count, block_.data()));
      CKMAP_RETURN_IF_ERROR(Encode(segment.begin + done, std::span(block_).first(static_cast<size_t>(count)),
                                   segment.out + done * element, overflowed));
    }
  }
  return {};
}

}  // namespace ckmap
