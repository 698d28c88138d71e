#include <memory>

#include "runtime/cli/commands.h"
#include "runtime/migrate/open_source.h"
#include "runtime/report/diff.h"

namespace ckmap {

int RunDiff(const DiffArgs& args, const Console& console) {
  const auto open = MakeSourceOptions(args.open);
  if (!open) return console.Fail(open.error());
  const auto a = OpenCheckedSource(args.a, *open);
  if (!a) return console.Fail(a.error());
  const auto b = OpenCheckedSource(args.b, *open);
  if (!b) return console.Fail(b.error());
  console.Warn((*a)->warnings());
  console.Warn((*b)->warnings());
  ProgressBar bar(console, "comparing");
  const DiffOptions options{
      .rtol = args.rtol, .atol = args.atol, .progress = [&](int64_t done, int64_t total) { bar.Update(done, total); }};
  const auto result = CompareCheckpoints(**a, **b, options);
  bar.Clear();
  if (!result) return console.Fail(result.error());
  const int written = console.Write(args.format == DataFormat::kJson ? DiffJson(args.a, args.b, *result)
                                                                     : DiffText(*result, console.out(), args.all));
  if (written != 0) return written;
  return result->differences.empty() ? 0 : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
