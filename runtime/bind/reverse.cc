#include "runtime/bind/reverse.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/bind/ops/elementwise_ops.h"
#include "runtime/bind/target/tied.h"

namespace ckmap {
namespace {

constexpr const char* kNote =
    "the plan runs backwards: the source is the right side of its rules, the target the left side";

// What one tensor of the left side becomes: the pieces that read it, with their ends exchanged.
class TensorReverser {
 public:
  explicit TensorReverser(const BoundPlan& forward) : forward_(forward), readers_(forward.source.size()) {
    for (size_t t = 0; t < forward.tensors.size(); ++t) {
      const BoundTensor& tensor = forward.tensors[t];
      for (size_t p = 0; p < tensor.value.pieces.size(); ++p) {
        const Piece& piece = tensor.value.pieces[p];
        if (piece.input == kFillInput || tensor.inputs[static_cast<size_t>(piece.input)].node != nullptr) continue;
        readers_[tensor.inputs[static_cast<size_t>(piece.input)].source].push_back({t, p});
      }
    }
  }

  // False if the rules do not give the tensor back; `issue` says why. Copies that are passed over are added to
  // `checks`.
  bool Reverse(size_t left, BoundTensor& result, std::vector<ValueCheck>& checks, Issue& issue) const {
    const TensorInfo& info = forward_.source[left];
    result.target = left;
    result.name = info.name;
    result.dtype = info.dtype;
    result.shape = info.shape;
    PieceValue value{info.shape, {}};
    DType viewed = DType::kAny;  // the right side counts the left side's bytes in elements of this size
    for (const Reader& reader : readers_[left]) {
      const BoundTensor& tensor = forward_.tensors[reader.tensor];
      const Piece& piece = tensor.value.pieces[reader.piece];
      const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
      const auto chain = Undone(input.casts);
      if (!chain) {
        const bool cast = std::any_of(input.casts.begin(), input.casts.end(),
                                      [](const ElementOp& op) { return op.kind == ElementOp::Kind::kCast; });
        issue = Problem(info,
                        cast ? fmt::format("`{}` was cast from {} to {} on the way there", tensor.name,
                                           DTypeName(input.casts.front().from), DTypeName(input.casts.back().to))
                             : fmt::format("`{}` was computed from it with a loss", tensor.name),
                        tensor.rule);
        return false;
      }
      if (&reader != &readers_[left].front() && input.view != viewed) {
        issue = Problem(info, "rules take its bytes as elements of different sizes", tensor.rule);
        return false;
      }
      viewed = input.view;
      PieceValue one{tensor.value.shape, {piece}};
      if (RepeatsElements(piece)) {
        issue = Problem(info, fmt::format("`{}` repeats its elements", tensor.name), tensor.rule);
        return false;
      }
      PieceValue back = Invert(one, info.shape);
      const int32_t index = InputFor(tensor, *chain, result);
      for (Piece& part : back.pieces) {
        part.input = index;
        value.pieces.push_back(std::move(part));
      }
      result.rule = tensor.rule;
      result.ops = {"reversed"};
    }
    if (viewed == DType::kAny) return Choose(value, info, info.dtype, result, checks, issue);
    // All bytes, row after row; a rest that fills no element of `viewed` went nowhere.
    const int64_t bytes = NumBytes(info.shape, info.dtype).value_or(0), size = DTypeSize(viewed);
    if (bytes % size != 0) {
      issue =
          Problem(info, fmt::format("its last {} bytes do not fill an element of {}", bytes % size, DTypeName(viewed)),
                  result.rule);
      return false;
    }
    value.shape = {bytes / size};
    if (!Choose(value, info, viewed, result, checks, issue)) return false;
    value = std::move(result.value);
    if (!TakeBack(viewed, info, value, result, issue)) return false;
    result.value = std::move(value);
    return true;
  }

 private:
  struct Reader {
    size_t tensor, piece;
  };

  static Issue Problem(const TensorInfo& info, const std::string& why, const std::string& rule) {
    return {"CK1223",
            IssueSeverity::kError,
            info.name,
            fmt::format("`{}` cannot be had back: {}", info.name, why),
            {fmt::format("the rule is at {}", rule), kNote},
            "leave the tensor out of the target, or mark it optional there"};
  }

  // Why nothing of the right side is a copy of it.
  Issue NotMoved(size_t left, const TensorInfo& info) const {
    for (const BoundTensor& tensor : forward_.tensors) {
      bool reads = false;
      ForEachSource(tensor, [&](size_t source) { reads = reads || source == left; });
      if (reads) return Problem(info, fmt::format("`{}` is computed from it", tensor.name), tensor.rule);
    }
    return Problem(info, "nothing is made of it", "none");
  }

  static bool RepeatsElements(const Piece& piece) {
    return std::any_of(piece.axes.begin(), piece.axes.end(),
                       [](const PieceAxis& axis) { return axis.src_stride == 0; });
  }

