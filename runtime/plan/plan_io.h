// Reading and writing `.ckplan` files. What Load returns has been validated: every index,
// name reference, regular expression, operation and argument is one that bind can rely on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

namespace plan {
class Plan;
}

inline constexpr uint32_t kPlanFormat = 1;

// A validated plan. Cheap to copy, immutable.
class Plan {
 public:
  const plan::Plan& proto() const { return *proto_; }
  const std::string& digest() const { return digest_; }  // hex sha256 of the bytes

 private:
  friend Result<Plan> ParsePlan(std::string_view bytes);
  std::shared_ptr<const plan::Plan> proto_;
  std::string digest_;
};

// kMalformed for bytes that are no plan, are of a newer format, or break a rule of the schema.
Result<Plan> ParsePlan(std::string_view bytes);
Result<Plan> LoadPlan(const std::string& path);

// Deterministic: equal plans give equal bytes.
std::string SerializePlan(const plan::Plan& plan);

// Where installed packs are looked for: $CKMAP_PACKS, else ../share/ckmap/packs beside the running program.
std::vector<std::string> PackFolders();

// `name` is "resnet" or "resnet/torchvision2mindcv", looked up as `PACK/MIGRATION.ckplan` in
// the folders of packs.
Result<std::string> FindPackPlan(const std::string& name);

}  // namespace ckmap
