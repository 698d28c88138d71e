// Random bytes as MindFormers' metadata.json, and what it says of slices.
#include "runtime/formats/mindspore/mf_metadata.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string name;
  int64_t number = 0;
  (void)ckmap::ParseMfStorageKey(text, name, number);
  const auto tensors = ckmap::ParseMfMetadata(text);
  if (!tensors) return 0;
  for (const ckmap::MfTensor& tensor : *tensors) {
    for (size_t slice = 0; slice < tensor.slices.size(); ++slice) {
      CKMAP_CHECK(!tensor.slices[slice].empty());
      const ckmap::Shape offsets = tensor.Offsets(static_cast<int64_t>(slice));
      for (size_t axis = 0; axis < offsets.size(); ++axis) {
        CKMAP_CHECK(offsets[axis] >= 0 && offsets[axis] + tensor.local_shape[axis] <= tensor.global_shape[axis]);
      }
    }
  }
  return 0;
}