  // The chain that undoes `chain`; nullopt if it lost something.
  static std::optional<std::vector<ElementOp>> Undone(const std::vector<ElementOp>& chain) {
    std::vector<ElementOp> back;
    for (auto op = chain.rbegin(); op != chain.rend(); ++op) {
      ElementOp undo = *op;
      std::swap(undo.from, undo.to);
      if (op->kind == ElementOp::Kind::kCast || op->kind == ElementOp::Kind::kAdd) return std::nullopt;
      if (op->kind == ElementOp::Kind::kScale) {
        if (!IsExactFactor(op->operand) || op->overflow != Overflow::kError) return std::nullopt;
        undo.operand = Canonical(1 / ExactDouble(op->operand).value_or(1));
      }
      back.push_back(undo);
    }
    return back;
  }

  // The left side had its bytes taken as `viewed`; `value` holds them all, in that dtype. The same bytes in the left
  // side's own.
  static bool TakeBack(DType viewed, const TensorInfo& info, PieceValue& value, BoundTensor& result, Issue& issue) {
    TensorValue tensor;
    tensor.value = std::move(value);
    tensor.dtype = viewed;
    tensor.inputs = std::move(result.inputs);
    tensor.name = info.name;
    Result<TensorValue> back = Bitcast(std::move(tensor), info.dtype);
    if (!back) {
      issue = Problem(info, back.error().message(), result.rule);
      return false;
    }
    value = std::move(back->value);
    value.shape = info.shape;  // pieces count in row-major order, whatever the shape
    result.inputs = std::move(back->inputs);
    return true;
  }

  // The right-side tensor as an input of the reversed one.
  int32_t InputFor(const BoundTensor& tensor, const std::vector<ElementOp>& chain, BoundTensor& result) const {
    for (size_t i = 0; i < result.inputs.size(); ++i) {
      if (result.inputs[i].source == tensor.target && result.inputs[i].casts == chain) return static_cast<int32_t>(i);
    }
    result.inputs.push_back({tensor.target, chain});
    return static_cast<int32_t>(result.inputs.size() - 1);
  }

  // What one of the inputs gives, as the only one.
  static PieceValue Alone(const PieceValue& value, size_t input) {
    PieceValue alone{value.shape, {}};
    for (Piece piece : value.pieces) {
      if (piece.input != static_cast<int32_t>(input)) continue;
      piece.input = 0;
      alone.pieces.push_back(std::move(piece));
    }
    return alone;
  }

  // A tensor that went to several places (tied weights) comes back from the first that has it whole. The others are to
  // hold the same.
  bool Choose(PieceValue& value, const TensorInfo& info, DType dtype, BoundTensor& result,
              std::vector<ValueCheck>& checks, Issue& issue) const {
    Normalize(value);
    Result<void> tiling = CheckTiling(value);
    for (size_t chosen = 0; !tiling && chosen < result.inputs.size(); ++chosen) {
      PieceValue alone = Alone(value, chosen);
      if (!CheckTiling(alone)) continue;
      const PieceValue all = std::move(value);
      const std::vector<BoundInput> inputs = std::move(result.inputs);
      result.inputs = {inputs[chosen]};
      value = std::move(alone);
      tiling = {};
      const PiecedTensor expected{value, dtype, result.inputs, {}};
      for (size_t other = 0; other < inputs.size(); ++other) {
        if (other != chosen) CheckCopies(Alone(all, other), inputs[other], inputs[chosen], expected, info, checks);
      }
      break;
    }
    if (!tiling) {
      issue =
          result.inputs.empty() ? NotMoved(result.target, info) : Problem(info, tiling.error().message(), result.rule);
      return false;
    }
    result.value = std::move(value);
    return true;
  }

  // `copies`: what a second right-side tensor gives of the left one.
  void CheckCopies(PieceValue copies, const BoundInput& from, const BoundInput& chosen, const PiecedTensor& expected,
                   const TensorInfo& info, std::vector<ValueCheck>& checks) const {
    const auto check = [&](PieceValue found) {
      checks.push_back(
          {.tensor = info.name,
           .of_target = true,
           .found = {std::move(found), expected.dtype, {from}, {}},
           .expected = expected,
           .tolerance = 0,
           .claim = fmt::format("the rules make `{}` and `{}` of one tensor, and `{}` gives the other value",
                                forward_.target[from.source].name, forward_.target[chosen.source].name,
                                forward_.target[chosen.source].name),
           .help = "leave one of the two out of what is converted, if they are meant to differ"});
    };
    if (CheckTiling(copies)) return check(std::move(copies));
    for (Piece& piece : copies.pieces) check({copies.shape, {std::move(piece)}});  // they may overlap
  }

