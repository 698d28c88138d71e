// Random bytes as the index of shards. The files that it names are opened by a stand-in, which also checks that no
// name leads out of the index's folder.
#include "runtime/formats/sharded/shard_index.h"

#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = ckmap::PutFuzzFile("model.safetensors.index.json", data, size);
  (void)ckmap::LooksLikeShardIndex(path, std::string_view(reinterpret_cast<const char*>(data), size));
  const auto open = [](const std::string& file) -> ckmap::Result<std::unique_ptr<ckmap::Checkpoint>> {
    CKMAP_CHECK(file.starts_with(ckmap::FuzzFolder() + "/") && file.find("/../") == std::string::npos);
    return ckmap::Error(ckmap::ErrorCode::kIo, "a stand-in opens nothing");
  };
  ckmap::ReadWhatOpened(ckmap::OpenShardIndex(path, open));
  return 0;
}
