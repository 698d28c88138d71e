#include "runtime/bind/rules/rule_binder.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <new>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/parallel.h"
#include "runtime/bind/rules/application.h"
#include "runtime/bind/rules/repeated_application.h"
#include "runtime/bind/values/json_lookup.h"

namespace ckmap {
namespace {

const Captures kNoCaptures;  // scopes refer to it

constexpr size_t kMaxEnumerated = 1 << 17;  // values of computed captures of one rule
constexpr size_t kMaxFailures = 100;        // applications of one rule whose mistakes are kept

// One concrete pattern of one term of one rule.
struct Slot {
  size_t rule = 0;
  const plan::Term* term = nullptr;
  Captures enumerated;  // captures that the rule's `where` runs through
  CompiledName pattern;
  bool full = false;  // holds every capture of the left side
};

// What a rule's names hold.
struct RuleNames {
  std::map<std::string, const plan::Capture*> declared;  // of the left side
  std::set<std::string> keys;                            // captures that tell applications apart
  std::set<std::string> gathers;
  std::set<std::string> listed;  // gathers of the right side: the list on the left gives their values
};

void AddTargetGathers(const plan::Pipeline& pipeline, std::set<std::string>& gathers) {
  ForEachName(pipeline, [&](const plan::Term& term) {
    for (const plan::Part& part : term.pattern().parts()) {
      if (part.has_capture() && part.capture().gather()) gathers.insert(part.capture().name());
    }
  });
}

RuleNames NamesOf(const plan::Rule& rule) {
  RuleNames names;
  AddTargetGathers(rule.target(), names.listed);
  ForEachName(rule.source(), [&](const plan::Term& term) {
    for (const plan::Part& part : term.pattern().parts()) {
      if (!part.has_capture()) continue;
      names.declared.emplace(part.capture().name(), &part.capture());
      (part.capture().gather() ? names.gathers : names.keys).insert(part.capture().name());
    }
  });
  return names;
}

Issue RuleIssue(const BindContext& context, const plan::Rule& rule, std::string code, std::string message,
                std::string help) {
  return {std::move(code),
          IssueSeverity::kError,
          "",
          std::move(message),
          {fmt::format("the rule is {}: {}", context.Where(rule.loc()), rule.text())},
          std::move(help)};
}

// Values of the captures that stand only inside computed indices: all of their ranges.
Result<std::vector<Captures>> Enumerate(const plan::Rule& rule, const RuleNames& names, const Scope& scope) {
  std::vector<Captures> all = {{}};
  for (const plan::Range& range : rule.ranges()) {
    if (names.declared.contains(range.capture()) || names.listed.contains(range.capture())) continue;
    CKMAP_ASSIGN_OR_RETURN(const int64_t begin, EvaluateInt(range.begin(), scope));
    CKMAP_ASSIGN_OR_RETURN(const int64_t end, EvaluateInt(range.end(), scope));
    if (begin < 0 || end < begin || static_cast<size_t>(end - begin) > kMaxEnumerated / all.size()) {
      return Error(ErrorCode::kLimit, fmt::format("`{} in {}..{}` is no range of at most {} values", range.capture(),
                                                  begin, end, kMaxEnumerated));
    }
    std::vector<Captures> next;
    for (const Captures& captures : all) {
      for (int64_t i = begin; i < end; ++i) {
        next.push_back(captures);
        next.back()[range.capture()] = fmt::format("{}", i);
      }
    }
    all = std::move(next);
  }
  return all;
}

Result<void> AddSlots(const BindContext& context, const plan::Rule& rule, size_t index, const NamePrefix& prefix,
                      std::vector<Slot>& slots) {
  const RuleNames names = NamesOf(rule);
  const ApplicationScope scope(context, prefix, kNoCaptures);
  CKMAP_ASSIGN_OR_RETURN(const std::vector<Captures> enumerated, Enumerate(rule, names, scope));
  std::vector<const plan::Term*> terms;
  ForEachName(rule.source(), [&](const plan::Term& term) { terms.push_back(&term); });
  for (const plan::Term* term : terms) {
    for (const std::vector<size_t>& choices : AllChoices(term->pattern())) {
      const plan::Pattern chosen = Choose(term->pattern(), choices);
      for (const Captures& known : enumerated) {
        CKMAP_ASSIGN_OR_RETURN(CompiledName pattern,
                               CompiledName::Compile(chosen, {context.source_separator, scope, known, names.declared,
                                                              prefix.source, &context.visible.spaces()}));
        Slot slot{index, term, known, std::move(pattern), true};
        for (const std::string& key : names.keys) {
          const auto& held = slot.pattern.captures();
          slot.full = slot.full && std::find(held.begin(), held.end(), key) != held.end();
        }
        slots.push_back(std::move(slot));
      }
    }
  }
  return {};
}

using Applications = std::map<Captures, Application>;

// A name matched: a new application, or one more tensor of a known one.
void AddMatch(const plan::Rule& rule, const Slot& slot, const Captures& matched, size_t tensor, const Scope& scope,
              Applications& applications) {
  Captures key = slot.enumerated, gathers;
  for (const auto& [name, text] : matched) {
    bool gather = false;
    for (const plan::Part& part : slot.term->pattern().parts()) {
      gather = gather || (part.has_capture() && part.capture().gather() && part.capture().name() == name);
    }
    (gather ? gathers : key)[name] = text;
  }
  for (const plan::Range& range : rule.ranges()) {
    // What a gather finds outside of its range is not of its list.
    const bool gathered = gathers.contains(range.capture());
    const auto value = gathered ? gathers.find(range.capture()) : key.find(range.capture());
    if (value == (gathered ? gathers : key).end()) continue;
    int64_t number = -1;
    std::from_chars(value->second.data(), value->second.data() + value->second.size(), number);
    const auto begin = EvaluateInt(range.begin(), scope), end = EvaluateInt(range.end(), scope);
    if (!begin || !end || number < *begin || number >= *end) return;
  }
  Application& application = applications[key];
  application.captures = key;
  if (!gathers.empty()) application.gathered[slot.term].push_back(std::move(gathers));
  if (!slot.term->pattern().regex().empty()) application.direct = tensor;
}

// Applications of one rule that failed. The first are kept as they are, of the others only which targets they miss and
// how many there are: a range may name hundreds of thousands.
class Failures {
 public:
  Failures(const BindContext& context, const plan::Rule& rule) : context_(context), rule_(rule) {}

