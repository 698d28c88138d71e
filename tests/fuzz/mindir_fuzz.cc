// Random bytes as a MindIR model.
#include "runtime/formats/mindspore/mindir.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = ckmap::InputFile::Open(ckmap::FuzzFile(data, size));
  if (!file) return 0;
  auto source = ckmap::MakePlainSource(*std::move(file));
  (void)ckmap::LooksLikeMindIr(*source);
  ckmap::ReadWhatOpened(ckmap::OpenMindIr(std::move(source)));
  return 0;
}
