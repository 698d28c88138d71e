// convert PLAN SOURCE TARGET OUT: converts, looks at the result and checks it.
#include <cstdio>

#include <ckmap/ckmap.h>

namespace {

ckmap::Result<size_t> Convert(const char* plan_path, const char* source_path, const char* target_path,
                              const char* out) {
  CKMAP_TRY(const ckmap::Plan plan, ckmap::Plan::Load(plan_path));
  CKMAP_TRY(const ckmap::Checkpoint source, ckmap::Checkpoint::Open(source_path));
  CKMAP_TRY(const ckmap::Migration migration, ckmap::Migration::Prepare(plan, source, target_path));
  CKMAP_TRY(const ckmap::Report report, migration.Save(out, {.digest = true}));
  CKMAP_TRY(ckmap::TensorStream stream, migration.Load());
  size_t loaded = 0;
  for (;; ++loaded) {
    CKMAP_TRY(const auto tensor, stream.Next());
    if (!tensor) break;
  }
  CKMAP_TRY(const ckmap::Verdict verdict, ckmap::Verify(out, {.report_json = report.json}));
  return verdict.ok ? loaded : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto done = Convert(argv[1], argv[2], argv[3], argv[4]);
  if (done) return std::printf("%zu tensors\n", *done), *done > 0 ? 0 : 1;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return static_cast<int>(done.error().code());
}