  // True: `instance` failed and is accounted for here.
  bool Absorb(RuleInstance& instance) {
    if (instance.issues.empty() || ++count_ <= kMaxFailures) return false;
    if (rest_.issues.empty())
      rest_ = {.rule = instance.rule, .sources = instance.sources, .issues = {instance.issues.front()}};
    rest_.missed.insert(rest_.missed.end(), instance.missed.begin(), instance.missed.end());
    return true;
  }

  void Close(std::vector<RuleInstance>& instances) {
    if (rest_.issues.empty()) return;
    Issue& issue = rest_.issues.front();
    issue = RuleIssue(context_, rule_, issue.code,
                      fmt::format("{} more applications of the rule fail, the first because {}", count_ - kMaxFailures,
                                  issue.message),
                      "correct the names, or the range in `where`");
    instances.push_back(std::move(rest_));
  }

 private:
  const BindContext& context_;
  const plan::Rule& rule_;
  size_t count_ = 0;
  RuleInstance rest_;
};

// What the names of one part of the source matched.
struct MatchedNames {
  struct Match {
    size_t slot, tensor;
    Captures captures;
  };
  std::vector<RuleInstance> instances;  // of rules of one name: one for each match
  std::vector<Match> matches;           // of the others, whose tensors must first be brought together
};

using Rules = std::vector<const plan::Rule*>;

void MatchRange(const BindContext& context, const Rules& rules, const std::vector<Slot>& slots,
                const std::vector<bool>& simple, const Matcher& matcher, size_t begin, size_t end, MatchedNames& out) {
  const NamePrefix no_prefix;
  const ApplicationScope scope(context, no_prefix, kNoCaptures);
  std::vector<std::optional<RepeatedApplication>> repeated(rules.size());
  Matcher::Candidates candidates;
  size_t likely_target = 0;
  out.instances.reserve(begin == 0 ? context.source.size() : end - begin);  // the first takes up the others
  for (size_t tensor = begin; tensor < end; ++tensor) {
    const std::string& name = context.source[tensor].name;
    matcher.Find(name, candidates);
    for (const size_t id : candidates.ids) {
      const Slot& slot = slots[id];
      if (!slot.full) continue;
      if (!simple[id]) {
        Captures captures;
        if (slot.pattern.Match(name, scope, captures)) out.matches.push_back({id, tensor, std::move(captures)});
        continue;
      }
      auto& application = repeated[slot.rule];
      if (!application) application.emplace(*rules[slot.rule], slot.pattern);
      auto instance = application->Apply(context, tensor, likely_target);
      if (instance) out.instances.push_back(*std::move(instance));
    }
  }
}

// All names, on all cores; the parts are in the order of the source, so nothing depends on timing.
std::vector<MatchedNames> MatchNames(const BindContext& context, const Rules& rules, const std::vector<Slot>& slots,
                                     const Matcher& matcher) {
  std::vector<size_t> slot_count(rules.size(), 0);
  for (const Slot& slot : slots) ++slot_count[slot.rule];
  std::vector<bool> simple;
  for (const Slot& slot : slots) {
    simple.push_back(slot_count[slot.rule] == 1 && ListLevels(slot.term->pattern()).empty() &&
                     rules[slot.rule]->ranges().empty());
  }
  constexpr size_t kWorthAThread = 20'000;  // names
  const size_t names = context.source.size();
  const auto threads = std::clamp<size_t>(names / kWorthAThread, 1, static_cast<size_t>(DefaultThreads()));
  std::vector<MatchedNames> parts(threads);
  const auto match_part = [&](size_t t) -> Result<void> {
    MatchRange(context, rules, slots, simple, matcher, names * t / threads, names * (t + 1) / threads, parts[t]);
    return {};
  };
  const Result<void> done =
      ForEachInParallel(static_cast<int>(threads), threads, [&]() -> ItemBody { return match_part; });
  if (!done) throw std::bad_alloc();  // as it would have come out of MatchRange here
  return parts;
}

}  // namespace

void ForEachName(const plan::Pipeline& pipeline, const std::function<void(const plan::Term&)>& visit) {
  for (const plan::Term& term : pipeline.terms()) {
    if (term.has_pipeline()) {
      ForEachName(term.pipeline(), visit);  // depth is bounded by the plan's validation
    } else {
      visit(term);
    }
  }
}

PiecedTensor TakeValue(const BindContext& context, const RuleInstance& instance, const RuleInstance::Write& write) {
  if (write.value != nullptr && !write.shared) return std::move(*write.value);
  if (write.value == nullptr) return context.visible.Whole(instance.sources.front());
  PiecedTensor tensor = *write.value;
  for (BoundInput& input : tensor.inputs) input.source = instance.sources.front();
  return tensor;
}

BindContext::BindContext(const plan::Plan& of, const VisibleSource& seen, const Manifest& wanted,
                         const BoundVariables& values, const Renamer& renames)
    : plan(of),
      visible(seen),
      source(seen.manifest()),
      target(wanted),
      variables(values),
      renamer(renames),
      source_separator(of.source_separator().empty() ? "." : of.source_separator()),
      target_separator(of.target_separator().empty() ? "." : of.target_separator()) {}

std::vector<const plan::Rule*> RulesOf(const plan::Plan& plan) {
  std::vector<const plan::Rule*> rules;
  for (const plan::Rule& rule : plan.rules()) rules.push_back(&rule);
  return rules;
}

std::string BindContext::Where(const plan::Location& loc) const {
  return fmt::format("{}:{}", plan.files(static_cast<int>(loc.file())).name(), loc.line());
}

Value ApplicationScope::Capture(const std::string& name) const {
  return CaptureScope(context_.variables, captures_).Capture(name);
}

Value ApplicationScope::Dim(const std::string& name) const {
  const auto found = dims.find(name);
  return found == dims.end() ? Value() : Value(found->second);
}

// A value inside of a small tensor of the files.
Result<Value> ApplicationScope::ContentsAt(const std::string& function, const std::string& name,
                                           const std::vector<Value>& args) const {
  const auto file = context_.visible.files().Find(name);
  if (!file) return Error(ErrorCode::kMismatch, fmt::format("the source has no `{}`", name));
  const TensorInfo& info = context_.visible.files()[*file];
  const std::string* bytes = context_.visible.ContentsOf(name);
  if (bytes == nullptr) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("the values of `{}` ({} {}) are not known: `{}` reads integers and JSON texts of at most "
                             "{} bytes in checkpoints, not in specs",
                             name, DTypeName(info.dtype), FormatShape(info.shape), function, kMaxSmallTensor));
  }
  if (function == "source_json") {
    const std::string* key = args.empty() ? nullptr : std::get_if<std::string>(&args[0]);
    const int64_t* index = args.size() < 2 ? nullptr : std::get_if<int64_t>(&args[1]);
    if (key == nullptr) return Error(ErrorCode::kMismatch, "`source_json` needs the text of a key");
    return JsonNumberAt(*bytes, *key, index == nullptr ? std::nullopt : std::optional(*index), name);
  }
  const int64_t* index = args.empty() ? nullptr : std::get_if<int64_t>(&args[0]);
  const auto size = static_cast<size_t>(DTypeSize(info.dtype));
  const auto count = static_cast<int64_t>(bytes->size() / size);
  const int64_t at = index == nullptr ? 0 : *index;
  if (at < 0 || at >= count || (index == nullptr && count != 1)) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("`{}` has {} elements, and element {} is asked for", name, count, at));
  }
  uint64_t bits = 0;
  std::memcpy(&bits, bytes->data() + static_cast<size_t>(at) * size, size);
  const int width = DTypeBits(info.dtype);
  const bool is_signed = DTypeName(info.dtype).front() == 'i';
  if (is_signed && width < 64 && (bits >> (width - 1) & 1) != 0) bits |= ~uint64_t{0} << width;
  return Value(static_cast<int64_t>(bits));
}

