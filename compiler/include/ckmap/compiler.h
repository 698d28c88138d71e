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

struct SuggestOptions {
  std::vector<std::filesystem::path> packs = {};   // folders that hold packs; then the installed ones
  std::string source_name = {}, target_name = {};  // as the draft's comment names them
  bool try_packs = true;                           // a pack that takes the one to the other is the draft
  std::map<std::string, std::string> params = {};  // parameters of packs
  std::filesystem::path config = {};               // a config.json that holds parameters of packs
};

// What `ckmapc suggest` writes. The text compiles, and binds to the two manifests.
struct Draft {
  std::string text;
  std::vector<std::string> certain;  // target tensors whose rule follows from names and shapes
  std::vector<std::string> open;     // target tensors whose rule waits for a decision
  int64_t decisions = 0;             // statements `decide` in the text
};

// A first draft of rules. kIo, kMalformed: the config.
Result<Draft> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options = {});
// The same; reads every tensor of both, and settles by equal values what names and shapes leave open.
Result<Draft> Suggest(const Checkpoint& source, const Checkpoint& target, const SuggestOptions& options = {});

}  // namespace v1
}  // namespace ckmap
