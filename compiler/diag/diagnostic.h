// Mistakes of a rule author. All of them are collected, sorted by position, and rendered once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/source/source_map.h"

namespace ckmap {

enum class Severity : uint8_t { kError, kWarning };

enum class DiagnosticKind : uint16_t {
#define CKMAP_DIAGNOSTIC(code, name, severity, summary) name = code,
#include "compiler/diag/diagnostic_kinds.def"
};

struct DiagnosticInfo {
  uint16_t code;
  std::string_view name;  // "kUnknownName"
  Severity severity;
  std::string_view summary;  // "name is not defined"
};
const DiagnosticInfo& Info(DiagnosticKind kind);
std::vector<DiagnosticKind> AllDiagnosticKinds();
std::string FormatCode(DiagnosticKind kind);  // "CK0301"

struct Label {
  Span span;
  std::string text;
};

struct Edit {
  Span span;
  std::string replacement;
};

struct Fix {
  std::string title;
  std::vector<Edit> edits;
};

// Message style: lower case, no full stop, code in `backticks`, what was observed first; notes are
// facts, help is a suggestion.
struct Diagnostic {
  DiagnosticKind kind{};
  std::string message;
  Span primary;
  std::string primary_label;  // beside the underline; may be empty
  std::vector<Label> labels;
  std::vector<std::string> notes;
  std::string help;
  std::vector<Fix> fixes;
};

class DiagnosticSink {
 public:
  class [[nodiscard]] Builder {
   public:
    Builder(DiagnosticSink& sink, Diagnostic diagnostic) : sink_(sink), diagnostic_(std::move(diagnostic)) {}
    Builder&& Here(std::string text) && {
      diagnostic_.primary_label = std::move(text);
      return std::move(*this);
    }
    Builder&& With(Span span, std::string text) && {
      diagnostic_.labels.push_back({span, std::move(text)});
      return std::move(*this);
    }
    Builder&& Note(std::string text) && {
      diagnostic_.notes.push_back(std::move(text));
      return std::move(*this);
    }
    Builder&& Help(std::string text) && {
      diagnostic_.help = std::move(text);
      return std::move(*this);
    }
    Builder&& Suggest(Fix fix) && {
      diagnostic_.fixes.push_back(std::move(fix));
      return std::move(*this);
    }
    void Emit() && { sink_.Add(std::move(diagnostic_)); }

   private:
    DiagnosticSink& sink_;
    Diagnostic diagnostic_;
  };

  // Report(kind, span, "…").Here("…").Help("…").Emit();
  Builder Report(DiagnosticKind kind, Span primary, std::string message);
  void Add(Diagnostic diagnostic);

  bool has_errors() const { return errors_ > 0; }
  size_t error_count() const { return errors_; }
  // Sorted by file, position, code; equal ones once.
  std::vector<Diagnostic> Sorted() const;

 private:
  std::vector<Diagnostic> diagnostics_;
  size_t errors_ = 0;
};

}  // namespace ckmap
