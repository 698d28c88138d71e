#include "compiler/reverse/turned_renames.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ckmap {
namespace {

// Segments that stand for themselves; others, which hold a capture or a wildcard, are empty.
std::vector<std::string_view> Segments(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> segments;
  while (true) {
    const size_t at = text.find(separator);
    const std::string_view segment = text.substr(0, at);
    segments.push_back(segment.find_first_of("{*") == std::string_view::npos ? segment : std::string_view());
    if (at == std::string_view::npos) return segments;
    text.remove_prefix(at + separator.size());
  }
}

// A run of whole segments of `whole`, shorter than it, may be `part`.
bool MayHoldRun(const std::vector<std::string_view>& whole, const std::vector<std::string_view>& part) {
  for (size_t at = 0; whole.size() > part.size() && at + part.size() <= whole.size(); ++at) {
    const bool same =
        std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(at),
                   [](std::string_view a, std::string_view b) { return a.empty() || b.empty() || a == b; });
    if (same) return true;
  }
  return false;
}

}  // namespace

TurnedRenames::TurnedRenames(const Program& program, const SourceMap& sources) : text_(sources, refused_) {
  std::string from_separator = ".", to_separator = ".";
  std::vector<const ast::RenamePair*> pairs;
  for (const Unit& unit : program.units) {
    for (const ast::Statement& statement : unit.tree.statements) {
      if (const auto* names = std::get_if<ast::Names>(&statement.kind)) {
        from_separator = names->from.text;
        to_separator = names->to.text;
      }
      const auto* rename = std::get_if<ast::Rename>(&statement.kind);
      if (rename == nullptr) continue;
      turned_ = turned_ && !rename->of_target;
      for (const ast::RenamePair& pair : rename->pairs) pairs.push_back(&pair);
    }
  }
  std::set<std::string> given;
  for (const ast::RenamePair* pair : pairs) {
    CaptureTurns turns;
    text_.Collect(pair->from, pair->to, turns);
    const bool every =
        std::all_of(turns.begin(), turns.end(), [](const auto& turn) { return turn.second.guard.empty(); });
    std::map<std::string, bool> bound;
    turned_ = turned_ && every && !pair->to.parts.empty() && given.insert(text_.Source(pair->to, turns, bound)).second;
    const auto part = Segments(pair->to.text, to_separator);
    for (size_t i = 0; turned_ && i < pairs.size(); ++i)
      turned_ = !MayHoldRun(Segments(pairs[i]->from.text, from_separator), part);
  }
  turned_ = turned_ && refused_.empty();
}

std::string TurnedRenames::Turned(const ast::RenamePair& pair) {
  CaptureTurns turns;
  std::map<std::string, bool> bound;
  text_.Collect(pair.from, pair.to, turns);
  const std::string from = text_.Source(pair.to, turns, bound);
  return fmt::format("{} -> {}", from, text_.Target(pair.from, turns));
}

}  // namespace ckmap
