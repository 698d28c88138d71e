#include "runtime/report/load_check.h"

#include <algorithm>
#include <tuple>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

Manifest Of(const std::vector<std::tuple<std::string, DType, Shape>>& tensors) {
  Manifest manifest;
  for (const auto& [name, dtype, shape] : tensors) {
    TensorInfo tensor;
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.shape = shape;
    REQUIRE(manifest.Add(tensor));
  }
  return manifest;
}

bool Has(const LoadVerdict& verdict, const std::string& code, const std::string& words) {
  return std::any_of(verdict.issues.begin(), verdict.issues.end(), [&](const Issue& issue) {
    return issue.code == code && issue.message.find(words) != std::string::npos;
  });
}

constexpr DType kF16 = DType::kF16;
constexpr DType kF32 = DType::kF32;

TEST_CASE("what is equal loads under all rules") {
  const Manifest net = Of({{"a.w", kF32, {2, 3}}, {"a.b", kF32, {2}}});
  for (const LoadVerdict& verdict : CheckLoad(net, net)) {
    CHECK(verdict.fits);
    CHECK(verdict.loaded == 2);
    CHECK(verdict.missing == 0);
    CHECK(verdict.unused == 0);
    CHECK(verdict.issues.empty());
  }
}

TEST_CASE("a missing name is silent in MindSpore and an error under strict rules") {
  const auto verdicts = CheckLoad(Of({{"fc.weight", kF32, {2}}}), Of({{"dense.kernel", kF32, {2}}}));
  REQUIRE(verdicts.size() == 3);
  CHECK(verdicts[0].fits);
  CHECK(verdicts[0].loaded == 0);
  CHECK(verdicts[0].missing == 1);
  CHECK(verdicts[0].unused == 1);
  CHECK(verdicts[1].fits);
  CHECK_FALSE(verdicts[2].fits);
  CHECK(Has(verdicts[2], "CK1501", "no `dense.kernel`"));
  CHECK(Has(verdicts[2], "CK1503", "no `fc.weight`"));
  CHECK(verdicts[2].issues[0].notes[0].find("`fc.weight`") != std::string::npos);
}

TEST_CASE("optimizer state passes for weights in MindSpore, which is told") {
  const Manifest checkpoint = Of({{"conv.w", kF32, {4}}, {"moments.fc.w", kF32, {2}}});
  const Manifest net = Of({{"conv.w", kF32, {4}}, {"fc.w", kF32, {2}}});
  const auto verdicts = CheckLoad(checkpoint, net);
  CHECK(verdicts[0].loaded == 2);
  CHECK(Has(verdicts[0], "CK1504", "`fc.w` is filled from `moments.fc.w`"));
  CHECK(verdicts[1].missing == 1);
  CHECK_FALSE(Has(verdicts[1], "CK1504", ""));
}

TEST_CASE("ends of names are compared without regard for dots") {
  const auto verdicts = CheckLoad(Of({{"fc.weight", kF32, {2}}}), Of({{"c.weight", kF32, {2}}}));
  CHECK(Has(verdicts[0], "CK1504", "takes away the prefix `f`"));
}

TEST_CASE("each round takes one prefix, and a rest stays missing") {
  const Manifest checkpoint = Of({{"x.a", kF32, {1}}, {"x.b", kF32, {1}}, {"y.c", kF32, {1}}});
  const Manifest net = Of({{"q", kF32, {1}}, {"a", kF32, {1}}, {"b", kF32, {1}}, {"c", kF32, {1}}});
  const auto verdict = CheckLoad(checkpoint, net)[0];
  CHECK(verdict.loaded == 3);
  CHECK(verdict.missing == 1);
  CHECK(verdict.unused == 3);  // MindSpore's list does not regard what was filled by a prefix
}

TEST_CASE("dtypes convert within their family unless strict_load is on") {
  const auto verdicts = CheckLoad(Of({{"w", kF16, {2}}}), Of({{"w", kF32, {2}}}));
  CHECK(verdicts[0].fits);
  CHECK(Has(verdicts[0], "CK1506", "converted from f16 to f32"));
  CHECK_FALSE(verdicts[1].fits);
  CHECK_FALSE(verdicts[2].fits);
  CHECK_FALSE(CheckLoad(Of({{"w", DType::kI32, {2}}}), Of({{"w", kF32, {2}}}))[0].fits);
  CHECK_FALSE(CheckLoad(Of({{"w", DType::kU8, {2}}}), Of({{"w", DType::kI8, {2}}}))[0].fits);
}

TEST_CASE("surplus trailing axes of one pass in MindSpore, with a warning") {
  const auto fits = [](Shape found, Shape wanted) {
    return CheckLoad(Of({{"w", kF32, std::move(found)}}), Of({{"w", kF32, std::move(wanted)}}))[0].fits;
  };
  CHECK(fits({12, 8, 1, 1}, {12, 8}));
  CHECK(fits({1}, {}));
  CHECK(fits({3, 2, 1}, {2, 3}));  // leading sizes are not compared
  CHECK_FALSE(fits({}, {1}));
  CHECK_FALSE(fits({8, 4, 1, 3}, {8, 4, 3}));  // the 1 does not trail
  CHECK_FALSE(fits({2, 2}, {4}));
  CHECK(Has(CheckLoad(Of({{"w", kF32, {2, 1}}}), Of({{"w", kF32, {2}}}))[0], "CK1505", "changes its shape"));
}

TEST_CASE("specs: any dtype, open sizes, optional and tied tensors") {
  Manifest net = Of({{"w", DType::kAny, {1, -1}}, {"mask", kF32, {4}}, {"head", kF32, {2}}});
  net.at(1).optional = true;
  net.at(2).tied_to = "w";
  const auto verdicts = CheckLoad(Of({{"w", kF16, {1, 7}}, {"head", kF32, {2}}}), net);
  CHECK(verdicts[2].fits);
  CHECK(verdicts[2].missing == 0);
  CHECK(verdicts[0].missing == 1);  // MindSpore knows no optional parameter
}

}  // namespace
}  // namespace ckmap
