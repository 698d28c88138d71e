#include "runtime/bind/explain/variant_lint.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap {
namespace {

// How one piece runs along the axes of its tensor.
struct AxisRun {
  int64_t size = 1;
  int64_t stride = 0;    // in the source
  bool cut = false;      // the source moves along it by more than one stride
  bool stepped = false;  // not each index of the target's axis
};

struct Runs {
  std::vector<AxisRun> axes;  // of the target
  int32_t input = kFillInput;
};

// The largest piece decides: the others of a tensor are made in the same way.
Runs RunsOf(const PieceValue& value) {
  const auto largest = std::max_element(value.pieces.begin(), value.pieces.end(), [](const Piece& a, const Piece& b) {
    return std::pair(a.input != kFillInput, a.elements()) < std::pair(b.input != kFillInput, b.elements());
  });
  Runs result{std::vector<AxisRun>(value.shape.size()), kFillInput};
  if (largest == value.pieces.end() || largest->input == kFillInput) return result;
  result.input = largest->input;
  std::vector<AxisRun>& runs = result.axes;
  std::vector<int64_t> strides(value.shape.size(), 1);
  for (size_t k = value.shape.size(); k-- > 1;) strides[k - 1] = strides[k] * value.shape[k];
  for (PieceAxis axis : largest->axes) {
    // From the innermost axis that it covers outwards.
    for (size_t k = value.shape.size(); k-- > 0 && axis.size > 1;) {
      if (axis.dst_stride >= strides[k] * value.shape[k] || axis.dst_stride < strides[k]) continue;
      const int64_t room = std::max<int64_t>(1, strides[k] * value.shape[k] / axis.dst_stride);
      const int64_t part = std::min(axis.size, room);
      if (part > 1) {
        runs[k].cut = runs[k].cut || runs[k].size > 1;
        if (runs[k].size == 1) runs[k].stepped = axis.dst_stride != strides[k];
        if (!runs[k].cut) runs[k].stride = axis.src_stride;
        runs[k].size *= part;
      }
      axis.size /= part;
      axis.dst_stride *= part;
      axis.src_stride *= part;
    }
  }
  return result;
}

// Two axes of a tensor, and whether they change their order on the way from the source.
struct AxisPair {
  size_t rank = 0, first = 0, second = 0;
  friend auto operator<=>(const AxisPair&, const AxisPair&) = default;
};
struct Order {
  AxisPair axes;
  bool turned = false;
  bool equal = false;  // the sizes: the other order would fit as well
};

struct Evidence {
  int kept = 0, turned = 0;
  std::string kept_by, turned_by;  // a target that shows it, with its rule

  void Add(bool turns, const std::string& by) {
    if ((turns ? turned : kept)++ == 0) (turns ? turned_by : kept_by) = by;
  }
};

class Variants {
 public:
  // `errors`: what is said already.
  Variants(const BindContext& context, const TensorLinks& links, const std::vector<Issue>& errors)
      : context_(context), links_(links) {
    for (const Issue& issue : errors) {
      if (issue.code == "CK1214") unread_.insert(issue.tensor);
    }
  }

  void Find() {
    CollectRuns();
    for (size_t i = 0; i < links_.all().size(); ++i) {
      Squares(i);
      Cuts(i);
      Padding(i);
    }
    Parts();
    Slices();
    Flattened();
  }

  void Report(std::vector<Issue>& issues) const {
    for (const auto& [where, readings] : findings_) {
      std::vector<const Reading*> ordered;
      for (const auto& [text, reading] : readings) ordered.push_back(&reading);
      std::sort(ordered.begin(), ordered.end(), [](const Reading* a, const Reading* b) { return a->order < b->order; });
      std::vector<std::string> notes;
      for (const std::string& note : ordered[0]->notes) notes.push_back(note);
      for (size_t i = 1; i < ordered.size(); ++i) {
        notes.push_back(Sentence(*ordered[i]));
        notes.insert(notes.end(), ordered[i]->notes.begin(), ordered[i]->notes.end());
      }
      issues.push_back({"CK1230", IssueSeverity::kNote, context_.target[ordered[0]->first].name,
                        fmt::format("{}: {}", where, Sentence(*ordered[0])), std::move(notes),
                        ordered[0]->passed ? "if it is right, give it a rule that says so: … -> … exactly \"why\";"
                                           : "if the rule is right, say so in it: exactly \"why\""});
    }
  }

