// Random bytes as the index of shards. The files that it names are opened by a stand-in, which also checks that no
// name leads out of the index's folder.
#include "runtime/formats/shard_index.h"

#include <cstdlib>
#include <fstream>

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
  const std::string path = folder + "/model.safetensors.index.json";
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  (void)ckmap::LooksLikeShardIndex(path);
  const auto open = [](const std::string& file) -> ckmap::Result<std::unique_ptr<ckmap::Checkpoint>> {
    CKMAP_CHECK(file.starts_with(folder + "/") && file.find("/../") == std::string::npos);
    return ckmap::Error(ckmap::ErrorCode::kIo, "a stand-in opens nothing");
  };
  ckmap::ReadWhatOpened(ckmap::OpenShardIndex(path, open));
  return 0;
}
