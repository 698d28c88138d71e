// Where the program speaks: data goes to standard output, all else to standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/report/style.h"

namespace ckmap {

enum class ColorMode { kAuto, kAlways, kNever };

class Console {
 public:
  // kAuto: colour where the stream is a terminal, NO_COLOR is unset or empty, and TERM is not
  // "dumb".
  Console(ColorMode mode, bool quiet);

  Style out() const { return out_; }
  Style err() const { return err_; }
  bool quiet() const { return quiet_; }
  bool shows_progress() const { return progress_; }

  // Data, to standard output. 0, or the exit code if it cannot be written (a closed pipe ends the
  // program as SIGPIPE would).
  int Write(std::string_view data) const;

  // Lines for people, to standard error; nothing if quiet.
  void Say(std::string_view text) const;
  // The same for what must be seen even so: errors.
  void SayAlways(std::string_view text) const;
  // "warning: …", one line each; nothing if quiet.
  void Warn(const std::vector<std::string>& warnings) const;

  // "error: …"; gives the exit code.
  int Fail(const Error& error) const;

 private:
  Style out_;
  Style err_;
  bool quiet_ = false;
  bool progress_ = false;
};

// One line that is redrawn: bytes, rate, time left. Draws at most ten times a second; leaves no
// trace.
class ProgressBar {
 public:
  ProgressBar(const Console& console, std::string_view verb);
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(int64_t done, int64_t total);  // bytes
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;
  const Console& console_;
  std::string verb_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_;
  bool on_screen_ = false;
};

// The line that ProgressBar draws: `verb 45%  1.2 GiB of 2.6 GiB  850.0 MiB/s  2 s left`.
std::string ProgressLine(std::string_view verb, int64_t done, int64_t total, double seconds);

}  // namespace ckmap
