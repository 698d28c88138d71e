#include "compiler/compiler.h"

#include <fmt/format.h>

#include "compiler/format/format.h"
#include "compiler/lower/lower.h"
#include "compiler/program/loader.h"
#include "compiler/reverse/reverse.h"
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

ReversedText ReverseToText(const std::string& path, const CompileOptions& options) {
  ReversedText result;
  DiagnosticSink sink;
  const Program program = LoadProgram(path, {options.pack_path, options.memory_files}, result.sources, sink);
  if (!program.units.empty()) {
    Analyze(program, SemaOptions{options.defines, true}, sink);
    std::optional<std::string> text = sink.has_errors() ? std::nullopt : ReverseText(program, result.sources, sink);
    if (text) {
      const FileId made = result.sources.Add(path + " (reversed)", *text);
      result.text = Format(result.sources.file(made), made, sink);
    }
  }
  if (result.text) {
    // What was written must be what the compiler takes.
    CompileOptions check;
    check.pack_path = options.pack_path;
    check.memory_files["reversed.ckmap"] = *result.text;
    const CompileResult compiled = Compile("reversed.ckmap", check);
    for (const Diagnostic& diagnostic : compiled.diagnostics) {
      if (compiled.plan) break;
      if (Info(diagnostic.kind).severity != Severity::kError) continue;
      const auto place = compiled.sources.file(diagnostic.primary.file).Locate(diagnostic.primary.begin);
      sink.Report(DiagnosticKind::kNotReversible, Span{program.units[0].file, 0, 0},
                  "the text from right to left is no valid file")
          .Note(fmt::format("line {} of it: {}: {}", place.line,
                            compiled.sources.file(diagnostic.primary.file).Line(place.line), diagnostic.message))
          .Emit();
    }
  }
  result.diagnostics = sink.Sorted();
  if (sink.has_errors()) result.text.reset();
  return result;
}

}  // namespace ckmap
