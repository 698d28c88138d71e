// Random bytes as what a client sends. Seeds: sessions as they go over the wire.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compiler/lsp/message.h"
#include "compiler/lsp/server.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::lsp::MessageReader reader;
  ckmap::lsp::Server server({});
  reader.Feed({reinterpret_cast<const char*>(data), size});
  while (const auto message = reader.Next()) {
    (void)server.Handle(*message);
    (void)server.Idle();
    if (server.exited()) break;
  }
  return 0;
}
