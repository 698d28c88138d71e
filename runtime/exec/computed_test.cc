// Computed nodes through the executor: the same bytes as the reference, for any threads and memory,
// whatever becomes of the result on its way into the target.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "runtime/exec/executor.h"
#include "runtime/formats/create.h"
#include "tests/support/reference.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

// Tensors of small random numbers, in memory.
class Numbers final : public Checkpoint {
 public:
  PiecedTensor Add(const Shape& shape, DType dtype = DType::kF32) {
    const auto count = static_cast<size_t>(*NumElements(shape));
    const auto size = static_cast<size_t>(DTypeSize(dtype));
    TensorLayout layout;
    layout.offset = static_cast<int64_t>(bytes_.size());
    layout.strides = RowMajorStrides(shape);
    for (int64_t& stride : layout.strides) stride *= static_cast<int64_t>(size);
    std::uniform_real_distribution<float> spread(0.1F, 2.0F);
    for (size_t i = 0; i < count; ++i) {
      uint64_t bits = random_();
      if (dtype == DType::kF32) {
        const float value = spread(random_);
        std::memcpy(&bits, &value, sizeof value);
      } else if (dtype == DType::kF8E4M3) {
        bits &= 0x77;
      }
      const auto* from = reinterpret_cast<const std::byte*>(&bits);
      bytes_.insert(bytes_.end(), from, from + size);
    }
    const size_t index = manifest_.size();
    REQUIRE(manifest_.Add({.name = "s" + std::to_string(index),
                           .dtype = dtype,
                           .shape = shape,
                           .storage = 0,
                           .optional = false,
                           .tied_to = "",
                           .unreadable = ""}));
    layouts_.push_back(layout);
    PiecedTensor tensor;
    tensor.dtype = dtype;
    tensor.value = WholeTensor(0, shape);
    tensor.inputs.push_back({index, {}});
    return tensor;
  }

  std::string_view format() const override { return "numbers"; }
  int64_t storage_bytes(uint32_t /*storage*/) const override { return static_cast<int64_t>(bytes_.size()); }
  std::vector<FileExtent> storage_extents(uint32_t /*storage*/) const override { return {}; }
  Result<void> ReadStorage(uint32_t /*storage*/, int64_t offset, std::span<std::byte> out) const override {
    CKMAP_CHECK(offset >= 0 && static_cast<size_t>(offset) + out.size() <= bytes_.size());
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }
  Result<void> CheckUnchanged() const override { return {}; }

 private:
  std::vector<std::byte> bytes_;
  std::minstd_rand random_{7};
};

PiecedTensor NodeOf(decltype(ComputedNode::spec) spec, std::vector<PiecedTensor> operands, const Shape& shape,
                    DType dtype = DType::kF32) {
  ComputedNode node;
  node.text = "node";
  node.spec = std::move(spec);
  node.shape = shape;
  node.dtype = dtype;
  node.overflow = Overflow::kSaturate;
  for (const PiecedTensor& operand : operands) node.depth = std::max(node.depth, ComputedDepth(operand) + 1);
  node.names.assign(operands.size(), "operand");
  node.operands = std::move(operands);
  PiecedTensor result;
  result.dtype = dtype;
  result.value = WholeTensor(0, shape);
  result.inputs.push_back({0, {}, std::make_shared<const ComputedNode>(std::move(node))});
  return result;
}

PiecedTensor Turned(PiecedTensor tensor, const std::vector<size_t>& order) {
  tensor.value = *Permute(tensor.value, order);
  return tensor;
}

