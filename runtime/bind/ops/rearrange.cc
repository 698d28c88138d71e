// rearrange: a reshape, a permute and a reshape, spelled by names.
#include "runtime/bind/ops/rearrange.h"

#include <map>

#include <fmt/format.h>

#include "runtime/ops/einops.h"

namespace ckmap {
namespace {

class Rearranger {
 public:
  Rearranger(const Rearrangement& form, const TensorValue& tensor, const OpCall& call)
      : form_(form), tensor_(tensor), call_(call), shape_(tensor.value.shape) {}

  Result<PieceValue> Run() {
    CKMAP_RETURN_IF_ERROR(ReadSizes());
    CKMAP_RETURN_IF_ERROR(Expand());
    std::vector<size_t> order;
    Shape merged;
    for (const EinopsGroup& group : form_.right.groups) {
      int64_t size = 1;
      for (const EinopsAxis& axis : group.axes) {
        for (const size_t index : places_.at(axis.name)) {
          order.push_back(index);
          if (__builtin_mul_overflow(size, expanded_[index], &size))
            return Wrong(fmt::format("{} would get an axis that is too large", tensor_.name));
          if (group.IsEllipsis()) merged.push_back(expanded_[index]);
        }
      }
      if (!group.IsEllipsis()) merged.push_back(size);
    }
    CKMAP_RETURN_IF_ERROR(CheckSize(expanded_, tensor_.dtype, tensor_.name));
    CKMAP_RETURN_IF_ERROR(CheckSize(merged, tensor_.dtype, tensor_.name));
    CKMAP_ASSIGN_OR_RETURN(const PieceValue cut, Reshape(tensor_.value, expanded_));
    CKMAP_ASSIGN_OR_RETURN(const PieceValue turned, Permute(cut, order));
    return Reshape(turned, merged);
  }

 private:
  Result<void> ReadSizes() {
    for (const plan::Argument& arg : call_.op().args()) {
      if (arg.name() == "pattern") continue;
      CKMAP_ASSIGN_OR_RETURN(const int64_t size, call_.Int(arg.name(), 0));
      if (size < 1) return Wrong(fmt::format("axis `{}` is given size {}", arg.name(), size));
      sizes_[arg.name()] = size;
    }
    return {};
  }

  // The shape with one axis for each name of the left side.
  Result<void> Expand() {
    const size_t named = form_.left.groups.size() - (form_.left.ellipsis ? 1 : 0);
    if (form_.left.ellipsis ? shape_.size() < named : shape_.size() != named) {
      return Wrong(fmt::format("{} has shape {}, and the left side names {}{} axes", tensor_.name, FormatShape(shape_),
                               form_.left.ellipsis ? "at least " : "", named));
    }
    size_t at = 0;
    for (const EinopsGroup& group : form_.left.groups) {
      if (group.IsEllipsis()) {
        std::vector<size_t>& all = places_[std::string(kEllipsis)];
        for (const size_t end = at + shape_.size() - named; at < end; ++at) {
          all.push_back(expanded_.size());
          expanded_.push_back(shape_[at]);
        }
      } else {
        CKMAP_RETURN_IF_ERROR(ExpandGroup(group, shape_[at++]));
      }
    }
    return {};
  }

  Result<void> ExpandGroup(const EinopsGroup& group, int64_t size) {
    int64_t known = 1;
    const EinopsAxis* open = nullptr;
    for (const EinopsAxis& axis : group.axes) {
      const auto given = sizes_.find(axis.name);
      if (given != sizes_.end()) {
        if (__builtin_mul_overflow(known, given->second, &known)) return Wrong("the sizes of a group overflow");
      } else if (open != nullptr) {
        return Wrong(fmt::format("the sizes of `{}` and `{}` are both open", open->name, axis.name));
      } else {
        open = &axis;
      }
    }
    if (open != nullptr ? size % known != 0 : size != known) {
      const std::string axis =
          fmt::format("{} has shape {}: an axis of size {}", tensor_.name, FormatShape(shape_), size);
      return Wrong(open != nullptr ? fmt::format("{} does not divide by {}", axis, known)
                                   : fmt::format("{} stands where the pattern says {}", axis, known));
    }
    for (const EinopsAxis& axis : group.axes) {
      places_[axis.name] = {expanded_.size()};
      expanded_.push_back(&axis == open ? size / known : sizes_.at(axis.name));
    }
    return {};
  }

  const Rearrangement& form_;
  const TensorValue& tensor_;
  const OpCall& call_;
  const Shape& shape_;
  std::map<std::string, int64_t> sizes_;
  std::map<std::string, std::vector<size_t>> places_;  // of each name, in the expanded shape
  Shape expanded_;
};

}  // namespace

Result<TensorValue> OpRearrange(TensorValue tensor, const OpCall& call, std::string& text) {
  const std::string pattern = call.Text("pattern", "");
  text = fmt::format("rearrange(\"{}\")", pattern);
  const auto parsed = ParseRearrangement(pattern);
  if (const auto* mistake = std::get_if<EinopsMistake>(&parsed)) return Wrong(mistake->message);
  Result<PieceValue> value = Rearranger(std::get<Rearrangement>(parsed), tensor, call).Run();
  return WithPieces(std::move(tensor), std::move(value));
}

}  // namespace ckmap
