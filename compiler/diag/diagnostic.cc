#include "compiler/diag/diagnostic.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "runtime/base/check.h"

namespace ckmap {
namespace {

constexpr DiagnosticInfo kInfos[] = {
#define CKMAP_DIAGNOSTIC(code, name, severity, summary) {code, #name, severity, summary},
#include "compiler/diag/diagnostic_kinds.def"
};

auto Position(const Diagnostic& d) {
  return std::tuple(d.primary.file.index, d.primary.begin, d.primary.end, static_cast<uint16_t>(d.kind));
}

bool SameFinding(const Diagnostic& a, const Diagnostic& b) {
  return Position(a) == Position(b) && a.message == b.message;
}

}  // namespace

const DiagnosticInfo& Info(DiagnosticKind kind) {
  for (const DiagnosticInfo& info : kInfos) {
    if (info.code == static_cast<uint16_t>(kind)) return info;
  }
  CKMAP_CHECK(false && "every kind is in the registry");
  return kInfos[0];
}

std::vector<DiagnosticKind> AllDiagnosticKinds() {
  std::vector<DiagnosticKind> kinds;
  for (const DiagnosticInfo& info : kInfos) kinds.push_back(static_cast<DiagnosticKind>(info.code));
  return kinds;
}

std::string FormatCode(DiagnosticKind kind) { return fmt::format("CK{:04}", static_cast<uint16_t>(kind)); }

DiagnosticSink::Builder DiagnosticSink::Report(DiagnosticKind kind, Span primary, std::string message) {
  Diagnostic diagnostic;
  diagnostic.kind = kind;
  diagnostic.primary = primary;
  diagnostic.message = std::move(message);
  return Builder(*this, std::move(diagnostic));
}

void DiagnosticSink::Add(Diagnostic diagnostic) {
  if (Info(diagnostic.kind).severity == Severity::kError) ++errors_;
  diagnostics_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> DiagnosticSink::Sorted() const {
  std::vector<Diagnostic> sorted = diagnostics_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return Position(a) < Position(b); });
  sorted.erase(std::unique(sorted.begin(), sorted.end(), SameFinding), sorted.end());
  return sorted;
}

}  // namespace ckmap
