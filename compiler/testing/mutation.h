// How good are the tests of some rules? Each rule is changed in small ways, and the tests run on each change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/compiler.h"
#include "compiler/testing/mutants.h"
#include "compiler/testing/suite.h"
#include "runtime/bind/bind.h"
#include "runtime/report/style.h"

namespace ckmap {

enum class Fate : uint8_t {
  kKilled,      // a test fails
  kSurvived,    // all tests pass, and something is different
  kEquivalent,  // nothing is different on any of the manifests, and some of them use the statement
  kUnreached,   // nothing is different, and no manifest uses the statement: counted as survived
  kRefused,     // it does not compile; not counted
};

struct MutantOutcome {
  std::string file;  // as it is shown
  uint32_t line = 0;
  std::string change;
  Fate fate = Fate::kSurvived;
  std::string by;  // kKilled: the test
};

struct MutationResult {
  std::string suite;
  std::vector<MutantOutcome> mutants;

  int64_t Count(Fate fate) const;
  // Killed of those that count, in percent; 100 where none counts.
  double score() const;
};

struct MutationOptions {
  std::vector<std::string> pack_path;
  BindOptions bind;
  // A folder with NAME.source.json, NAME.target.json and perhaps NAME.config.json for the networks that a pack.yaml
  // names as `verified`: these have to bind too. Empty: none.
  std::string manifests;
};

// An Error if a file does not compile or a test fails before anything is changed, or if there are no tests.
Result<MutationResult> RunMutations(const Suite& suite, const MutationOptions& options);

// The survivors, then a table with one row for each suite.
std::string RenderMutations(const std::vector<MutationResult>& results, const Style& style);
std::string RenderMutationsJson(const std::vector<MutationResult>& results);

}  // namespace ckmap
