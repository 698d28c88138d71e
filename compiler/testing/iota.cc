#include "compiler/testing/iota.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

struct Pair {
  std::string name;
  uint32_t line = 0;
  Manifest source, target;
  BindOptions options;
};

std::vector<std::vector<std::byte>> Numbered(const Manifest& manifest) {
  std::vector<std::vector<std::byte>> values;
  int64_t next = 0;
  for (const TensorInfo& tensor : manifest.tensors()) {
    values.push_back(Counting(tensor, next));
    next += NumElements(tensor.shape).value_or(0);
  }
  return values;
}

void Fail(TestResult& result, std::string message, std::vector<std::string> notes = {}) {
  result.failures.push_back({"", std::move(message), std::move(notes)});
}

// The plan, or what is wrong with it as a failure.
std::optional<BoundPlan> BindOrFail(const Plan& plan, Manifest source, Manifest target, const BindOptions& options,
                                    std::string_view what, TestResult& result) {
  Result<BindResult> bound = Bind(plan, std::move(source), std::move(target), options);
  if (!bound) {
    Fail(result, fmt::format("{}: {}", what, bound.error().message()));
    return std::nullopt;
  }
  if (!bound->plan) {
    for (const Issue& issue : bound->issues) {
      if (issue.severity == IssueSeverity::kError)
        Fail(result, fmt::format("{}: {}: {}", what, issue.code, issue.message), issue.notes);
    }
  }
  return std::move(bound->plan);
}

bool Casts(const BoundPlan& plan) {
  return std::any_of(plan.tensors.begin(), plan.tensors.end(), [](const BoundTensor& tensor) {
    return std::any_of(tensor.inputs.begin(), tensor.inputs.end(),
                       [](const BoundInput& input) { return !input.casts.empty(); });
  });
}

// The first rule that says `->`; empty: none.
std::string OneWay(const plan::Plan& plan) {
  const auto find = [&](const auto& rules) -> std::string {
    for (const plan::Rule& rule : rules) {
      if (!rule.reversible())
        return fmt::format("{}:{}", plan.files(static_cast<int>(rule.loc().file())).name(), rule.loc().line());
    }
    return "";
  };
  std::string found = find(plan.derived());
  if (found.empty()) found = find(plan.rules());
  for (const plan::Layer& layer : plan.layers()) {
    if (found.empty()) found = find(layer.rules());
  }
  return found;
}

// A -> B -> A: what came in comes out again.
void ThereAndBack(const Plan& plan, const Pair& pair, TestResult& result) {
  if (const std::string where = OneWay(plan.proto()); !where.empty()) {
    result.skipped = fmt::format("the rule at {} goes one way", where);
    return;
  }
  const auto whole = BindOrFail(plan, pair.source, pair.target, pair.options, "forth", result);
  if (!whole) return;
  if (Casts(*whole)) {
    result.skipped = "a cast is not undone";
    return;
  }
  // What is dropped on the way, and what is made of nothing, does not come back.
  std::set<size_t> dropped;
  for (const DroppedTensor& tensor : whole->dropped) dropped.insert(tensor.source);
  Manifest left, right;
  for (size_t i = 0; i < whole->source.size(); ++i) {
    if (!dropped.contains(i)) left.Add(whole->source[i]);
  }
  for (const BoundTensor& tensor : whole->tensors) {
    TensorInfo info = whole->target[tensor.target];
    info.dtype = tensor.dtype;
    info.shape = tensor.shape;
    if (!tensor.initialized) right.Add(std::move(info));
  }
  if (left.size() == 0) {
    result.skipped = "nothing is used";
    return;
  }
  plan::Plan reversed = plan.proto();
  reversed.set_reversed(true);
  const Result<Plan> back = ParsePlan(SerializePlan(reversed));
  if (!back) return Fail(result, back.error().message());
  auto forth_bound = BindOrFail(plan, left, right, pair.options, "forth", result);
  const auto back_bound = BindOrFail(*back, right, left, pair.options, "back", result);
  if (!forth_bound || !back_bound) return;
  forth_bound->checks.clear();  // no two elements are equal here
  const auto start = Numbered(left);
  auto middle = RunInMemory(*forth_bound, start);
  if (!middle) return Fail(result, "forth: " + middle.error().message());
  std::vector<std::vector<std::byte>> moved(right.size());
  for (size_t i = 0; i < forth_bound->tensors.size(); ++i)
    moved[forth_bound->tensors[i].target] = std::move((*middle)[i]);
  const auto end = RunInMemory(*back_bound, std::move(moved));
  if (!end) return Fail(result, "back: " + end.error().message());
  for (size_t i = 0; i < back_bound->tensors.size(); ++i) {
    const size_t tensor = back_bound->tensors[i].target;
    if (auto difference = Differences(left[tensor], (*end)[i], start[tensor], 0))
      result.failures.push_back(*std::move(difference));
    ++result.tensors;
  }
}

