#include "runtime/exec/gather.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/exec/read_checks.h"

namespace ckmap {

std::string FormatCoordinates(int64_t index, const Shape& shape) {
  std::vector<int64_t> coordinates(shape.size());
  for (size_t k = shape.size(); k-- > 0;) {
    coordinates[k] = index % shape[k];
    index /= shape[k];
  }
  return FormatShape(coordinates);
}

Gatherer::Gatherer(const Checkpoint& source, const Budget& budget, Evaluators& evaluators, int level)
    : source_(source),
      budget_(budget),
      evaluators_(evaluators),
      level_(level),
      memory_(budget.total()),
      strip_(memory_.data()),
      convert_(strip_ + budget.strip),
      staging_(convert_ + budget.convert) {}

void Gatherer::MoveElements(const Box& box, const LoweredTensor& lowered, const std::byte* base, std::byte* out,
                            int64_t out_begin) {
  if (box.input == kFillInput) {
    StridedCopy(lowered.fill.data(), out + (box.dst - out_begin), box.axes, lowered.element);
    return;
  }
  const LoweredInput& input = lowered.inputs[static_cast<size_t>(box.input)];
  if (!input.chain.trivial()) return MoveConverted(box, input, lowered.element, base, out, out_begin);
  StridedCopy(base + box.src, out + (box.dst - out_begin), box.axes, lowered.element);
}

void Gatherer::MoveConverted(const Box& box, const LoweredInput& input, int64_t element, const std::byte* base,
                             std::byte* out, int64_t out_begin) {
  const int64_t count = box.elements();
  const bool dense =
      box.axes.empty() || (box.axes.size() == 1 && box.axes[0].src == input.element && box.axes[0].dst == element);
  if (dense) {
    return Convert(input, base + box.src, out + (box.dst - out_begin), count, box.dst / element);
  }
  // The elements in the order of the target, side by side, a buffer full at a time.
  Box packed = box;
  packed.dst = 0;
  int64_t stride = input.element;
  for (size_t k = packed.axes.size(); k-- > 0; stride *= packed.axes[k].size) {
    packed.axes[k].dst = stride;
  }
  const int64_t run = box.DstRun(element) / element;
  const int64_t step = budget_.convert / input.element;
  std::vector<Box> parts;
  for (int64_t done = 0; done < count; done += step) {
    const int64_t end = std::min(count, done + step);
    parts.clear();
    CutToRange(packed, done * input.element, end * input.element, input.element, parts);
    for (const Box& part : parts) {
      StridedCopy(base + part.src, convert_ + (part.dst - done * input.element), part.axes, input.element);
    }
    for (int64_t at = done; at < end;) {
      const int64_t n = std::min(run - at % run, end - at);
      int64_t stretch = at / run;
      int64_t dst = box.dst + at % run * element;
      for (size_t k = box.axes.size(); k-- > 0;) {
        if (box.axes[k].dst < run * element) continue;
        dst += stretch % box.axes[k].size * box.axes[k].dst;
        stretch /= box.axes[k].size;
      }
      Convert(input, convert_ + (at - done) * input.element, out + (dst - out_begin), n, dst / element);
      at += n;
    }
  }
}

void Gatherer::Convert(const LoweredInput& input, const std::byte* src, std::byte* dst, int64_t count, int64_t index) {
  const int64_t before = counts_.first.index;
  ConvertElements(input.chain, src, dst, count, index, counts_);
  if (counts_.first.index != before) refused_ = input;
}

Result<void> Gatherer::MoveBox(const Box& box, const LoweredTensor& lowered, std::byte* out, int64_t out_begin) {
  if (box.input == kFillInput) {
    MoveElements(box, lowered, nullptr, out, out_begin);
    return {};
  }
  const LoweredInput& input = lowered.inputs[static_cast<size_t>(box.input)];
  Staging staging = PlanStaging(box, input.element, input.max_gap(), budget_.staging);
  if (staging.bytes <= budget_.staging) {
    CKMAP_RETURN_IF_ERROR(ReadStaged(staging, input, staging_));
    const Box moved{box.input, staging.start, box.dst, std::move(staging.axes)};
    MoveElements(moved, lowered, staging_, out, out_begin);
    return {};
  }
  const int64_t end = box.dst + box.DstSpan(lowered.element);
  const int64_t middle = box.dst + (end - box.dst) / lowered.element / 2 * lowered.element;
  std::vector<Box> parts;
  CutToRange(box, box.dst, middle, lowered.element, parts);
  CutToRange(box, middle, end, lowered.element, parts);
  for (const Box& part : parts) {
    CKMAP_RETURN_IF_ERROR(MoveBox(part, lowered, out, out_begin));
  }
  return {};
}

Result<std::span<const std::byte>> Gatherer::Gather(const LoweredTensor& lowered, int64_t begin, int64_t end) {
  CKMAP_CHECK(end - begin <= budget_.strip);
  if (!memory_.ok()) return Error(ErrorCode::kLimit, "out of memory");
  CKMAP_RETURN_IF_ERROR(CheckStop());
  std::vector<Box> parts;
  for (const Box& box : lowered.boxes) CutToRange(box, begin, end, lowered.element, parts);
  for (const Box& part : parts) {
    CKMAP_RETURN_IF_ERROR(MoveBox(part, lowered, strip_, begin));
  }
  return std::span<const std::byte>(Bytes(strip_, end - begin));
}

Result<void> Gatherer::ReadStaged(const Staging& staging, const LoweredInput& input, std::byte* to) {
  constexpr size_t kMostAtOnce = 4096;
  std::vector<Segment> wanted;  // of a computed node: it may serve several at once
  std::vector<int64_t> index(staging.outer.size(), 0);
  int64_t from = staging.first;
  for (;;) {
    if (input.node == nullptr) {
      CKMAP_RETURN_IF_ERROR(ReadSource(input, from, Bytes(to, staging.segment)));
    } else {
      wanted.push_back({from / input.element, staging.segment / input.element, to});
    }
    size_t k = index.size();
    while (k > 0) {
      --k;
      from += staging.outer[k].src;
      to += staging.outer[k].dst;
      if (++index[k] < staging.outer[k].size) break;
      from -= staging.outer[k].src * index[k];
      to -= staging.outer[k].dst * index[k];
      index[k] = 0;
      if (k == 0) return Evaluate(input, wanted);
    }
    if (index.empty()) return Evaluate(input, wanted);
    if (wanted.size() < kMostAtOnce) continue;
    CKMAP_RETURN_IF_ERROR(Evaluate(input, wanted));
    wanted.clear();
  }
}

Result<void> Gatherer::Evaluate(const LoweredInput& input, std::span<const Segment> wanted) {
  if (wanted.empty()) return {};
  return evaluators_.Evaluate(input.node, level_, wanted, counts_.overflowed);
}

Result<void> Gatherer::ReadSource(const LoweredInput& input, int64_t offset, std::span<std::byte> out) {
  if (input.node != nullptr) {
    const Segment all{offset / input.element, static_cast<int64_t>(out.size()) / input.element, out.data()};
    return Evaluate(input, std::span(&all, 1));
  }
  Result<void> read = source_.ReadStorage(input.storage, offset, out);
  if (!read) return Where(input, std::move(read).error());
  if (evaluators_.checks() != nullptr) evaluators_.checks()->SawStorage(input.storage, offset, out);
  return {};
}

Result<ElementCounts> Gatherer::Settle(const Shape& shape) {
  const ElementCounts counts = std::exchange(counts_, {});
  if (counts.first.index < 0) return counts;
  return Where(refused_,
               Error(ErrorCode::kMismatch, fmt::format("element {} {}", FormatCoordinates(counts.first.index, shape),
                                                       DescribeRefusal(counts.first.cast, counts.first.bits))));
}

Result<void> Gatherer::CheckStop() const { return evaluators_.CheckStop(); }

std::string_view Gatherer::target() const { return evaluators_.target(); }

Error Gatherer::Where(const LoweredInput& input, Error error) const {
  const std::string from =
      input.node != nullptr ? fmt::format("by {}", EscapeText(input.node->node->text))
                            : fmt::format("from source tensor `{}`", EscapeText(source_.manifest()[input.source].name));
  return std::move(error).Context(fmt::format("target tensor `{}`, {}", EscapeText(target()), from));
}

}  // namespace ckmap