  const BoundPlan& forward_;
  std::vector<std::vector<Reader>> readers_;
};

// What the way there filled with a constant falls away on the way back: it must be the constant still.
void CheckPadding(const BoundTensor& tensor, std::vector<ValueCheck>& checks) {
  ValueCheck check{
      .tensor = tensor.name,
      .of_target = false,
      .found = {{tensor.value.shape, {}}, tensor.dtype, {{tensor.target, {}}}, {}},
      .expected = {WholeTensor(kFillInput, tensor.value.shape), tensor.dtype, {}, tensor.fill},
      .tolerance = 0,
      .claim = fmt::format("it is the padding that the rule at {} adds, which falls away when the rule is undone",
                           tensor.rule),
      .help = fmt::format("if it is to be lost, write rules for this direction, with `slice` and "
                          "target {{ allow unused \"{}\"; }}",
                          tensor.name)};
  for (Piece piece : tensor.value.pieces) {
    if (piece.input != kFillInput) continue;
    piece.input = 0;
    piece.src_offset = piece.dst_offset;
    for (PieceAxis& axis : piece.axes) axis.src_stride = axis.dst_stride;
    check.found.value.pieces.push_back(std::move(piece));
  }
  if (!check.found.value.pieces.empty()) checks.push_back(std::move(check));
}

// Why a tensor that the way there drops can be made again, if it can: the statement says what it holds.
const ValueCheck* ContentsOf(const BoundPlan& there, const DroppedTensor& dropped) {
  for (const ValueCheck& check : there.checks) {
    const bool this_one =
        !check.of_target && check.found.inputs.size() == 1 && check.found.inputs[0].source == dropped.source;
    if (this_one && check.tolerance == 0) return &check;
  }
  return nullptr;
}

// False if that tensor cannot be had back either.
bool MakeAgain(const BoundPlan& there, const TensorReverser& reverser, size_t left, const ValueCheck& contents,
               const DroppedTensor& dropped, BoundTensor& result) {
  const TensorInfo& info = there.source[left];
  const bool copy = !contents.expected.inputs.empty() && contents.expected.inputs[0].node == nullptr;
  if (copy) {
    Issue issue;
    std::vector<ValueCheck> checks;  // stand there already, for the tensor itself
    if (!reverser.Reverse(contents.expected.inputs[0].source, result, checks, issue)) return false;
  } else {
    static_cast<PiecedTensor&>(result) = contents.expected;
  }
  result.target = left;
  result.name = info.name;
  result.dtype = info.dtype;
  result.shape = info.shape;
  result.rule = dropped.rule;
  result.ops = {fmt::format("equals {}", dropped.equals)};
  return true;
}

}  // namespace

BindResult Reverse(BindResult forward) {
  if (!forward.plan) {
    for (Issue& issue : forward.issues) issue.notes.emplace_back(kNote);
    return forward;
  }
  BindResult result;
  const BoundPlan& there = *forward.plan;
  BoundPlan back;
  back.plan_digest = there.plan_digest;
  back.packs = there.packs;
  back.params = there.params;
  std::vector<bool> used(there.target.size(), false);
  std::vector<const DroppedTensor*> dropped(there.source.size(), nullptr);
  for (const DroppedTensor& tensor : there.dropped) dropped[tensor.source] = &tensor;
  const TensorReverser reverser(there);
  for (size_t left = 0; left < there.source.size(); ++left) {
    const TensorInfo& info = there.source[left];
    if (dropped[left] != nullptr) {
      if (const ValueCheck* contents = ContentsOf(there, *dropped[left])) {
        if (MakeAgain(there, reverser, left, *contents, *dropped[left], back.tensors.emplace_back())) continue;
        back.tensors.pop_back();
      }
      if (info.optional) {
        back.kept.push_back({info.name, "optional in the target"});
        continue;
      }
      result.issues.push_back({"CK1201",
                               IssueSeverity::kError,
                               info.name,
                               fmt::format("nothing writes {}", DescribeTensor(info)),
                               {fmt::format("it is dropped at {}", dropped[left]->rule), kNote},
                               "leave the tensor out of the target, or mark it optional there"});
      continue;
    }
    BoundTensor tensor;
    Issue issue;
    if (!reverser.Reverse(left, tensor, back.checks, issue)) {
      result.issues.push_back(std::move(issue));
      continue;
    }
    ForEachSource(tensor, [&](size_t source) { used[source] = true; });
    back.tensors.push_back(std::move(tensor));
  }
  // Tensors of the right side that were initialised, and second copies, have no place on the left.
  for (const BoundTensor& tensor : there.tensors) {
    if (!used[tensor.target]) back.dropped.push_back({tensor.target, tensor.name, tensor.rule, ""});
  }
  for (const BoundTensor& tensor : there.tensors) {
    if (used[tensor.target]) CheckPadding(tensor, back.checks);
  }
  for (const KeptTensor& tensor : there.kept) {
    if (const auto index = there.target.Find(tensor.name))
      back.dropped.push_back({*index, tensor.name, tensor.rule, ""});
  }
  for (const Issue& note : there.notes) result.issues.push_back(note);
  if (std::none_of(result.issues.begin(), result.issues.end(),
                   [](const Issue& issue) { return issue.severity == IssueSeverity::kError; })) {
    back.source = there.target;
    back.target = there.source;
    CheckTied(back, result.issues);
    back.notes = result.issues;
    result.plan = std::move(back);
  }
  return result;
}

}  // namespace ckmap
