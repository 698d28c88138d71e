#include "runtime/exec/value_checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/gather.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

constexpr int64_t kPart = int64_t{64} << 20;  // bytes of a tensor that one task compares

struct LoweredCheck {
  const ValueCheck* check = nullptr;
  LoweredTensor found, expected;
};

// A range of a check's bytes.
struct ComparedPart {
  std::shared_ptr<const LoweredCheck> lowered;
  int64_t begin = 0, end = 0;
};

bool SameBox(const Box& a, const Box& b) {
  const auto same_axis = [](const CopyAxis& x, const CopyAxis& y) {
    return x.size == y.size && x.src == y.src && x.dst == y.dst;
  };
  return a.input == b.input && a.src == b.src && a.dst == b.dst &&
         std::equal(a.axes.begin(), a.axes.end(), b.axes.begin(), b.axes.end(), same_axis);
}

// Whether both are the same bytes of the same storages, as tied tensors of a torch file are: nothing is left to
// compare.
bool SameBytes(const LoweredTensor& a, const LoweredTensor& b) {
  const auto same_input = [](const LoweredInput& x, const LoweredInput& y) {
    return x.node == nullptr && y.node == nullptr && x.storage == y.storage && x.element == y.element &&
           x.chain == y.chain;
  };
  return a.bytes == b.bytes && a.fill == b.fill &&
         std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(), same_input) &&
         std::equal(a.boxes.begin(), a.boxes.end(), b.boxes.begin(), b.boxes.end(), SameBox);
}

// Calls `visit(offset, bytes)` for each stretch without a hole that the box writes, in ascending order; it ends when
// `visit` gives false.
template <typename Visit>
void ForEachRun(const Box& box, int64_t element, Visit visit) {
  const int64_t run = box.DstRun(element);
  std::vector<CopyAxis> outer;
  for (const CopyAxis& axis : box.axes) {
    if (axis.dst >= run) outer.push_back(axis);
  }
  std::vector<int64_t> index(outer.size(), 0);
  int64_t at = box.dst;
  while (visit(at, run)) {
    size_t k = outer.size();
    for (; k > 0; --k) {
      at += outer[k - 1].dst;
      if (++index[k - 1] < outer[k - 1].size) break;
      at -= outer[k - 1].dst * index[k - 1];
      index[k - 1] = 0;
    }
    if (k == 0) return;
  }
}

std::string BitsText(std::span<const std::byte> bytes) {
  std::string text = "0x";
  for (size_t i = bytes.size(); i-- > 0;) text += fmt::format("{:02x}", static_cast<unsigned>(bytes[i]));
  return text;
}

std::string ElementText(std::span<const std::byte> bytes, DType dtype) {
  if (bytes.size() > 8 || (dtype != DType::kF64 && !CanCast({dtype, DType::kF64, Overflow::kInf})))
    return BitsText(bytes);
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data(), bytes.size());
  return FormatElement(dtype, bits);
}

// Of floats alone.
double ElementValue(std::span<const std::byte> bytes, DType dtype) {
  double value = 0;
  if (dtype == DType::kF64) {
    std::memcpy(&value, bytes.data(), sizeof value);
  } else {
    CastCounts counts;
    CastElements({dtype, DType::kF64, Overflow::kInf}, bytes.data(), reinterpret_cast<std::byte*>(&value), 1, counts);
  }
  return value;
}

// One thread's.
class Comparer {
 public:
  Comparer(const Checkpoint& source, const Budget& budget)
      : evaluators_(source), found_(source, budget, evaluators_, 0), expected_(source, budget, evaluators_, 0) {}

  Result<void> Compare(const ComparedPart& part, Progress& progress) {
    if (!found_.ok() || !expected_.ok()) return Error(ErrorCode::kLimit, "out of memory");
    const LoweredCheck& lowered = *part.lowered;
    const int64_t element = lowered.found.element;
    evaluators_.set_target(lowered.check->tensor);
    const int64_t step = std::max(element, std::min(found_.budget().strip, int64_t{1} << 20) / element * element);
    for (int64_t begin = part.begin; begin < part.end; begin += step) {
      const int64_t end = std::min(part.end, begin + step);
      CKMAP_RETURN_IF_ERROR(CompareStrip(lowered, begin, end));
      CKMAP_RETURN_IF_ERROR(progress.Advance(end - begin));
    }
    return {};
  }

