#include "runtime/exec/executor.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/create.h"
#include "tests/support/reference.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

// A checkpoint whose tensors are made up: one storage, in a file or (as if deflated) in memory only.
class MadeUp final : public Checkpoint {
 public:
  MadeUp(const TempFolder& folder, bool with_extents) : with_extents_(with_extents) {
    fd_ = ::open((folder / "source").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }
  ~MadeUp() override { ::close(fd_); }

  // Appends a tensor whose axes lie in the storage in the order `order`, outermost first.
  size_t Add(const std::string& name, DType dtype, const Shape& shape, const std::vector<size_t>& order = {},
             int64_t padding = 0) {
    TensorLayout layout;
    layout.offset = static_cast<int64_t>(bytes_.size());
    layout.strides.resize(shape.size());
    int64_t stride = DTypeSize(dtype);
    for (size_t k = shape.size(); k-- > 0;) {
      const size_t axis = order.empty() ? k : order[k];
      layout.strides[axis] = stride;
      stride = stride * shape[axis] + padding;
    }
    bytes_.resize(bytes_.size() + static_cast<size_t>(stride));
    for (auto at = static_cast<size_t>(layout.offset); at < bytes_.size(); ++at) {
      bytes_[at] = static_cast<std::byte>(random_());
    }
    return AddView(name, dtype, shape, layout);
  }
  size_t AddView(const std::string& name, DType dtype, const Shape& shape, const TensorLayout& layout) {
    REQUIRE(manifest_.Add({.name = name,
                           .dtype = dtype,
                           .shape = shape,
                           .storage = 0,
                           .optional = false,
                           .tied_to = "",
                           .unreadable = ""}));
    layouts_.push_back(layout);
    return manifest_.size() - 1;
  }
  TensorLayout& layout_of(size_t tensor) { return layouts_[tensor]; }
  std::vector<std::byte>& bytes() { return bytes_; }
  void Flush() { REQUIRE(WriteAt(fd_, 0, bytes_).ok()); }

  std::string_view format() const override { return "made-up"; }
  int64_t storage_bytes(uint32_t /*storage*/) const override { return static_cast<int64_t>(bytes_.size()); }
  std::vector<FileExtent> storage_extents(uint32_t /*storage*/) const override {
    if (!with_extents_) return {};
    // Two runs, to have a seam.
    const auto size = static_cast<int64_t>(bytes_.size());
    return {{fd_, 0, size / 3}, {fd_, size / 3, size - size / 3}};
  }
  Result<void> ReadStorage(uint32_t /*storage*/, int64_t offset, std::span<std::byte> out) const override {
    if (fail_from >= 0 && offset + static_cast<int64_t>(out.size()) > fail_from) {
      return Error(ErrorCode::kIo, "made-up file: cannot read: Input/output error");
    }
    CKMAP_CHECK(offset >= 0 && static_cast<size_t>(offset) + out.size() <= bytes_.size());
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }
  Result<void> CheckUnchanged() const override { return {}; }

  int64_t fail_from = -1;

 private:
  bool with_extents_;
  int fd_ = -1;
  std::vector<std::byte> bytes_;
  std::minstd_rand random_{42};
};

Piece Whole(const Shape& shape, const std::vector<size_t>& order, int32_t input = 0) {
  // Target axis k is source axis order[k].
  Piece piece;
  piece.input = input;
  const std::vector<int64_t> src = RowMajorStrides(shape);
  Shape target;
  for (const size_t axis : order) target.push_back(shape[axis]);
  const std::vector<int64_t> dst = RowMajorStrides(target);
  for (size_t k = 0; k < order.size(); ++k) piece.axes.push_back({target[k], src[order[k]], dst[k]});
  return piece;
}

BoundTensor Bound(const std::string& name, DType dtype, const Shape& shape, std::vector<BoundInput> inputs,
                  std::vector<Piece> pieces) {
  BoundTensor tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.inputs = std::move(inputs);
  tensor.value = {shape, std::move(pieces)};
  return tensor;
}

BoundTensor Permuted(const MadeUp& source, size_t tensor, const std::vector<size_t>& order) {
  const TensorInfo& info = source.manifest()[tensor];
  Shape shape;
  for (const size_t axis : order) shape.push_back(info.shape[axis]);
  return Bound("t" + std::to_string(tensor), info.dtype, shape, {{tensor, {}}}, {Whole(info.shape, order)});
}

BoundPlan PlanOf(const MadeUp& source, std::vector<BoundTensor> tensors) {
  BoundPlan plan;
  plan.source = source.manifest();
  plan.tensors = std::move(tensors);
  return plan;
}

std::vector<std::byte> ReadBack(const CheckpointWriter& writer, size_t tensor) {
  std::vector<std::byte> bytes;
  for (const FileExtent& extent : writer.extents(tensor)) {
    const size_t at = bytes.size();
    bytes.resize(at + static_cast<size_t>(extent.length));
    REQUIRE(::pread(extent.fd, bytes.data() + at, static_cast<size_t>(extent.length), extent.offset) == extent.length);
  }
  return bytes;
}

// Executes the plan with several numbers of threads and amounts of memory, in both formats, and
// compares every tensor with the reference.
void Check(const TempFolder& folder, const BoundPlan& plan, const Checkpoint& source) {
  std::vector<std::vector<std::byte>> expected;
  for (const BoundTensor& tensor : plan.tensors) expected.push_back(ReferenceTensor(tensor, source));
  struct Case {
    OutputFormat format;
    int threads;
    int64_t memory;
  };
  for (const Case& one :
       {Case{OutputFormat::kSafetensors, 2, int64_t{64} << 20}, Case{OutputFormat::kMindSporeCkpt, 3, int64_t{2} << 20},
        Case{OutputFormat::kSafetensors, 1, int64_t{1} << 16}}) {
    auto writer = CreateCheckpoint(folder / "out", one.format, OutputTensors(plan), {});
    REQUIRE_MESSAGE(writer.ok(), (writer.ok() ? "" : writer.error().message()));
    ExecOptions options;
    options.threads = one.threads;
    options.max_memory = one.memory;
    options.digest = true;
    const auto result = Execute(plan, source, **writer, options);
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message()));
    for (size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(plan.tensors[i].name);
      REQUIRE(ReadBack(**writer, i) == expected[i]);
      const std::string_view text(reinterpret_cast<const char*>(expected[i].data()), expected[i].size());
      CHECK(result->tensors[i].sha256 == Sha256Hex(text));
    }
  }
}