// Two programs on one pair of manifests.
void Against(const Plan& plan, const Plan& other, const std::string& name, const Pair& pair, TestResult& result) {
  auto mine = BindOrFail(plan, pair.source, pair.target, pair.options, "these rules", result);
  auto theirs = BindOrFail(other, pair.source, pair.target, pair.options, name, result);
  if (!mine || !theirs) return;
  mine->checks.clear();  // no two elements are equal here
  theirs->checks.clear();
  const auto values = Numbered(pair.source);
  const auto found = RunInMemory(*mine, values), expected = RunInMemory(*theirs, values);
  if (!found) return Fail(result, "these rules: " + found.error().message());
  if (!expected) return Fail(result, name + ": " + expected.error().message());
  std::vector<const std::vector<std::byte>*> by_target(pair.target.size(), nullptr);
  for (size_t i = 0; i < theirs->tensors.size(); ++i) by_target[theirs->tensors[i].target] = &(*expected)[i];
  for (size_t i = 0; i < mine->tensors.size(); ++i) {
    const BoundTensor& tensor = mine->tensors[i];
    const std::vector<std::byte>* other_bytes = by_target[tensor.target];
    by_target[tensor.target] = nullptr;
    const TensorInfo info{tensor.name, tensor.dtype, tensor.shape, -1, false, "", ""};
    ++result.tensors;
    if (other_bytes == nullptr) {
      result.failures.push_back(
          {tensor.name, fmt::format("{} is not written by {}", QuoteName(tensor.name), name), {}});
    } else if (auto difference = Differences(info, (*found)[i], *other_bytes, 0)) {
      difference->notes.push_back(
          fmt::format("found is what these rules make ({}), expected is what {} makes", tensor.rule, name));
      result.failures.push_back(*std::move(difference));
    }
  }
  for (size_t i = 0; i < by_target.size(); ++i) {
    if (by_target[i] != nullptr)
      result.failures.push_back(
          {pair.target[i].name, fmt::format("{} is written by {} alone", QuoteName(pair.target[i].name), name), {}});
  }
}

Result<std::vector<Pair>> PairsOf(const CompileResult& compiled, const IotaOptions& options) {
  std::vector<Pair> pairs;
  if (!options.source.empty()) {
    Pair pair{fmt::format("{} and {}", options.source, options.target), 0, {}, {}, options.bind};
    CKMAP_ASSIGN_OR_RETURN(pair.source, ReadManifest(options.source));
    CKMAP_ASSIGN_OR_RETURN(pair.target, ReadManifest(options.target));
    pairs.push_back(std::move(pair));
    return pairs;
  }
  for (const TestCase& test : compiled.tests) {
    if (!test.errors.empty()) continue;
    TestData data = DataOf(test);
    Pair pair{test.name, compiled.sources.file(test.span.file).Locate(test.span.begin).line, std::move(data.source),
              std::move(data.target), options.bind};
    for (const auto& [name, value] : test.params) pair.options.defines[name] = value;
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<CompileResult> CompileOrError(const std::string& path, const IotaOptions& options) {
  CompileResult result = Compile(path, {options.pack_path, {}, {}, false});
  if (!result.plan)
    return Error(ErrorCode::kMismatch,
                 result.diagnostics.empty() ? "it does not compile" : result.diagnostics[0].message)
        .Context(path);
  return result;
}

}  // namespace

Result<std::vector<FileTests>> RunIota(const Suite& suite, const IotaOptions& options) {
  std::optional<Plan> other;
  if (!options.against.empty()) {
    CKMAP_ASSIGN_OR_RETURN(const Suite rules, FindSuite(options.against, {options.pack_path, {}}));
    CKMAP_ASSIGN_OR_RETURN(CompileResult compiled, CompileOrError(rules.files[0].path, options));
    other = *std::move(compiled.plan);
  }
  std::vector<FileTests> files;
  for (const SuiteFile& file : suite.files) {
    CKMAP_ASSIGN_OR_RETURN(const CompileResult compiled, CompileOrError(file.path, options));
    CKMAP_ASSIGN_OR_RETURN(const std::vector<Pair> pairs, PairsOf(compiled, options));
    files.push_back({file.name, {}});
    for (const Pair& pair : pairs) {
      FileTests::Entry entry{pair.name, pair.line, {}};
      if (other)
        Against(*compiled.plan, *other, options.against, pair, entry.result);
      else
        ThereAndBack(*compiled.plan, pair, entry.result);
      files.back().tests.push_back(std::move(entry));
    }
    if (!options.source.empty()) break;  // given manifests are for the rules themselves
  }
  return files;
}

}  // namespace ckmap