Result<Value> ApplicationScope::Lookup(const std::string& function, const plan::Pattern& name,
                                       const std::vector<Value>& args) const {
  const bool in_target = function.starts_with("target_");
  const Manifest& manifest = in_target ? context_.target : context_.source;
  CKMAP_ASSIGN_OR_RETURN(const std::string text, Instantiate(name, *this, captures_));
  if (function == "lookup") {
    const std::string* json = args.empty() ? nullptr : std::get_if<std::string>(&args[0]);
    if (json == nullptr || args.size() != 2) return Error(ErrorCode::kMismatch, "`lookup` needs a `json` parameter");
    return LookupByPattern(*json, prefix_.source + text, args[1]);
  }
  if (function == "source_value" || function == "source_json") return ContentsAt(function, prefix_.source + text, args);
  const auto found = manifest.Find((in_target ? prefix_.target : prefix_.source) + text);
  if (function.ends_with("_has")) return Value(found.has_value());
  if (function.ends_with("_rank")) {
    return Value(found ? static_cast<int64_t>(manifest[*found].shape.size()) : int64_t{-1});
  }
  if (!found) return Value(int64_t{-1});
  const Shape& shape = manifest[*found].shape;
  const int64_t* axis = args.empty() ? nullptr : std::get_if<int64_t>(&args[0]);
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis == nullptr) return Error(ErrorCode::kMismatch, fmt::format("`{}` needs the number of an axis", function));
  if (*axis < -rank || *axis >= rank) return Value(int64_t{-1});
  return Value(shape[static_cast<size_t>(*axis < 0 ? *axis + rank : *axis)]);
}
namespace {

// Names are found by what one name of the left side says: where none of them has all captures, no application is found.
void ReportNeverApplied(const BindContext& context, const plan::Rule& rule, size_t index,
                        const std::vector<Slot>& slots, std::vector<Issue>& issues) {
  bool any = false;
  for (size_t i = slots.size(); i-- > 0 && slots[i].rule == index;) {
    if (slots[i].full) return;
    any = true;
  }
  if (!any) return;
  issues.push_back(RuleIssue(
      context, rule, "CK1216",
      fmt::format("the rule can never be applied: no name of its left side has all of its captures, which are `{}`",
                  fmt::join(NamesOf(rule).keys, "`, `")),
      "write a rule for each value of a capture that stands in one name alone"));
}

}  // namespace