TEST_CASE("copies, transposes and layouts of every element size") {
  TempFolder folder;
  for (const bool with_extents : {true, false}) {
    MadeUp source(folder, with_extents);
    std::vector<BoundTensor> tensors;
    for (const DType dtype : {DType::kU8, DType::kBF16, DType::kF32, DType::kI64, DType::kC128}) {
      if (dtype == DType::kC128) break;  // not in a .ckpt
      tensors.push_back(Permuted(source, source.Add("a" + std::string(DTypeName(dtype)), dtype, {300, 517}), {0, 1}));
      tensors.push_back(Permuted(source, source.Add("b" + std::string(DTypeName(dtype)), dtype, {300, 517}), {1, 0}));
      tensors.push_back(
          Permuted(source, source.Add("c" + std::string(DTypeName(dtype)), dtype, {40, 30, 3, 3}), {2, 3, 1, 0}));
      // As torch keeps a transposed tensor, and one cut out of a larger one.
      tensors.push_back(
          Permuted(source, source.Add("d" + std::string(DTypeName(dtype)), dtype, {64, 100}, {1, 0}), {0, 1}));
      tensors.push_back(Permuted(
          source, source.Add("e" + std::string(DTypeName(dtype)), dtype, {7, 9, 11}, {2, 0, 1}, 24), {1, 2, 0}));
      tensors.push_back(Permuted(source, source.Add("f" + std::string(DTypeName(dtype)), dtype, {}), {}));
    }
    source.Flush();
    Check(folder, PlanOf(source, std::move(tensors)), source);
  }
}

TEST_CASE("tensors larger than the memory") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t wide = source.Add("wide", DType::kBF16, {3, 90000});
  const size_t tall = source.Add("tall", DType::kF32, {60000, 5});
  const size_t square = source.Add("square", DType::kF32, {512, 640});
  const size_t cube = source.Add("cube", DType::kU8, {48, 64, 80});
  source.Flush();
  Check(folder,
        PlanOf(source, {Permuted(source, wide, {1, 0}), Permuted(source, tall, {1, 0}),
                        Permuted(source, square, {1, 0}), Permuted(source, cube, {2, 1, 0})}),
        source);
}

