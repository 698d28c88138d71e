#include "runtime/cli/signals.h"

#include <unistd.h>

#include <array>
#include <csignal>

#include "runtime/base/check.h"
#include "runtime/base/output_file.h"

namespace ckmap {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

// A handler can reach nothing but statics.
std::atomic<bool> stop_flag{false};
std::atomic<int> signal_number{0};
std::array<struct sigaction, kSignals.size()> previous;
int guards = 0;  // of the main thread: the outermost one counts
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// The first one asks for an orderly end. Whoever sends a second one does not want to wait for it, or for a
// call to the system that hangs.
void OnSignal(int number) {
  if (stop_flag.load()) {
    RemoveTemporaryFiles();
    ::_exit(128 + number);
  }
  signal_number.store(number);
  stop_flag.store(true);
}

}  // namespace

SignalGuard::SignalGuard() {
  if (guards++ > 0) return;
  stop_flag.store(false);
  signal_number.store(0);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    CKMAP_CHECK(::sigaction(kSignals[i], nullptr, &previous[i]) == 0);
    // A shell that runs us in the background, or nohup, has said that it is to be ignored.
    if (previous[i].sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = OnSignal;
    CKMAP_CHECK(::sigaction(kSignals[i], &action, nullptr) == 0);
  }
}

SignalGuard::~SignalGuard() {
  if (--guards > 0) return;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &previous[i], nullptr);
}

const std::atomic<bool>* SignalGuard::stop() const { return &stop_flag; }

int SignalGuard::signal() const { return signal_number.load(); }

void IgnoreWriteSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace ckmap
