// Runs the tests of a rule file: binds each to its two manifests, moves its elements in memory, and compares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/sema/test_case.h"
#include "compiler/testing/compare.h"
#include "runtime/bind/bind.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {

struct TestResult {
  std::vector<TestFailure> failures;
  int64_t tensors = 0;   // of the target
  int64_t elements = 0;  // that were compared
  std::string skipped;   // why there was nothing to compare; empty: there was
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
Result<std::vector<std::vector<std::byte>>> RunInMemory(const BoundPlan& bound,
                                                        std::vector<std::vector<std::byte>> source);

// Numbers that run on from `first`; where the dtype cannot hold them, they start over again and again.
std::vector<std::byte> Counting(const TensorInfo& tensor, int64_t first);

}  // namespace ckmap