TEST_CASE("interlocking pieces: stack of rows, concatenation along the last axis, repeats, fills") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t gate = source.Add("gate", DType::kF32, {400, 96});
  const size_t up = source.Add("up", DType::kF32, {400, 96}, {1, 0});
  source.Flush();
  // Rows of gate and up in turn.
  const auto stack = Bound("stack", DType::kF32, {400, 2, 96}, {{gate, {}}, {up, {}}},
                           {{0, 0, 0, {{400, 96, 192}, {96, 1, 1}}}, {1, 0, 96, {{400, 96, 192}, {96, 1, 1}}}});
  // Transposes side by side.
  const auto side = Bound("side", DType::kF32, {96, 800}, {{gate, {}}, {up, {}}},
                          {{0, 0, 0, {{96, 1, 800}, {400, 96, 1}}}, {1, 0, 400, {{96, 1, 800}, {400, 96, 1}}}});
  // Elements in turn, with a fill between.
  auto turn = Bound("turn", DType::kF32, {400, 96, 3}, {{gate, {}}, {up, {}}},
                    {{0, 0, 0, {{38400, 1, 3}}}, {1, 0, 1, {{38400, 1, 3}}}, {kFillInput, 0, 2, {{38400, 0, 3}}}});
  turn.fill = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const auto repeat =
      Bound("repeat", DType::kF32, {400, 5, 96}, {{gate, {}}}, {{0, 0, 0, {{400, 96, 480}, {5, 0, 96}, {96, 1, 1}}}});
  const auto flip = Bound("flip", DType::kF32, {400, 96}, {{up, {}}}, {{0, 38399, 0, {{38400, -1, 1}}}});
  const auto every_third = Bound("third", DType::kF32, {12800}, {{up, {}}}, {{0, 1, 0, {{12800, 3, 1}}}});
  auto fill = Bound("fill", DType::kF32, {300, 1000}, {}, {{kFillInput, 0, 0, {{300000, 0, 1}}}});
  fill.fill = turn.fill;
  Check(folder, PlanOf(source, {stack, side, turn, repeat, flip, every_third, fill}), source);
}

TEST_CASE("casts on the way, lazy bits, foreign byte order") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t f32 = source.Add("f32", DType::kF32, {300, 700});
  const size_t f16 = source.Add("f16", DType::kF16, {70, 90}, {1, 0});
  const size_t big = source.Add("big", DType::kF32, {50, 60});
  source.layout_of(big).byteswap = true;
  const size_t conj = source.Add("conj", DType::kC64, {30, 40});
  source.layout_of(conj).conjugate = true;
  const size_t negative = source.Add("negative", DType::kI32, {30, 40});
  source.layout_of(negative).negative = true;
  source.Flush();
  const CastOp down{DType::kF32, DType::kF16, Overflow::kInf};
  const CastOp up{DType::kF16, DType::kF32, Overflow::kError};
  const CastOp eight{DType::kF32, DType::kF8E4M3, Overflow::kSaturate};
  const auto cast = Bound("cast", DType::kF16, {300, 700}, {{f32, {down}}}, {Whole({300, 700}, {0, 1})});
  const auto turned = Bound("turned", DType::kF16, {700, 300}, {{f32, {down}}}, {Whole({300, 700}, {1, 0})});
  const auto twice = Bound("twice", DType::kF32, {300, 700}, {{f32, {down, up}}}, {Whole({300, 700}, {0, 1})});
  const auto wide = Bound("wide", DType::kF32, {90, 70}, {{f16, {up}}}, {Whole({70, 90}, {1, 0})});
  const auto mixed = Bound("mixed", DType::kF32, {2, 2000}, {{f16, {up}}, {f32, {}}},
                           {{0, 0, 0, {{2000, 1, 2}}}, {1, 5, 1, {{2000, 1, 2}}}});
  const auto swapped = Bound("swapped", DType::kF32, {60, 50}, {{big, {}}}, {Whole({50, 60}, {1, 0})});
  const auto minus = Bound("minus", DType::kI32, {30, 40}, {{negative, {}}}, {Whole({30, 40}, {0, 1})});
  Check(folder, PlanOf(source, {cast, turned, twice, wide, mixed, swapped, minus}), source);

  const auto conjugated = Bound("conjugated", DType::kC64, {30, 40}, {{conj, {}}}, {Whole({30, 40}, {0, 1})});
  const auto small = Bound("small", DType::kF8E4M3, {300, 700}, {{f32, {eight}}}, {Whole({300, 700}, {0, 1})});
  const BoundPlan plan = PlanOf(source, {conjugated, small, twice});
  auto writer = CreateCheckpoint(folder / "x", OutputFormat::kSafetensors, OutputTensors(plan), {});
  REQUIRE(writer.ok());
  const auto result = Execute(plan, source, **writer, {});
  REQUIRE(result.ok());
  for (size_t i = 0; i < 3; ++i) CHECK(ReadBack(**writer, i) == ReferenceTensor(plan.tensors[i], source));
  CHECK(result->tensors[0].changed == 0);
  CHECK(result->tensors[1].overflowed > 0);
  // Random bits: almost every finite f32 changes on the way through f16, and none counts twice.
  CHECK(result->tensors[2].changed > 200000);
  CHECK(result->tensors[2].changed <= 210000);
}

