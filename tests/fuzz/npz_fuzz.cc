// Random bytes as a file of numpy's: .npz and .npy.
#include "runtime/formats/npz.h"
#include "tests/fuzz/whole_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = ckmap::FuzzFile(data, size);
  for (const auto open : {ckmap::OpenNpz, ckmap::OpenNpy}) {
    const auto checkpoint = open(path);
    if (checkpoint.ok()) ckmap::ReadWhole(**checkpoint);
  }
  return 0;
}
