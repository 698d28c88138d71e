#include "compiler/suggest/values.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/report/numbers.h"

namespace ckmap::suggest {
namespace {

constexpr int64_t kBlock = int64_t{1} << 18;        // elements that are read at once
constexpr int64_t kMaxCompared = int64_t{1} << 28;  // elements of a tensor that is held as a whole
constexpr size_t kMaxAxes = 5;                      // of tensors whose axes are permuted

uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

// To the nearest number with so many bits of mantissa; exponents are left alone.
float Rounded(double value, DType type) {
  const auto number = static_cast<float>(value);
  if (type == DType::kF32 || !std::isfinite(number)) return number;
  const int dropped = type == DType::kBF16 ? 16 : 13;
  auto bits = std::bit_cast<uint32_t>(number);
  const uint32_t half = (1U << (dropped - 1)) - 1 + ((bits >> dropped) & 1U);
  bits = (bits + half) >> dropped << dropped;
  return std::bit_cast<float>(bits);
}

// Of the elements of several pairs that are one; 0 if all are.
uint32_t Together(uint32_t key, uint32_t bits) {
  if (key == 0 && bits == 0) return 0;
  const auto mixed = static_cast<uint32_t>(Mix((uint64_t{key} << 32 | bits) + 0x9e3779b97f4a7c15ULL));
  return mixed == 0 ? 1 : mixed;
}

uint32_t BitsOf(float value) { return value == 0 ? 0 : std::bit_cast<uint32_t>(value); }

int64_t Count(const Shape& shape) { return NumElements(shape).value_or(-1); }

// Steps through the elements of an array whose axes are permuted, and compares them with another in row-major order.
bool IsPermuted(const std::vector<uint32_t>& from, const Shape& shape, const std::vector<size_t>& order,
                const std::vector<uint32_t>& to) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  std::vector<int64_t> index(order.size(), 0);
  int64_t at = 0;
  for (const uint32_t expected : to) {
    if (from[static_cast<size_t>(at)] != expected) return false;
    for (size_t k = order.size(); k-- > 0;) {
      at += strides[order[k]];
      if (++index[k] < shape[order[k]]) break;
      at -= strides[order[k]] * shape[order[k]];
      index[k] = 0;
    }
  }
  return true;
}

std::string Sizes(const Shape& shape) { return fmt::format("{}", fmt::join(shape, ", ")); }

Shape Permuted(const Shape& shape, const std::vector<size_t>& order) {
  Shape out;
  for (const size_t axis : order) out.push_back(shape[axis]);
  return out;
}

std::string PermuteText(const std::vector<size_t>& order) {
  if (order == std::vector<size_t>{1, 0}) return "| transpose()";
  return fmt::format("| permute({})", fmt::join(order, ", "));
}

std::vector<int64_t> Divisors(int64_t n) {
  std::vector<int64_t> all;
  for (int64_t d = 2; d <= n; ++d) {
    if (n % d == 0) all.push_back(d);
  }
  return all;
}

// An axis of n = x · y · z indices of which y and z change places: heads whose halves alternate, gates that alternate.
std::string SplitAxis(const std::vector<uint32_t>& from, const Shape& shape, const std::vector<uint32_t>& to,
                      const Shape& wanted) {
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] > 65536) continue;
    std::vector<int64_t> outers = Divisors(shape[axis]);
    outers.insert(outers.begin(), 1);
    for (const int64_t x : outers) {
      for (const int64_t y : Divisors(shape[axis] / x)) {
        const int64_t z = shape[axis] / x / y;
        if (z < 2) continue;
        Shape split(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis));
        const size_t at = split.size();
        split.insert(split.end(), {x, y, z});
        split.insert(split.end(), shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end());
        std::vector<size_t> order(split.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::swap(order[at + 1], order[at + 2]);
        if (!IsPermuted(from, split, order, to)) continue;
        return fmt::format("| reshape({}) | permute({}) | reshape({})", Sizes(split), fmt::join(order, ", "),
                           Sizes(wanted));
      }
    }
  }
  return "";
}

}  // namespace

Values::Values(std::vector<ValuePair> pairs)
    : source_checkpoint_(*pairs.front().source), target_checkpoint_(*pairs.front().target) {
  for (const ValuePair& pair : pairs) {
    sources_.push_back(pair.source);
    targets_.push_back(pair.target);
  }
}

