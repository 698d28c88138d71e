#include "tests/faults/loops.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/faults/allocation_server.h"
#include "tests/faults/tracer.h"

namespace ckmap::faults {
namespace {

namespace fs = std::filesystem;

// The numbers of all calls of a run without faults.
std::vector<long> ListCalls(const Scenario& scenario) {
  scenario.Reset();
  std::vector<long> numbers;
  const auto note = [&](const Call& call) {
    numbers.push_back(call.number);
    return Verdict{};
  };
  Trace(scenario.command(), {scenario.folder(), scenario.log(), note});
  return numbers;
}

// No kernel fails these in such a way, and the C library ends the program where one does.
bool CanFail(long number) {
  return number != SYS_futex && number != SYS_rt_sigaction && number != SYS_rt_sigprocmask && number != SYS_rseq &&
         number != SYS_set_robust_list && number != SYS_rt_sigreturn;
}

bool CanBeShort(long number) {
  return number == SYS_read || number == SYS_write || number == SYS_pread64 || number == SYS_pwrite64;
}

std::string ErrorName(const Verdict& verdict) {
  if (verdict.kind == Verdict::Kind::kShorten) return "half";
  switch (verdict.error) {
    case EIO:
      return "EIO";
    case ENOSPC:
      return "ENOSPC";
    case EDQUOT:
      return "EDQUOT";
    default:
      return "EINTR";
  }
}

// Where all that follow fail too there is little that a run can still do, and less to go wrong.
constexpr size_t kFollowStep = 7;

// A run after a crash does its work and cleans up.
void CheckNextRun(const Scenario& scenario, const std::string& where, Tally& tally) {
  std::vector<std::string> words = scenario.command();
  bool forced = false;
  for (const std::string& word : words) forced = forced || word == "--force";
  if (!forced && words[1] == "apply") words.emplace_back("--force");
  if (Run(words, scenario.log()) != 0) return tally.Wrong(where, "the next run fails");
  if (ReadFolder(scenario.folder() + "/out") != scenario.complete()) {
    tally.Wrong(where, "after the next run the folder is not as it should be");
  }
}

}  // namespace

void Tally::Add(int status) {
  ++runs;
  ++exit_codes[WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)];
}

void Tally::Wrong(const std::string& where, const std::string& what) {
  if (wrong.size() < 10)
    wrong.push_back(where + ": " + what);
  else
    wrong.back() = "and more";
}

std::string Tally::Line() const {
  std::string line = std::to_string(runs) + " runs; exit codes";
  for (const auto& [code, count] : exit_codes) line += " " + std::to_string(code) + "×" + std::to_string(count);
  if (left > 0) line += "; " + std::to_string(left) + " temporary files after SIGKILL, removed by the next run";
  line += wrong.empty() ? "; all as promised" : "; WRONG:";
  for (const std::string& text : wrong) line += "\n    " + text;
  return line;
}

Tally SystemCallFaults(const Scenario& scenario, size_t step) {
  Tally tally;
  const std::vector<long> calls = ListCalls(scenario);
  using Kind = Verdict::Kind;
  const std::vector<Verdict> verdicts = {
      {Kind::kFail, EIO}, {Kind::kFail, ENOSPC}, {Kind::kFail, EDQUOT}, {Kind::kFail, EINTR}, {Kind::kShorten, 0}};
  for (size_t at = 0; at < calls.size(); at += step) {
    for (const Verdict& verdict : verdicts) {
      // With threads another call may come at this place, but then this one comes at another.
      if (!(verdict.kind == Kind::kShorten ? CanBeShort(calls[at]) : CanFail(calls[at]))) continue;
      scenario.Reset();
      std::string name;
      const auto decide = [&](const Call& call) -> Verdict {
        if (call.index != at) return {};
        name = CallName(call.number);
        return CanFail(call.number) ? verdict : Verdict{};
      };
      const TraceResult result = Trace(scenario.command(), {scenario.folder(), scenario.log(), decide});
      tally.Add(result.status);
      // A file whose removal is refused stays as after a kill: hidden, and removed by the next run.
      std::string what = name == "unlink" ? scenario.JudgeKilled(tally.left) : scenario.Judge(result.status);
      if (!what.empty()) {
        tally.Wrong("call " + std::to_string(at) + " (" + name + ") gets " + ErrorName(verdict), what);
      }
    }
  }
  return tally;
}

Tally KillAtEachCall(const Scenario& scenario, size_t step) {
  Tally tally;
  if (scenario.only_prints()) return tally;
  const size_t calls = ListCalls(scenario).size();
  for (size_t at = 0; at < calls; at += step) {
    scenario.Reset();
    const auto decide = [&](const Call& call) -> Verdict {
      return {call.index == at ? Verdict::Kind::kKill : Verdict::Kind::kPass, 0};
    };
    const TraceResult result = Trace(scenario.command(), {scenario.folder(), scenario.log(), decide});
    tally.Add(result.status);
    const std::string where = "SIGKILL at call " + std::to_string(at);
    if (std::string what = scenario.JudgeKilled(tally.left); !what.empty()) tally.Wrong(where, what);
    CheckNextRun(scenario, where, tally);
  }
  return tally;
}

