#include "compiler/sema/overlap/name_search.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMaxStates = 50'000;   // of one search
constexpr size_t kMaxWork = 4'000'000;  // moves of all searches of one program, and what takes as long
constexpr size_t kSearch = 40;          // moves that take as long as to begin a search
constexpr std::string_view kTooMuch = "the searches of this program together took too long";
constexpr size_t kReported = 5;  // undecided questions that get a report of their own

void AddSeed(std::string word, std::vector<std::string>& seeds) {
  constexpr size_t kMaxSeeds = 60;
  if (!word.empty() && seeds.size() < kMaxSeeds && std::find(seeds.begin(), seeds.end(), word) == seeds.end())
    seeds.push_back(std::move(word));
}

// What a condition compares with, and the numbers beside it.
void AddSeeds(const TypedExpr& expr, std::vector<std::string>& seeds) {
  if (expr.kind == TypedExpr::Kind::kText) AddSeed(expr.text, seeds);
  for (int64_t near = -1; near <= 1 && expr.kind == TypedExpr::Kind::kInt; ++near) {
    if (expr.integer > 0 && expr.integer < INT64_MAX) AddSeed(std::to_string(expr.integer + near), seeds);
  }
  for (const TypedExpr& arg : expr.args) AddSeeds(arg, seeds);
}

// Words that names of the pattern hold: what captures of another pattern are tried with.
void AddSeeds(const TypedPattern& pattern, std::vector<std::string>& seeds) {
  const auto add = [&](std::string word) { AddSeed(std::move(word), seeds); };
  for (const TypedPart& part : pattern.parts) {
    for (const std::string& option : part.options) add(option);
    for (const std::string& choice : part.capture.choices) add(choice);
    if (part.kind != TypedPart::Kind::kLiteral) continue;
    add(part.text);
    for (size_t begin = 0; begin < part.text.size();) {  // and each run between two marks
      const size_t end = std::min(part.text.find_first_of("./_-:", begin), part.text.size());
      add(part.text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
}

}  // namespace

bool NameSearch::Exact(const Language& language) const {
  languages_.AutomatonOf(language);
  return language.exact;
}

Found NameSearch::Search(const Automaton& a, const Automaton& b) {
  if (!Spend(kSearch)) return {Answer::kGaveUp, "", "", "", 0};
  Found found = FindCommonWord(a, b, kMaxStates);
  work_ += found.work;
  return found;
}

bool NameSearch::TooMuch() const { return work_ > kMaxWork; }

NameSearch::Decision NameSearch::Find(const Language& a, const Language& b) {
  if (a.literal && b.literal) return {*a.literal == *b.literal ? a.literal : std::nullopt, ""};
  if (TooMuch()) return {std::nullopt, std::string(kTooMuch)};
  Found found = Search(languages_.AutomatonOf(a), languages_.AutomatonOf(b));
  if (found.answer == Answer::kNo) return {};
  if (found.answer == Answer::kYes && Exact(a) && Exact(b)) return {std::move(found.word), ""};
  std::optional<std::string> name = TooMuch() ? std::nullopt : CommonWhereBothApply(a, b, {found.word});
  if (name) return {std::move(name), ""};
  return {std::nullopt,
          found.answer == Answer::kYes
              ? "a name holds a number, a text or a part of a regular expression of which too little is known"
          : TooMuch() ? std::string(kTooMuch)
                      : fmt::format("a search passed {} states", kMaxStates)};
}

std::optional<std::string> NameSearch::Common(const Language& a, const Language& b) {
  Decision found = Find(a, b);
  if (!found.undecided.empty()) Undecided(b, &a, std::move(found.undecided));
  return std::move(found.name);
}

std::optional<std::string> NameSearch::CommonWhereBothApply(const Language& a, const Language& b,
                                                            const std::vector<std::string>& first_tried) {
  const auto applies = [&](const Language& language, const std::string& name) {
    const std::vector<CaptureTexts> readings = Readings(languages_, language, name);
    return std::any_of(readings.begin(), readings.end(), [&](const CaptureTexts& texts) {
      return language.rule == nullptr || Applies(*language.rule, texts, languages_.variables()).value_or(true);
    });
  };
  const auto both = [&](const std::string& name) { return !name.empty() && applies(a, name) && applies(b, name); };
  for (const std::string& name : first_tried) {
    if (both(name)) return name;
  }
  for (const auto& [language, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    std::vector<std::string> seeds;
    for (const Language* either : {&a, &b}) {
      if (either->rule != nullptr && either->rule->when) AddSeeds(*either->rule->when, seeds);
    }
    AddSeeds(*other->pattern, seeds);
    const std::vector<std::string> samples =
        language->literal ? std::vector{*language->literal} : SampleNames(languages_, *language, seeds);
    work_ += samples.size() * 600;
    const auto found = std::find_if(samples.begin(), samples.end(), [&](const std::string& name) {
      return applies(*other, name) && applies(*language, name);
    });
    if (found != samples.end()) return *found;
  }
  return std::nullopt;
}

std::optional<std::string> NameSearch::Candidate(const Language& a, const CaptureTexts& a_texts, const Language& b,
                                                 const CaptureTexts& b_texts) {
  bool exact = true;
  Found found = Search(languages_.AutomatonWith(a, a_texts, exact), languages_.AutomatonWith(b, b_texts, exact));
  return found.answer == Answer::kYes ? std::optional(std::move(found.word)) : std::nullopt;
}

bool NameSearch::Covers(const Language& outer, const Language& inner) {
  if (!Exact(outer)) return false;  // names of it may be fewer than its automaton has
  if (cover_work_ > kMaxWork) return false;
  const Found found = FindWordOutside(languages_.AutomatonOf(inner), languages_.AutomatonOf(outer), kMaxStates);
  cover_work_ += found.work + kSearch;
  return found.answer == Answer::kNo;
}

bool NameSearch::HasOneReading(const Language& language) {
  if (language.one_reading) return *language.one_reading;
  size_t open = 0;
  for (const TypedPart& part : language.pattern->parts) open += part.kind == TypedPart::Kind::kLiteral ? 0 : 1;
  if (open <= 1) return (language.one_reading = true).value();
  if (!Spend(kSearch)) return false;
  const Found found = FindTwoReadings(languages_.AutomatonOf(language), kMaxStates);
  work_ += found.work;
  return (language.one_reading = found.answer == Answer::kNo).value();
}

bool NameSearch::Has(const Language& language, const std::string& name) {
  if (language.literal) return *language.literal == name;
  if (!name.starts_with(language.prefix) || !name.ends_with(language.suffix)) return false;
  return Exact(language) && Search(languages_.AutomatonOf(language), Automaton::Literal(name)).answer == Answer::kYes;
}

void NameSearch::Undecided(const Language& a, const Language* b, std::string why) {
  last_ = a.pattern->span;
  if (++undecided_ > kReported) return;
  auto report = sink_.Report(DiagnosticKind::kNotDecided, a.pattern->span,
                             "whether names of this pattern overlap with others was not decided");
  if (b != nullptr) static_cast<void>(std::move(report).With(b->pattern->span, "with those of this one"));
  std::move(report).Note(std::move(why)).Help("bind checks it for the tensors that there are").Emit();
}

void NameSearch::Finish() {
  if (undecided_ <= kReported) return;
  sink_
      .Report(DiagnosticKind::kNotDecided, *last_,
              fmt::format("{} more pairs of patterns were not decided", undecided_ - kReported))
      .Note("the last of them stands here")
      .Help("bind checks them for the tensors that there are")
      .Emit();
  undecided_ = 0;
}

}  // namespace ckmap
