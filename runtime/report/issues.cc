#include "runtime/report/issues.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/report/fold.h"

namespace ckmap {
namespace {

std::string_view SeverityName(IssueSeverity severity) {
  switch (severity) {
    case IssueSeverity::kError:
      return "error";
    case IssueSeverity::kWarning:
      return "warning";
    case IssueSeverity::kNote:
      return "note";
  }
  return "";
}

std::string SeverityText(IssueSeverity severity, const std::string& code, const Style& style) {
  const std::string suffix = code.empty() ? "" : fmt::format("[{}]", EscapeText(code));
  const std::string text = std::string(SeverityName(severity)) + suffix;
  switch (severity) {
    case IssueSeverity::kError:
      return style.Red(text);
    case IssueSeverity::kWarning:
      return style.Yellow(text);
    case IssueSeverity::kNote:
      break;
  }
  return style.Cyan(text);
}

// The texts that must agree, but for their numbers, for issues to fold: the tensor first, as it
// decides.
FoldRow RowOf(const Issue& issue) {
  FoldRow row;
  row.names = {issue.tensor, issue.message, issue.help};
  row.names.insert(row.names.end(), issue.notes.begin(), issue.notes.end());
  row.detail = fmt::format("{} {}", static_cast<int>(issue.severity), issue.code);
  return row;
}

std::vector<FoldedRow> Fold(const std::vector<Issue>& issues, bool fold) {
  std::vector<FoldRow> rows;
  rows.reserve(issues.size());
  for (const Issue& issue : issues) rows.push_back(RowOf(issue));
  if (fold) return FoldRows(rows);
  std::vector<FoldedRow> apart;
  for (size_t i = 0; i < rows.size(); ++i) {
    FoldedRow row{.names = {}, .members = {i}};
    for (const std::string& text : rows[i].names) row.names.push_back(EscapeText(text));
    apart.push_back(std::move(row));
  }
  return apart;
}

}  // namespace

std::string RenderIssues(const std::vector<Issue>& issues, const IssueTextOptions& options) {
  const Style& style = options.style;
  std::vector<FoldedRow> rows = Fold(issues, !options.all);
  const auto issue_of = [&](const FoldedRow& row) -> const Issue& { return issues[row.members[0]]; };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const FoldedRow& a, const FoldedRow& b) { return issue_of(a).severity < issue_of(b).severity; });

  using Kind = std::pair<IssueSeverity, std::string>;
  const auto kind_of = [&](const FoldedRow& row) { return Kind(issue_of(row).severity, issue_of(row).code); };
  std::map<Kind, size_t> total;
  for (const FoldedRow& row : rows) ++total[kind_of(row)];

  std::string out;
  std::map<Kind, size_t> shown;
  std::map<Kind, size_t> hidden_members;
  for (const FoldedRow& row : rows) {
    const Kind kind = kind_of(row);
    const size_t rank = shown[kind]++;
    const bool is_last = shown[kind] == total[kind];
    const bool full = options.all || rank < options.full;
    const bool hidden = !full && rank >= options.full + options.one_line && !(is_last && hidden_members[kind] == 0);
    const std::string head = SeverityText(kind.first, kind.second, style);
    if (hidden) {
      hidden_members[kind] += row.members.size();
    } else {
      const std::string times =
          row.members.size() > 1
              ? style.Dim(fmt::format(" ({} times)", FormatCount(static_cast<int64_t>(row.members.size()))))
              : "";
      out += fmt::format("{}: {}{}\n", head, style.Bold(row.names[1]), times);
    }
    if (full) {
      for (size_t i = 3; i < row.names.size() && (options.all || i < 3 + options.notes); ++i) {
        out += fmt::format("   {} {}\n", style.Cyan("= note:"), row.names[i]);
      }
      if (!row.names[2].empty()) out += fmt::format("   {} {}\n", style.Cyan("= help:"), row.names[2]);
    }
    if (is_last && hidden_members[kind] > 0) {
      out += fmt::format("{}: … and {} more of this kind; --all shows them\n", head,
                         FormatCount(static_cast<int64_t>(hidden_members[kind])));
    }
  }
  return out;
}

void WriteIssues(JsonWriter& json, const std::vector<Issue>& issues) {
  json.BeginArray().OnLines();
  for (const Issue& issue : issues) {
    json.BeginObject().Key("code").String(issue.code).Key("severity").String(SeverityName(issue.severity));
    json.Key("tensor").String(issue.tensor).Key("message").String(issue.message).Key("notes").BeginArray();
    for (const std::string& note : issue.notes) json.String(note);
    json.EndArray().Key("help").String(issue.help).EndObject();
  }
  json.EndArray();
}

std::string CountIssues(const std::vector<Issue>& issues) {
  const auto count = [&](IssueSeverity severity) {
    return std::count_if(issues.begin(), issues.end(), [&](const Issue& issue) { return issue.severity == severity; });
  };
  const auto errors = count(IssueSeverity::kError);
  const auto warnings = count(IssueSeverity::kWarning);
  std::string out;
  if (errors > 0) out = Plural(errors, "error");
  if (warnings > 0) out += (out.empty() ? "" : ", ") + Plural(warnings, "warning");
  return out;
}

}  // namespace ckmap