Result<std::vector<RuleInstance>> BindRules(const BindContext& context, const Rules& rules,
                                            std::vector<Issue>& issues) {
  const NamePrefix no_prefix;
  std::vector<Slot> slots;
  for (size_t i = 0; i < rules.size(); ++i) {
    auto added = AddSlots(context, *rules[i], i, no_prefix, slots);
    if (!added) {
      issues.push_back(
          RuleIssue(context, *rules[i], "CK1216", added.error().message(), "correct the name or its range"));
    }
    ReportNeverApplied(context, *rules[i], i, slots, issues);
  }
  Matcher matcher;
  for (const Slot& slot : slots) matcher.Add(slot.pattern);
  matcher.Compile();

  std::vector<RuleInstance> instances;
  const ApplicationScope scope(context, no_prefix, kNoCaptures);
  std::vector<Applications> applications(rules.size());
  std::vector<MatchedNames> parts = MatchNames(context, rules, slots, matcher);
  instances.swap(parts.front().instances);
  for (MatchedNames& part : parts) {
    std::move(part.instances.begin(), part.instances.end(), std::back_inserter(instances));
    for (const MatchedNames::Match& match : part.matches) {
      const Slot& slot = slots[match.slot];
      AddMatch(*rules[slot.rule], slot, match.captures, match.tensor, scope, applications[slot.rule]);
    }
  }

  for (size_t i = 0; i < rules.size(); ++i) {
    Failures failures(context, *rules[i]);
    for (const auto& [key, application] : applications[i]) {
      auto instance = Apply(context, *rules[i], no_prefix, application);
      if (instance && !failures.Absorb(*instance)) instances.push_back(*std::move(instance));
    }
    failures.Close(instances);
  }
  return instances;
}

