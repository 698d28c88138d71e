#include "runtime/report/diff.h"

#include <cstring>
#include <limits>
#include <utility>

#include <doctest/doctest.h>

#include "runtime/exec/tensor_reader.h"
#include "runtime/report/numbers.h"

namespace ckmap {
namespace {

// A checkpoint in memory; each tensor has a storage of its own.
class MemoryCheckpoint : public Checkpoint {
 public:
  template <typename T>
  void Add(const std::string& name, DType dtype, Shape shape, const std::vector<T>& data,
           std::vector<int64_t> strides = {}, TensorLayout layout = {}) {
    TensorInfo info;
    info.name = name;
    info.dtype = dtype;
    info.shape = std::move(shape);
    if (strides.empty()) strides = RowMajorStrides(info.shape);
    for (int64_t& stride : strides) stride *= static_cast<int64_t>(sizeof(T));
    layout.strides = std::move(strides);
    layout.storage = static_cast<uint32_t>(storages_.size());
    REQUIRE(manifest_.Add(std::move(info)));
    layouts_.push_back(std::move(layout));
    std::vector<std::byte> bytes(data.size() * sizeof(T));
    if (!bytes.empty()) std::memcpy(bytes.data(), data.data(), bytes.size());
    storages_.push_back(std::move(bytes));
  }
  void MakeUnreadable(size_t tensor) { manifest_.at(tensor).unreadable = "sparse"; }

  std::string_view format() const override { return "memory"; }
  int64_t storage_bytes(uint32_t storage) const override { return static_cast<int64_t>(storages_[storage].size()); }
  std::vector<FileExtent> storage_extents(uint32_t) const override { return {}; }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    REQUIRE(offset >= 0);
    REQUIRE(offset + static_cast<int64_t>(out.size()) <= storage_bytes(storage));
    if (!out.empty()) std::memcpy(out.data(), storages_[storage].data() + offset, out.size());
    return {};
  }
  Result<void> CheckUnchanged() const override { return {}; }

