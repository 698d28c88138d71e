// From a model's folder to a folder that another library loads: `ckmap migrate`. Thin over runtime/migrate: what is done
// here can be done by hand, with the commands that a result lists.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/executor.h"
#include "runtime/folder/survey.h"
#include "runtime/migrate/verify.h"
#include "runtime/report/migration_report.h"

namespace ckmap {

// A library that folders are made for.
struct TargetLibrary {
  std::string name;       // "mindcv"
  bool keeps_names;       // its loader takes the names of the hub: nothing is renamed
  std::string extension;  // of the weights that it loads: "safetensors", "ckpt"
};
const std::vector<TargetLibrary>& TargetLibraries();

struct FolderRequest {
  std::string folder;
  std::string library;      // the name of one of TargetLibraries()
  std::string pack = {};    // PACK/MIGRATION; empty: the one that fits
  std::string target = {};  // as FindTarget takes it; empty: what the pack describes
  std::map<std::string, std::string> defines = {};
  bool with_code = false;
  bool fsync = true;
  ExecOptions run = {};
};

struct FolderResult {
  std::string pack;
  std::string weights_in;                                        // the path of the source's checkpoint
  std::string weights_out;                                       // the name of the output's, in its folder
  std::map<std::string, std::string> params;                     // of the pack, by -D
  std::vector<std::string> carried;                              // names
  std::vector<std::pair<std::string, std::string>> left_behind;  // names and reasons
  std::vector<std::string> config_changes;                       // "torch_dtype = bfloat16", a line each
  std::vector<std::string> warnings;
  MigrationReport report;
};

// Fills `out`, a folder that exists and is empty, with the whole result; what stands there after an Error is of no use.
// kMismatch where no pack fits, several do that move other elements, a parameter is not decided, or the config
// contradicts the tensors.
Result<FolderResult> MigrateFolder(const FolderRequest& request, const std::string& out);

// Makes the elements again from the source, and compares. `report_json`: of the migration.
Result<VerifyOutcome> VerifyFolder(const FolderRequest& request, const FolderResult& result, const std::string& out,
                                   const std::string& report_json);

// The commands that do the same, a line each, for a shell. `out`: the folder's final name.
std::vector<std::string> CommandsFor(const FolderRequest& request, const FolderResult& result, const std::string& out);

}  // namespace ckmap
