// Runs a program under ptrace and decides about each of its system calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ckmap::faults {

// A call that is about to be made.
struct Call {
  long number = 0;
  std::array<uint64_t, 6> arguments{};
  int process = 0;
  size_t index = 0;  // counted from the first call that names a path under TraceOptions::from

  // Bytes of the program's memory; shorter if it has no more there.
  std::string Memory(uint64_t address, size_t length) const;
  std::string Text(uint64_t address) const;  // up to its zero byte
};

struct Verdict {
  enum class Kind { kPass, kFail, kShorten, kKill } kind = Kind::kPass;
  int error = 0;  // of kFail
};

// A call that was made, with its result (negative: an errno).
struct Done {
  Call call;
  int64_t result = 0;
};

struct TraceOptions {
  std::string from;         // calls before the first that names a path under this folder are the loader's
  std::string output_path;  // where the program's output and errors go
  std::function<Verdict(const Call&)> decide;
  std::function<void(const Call&, int64_t result)> done = {};
};

struct TraceResult {
  int status = 0;    // as waitpid tells it
  size_t calls = 0;  // that were counted
};

TraceResult Trace(const std::vector<std::string>& command, const TraceOptions& options);

// Whether this machine lets us: x86-64, and ptrace is allowed.
bool CanTrace();

std::string CallName(long number);

}  // namespace ckmap::faults