Result<std::unique_ptr<Values>> Values::Read(std::vector<ValuePair> pairs) {
  std::unique_ptr<Values> values(new Values(std::move(pairs)));
  for (const TensorInfo& tensor : values->target_checkpoint_.manifest().tensors()) {
    if (tensor.dtype == DType::kBF16) values->rounding_ = DType::kBF16;
    if (tensor.dtype == DType::kF16 && values->rounding_ == DType::kF32) values->rounding_ = DType::kF16;
  }
  CKMAP_ASSIGN_OR_RETURN(values->source_, values->ReadAll(values->sources_));
  CKMAP_ASSIGN_OR_RETURN(values->target_, values->ReadAll(values->targets_));
  return values;
}

template <typename Use>
Result<void> Values::ForEachBlock(const std::vector<const Checkpoint*>& checkpoints, size_t tensor,
                                  const Use& use) const {
  const TensorInfo& info = checkpoints[0]->manifest()[tensor];
  std::vector<std::unique_ptr<TensorReader>> readers;
  for (const Checkpoint* checkpoint : checkpoints) {
    const auto same = checkpoint->manifest().Find(info.name);  // in whatever order the file has them
    if (!same) return Error(ErrorCode::kMismatch, fmt::format("`{}` is not in every run", EscapeText(info.name)));
    CKMAP_ASSIGN_OR_RETURN(auto reader, TensorReader::Make(*checkpoint, *same));
    readers.push_back(std::move(reader));
  }
  std::vector<std::byte> bytes;
  std::vector<double> numbers;
  Keys keys;
  const int64_t block = kBlock * readers[0]->element();
  for (int64_t begin = 0; begin < readers[0]->bytes(); begin += block) {
    bytes.resize(static_cast<size_t>(std::min(block, readers[0]->bytes() - begin)));
    for (size_t r = 0; r < readers.size(); ++r) {
      CKMAP_RETURN_IF_ERROR(readers[r]->Read(begin, bytes));
      ToNumbers(info.dtype, bytes, numbers);
      keys.resize(numbers.size(), 0);
      for (size_t i = 0; i < numbers.size(); ++i) {
        const uint32_t bits = BitsOf(Rounded(numbers[i], rounding_));
        keys[i] = r == 0 ? bits : Together(keys[i], bits);
      }
    }
    use(keys);
  }
  return {};
}

Result<std::vector<Fingerprint>> Values::ReadAll(const std::vector<const Checkpoint*>& checkpoints) const {
  const Manifest& manifest = checkpoints[0]->manifest();
  std::vector<Fingerprint> all(manifest.size());
  const auto read = [&](size_t tensor) -> Result<void> {
    const TensorInfo& info = manifest[tensor];
    if (!info.unreadable.empty() || !IsNumber(info.dtype)) return {};
    Fingerprint& print = all[tensor];
    std::optional<Key> first;
    print.constant = true;
    CKMAP_RETURN_IF_ERROR(ForEachBlock(checkpoints, tensor, [&](const Keys& keys) {
      for (const Key key : keys) {
        if (!first) first = key;
        print.constant = print.constant && key == *first;
        const uint64_t mixed = Mix(key + 0x9e3779b97f4a7c15ULL);
        print.unordered += mixed;
        print.ordered = Mix(print.ordered * 31 + mixed);
      }
    }));
    // A single element that is numbered in several runs is one of a kind.
    if (checkpoints.size() > 1 && Count(info.shape) == 1 && first.value_or(0) != 0) print.constant = false;
    print.known = true;
    return {};
  };
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(DefaultThreads(), all.size(), [&]() -> ItemBody { return read; }));
  return all;
}

std::optional<Values::Keys> Values::Elements(const std::vector<const Checkpoint*>& checkpoints, size_t tensor) const {
  const TensorInfo& info = checkpoints[0]->manifest()[tensor];
  if (!info.unreadable.empty() || !IsNumber(info.dtype) || Count(info.shape) < 0 || Count(info.shape) > kMaxCompared)
    return std::nullopt;
  Keys elements;
  elements.reserve(static_cast<size_t>(Count(info.shape)));
  const auto read = ForEachBlock(checkpoints, tensor,
                                 [&](const Keys& keys) { elements.insert(elements.end(), keys.begin(), keys.end()); });
  return read ? std::optional(std::move(elements)) : std::nullopt;
}