TEST_CASE("arithmetic on the way, and bytes taken as elements of another size") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t f32 = source.Add("f32", DType::kF32, {300, 700});
  const size_t turned = source.Add("turned", DType::kBF16, {64, 100}, {1, 0});
  const size_t bytes = source.Add("bytes", DType::kU8, {50, 64});
  source.Flush();
  using Kind = ElementOp::Kind;
  const ElementOp third{DType::kF32, DType::kF32, Overflow::kInf, Kind::kScale, 1.0 / 3};
  const ElementOp more{DType::kF32, DType::kF32, Overflow::kSaturate, Kind::kAdd, 1e30};
  const ElementOp down{DType::kF32, DType::kF16, Overflow::kSaturate};
  const ElementOp minus{DType::kBF16, DType::kBF16, Overflow::kError, Kind::kNegate};
  const ElementOp name{DType::kBF16, DType::kI16, Overflow::kError, Kind::kBitcast};
  const ElementOp swap{DType::kI16, DType::kI16, Overflow::kError, Kind::kByteswap};
  const auto scaled = Bound("scaled", DType::kF32, {300, 700}, {{f32, {third}}}, {Whole({300, 700}, {0, 1})});
  const auto chain = Bound("chain", DType::kF16, {700, 300}, {{f32, {third, more, down}}}, {Whole({300, 700}, {1, 0})});
  const auto negative = Bound("negative", DType::kBF16, {100, 64}, {{turned, {minus}}}, {Whole({64, 100}, {1, 0})});
  const auto swapped =
      Bound("swapped", DType::kI16, {64, 100}, {{turned, {minus, name, swap}}}, {Whole({64, 100}, {0, 1})});
  const auto apart = Bound("apart", DType::kU8, {100, 128}, {{turned, {}, nullptr, DType::kU8}},
                           {{0, 0, 0, {{100, 2, 128}, {64, 200, 2}, {2, 1, 1}}}});
  const auto joined =
      Bound("joined", DType::kU32, {16, 50}, {{bytes, {}, nullptr, DType::kU32}}, {Whole({50, 16}, {1, 0})});
  Check(folder, PlanOf(source, {scaled, chain, negative, swapped, apart, joined}), source);
}

TEST_CASE("a value that does not fit is named, whatever the number of threads") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t tensor = source.Add("w", DType::kF32, {2000, 700});
  auto* values = reinterpret_cast<float*>(source.bytes().data());
  std::fill_n(values, 2000 * 700, 1.0F);
  values[1234 * 700 + 56] = -70000;
  values[1999 * 700 + 1] = 80000;
  source.Flush();
  const CastOp down{DType::kF32, DType::kF16, Overflow::kError};
  for (const bool turned : {false, true}) {
    const BoundPlan plan = PlanOf(
        source, {turned ? Bound("out", DType::kF16, {700, 2000}, {{tensor, {down}}}, {Whole({2000, 700}, {1, 0})})
                        : Bound("out", DType::kF16, {2000, 700}, {{tensor, {down}}}, {Whole({2000, 700}, {0, 1})})});
    for (const int threads : {1, 2, 5}) {
      auto writer = CreateCheckpoint(folder / "x", OutputFormat::kSafetensors, OutputTensors(plan), {});
      REQUIRE(writer.ok());
      ExecOptions options;
      options.threads = threads;
      const auto result = Execute(plan, source, **writer, options);
      REQUIRE_FALSE(result.ok());
      CHECK(result.error().code() == ErrorCode::kMismatch);
      const std::string& text = result.error().message();
      for (const char* part :
           {"`out`", "`w`", "f16", turned ? "[1, 1999]" : "[1234, 56]", turned ? "80000" : "-70000"}) {
        CHECK_MESSAGE(text.find(part) != std::string::npos, text);
      }
    }
  }
}

