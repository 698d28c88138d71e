#include "runtime/plan/plan_io.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/plan/plan_validate.h"
#include "runtime/plan/plan_wire.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".ckplan";

// A pack or migration name: a plain file name, so that no name leads out of the pack folders.
bool IsPackWord(std::string_view word) {
  return !word.empty() && word[0] != '.' && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '+';
  });
}

// None if it cannot be listed: a folder of packs need not be there.
std::vector<std::string> NamesIn(const fs::path& folder) {
  auto names = ListFolder(folder.string());
  return names ? *std::move(names) : std::vector<std::string>{};
}

// Names of the plans in a pack's folder, without their ending, sorted.
std::vector<std::string> PlansIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : NamesIn(folder)) {
    const fs::path file(name);
    if (file.extension() == kExtension) names.push_back(file.stem().string());
  }
  return names;
}

std::string InstalledPacks(const std::vector<fs::path>& folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) {
    for (const std::string& name : NamesIn(folder)) {
      if (!PlansIn(folder / name).empty()) names.push_back(EscapeText(name));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) return "no packs are installed; CKMAP_PACKS names the folder that holds them";
  return fmt::format("installed packs: {}", fmt::join(names, ", "));
}

}  // namespace

Result<Plan> ParsePlan(std::string_view bytes) {
  CKMAP_RETURN_IF_ERROR(CheckPlanWire(bytes));
  auto proto = std::make_shared<plan::Plan>();
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetRecursionLimit(kMaxPlanNesting + 1);
  if (!proto->ParseFromCodedStream(&input) || !input.ConsumedEntireMessage()) {
    return Error(ErrorCode::kMalformed, "not a plan, or a damaged one: protobuf cannot read it");
  }
  if (proto->source_separator().empty()) proto->set_source_separator(".");
  if (proto->target_separator().empty()) proto->set_target_separator(".");
  CKMAP_RETURN_IF_ERROR(ValidatePlan(*proto));
  Plan plan;
  plan.proto_ = std::move(proto);
  plan.digest_ = Sha256Hex(bytes);
  return plan;
}

Result<Plan> LoadPlan(const std::string& path) {
  auto bytes = ReadTextFile(path, static_cast<int64_t>(kMaxPlanBytes));
  if (!bytes) return std::move(bytes).error();
  auto plan = ParsePlan(*bytes);
  if (!plan) return std::move(plan).error().Context(path);
  return plan;
}

std::string SerializePlan(const plan::Plan& plan) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    CKMAP_CHECK(plan.SerializeToCodedStream(&output));
  }
  return bytes;
}

// First wins.
std::vector<std::string> PackFolders() {
  std::vector<std::string> folders;
  if (const char* variable = std::getenv("CKMAP_PACKS"); variable != nullptr && *variable != '\0') {
    std::string_view rest = variable;
    while (!rest.empty()) {
      const size_t colon = std::min(rest.find(':'), rest.size());
      if (colon > 0) folders.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return folders;
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back((program.parent_path().parent_path() / "share/ckmap/packs").string());
  return folders;
}

Result<std::string> FindPackPlan(const std::string& name) {
  const size_t slash = name.find('/');
  const std::string pack = name.substr(0, slash);
  const std::string migration = slash == std::string::npos ? "" : name.substr(slash + 1);
  if (!IsPackWord(pack) || (slash != std::string::npos && !IsPackWord(migration))) {
    return Error(ErrorCode::kUsage, fmt::format("`{}` is neither a plan file that exists nor the "
                                                "name of a pack (PACK or PACK/MIGRATION)",
                                                EscapeText(name)));
  }
  const std::vector<std::string> names = PackFolders();
  const std::vector<fs::path> folders(names.begin(), names.end());
  for (const fs::path& folder : folders) {
    const std::vector<std::string> plans = PlansIn(folder / pack);
    if (plans.empty()) continue;
    std::string chosen = migration;
    if (chosen.empty()) chosen = plans.size() == 1 ? plans[0] : pack;
    if (std::find(plans.begin(), plans.end(), chosen) != plans.end()) {
      return (folder / pack / (chosen + std::string(kExtension))).string();
    }
    std::vector<std::string> full;
    for (const std::string& plan : plans) full.push_back(fmt::format("{}/{}", pack, EscapeText(plan)));
    return Error(ErrorCode::kUsage, migration.empty() ? fmt::format("pack `{}` has several migrations; name one of: {}",
                                                                    pack, fmt::join(full, ", "))
                                                      : fmt::format("pack `{}` has no migration `{}`; it has: {}", pack,
                                                                    migration, fmt::join(full, ", ")));
  }
  return Error(ErrorCode::kUsage, fmt::format("`{}` is neither a plan file that exists nor an installed pack; {}",
                                              EscapeText(name), InstalledPacks(folders)));
}

}  // namespace ckmap
