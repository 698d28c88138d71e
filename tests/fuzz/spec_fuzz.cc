// Random text as a spec, and as the index of shards.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/formats/sharded/shard_index.h"
#include "runtime/formats/spec/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ckmap::LooksLikeSpec(text);
  (void)ckmap::ParseSpec(text);
  if (!text.empty() && text[0] == '{') {
    (void)ckmap::ParseShardIndex(text, false);
    (void)ckmap::ParseShardIndex(text, true);
  }
  return 0;
}
