#include "compiler/compiler.h"

#include "compiler/lower/lower.h"
#include "compiler/sema/loader.h"
#include "compiler/sema/sema.h"
#include "compiler/source/own_stack.h"
#include "plan.pb.h"
#include "runtime/base/check.h"

namespace ckmap {

namespace {

void CompileInto(const std::string& path, const CompileOptions& options, CompileResult& result) {
  DiagnosticSink sink;
  const LoadOptions load{options.pack_path, options.memory_files};
  const Program program = LoadProgram(path, load, result.sources, sink);
  if (!program.units.empty()) {
    RuleSet rules = Analyze(program, SemaOptions{options.defines, options.reverse}, sink);
    if (!sink.has_errors()) {
      const plan::Plan proto = Lower(rules, result.sources, "ckmapc " CKMAP_VERSION, options.reverse);
      Result<Plan> plan = ParsePlan(SerializePlan(proto));
      if (plan) {
        result.plan = *std::move(plan);
        result.tests = std::move(rules.tests);
      } else {
        // Rules that are right may still be more than a plan may hold (expressions too deep, too
        // many regular expressions).
        sink.Report(DiagnosticKind::kPlanLimit, Span{program.units[0].file, 0, 0}, plan.error().message()).Emit();
      }
    }
  }
  result.diagnostics = sink.Sorted();
}

}  // namespace

CompileResult Compile(const std::string& path, const CompileOptions& options) {
  CompileResult result;
  RunOnOwnStack([&] { CompileInto(path, options, result); });
  return result;
}

}  // namespace ckmap
