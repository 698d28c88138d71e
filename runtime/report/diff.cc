#include "runtime/report/diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/report/fold.h"
#include "runtime/report/numbers.h"

namespace ckmap {
namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;

std::string Describe(const TensorInfo& tensor) {
  return fmt::format("{} {}", DTypeName(tensor.dtype), FormatShape(tensor.shape));
}

// Compares one block of elements and adds what differs to `diff`.
void CompareBlock(DType type_a, DType type_b, std::span<const std::byte> a, std::span<const std::byte> b, int64_t begin,
                  const DiffOptions& options, TensorDiff& diff) {
  const bool exact = options.rtol == 0 && options.atol == 0;
  if (type_a == type_b && std::memcmp(a.data(), b.data(), a.size()) == 0) return;
  const size_t size_a = static_cast<size_t>(DTypeSize(type_a));
  const bool numbers = IsNumber(type_a) && IsNumber(type_b);
  std::vector<double> numbers_a;
  std::vector<double> numbers_b;
  if (numbers) {
    ToNumbers(type_a, a, numbers_a);
    ToNumbers(type_b, b, numbers_b);
  }
  for (size_t i = 0; i * size_a < a.size(); ++i) {
    if (type_a == type_b && std::memcmp(&a[i * size_a], &b[i * size_a], size_a) == 0) continue;
    double distance = 0;
    if (numbers) {
      const double u = numbers_a[i];
      const double v = numbers_b[i];
      if (!exact && ((std::isnan(u) && std::isnan(v)) || u == v)) continue;
      distance = std::abs(u - v);
      if (!exact && std::isfinite(v) && distance <= options.atol + options.rtol * std::abs(v)) {
        continue;
      }
    }
    if (diff.different++ == 0) diff.first_index = begin + static_cast<int64_t>(i);
    if (distance > diff.max_difference) diff.max_difference = distance;
  }
}

Result<void> CompareValues(const Checkpoint& a, size_t in_a, const Checkpoint& b, size_t in_b,
                           const DiffOptions& options, TensorDiff& diff) {
  CKMAP_ASSIGN_OR_RETURN(const auto reader_a, TensorReader::Make(a, in_a));
  CKMAP_ASSIGN_OR_RETURN(const auto reader_b, TensorReader::Make(b, in_b));
  const DType type_a = a.manifest()[in_a].dtype;
  const DType type_b = b.manifest()[in_b].dtype;
  diff.elements = reader_a->bytes() / reader_a->element();
  const int64_t block = std::min(kBlockBytes / std::max(DTypeSize(type_a), DTypeSize(type_b)), diff.elements);
  std::vector<std::byte> bytes_a(static_cast<size_t>(block * DTypeSize(type_a)));
  std::vector<std::byte> bytes_b(static_cast<size_t>(block * DTypeSize(type_b)));
  for (int64_t begin = 0; begin < diff.elements; begin += block) {
    const int64_t count = std::min(block, diff.elements - begin);
    const auto part_a = std::span(bytes_a).first(static_cast<size_t>(count * DTypeSize(type_a)));
    const auto part_b = std::span(bytes_b).first(static_cast<size_t>(count * DTypeSize(type_b)));
    CKMAP_RETURN_IF_ERROR(reader_a->Read(begin * DTypeSize(type_a), part_a));
    CKMAP_RETURN_IF_ERROR(reader_b->Read(begin * DTypeSize(type_b), part_b));
    CompareBlock(type_a, type_b, part_a, part_b, begin, options, diff);
  }
  return {};
}

// Compares what both have; true if it is equal.
Result<bool> CompareTensor(const Checkpoint& a, size_t in_a, const Checkpoint& b, size_t in_b,
                           const DiffOptions& options, TensorDiff& diff) {
  const TensorInfo& left = a.manifest()[in_a];
  const TensorInfo& right = b.manifest()[in_b];
  const bool tolerant = options.rtol > 0 || options.atol > 0;
  if (left.shape != right.shape) {
    diff.kind = DiffKind::kShape;
    return false;
  }
  if (left.dtype != right.dtype && !(tolerant && IsNumber(left.dtype) && IsNumber(right.dtype))) {
    diff.kind = DiffKind::kDType;
    return false;
  }
  if (!left.unreadable.empty() || !right.unreadable.empty() || DTypeBits(left.dtype) % 8 != 0) {
    diff.kind = DiffKind::kUnreadable;
    return false;
  }
  diff.kind = DiffKind::kValues;
  CKMAP_RETURN_IF_ERROR(CompareValues(a, in_a, b, in_b, options, diff));
  return diff.different == 0;
}

std::string WhatDiffers(const TensorDiff& diff) {
  switch (diff.kind) {
    case DiffKind::kOnlyInA:
      return "only in the first";
    case DiffKind::kOnlyInB:
      return "only in the second";
    case DiffKind::kDType:
    case DiffKind::kShape:
      return fmt::format("{} against {}", diff.in_a, diff.in_b);
    case DiffKind::kUnreadable:
      return "cannot be read";
    case DiffKind::kValues:
      return fmt::format("{} of {} differ, by at most {:.6g}; first at element {}", FormatCount(diff.different),
                         FormatCount(diff.elements), diff.max_difference, diff.first_index);
  }
  return "";
}

}  // namespace

