// Random bytes as the `.metadata` of a distributed checkpoint of torch; the files that it names are not there, or are
// the same bytes.
#include "runtime/formats/torch/torch.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const char* name : {".metadata", "__0_0.distcp"}) ckmap::PutFuzzFile(name, data, size);
  ckmap::ReadWhatOpened(ckmap::OpenTorchDistributed(ckmap::FuzzFolder(), {}));
  return 0;
}