void Check(const Numbers& source, const std::vector<PiecedTensor>& wanted) {
  TempFolder folder;
  BoundPlan plan;
  plan.source = source.manifest();
  for (size_t i = 0; i < wanted.size(); ++i) {
    BoundTensor tensor;
    static_cast<PiecedTensor&>(tensor) = wanted[i];
    tensor.name = "t" + std::to_string(i);
    tensor.shape = wanted[i].value.shape;
    plan.tensors.push_back(std::move(tensor));
  }
  std::vector<std::vector<std::byte>> expected;
  for (const PiecedTensor& tensor : wanted) expected.push_back(ReferenceTensor(tensor, source));
  for (const auto& [threads, memory] : {std::pair<int, int64_t>{1, 64 << 20}, {2, 4 << 20}, {3, 64 << 10}}) {
    auto writer = CreateCheckpoint(folder / "out", OutputFormat::kSafetensors, OutputTensors(plan), {});
    REQUIRE(writer.ok());
    ExecOptions options;
    options.threads = threads;
    options.max_memory = memory;
    const auto result = Execute(plan, source, **writer, options);
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message()));
    for (size_t i = 0; i < expected.size(); ++i) {
      std::vector<std::byte> bytes(expected[i].size());
      const std::vector<FileExtent> extents = (*writer)->extents(i);
      REQUIRE(extents.size() == 1);
      REQUIRE(::pread(extents[0].fd, bytes.data(), bytes.size(), extents[0].offset) ==
              static_cast<ssize_t>(bytes.size()));
      CHECK_MESSAGE(bytes == expected[i], "tensor ", i, " with ", threads, " threads and ", memory, " bytes");
    }
  }
}

// Fields of words along the last axis and across it, values of codes, slices of tables.
void AddCodes(Numbers& source, std::vector<PiecedTensor>& nodes) {
  const PiecedTensor words = source.Add({61, 27, 5}, DType::kI32), bytes = source.Add({97, 331}, DType::kU8);
  for (const int64_t bits : {3, 4, 5, 8}) {
    const int64_t codes = 27 * 32 / bits, last = 331 * 8 / bits;
    nodes.push_back(NodeOf(UnpackSpec{{bits, 32, 0, false, bits == 5, 27, codes, 5}}, {words}, {61, codes, 5},
                           bits == 5 ? DType::kI8 : DType::kU8));
    nodes.push_back(NodeOf(UnpackSpec{{bits, 8, 0, false, false, 331, last, 1}}, {bytes}, {97, last}, DType::kU8));
  }
  nodes.push_back(NodeOf(UnpackSpec{{3, 32, 10, true, false, 27, 270, 5}}, {words}, {61, 270, 5}, DType::kU8));
  nodes.push_back(NodeOf(UnpackSpec{{2, 8, 3, false, true, 331, 993, 1}}, {bytes}, {97, 993}, DType::kI8));
  const PiecedTensor nibbles = NodeOf(UnpackSpec{{4, 8, 0, false, false, 331, 662, 1}}, {bytes}, {97, 662}, DType::kU8);
  nodes.push_back(NodeOf(DecodeSpec{CodeFormat::kE2M1}, {nibbles}, {97, 662}));
  nodes.push_back(NodeOf(DecodeSpec{CodeFormat::kE3M2},
                         {NodeOf(UnpackSpec{{6, 8, 0, false, false, 331, 441, 1}}, {bytes}, {97, 441}, DType::kU8)},
                         {97, 441}));
  const PiecedTensor few =
      NodeOf(UnpackSpec{{4, 8, 0, false, false, 11, 22, 1}}, {source.Add({13, 11}, DType::kU8)}, {13, 22}, DType::kU8);
  nodes.push_back(NodeOf(TakeSpec{16, 1, 97 * 662}, {source.Add({16}), nibbles}, {97, 662}));
  nodes.push_back(
      NodeOf(TakeSpec{16, 7, 13 * 22}, {source.Add({3, 16, 7}, DType::kF8E4M3), few}, {3, 13, 22, 7}, DType::kF8E4M3));
}

