// Random bytes as a file of HDF5, and Keras' archives of it.
#include "runtime/formats/hdf5.h"
#include "tests/fuzz/whole_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = ckmap::FuzzFile(data, size);
  for (const auto open : {ckmap::OpenHdf5, ckmap::OpenKeras}) {
    const auto checkpoint = open(path);
    if (checkpoint.ok()) ckmap::ReadWhole(**checkpoint);
  }
  return 0;
}