TEST_CASE("errors name both tensors; the stop token ends the work; progress reaches the total") {
  TempFolder folder;
  MadeUp source(folder, false);
  const size_t first = source.Add("first", DType::kF32, {1000, 1000});
  const size_t second = source.Add("second", DType::kF32, {1000, 1000});
  source.Flush();
  const BoundPlan plan = PlanOf(source, {Permuted(source, first, {1, 0}), Permuted(source, second, {0, 1})});
  const auto run = [&](const ExecOptions& options) {
    auto writer = CreateCheckpoint(folder / "x", OutputFormat::kSafetensors, OutputTensors(plan), {});
    REQUIRE(writer.ok());
    return Execute(plan, source, **writer, options);
  };
  std::vector<int64_t> seen;
  ExecOptions options;
  options.progress = [&](int64_t done, int64_t total) {
    CHECK(total == 8000000);
    seen.push_back(done);
  };
  REQUIRE(run(options).ok());
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() == 8000000);

  source.fail_from = 5000000;
  const auto failed = run({});
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code() == ErrorCode::kIo);
  CHECK(failed.error().message().find("target tensor `t1`, from source tensor `second`") != std::string::npos);

  source.fail_from = -1;
  const std::atomic<bool> stop{true};
  ExecOptions stopping;
  stopping.stop = &stop;
  CHECK_FALSE(run(stopping).ok());
}

TEST_CASE("elements smaller than a byte are copied whole or refused") {
  TempFolder folder;
  MadeUp source(folder, true);
  source.Add("bytes", DType::kU8, {96});
  const size_t packed = source.AddView("packed", DType::kF6E2M3, {8, 16}, {0, 0, {12, 1}, false, false, false});
  source.Flush();
  const auto whole = Bound("whole", DType::kF6E2M3, {8, 16}, {{packed, {}}}, {{0, 0, 0, {{128, 1, 1}}}});
  const auto turned = Bound("turned", DType::kF6E2M3, {16, 8}, {{packed, {}}}, {Whole({8, 16}, {1, 0})});
  const auto run = [&](const BoundTensor& tensor) {
    const BoundPlan plan = PlanOf(source, {tensor});
    auto writer = CreateCheckpoint(folder / "x", OutputFormat::kSafetensors, OutputTensors(plan), {});
    REQUIRE(writer.ok());
    const auto result = Execute(plan, source, **writer, {});
    if (result.ok()) CHECK(ReadBack(**writer, 0) == source.bytes());
    return result.ok();
  };
  CHECK(run(whole));
  CHECK_FALSE(run(turned));
}

TEST_CASE("many tiny tensors in another order than the source's") {
  TempFolder folder;
  MadeUp source(folder, true);
  std::vector<BoundTensor> tensors;
  std::vector<size_t> indices;
  for (int i = 0; i < 20000; ++i) {
    indices.push_back(source.Add("s" + std::to_string(i), i % 3 == 0 ? DType::kBF16 : DType::kF32, {i % 7, 1 + i % 5}));
  }
  std::shuffle(indices.begin(), indices.end(), std::minstd_rand(1));
  for (const size_t i : indices) {
    if (i % 7 == 0) continue;
    tensors.push_back(i % 2 == 0 ? Permuted(source, i, {1, 0}) : Permuted(source, i, {0, 1}));
  }
  source.Flush();
  Check(folder, PlanOf(source, std::move(tensors)), source);
}

