// A sample of each fault loop; `faults` runs them whole.
#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/faults/loops.h"
#include "tests/faults/tracer.h"
#include "tests/support/temp_folder.h"

namespace ckmap::faults {
namespace {

struct Fixture {
  TempFolder folder;
  std::vector<std::unique_ptr<Scenario>> scenarios;

  Fixture() {
    REQUIRE(PrepareInputs(CKMAP_PROGRAMS, CKMAP_SOURCE_DIR, folder.path()));
    scenarios = AllScenarios(CKMAP_PROGRAMS, folder.path());
  }
};

void Check(const Scenario& scenario, const Tally& tally, size_t least_runs) {
  INFO(scenario.name() << ": " << tally.Line());
  CHECK(tally.wrong.empty());
  CHECK(tally.runs >= least_runs);
}

TEST_CASE("system calls that fail, and kills, leave an output absent or complete") {
  if (!CanTrace()) {
    MESSAGE("no ptrace here: not tested");
    return;
  }
  const Fixture fixture;
  for (const auto& scenario : fixture.scenarios) {
    Check(*scenario, SystemCallFaults(*scenario, 97), 4);
    if (!scenario->only_prints()) Check(*scenario, KillAtEachCall(*scenario, 131), 1);
    if (!scenario->only_prints() && scenario->flushes()) Check(*scenario, PowerLoss(*scenario, 5, 1), 20);
  }
}

TEST_CASE("memory that runs out, and disks that are full, are errors") {
  const Fixture fixture;
  for (const auto& scenario : fixture.scenarios) Check(*scenario, AllocationFaults(*scenario, CKMAP_SHIM, 4999), 2);
  if (::geteuid() == 0) Check(*fixture.scenarios[0], FullDisk(*fixture.scenarios[0]), 10);
}

TEST_CASE("of two runs at once into one output, one is there whole") {
  const TempFolder folder;
  REQUIRE(PrepareInputs(CKMAP_PROGRAMS, CKMAP_SOURCE_DIR, folder.path()));
  const Tally tally = ConcurrentRuns(CKMAP_PROGRAMS, folder.path(), 24, 1);
  INFO(tally.Line());
  CHECK(tally.wrong.empty());
  CHECK(tally.runs == 48);
}

}  // namespace
}  // namespace ckmap::faults
