// `faults KIND [COUNT [PROGRAMS [NAME]]]`: the whole of one kind of fault over all scenarios, with its figures; see
// README.md.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "tests/faults/loops.h"
#include "tests/faults/tracer.h"
#include "tests/support/temp_folder.h"

namespace ckmap::faults {
namespace {

constexpr uint64_t kSeed = 20;

int ForAll(const std::string& programs, const std::string& name, const std::function<Tally(const Scenario&)>& loop) {
  const TempFolder folder;
  if (!PrepareInputs(programs, CKMAP_SOURCE_DIR, folder.path())) return 2;
  bool ok = true;
  size_t runs = 0;
  for (const auto& scenario : AllScenarios(programs, folder.path())) {
    if (scenario->name().find(name) == std::string::npos) continue;
    const Tally tally = loop(*scenario);
    if (tally.runs == 0) continue;
    std::printf("%-36s %s\n", scenario->name().c_str(), tally.Line().c_str());
    std::fflush(stdout);
    ok = ok && tally.wrong.empty();
    runs += tally.runs;
  }
  std::printf("%zu runs, %s\n", runs, ok ? "all as promised" : "WRONG");
  return ok ? 0 : 1;
}

int Main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  const size_t count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  const std::string programs = argc > 3 ? argv[3] : CKMAP_PROGRAMS;
  const std::string name = argc > 4 ? argv[4] : "";
  const auto for_all = [&](const std::function<Tally(const Scenario&)>& loop) { return ForAll(programs, name, loop); };
  const auto or_else = [&](size_t value) { return count > 0 ? count : value; };
  if (kind == "calls") return for_all([&](const Scenario& s) { return SystemCallFaults(s, or_else(1)); });
  if (kind == "kill") return for_all([&](const Scenario& s) { return KillAtEachCall(s, or_else(1)); });
  if (kind == "kill-random") return for_all([&](const Scenario& s) { return KillAtRandom(s, or_else(125), kSeed); });
  if (kind == "memory") return for_all([&](const Scenario& s) { return AllocationFaults(s, CKMAP_SHIM, or_else(1)); });
  if (kind == "power") return for_all([&](const Scenario& s) { return PowerLoss(s, or_else(50), kSeed); });
  if (kind == "pairs") {
    const TempFolder folder;
    if (!PrepareInputs(programs, CKMAP_SOURCE_DIR, folder.path())) return 2;
    const Tally tally = ConcurrentRuns(programs, folder.path(), or_else(500), kSeed);
    std::printf("%s\n", tally.Line().c_str());
    return tally.wrong.empty() ? 0 : 1;
  }
  if (kind == "disk") return for_all([&](const Scenario& s) { return FullDisk(s); });
  std::fprintf(stderr,
               "usage: faults calls|kill|kill-random|memory|power|disk|pairs [STEP or COUNT [PROGRAMS [NAME]]]\n");
  return 2;
}

}  // namespace
}  // namespace ckmap::faults

int main(int argc, char** argv) { return ckmap::faults::Main(argc, argv); }