// Scales of blocks, elements divided by them, numbers of a few bits in words, and constants.
void AddQuantized(Numbers& source, std::vector<PiecedTensor>& nodes) {
  const PiecedTensor weight = source.Add({97, 331}), cube = source.Add({7, 19, 41});
  for (const Shape& block : {Shape{1, 331}, Shape{97, 331}, Shape{16, 64}, Shape{1, 32}, Shape{97, 1}}) {
    const Shape scales = {(97 + block[0] - 1) / block[0], (331 + block[1] - 1) / block[1]};
    const PiecedTensor scale = NodeOf(AbsmaxSpec{block, 448, 0, 1}, {weight}, scales);
    nodes.push_back(scale);
    nodes.push_back(NodeOf(ScaleSpec{true, block}, {weight, scale}, {97, 331}, DType::kF8E4M3));
    nodes.push_back(
        NodeOf(ScaleSpec{true, block, 1, false, 1, DType::kF32}, {weight, scale}, {97, 331}, DType::kF8E4M3));
    const PiecedTensor rounded = NodeOf(AbsmaxSpec{block, 7.5, 0x1p-7, 0}, {weight}, scales, DType::kBF16);
    const PiecedTensor four =
        NodeOf(ScaleSpec{true, block, 1, false, 0, DType::kBF16}, {weight, rounded}, {97, 331}, DType::kI8);
    nodes.push_back(four);
    nodes.push_back(NodeOf(PackSpec{{4, 32, 0, false, true, 42, 331, 1}}, {four}, {97, 42}, DType::kI32));
    nodes.push_back(NodeOf(PackSpec{{4, 8, 0, false, true, 49, 97, 331}}, {four}, {49, 331}, DType::kU8));
  }
  const PiecedTensor scale = NodeOf(AbsmaxSpec{{2, 4, 41}, 127, 0, 0}, {Turned(cube, {0, 1, 2})}, {4, 5, 1});
  nodes.push_back(scale);
  nodes.push_back(
      NodeOf(ScaleSpec{true, {2, 4, 41}, 1, false, 127, DType::kF16}, {cube, scale}, {7, 19, 41}, DType::kI8));
  for (const int64_t bits : {1, 3, 5, 8}) {
    const PiecedTensor numbers = NodeOf(UnpackSpec{{bits, 8, 0, false, false, 331, 331 * 8 / bits, 1}},
                                        {source.Add({97, 331}, DType::kU8)}, {97, 331 * 8 / bits}, DType::kU8);
    const int64_t codes = 331 * 8 / bits, words = (codes * bits + 31) / 32, fields = 32 / bits;
    nodes.push_back(
        NodeOf(PackSpec{{bits, 32, 0, false, false, words, codes, 1}}, {numbers}, {97, words}, DType::kI32));
    nodes.push_back(NodeOf(PackSpec{{bits, 16, 0, false, false, (97 * bits + 15) / 16, 97, codes}}, {numbers},
                           {(97 * bits + 15) / 16, codes}, DType::kU16));
    const int64_t high = (codes + fields - 1) / fields;
    nodes.push_back(
        NodeOf(PackSpec{{bits, 32, fields, true, false, high, codes, 1}}, {numbers}, {97, high}, DType::kU32));
  }
  nodes.push_back(NodeOf(ConstantSpec{{3, -4, 100}}, {}, {3}, DType::kI64));
  nodes.push_back(NodeOf(ConstantSpec{{3, -4, 100}}, {}, {3}, DType::kBF16));
}

