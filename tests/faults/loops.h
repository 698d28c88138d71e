// One kind of fault after the other, at every place where it can strike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/faults/scenarios.h"

namespace ckmap::faults {

struct Tally {
  size_t runs = 0;
  std::map<int, size_t> exit_codes;  // 128 + n for a signal
  size_t left = 0;                   // temporary files after SIGKILL
  std::vector<std::string> wrong;

  void Add(int status);
  void Wrong(const std::string& where, const std::string& what);
  std::string Line() const;
};

// Every `step`-th call fails with each of EIO, ENOSPC, EDQUOT and EINTR, or transfers half.
Tally SystemCallFaults(const Scenario& scenario, size_t step);

// Kills, power and full disks: nothing to see where a command only prints, so no runs.

// SIGKILL at every `step`-th call; after each, the conversion is run again and must be complete, with nothing left.
Tally KillAtEachCall(const Scenario& scenario, size_t step);
// SIGKILL `count` times, after a random time.
Tally KillAtRandom(const Scenario& scenario, size_t count, uint64_t seed);

// Each `step`-th allocation fails alone, and each 7 * `step`-th with all that follow. `shim` is the library to preload.
Tally AllocationFaults(const Scenario& scenario, const std::string& shim, size_t step);

// The machine stops at each call, and of what was not flushed any part may be on the disk: `samples` of them.
Tally PowerLoss(const Scenario& scenario, size_t samples, uint64_t seed);

// Two runs at once into one output, `count` times, of different values, into as many or other files, into folders that
// are there or not, with and without --force. One must be there whole, with nothing beside it; both may have succeeded,
// one after the other. `base` is a folder that PrepareInputs has filled.
Tally ConcurrentRuns(const std::string& programs, const std::string& base, size_t count, uint64_t seed);

// A file system of its own with so little room that the output does not fit, from nothing to all. Needs root.
Tally FullDisk(const Scenario& scenario);

}  // namespace ckmap::faults
