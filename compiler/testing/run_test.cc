#include "compiler/testing/run_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "compiler/testing/memory_files.h"
#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/exec/cast.h"
#include "runtime/exec/executor.h"
#include "runtime/report/element_reader.h"
#include "runtime/tensor/scalar_bytes.h"

namespace ckmap {
namespace {

constexpr int64_t kShownElements = 64;

// How far whole numbers can be told apart; below it a prime, so that strides do not meet the period.
int64_t Period(DType dtype) {
  switch (dtype) {
    case DType::kBool: return 2;
    case DType::kI8: return 127;
    case DType::kU8: return 251;
    case DType::kI16: return 32749;
    case DType::kU16: return 65521;
    case DType::kF16: return 2039;
    case DType::kBF16: return 251;
    case DType::kF8E4M3: return 13;
    case DType::kF8E5M2: return 7;
    case DType::kF32:
    case DType::kC64: return 16777213;
    default: return int64_t{1} << 31;
  }
}

std::string Coordinates(int64_t index, const Shape& shape) {
  Shape at(shape.size());
  for (size_t k = shape.size(); k-- > 0;) {
    at[k] = index % shape[k];
    index /= shape[k];
  }
  return FormatShape(at);
}

uint64_t Bits(std::span<const std::byte> bytes, size_t element, size_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data() + element * size, std::min<size_t>(size, 8));
  return bits;
}

std::string ElementText(std::span<const std::byte> bytes, size_t element, DType dtype) {
  const auto size = static_cast<size_t>(DTypeSize(dtype));
  if (IsNumber(dtype)) return FormatElement(dtype, Bits(bytes, element, size));
  std::string text = "0x";
  for (size_t i = size; i-- > 0;) text += fmt::format("{:02x}", static_cast<unsigned>(bytes[element * size + i]));
  return text;
}

std::string Describe(const TensorInfo& info) {
  return fmt::format("{} {} {}", QuoteName(info.name), DTypeName(info.dtype), FormatShape(info.shape));
}

// The elements of one tensor, told apart by how they must be equal.
class Comparison {
 public:
  Comparison(std::span<const std::byte> found, std::span<const std::byte> expected, DType dtype, double tolerance)
      : found_(found), expected_(expected), size_(static_cast<size_t>(DTypeSize(dtype))), tolerance_(tolerance) {
    if (!IsNumber(dtype)) return;
    ToNumbers(dtype, found, found_numbers_);
    ToNumbers(dtype, expected, expected_numbers_);
  }
  bool Equal(size_t element) const {
    if (std::memcmp(found_.data() + element * size_, expected_.data() + element * size_, size_) == 0) return true;
    if (found_numbers_.empty()) return false;
    const double found = found_numbers_[element], expected = expected_numbers_[element];
    if (std::isnan(found) || std::isnan(expected)) return std::isnan(found) && std::isnan(expected);
    return tolerance_ > 0 && std::fabs(found - expected) <= tolerance_;
  }

 private:
  std::span<const std::byte> found_, expected_;
  std::vector<double> found_numbers_, expected_numbers_;
  size_t size_;
  double tolerance_;
};

class Runner {
 public:
  Runner(const TestCase& test, TestData data, TestResult& result) : test_(test), data_(std::move(data)), result_(result) {}