TEST_CASE("every kind of node, as it is and turned, in whole and in tiles") {
  Numbers source;
  using Rows = RowScaleSpec::Kind;
  std::vector<PiecedTensor> nodes;
  const PiecedTensor matrix = source.Add({97, 331}), row = source.Add({1, 331}), column = source.Add({97, 1});
  const PiecedTensor lengths = source.Add({97});
  nodes.push_back(NodeOf(ScaleSpec{false, {32, 96}}, {source.Add({97, 331}, DType::kF8E4M3), source.Add({4, 4})},
                         {97, 331}, DType::kBF16));
  nodes.push_back(NodeOf(ScaleSpec{false, {1, 4}, 8, false},
                         {source.Add({97, 8}, DType::kI32), source.Add({97, 16}), source.Add({97, 16}, DType::kU8)},
                         {97, 64}, DType::kF16));
  nodes.push_back(NodeOf(ScaleSpec{true, {1, 331}}, {matrix, lengths}, {97, 331}, DType::kI8));
  nodes.push_back(NodeOf(ProductSpec{97, 41, 1100}, {source.Add({97, 41}), source.Add({41, 1100})}, {97, 1100}));
  nodes.push_back(NodeOf(LoraMergeSpec{97, 4, 197, 0.5},
                         {source.Add({97, 197}), source.Add({97, 4}), source.Add({4, 197})}, {97, 197}));
  nodes.push_back(
      NodeOf(LoraMergeSpec{97, 4, 331, 2}, {matrix, source.Add({97, 4}), source.Add({4, 331}), lengths}, {97, 331}));
  nodes.push_back(NodeOf(RowScaleSpec{Rows::kWeightNorm, 331, 0}, {matrix, lengths}, {97, 331}));
  nodes.push_back(NodeOf(RowScaleSpec{Rows::kUnitLength, 331, 1e-12}, {matrix}, {97, 331}, DType::kF64));
  nodes.push_back(NodeOf(RowScaleSpec{Rows::kStandardize, 97, 1e-6}, {Turned(matrix, {1, 0})}, {331, 97}));
  const std::vector<PiecedTensor> norm = {source.Add({97}), source.Add({97}), source.Add({97}), source.Add({97})};
  std::vector<PiecedTensor> folded = norm;
  folded.push_back(matrix);
  nodes.push_back(NodeOf(BatchNormSpec{BatchNormSpec::Gives::kWeight, 1e-5, 97, 331, 1}, folded, {97, 331}));
  nodes.push_back(NodeOf(BatchNormSpec{BatchNormSpec::Gives::kIdentity, 1e-5, 97, 450, 9}, norm, {97, 50, 3, 3}));
  nodes.push_back(NodeOf(InterpolateSpec{InterpolateSpec::Mode::kNearest, false, false, {30, 70}, {41, 23}},
                         {source.Add({20, 30, 70})}, {20, 41, 23}));
  nodes.push_back(NodeOf(PointwiseSpec{PointwiseSpec::Kind::kSum}, {matrix, row, column}, {97, 331}));
  nodes.push_back(NodeOf(PointwiseSpec{PointwiseSpec::Kind::kMultiply}, {column, row}, {97, 331}));
  nodes.push_back(NodeOf(AverageSpec{97, 331}, {matrix}, {1, 331}));
  nodes.push_back(NodeOf(NormalSpec{0, 1, 5, "x"}, {}, {97, 331}));
  nodes.push_back(NodeOf(SequenceSpec{SequenceSpec::Kind::kCount, 3, 0, 1, 331}, {}, {97, 331}));
  nodes.push_back(NodeOf(SequenceSpec{SequenceSpec::Kind::kLowerTriangle, 0, 0, 61, 83}, {}, {5, 61, 83}));
  nodes.push_back(NodeOf(PointwiseSpec{PointwiseSpec::Kind::kDivide}, {matrix, column}, {97, 331}));
  AddCodes(source, nodes);
  AddQuantized(source, nodes);
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF8E4M3}) {
    nodes.push_back(NodeOf(RowScaleSpec{Rows::kUnitLength, 331, 0}, {matrix}, {97, 331}, dtype));
    nodes.push_back(NodeOf(PointwiseSpec{PointwiseSpec::Kind::kMultiply}, {matrix, row, column}, {97, 331}, dtype));
  }
  std::vector<PiecedTensor> wanted;
  for (const PiecedTensor& node : nodes) {
    wanted.push_back(node);
    std::vector<size_t> back;
    for (size_t k = node.value.shape.size(); k-- > 0;) back.push_back(k);
    wanted.push_back(Turned(node, back));
  }
  Check(source, wanted);
}

TEST_CASE("nodes in nodes, in a concatenation with a plain tensor, sliced, flipped and cast") {
  Numbers source;
  const PiecedTensor matrix = source.Add({80, 120});
  const PiecedTensor exp = NodeOf(MapSpec{}, {matrix}, {80, 120});
  const PiecedTensor product = NodeOf(ProductSpec{80, 120, 80}, {exp, Turned(exp, {1, 0})}, {80, 80});
  PiecedTensor joined = NodeOf(PointwiseSpec{PointwiseSpec::Kind::kMean}, {product, Turned(product, {1, 0})}, {80, 80});
  PiecedTensor plain = source.Add({80, 80});
  joined.inputs.push_back(plain.inputs[0]);
  for (Piece& piece : plain.value.pieces) piece.input = 1;
  joined.value = *Concat({joined.value, plain.value}, 1);
  PiecedTensor cut = exp;
  cut.value = *Flip(*Slice(cut.value, 1, 3, 110, 2), 0);
  for (BoundInput& input : cut.inputs) input.casts.push_back({DType::kF32, DType::kF16, Overflow::kError});
  cut.dtype = DType::kF16;
  Check(source, {joined, Turned(joined, {1, 0}), cut});
}

}  // namespace
}  // namespace ckmap
