// Random bytes as a plan; one that loads is bound to a small checkpoint, and its own bytes must load again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/bind/bind.h"
#include "runtime/plan/plan_io.h"

namespace {

ckmap::Manifest SmallManifest(bool target) {
  ckmap::Manifest manifest;
  const auto add = [&](const char* name, ckmap::Shape shape) {
    ckmap::TensorInfo info;
    info.name = name;
    info.dtype = ckmap::DType::kF32;
    info.shape = std::move(shape);
    manifest.Add(std::move(info));
  };
  for (const char* name : {"a", "b", "h.0.w", "h.1.w", "h.0.b", "e.0.x", "e.1.x", "m.norm.weight", "m.norm.bias"}) {
    add(name, target ? ckmap::Shape{-1, -1} : ckmap::Shape{4, 6});
  }
  add(target ? "c" : "s", {});
  return manifest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto plan = ckmap::ParsePlan(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!plan) return 0;
  if (!ckmap::ParsePlan(ckmap::SerializePlan(plan->proto()))) std::abort();
  (void)ckmap::Bind(*plan, SmallManifest(false), SmallManifest(true), {});
  return 0;
}
