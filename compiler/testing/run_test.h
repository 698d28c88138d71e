// Runs the tests of a rule file: binds each to its two manifests, moves its elements in memory, and compares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/sema/test_case.h"
#include "runtime/bind/bind.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {

// One thing that is not as the test says.
struct TestFailure {
  std::string tensor;  // may be empty
  std::string message;
  std::vector<std::string> notes;
};

struct TestResult {
  std::vector<TestFailure> failures;
  int64_t tensors = 0;   // of the target
  int64_t elements = 0;  // that were compared
  bool passed() const { return failures.empty(); }
};

// The source as it is read: values where the test gives none.
struct TestData {
  Manifest source, target;
  std::vector<std::vector<std::byte>> values;  // of the source
};
TestData DataOf(const TestCase& test);

// The test's parameters go before those of `options`.
Result<BindResult> BindTest(const Plan& plan, const TestCase& test, const TestData& data, const BindOptions& options);

TestResult RunTest(const Plan& plan, const TestCase& test, const BindOptions& options = {});

// The target tensors' bytes, in the order of `bound.tensors`.
Result<std::vector<std::vector<std::byte>>> RunInMemory(const BoundPlan& bound, std::vector<std::vector<std::byte>> source);

// Numbers that run on from `first`; where the dtype cannot hold them, they start over again and again.
std::vector<std::byte> Counting(const TensorInfo& tensor, int64_t first);

// "[[1, 2], [3, 4]]", cut where it is long.
std::string FormatElements(std::span<const std::byte> bytes, DType dtype, const Shape& shape);

}  // namespace ckmap