// A random tiling of a random target by cutting it along random axes; each part comes from a random
// place of a random source tensor, with axes permuted, steps and flips.
TEST_CASE("random pieces over random layouts") {
  std::mt19937 random(2024);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int round = 0; round < 60; ++round) {
    TempFolder folder;
    MadeUp source(folder, below(2) == 0);
    const DType dtype = std::array{DType::kU8, DType::kF16, DType::kF32, DType::kF64}.at(static_cast<size_t>(below(4)));
    std::vector<size_t> sources;
    for (int i = 0; i < 3; ++i) {
      Shape shape;
      std::vector<size_t> order;
      for (int64_t k = below(3) + 1; k >= 0; --k) {
        order.push_back(shape.size());
        shape.push_back(6 + below(40));
      }
      std::shuffle(order.begin(), order.end(), random);
      sources.push_back(source.Add("s" + std::to_string(i), dtype, shape, order, below(2) * 16));
    }
    source.Flush();
    BoundTensor tensor;
    tensor.name = "out";
    tensor.dtype = dtype;
    for (int64_t k = below(3) + 1; k > 0; --k) tensor.shape.push_back(1 + below(60));
    for (const size_t i : sources) tensor.inputs.push_back({i, {}});
    tensor.value.shape = tensor.shape;
    struct Part {
      std::vector<std::pair<int64_t, int64_t>> ranges;
    };
    std::vector<Part> parts(1);
    for (const int64_t size : tensor.shape) parts[0].ranges.push_back({0, size});
    for (int64_t cut = below(6); cut > 0; --cut) {
      Part& part = parts[static_cast<size_t>(below(static_cast<int64_t>(parts.size())))];
      auto& range = part.ranges[static_cast<size_t>(below(static_cast<int64_t>(part.ranges.size())))];
      if (range.second - range.first < 2) continue;
      Part other = part;
      const auto axis = static_cast<size_t>(&range - part.ranges.data());
      const int64_t at = range.first + 1 + below(range.second - range.first - 1);
      range.second = at;
      other.ranges[axis].first = at;
      parts.push_back(std::move(other));
    }
    const std::vector<int64_t> strides = RowMajorStrides(tensor.shape);
    for (const Part& part : parts) {
      Piece piece;
      piece.input = static_cast<int32_t>(below(3));
      const int64_t count = *NumElements(source.manifest()[sources[static_cast<size_t>(piece.input)]].shape);
      int64_t reach = 0;
      int64_t low = 0;
      for (size_t k = 0; k < part.ranges.size(); ++k) {
        const int64_t size = part.ranges[k].second - part.ranges[k].first;
        piece.dst_offset += part.ranges[k].first * strides[k];
        if (size == 1) continue;
        int64_t stride = below(std::max<int64_t>(1, (count - reach + low - 1) / (size - 1) + 1));
        if (below(3) == 0) stride = std::min<int64_t>(stride, 1);
        if (below(4) == 0) {
          stride = -stride;
          low += stride * (size - 1);
        } else {
          reach += stride * (size - 1);
        }
        if (reach - low >= count) {
          (stride < 0 ? low : reach) -= stride * (size - 1);
          stride = 0;
        }
        piece.axes.push_back({size, stride, strides[k]});
      }
      piece.src_offset = -low + below(count - (reach - low));
      tensor.value.pieces.push_back(piece);
    }
    CAPTURE(round);
    Check(folder, PlanOf(source, {tensor}), source);
    // The source tensors as they are.
    for (const size_t i : sources) {
      std::vector<size_t> order(source.manifest()[i].shape.size());
      std::iota(order.begin(), order.end(), size_t{0});
      const auto bytes = ReferenceTensor(Permuted(source, i, order), source);
      const auto digest = DigestTensor(source, i);
      REQUIRE(digest.ok());
      CHECK(*digest == Sha256Hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    }
  }
}

TEST_CASE("the cost is known before") {
  TempFolder folder;
  MadeUp source(folder, true);
  const size_t tensor = source.Add("w", DType::kF32, {100, 10});
  const CastOp down{DType::kF32, DType::kF16, Overflow::kError};
  const BoundPlan plan = PlanOf(source, {Bound("h", DType::kF16, {100, 3, 10}, {{tensor, {down}}},
                                               {{0, 0, 0, {{100, 10, 30}, {3, 0, 10}, {10, 1, 1}}}})});
  ExecOptions options;
  options.threads = 2;
  const Cost cost = EstimateCost(plan, options);
  CHECK(cost.bytes_read == 4000);
  CHECK(cost.bytes_written == 6000);
  CHECK(cost.peak_memory <= options.max_memory);
}

}  // namespace
}  // namespace ckmap