 private:
  struct Reading {
    size_t order = 0, first = 0, count = 0;  // `first`: the target of the lowest index
    bool passed = false;                     // no rule made it
    std::string text;
    std::vector<std::string> notes;
  };

  std::string Sentence(const Reading& reading) const {
    const std::string& first = context_.target[reading.first].name;
    return reading.count > 1 ? fmt::format("`{}` and {} more fit {}", first, reading.count - 1, reading.text)
                             : fmt::format("`{}` fits {}", first, reading.text);
  }

  bool Confirmed(const TensorLink& link) const {
    return link.instance->rule != nullptr && !link.instance->rule->exactly().empty();
  }

  // Of what a rule leaves out an error speaks: it has to be written anew, and its variants with it.
  bool ReadsInPart(const TensorLink& link) const {
    bool in_part = false;
    if (unread_.empty()) return false;
    ForEachSource(*link.bound,
                  [&](size_t source) { in_part = in_part || unread_.contains(context_.visible.files()[source].name); });
    return in_part;
  }

  void Add(const TensorLink& link, size_t target, std::string text, const std::string& note = "") {
    if (Confirmed(link) || ReadsInPart(link)) return;
    auto& readings = findings_[links_.Where(link)];
    const auto [at, made] = readings.try_emplace(text);
    Reading& reading = at->second;
    if (made) reading = {readings.size(), target, 0, link.instance->rule == nullptr, std::move(text), {}};
    ++reading.count;
    reading.first = std::min(reading.first, target);
    if (!note.empty() && reading.notes.empty()) reading.notes.push_back(note);
  }

  // ---- the order of axes -----------------------------------------------------------------------

  std::string SourceName(const TensorLink& link) const {
    std::string name;
    ForEachSource(*link.bound, [&](size_t source) {
      if (name.empty()) name = context_.visible.files()[source].name;
    });
    return name;
  }

  // The block that a tensor stands in: its name up to its last number, without numbers.
  static std::string BlockOf(const std::string& name) {
    const std::string stem = TemplateOf(name).stem;
    const size_t at = stem.rfind('#');
    return at == std::string::npos ? "" : stem.substr(0, at + 1);
  }

  bool Linear(const TensorLink& link) const {
    return link.bound->shape.size() == 2 && IsLinearWeight(SourceName(link), context_.source_separator) &&
           IsLinearWeight(link.bound->name, context_.target_separator);
  }

  void CollectRuns() {
    orders_.resize(links_.all().size());
    runs_.resize(links_.all().size());
    for (size_t i = 0; i < links_.all().size(); ++i) {
      const TensorLink& link = links_.all()[i];
      const size_t rank = link.bound->shape.size();
      runs_[i] = RunsOf(link.bound->value);
      const std::vector<AxisRun>& runs = runs_[i].axes;
      for (size_t a = 0; a < rank; ++a) {
        for (size_t b = a + 1; b < rank; ++b) {
          if (runs[a].size < 2 || runs[b].size < 2 || runs[a].cut || runs[b].cut || runs[a].stride == 0 ||
              runs[b].stride == 0)
            continue;
          orders_[i].push_back(
              {{rank, a, b}, std::abs(runs[a].stride) < std::abs(runs[b].stride), runs[a].size == runs[b].size});
        }
      }
      const bool linear = Linear(link);
      for (const Order& order : orders_[i]) {
        const std::string by = fmt::format("`{}` ({})", link.bound->name, links_.Where(link));
        if (order.equal) continue;
        if (link.instance->rule != nullptr) of_rule_[{link.instance->rule, order.axes}].Add(order.turned, by);
        if (!linear) continue;
        of_block_[BlockOf(SourceName(link))].Add(order.turned, by);
        of_all_.Add(order.turned, by);
      }
    }
  }

  void Squares(size_t i) {
    const TensorLink& link = links_.all()[i];
    for (const Order& order : orders_[i]) {
      if (!order.equal) continue;
      // The rule's other tensors, which are not square, are made in the same way.
      if (link.instance->rule != nullptr && of_rule_.contains({link.instance->rule, order.axes})) continue;
      if (order.axes.rank == 2) {
        Square(link, order);
      } else if (order.turned) {
        Add(link, link.bound->target,
            fmt::format("with its axes {} and {} in their old order as well: they are of one size", order.axes.first,
                        order.axes.second));
      }
    }
  }

