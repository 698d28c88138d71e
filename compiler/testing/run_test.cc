#include "compiler/testing/run_test.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/testing/compare.h"
#include "compiler/testing/memory_files.h"
#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/ops/scalar_bytes.h"

namespace ckmap {
namespace {

// How far whole numbers can be told apart; below it a prime, so that strides do not meet the period.
int64_t Period(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return 2;
    case DType::kI8:
      return 127;
    case DType::kU8:
      return 251;
    case DType::kI16:
      return 32749;
    case DType::kU16:
      return 65521;
    case DType::kF16:
      return 2039;
    case DType::kBF16:
      return 251;
    case DType::kF8E4M3:
    case DType::kF8E4M3Fnuz:
      return 13;
    case DType::kF8E5M2:
    case DType::kF8E5M2Fnuz:
      return 7;
    case DType::kF32:
    case DType::kC64:
      return 16777213;
    default:
      return int64_t{1} << 31;
  }
}

class Runner {
 public:
  Runner(const TestCase& test, TestData data, TestResult& result)
      : test_(test), data_(std::move(data)), result_(result) {}

  void Run(const Plan& plan, const BindOptions& options) {
    Result<BindResult> bound = BindTest(plan, test_, data_, options);
    if (!bound) {
      Fail("", bound.error().message());
      return;
    }
    CheckIssues(bound->issues);
    if (!bound->plan || !test_.errors.empty()) return;
    CheckLeftOut(*bound->plan);
    KeepChecksOfGivenValues(*bound->plan);
    CheckValues(*bound->plan);
  }

 private:
  void Fail(std::string tensor, std::string message, std::vector<std::string> notes = {}) {
    result_.failures.push_back({std::move(tensor), std::move(message), std::move(notes)});
  }

  void CheckIssues(const std::vector<Issue>& issues) {
    std::vector<bool> met(test_.errors.size(), false);
    for (const Issue& issue : issues) {
      if (issue.severity != IssueSeverity::kError) continue;
      bool expected = false;
      for (size_t i = 0; i < met.size(); ++i) {
        const TestError& error = test_.errors[i];
        if (error.code != issue.code || (!error.tensor.empty() && error.tensor != issue.tensor)) continue;
        met[i] = expected = true;
      }
      if (expected) continue;
      std::vector<std::string> notes = issue.notes;
      if (!issue.help.empty()) notes.push_back("help: " + issue.help);
      Fail(issue.tensor, fmt::format("{}: {}", issue.code, issue.message), std::move(notes));
    }
    for (size_t i = 0; i < met.size(); ++i) {
      if (met[i]) continue;
      const TestError& error = test_.errors[i];
      Fail(error.tensor, error.tensor.empty() ? fmt::format("{} was expected, and is not reported", error.code)
                                              : fmt::format("{} was expected for {}, and is not reported", error.code,
                                                            QuoteName(error.tensor)));
    }
  }

  // What is dropped or kept is so because the test says so.
  void CheckLeftOut(const BoundPlan& bound) {
    std::map<std::string_view, std::string_view> dropped, kept;
    std::set<std::string_view> compared;
    for (const DroppedTensor& tensor : bound.dropped) {
      dropped[tensor.name] = tensor.rule;
      if (!tensor.equals.empty()) compared.insert(tensor.name);
    }
    for (const KeptTensor& tensor : bound.kept) kept[tensor.name] = tensor.rule;
    for (const TestTensor& tensor : test_.source) {
      const auto found = dropped.find(tensor.info.name);
      const bool wanted = tensor.value == TestTensor::Value::kDropped;
      if (wanted == (found != dropped.end())) continue;
      // Values that are given for a tensor of which a `drop` says what it equals are there to be compared.
      if (tensor.value == TestTensor::Value::kElements && compared.contains(tensor.info.name)) continue;
      if (wanted) {
        Fail(tensor.info.name, fmt::format("{} is used; it was expected to be dropped", QuoteName(tensor.info.name)));
      } else {
        Fail(tensor.info.name, fmt::format("{} is dropped by {}", QuoteName(tensor.info.name), found->second),
             {"help: where that is meant, write `= dropped` behind it"});
      }
    }
    for (const TestTensor& tensor : test_.target) {
      const auto found = kept.find(tensor.info.name);
      const bool wanted = tensor.value == TestTensor::Value::kKept;
      if (wanted == (found != kept.end()) || (tensor.info.optional && tensor.value == TestTensor::Value::kNone))
        continue;
      if (wanted) {
        Fail(tensor.info.name, fmt::format("{} is written; it was expected to be kept", QuoteName(tensor.info.name)));
      } else {
        Fail(tensor.info.name,
             fmt::format("{} keeps the network's own value: {}", QuoteName(tensor.info.name), found->second),
             {"help: where that is meant, write `= kept` behind it"});
      }
    }
  }

  // Elements that the test does not give are numbered, so nothing can be said of what they are equal to.
  void KeepChecksOfGivenValues(BoundPlan& bound) const {
    std::erase_if(bound.checks, [&](const ValueCheck& check) {
      bool given = true;
      for (const PiecedTensor* side : {&check.found, &check.expected}) {
        ForEachSource(
            *side, [&](size_t source) { given = given && test_.source[source].value == TestTensor::Value::kElements; });
      }
      return !given;
    });
  }

  void CheckValues(const BoundPlan& bound) {
    auto values = RunInMemory(bound, data_.values);
    if (!values) {
      Fail("", values.error().message());
      return;
    }
    for (size_t i = 0; i < bound.tensors.size(); ++i) Compare(bound, bound.tensors[i], (*values)[i]);
  }

