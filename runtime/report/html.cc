// The report as one HTML page. Everything that came from a file goes through Html().
#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/report/migration_report.h"
#include "runtime/report/source_cell.h"

namespace ckmap {
namespace {

std::string Html(std::string_view text) {
  std::string out;
  for (const char c : EscapeText(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ckmap report</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
th { position: sticky; top: 0; background: Canvas; }
td, code { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { opacity: .7; } dd { margin: 0; }
.error { color: #c22; } .warning { color: #a60; } .ok { color: #181; }
li { margin-bottom: .6rem; } li div { opacity: .85; margin-left: 1.2rem; }
input { font: inherit; padding: .3rem .6rem; width: 24rem; max-width: 100%; margin: .5rem 0; }
</style></head><body>
)";

constexpr std::string_view kTail = R"(<script>
const filter = document.getElementById('filter');
if (filter) filter.addEventListener('input', () => {
  const text = filter.value.toLowerCase();
  for (const row of document.querySelectorAll('tbody tr')) row.hidden = !row.textContent.toLowerCase().includes(text);
});
</script></body></html>
)";

std::string Fact(std::string_view name, std::string_view value) {
  return value.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, Html(value));
}

std::string Issues(const MigrationReport& report) {
  if (report.issues.empty()) return "";
  std::string out = "<h2>Issues</h2>\n<ul>\n";
  for (const Issue& issue : report.issues) {
    const bool error = issue.severity == IssueSeverity::kError;
    out += fmt::format("<li><span class=\"{}\">{}</span> {}", error ? "error" : "warning", Html(issue.code),
                       Html(issue.message));
    for (const std::string& note : issue.notes) out += fmt::format("<div>note: {}</div>", Html(note));
    if (!issue.help.empty()) out += fmt::format("<div>help: {}</div>", Html(issue.help));
    out += "</li>\n";
  }
  return out + "</ul>\n";
}

std::string TargetTable(const MigrationReport& report) {
  const BoundPlan& bound = *report.bound;
  std::string out =
      "<h2>Tensors written</h2>\n<input id=\"filter\" placeholder=\"filter by any text\" "
      "aria-label=\"filter\">\n"
      "<table><thead><tr><th>target</th><th>dtype</th><th>shape</th><th>from</th><th>by</"
      "th><th>rule</th>"
      "<th>sha256</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    const BoundTensor& tensor = bound.tensors[i];
    const TensorOutcome* outcome = report.outcome ? &report.outcome->tensors[i] : nullptr;
    std::string how = fmt::format("{}", fmt::join(tensor.ops, " | "));
    if (outcome != nullptr && outcome->overflowed > 0) how += fmt::format(" ({} overflowed)", outcome->overflowed);
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", Html(tensor.name),
        DTypeName(tensor.dtype), FormatShape(tensor.shape),
        Html(tensor.initialized ? "(init)" : fmt::format("{}", fmt::join(SourceParts(bound, tensor), ", "))), Html(how),
        Html(tensor.rule), outcome != nullptr ? outcome->sha256.substr(0, 16) : "");
  }
  return out + "</tbody></table>\n";
}

template <typename Items>
std::string NameTable(std::string_view title, const Items& items) {
  if (items.empty()) return "";
  std::string out =
      fmt::format("<h2>{}</h2>\n<table><thead><tr><th>name</th><th>rule</th></tr></thead><tbody>\n", title);
  for (const auto& item : items) {
    out += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", Html(item.name), Html(item.rule));
  }
  return out + "</tbody></table>\n";
}

}  // namespace

std::string ReportHtml(const MigrationReport& report) {
  std::string out(kHead);
  const std::string_view state = !report.ok() ? "does not fit" : report.applied ? "done" : "fits (dry run)";
  out += fmt::format("<h1>ckmap: {} <span class=\"{}\">{}</span></h1>\n<dl>\n", Html(report.migration),
                     report.ok() ? "ok" : "error", state);
  out += Fact("plan", report.plan_path) + Fact("digest", report.plan_digest);
  for (const auto& [name, version] : report.packs) out += Fact("pack", name + " " + version);
  out += Fact("source", report.source_path) + Fact("target", report.target_path);
  for (const WrittenFile& file : report.files) out += Fact("written", file.path + " (" + FormatBytes(file.bytes) + ")");
  if (report.bound) {
    for (const auto& [name, value] : report.bound->params) out += Fact("param", name + " = " + value);
    out += Fact("reads", FormatBytes(report.cost.bytes_read)) + Fact("writes", FormatBytes(report.cost.bytes_written));
  }
  for (const std::string& warning : report.warnings) out += Fact("warning", warning);
  out += "</dl>\n" + Issues(report);
  if (report.bound) {
    out += TargetTable(report) + NameTable("Source tensors left out", report.bound->dropped) +
           NameTable("Kept by the network", report.bound->kept);
  }
  return out + std::string(kTail);
}

}  // namespace ckmap
