// Random bytes as a strategy file of MindSpore, and what its layouts say of slices.
#include "runtime/formats/mindspore/ms_strategy.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = ckmap::InputFile::Open(ckmap::FuzzFile(data, size));
  if (!file) return 0;
  const auto source = ckmap::MakePlainSource(*std::move(file));
  const auto layouts = ckmap::ReadStrategy(*source);
  if (!layouts) return 0;
  for (const auto& [name, layout] : *layouts) {
    for (int64_t rank = 0; rank < 4; ++rank) {
      const auto slice = ckmap::PlaceSlice(layout, {4, 2}, rank, 4);
      if (!slice) continue;
      for (size_t axis = 0; axis < 2; ++axis) CKMAP_CHECK(slice->offsets[axis] < slice->whole[axis]);
    }
  }
  return 0;
}
