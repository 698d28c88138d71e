// A `test` block after its checks: two manifests with values, and what is expected of a run between them. Values
// only; compiler/testing runs it. Tests are no part of the plan.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "compiler/source/source_map.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct TestTensor {
  enum class Value : uint8_t {
    kNone,      // source: numbers that run on through all such tensors; target: anything
    kElements,  // `elements`
    kSource,    // target: the elements of the source tensor `from`, in row-major order
    kDropped,   // source: some statement leaves it out
    kKept,      // target: keeps the network's own value
  };
  TensorInfo info;
  Value value = Value::kNone;
  std::vector<std::byte> elements;  // dense, little-endian
  std::string from;
  double tolerance = 0;  // the largest difference that counts as equal
  Span span;
};

struct TestError {
  std::string code;    // "CK1203"
  std::string tensor;  // empty: any
  Span span;
};

struct TestCase {
  std::string name;
  Span span;                                  // of `test "NAME"`
  std::map<std::string, std::string> params;  // qualified name → value, as -D takes it
  std::vector<TestTensor> source, target;
  std::vector<TestError> errors;  // empty: it must succeed
};

}  // namespace ckmap
