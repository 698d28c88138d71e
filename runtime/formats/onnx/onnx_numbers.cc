#include "runtime/formats/onnx/onnx_numbers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr int64_t kSpacing = 4096;  // numbers between two places to start from

// A place between two numbers: in the message, or within a packed run that ends at `run_end`.
struct Place {
  int64_t at = 0;
  int64_t run_end = 0;  // 0: between fields
};

// Numbers one after another.
class NumberCursor {
 public:
  NumberCursor(const ByteSource& source, const OnnxNumbers& numbers, Place place)
      : reader_(source), numbers_(numbers), place_(place) {}

  const Place& place() const { return place_; }

  // Moves to the next number; false if there is none.
  Result<bool> Find() {
    if (place_.run_end != 0 && place_.at < place_.run_end) return true;
    place_.run_end = 0;
    while (place_.at < numbers_.end) {
      int64_t next = place_.at;
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(next, numbers_.end));
      if (field.number == numbers_.field && field.type == WireType::kBytes && field.length > 0) {
        place_ = {field.begin, field.end()};
        return true;
      }
      if (field.number == numbers_.field && field.type == numbers_.wire) return true;
      place_.at = next;
    }
    return false;
  }

  // The number that Find has found.
  Result<uint64_t> Take() {
    if (place_.run_end == 0) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(place_.at, numbers_.end));
      return field.value;
    }
    if (numbers_.wire == WireType::kVarint) return reader_.Varint(place_.at, place_.run_end);
    return reader_.Fixed(numbers_.wire, place_.at, place_.run_end);
  }

 private:
  WireReader reader_;
  const OnnxNumbers& numbers_;
  Place place_;
};

class NumberSource final : public StorageSource {
 public:
  NumberSource(const ByteSource& source, const OnnxNumbers& numbers)
      : source_(source),
        numbers_(numbers),
        step_(DTypeBits(numbers.wire == WireType::kVarint ? numbers.dtype : NumberType()) / 8) {}

  // Counts and checks all numbers.
  Result<void> Scan(int64_t elements) {
    const int64_t per_element = DTypeSize(numbers_.dtype) / step_;  // 2 for complex elements
    NumberCursor cursor(source_, numbers_, {numbers_.begin, 0});
    for (;;) {
      CKMAP_ASSIGN_OR_RETURN(const bool found, cursor.Find());
      if (!found) break;
      if (count_ % kSpacing == 0) places_.push_back(cursor.place());
      CKMAP_ASSIGN_OR_RETURN(const uint64_t number, cursor.Take());
      if (!Fits(number)) {
        return Error(ErrorCode::kMalformed, fmt::format("element {} is {}, which is no {}", count_,
                                                        static_cast<int64_t>(number), DTypeName(numbers_.dtype)));
      }
      ++count_;
      if (count_ / per_element > elements) break;
    }
    if (count_ == elements * per_element) return {};
    return Error(ErrorCode::kMalformed,
                 fmt::format("its shape has {} elements, but {} numbers are given", elements, count_));
  }

  int64_t bytes() const override { return count_ * step_; }

  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    int64_t index = offset / step_;
    auto skip = static_cast<size_t>(offset % step_);
    if (out.empty()) return {};
    NumberCursor cursor(source_, numbers_, places_[static_cast<size_t>(index / kSpacing)]);
    for (int64_t i = index / kSpacing * kSpacing; !out.empty(); ++i) {
      CKMAP_ASSIGN_OR_RETURN(const bool found, cursor.Find());
      if (!found) return Error(ErrorCode::kIo, source_.path() + ": changed while it was read");
      CKMAP_ASSIGN_OR_RETURN(const uint64_t number, cursor.Take());
      if (i < index) continue;
      const size_t count = std::min(out.size(), static_cast<size_t>(step_) - skip);
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(&number) + skip, count);
      out = out.subspan(count);
      skip = 0;
    }
    return {};
  }

 private:
  DType NumberType() const { return numbers_.wire == WireType::kFixed32 ? DType::kF32 : DType::kF64; }

  // Whether the bits of a varint are a value of the element type; floats are given by their bits.
  bool Fits(uint64_t number) const {
    if (numbers_.wire != WireType::kVarint || step_ == 8) return true;
    const bool is_signed =
        numbers_.dtype == DType::kI8 || numbers_.dtype == DType::kI16 || numbers_.dtype == DType::kI32;
    if (!is_signed) return number <= (numbers_.dtype == DType::kBool ? 1 : (uint64_t{1} << (8 * step_)) - 1);
    const auto value = static_cast<int64_t>(number);
    const int64_t limit = int64_t{1} << (8 * step_ - 1);
    return value >= -limit && value < limit;
  }

  const ByteSource& source_;
  OnnxNumbers numbers_;
  int64_t step_;  // bytes that a number becomes
  int64_t count_ = 0;
  std::vector<Place> places_;
};

}  // namespace

Result<std::unique_ptr<StorageSource>> OpenOnnxNumbers(const ByteSource& source, const OnnxNumbers& numbers,
                                                       int64_t elements) {
  auto storage = std::make_unique<NumberSource>(source, numbers);
  CKMAP_RETURN_IF_ERROR(storage->Scan(elements));
  return std::unique_ptr<StorageSource>(std::move(storage));
}

}  // namespace ckmap
