// Random bytes as a file of ONNX.
#include "runtime/formats/onnx.h"
#include "tests/fuzz/whole_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = ckmap::FuzzFile(data, size);
  auto file = ckmap::InputFile::Open(path);
  if (!file.ok()) return 0;
  const auto checkpoint = ckmap::OpenOnnx(ckmap::MakePlainSource(*std::move(file)));
  if (checkpoint.ok()) ckmap::ReadWhole(**checkpoint);
  return 0;
}