  void Square(const TensorLink& link, const Order& order) {
    const size_t target = link.bound->target;
    const std::string source = SourceName(link);
    const auto block = of_block_.find(BlockOf(source));
    const bool linear = Linear(link);
    const Evidence none;
    const Evidence& siblings = block == of_block_.end() || !linear ? none : block->second;
    if (order.turned) {
      if (siblings.turned > 0 && siblings.kept == 0) return;
      if (siblings.turned == 0 && linear && of_all_.turned > 0 && of_all_.kept == 0) return;
      if (IsInOut(source, context_.source_separator) != IsInOut(link.bound->name, context_.target_separator) &&
          siblings.kept == 0)
        return;  // the layers' names say so
      Add(link, target, "without the transpose as well: they are square",
          siblings.kept > 0 ? fmt::format("its sibling {} is not transposed", siblings.kept_by) : "");
      return;
    }
    if (siblings.kept > 0 && siblings.turned == 0) return;
    if (siblings.turned > 0 && siblings.kept == 0) {
      Add(link, target, "transposed as well: they are square",
          fmt::format("its sibling {} is transposed", siblings.turned_by));
      return;
    }
    const bool in_out_left = IsInOut(source, context_.source_separator),
               in_out_right = IsInOut(link.bound->name, context_.target_separator);
    if (in_out_left != in_out_right && linear && of_all_.kept == 0) {
      Add(link, target, "transposed as well: they are square",
          fmt::format("`{}` is [in, out] by its name", in_out_left ? source : link.bound->name));
      return;
    }
    if (link.instance->rule != nullptr && link.instance->layer == nullptr && linear && of_all_.turned > 0) {
      Add(link, target, "transposed as well: they are square",
          fmt::format("other matrices are: {}", of_all_.turned_by));
    }
  }

  // ---- sizes that are cut, flips ----------------------------------------------------------------

  // The shape that the runs' strides are of; null: it is not known.
  const Shape* ShapeRead(const TensorLink& link, const Runs& runs) const {
    if (runs.input == kFillInput) return nullptr;
    const BoundInput& input = link.bound->inputs[static_cast<size_t>(runs.input)];
    if (input.view != DType::kAny) return nullptr;
    return input.node != nullptr ? &input.node->shape : &context_.visible.files()[input.source].shape;
  }

  static bool IsCut(const Runs& runs) {
    return std::any_of(runs.axes.begin(), runs.axes.end(), [](const AxisRun& run) { return run.cut; });
  }

  // Axes of a source that become several, in another order than they lie in it.
  bool Uncut(const TensorLink& link, const Runs& runs) const {
    const Shape* shape = ShapeRead(link, runs);
    int64_t inner = 1;
    for (size_t s = shape == nullptr ? 0 : shape->size(); s-- > 0; inner *= (*shape)[s]) {
      int64_t last = 0;
      for (size_t k = runs.axes.size(); k-- > 0;) {
        const int64_t stride = std::abs(runs.axes[k].stride);
        if (runs.axes[k].size < 2 || stride < inner || stride >= inner * (*shape)[s]) continue;
        if (stride < last) return true;
        last = stride;
      }
    }
    return false;
  }

  // Indices of an axis that do not lie side by side: every third row of a source, every second row of the target.
  bool Stepped(const TensorLink& link, const Runs& runs) const {
    const Shape* shape = ShapeRead(link, runs);
    if (shape == nullptr) return false;
    std::set<int64_t> natural = {0, 1};
    int64_t inner = 1;
    for (size_t k = shape->size(); k-- > 0; inner *= (*shape)[k]) natural.insert(inner);
    for (const AxisRun& run : runs.axes) natural.insert(run.size * std::abs(run.stride));
    return std::any_of(runs.axes.begin(), runs.axes.end(), [&](const AxisRun& run) {
      return run.size > 1 && (run.stepped || !natural.contains(std::abs(run.stride)));
    });
  }