  void Compare(const BoundPlan& bound, const BoundTensor& tensor, const std::vector<std::byte>& found) {
    const TestTensor& wanted = test_.target[tensor.target];
    ++result_.tensors;
    const std::optional<std::vector<std::byte>> expected = Expected(wanted, tensor);
    if (!expected) return;
    result_.elements += NumElements(tensor.shape).value_or(0);
    const TensorInfo info{tensor.name, tensor.dtype, tensor.shape, -1, false, "", ""};
    auto difference = Differences(info, found, *expected, wanted.tolerance);
    if (!difference) return;
    difference->notes.push_back(MadeBy(bound, tensor));
    result_.failures.push_back(*std::move(difference));
  }

  static std::string MadeBy(const BoundPlan& bound, const BoundTensor& tensor) {
    std::string sources, ops;
    ForEachSource(tensor, [&](size_t source) {
      const std::string name = QuoteName(bound.source[source].name);
      if (sources.find(name) == std::string::npos) sources += (sources.empty() ? "" : ", ") + name;
    });
    for (const std::string& op : tensor.ops) ops += " | " + op;
    return fmt::format("it is made by {}{}{}{}", tensor.rule, sources.empty() ? "" : ": ", sources, ops);
  }

  std::optional<std::vector<std::byte>> Expected(const TestTensor& wanted, const BoundTensor& tensor) const {
    if (wanted.value == TestTensor::Value::kElements) return wanted.elements;
    if (wanted.value != TestTensor::Value::kSource) return std::nullopt;
    const std::optional<size_t> source = data_.source.Find(wanted.from);
    if (!source) return std::nullopt;  // the compiler has refused such a test
    const std::vector<std::byte>& from = data_.values[*source];
    const CastOp cast{data_.source[*source].dtype, tensor.dtype, Overflow::kSaturate};
    if (cast.from == cast.to || !CanCast(cast)) return from;
    const auto count = from.size() / static_cast<size_t>(DTypeSize(cast.from));
    std::vector<std::byte> out(count * static_cast<size_t>(DTypeSize(cast.to)));
    CastCounts counts;
    CastElements(cast, from.data(), out.data(), count, counts);
    return out;
  }

  const TestCase& test_;
  TestData data_;
  TestResult& result_;
};

}  // namespace

std::vector<std::byte> Counting(const TensorInfo& tensor, int64_t first) {
  const int64_t count = NumElements(tensor.shape).value_or(0);
  const int64_t period = Period(tensor.dtype);
  const auto size = static_cast<size_t>(DTypeSize(tensor.dtype));
  std::vector<std::byte> out;
  out.reserve(static_cast<size_t>(count) * size);
  for (int64_t i = 0; i < count; ++i) {
    const auto bytes = tensor.dtype == DType::kF8E8M0 ? std::nullopt : ScalarBytes((first + i) % period, tensor.dtype);
    if (bytes) {
      out.insert(out.end(), bytes->begin(), bytes->end());
    } else {  // a type without numbers, or of powers of two alone: its bits count
      for (size_t b = 0; b < size; ++b)
        out.push_back(static_cast<std::byte>(b < 8 ? static_cast<uint64_t>(first + i) >> (8 * b) : 0));
    }
  }
  return out;
}

TestData DataOf(const TestCase& test) {
  TestData data;
  int64_t next = 0;
  for (const TestTensor& tensor : test.source) {
    data.source.Add(tensor.info);
    data.values.push_back(tensor.value == TestTensor::Value::kElements ? tensor.elements : Counting(tensor.info, next));
    if (tensor.value != TestTensor::Value::kElements) next += *NumElements(tensor.info.shape);
  }
  for (const TestTensor& tensor : test.target) data.target.Add(tensor.info);
  return data;
}

Result<BindResult> BindTest(const Plan& plan, const TestCase& test, const TestData& data, const BindOptions& options) {
  BindOptions own = options;
  for (const auto& [name, value] : test.params) own.defines[name] = value;
  for (const plan::NamedSource& source : plan.proto().named_sources()) own.source.spaces.push_back(source.name());
  for (size_t i = 0; i < data.source.size(); ++i) {
    const std::vector<std::byte>& bytes = data.values[i];
    if (!IsInteger(data.source[i].dtype) || bytes.size() > static_cast<size_t>(kMaxSmallTensor)) continue;
    own.source.contents.emplace(data.source[i].name,
                                std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  return Bind(plan, data.source, data.target, own);
}

Result<std::vector<std::vector<std::byte>>> RunInMemory(const BoundPlan& bound,
                                                        std::vector<std::vector<std::byte>> source) {
  CKMAP_ASSIGN_OR_RETURN(const std::unique_ptr<MemoryWriter> writer, MemoryWriter::Create(OutputTensors(bound)));
  const MemoryCheckpoint checkpoint(bound.source, std::move(source));
  ExecOptions options;
  options.threads = 1;
  options.max_memory = int64_t{4} << 20;
  CKMAP_RETURN_IF_ERROR(Execute(bound, checkpoint, *writer, options));
  std::vector<std::vector<std::byte>> values;
  for (size_t i = 0; i < bound.tensors.size(); ++i) {
    CKMAP_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, writer->Read(i));
    values.push_back(std::move(bytes));
  }
  return values;
}

TestResult RunTest(const Plan& plan, const TestCase& test, const BindOptions& options) {
  TestResult result;
  Runner(test, DataOf(test), result).Run(plan, options);
  return result;
}

}  // namespace ckmap
