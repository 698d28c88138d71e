// Which files a run of tests is about. The tests of `NAME.ckmap` stand in it, or beside it in `NAME.test.ckmap`, which
// uses it; a pack's are those of all of its files.
#pragma once

#include <string>
#include <vector>

#include "compiler/compiler.h"
#include "compiler/program/loader.h"

namespace ckmap {

struct SuiteFile {
  std::string path;
  std::string name;  // as it is shown: "llama/hf2mindformers.test.ckmap"
};

struct Suite {
  std::string name;                       // as it was asked for
  std::string pack;                       // empty: a file outside of any pack
  std::vector<SuiteFile> files;           // rules first, each with its tests
  std::vector<PackMigration> migrations;  // of the pack, those that were asked for
  std::string folder;
};

// `name` is a file, a pack ("llama"), or a migration of a pack ("llama/hf2mindformers").
Result<Suite> FindSuite(const std::string& name, const LoadOptions& options);

}  // namespace ckmap