  void Cuts(size_t i) {
    const TensorLink& link = links_.all()[i];
    if (link.instance->rule == nullptr) return;
    if (IsCut(runs_[i]) || Uncut(link, runs_[i]) || Stepped(link, runs_[i])) {
      regrouped_.insert(link.instance->rule);
      Add(link, link.bound->target, "with the sizes of its cut axis in another order, or uncut, as well");
    }
    bool flipped = false;
    for (const Piece& piece : link.bound->value.pieces) {
      flipped = flipped || std::any_of(piece.axes.begin(), piece.axes.end(),
                                       [](const PieceAxis& axis) { return axis.src_stride < 0; });
    }
    if (flipped) Add(link, link.bound->target, "without the flip as well");
    Blocks(link);
    if (IsTorchRecurrent(SourceName(link), context_.source_separator) !=
        IsTorchRecurrent(link.bound->name, context_.target_separator))
      Add(link, link.bound->target, "with its gates in another order as well");
  }

  // One source whose parts come back in another order, as `reorder` makes it.
  void Blocks(const TensorLink& link) {
    const std::vector<Piece>& pieces = link.bound->value.pieces;
    if (link.bound->inputs.size() != 1 || pieces.size() < 2) return;
    std::vector<const Piece*> ordered;
    for (const Piece& piece : pieces) {
      if (piece.input != kFillInput) ordered.push_back(&piece);
    }
    std::sort(ordered.begin(), ordered.end(),
              [](const Piece* a, const Piece* b) { return a->dst_offset < b->dst_offset; });
    for (size_t k = 1; k < ordered.size(); ++k) {
      if (ordered[k]->src_offset >= ordered[k - 1]->src_offset) continue;
      Add(link, link.bound->target, "with its blocks in another order as well");
      return;
    }
  }

  // ---- equal parts ------------------------------------------------------------------------------

  const std::string& PartName(const TensorLinks::Fused& fused, size_t part) const {
    const size_t tensor = fused.parts[part].tensor;
    return fused.on_source ? context_.target[tensor].name : context_.visible.files()[tensor].name;
  }

  bool HasEqualParts(const TensorLinks::Fused& fused) const {
    std::set<Shape> shapes;
    for (const TensorLinks::Fused::Part& part : fused.parts) {
      const Shape& shape =
          fused.on_source ? context_.target[part.tensor].shape : context_.visible.files()[part.tensor].shape;
      if (!shapes.insert(shape).second) return true;
    }
    return false;
  }

  // Parts whose names differ in one number alone, in the order of that number.
  bool Counted(const TensorLinks::Fused& fused) const {
    std::vector<std::vector<int64_t>> numbers;
    const std::string stem = TemplateOf(PartName(fused, 0)).stem;
    for (size_t i = 0; i < fused.parts.size(); ++i) {
      NameTemplate name = TemplateOf(PartName(fused, i));
      if (name.stem != stem || name.numbers.empty()) return false;
      numbers.push_back(std::move(name.numbers));
    }
    return std::is_sorted(numbers.begin(), numbers.end());
  }

  void Parts() {
    for (const TensorLinks::Fused& fused : links_.fused()) {
      const TensorLink& link = links_.all()[fused.link];
      if (Confirmed(link) || link.instance->rule == nullptr || !HasEqualParts(fused)) continue;
      const bool regrouped = regrouped_.contains(link.instance->rule);
      if (!regrouped && Counted(fused)) continue;
      const std::string& whole =
          fused.on_source ? context_.visible.files()[fused.whole].name : context_.target[fused.whole].name;
      const std::string& separator = fused.on_source ? context_.source_separator : context_.target_separator;
      if (!regrouped && IsPlainlyFused(whole, separator)) continue;
      const std::string text = regrouped ? "with equal parts in another order, or without the groups, as well"
                                         : "with equal parts in another order, or cut group by group, as well";
      const size_t target = fused.on_source ? link.bound->target : fused.whole;
      for (size_t k = 0; k < (fused.on_source ? fused.parts.size() : 1); ++k)
        Add(link, std::min(target, fused.on_source ? fused.parts[k].tensor : target), text);
    }
  }

  // ---- padding and what is cut off ----------------------------------------------------------------

