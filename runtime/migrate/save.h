// Runs a prepared migration and writes its output.
#pragma once

#include <string>

#include "runtime/base/result.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/writer.h"
#include "runtime/migrate/prepare.h"

namespace ckmap {

// By the name of a format, or by the path's ending if it is empty. `option`: what the caller calls the name, for
// messages.
Result<OutputFormat> FindOutputFormat(const std::string& path, const std::string& name, const std::string& option);

struct SaveRequest {
  OutputFormat format = OutputFormat::kMindSporeCkpt;
  WriteOptions write = {};  // without metadata and texts, which the migration gives
  bool digests = false;     // in the receipt that the output carries
  ExecOptions run = {};
};

// Converts and commits. `report` is that of the migration; what happened is added to it, warnings also where it fails.
Result<void> SaveMigration(const PreparedMigration& migration, const std::string& path, SaveRequest request,
                           MigrationReport& report);

// Values that saturated or became infinite were allowed, but are worth a word: one warning for each tensor.
void NoteOverflows(MigrationReport& report);

}  // namespace ckmap