 private:
  Result<void> CompareStrip(const LoweredCheck& lowered, int64_t begin, int64_t end) {
    std::vector<Box> covered;
    for (const Box& box : lowered.found.boxes) CutToRange(box, begin, end, lowered.found.element, covered);
    if (covered.empty()) return {};
    const Shape& shape = lowered.check->found.value.shape;
    CKMAP_ASSIGN_OR_RETURN(const auto found, found_.Gather(lowered.found, begin, end));
    CKMAP_RETURN_IF_ERROR(found_.Settle(shape));
    CKMAP_ASSIGN_OR_RETURN(const auto expected, expected_.Gather(lowered.expected, begin, end));
    CKMAP_RETURN_IF_ERROR(expected_.Settle(shape));
    std::optional<int64_t> first;  // offset in the strip
    for (const Box& box : covered) {
      ForEachRun(box, lowered.found.element, [&](int64_t at, int64_t bytes) {
        if (first && at - begin >= *first) return false;
        const auto differs =
            Difference(lowered, found.subspan(static_cast<size_t>(at - begin), static_cast<size_t>(bytes)),
                       expected.subspan(static_cast<size_t>(at - begin), static_cast<size_t>(bytes)));
        if (differs) first = at - begin + *differs;
        return !differs;
      });
    }
    return first ? Different(lowered, begin + *first, found, expected, *first) : Result<void>();
  }

  // Offset of the first element that differs.
  static std::optional<int64_t> Difference(const LoweredCheck& lowered, std::span<const std::byte> found,
                                           std::span<const std::byte> expected) {
    if (std::memcmp(found.data(), expected.data(), found.size()) == 0) return std::nullopt;
    const auto element = static_cast<size_t>(lowered.found.element);
    for (size_t at = 0; at < found.size(); at += element) {
      const auto a = found.subspan(at, element), b = expected.subspan(at, element);
      if (std::memcmp(a.data(), b.data(), element) == 0) continue;
      if (lowered.check->tolerance > 0) {
        const double x = ElementValue(a, lowered.check->found.dtype), y = ElementValue(b, lowered.check->found.dtype);
        if (std::fabs(x - y) <= lowered.check->tolerance * std::fabs(y)) continue;
      }
      return static_cast<int64_t>(at);
    }
    return std::nullopt;
  }

  static Error Different(const LoweredCheck& lowered, int64_t at, std::span<const std::byte> found,
                         std::span<const std::byte> expected, int64_t in_strip) {
    const ValueCheck& check = *lowered.check;
    const auto begin = static_cast<size_t>(in_strip), size = static_cast<size_t>(lowered.found.element);
    const bool whole = DTypeBits(check.found.dtype) % 8 == 0;  // smaller elements are compared by the byte
    const std::string where = whole
                                  ? "element " + FormatCoordinates(at / lowered.found.element, check.found.value.shape)
                                  : fmt::format("byte {}", at);
    const DType dtype = whole ? check.found.dtype : DType::kU8;
    std::string is = ElementText(found.subspan(begin, size), dtype),
                wanted = ElementText(expected.subspan(begin, size), dtype);
    if (is == wanted) {  // NaNs
      is += " (" + BitsText(found.subspan(begin, size)) + ")";
      wanted += " (" + BitsText(expected.subspan(begin, size)) + ")";
    }
    return {ErrorCode::kMismatch, fmt::format("{} tensor `{}`: {} is {}, not {}: {}{}",
                                              check.of_target ? "target" : "source", EscapeText(check.tensor), where,
                                              is, wanted, check.claim, check.help.empty() ? "" : "; " + check.help)};
  }

  Evaluators evaluators_;
  Gatherer found_, expected_;
};

Result<std::vector<ComparedPart>> MakeParts(const BoundPlan& plan, const Checkpoint& source) {
  std::vector<ComparedPart> parts;
  for (const ValueCheck& check : plan.checks) {
    auto lowered = std::make_shared<LoweredCheck>();
    lowered->check = &check;
    auto found = LowerTensor(check.found, source, check.claim);
    if (!found) return std::move(found).error().Context(fmt::format("tensor `{}`", EscapeText(check.tensor)));
    lowered->found = *std::move(found);
    auto expected = LowerTensor(check.expected, source, check.claim);
    if (!expected) return std::move(expected).error().Context(fmt::format("tensor `{}`", EscapeText(check.tensor)));
    lowered->expected = *std::move(expected);
    if (SameBytes(lowered->found, lowered->expected)) continue;
    const int64_t step = std::max<int64_t>(1, kPart / lowered->found.element) * lowered->found.element;
    for (int64_t begin = 0; begin < lowered->found.bytes; begin += step) {
      parts.push_back({lowered, begin, std::min(begin + step, lowered->found.bytes)});
    }
  }
  return parts;
}

}  // namespace

int64_t BytesToCheck(const BoundPlan& plan) {
  int64_t bytes = 0;
  for (const ValueCheck& check : plan.checks) bytes += NumBytes(check.found.value.shape, check.found.dtype).value_or(0);
  return bytes;
}

Result<void> RunValueChecks(const BoundPlan& plan, const Checkpoint& source, const Budget& budget, Progress& progress) {
  if (plan.checks.empty()) return {};
  CKMAP_ASSIGN_OR_RETURN(const std::vector<ComparedPart> parts, MakeParts(plan, source));
  const Budget half = Budget::Make(1, budget.total() / 2);
  return ForEachInParallel(budget.threads, parts.size(), [&]() -> ItemBody {
    return [&, comparer = std::make_shared<Comparer>(source, half)](size_t i) {
      return comparer->Compare(parts[i], progress);
    };
  });
}

}  // namespace ckmap