  void Padding(size_t i) {
    const TensorLink& link = links_.all()[i];
    if (link.instance->rule == nullptr) return;
    const PieceValue& value = link.bound->value;
    int64_t before = 0, behind = 0;  // elements of padding in front of the first element that is read, and after
    int64_t first = -1;
    for (const Piece& piece : value.pieces) {
      if (piece.input != kFillInput && (first < 0 || piece.dst_offset < first)) first = piece.dst_offset;
    }
    if (first < 0) return;
    for (const Piece& piece : value.pieces) {
      if (piece.input == kFillInput) (piece.dst_offset < first ? before : behind) += piece.elements();
    }
    if (before == behind || (before == 0 && behind == 0)) return;
    if (before == 0 && (IsVocabulary(SourceName(link)) || IsVocabulary(link.bound->name))) return;
    Add(link, link.bound->target, "padded on the other side as well");
  }

  // Sources of which less is read than there is: another part of them would fit.
  void Slices() {
    std::unordered_map<size_t, std::pair<int64_t, std::set<size_t>>> reads;  // source → elements, links
    for (size_t i = 0; i < links_.all().size(); ++i) {
      const TensorLink& link = links_.all()[i];
      for (const Piece& piece : link.bound->value.pieces) {
        if (piece.input == kFillInput) continue;
        const BoundInput& input = link.bound->inputs[static_cast<size_t>(piece.input)];
        if (input.node != nullptr || input.view != DType::kAny) continue;
        reads[input.source].first += piece.elements();
        reads[input.source].second.insert(i);
      }
    }
    std::map<size_t, size_t> partial;  // link → source
    for (const auto& [source, read] : reads) {
      const int64_t count = NumElements(context_.visible.files()[source].shape).value_or(0);
      if (read.first >= count || read.second.size() > 1) continue;
      partial.emplace(*read.second.begin(), source);
    }
    for (const auto& [i, source] : partial) {
      const TensorLink& link = links_.all()[i];
      const bool head = std::all_of(link.bound->value.pieces.begin(), link.bound->value.pieces.end(),
                                    [](const Piece& piece) { return piece.src_offset == 0 || piece.dst_offset > 0; });
      if (link.instance->rule == nullptr || (head && IsVocabulary(context_.visible.files()[source].name))) continue;
      Add(link, link.bound->target, "taken from another place of its source as well");
    }
  }

  // ---- the linear layer behind a convolution ------------------------------------------------------

  // Convolutions whose channels become the last axis change the order of what is flattened behind them.
  void Flattened() {
    std::map<size_t, size_t> of_source;  // in the source's order
    bool moved = false;
    for (const TensorLinks::Pair& pair : links_.pairs()) of_source.emplace(pair.source, pair.link);
    for (size_t i = 0; i < links_.all().size(); ++i) {
      for (const Order& order : orders_[i]) moved = moved || (order.turned && order.axes.rank >= 3);
    }
    if (!moved) return;
    int64_t channels = 0;
    for (const auto& [source, i] : of_source) {
      const Shape& shape = context_.visible.files()[source].shape;
      const TensorLink& link = links_.all()[i];
      if (shape.size() >= 3) {
        channels = shape[0];
        continue;
      }
      if (shape.size() != 2 || channels == 0) continue;
      const bool behind = channels > 1 && shape[1] > channels && shape[1] % channels == 0 && Linear(link);
      if (behind && !IsCut(runs_[i])) {
        Add(link, link.bound->target,
            "with its inputs in the order of the flattened convolution in front of it as well",
            fmt::format("it reads {} = {} × {} features, and the channels of the convolutions become the last axis",
                        shape[1], channels, shape[1] / channels));
      }
      channels = 0;
    }
  }

  const BindContext& context_;
  const TensorLinks& links_;
  std::vector<Runs> runs_;  // of each link
  std::vector<std::vector<Order>> orders_;
  std::map<std::pair<const plan::Rule*, AxisPair>, Evidence> of_rule_;
  std::map<std::string, Evidence> of_block_;  // matrices of linear layers
  Evidence of_all_;
  std::set<const plan::Rule*> regrouped_;
  std::set<std::string> unread_;                                    // sources of which elements are read by no rule
  std::map<std::string, std::map<std::string, Reading>> findings_;  // where → text
};

}  // namespace

void ReportVariants(const BindContext& context, const TensorLinks& links, std::vector<Issue>& issues) {
  Variants variants(context, links, issues);
  variants.Find();
  variants.Report(issues);
}

}  // namespace ckmap
