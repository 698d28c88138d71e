#include "runtime/cli/console.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <span>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

bool HasText(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool IsTerminal(int fd) {
  const char* term = std::getenv("TERM");
  return ::isatty(fd) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

bool UsesColor(ColorMode mode, int fd) {
  if (mode == ColorMode::kAuto) return !HasText("NO_COLOR") && IsTerminal(fd);
  return mode == ColorMode::kAlways;
}

// Writes all, or gives errno.
int WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    data.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

}  // namespace

Console::Console(ColorMode mode, bool quiet)
    : out_{UsesColor(mode, STDOUT_FILENO)},
      err_{UsesColor(mode, STDERR_FILENO)},
      quiet_(quiet),
      progress_(!quiet && IsTerminal(STDERR_FILENO)) {}

int Console::Write(std::string_view data) const {
  const int problem = WriteAll(STDOUT_FILENO, data);
  if (problem == 0) return 0;
  if (problem == EPIPE) return 128 + SIGPIPE;
  return Fail(IoError("cannot write to standard output", problem));
}

void Console::SayAlways(std::string_view text) const {
  // Nobody is left to be told when standard error itself is gone.
  (void)WriteAll(STDERR_FILENO, text);
}

void Console::Say(std::string_view text) const {
  if (!quiet_) SayAlways(text);
}

void Console::Warn(const std::vector<std::string>& warnings) const {
  for (const std::string& warning : warnings) {
    Say(fmt::format("{}: {}\n", err_.Yellow("warning"), EscapeText(warning)));
  }
}

int Console::Fail(const Error& error) const {
  std::string text;
  std::string_view rest = error.message();
  // A message may list several facts, one a line.
  while (true) {
    const size_t end = rest.find('\n');
    text += (text.empty() ? "" : "  ") + EscapeText(rest.substr(0, end)) + "\n";
    if (end == std::string_view::npos || end + 1 == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  SayAlways(fmt::format("{}: {}", err_.Red("error"), text));
  return static_cast<int>(error.code());
}

std::string ProgressLine(std::string_view verb, int64_t done, int64_t total, double seconds) {
  if (total <= 0) return std::string(verb);
  const double share = static_cast<double>(done) / static_cast<double>(total);
  std::string line =
      fmt::format("{} {:3}%  {} of {}", verb, static_cast<int>(share * 100), FormatBytes(done), FormatBytes(total));
  if (seconds < 0.5 || done <= 0) return line;
  const double rate = static_cast<double>(done) / seconds;
  line += fmt::format("  {}/s", FormatBytes(static_cast<int64_t>(rate)));
  if (done < total) line += fmt::format("  {} left", FormatDuration(static_cast<double>(total - done) / rate));
  return line;
}

ProgressBar::ProgressBar(const Console& console, std::string_view verb) : console_(console), verb_(verb) {}

void ProgressBar::Update(int64_t done, int64_t total) {
  if (!console_.shows_progress()) return;
  const Clock::time_point now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  console_.SayAlways("\r\x1b[K" + ProgressLine(verb_, done, total, seconds));
  on_screen_ = true;
}

void ProgressBar::Clear() {
  if (on_screen_) console_.SayAlways("\r\x1b[K");
  on_screen_ = false;
}

}  // namespace ckmap
