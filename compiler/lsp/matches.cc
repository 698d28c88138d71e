#include "compiler/lsp/matches.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/names/name_pattern.h"
#include "runtime/bind/values/variables.h"

namespace ckmap::lsp {
namespace {

constexpr size_t kShown = 6;

// A statement of the plan that stands at a place of the file.
struct PlanStatement {
  std::vector<const plan::Pattern*> source, target;
};

void CollectPatterns(const plan::Pipeline& pipeline, std::vector<const plan::Pattern*>& patterns) {
  for (const plan::Term& term : pipeline.terms()) {
    if (term.has_pattern()) patterns.push_back(&term.pattern());
    if (term.has_pipeline()) CollectPatterns(term.pipeline(), patterns);
  }
}

// Layers are left out: their names are those inside of a module.
PlanStatement StatementAt(const Analysis& analysis, Span span) {
  PlanStatement found;
  const LineColumn place = analysis.file().Locate(span.begin);
  const auto here = [&](const plan::Location& loc) {
    return loc.file() == 0 && loc.line() == place.line && loc.column() == place.column;
  };
  const plan::Plan& plan = analysis.compiled.plan->proto();
  for (const plan::Rule& rule : plan.derived()) {
    if (here(rule.loc())) CollectPatterns(rule.source(), found.source);
  }
  for (const plan::Rule& rule : plan.rules()) {
    if (!here(rule.loc())) continue;
    CollectPatterns(rule.source(), found.source);
    CollectPatterns(rule.target(), found.target);
    return found;
  }
  for (const plan::Drop& drop : plan.drops()) {
    if (here(drop.loc())) found.source.push_back(&drop.pattern());
  }
  for (const plan::Init& init : plan.inits()) {
    if (here(init.loc())) found.target.push_back(&init.pattern());
  }
  return found;
}

struct Match {
  const TensorInfo* tensor;
  Captures captures;
};

std::vector<Match> MatchAll(const plan::Plan& plan, const plan::Pattern& pattern, const Manifest& manifest,
                            bool source) {
  std::vector<Match> matches;
  std::vector<Issue> issues;  // parameters without values: their names match nothing
  const auto variables = BindVariables(plan, {}, "", "", issues);
  if (!variables) return matches;
  const std::string& separator = source ? plan.source_separator() : plan.target_separator();
  for (const std::vector<size_t>& choices : AllChoices(pattern)) {
    const plan::Pattern chosen = Choose(pattern, choices);
    const auto name = CompiledName::Compile(chosen, {separator, *variables});
    if (!name) continue;
    for (const TensorInfo& tensor : manifest.tensors()) {
      Captures captures;
      if (name->Match(tensor.name, *variables, captures)) matches.push_back({&tensor, std::move(captures)});
    }
  }
  return matches;
}

std::string Describe(const TensorInfo& tensor) {
  return fmt::format("`{}` {} {}", EscapeText(tensor.name), DTypeName(tensor.dtype), FormatShape(tensor.shape));
}

std::string MatchList(const std::vector<Match>& matches, std::string_view side) {
  std::string out = fmt::format("{} of the {}:\n", Plural(static_cast<int64_t>(matches.size()), "tensor"), side);
  for (size_t i = 0; i < std::min(matches.size(), kShown); ++i)
    out += fmt::format("- {}\n", Describe(*matches[i].tensor));
  if (matches.size() > kShown) out += fmt::format("- … and {} more\n", matches.size() - kShown);
  return out;
}

const TensorStatement* StatementOf(const Analysis& analysis, uint32_t offset) {
  const TensorStatement* best = nullptr;
  for (const TensorStatement& statement : analysis.symbols.statements) {
    if (offset < statement.span.begin || offset > statement.span.end) continue;
    if (best == nullptr || statement.span.begin >= best->span.begin) best = &statement;
  }
  return best;
}

// What a bind made of the rule on this line.
std::string BoundList(const Analysis& analysis, uint32_t line) {
  if (!analysis.bound) return "";
  const std::string rule = fmt::format("{}:{}", analysis.program.units[0].name, line);
  std::vector<const BoundTensor*> made;
  for (const BoundTensor& tensor : analysis.bound->tensors) {
    if (tensor.rule == rule) made.push_back(&tensor);
  }
  if (made.empty()) return "";
  std::string out = fmt::format("Writes {} of the target:\n", Plural(static_cast<int64_t>(made.size()), "tensor"));
  for (size_t i = 0; i < std::min(made.size(), kShown); ++i) {
    out += fmt::format("- `{}` {} from", EscapeText(made[i]->name), FormatShape(made[i]->shape));
    size_t sources = 0;
    ForEachSource(*made[i], [&](size_t source) {
      const TensorInfo& input = analysis.bound->source[source];
      if (++sources <= kShown) out += fmt::format(" `{}` {}", EscapeText(input.name), FormatShape(input.shape));
    });
    out += sources > kShown ? " …\n" : "\n";
  }
  if (made.size() > kShown) out += fmt::format("- … and {} more\n", made.size() - kShown);
  return out;
}

}  // namespace

std::string MatchesMarkdown(const Analysis& analysis, uint32_t offset) {
  const TensorStatement* statement = StatementOf(analysis, offset);
  if (statement == nullptr || !analysis.compiled.plan) return "";
  const plan::Plan& plan = analysis.compiled.plan->proto();
  const PlanStatement planned = StatementAt(analysis, statement->span);
  const bool paired = planned.source.size() + planned.target.size() == statement->patterns.size();
  for (size_t i = 0; paired && i < statement->patterns.size(); ++i) {
    const Span span = statement->patterns[i]->span;
    if (offset < span.begin || offset > span.end) continue;
    const bool source = i < planned.source.size();
    const NamedManifest& named = source ? analysis.source : analysis.target;
    if (!named.manifest) continue;
    const plan::Pattern& pattern = source ? *planned.source[i] : *planned.target[i - planned.source.size()];
    // On the right, captures are references: only what a bind gives is known, or a literal name.
    if (!source && analysis.bound) break;
    if (!source && pattern.parts_size() > 1) break;
    return MatchList(MatchAll(plan, pattern, *named.manifest, source), source ? "source" : "target");
  }
  return BoundList(analysis, analysis.file().Locate(statement->span.begin).line);
}

std::string CaptureValues(const Analysis& analysis, const Symbol& capture) {
  const TensorStatement* statement = StatementOf(analysis, capture.span.begin);
  if (statement == nullptr || !analysis.compiled.plan || !analysis.source.manifest) return "";
  const auto shorter_first = [](const std::string& a, const std::string& b) {
    return std::make_pair(a.size(), a) < std::make_pair(b.size(), b);
  };
  std::set<std::string, decltype(shorter_first)> values(shorter_first);
  for (const plan::Pattern* pattern : StatementAt(analysis, statement->span).source) {
    for (const Match& match : MatchAll(analysis.compiled.plan->proto(), *pattern, *analysis.source.manifest, true)) {
      const auto found = match.captures.find(capture.name);
      if (found != match.captures.end()) values.insert(found->second);
    }
  }
  if (values.empty()) return "";
  int64_t first = 0, last = 0;
  const auto number = [](const std::string& text, int64_t& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ptr == text.data() + text.size();
  };
  if (values.size() > 2 && number(*values.begin(), first) && number(*values.rbegin(), last) &&
      last - first + 1 == static_cast<int64_t>(values.size())) {
    return fmt::format("{}..{}", first, last);
  }
  std::string out;
  size_t shown = 0;
  for (const std::string& value : values) {
    if (++shown > 2 * kShown) return out + ", …";
    out += fmt::format("{}`{}`", out.empty() ? "" : ", ", EscapeText(value));
  }
  return out;
}

}  // namespace ckmap::lsp
