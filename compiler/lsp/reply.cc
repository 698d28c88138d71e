#include "compiler/lsp/reply.h"

#include <fmt/format.h>

namespace ckmap::lsp {
namespace {

// As the protocol numbers them.
constexpr int kError = 1, kWarning = 2, kInformation = 3;
constexpr size_t kMaxIssues = 20;

int KindOf(Outline::Kind kind) {
  switch (kind) {
    case Outline::Kind::kMigration:
      return 2;  // module
    case Outline::Kind::kParam:
      return 13;  // variable
    case Outline::Kind::kLet:
      return 14;  // constant
    case Outline::Kind::kLayer:
      return 5;  // class
    case Outline::Kind::kWithin:
      return 3;  // namespace
    case Outline::Kind::kRule:
      return 12;  // function
    case Outline::Kind::kRename:
      return 20;  // key
    case Outline::Kind::kUse:
      return 4;  // package
    case Outline::Kind::kTest:
      return 24;  // event
    case Outline::Kind::kOther:
      return 15;  // string
  }
  return 15;
}

// Notes and help belong to the message: editors show nothing else of them.
std::string FullMessage(const std::string& message, const std::vector<std::string>& notes, const std::string& help) {
  std::string text = message;
  for (const std::string& note : notes) text += "\nnote: " + note;
  if (!help.empty()) text += "\nhelp: " + help;
  return text;
}

class DiagnosticWriter {
 public:
  DiagnosticWriter(JsonWriter& json, const std::string& uri, const Analysis& analysis)
      : json_(json), uri_(uri), analysis_(analysis), lines_(analysis.file().text()) {}

  void Run() {
    const FileId own = FileOfCompiled();
    size_t elsewhere = 0;
    const Diagnostic* first = nullptr;
    for (const Diagnostic& diagnostic : analysis_.compiled.diagnostics) {
      if (diagnostic.primary.file == own) {
        Write(diagnostic);
      } else if (Info(diagnostic.kind).severity == Severity::kError && elsewhere++ == 0) {
        first = &diagnostic;
      }
    }
    if (first != nullptr) WriteElsewhere(*first, elsewhere);
    WriteManifest(analysis_.directives.source, analysis_.source);
    WriteManifest(analysis_.directives.target, analysis_.target);
    WriteIssues();
  }

 private:
  // The compiler has texts of its own; that of the file is found by its name and text.
  FileId FileOfCompiled() const {
    for (uint32_t i = 0; i < analysis_.compiled.sources.size(); ++i) {
      const SourceFile& file = analysis_.compiled.sources.file({i});
      if (file.name() == analysis_.file().name() && file.text() == analysis_.file().text()) return {i};
    }
    return {0};
  }

  void Begin(Span span, int severity, const std::string& code, const std::string& message) {
    json_.BeginObject().Key("range");
    WriteRange(json_, lines_, span);
    json_.Key("severity").Int(severity);
    if (!code.empty()) json_.Key("code").String(code);
    json_.Key("source").String("ckmap").Key("message").String(message);
  }

  void Write(const Diagnostic& diagnostic) {
    const bool error = Info(diagnostic.kind).severity == Severity::kError;
    std::string message = diagnostic.message;
    if (!diagnostic.primary_label.empty()) message += ": " + diagnostic.primary_label;
    Begin(diagnostic.primary, error ? kError : kWarning, FormatCode(diagnostic.kind),
          FullMessage(message, diagnostic.notes, diagnostic.help));
    json_.Key("relatedInformation").BeginArray();
    for (const Label& label : diagnostic.labels) {
      if (!(label.span.file == diagnostic.primary.file)) continue;
      json_.BeginObject().Key("location").BeginObject().Key("uri").String(uri_).Key("range");
      WriteRange(json_, lines_, label.span);
      json_.EndObject().Key("message").String(label.text).EndObject();
    }
    json_.EndArray().EndObject();
  }

