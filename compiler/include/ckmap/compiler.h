// Compiles rules to plans. Needs <ckmap/ckmap.h>, whose head says what holds for errors, ownership and threads; link
// ckmap::compiler.
//
//     CKMAP_TRY(auto plan, ckmap::Compile("torch2ms.ckmap"));
//     CKMAP_TRY(auto plan, ckmap::CompileText("ckmap 1;\nmigration t from pytorch to mindspore;\nrename fc -> dense;\n"));
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <ckmap/ckmap.h>

namespace ckmap {
namespace v1 {

struct CompileOptions {
  std::vector<std::filesystem::path> packs =
      {};  // folders that hold packs, for `use`, the first wins; then the installed ones
  std::map<std::string, std::string> files = {};   // path → text, looked at before the disk
  std::map<std::string, std::string> params = {};  // parameter → value as it would be typed; fixed in the plan
  bool reverse = false;                            // the plan runs from right to left
  std::vector<Issue>* warnings = nullptr;          // where the warnings go of rules that compile; not owned
};

// A .ckmap file and what it uses. kMisfit: the rules have mistakes; the Error's issues are all of them, each with file,
// line and column, and its message shows them as `ckmapc` does. A file that cannot be read is such an issue too.
Result<Plan> Compile(const std::filesystem::path& path, const CompileOptions& options = {});

// The same for text. `name` is what messages call it; what it uses is looked up beside it.
Result<Plan> CompileText(std::string_view text, const std::string& name = "rules.ckmap",
                         const CompileOptions& options = {});

}  // namespace v1
}  // namespace ckmap
