#include "runtime/migrate/public.h"

#include "runtime/migrate/public_options.h"
#include "runtime/migrate/verify.h"
#include "runtime/report/diff.h"
#include "runtime/report/load_check.h"

namespace ckmap::v1 {

Result<Verdict> Verify(const std::filesystem::path& output, const VerifyOptions& options) {
  Watch watch(options.stop, options.progress);
  VerifyRequest request;
  request.output = output.string();
  request.report = options.report.string();
  request.report_json = options.report_json;
  request.source = options.source.string();
  for (const auto& [name, path] : options.named_sources) {
    CKMAP_PUBLIC_OR_RETURN(NamedPath named, ParseNamedPath(name + "=" + path.string()));
    request.named_sources.push_back(std::move(named));
  }
  request.plan = options.plan;
  request.target = options.target.string();
  CKMAP_PUBLIC_OR_RETURN(request.params, ToParamFiles(options.params));
  request.progress = watch.progress();
  request.stop = watch.stop();
  CKMAP_PUBLIC_OR_RETURN(request.open, ToSourceOptions(options.open));
  auto outcome = VerifyOutput(request);
  watch.Rethrow();
  if (!outcome) return watch.Explain(std::move(outcome).error());
  return Verdict{.ok = outcome->issues.empty(),
                 .issues = ToPublic(outcome->issues),
                 .tensors = outcome->tensors,
                 .by_digest = outcome->by_digest,
                 .by_source = outcome->by_source,
                 .recomputed = outcome->recomputed,
                 .proved = outcome->issues.empty() ? outcome->proved : std::vector<std::string>(),
                 .unproved = outcome->unproved};
}

Result<std::vector<TensorDifference>> Diff(const Checkpoint& a, const Checkpoint& b, const DiffOptions& options) {
  Watch watch(options.stop, options.progress);
  auto result = CompareCheckpoints(
      *Access::StateOf(a).checkpoint, *Access::StateOf(b).checkpoint,
      {.rtol = options.rtol, .atol = options.atol, .progress = watch.progress(), .stop = watch.stop()});
  watch.Rethrow();
  if (!result) return watch.Explain(std::move(result).error());
  std::vector<TensorDifference> out;
  for (const TensorDiff& diff : result->differences) {
    out.push_back({.name = diff.name,
                   .kind = std::string(DiffKindName(diff.kind)),
                   .in_a = diff.in_a,
                   .in_b = diff.in_b,
                   .different = diff.different,
                   .elements = diff.elements,
                   .max_difference = diff.max_difference,
                   .first_index = diff.first_index});
  }
  return out;
}

std::vector<LoadVerdict> LoadCheck(const Manifest& checkpoint, const Manifest& network) {
  std::vector<LoadVerdict> out;
  for (const ckmap::LoadVerdict& verdict :
       CheckLoad(Access::StateOf(checkpoint).manifest, Access::StateOf(network).manifest)) {
    out.push_back({.rules = verdict.rules,
                   .fits = verdict.fits,
                   .loaded = verdict.loaded,
                   .missing = verdict.missing,
                   .unused = verdict.unused,
                   .issues = ToPublic(verdict.issues)});
  }
  return out;
}

}  // namespace ckmap::v1
