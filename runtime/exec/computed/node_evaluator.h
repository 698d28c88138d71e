// How each kind of computed node makes a range of its result (bind/computed_node.h has the
// formulas).
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/exec/computed/evaluators.h"

namespace ckmap {

__extension__ using Wide = __int128;
std::string FormatInteger(Wide value);

// Elements of one operand, in row-major order: as f64, as f32, as integers, or as bytes. A node reads each of its
// operands in one way. Keeps what it read last.
class OperandReader {
 public:
  // `name`: what messages call the operand.
  OperandReader(const LoweredTensor& lowered, const PiecedTensor& operand, std::string_view name, Gatherer& gatherer);

  int64_t size() const { return size_; }
  Result<void> CheckStop() const { return gatherer_.CheckStop(); }
  // Valid until the next call. An Error for an integer that f64 does not hold exactly.
  Result<const double*> Read(int64_t begin, int64_t count);
  // Of a dtype whose values f32 holds exactly. Valid until the next call.
  Result<const float*> ReadFloats(int64_t begin, int64_t count);
  // Of an integer dtype. Valid until the next call.
  Result<const Wide*> ReadIntegers(int64_t begin, int64_t count);
  // Bytes [begin, begin + out.size()) of the whole operand; nothing is kept.
  Result<void> ReadBytes(int64_t begin, std::span<std::byte> out);

 private:
  template <typename T, typename Widen>
  Result<const T*> ReadAs(int64_t begin, int64_t count, std::vector<T>& values, Widen widen);
  template <typename T, typename Widen>
  Result<void> Load(int64_t begin, int64_t count, std::vector<T>& values, Widen widen);
  Result<void> CheckExact(const std::byte* bytes, int64_t begin, int64_t count) const;

  const LoweredTensor& lowered_;
  std::string_view name_;
  const Shape& shape_;
  DType dtype_;
  Gatherer& gatherer_;
  int64_t size_;
  const bool costly_;            // each element is made of many others: no more are read than are asked for
  int64_t begin_ = 0, end_ = 0;  // what `values_`, `floats_` or `integers_` hold
  std::vector<double> values_;
  std::vector<float> floats_;
  std::vector<Wide> integers_;
};

class NodeEvaluator {
 public:
  NodeEvaluator(std::shared_ptr<const LoweredNode> lowered, Gatherer& gatherer);
  virtual ~NodeEvaluator() = default;
  NodeEvaluator(const NodeEvaluator&) = delete;
  NodeEvaluator& operator=(const NodeEvaluator&) = delete;

  virtual Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) = 0;

  static std::unique_ptr<NodeEvaluator> Make(std::shared_ptr<const LoweredNode> lowered, Gatherer& gatherer);

 protected:
  const ComputedNode& node() const { return *lowered_->node; }
  OperandReader& operand(size_t i) { return operands_[i]; }
  bool has_operand(size_t i) const { return i < operands_.size(); }
  // Rounds `values`, the elements from `begin` on, to the node's dtype. NaNs become one before that.
  Result<void> Encode(int64_t begin, std::span<double> values, std::byte* out, int64_t& overflowed);
  Result<void> EncodeFloats(int64_t begin, std::span<float> values, std::byte* out, int64_t& overflowed);
  // The same for integers and an integer dtype; those that do not fit overflow.
  Result<void> EncodeIntegers(int64_t begin, std::span<const Wide> values, std::byte* out, int64_t& overflowed);
  Result<void> CheckStop() const { return gatherer_.CheckStop(); }
  Error Wrong(std::string message) const;

 private:
  template <typename T>
  Result<void> EncodeAs(int64_t begin, std::span<T> values, std::byte* out, int64_t& overflowed);
  Error DoesNotFit(int64_t element, const std::string& value) const;

  std::shared_ptr<const LoweredNode> lowered_;
  Gatherer& gatherer_;
  std::vector<OperandReader> operands_;
};

// A node that makes any range at a cost that goes with its length.
class RangeEvaluator : public NodeEvaluator {
 public:
  using NodeEvaluator::NodeEvaluator;
  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) final;

  static constexpr int64_t kBlock = 4096;

 protected:
  // At most kBlock elements.
  virtual Result<void> Compute(int64_t begin, int64_t count, double* out) = 0;

 private:
  std::vector<double> block_;
};

// What was computed for each row, for the rows that were asked for last. Bounded, whatever the
// number of rows.
template <typename T>
class RowMemo {
 public:
  T* Find(int64_t row) {
    Slot& slot = At(row);
    return slot.row == row ? &slot.value : nullptr;
  }
  const T& Put(int64_t row, T value) {
    Slot& slot = At(row);
    slot = {row, std::move(value)};
    return slot.value;
  }

 private:
  static constexpr size_t kSlots = 1 << 14;
  struct Slot {
    int64_t row = -1;
    T value{};
  };
  Slot& At(int64_t row) {
    if (slots_.empty()) slots_.resize(kSlots);
    return slots_[static_cast<size_t>(row) % kSlots];
  }
  std::vector<Slot> slots_;
};

using EvaluatorPtr = std::unique_ptr<NodeEvaluator>;
using LoweredNodePtr = std::shared_ptr<const LoweredNode>;
EvaluatorPtr MakeEvaluator(const ScaleSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_scale.cc
EvaluatorPtr MakeQuantizeEvaluator(const ScaleSpec& spec, LoweredNodePtr node,
                                   Gatherer& gatherer);                                       // compute_quantize.cc
EvaluatorPtr MakeEvaluator(const AbsmaxSpec& spec, LoweredNodePtr node, Gatherer& gatherer);  // compute_absmax.cc
EvaluatorPtr MakeEvaluator(const ProductSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_product.cc
EvaluatorPtr MakeEvaluator(const LoraMergeSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const RowScaleSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_rows.cc
EvaluatorPtr MakeEvaluator(const AverageSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const BatchNormSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_batch_norm.cc
EvaluatorPtr MakeEvaluator(const InterpolateSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_interpolate.cc
EvaluatorPtr MakeEvaluator(const PointwiseSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_pointwise.cc
EvaluatorPtr MakeEvaluator(const MapSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const NormalSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const BitcastSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);  // compute_bitcast.cc
EvaluatorPtr MakeEvaluator(const SequenceSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const UnpackSpec& spec, LoweredNodePtr node,
                           Gatherer& gatherer);                                             // compute_codes.cc
EvaluatorPtr MakeEvaluator(const PackSpec& spec, LoweredNodePtr node, Gatherer& gatherer);  // compute_pack.cc
EvaluatorPtr MakeEvaluator(const ConstantSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const DecodeSpec& spec, LoweredNodePtr node, Gatherer& gatherer);
EvaluatorPtr MakeEvaluator(const TakeSpec& spec, LoweredNodePtr node, Gatherer& gatherer);

}  // namespace ckmap