Tally KillAtRandom(const Scenario& scenario, size_t count, uint64_t seed) {
  using Clock = std::chrono::steady_clock;
  Tally tally;
  if (scenario.only_prints()) return tally;
  scenario.Reset();
  const auto start = Clock::now();
  Run(scenario.command(), scenario.log());
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < count; ++i) {
    scenario.Reset();
    const std::vector<std::string> words = scenario.command();
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      if (!RedirectOutput(scenario.log())) ::_exit(126);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<uint64_t>(whole.count() * 5 / 4 + 1)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    tally.Add(status);
    if (std::string what = scenario.JudgeKilled(tally.left); !what.empty())
      tally.Wrong("SIGKILL " + std::to_string(i), what);
    if (i % 16 == 0) CheckNextRun(scenario, "SIGKILL " + std::to_string(i), tally);
  }
  return tally;
}

Tally AllocationFaults(const Scenario& scenario, const std::string& shim, size_t step) {
  Tally tally;
  AllocationServer server(scenario.command(), shim, scenario.log());
  for (const bool all_after : {false, true}) {
    for (size_t at = 1;; at += all_after ? step * kFollowStep : step) {
      scenario.Reset();
      const AllocationReply reply = server.Run({static_cast<long>(at), all_after});
      if (!reply.failed) break;  // the program needs fewer allocations
      tally.Add(reply.status);
      const std::string where = "allocation " + std::to_string(at) + (all_after ? " and all that follow" : "");
      if (std::string what = scenario.Judge(reply.status); !what.empty()) tally.Wrong(where, what);
    }
  }
  return tally;
}

Tally FullDisk(const Scenario& scenario) {
  Tally tally;
  const std::string out = scenario.folder() + "/out";
  if (scenario.only_prints() || !scenario.before().empty())
    return tally;  // the old output would have to fit beside the new one
  for (int kib = 16; kib <= 512; kib += 16) {
    scenario.Reset();
    const std::string options = "size=" + std::to_string(kib) + "k";
    if (::mount("tmpfs", out.c_str(), "tmpfs", 0, options.c_str()) != 0) {
      tally.Wrong("mount", "a tmpfs cannot be mounted (root is needed)");
      return tally;
    }
    const int code = Run(scenario.command(), scenario.log());
    tally.Add(code < 0 ? SIGABRT : code << 8);
    if (code > 0 && code != 4) tally.Wrong(options, "exit code " + std::to_string(code));
    if (std::string what = scenario.Judge(code < 0 ? SIGABRT : code << 8); !what.empty()) tally.Wrong(options, what);
    ::umount(out.c_str());
  }
  return tally;
}

namespace {

// One way into the output, and what it leaves there.
struct Writer {
  std::vector<std::string> command;
  Files output;
};

pid_t Start(const std::vector<std::string>& command, const std::string& log, std::chrono::microseconds delay) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (!RedirectOutput(log)) ::_exit(126);
  std::this_thread::sleep_for(delay);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

Tally ConcurrentRuns(const std::string& programs, const std::string& base, size_t count, uint64_t seed) {
  Tally tally;
  const std::string out = base + "/out";
  std::vector<Writer> writers;
  for (const char* source : {"a.safetensors", "other.safetensors"}) {
    for (const char* size : {"64KiB", "100KiB", "64MiB"}) {
      std::vector<std::string> command = {programs + "/ckmap",
                                          "apply",
                                          base + "/in/same.ckplan",
                                          base + "/in/" + source,
                                          "--target",
                                          base + "/in/a.safetensors",
                                          "-q",
                                          "-j1",
                                          "--to",
                                          "safetensors",
                                          "--max-shard-size",
                                          size,
                                          "-o",
                                          out + "/set"};
      fs::remove_all(out);
      fs::create_directory(out);
      if (Run(command, base + "/log") != 0) {
        tally.Wrong(source, "does not run alone");
        return tally;
      }
      writers.push_back({std::move(command), ReadFolder(out)});
    }
  }
  std::mt19937_64 random(seed);
  constexpr int kLongestDelay = 3000;
  for (size_t i = 0; i < count; ++i) {
    const std::string where = "pair " + std::to_string(i);
    fs::remove_all(out);
    fs::create_directory(out);
    const bool older = random() % 2 == 0;
    const bool force = older || random() % 2 == 0;
    if (older) Run(writers[random() % writers.size()].command, base + "/log");
    std::array<const Writer*, 2> pair = {&writers[random() % 3], &writers[3 + random() % 3]};
    std::array<pid_t, 2> children{};
    for (size_t k = 0; k < 2; ++k) {
      std::vector<std::string> command = pair[k]->command;
      if (force) command.emplace_back("--force");
      children[k] =
          Start(command, base + "/log" + std::to_string(k), std::chrono::microseconds(random() % kLongestDelay));
    }
    bool done = false;
    for (size_t k = 0; k < 2; ++k) {
      int status = 0;
      ::waitpid(children[k], &status, 0);
      tally.Add(status);
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      if (code != 0 && code != 2 && code != 4) tally.Wrong(where, "exit code " + std::to_string(code));
      done = done || code == 0;
    }
    if (!done) tally.Wrong(where, "neither run succeeds");
    const Files found = ReadFolder(out);
    if (found != pair[0]->output && found != pair[1]->output) {
      std::string names;
      for (const auto& [name, content] : found) names += " " + name;
      tally.Wrong(where, "the output is that of neither run:" + names);
    }
  }
  return tally;
}

}  // namespace ckmap::faults