 private:
  std::vector<std::vector<std::byte>> storages_;
};

template <typename T>
std::vector<T> ReadAll(const Checkpoint& checkpoint, size_t tensor = 0) {
  const auto reader = TensorReader::Make(checkpoint, tensor);
  REQUIRE(reader.ok());
  std::vector<T> values(static_cast<size_t>((*reader)->bytes()) / sizeof(T));
  const auto bytes = std::as_writable_bytes(std::span(values));
  // In two steps, so that a start inside the tensor is met too.
  const size_t middle = values.size() / 2 * sizeof(T);
  REQUIRE((*reader)->Read(0, bytes.first(middle)).ok());
  REQUIRE((*reader)->Read(static_cast<int64_t>(middle), bytes.subspan(middle)).ok());
  return values;
}

DiffResult Diff(const Checkpoint& a, const Checkpoint& b, double rtol = 0, double atol = 0) {
  auto result = CompareCheckpoints(a, b, {.rtol = rtol, .atol = atol, .progress = {}});
  REQUIRE(result.ok());
  return *std::move(result);
}

TEST_CASE("elements come in row-major order, whatever the strides") {
  const std::vector<int32_t> data = {0, 1, 2, 3, 4, 5};
  MemoryCheckpoint checkpoint;
  checkpoint.Add("dense", DType::kI32, {2, 3}, data);
  checkpoint.Add("transposed", DType::kI32, {3, 2}, data, {1, 3});
  checkpoint.Add("repeated", DType::kI32, {2, 2}, data, {0, 1});
  checkpoint.Add("offset", DType::kI32, {2}, data, {2}, {.offset = 4, .strides = {}});
  checkpoint.Add("scalar", DType::kI32, {}, data);
  checkpoint.Add("empty", DType::kI32, {0, 3}, std::vector<int32_t>{});
  CHECK(ReadAll<int32_t>(checkpoint, 0) == data);
  CHECK(ReadAll<int32_t>(checkpoint, 1) == std::vector<int32_t>{0, 3, 1, 4, 2, 5});
  CHECK(ReadAll<int32_t>(checkpoint, 2) == std::vector<int32_t>{0, 1, 0, 1});
  CHECK(ReadAll<int32_t>(checkpoint, 3) == std::vector<int32_t>{1, 3});
  CHECK(ReadAll<int32_t>(checkpoint, 4) == std::vector<int32_t>{0});
  CHECK(ReadAll<int32_t>(checkpoint, 5).empty());
}

TEST_CASE("byte order and lazy bits are applied") {
  MemoryCheckpoint checkpoint;
  checkpoint.Add("big", DType::kU16, {2}, std::vector<uint16_t>{0x0102, 0x0304}, {}, {.strides = {}, .byteswap = true});
  checkpoint.Add("negative", DType::kF32, {2}, std::vector<float>{1, -2}, {}, {.strides = {}, .negative = true});
  checkpoint.Add("integer", DType::kI16, {3}, std::vector<int16_t>{1, 0, -256}, {}, {.strides = {}, .negative = true});
  struct Complex {
    float real, imaginary;
  };
  checkpoint.Add("conjugate", DType::kC64, {1}, std::vector<Complex>{{1, 2}}, {}, {.strides = {}, .conjugate = true});
  CHECK(ReadAll<uint16_t>(checkpoint, 0) == std::vector<uint16_t>{0x0201, 0x0403});
  CHECK(ReadAll<float>(checkpoint, 1) == std::vector<float>{-1, 2});
  CHECK(ReadAll<int16_t>(checkpoint, 2) == std::vector<int16_t>{-1, 0, 256});
  const Complex value = ReadAll<Complex>(checkpoint, 3)[0];
  CHECK(value.real == 1);
  CHECK(value.imaginary == -2);
}

TEST_CASE("elements become numbers") {
  const std::vector<uint16_t> halves = {0x3c00, 0xfbff, 0x7c00};
  std::vector<double> numbers;
  ToNumbers(DType::kF16, std::as_bytes(std::span(halves)), numbers);
  CHECK(numbers == std::vector<double>{1, -65504, std::numeric_limits<double>::infinity()});
  const std::vector<double> doubles = {0.1, -2};
  ToNumbers(DType::kF64, std::as_bytes(std::span(doubles)), numbers);
  CHECK(numbers == doubles);
  CHECK(IsNumber(DType::kBool));
  CHECK(IsNumber(DType::kU64));
  CHECK(IsNumber(DType::kF8E4M3));
  CHECK_FALSE(IsNumber(DType::kC64));
}

TEST_CASE("a transposed copy in another layout is equal") {
  MemoryCheckpoint a;
  a.Add("w", DType::kF32, {3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5}, {1, 3});
  MemoryCheckpoint b;
  b.Add("w", DType::kF32, {3, 2}, std::vector<float>{0, 3, 1, 4, 2, 5});
  const DiffResult result = Diff(a, b);
  CHECK(result.equal == 1);
  CHECK(result.differences.empty());
}

TEST_CASE("each difference is told once, with its kind") {
  MemoryCheckpoint a;
  a.Add("gone", DType::kF32, {1}, std::vector<float>{1});
  a.Add("shape", DType::kF32, {2}, std::vector<float>{1, 2});
  a.Add("dtype", DType::kF32, {1}, std::vector<float>{1});
  a.Add("values", DType::kF32, {4}, std::vector<float>{1, 2, 3, 4});
  a.Add("same", DType::kI8, {0}, std::vector<int8_t>{});
  a.Add("sparse", DType::kF32, {1}, std::vector<float>{1});
  a.MakeUnreadable(5);
  MemoryCheckpoint b;
  b.Add("new", DType::kF32, {1}, std::vector<float>{1});
  b.Add("shape", DType::kF32, {1, 2}, std::vector<float>{1, 2});
  b.Add("dtype", DType::kI32, {1}, std::vector<int32_t>{1});
  b.Add("values", DType::kF32, {4}, std::vector<float>{1, 2.5F, 3, 5});
  b.Add("same", DType::kI8, {0}, std::vector<int8_t>{});
  b.Add("sparse", DType::kF32, {1}, std::vector<float>{1});
  const DiffResult result = Diff(a, b);
  CHECK(result.equal == 1);
  REQUIRE(result.differences.size() == 6);
  const DiffKind kinds[] = {DiffKind::kOnlyInA, DiffKind::kShape,      DiffKind::kDType,
                            DiffKind::kValues,  DiffKind::kUnreadable, DiffKind::kOnlyInB};
  for (size_t i = 0; i < 6; ++i) CHECK(result.differences[i].kind == kinds[i]);
  CHECK(result.differences[3].different == 2);
  CHECK(result.differences[3].first_index == 1);
  CHECK(result.differences[3].max_difference == 1);
  CHECK(DiffText(result, {}, false).find("2 of 4 differ, by at most 1; first at element 1") != std::string::npos);
  CHECK(DiffJson("a", "b", result).find("\"kind\": \"values\"") != std::string::npos);
}

TEST_CASE("tolerances: relative to the second, NaN equals NaN, infinities only themselves") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const auto equal = [](float x, float y, double rtol, double atol) {
    MemoryCheckpoint a;
    a.Add("w", DType::kF32, {1}, std::vector<float>{x});
    MemoryCheckpoint b;
    b.Add("w", DType::kF32, {1}, std::vector<float>{y});
    return Diff(a, b, rtol, atol).differences.empty();
  };
  CHECK(equal(100, 101, 0.01, 0));
  CHECK_FALSE(equal(100, 101, 0.009, 0));
  CHECK(equal(1, 1.5F, 0, 0.5));
  CHECK(equal(kNan, kNan, 0.1, 0));
  CHECK_FALSE(equal(kNan, 1, 0.1, 0));
  CHECK_FALSE(equal(1, kNan, 0.1, 1e300));
  CHECK(equal(kInf, kInf, 0.1, 0));
  CHECK_FALSE(equal(1, kInf, 0.1, 0));
  CHECK_FALSE(equal(0.0F, -0.0F, 0, 0));
  CHECK(equal(0.0F, -0.0F, 0, 1e-30));
}

TEST_CASE("with a tolerance dtypes may differ") {
  MemoryCheckpoint a;
  a.Add("w", DType::kF32, {2}, std::vector<float>{1, 2});
  MemoryCheckpoint b;
  b.Add("w", DType::kF16, {2}, std::vector<uint16_t>{0x3c00, 0x4000});
  CHECK(Diff(a, b).differences.size() == 1);
  CHECK(Diff(a, b, 1e-3, 0).differences.empty());
}

}  // namespace
}  // namespace ckmap
