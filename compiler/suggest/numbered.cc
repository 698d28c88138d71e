#include "compiler/suggest/numbered.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/formats/create.h"

namespace ckmap::suggest {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 32;
constexpr int64_t kBlock = int64_t{1} << 16;  // elements that are written at once

DType Stored(DType dtype) { return dtype == DType::kAny ? DType::kF32 : dtype; }

bool IsWide(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kI32 || dtype == DType::kU32 ||
         dtype == DType::kI64 || dtype == DType::kU64;
}

bool Only32Bits(const Manifest& manifest) {
  return std::all_of(manifest.tensors().begin(), manifest.tensors().end(),
                     [](const TensorInfo& tensor) { return IsWide(Stored(tensor.dtype)) || !IsFloat(tensor.dtype); });
}

// Another number of so many bits for each number of so many bits.
uint64_t Scrambled(uint64_t number, int bits) {
  const uint64_t mask = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  for (const uint64_t factor : {0x9e3779b97f4a7c15ULL, 0xbf58476d1ce4e5b9ULL}) {
    number ^= number >> ((bits + 1) / 2);
    number = (number * factor + 0x1234567ULL) & mask;
  }
  return number ^ (number >> ((bits + 1) / 2));
}

uint64_t Mixed(uint64_t number) {
  number = (number + 0x51ed270b1f4a7c15ULL) * 0xff51afd7ed558ccdULL;
  number ^= number >> 33;
  number *= 0xc4ceb9fe1a85ec53ULL;
  return number ^ (number >> 29);
}

}  // namespace

// Digits of which a type holds each exactly, and 0 besides: what is 0 in every run is no element of the source.
int Numbering::BitsOf(DType dtype) const {
  switch (dtype) {
    case DType::kBool:
      return 1;
    case DType::kF8E5M2:
    case DType::kF8E5M2Fnuz:
      return 3;
    case DType::kF8E4M3:
    case DType::kF8E4M3Fnuz:
      return 4;
    default:
      return wide_ && IsWide(dtype) ? 20 : 6;
  }
}

Numbering::Numbering(const Manifest& source, const Manifest* target) {
  wide_ = target != nullptr && Only32Bits(source) && Only32Bits(*target);
  std::map<DType, int64_t> elements;
  for (const TensorInfo& tensor : source.tensors()) {
    // Elements are numbered by type: each has digits of its own.
    elements[Stored(tensor.dtype)] += std::max<int64_t>(NumElements(tensor.shape).value_or(0), 0);
  }
  for (const auto& [dtype, count] : elements) {
    const int bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(count - 1, 1))));
    runs_ = std::max(runs_, 1 + (bits + BitsOf(dtype) - 1) / BitsOf(dtype));
  }
  runs_ = std::min(runs_, kMaxRuns);
}

int64_t Numbering::Digit(int run, uint64_t number, DType dtype) const {
  const int bits = BitsOf(dtype);
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const uint64_t digit = run == 0 ? Mixed(number) & mask
                                  : (Scrambled(number, std::min(bits * (runs_ - 1), 60)) >> (bits * (run - 1))) & mask;
  return static_cast<int64_t>(digit) + (dtype == DType::kBool ? 0 : 1);
}

Result<void> Numbering::Write(const Manifest& source, const std::string& path, int run) const {
  std::vector<OutputTensor> tensors;
  int64_t elements = 0;
  for (const TensorInfo& tensor : source.tensors()) {
    tensors.push_back({.name = tensor.name, .dtype = Stored(tensor.dtype), .shape = tensor.shape});
    elements += NumElements(tensor.shape).value_or(kMaxElements);
    if (elements > kMaxElements) {
      return Error(ErrorCode::kLimit, fmt::format("the source has more than {} elements to number: use a smaller "
                                                  "configuration of the model, with all its kinds of layers",
                                                  kMaxElements));
    }
  }
  const auto format = OutputFormatFromPath(path);
  if (!format) return Error(ErrorCode::kUsage, fmt::format("`{}`: no format has this ending", EscapeText(path)));
  WriteOptions options;
  options.fsync = false;
  CKMAP_ASSIGN_OR_RETURN(const auto writer, CreateCheckpoint(path, *format, tensors, options));
  std::map<DType, uint64_t> next;
  std::vector<int64_t> numbers;
  std::vector<std::byte> bytes;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const DType dtype = tensors[t].dtype;
    const CastOp cast{DType::kI64, dtype, Overflow::kError};
    const bool numbered = dtype == DType::kI64 || CanCast(cast);
    const int64_t total = *NumBytes(tensors[t].shape, dtype), count = *NumElements(tensors[t].shape);
    const int64_t size = count == 0 ? 1 : std::max<int64_t>(total / count, 1);
    // What is no number is written as zeros, which tell nothing.
    for (int64_t at = 0; at < total; at += kBlock * size) {
      bytes.assign(static_cast<size_t>(std::min(kBlock * size, total - at)), std::byte{0});
      if (numbered) {
        numbers.clear();
        for (size_t i = 0; i < bytes.size(); i += static_cast<size_t>(size))
          numbers.push_back(Digit(run, next[dtype]++, dtype));
        const auto* from = reinterpret_cast<const std::byte*>(numbers.data());
        CastCounts counts;
        if (dtype == DType::kI64) {
          std::copy(from, from + bytes.size(), bytes.begin());
        } else {
          CastElements(cast, from, bytes.data(), numbers.size(), counts);
        }
      }
      CKMAP_RETURN_IF_ERROR(writer->Write(t, at, bytes));
    }
  }
  CKMAP_ASSIGN_OR_RETURN(const auto files, writer->Commit());
  static_cast<void>(files);
  return {};
}

}  // namespace ckmap::suggest
