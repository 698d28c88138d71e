#include "compiler/explain/explain.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "compiler/diag/diagnostic.h"
#include "compiler/explain/explain_texts.h"

namespace ckmap {
namespace {

constexpr std::string_view kHeading = "## ";
constexpr std::string_view kFence = "```";

std::string_view NextLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// "CK1201 error: nothing writes …", or a code alone, whose registry has the rest.
Explanation ReadHeading(std::string_view heading) {
  Explanation explanation;
  explanation.code = heading.substr(0, heading.find(' '));
  const size_t colon = heading.find(": ");
  if (colon != std::string_view::npos) {
    explanation.severity = heading.substr(explanation.code.size() + 1, colon - explanation.code.size() - 1);
    explanation.summary = heading.substr(colon + 2);
    return explanation;
  }
  for (const DiagnosticKind kind : AllDiagnosticKinds()) {
    if (FormatCode(kind) != explanation.code) continue;
    explanation.severity = Info(kind).severity == Severity::kError ? "error" : "warning";
    explanation.summary = Info(kind).summary;
  }
  return explanation;
}

void ReadFile(std::string_view text, std::vector<Explanation>& explanations) {
  bool inside = false;
  while (!text.empty()) {
    const std::string_view line = NextLine(text);
    if (line.starts_with(kHeading)) {
      explanations.push_back(ReadHeading(line.substr(kHeading.size())));
      inside = true;
    } else if (inside) {
      std::string& body = explanations.back().text;
      if (!body.empty() || !line.empty()) body += std::string(line) + "\n";
    }
  }
}

std::vector<Explanation> ReadAll() {
  std::vector<Explanation> explanations;
  for (size_t i = 0; i < kExplainTextCount; ++i) ReadFile(kExplainTexts[i], explanations);
  for (Explanation& explanation : explanations) {
    while (explanation.text.ends_with('\n')) explanation.text.pop_back();
    explanation.text += '\n';
  }
  std::sort(explanations.begin(), explanations.end(),
            [](const Explanation& a, const Explanation& b) { return a.code < b.code; });
  return explanations;
}

// What stands above a block, from its fence: "yaml name=packs/p/pack.yaml" is that path.
std::string CaptionOf(std::string_view info) {
  constexpr std::string_view kName = "name=";
  if (const size_t name = info.find(kName); name != std::string_view::npos) {
    return fmt::format("{}:", info.substr(name + kName.size()));
  }
  if (info == "ckmap mended") return "mended:";
  if (info == "ckmap") return "for example:";
  if (info == "ckmap reverse") return "for example, with --reverse:";
  if (info.starts_with("ckmap -D ")) return fmt::format("for example, with {}:", info.substr(6));
  if (info == "yaml source") return "source.yaml:";
  if (info == "yaml target") return "target.yaml:";
  return info == "sh" ? "for example, the file that this makes:" : "";
}

}  // namespace

const std::vector<Explanation>& Explanations() {
  static const auto& all = *new std::vector<Explanation>(ReadAll());
  return all;
}

const Explanation* FindExplanation(std::string_view code) {
  std::string wanted(code);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const Explanation& explanation : Explanations()) {
    if (explanation.code == wanted) return &explanation;
  }
  return nullptr;
}

std::string RenderExplanation(const Explanation& explanation) {
  std::string out = fmt::format("{} ({}): {}\n\n", explanation.code, explanation.severity, explanation.summary);
  bool block = false;
  std::string_view text = explanation.text;
  while (!text.empty()) {
    const std::string_view line = NextLine(text);
    if (line.starts_with(kFence)) {
      block = !block;
      const std::string caption = block ? CaptionOf(line.substr(kFence.size())) : "";
      if (!caption.empty()) out += caption + "\n\n";
    } else {
      out += block && !line.empty() ? fmt::format("    {}\n", line) : fmt::format("{}\n", line);
    }
  }
  return out;
}

}  // namespace ckmap
