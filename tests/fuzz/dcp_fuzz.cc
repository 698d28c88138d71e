// Random bytes as the `.metadata` of a distributed checkpoint of torch; the files that it names are not there, or are
// the same bytes.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "runtime/formats/torch.h"
#include "tests/fuzz/fuzz_file.h"

namespace {

std::string Folder() {
  std::string name = "/tmp/ckmap-fuzz-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  return name;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = Folder();
  for (const char* name : {"/.metadata", "/__0_0.distcp"}) {
    std::ofstream(folder + name, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  ckmap::ReadWhatOpened(ckmap::OpenTorchDistributed(folder, {}));
  return 0;
}
