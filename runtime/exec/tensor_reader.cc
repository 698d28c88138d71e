#include "runtime/exec/tensor_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr int64_t kMemory = int64_t{16} << 20;

}  // namespace

PiecedTensor WholeOf(const Checkpoint& checkpoint, size_t tensor) {
  const TensorInfo& info = checkpoint.manifest()[tensor];
  PiecedTensor whole;
  whole.dtype = info.dtype;
  whole.inputs = {{.source = tensor}};
  whole.value = WholeTensor(0, info.shape);
  return whole;
}

std::optional<StoredRun> AsStored(const LoweredTensor& tensor) {
  if (tensor.bytes == 0 || tensor.boxes.size() != 1 || tensor.inputs.size() != 1) return std::nullopt;
  const Box& box = tensor.boxes[0];
  const LoweredInput& input = tensor.inputs[0];
  if (box.input != 0 || input.node != nullptr || !input.chain.trivial() || input.element != tensor.element)
    return std::nullopt;
  const bool dense = box.axes.empty() ||
                     (box.axes.size() == 1 && box.axes[0].src == tensor.element && box.axes[0].dst == tensor.element);
  if (!dense || box.dst != 0 || box.elements() * tensor.element != tensor.bytes) return std::nullopt;
  return StoredRun{input.storage, box.src, tensor.bytes};
}

std::optional<FileExtent> InFile(const Checkpoint& checkpoint, const StoredRun& run) {
  return FindExtent(checkpoint.storage_extents(run.storage), run.offset, run.length);
}

Result<std::unique_ptr<TensorReader>> TensorReader::Make(const Checkpoint& checkpoint, size_t tensor) {
  const std::string& name = checkpoint.manifest()[tensor].name;
  Result<LoweredTensor> lowered = LowerTensor(WholeOf(checkpoint, tensor), checkpoint, "");
  if (!lowered) return std::move(lowered).error().Context("tensor `" + EscapeText(name) + "`");
  std::unique_ptr<TensorReader> reader(new TensorReader(checkpoint, name, *std::move(lowered)));
  if (!reader->gatherer_.ok()) return Error(ErrorCode::kLimit, "out of memory");
  return reader;
}

TensorReader::TensorReader(const Checkpoint& checkpoint, const std::string& name, LoweredTensor lowered)
    : lowered_(std::move(lowered)),
      evaluators_(checkpoint),
      gatherer_(checkpoint, Budget::Make(1, kMemory), evaluators_, 0) {
  evaluators_.set_target(name);
}

Result<void> TensorReader::Read(int64_t begin, std::span<std::byte> out) {
  const int64_t end = begin + static_cast<int64_t>(out.size());
  CKMAP_CHECK(begin >= 0 && end <= lowered_.bytes && begin % lowered_.element == 0 && end % lowered_.element == 0);
  std::vector<Box> parts;
  for (const Box& box : lowered_.boxes) CutToRange(box, begin, end, lowered_.element, parts);
  for (const Box& part : parts) CKMAP_RETURN_IF_ERROR(gatherer_.MoveBox(part, lowered_, out.data(), begin));
  return {};
}

Result<std::string> DigestTensor(const Checkpoint& checkpoint, size_t tensor) {
  CKMAP_ASSIGN_OR_RETURN(const auto reader, TensorReader::Make(checkpoint, tensor));
  Sha256 sha;
  const int64_t step = (int64_t{1} << 20) / reader->element() * reader->element();
  std::vector<std::byte> block(static_cast<size_t>(std::min(step, reader->bytes())));
  for (int64_t begin = 0; begin < reader->bytes(); begin += step) {
    const auto part = std::span(block).first(static_cast<size_t>(std::min(step, reader->bytes() - begin)));
    CKMAP_RETURN_IF_ERROR(reader->Read(begin, part));
    sha.Update(part);
  }
  return sha.HexDigest();
}

}  // namespace ckmap
