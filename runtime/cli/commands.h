// The commands of `ckmap`, one function each; they return the program's exit code.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/cli/console.h"
#include "runtime/cli/source_args.h"
#include "runtime/formats/writer.h"

namespace ckmap {

enum class DataFormat { kText, kJson };

struct InspectArgs {
  std::string path;
  SourceArgs open;
  bool digest = false;
  bool spec = false;  // print a spec instead
  bool all = false;
  DataFormat format = DataFormat::kText;
};
int RunInspect(const InspectArgs& args, const Console& console);

// Of `plan` (no output) and `apply`.
struct MigrateArgs {
  bool detect = false;                          // of `plan` alone: only say which packs bind
  std::string plan;                             // a .ckplan file, or the name of a pack
  std::string source;                           // empty: only named ones
  std::vector<std::string> named_source_texts;  // --source NAME=FILE
  std::vector<NamedPath> named_sources;         // read from those
  std::string target;
  TargetOptions target_options;
  SourceArgs open;
  std::map<std::string, std::string> defines;
  std::string config;                 // path of a config.json
  std::map<std::string, Rank> ranks;  // --rank tp=1/8
  std::vector<MeshAxis> mesh;         // --mesh dp=2,tp=8
  std::string device_map;             // path
  int threads = 0;
  int64_t max_memory = int64_t{64} << 20;
  std::vector<std::string> reports;  // paths, each ends in .json or .html
  bool all = false;
  bool force = false;
  DataFormat format = DataFormat::kText;

  std::string output;  // apply only, from here on
  std::string to;      // ckpt, safetensors, torch, npz, gguf, ckpt2; empty: by the output's ending
  int64_t max_shard_size = 0;
  bool fsync = true;
  bool crc = false;
  std::string encrypt;  // aes-gcm, aes-cbc, sm4-cbc; empty: no
  KeyArgs output_key;   // empty: the source's
  bool old_scalars = false;
  bool replicas = false;
  bool digest = false;  // in the receipt
};
// With args.detect; there is no plan then, and the target may be missing.
int RunDetect(const MigrateArgs& args, const Console& console);
int RunPlan(const MigrateArgs& args, const Console& console);
int RunApply(const MigrateArgs& args, const Console& console);

enum class SandboxMode {
  kOff,
  kOn,       // as far as the kernel has it
  kRequire,  // an error where it has not
};

// Of `migrate`.
struct FolderArgs {
  std::string folder;
  std::string output;
  std::string to;      // a library
  std::string pack;    // empty: the one that fits
  std::string target;  // empty: what the pack describes
  std::map<std::string, std::string> defines;
  bool with_code = false;
  int threads = 0;
  int64_t max_memory = int64_t{64} << 20;
  bool fsync = true;
  SandboxMode sandbox = SandboxMode::kOn;
};
int RunFolder(const FolderArgs& args, const Console& console);

struct LoadCheckArgs {
  std::string source;
  std::string target;
  TargetOptions target_options;
  SourceArgs open;
  bool all = false;
  DataFormat format = DataFormat::kText;
};
int RunLoadCheck(const LoadCheckArgs& args, const Console& console);

struct DiffArgs {
  std::string a;
  std::string b;
  SourceArgs open;
  double rtol = 0;
  double atol = 0;
  bool all = false;
  DataFormat format = DataFormat::kText;
};
int RunDiff(const DiffArgs& args, const Console& console);

struct VerifyArgs {
  std::string output;
  std::string report;                // the JSON report of the `apply` that wrote it; empty: the receipt in the output
  std::vector<std::string> sources;  // --source FILE, --source NAME=FILE
  std::string source;                // read from those; empty: it is not compared
  std::vector<NamedPath> named_sources;
  std::string plan;    // a .ckplan file, or the name of a pack; empty: what is said of it is not recomputed
  std::string target;  // that it was written for; empty: the output itself
  std::string card;    // the name of a network: print a verification card for pack.yaml
  std::string card_source, card_target;  // library, version and class of the networks
  std::string against;                   // the same by another converter, for the card
  std::string config;                    // path of a config.json
  std::map<std::string, std::string> defines;
  SourceArgs open;
  DataFormat format = DataFormat::kText;
};
int RunVerify(const VerifyArgs& args, const Console& console);

}  // namespace ckmap
