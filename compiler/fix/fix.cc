#include "compiler/fix/fix.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/syntax/tokens.h"

namespace ckmap {
namespace {

// A name that may stand without quotes.
bool IsBare(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
  });
}

// From the offset to behind the `;` that ends the statement.
uint32_t EndOfStatement(const SourceFile& file, uint32_t begin) {
  for (const Token& token : Tokenize(file, {})) {
    if (token.span.begin < begin || token.kind != TokenKind::kSymbol) continue;
    if (file.text().substr(token.span.begin, token.span.end - token.span.begin) == ";") return token.span.end;
  }
  return static_cast<uint32_t>(file.text().size());
}

}  // namespace

std::optional<TextFix> FixOf(const CauseEdit& edit, const SourceFile& file) {
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename(); };
  if (edit.new_text.empty() || name(edit.file) != name(file.name())) return std::nullopt;
  const std::string_view text = file.text();
  if (edit.line == 0) {
    const auto end = static_cast<uint32_t>(text.size());
    const bool line_ended = text.empty() || text.back() == '\n';
    return TextFix{end, end, fmt::format("{}\n{}\n", line_ended ? "" : "\n", edit.new_text)};
  }
  if (edit.line > file.line_count()) return std::nullopt;
  const uint32_t begin = file.line_begin(edit.line) + (edit.column > 0 ? edit.column - 1 : 0);
  const uint32_t end = EndOfStatement(file, begin);
  if (begin >= end) return std::nullopt;
  const size_t at = text.substr(0, end).find(edit.old_text, begin);
  if (at != std::string_view::npos) {
    const auto from = static_cast<uint32_t>(at), to = static_cast<uint32_t>(at + edit.old_text.size());
    const bool quoted = at > 0 && text[at - 1] == '"', statement = edit.new_text.find(' ') != std::string::npos;
    return TextFix{from, to,
                   quoted || statement || IsBare(edit.new_text) ? edit.new_text : fmt::format("\"{}\"", edit.new_text)};
  }
  // The plan holds a statement in one line, whatever its layout.
  if (edit.new_text.find(' ') == std::string::npos) return std::nullopt;
  return TextFix{begin, end, edit.new_text.ends_with(";") ? edit.new_text : edit.new_text + ";"};
}

std::string TitleOf(const Cause& cause, const CauseEdit& edit) {
  std::string text = edit.new_text.substr(0, edit.new_text.find('\n'));
  if (text.size() < edit.new_text.size()) text += " …";
  return fmt::format("{} ({}): {}", edit.line > 0 ? "Replace by" : "Add", edit.proved ? "proved" : "likely",
                     text.empty() ? cause.message : text);
}

std::string Applied(std::string text, const TextFix& fix) {
  return text.replace(fix.begin, fix.end - fix.begin, fix.replacement);
}

}  // namespace ckmap
