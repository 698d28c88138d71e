#include "runtime/report/causes.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

constexpr size_t kShownNotes = 3;
constexpr ptrdiff_t kShortReport = 14;  // lines, of which the program prints one more

// "proved: no error is left", "likely: 3 errors are left".
std::string Certainty(const CauseEdit& edit) {
  const std::string left = edit.errors_left == 0   ? "no error is left"
                           : edit.errors_left == 1 ? "1 error is left"
                                                   : fmt::format("{} errors are left", edit.errors_left);
  return fmt::format("{}: {}", edit.proved ? "proved" : "likely", left);
}

std::string RenderEdit(const CauseEdit& edit, bool alternative, const Style& style) {
  const std::string head = style.Cyan(alternative ? "= or:" : "= fix:");
  std::string out;
  const std::string why = edit.why.empty() ? "" : "; " + EscapeText(edit.why);
  if (!edit.option.empty())
    return fmt::format("   {} {} ({}{})\n", head, EscapeText(edit.option), Certainty(edit), why);
  if (edit.line > 0) {
    out = fmt::format("   {} {}:{}: replace `{}` ({}{}) by\n", head, EscapeText(edit.file), edit.line,
                      EscapeText(edit.old_text), Certainty(edit), why);
  } else {
    out = fmt::format("   {} add to {} ({}{}):\n", head, EscapeText(edit.file), Certainty(edit), why);
  }
  std::string_view rest = edit.new_text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    out += fmt::format("        {}\n", EscapeText(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

std::string RenderCause(const Cause& cause, size_t errors, const Style& style, bool all) {
  std::string out =
      fmt::format("{}: {} {}\n", style.Red(fmt::format("cause[{}]", cause.kind)), style.Bold(EscapeText(cause.message)),
                  style.Dim(fmt::format("({} of {})", cause.explains, Plural(static_cast<int64_t>(errors), "error"))));
  for (size_t i = 0; i < cause.notes.size() && (all || i < kShownNotes); ++i)
    out += fmt::format("   {} {}\n", style.Cyan("= note:"), EscapeText(cause.notes[i]));
  for (size_t i = 0; i < cause.edits.size(); ++i) out += RenderEdit(cause.edits[i], i > 0, style);
  return out;
}

}  // namespace

std::string RenderMisfits(const Causes& causes, const std::vector<Issue>& issues, const Style& style, bool all) {
  const std::string listed = RenderIssues(issues, {.style = style, .all = all});
  if (causes.causes.empty()) return listed;
  std::string out;
  size_t explained = 0;
  for (const Cause& cause : causes.causes) {
    explained += cause.explains;
    out += RenderCause(cause, causes.errors, style, all);
  }
  if (all || std::count(out.begin(), out.end(), '\n') + std::count(listed.begin(), listed.end(), '\n') <= kShortReport)
    return out + listed;
  if (!causes.rest.empty()) out += RenderIssues(causes.rest, {.style = style, .full = 1, .one_line = 2, .notes = 3});
  return out + fmt::format("{} folded behind {}; --all lists them\n",
                           explained == 1 ? "1 error is"
                                          : fmt::format("{} errors are", FormatCount(static_cast<int64_t>(explained))),
                           causes.causes.size() == 1 ? "this cause" : "these causes");
}

void WriteCauses(JsonWriter& json, const Causes& causes) {
  json.BeginArray().OnLines();
  for (const Cause& cause : causes.causes) {
    json.BeginObject().Key("kind").String(cause.kind).Key("message").String(cause.message).Key("notes").BeginArray();
    for (const std::string& note : cause.notes) json.String(note);
    json.EndArray().Key("explains").Int(static_cast<int64_t>(cause.explains));
    json.Key("errors_left").Int(static_cast<int64_t>(cause.errors_left)).Key("edits").BeginArray();
    for (const CauseEdit& edit : cause.edits) {
      json.BeginObject();
      if (!edit.option.empty()) {
        json.Key("option").String(edit.option);
      } else {
        json.Key("file").String(edit.file).Key("range");
        if (edit.line > 0) {
          json.BeginObject().Key("line").Int(edit.line).Key("column").Int(edit.column).EndObject();
          json.Key("old_text").String(edit.old_text);
        } else {
          json.Null();
        }
        json.Key("new_text").String(edit.new_text);
      }
      json.Key("why").String(edit.why).Key("certainty").String(edit.proved ? "proved" : "likely");
      json.Key("errors_left").Int(static_cast<int64_t>(edit.errors_left)).EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray();
}

}  // namespace ckmap
