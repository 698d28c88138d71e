#include "runtime/report/source_cell.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/report/fold.h"

namespace ckmap {
namespace {

// The indices of one axis that are read: begin, begin + step, … before end.
struct AxisRange {
  int64_t begin = 0, end = 1, step = 1;
};

// What a piece reads of a tensor of `shape`, if that is a box: a range of each axis.
std::optional<std::vector<AxisRange>> BoxOf(const Piece& piece, const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t k = shape.size(); k-- > 1;) strides[k - 1] = strides[k] * shape[k];
  std::vector<AxisRange> box(shape.size());
  for (size_t k = 0; k < shape.size(); ++k) {
    const int64_t at = piece.src_offset / strides[k] % std::max<int64_t>(shape[k], 1);
    box[k] = {at, at + 1, 1};
  }
  std::vector<int64_t> counts(shape.size(), 1);
  for (const PieceAxis& axis : piece.axes) {
    int64_t size = axis.size, stride = std::abs(axis.src_stride);
    const bool backwards = axis.src_stride < 0;
    for (size_t k = shape.size(); k-- > 0 && size > 1;) {
      if (stride < strides[k] || stride >= strides[k] * shape[k]) continue;
      const int64_t step = stride / strides[k];
      if (stride % strides[k] != 0) return std::nullopt;
      const int64_t part = std::min(size, (shape[k] + step - 1) / step);
      const int64_t span = (part - 1) * step;
      if (backwards) {
        box[k].begin -= span;
      } else {
        box[k].end += span;
      }
      box[k].step = counts[k] == 1 ? step : std::min(box[k].step, step);
      counts[k] *= part;
      size = part == 0 || size % part != 0 ? 0 : size / part;
      stride *= part;
    }
    if (size != 1) return std::nullopt;
  }
  for (size_t k = 0; k < shape.size(); ++k) {
    const AxisRange& range = box[k];
    if (range.begin < 0 || range.end > shape[k]) return std::nullopt;
    if ((range.end - range.begin - 1) / range.step + 1 != counts[k]) return std::nullopt;
  }
  return box;
}

std::string Shown(const std::vector<AxisRange>& box, const Shape& shape) {
  std::vector<std::string> axes;
  size_t last = 0;
  for (size_t k = 0; k < shape.size(); ++k) {
    const AxisRange& range = box[k];
    const bool whole = range.begin == 0 && range.end == shape[k] && range.step == 1;
    if (!whole) last = k + 1;
    if (whole) {
      axes.emplace_back(":");
    } else if (range.step > 1) {
      axes.push_back(fmt::format("{}:{}:{}", range.begin, range.end, range.step));
    } else {
      axes.push_back(fmt::format("{}:{}", range.begin, range.end));
    }
  }
  axes.resize(last);
  return axes.empty() ? "" : fmt::format("[{}]", fmt::join(axes, ", "));
}

// The part of one source that pieces read together, as it is shown; "" for all of it.
std::string PartOf(const std::vector<const Piece*>& pieces, const Shape& shape) {
  int64_t read = 0;
  for (const Piece* piece : pieces) read += piece->elements();
  if (read >= NumElements(shape).value_or(0)) return "";
  std::optional<std::vector<AxisRange>> all;
  for (const Piece* piece : pieces) {
    const auto box = BoxOf(*piece, shape);
    if (!box) return "[…]";
    if (!all) {
      all = box;
      continue;
    }
    for (size_t k = 0; k < shape.size(); ++k) {
      (*all)[k].begin = std::min((*all)[k].begin, (*box)[k].begin);
      (*all)[k].end = std::max((*all)[k].end, (*box)[k].end);
    }
  }
  int64_t held = 1;
  for (const AxisRange& range : *all) held *= (range.end - range.begin - 1) / range.step + 1;
  return held == read ? Shown(*all, shape) : "[…]";
}

}  // namespace

std::vector<std::string> SourceParts(const BoundPlan& plan, const BoundTensor& tensor) {
  std::vector<std::string> parts;
  if (ComputedDepth(tensor) > 0) {
    std::set<size_t> seen;
    ForEachSource(tensor, [&](size_t source) {
      if (seen.insert(source).second) parts.push_back(plan.source[source].name);
    });
    return parts;
  }
  std::map<size_t, std::vector<const Piece*>> pieces;  // of each source
  std::map<size_t, int64_t> first;                     // the first place in the target
  bool viewed = false;
  for (const Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) continue;
    const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
    viewed = viewed || input.view != DType::kAny;  // pieces count other elements than the tensor's
    pieces[input.source].push_back(&piece);
    const auto [at, made] = first.try_emplace(input.source, piece.dst_offset);
    at->second = std::min(at->second, piece.dst_offset);
  }
  std::vector<std::pair<int64_t, size_t>> ordered;
  for (const auto& [source, place] : first) ordered.emplace_back(place, source);
  std::sort(ordered.begin(), ordered.end());
  for (const auto& [place, source] : ordered) {
    const TensorInfo& info = plan.source[source];
    parts.push_back(info.name + (viewed ? "" : PartOf(pieces[source], info.shape)));
  }
  // Of an empty tensor no piece says what it is made of.
  for (const BoundInput& input : tensor.inputs) {
    if (ordered.empty()) parts.push_back(plan.source[input.source].name);
  }
  return parts;
}

std::string SourceCell(const BoundPlan& plan, const BoundTensor& tensor) {
  constexpr size_t kShown = 3;
  const std::vector<FoldedRow> folded = FoldOrderedNames(SourceParts(plan, tensor));
  std::string out;
  for (size_t i = 0; i < folded.size() && i < kShown; ++i) out += (i > 0 ? ", " : "") + folded[i].names[0];
  if (folded.size() > kShown) out += fmt::format(", + {}", folded.size() - kShown);
  return out;
}

}  // namespace ckmap