  void Run(const Plan& plan, const BindOptions& options) {
    Result<BindResult> bound = BindTest(plan, test_, data_, options);
    if (!bound) {
      Fail("", bound.error().message());
      return;
    }
    CheckIssues(bound->issues);
    if (!bound->plan || !test_.errors.empty()) return;
    CheckLeftOut(*bound->plan);
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
                                              : fmt::format("{} was expected for {}, and is not reported", error.code, QuoteName(error.tensor)));
    }
  }

  // What is dropped or kept is so because the test says so.
  void CheckLeftOut(const BoundPlan& bound) {
    std::map<std::string_view, std::string_view> dropped, kept;
    for (const DroppedTensor& tensor : bound.dropped) dropped[tensor.name] = tensor.rule;
    for (const KeptTensor& tensor : bound.kept) kept[tensor.name] = tensor.rule;
    for (const TestTensor& tensor : test_.source) {
      const auto found = dropped.find(tensor.info.name);
      const bool wanted = tensor.value == TestTensor::Value::kDropped;
      if (wanted == (found != dropped.end())) continue;
      if (wanted) {
        Fail(tensor.info.name, fmt::format("{} is used; it was expected to be dropped", QuoteName(tensor.info.name)));
      } else {
        Fail(tensor.info.name, fmt::format("{} is dropped by {}", QuoteName(tensor.info.name), found->second), {"help: where that is meant, write `= dropped` behind it"});
      }
    }
    for (const TestTensor& tensor : test_.target) {
      const auto found = kept.find(tensor.info.name);
      const bool wanted = tensor.value == TestTensor::Value::kKept;
      if (wanted == (found != kept.end()) || (tensor.info.optional && tensor.value == TestTensor::Value::kNone)) continue;
      if (wanted) {
        Fail(tensor.info.name, fmt::format("{} is written; it was expected to be kept", QuoteName(tensor.info.name)));
      } else {
        Fail(tensor.info.name, fmt::format("{} keeps the network's own value: {}", QuoteName(tensor.info.name), found->second), {"help: where that is meant, write `= kept` behind it"});
      }
    }
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
    const auto size = static_cast<size_t>(DTypeSize(tensor.dtype));
    const size_t count = found.size() / size;
    result_.elements += static_cast<int64_t>(count);
    const TensorInfo info{tensor.name, tensor.dtype, tensor.shape, -1, false, "", ""};
    if (expected->size() != found.size()) {
      Fail(tensor.name, fmt::format("{} has {}, expected {}", Describe(info), Plural(static_cast<int64_t>(count), "element"), expected->size() / size));
      return;
    }
    const Comparison comparison(found, *expected, tensor.dtype, wanted.tolerance);
    size_t first = count, differ = 0;
    for (size_t element = 0; element < count; ++element) {
      if (comparison.Equal(element)) continue;
      if (differ++ == 0) first = element;
    }
    if (differ == 0) return;
    std::vector<std::string> notes;
    if (count > 1) {
      notes.push_back("found     " + FormatElements(found, tensor.dtype, tensor.shape));
      notes.push_back("expected  " + FormatElements(*expected, tensor.dtype, tensor.shape));
    }
    notes.push_back(MadeBy(bound, tensor));
    const std::string where = tensor.shape.empty() ? "" : fmt::format(", the first at {}", Coordinates(static_cast<int64_t>(first), tensor.shape));
    Fail(tensor.name,
         fmt::format("{}: {} of {} {}{}: found {}, expected {}", Describe(info), differ, Plural(static_cast<int64_t>(count), "element"), differ == 1 ? "differs" : "differ", where,
                     ElementText(found, first, tensor.dtype), ElementText(*expected, first, tensor.dtype)),
         std::move(notes));
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
    const auto bytes = ScalarBytes(static_cast<double>((first + i) % period), tensor.dtype);
    if (bytes) {
      out.insert(out.end(), bytes->begin(), bytes->end());
    } else {  // a type without numbers: its bits count
      for (size_t b = 0; b < size; ++b) out.push_back(static_cast<std::byte>(b < 8 ? static_cast<uint64_t>(first + i) >> (8 * b) : 0));
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
  return Bind(plan, data.source, data.target, own);
}

Result<std::vector<std::vector<std::byte>>> RunInMemory(const BoundPlan& bound, std::vector<std::vector<std::byte>> source) {
  std::vector<OutputTensor> outputs;
  for (const BoundTensor& tensor : bound.tensors) outputs.push_back({tensor.name, tensor.dtype, tensor.shape});
  CKMAP_ASSIGN_OR_RETURN(const std::unique_ptr<MemoryWriter> writer, MemoryWriter::Create(outputs));
  const MemoryCheckpoint checkpoint(bound.source, std::move(source));
  ExecOptions options;
  options.threads = 1;
  options.max_memory = int64_t{4} << 20;
  CKMAP_RETURN_IF_ERROR(Execute(bound, checkpoint, *writer, options));
  std::vector<std::vector<std::byte>> values;
  for (size_t i = 0; i < outputs.size(); ++i) {
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

std::string FormatElements(std::span<const std::byte> bytes, DType dtype, const Shape& shape) {
  const int64_t count = NumElements(shape).value_or(0);
  std::string text;
  for (int64_t i = 0; i < std::min(count, kShownElements); ++i) {
    // Brackets open and close where the index of an axis wraps.
    size_t wraps = 0;
    int64_t rest = i;
    for (size_t k = shape.size(); k-- > 0 && rest % shape[k] == 0; rest /= shape[k]) ++wraps;
    if (i > 0) text += std::string(std::min(wraps, shape.size()), ']') + ", ";
    text += std::string(i == 0 ? shape.size() : wraps, '[') + ElementText(bytes, static_cast<size_t>(i), dtype);
  }
  if (count > kShownElements) return text + ", …";
  return text + std::string(shape.size(), ']');
}

}  // namespace ckmap
