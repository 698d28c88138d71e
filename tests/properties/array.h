// What structural operations mean, said once more and as plainly as possible: an array of element numbers, and for
// each operation which element of its input stands at an index of its result. Shares no code with the runtime.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ckmap::testing {

using Index = std::vector<int64_t>;

inline constexpr int64_t kPadding = -1;

struct Array {
  Index shape;
  std::vector<int64_t> at;  // row-major: which element of the source, or kPadding

  int64_t operator[](const Index& index) const;
  int64_t count() const { return static_cast<int64_t>(at.size()); }
};

Array Make(const Index& shape, const std::function<int64_t(const Index&)>& element);
Array Iota(const Index& shape);

// An operation with its arguments.
struct Step {
  std::string op;
  int64_t axis = 0;
  Index numbers;     // what else it takes, in the order of its documentation
  std::string word;  // order= or mode=
  // rearrange: atomic axes, which of them each axis of the left and of the right side holds
  Index atoms;
  std::vector<Index> left, right;
};

Array ApplyMap(const Step& step, const Array& in);
Array ApplyReduce(const Step& step, const std::vector<Array>& in);
std::vector<Array> ApplyExpand(const Step& step, const Array& in);

}  // namespace ckmap::testing
