// SIGINT, SIGTERM and SIGHUP while there is something to clean up.
#pragma once

#include <atomic>

namespace ckmap {

// While one lives, the first of these signals sets a flag instead of ending the program, and a second one ends it
// at once, with nothing left behind. One at a time.
// Guards may be nested: the outermost one decides.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  const std::atomic<bool>* stop() const;
  // The signal that came, 0 for none. The exit code is 128 + it.
  int signal() const;
};

// Broken pipes and file size limits become errors of the calls that hit them.
void IgnoreWriteSignals();

}  // namespace ckmap