std::string_view DiffKindName(DiffKind kind) {
  switch (kind) {
    case DiffKind::kOnlyInA:
      return "only_in_a";
    case DiffKind::kOnlyInB:
      return "only_in_b";
    case DiffKind::kDType:
      return "dtype";
    case DiffKind::kShape:
      return "shape";
    case DiffKind::kValues:
      return "values";
    case DiffKind::kUnreadable:
      return "unreadable";
  }
  return "";
}

Result<DiffResult> CompareCheckpoints(const Checkpoint& a, const Checkpoint& b, const DiffOptions& options) {
  const Manifest& left = a.manifest();
  const Manifest& right = b.manifest();
  int64_t total = 0;
  for (const TensorInfo& tensor : left.tensors()) total += NumBytes(tensor.shape, tensor.dtype).value_or(0);
  int64_t done = 0;
  DiffResult result;
  for (size_t i = 0; i < left.size(); ++i) {
    if (options.stop != nullptr && options.stop->load()) return Error(ErrorCode::kIo, "stopped before it was complete");
    if (options.progress) options.progress(done, total);
    done += NumBytes(left[i].shape, left[i].dtype).value_or(0);
    TensorDiff diff{.name = left[i].name, .in_a = Describe(left[i]), .in_b = ""};
    const auto other = right.Find(left[i].name);
    if (!other) {
      diff.kind = DiffKind::kOnlyInA;
      result.differences.push_back(std::move(diff));
      continue;
    }
    diff.in_b = Describe(right[*other]);
    auto equal = CompareTensor(a, i, b, *other, options, diff);
    if (!equal) return std::move(equal).error().Context(fmt::format("tensor `{}`", left[i].name));
    if (*equal) {
      ++result.equal;
    } else {
      result.differences.push_back(std::move(diff));
    }
  }
  for (const TensorInfo& tensor : right.tensors()) {
    if (left.Find(tensor.name)) continue;
    result.differences.push_back(
        {.name = tensor.name, .kind = DiffKind::kOnlyInB, .in_a = "", .in_b = Describe(tensor)});
  }
  return result;
}

std::string DiffJson(const std::string& a, const std::string& b, const DiffResult& result) {
  JsonWriter json;
  json.BeginObject().OnLines().Key("a").String(a).Key("b").String(b);
  json.Key("equal").Bool(result.differences.empty()).Key("equal_tensors").Int(result.equal);
  json.Key("differences").BeginArray().OnLines();
  for (const TensorDiff& diff : result.differences) {
    json.BeginObject().Key("name").String(diff.name).Key("kind").String(DiffKindName(diff.kind));
    if (!diff.in_a.empty()) json.Key("a").String(diff.in_a);
    if (!diff.in_b.empty()) json.Key("b").String(diff.in_b);
    if (diff.kind == DiffKind::kValues) {
      json.Key("different").Int(diff.different).Key("elements").Int(diff.elements);
      json.Key("max_difference").Number(diff.max_difference).Key("first_index").Int(diff.first_index);
    }
    json.EndObject();
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

std::string DiffText(const DiffResult& result, const Style& style, bool all) {
  TextTable table({"", "tensor", "difference"});
  table.AlignRight(0);
  std::vector<FoldRow> rows;
  for (const TensorDiff& diff : result.differences) rows.push_back({{diff.name}, WhatDiffers(diff)});
  if (all) {
    for (const FoldRow& row : rows) table.AddRow({"", EscapeText(row.names[0]), row.detail});
  } else {
    for (const FoldedRow& row : FoldRows(rows)) {
      const size_t count = row.members.size();
      table.AddRow({count > 1 ? fmt::format("{} ×", count) : "", row.names[0], rows[row.members[0]].detail});
    }
  }
  std::string out = table.Render();
  if (!out.empty()) out += "\n";
  const int64_t different = static_cast<int64_t>(result.differences.size());
  return out + fmt::format("{} equal, {}\n", Plural(result.equal, "tensor"),
                           different == 0 ? style.Green("none different")
                                          : style.Red(fmt::format("{} different", FormatCount(different))));
}

}  // namespace ckmap