Result<std::vector<RuleInstance>> BindRuleInModule(const BindContext& context, const plan::Layer& layer,
                                                   const plan::Rule& rule, const NamePrefix& prefix,
                                                   const std::vector<size_t>& leaves) {
  std::vector<Slot> slots;
  CKMAP_RETURN_IF_ERROR(AddSlots(context, rule, 0, prefix, slots));
  const Captures none;
  const ApplicationScope scope(context, prefix, none);
  Applications applications;
  for (const Slot& slot : slots) {
    if (!slot.full) continue;
    if (slot.pattern.literal()) {
      const auto found = context.source.Find(*slot.pattern.literal());
      if (found) AddMatch(rule, slot, {}, *found, scope, applications);
      continue;
    }
    for (const size_t leaf : leaves) {
      Captures captures;
      if (slot.pattern.Match(context.source[leaf].name, scope, captures)) {
        AddMatch(rule, slot, captures, leaf, scope, applications);
      }
    }
  }
  std::vector<RuleInstance> instances;
  for (const auto& [key, application] : applications) {
    auto instance = Apply(context, rule, prefix, application);
    if (!instance) continue;
    instance->layer = &layer;
    instances.push_back(*std::move(instance));
  }
  return instances;
}

Result<std::string> WhyRuleDoesNotFit(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                                      const Captures& captures) {
  bool any = false, required = false;
  const ApplicationScope scope(context, prefix, captures);
  std::string missing;
  ForEachName(rule.source(), [&](const plan::Term& term) {
    required = required || !term.optional();
    for (const std::vector<size_t>& choices : AllChoices(term.pattern())) {
      const auto name = Instantiate(term.pattern(), choices, scope, captures);
      if (!name) continue;
      if (context.source.Find(prefix.source + *name)) {
        any = true;
      } else if (missing.empty()) {
        missing = prefix.source + *name;
      }
    }
  });
  if (!any && !required) return std::string();
  if (!missing.empty()) return fmt::format("there is no `{}`", missing);
  std::vector<Issue> issues;
  BuildSource(context, rule, prefix, {captures, {}, {}}, issues);
  return issues.empty() ? std::string() : issues.front().message;
}

}  // namespace ckmap
