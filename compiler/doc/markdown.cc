#include "compiler/doc/markdown.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap::doc {
namespace {

// Runs of white space become one space.
std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) out += c;
    if (space && !out.empty() && out.back() != ' ') out += ' ';
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string EscapePipes(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

}  // namespace

std::string Code(std::string_view text) {
  const std::string line = EscapePipes(EscapeText(OneLine(text)));
  if (line.empty()) return "";
  return line.find('`') == std::string::npos ? fmt::format("`{}`", line) : fmt::format("`` {} ``", line);
}

std::string Cell(std::string_view text) { return EscapePipes(EscapeText(OneLine(text))); }

std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::string head = "|", line = "|", body;
  std::vector<bool> used(header.size(), false);
  for (size_t i = 0; i < header.size(); ++i) {
    used[i] = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return !row[i].empty(); });
    if (!used[i]) continue;
    head += fmt::format(" {} |", header[i]);
    line += "---|";
  }
  for (const std::vector<std::string>& row : rows) {
    body += "|";
    for (size_t i = 0; i < header.size(); ++i) {
      if (used[i]) body += fmt::format(" {} |", row[i]);
    }
    body += "\n";
  }
  return head + "\n" + line + "\n" + body + "\n";
}

}  // namespace ckmap::doc
