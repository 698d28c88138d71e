#include <fmt/format.h>

#include "compiler/testing/mutation.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

std::string_view Name(Fate fate) {
  switch (fate) {
    case Fate::kKilled:
      return "killed";
    case Fate::kSurvived:
      return "survived";
    case Fate::kEquivalent:
      return "equivalent";
    case Fate::kUnreached:
      return "not reached";
    case Fate::kRefused:
      return "refused";
  }
  return "";
}

}  // namespace

std::string RenderMutations(const std::vector<MutationResult>& results, const Style& style) {
  std::string out;
  for (const MutationResult& result : results) {
    for (const MutantOutcome& mutant : result.mutants) {
      if (mutant.fate != Fate::kSurvived && mutant.fate != Fate::kUnreached) continue;
      out += fmt::format("{}:{}: {}: {}\n", EscapeText(mutant.file), mutant.line, style.Red(Name(mutant.fate)),
                         EscapeText(mutant.change));
    }
  }
  if (!out.empty()) out += "\n";
  TextTable table({"", "changes", "killed", "survived", "not reached", "equivalent", "refused", "score"});
  for (size_t column = 1; column < 8; ++column) table.AlignRight(column);
  for (const MutationResult& result : results) {
    std::vector<std::string> row = {EscapeText(result.suite), fmt::format("{}", result.mutants.size())};
    for (const Fate fate : {Fate::kKilled, Fate::kSurvived, Fate::kUnreached, Fate::kEquivalent, Fate::kRefused})
      row.push_back(fmt::format("{}", result.Count(fate)));
    row.push_back(fmt::format("{:.1f} %", result.score()));
    table.AddRow(std::move(row));
  }
  return out + table.Render();
}

std::string RenderMutationsJson(const std::vector<MutationResult>& results) {
  JsonWriter json;
  json.BeginObject().Key("suites").BeginArray().OnLines();
  for (const MutationResult& result : results) {
    json.BeginObject().Key("name").String(result.suite).Key("score").Number(result.score());
    for (const Fate fate : {Fate::kKilled, Fate::kSurvived, Fate::kUnreached, Fate::kEquivalent, Fate::kRefused})
      json.Key(Name(fate)).Int(result.Count(fate));
    json.Key("mutants").BeginArray().OnLines();
    for (const MutantOutcome& mutant : result.mutants) {
      json.BeginObject()
          .Key("file")
          .String(mutant.file)
          .Key("line")
          .Int(mutant.line)
          .Key("change")
          .String(mutant.change);
      json.Key("fate").String(Name(mutant.fate));
      if (!mutant.by.empty()) json.Key("by").String(mutant.by);
      json.EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

}  // namespace ckmap