  // Mistakes in a used file: told where this file uses anything.
  void WriteElsewhere(const Diagnostic& diagnostic, size_t count) {
    Span span{{}, 0, 0};
    for (const ast::Statement& statement : analysis_.program.units[0].tree.statements) {
      if (!std::holds_alternative<ast::Use>(statement.kind)) continue;
      span = statement.span;
      break;
    }
    const SourceFile& file = analysis_.compiled.sources.file(diagnostic.primary.file);
    const LineColumn place = file.Locate(diagnostic.primary.begin);
    Begin(span, kError, FormatCode(diagnostic.kind),
          fmt::format("{}:{}: {}{}", file.name(), place.line, diagnostic.message,
                      count > 1 ? fmt::format(" (and {} more in used files)", count - 1) : ""));
    json_.EndObject();
  }

  void WriteManifest(const std::optional<Directives::Directive>& directive, const NamedManifest& named) {
    if (!directive || named.error.empty()) return;
    Begin(directive->span, kWarning, "", fmt::format("{}: {}", named.path, named.error));
    json_.EndObject();
  }

  // What does not fit when the rules meet the manifests: at the comment that names the target.
  void WriteIssues() {
    const Span span = analysis_.directives.target   ? analysis_.directives.target->span
                      : analysis_.directives.source ? analysis_.directives.source->span
                                                    : Span{{}, 0, 0};
    for (const Cause& cause : analysis_.causes.causes) {
      Begin(span, kError, "",
            FullMessage(fmt::format("{} ({} of {} errors)", cause.message, cause.explains, analysis_.causes.errors),
                        cause.notes, ""));
      json_.EndObject();
    }
    size_t written = 0;
    for (const Issue& issue : analysis_.issues) {
      if (++written > kMaxIssues) break;
      const int severity = issue.severity == IssueSeverity::kError     ? kError
                           : issue.severity == IssueSeverity::kWarning ? kWarning
                                                                       : kInformation;
      Begin(span, severity, issue.code, FullMessage(issue.message, issue.notes, issue.help));
      json_.EndObject();
    }
    if (analysis_.issues.size() <= kMaxIssues) return;
    Begin(span, kInformation, "",
          fmt::format("and {} more; `ckmap plan` shows all", analysis_.issues.size() - kMaxIssues));
    json_.EndObject();
  }

  JsonWriter& json_;
  const std::string& uri_;
  const Analysis& analysis_;
  LineTable lines_;
};

void WritePosition(JsonWriter& json, Position position) {
  json.BeginObject().Key("line").Int(position.line).Key("character").Int(position.character).EndObject();
}

}  // namespace

void WriteRange(JsonWriter& json, const LineTable& lines, Span span) {
  json.BeginObject().Key("start");
  WritePosition(json, lines.PositionOf(span.begin));
  json.Key("end");
  WritePosition(json, lines.PositionOf(span.end));
  json.EndObject();
}

void WriteTextEdit(JsonWriter& json, const LineTable& lines, Span span, std::string_view text) {
  json.BeginObject().Key("range");
  WriteRange(json, lines, span);
  json.Key("newText").String(text).EndObject();
}

// Blocks nest as deep as the parser lets them.
void WriteSymbols(JsonWriter& json, const LineTable& lines, const std::vector<Outline>& outline) {
  json.BeginArray();
  for (const Outline& entry : outline) {
    json.BeginObject().Key("name").String(entry.name.empty() ? "\"\"" : entry.name);
    if (!entry.detail.empty()) json.Key("detail").String(entry.detail);
    json.Key("kind").Int(KindOf(entry.kind)).Key("range");
    WriteRange(json, lines, entry.span);
    json.Key("selectionRange");
    WriteRange(json, lines, entry.name_span);
    if (!entry.children.empty()) {
      json.Key("children");
      WriteSymbols(json, lines, entry.children);
    }
    json.EndObject();
  }
  json.EndArray();
}

void WriteDiagnostics(JsonWriter& json, const std::string& uri, const Analysis& analysis) {
  json.BeginArray();
  if (analysis.readable()) DiagnosticWriter(json, uri, analysis).Run();
  json.EndArray();
}

}  // namespace ckmap::lsp
