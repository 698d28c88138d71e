// convert PLAN SOURCE TARGET OUT
#include <cstdio>
#include <utility>

#include <ckmap/runtime.h>

namespace {

ckmap::Result<size_t> Convert(const char* plan_path, const char* source_path, const char* target_path, const char* out) {
  CKMAP_ASSIGN_OR_RETURN(const ckmap::Plan plan, ckmap::LoadPlan(plan_path));
  CKMAP_ASSIGN_OR_RETURN(const auto source, ckmap::OpenCheckpoint(source_path));
  CKMAP_ASSIGN_OR_RETURN(ckmap::Manifest target, ckmap::ReadManifest(target_path));
  CKMAP_ASSIGN_OR_RETURN(ckmap::BindResult bound, ckmap::Bind(plan, source->manifest(), std::move(target), {}));
  if (!bound.plan) return ckmap::Error(ckmap::ErrorCode::kMismatch, bound.issues.front().message);
  std::vector<ckmap::OutputTensor> tensors;
  for (const auto& tensor : bound.plan->tensors) tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
  CKMAP_ASSIGN_OR_RETURN(const auto writer, ckmap::CreateCheckpoint(out, ckmap::OutputFormat::kMindSporeCkpt,
                                                                    std::move(tensors), {}));
  CKMAP_RETURN_IF_ERROR(ckmap::Execute(*bound.plan, *source, *writer, {}));
  CKMAP_RETURN_IF_ERROR(writer->Commit());
  return bound.plan->tensors.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto done = Convert(argv[1], argv[2], argv[3], argv[4]);
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return static_cast<int>(done.error().code());
  }
  std::printf("%zu tensors\n", *done);
  return 0;
}
