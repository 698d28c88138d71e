// What the options of <ckmap/ckmap.h> are to the library.
#pragma once

#include "runtime/migrate/public.h"
#include "runtime/migrate/save.h"

namespace ckmap::v1 {

ckmap::Result<SourceOptions> ToSourceOptions(const OpenOptions& options);
ckmap::Result<ParamFiles> ToParamFiles(const Params& params);
ckmap::Result<BindOptions> ToBindOptions(const Params& params);
// `path`: of the output.
ckmap::Result<SaveRequest> ToSaveRequest(const std::string& path, const SaveOptions& options, Watch& watch);
ExecOptions ToExecOptions(const RunOptions& options, Watch& watch);

}  // namespace ckmap::v1