std::optional<bool> Values::Makes(const BoundPlan& plan, const BoundTensor& tensor) const {
  const auto target = target_checkpoint_.manifest().Find(tensor.name);
  if (!target || !target_[*target].known || Count(tensor.shape) < 0 || Count(tensor.shape) > kMaxCompared)
    return std::nullopt;
  std::vector<size_t> sources;
  for (const BoundInput& input : tensor.inputs) {
    const bool casts = std::all_of(input.casts.begin(), input.casts.end(),
                                   [](const ElementOp& op) { return op.kind == ElementOp::Kind::kCast; });
    if (input.node != nullptr || !casts || input.view != DType::kAny) return std::nullopt;
    const auto source = source_checkpoint_.manifest().Find(plan.source[input.source].name);
    if (!source || !source_[*source].known) return std::nullopt;
    sources.push_back(*source);
  }
  const int64_t count = Count(tensor.shape);
  if (sources.size() == 1 && tensor.value.pieces.size() == 1) {
    const Piece& piece = tensor.value.pieces[0];
    const bool whole =
        piece.input == 0 && piece.src_offset == 0 && piece.dst_offset == 0 &&
        (piece.axes.empty() ? count == 1
                            : piece.axes.size() == 1 && piece.axes[0].src_stride == 1 && piece.axes[0].size == count);
    if (whole && Count(source_checkpoint_.manifest()[sources[0]].shape) == count)
      return source_[sources[0]].ordered == target_[*target].ordered;
  }
  const auto wanted = Elements(targets_, *target);
  std::vector<std::vector<uint32_t>> inputs;
  for (const size_t source : sources) {
    auto elements = Elements(sources_, source);
    if (!elements) return std::nullopt;
    inputs.push_back(*std::move(elements));
  }
  if (!wanted) return std::nullopt;
  for (const Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) return std::nullopt;
    const std::vector<uint32_t>& from = inputs[static_cast<size_t>(piece.input)];
    int64_t left = piece.src_offset, right = piece.dst_offset, rest = 1;
    std::vector<int64_t> index(piece.axes.size(), 0);
    for (const PieceAxis& axis : piece.axes) rest *= axis.size;
    for (; rest > 0; --rest) {
      if (from[static_cast<size_t>(left)] != (*wanted)[static_cast<size_t>(right)]) return false;
      for (size_t k = piece.axes.size(); k-- > 0;) {
        const PieceAxis& axis = piece.axes[k];
        left += axis.src_stride;
        right += axis.dst_stride;
        if (++index[k] < axis.size) break;
        left -= axis.src_stride * axis.size;
        right -= axis.dst_stride * axis.size;
        index[k] = 0;
      }
    }
  }
  return true;
}

std::optional<std::string> Values::Operations(size_t source, size_t target) const {
  const Fingerprint &a = source_[source], &b = target_[target];
  const Shape &from = source_checkpoint_.manifest()[source].shape, &to = target_checkpoint_.manifest()[target].shape;
  if (!a.known || !b.known || Count(from) != Count(to) || a.unordered != b.unordered) return std::nullopt;
  const auto reshaped = [&](const std::string& operations, const Shape& made) {
    return made == to ? operations
                      : fmt::format("{}{}| reshape({})", operations, operations.empty() ? "" : " ", Sizes(to));
  };
  if (a.ordered == b.ordered) return reshaped("", from);
  if (from.size() > kMaxAxes) return std::nullopt;
  const auto left = Elements(sources_, source), right = Elements(targets_, target);
  if (!left || !right) return std::nullopt;
  std::vector<size_t> order(from.size());
  std::iota(order.begin(), order.end(), size_t{0});
  while (std::next_permutation(order.begin(), order.end())) {
    if (IsPermuted(*left, from, order, *right)) return reshaped(PermuteText(order), Permuted(from, order));
  }
  const std::string split = SplitAxis(*left, from, *right, to);
  return split.empty() ? std::nullopt : std::optional(split);
}

namespace {

// One whole and the tensors that may make it, all of them in memory.
class JoinSearch {
 public:
  JoinSearch(std::vector<std::vector<uint32_t>> parts, std::vector<Shape> shapes, const std::vector<uint32_t>& whole,
             const Shape& shape)
      : parts_(std::move(parts)), shapes_(std::move(shapes)), whole_(whole), shape_(shape), order_(parts_.size()) {}

