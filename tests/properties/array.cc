#include "tests/properties/array.h"

#include <algorithm>
#include <utility>

namespace ckmap::testing {
namespace {

int64_t Product(const Index& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

Index Erased(Index shape, int64_t axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

Index Inserted(Index shape, int64_t axis, int64_t size) {
  shape.insert(shape.begin() + axis, size);
  return shape;
}

Index With(Index shape, int64_t axis, int64_t size) {
  shape[static_cast<size_t>(axis)] = size;
  return shape;
}

Array Rearrange(const Step& step, const Array& in) {
  const auto sizes = [&](const std::vector<Index>& groups) {
    Index shape;
    for (const Index& group : groups) {
      int64_t size = 1;
      for (const int64_t atom : group) size *= step.atoms[static_cast<size_t>(atom)];
      shape.push_back(size);
    }
    return shape;
  };
  return Make(sizes(step.right), [&](const Index& index) {
    Index digit(step.atoms.size());
    for (size_t g = 0; g < step.right.size(); ++g) {
      int64_t rest = index[g];
      for (size_t k = step.right[g].size(); k-- > 0;) {
        const auto atom = static_cast<size_t>(step.right[g][k]);
        digit[atom] = rest % step.atoms[atom];
        rest /= step.atoms[atom];
      }
    }
    Index from;
    for (const Index& group : step.left) {
      int64_t place = 0;
      for (const int64_t atom : group)
        place = place * step.atoms[static_cast<size_t>(atom)] + digit[static_cast<size_t>(atom)];
      from.push_back(place);
    }
    return in[from];
  });
}

}  // namespace

int64_t Array::operator[](const Index& index) const {
  int64_t place = 0;
  for (size_t d = 0; d < shape.size(); ++d) place = place * shape[d] + index[d];
  return at[static_cast<size_t>(place)];
}

Array Make(const Index& shape, const std::function<int64_t(const Index&)>& element) {
  Array array{shape, {}};
  const int64_t count = Product(shape);
  for (int64_t i = 0; i < count; ++i) {
    Index index(shape.size());
    int64_t rest = i;
    for (size_t d = shape.size(); d-- > 0;) {
      index[d] = rest % shape[d];
      rest /= shape[d];
    }
    array.at.push_back(element(index));
  }
  return array;
}

Array Iota(const Index& shape) {
  int64_t next = 0;
  return Make(shape, [&](const Index&) { return next++; });
}

Array ApplyMap(const Step& step, const Array& in) {
  const std::string& op = step.op;
  const int64_t axis = step.axis;
  const auto a = static_cast<size_t>(axis);
  const Index& n = step.numbers;
  if (op == "transpose") {
    const auto b = static_cast<size_t>(n[0]);
    const auto swapped = [&](Index index) {
      std::swap(index[a], index[b]);
      return index;
    };
    return Make(swapped(in.shape), [&](const Index& i) { return in[swapped(i)]; });
  }
  if (op == "permute") {
    Index shape;
    for (const int64_t from : n) shape.push_back(in.shape[static_cast<size_t>(from)]);
    return Make(shape, [&](const Index& i) {
      Index from(i.size());
      for (size_t d = 0; d < i.size(); ++d) from[static_cast<size_t>(n[d])] = i[d];
      return in[from];
    });
  }
  if (op == "reshape") return {n, in.at};
  if (op == "squeeze") return {Erased(in.shape, axis), in.at};
  if (op == "unsqueeze") return {Inserted(in.shape, axis, 1), in.at};
  if (op == "flatten") {
    Index shape = in.shape;
    for (int64_t k = axis; k < n[0]; ++k) shape = Erased(With(shape, axis, shape[a] * shape[a + 1]), axis + 1);
    return {shape, in.at};
  }
  if (op == "flip") return Make(in.shape, [&](const Index& i) { return in[With(i, axis, in.shape[a] - 1 - i[a])]; });
  if (op == "reorder") {  // old block of each new one
    const int64_t block = in.shape[a] / static_cast<int64_t>(n.size());
    return Make(in.shape, [&](const Index& i) {
      return in[With(i, axis, n[static_cast<size_t>(i[a] / block)] * block + i[a] % block)];
    });
  }
  if (op == "slice") {  // begin, end, step
    const int64_t size = (n[1] - n[0] + n[2] - 1) / n[2];
    return Make(With(in.shape, axis, size), [&](const Index& i) { return in[With(i, axis, n[0] + n[2] * i[a])]; });
  }
  if (op == "select") return Make(Erased(in.shape, axis), [&](const Index& i) { return in[Inserted(i, axis, n[0])]; });
  if (op == "pick") {
    return Make(With(in.shape, axis, static_cast<int64_t>(n.size())),
                [&](const Index& i) { return in[With(i, axis, n[static_cast<size_t>(i[a])])]; });
  }
  if (op == "repeat") {
    return Make(With(in.shape, axis, in.shape[a] * n[0]), [&](const Index& i) {
      return in[With(i, axis, step.word == "each" ? i[a] / n[0] : i[a] % in.shape[a])];
    });
  }
  if (op == "pad") {  // before, after
    return Make(With(in.shape, axis, n[0] + in.shape[a] + n[1]), [&](const Index& i) {
      const int64_t at = i[a] - n[0], last = in.shape[a] - 1;
      if (step.word == "edge") return in[With(i, axis, std::clamp(at, int64_t{0}, last))];
      return at < 0 || at > last ? kPadding : in[With(i, axis, at)];
    });
  }
  return Rearrange(step, in);
}

Array ApplyReduce(const Step& step, const std::vector<Array>& in) {
  const int64_t axis = step.axis;
  const auto a = static_cast<size_t>(axis);
  const auto count = static_cast<int64_t>(in.size());
  const Index& shape = in[0].shape;
  if (step.op == "stack") {
    return Make(Inserted(shape, axis, count),
                [&](const Index& i) { return in[static_cast<size_t>(i[a])][Erased(i, axis)]; });
  }
  if (step.op == "interleave") {
    const int64_t block = step.numbers[0];
    return Make(With(shape, axis, shape[a] * count), [&](const Index& i) {
      const int64_t which = i[a] / block;
      return in[static_cast<size_t>(which % count)][With(i, axis, which / count * block + i[a] % block)];
    });
  }
  int64_t size = 0;
  for (const Array& part : in) size += part.shape[a];
  return Make(With(shape, axis, size), [&](const Index& i) {
    int64_t at = i[a];
    size_t part = 0;
    while (at >= in[part].shape[a]) at -= in[part++].shape[a];
    return in[part][With(i, axis, at)];
  });
}

std::vector<Array> ApplyExpand(const Step& step, const Array& in) {
  const int64_t axis = step.axis;
  const auto a = static_cast<size_t>(axis);
  std::vector<Array> parts;
  if (step.op == "split") {  // sizes
    int64_t begin = 0;
    for (const int64_t size : step.numbers) {
      parts.push_back(
          Make(With(in.shape, axis, size), [&](const Index& i) { return in[With(i, axis, begin + i[a])]; }));
      begin += size;
    }
  } else if (step.op == "unstack") {
    for (int64_t k = 0; k < in.shape[a]; ++k) {
      parts.push_back(Make(Erased(in.shape, axis), [&](const Index& i) { return in[Inserted(i, axis, k)]; }));
    }
  } else {  // deinterleave: parts, block
    const int64_t count = step.numbers[0], block = step.numbers[1];
    for (int64_t k = 0; k < count; ++k) {
      parts.push_back(Make(With(in.shape, axis, in.shape[a] / count), [&](const Index& i) {
        return in[With(i, axis, i[a] / block * count * block + k * block + i[a] % block)];
      }));
    }
  }
  return parts;
}

}  // namespace ckmap::testing
