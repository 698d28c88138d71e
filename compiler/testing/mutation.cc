#include "compiler/testing/mutation.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "compiler/syntax/parser.h"
#include "compiler/testing/meaning.h"
#include "compiler/testing/run_test.h"
#include "runtime/base/file.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

std::string Normal(const std::string& path) { return fs::path(path).lexically_normal().string(); }

// Something that a program is bound to: a test, or the manifests of a network.
struct Case {
  const TestCase* test = nullptr;  // null: only bound
  std::string name;
  TestData data;
  BindOptions options;
  std::string meaning;  // before any change
};

// A file that is compiled, with all that it is bound to.
struct Subject {
  std::string path;
  CompileResult compiled;
  std::set<std::string> files;  // all that it is made of, normal paths
  std::vector<Case> cases;
};

class MutationRun {
 public:
  MutationRun(const Suite& suite, const MutationOptions& options) : suite_(suite), options_(options) {}

  Result<MutationResult> Run() {
    for (const SuiteFile& file : suite_.files) CKMAP_RETURN_IF_ERROR(AddSubject(file));
    if (std::none_of(subjects_.begin(), subjects_.end(),
                     [](const Subject& subject) { return !subject.compiled.tests.empty(); })) {
      return Error(ErrorCode::kMismatch, "no tests: every change would survive").Context(suite_.name);
    }
    MutationResult result;
    result.suite = suite_.name;
    for (const SuiteFile& file : suite_.files) {
      if (!file.path.ends_with(".test.ckmap")) Mutate(file, result);
    }
    return result;
  }

 private:
  Result<void> AddSubject(const SuiteFile& file) {
    Subject& subject = subjects_.emplace_back();
    subject.path = file.path;
    subject.compiled = Compile(file.path, {options_.pack_path, {}, {}, false});
    if (!subject.compiled.plan) return Error(ErrorCode::kMismatch, "it does not compile").Context(file.name);
    for (uint32_t i = 0; i < subject.compiled.sources.size(); ++i)
      subject.files.insert(Normal(subject.compiled.sources.file({i}).name()));
    for (const TestCase& test : subject.compiled.tests) {
      Case one{&test, test.name, DataOf(test), options_.bind, ""};
      if (!RunTest(*subject.compiled.plan, test, options_.bind).passed()) {
        return Error(ErrorCode::kMismatch,
                     fmt::format("the test `{}` fails before anything is changed: `ckmapc test` shows why", test.name))
            .Context(file.name);
      }
      Learn(BindTest(*subject.compiled.plan, test, one.data, one.options), one);
      subject.cases.push_back(std::move(one));
    }
    for (const PackMigration& migration : suite_.migrations) {
      if (fs::path(file.path).filename() == migration.file) AddNetworks(migration, subject);
    }
    return {};
  }

  void AddNetworks(const PackMigration& migration, Subject& subject) {
    if (options_.manifests.empty()) return;
    for (const std::string& network : migration.verified) {
      const std::string stem = (fs::path(options_.manifests) / network).string();
      auto source = ReadManifest(stem + ".source.json"), target = ReadManifest(stem + ".target.json");
      if (!source || !target) continue;
      Case one{nullptr, network, {*std::move(source), *std::move(target), {}}, options_.bind, ""};
      if (auto config = ReadTextFile(stem + ".config.json"); config && one.options.config_json.empty())
        one.options.config_json = *std::move(config);
      const Result<BindResult> bound = Bind(*subject.compiled.plan, one.data.source, one.data.target, one.options);
      if (!bound || !bound->plan) continue;  // it needs parameters that only a person knows
      Learn(bound, one);
      subject.cases.push_back(std::move(one));
    }
  }

  // What it means, and the places of the statements that it uses.
  void Learn(const Result<BindResult>& bound, Case& one) {
    one.meaning = MeaningOf(bound);
    if (!bound || !bound->plan) return;
    for (const BoundTensor& tensor : bound->plan->tensors) used_.insert(tensor.rule);
    for (const DroppedTensor& tensor : bound->plan->dropped) used_.insert(tensor.rule);
    for (const KeptTensor& tensor : bound->plan->kept) used_.insert(tensor.rule);
  }

