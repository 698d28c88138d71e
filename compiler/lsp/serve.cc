#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "compiler/lsp/server.h"

namespace ckmap::lsp {
namespace {

// Whether bytes wait to be read.
bool Waiting(int fd) {
  pollfd request{fd, POLLIN, 0};
  return poll(&request, 1, 0) > 0;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool Send(int fd, const std::vector<std::string>& messages) {
  for (const std::string& message : messages) {
    if (!WriteAll(fd, Frame(message))) return false;
  }
  return true;
}

}  // namespace

int ServeLanguage(int in, int out, std::vector<std::string> pack_path) {
  Server server(std::move(pack_path));
  MessageReader reader;
  std::array<char, 65536> buffer;
  while (true) {
    while (const auto message = reader.Next()) {
      if (!Send(out, server.Handle(*message))) return 1;
      if (server.exited()) return server.exit_code();
    }
    // While a person types, only the last state is worth a compilation.
    if (!Waiting(in) && !Send(out, server.Idle())) return 1;
    const ssize_t count = read(in, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {  // the client is gone: it gets what it is owed, if it still reads
      Send(out, server.Idle());
      return server.exit_code();
    }
    reader.Feed({buffer.data(), static_cast<size_t>(count)});
  }
}

}  // namespace ckmap::lsp