  std::optional<Values::Joined> Find(bool of_source) {
    for (size_t axis = 0; axis < shape_.size(); ++axis) {
      const std::vector<int64_t> groups = GroupsAlong(axis);
      std::iota(order_.begin(), order_.end(), size_t{0});
      size_t orders = 0;
      while (!groups.empty()) {
        for (const int64_t count : groups) {
          if (Makes(axis, count)) return Text(axis, count, of_source);
        }
        if (!std::next_permutation(order_.begin(), order_.end()) || ++orders >= kMaxOrders) break;
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kMaxOrders = 720;

  // Into how many blocks each part may be cut; empty: the sizes do not add up along this axis.
  std::vector<int64_t> GroupsAlong(size_t axis) const {
    int64_t sum = 0, common = 0;
    for (Shape piece : shapes_) {
      sum += piece[axis];
      common = std::gcd(common, piece[axis]);
      piece[axis] = shape_[axis];
      if (piece != shape_) return {};
    }
    if (sum != shape_[axis] || common < 1) return {};
    std::vector<int64_t> groups = Divisors(common);
    groups.insert(groups.begin(), 1);
    return groups;
  }

  // Parts along an axis, in blocks that alternate: of `groups` blocks each part has one.
  bool Makes(size_t axis, int64_t groups) const {
    int64_t outer = 1, inner = 1;
    for (size_t k = 0; k < shape_.size(); ++k) (k < axis ? outer : inner) *= k == axis ? 1 : shape_[k];
    size_t at = 0;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t g = 0; g < groups; ++g) {
        for (const size_t p : order_) {
          const int64_t run = shapes_[p][axis] / groups * inner;
          const auto begin = static_cast<size_t>((o * groups + g) * run);
          for (size_t i = 0; i < static_cast<size_t>(run); ++i, ++at) {
            if (parts_[p][begin + i] != whole_[at]) return false;
          }
        }
      }
    }
    return at == whole_.size();
  }

  std::optional<Values::Joined> Text(size_t axis, int64_t groups, bool of_source) const {
    if (groups == 1) {
      return Values::Joined{order_, fmt::format("| {}(axis={})", of_source ? "concat" : "split", axis),
                            static_cast<int>(axis)};
    }
    Shape split = shape_;
    split[axis] = -1;
    split.insert(split.begin() + static_cast<std::ptrdiff_t>(axis), groups);
    if (of_source) {
      return Values::Joined{
          order_, fmt::format("| reshape({}) | concat(axis={}) | reshape({})", Sizes(split), axis + 1, Sizes(shape_))};
    }
    const bool equal =
        std::all_of(shapes_.begin(), shapes_.end(), [&](const Shape& part) { return part == shapes_[0]; });
    if (!equal) return std::nullopt;
    return Values::Joined{order_, fmt::format("| deinterleave(axis={}, parts={}, block={})", axis, parts_.size(),
                                              shapes_[0][axis] / groups)};
  }

  std::vector<std::vector<uint32_t>> parts_;
  std::vector<Shape> shapes_;
  const std::vector<uint32_t>& whole_;
  const Shape& shape_;
  std::vector<size_t> order_;
};

std::vector<uint32_t> Turned(const std::vector<uint32_t>& from, const Shape& shape) {
  std::vector<uint32_t> to(from.size());
  const auto rows = static_cast<size_t>(shape[0]), columns = static_cast<size_t>(shape[1]);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
  return to;
}

}  // namespace

std::optional<Values::Joined> Values::Join(const std::vector<size_t>& parts, bool of_source, size_t whole) const {
  const std::vector<const Checkpoint*>&some = of_source ? sources_ : targets_, &one = of_source ? targets_ : sources_;
  const auto all = Elements(one, whole);
  if (!all || parts.size() < 2) return std::nullopt;
  const Shape& shape = one[0]->manifest()[whole].shape;
  std::vector<std::vector<uint32_t>> elements;
  std::vector<Shape> shapes;
  for (const size_t part : parts) {
    auto read = Elements(some, part);
    shapes.push_back(some[0]->manifest()[part].shape);
    if (!read || shapes.back().size() != shape.size()) return std::nullopt;
    elements.push_back(*std::move(read));
  }
  if (auto joined = JoinSearch(elements, shapes, *all, shape).Find(of_source)) return joined;
  if (shape.size() != 2) return std::nullopt;
  for (size_t p = 0; p < parts.size(); ++p) {
    elements[p] = Turned(elements[p], shapes[p]);
    std::swap(shapes[p][0], shapes[p][1]);
  }
  auto joined = JoinSearch(std::move(elements), std::move(shapes), *all, shape).Find(of_source);
  if (!joined) return std::nullopt;
  joined->turned = true;
  joined->operations = of_source ? "| transpose() " + joined->operations : joined->operations + " | transpose()";
  return joined;
}

}  // namespace ckmap::suggest