  void Mutate(const SuiteFile& file, MutationResult& result) {
    SourceMap sources;
    DiagnosticSink sink;
    const Result<std::string> text = ReadTextFile(file.path);
    if (!text) return;  // it was compiled a moment ago
    const FileId id = sources.Add(file.path, *text);
    const SourceFile& source = sources.file(id);
    const ast::File tree = Parse(source, id, sink);
    uint32_t statement = 0;
    bool used = false;  // by a case, before any change
    for (const Mutant& mutant : MutantsOf(source, tree)) {
      MutantOutcome outcome;
      outcome.file = file.name;
      outcome.line = source.Locate(mutant.edits[0].span.begin).line;
      outcome.change = mutant.change;
      if (mutant.statement.begin != statement || mutant.removes) {
        used = IsUsed(file, source.Locate(mutant.statement.begin).line, source.Locate(mutant.statement.end).line);
      }
      statement = mutant.statement.begin;
      Judge(file.path, Apply(source, mutant.edits), outcome);
      // Where its removal changes something, the statement is in use.
      if (mutant.removes && outcome.fate != Fate::kEquivalent) used = true;
      if (outcome.fate == Fate::kEquivalent && !used) outcome.fate = Fate::kUnreached;
      result.mutants.push_back(std::move(outcome));
    }
  }

  // A statement or, of a layer, one of its lines. Reports name a file by its pack or as it was given: the last part is
  // the same.
  bool IsUsed(const SuiteFile& file, uint32_t first, uint32_t last) const {
    const std::string name = fs::path(file.path).filename().string();
    for (uint32_t line = first; line <= last; ++line) {
      const std::string place = fmt::format("{}:{}", name, line);
      if (std::any_of(used_.begin(), used_.end(),
                      [&](const std::string& rule) { return rule == place || rule.ends_with("/" + place); }))
        return true;
    }
    return false;
  }

  void Judge(const std::string& path, std::string text, MutantOutcome& outcome) const {
    const std::string changed = Normal(path);
    CompileOptions compile{options_.pack_path, {{changed, std::move(text)}}, {}, false};
    bool different = false;
    for (const Subject& subject : subjects_) {
      if (!subject.files.contains(changed)) continue;
      const CompileResult mutated = Compile(subject.path, compile);
      if (!mutated.plan) {
        outcome.fate = Fate::kRefused;
        return;
      }
      for (const Case& one : subject.cases) {
        const Result<BindResult> bound = one.test != nullptr
                                             ? BindTest(*mutated.plan, *one.test, one.data, one.options)
                                             : Bind(*mutated.plan, one.data.source, one.data.target, one.options);
        if (MeaningOf(bound) == one.meaning) continue;
        different = true;
        const bool fails =
            one.test != nullptr ? !RunTest(*mutated.plan, *one.test, one.options).passed() : !bound || !bound->plan;
        if (!fails) continue;
        outcome.fate = Fate::kKilled;
        outcome.by = one.name;
        return;
      }
    }
    outcome.fate = different ? Fate::kSurvived : Fate::kEquivalent;
  }

  const Suite& suite_;
  const MutationOptions& options_;
  std::deque<Subject> subjects_;  // they stay where they are: cases point into them
  std::set<std::string> used_;
};

}  // namespace

int64_t MutationResult::Count(Fate fate) const {
  return std::count_if(mutants.begin(), mutants.end(),
                       [fate](const MutantOutcome& mutant) { return mutant.fate == fate; });
}

double MutationResult::score() const {
  const auto killed = static_cast<double>(Count(Fate::kKilled));
  const auto alive = static_cast<double>(Count(Fate::kSurvived) + Count(Fate::kUnreached));
  return killed + alive == 0 ? 100 : 100 * killed / (killed + alive);
}

Result<MutationResult> RunMutations(const Suite& suite, const MutationOptions& options) {
  return MutationRun(suite, options).Run();
}

}  // namespace ckmap
