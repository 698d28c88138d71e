// Random migrations through the library, against what the operations mean:
//
//   differential [--cases N] [--seed S] [--jobs J]     a run; exit code 1 if a case differs
//   differential --case K [--seed S] [--keep FOLDER]   one case of a run: what it is, with its files and the commands
//
// A case that crashes or hangs ends the process that it runs in, not the run: each job is a child that the parent
// replaces.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "tests/differential/run.h"

namespace {

namespace fs = std::filesystem;
using ckmap::testing::RunCase;
using ckmap::testing::Verdict;
using ckmap::testing::WriteCase;

constexpr unsigned kSecondsForACase = 20;

struct Options {
  int64_t cases = 500, only = -1, jobs = 1;
  uint64_t seed = 1;
  std::string keep;
};

// What the children tell.
struct Tally {
  int64_t at = 0;  // the case that is running
  int64_t refused = 0, not_written = 0, back_by_plan = 0, back_by_text = 0, differ = 0;
};

uint64_t SeedOf(const Options& options, int64_t index) {
  uint64_t seed = options.seed * 0x9e3779b97f4a7c15 + static_cast<uint64_t>(index) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ seed >> 30) * 0x94d049bb133111eb;
  return seed ^ seed >> 31;
}

std::string NewFolder() {
  const char* base = fs::exists("/dev/shm") ? "/dev/shm" : "/tmp";
  std::string folder = std::string(base) + "/ckmap-differential-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("mkdtemp");
    std::exit(2);
  }
  return folder;
}

void Report(const Options& options, int64_t index, const std::string& what) {
  std::printf("case %lld: %s\n  to see it: differential --seed %llu --case %lld --keep FOLDER\n",
              static_cast<long long>(index), what.c_str(), static_cast<unsigned long long>(options.seed),
              static_cast<long long>(index));
  std::fflush(stdout);
}

// Cases first, first + jobs, … In a child.
void RunFrom(const Options& options, int64_t first, const std::string& folder, Tally& tally) {
  for (int64_t i = first; i < options.cases; i += options.jobs) {
    tally.at = i;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove_all(entry);
    ::alarm(kSecondsForACase);
    const Verdict verdict = RunCase(SeedOf(options, i), folder);
    ::alarm(0);
    tally.refused += verdict.refused ? 1 : 0;
    tally.not_written += verdict.not_written ? 1 : 0;
    tally.back_by_plan += verdict.back_by_plan ? 1 : 0;
    tally.back_by_text += verdict.back_by_text ? 1 : 0;
    if (verdict.difference.empty()) continue;
    ++tally.differ;
    Report(options, i, verdict.difference);
  }
  tally.at = options.cases;
}

int RunAll(const Options& options) {
  const size_t bytes = sizeof(Tally) * static_cast<size_t>(options.jobs);
  void* shared = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  auto* tallies = static_cast<Tally*>(shared);
  std::vector<std::string> folders;
  std::vector<pid_t> children(static_cast<size_t>(options.jobs));
  const auto start = [&](int64_t job, int64_t first) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      RunFrom(options, first, folders[static_cast<size_t>(job)], tallies[job]);
      std::fflush(stdout);
      ::_exit(0);
    }
    children[static_cast<size_t>(job)] = child;
  };
  for (int64_t job = 0; job < options.jobs; ++job) {
    new (&tallies[job]) Tally();
    folders.push_back(NewFolder());
    start(job, job);
  }
  int64_t crashes = 0;
  for (int64_t job = 0; job < options.jobs; ++job) {
    for (;;) {
      int status = 0;
      if (::waitpid(children[static_cast<size_t>(job)], &status, 0) < 0) return 2;
      const int64_t at = tallies[job].at;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      ++crashes;
      const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      Report(options, at,
             signal == SIGALRM ? "takes more than 20 seconds"
             : signal != 0     ? std::string("ends by ") + ::strsignal(signal)
                               : "ends the process");
      if (at + options.jobs >= options.cases) break;
      start(job, at + options.jobs);
    }
    fs::remove_all(folders[static_cast<size_t>(job)]);
  }
  Tally sum;
  for (int64_t job = 0; job < options.jobs; ++job) {
    sum.refused += tallies[job].refused;
    sum.not_written += tallies[job].not_written;
    sum.back_by_plan += tallies[job].back_by_plan;
    sum.back_by_text += tallies[job].back_by_text;
    sum.differ += tallies[job].differ;
  }
  std::printf(
      "%lld cases, seed %llu: %lld differ, %lld crash; %lld are rightly refused, %lld hold what no format takes; "
      "%lld come back by the reversed plan, %lld by the reversed text\n",
      static_cast<long long>(options.cases), static_cast<unsigned long long>(options.seed),
      static_cast<long long>(sum.differ), static_cast<long long>(crashes), static_cast<long long>(sum.refused),
      static_cast<long long>(sum.not_written), static_cast<long long>(sum.back_by_plan),
      static_cast<long long>(sum.back_by_text));
  return sum.differ == 0 && crashes == 0 ? 0 : 1;
}

int ShowOne(const Options& options) {
  const uint64_t seed = SeedOf(options, options.only);
  const std::string folder = options.keep.empty() ? NewFolder() : options.keep;
  fs::create_directories(folder);
  std::printf("%s", WriteCase(seed, folder).c_str());
  std::fflush(stdout);
  const Verdict verdict = RunCase(seed, folder);
  std::printf("%s\n", verdict.difference.empty() ? "as it should be" : verdict.difference.c_str());
  if (options.keep.empty()) fs::remove_all(folder);
  return verdict.difference.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) name == "--help" ? std::exit(0) : std::exit(2);
    if (name == "--cases")
      options.cases = std::atoll(value);
    else if (name == "--seed")
      options.seed = std::strtoull(value, nullptr, 10);
    else if (name == "--jobs")
      options.jobs = std::max(1LL, std::atoll(value));
    else if (name == "--case")
      options.only = std::atoll(value);
    else if (name == "--keep")
      options.keep = value;
    else
      return 2;
  }
  return options.only >= 0 ? ShowOne(options) : RunAll(options);
}
