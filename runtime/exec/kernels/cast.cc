// 8- and 16-bit sources go through tables made with CastElement, the common wide ones through vector kernels
// (cast_kernels.cc).
#include "runtime/exec/kernels/cast.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "runtime/exec/kernels/cast_kernels.h"

namespace ckmap {
namespace {

// All results for a narrow source type.
struct Table {
  std::vector<uint64_t> bits;
  std::vector<uint8_t> flags;  // 1: changed, 2: overflowed
  bool exact = true;           // no element is changed
};

std::shared_ptr<const Table> TableFor(const CastOp& cast) {
  static std::mutex mutex;
  static std::map<std::tuple<DType, DType, Overflow>, std::shared_ptr<const Table>> tables;
  const std::lock_guard lock(mutex);
  auto& table = tables[{cast.from, cast.to, cast.overflow}];
  if (!table) {
    auto made = std::make_shared<Table>();
    const size_t count = size_t{1} << DTypeBits(cast.from);
    made->bits.resize(count);
    made->flags.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const ElementResult one = CastElement(cast, i);
      made->bits[i] = one.bits;
      made->flags[i] = static_cast<uint8_t>((one.changed ? 1 : 0) | (one.overflowed ? 2 : 0));
      made->exact = made->exact && made->flags[i] == 0;
    }
    table = std::move(made);
  }
  return table;
}

uint64_t LoadBits(const std::byte* from, int64_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, static_cast<size_t>(size));
  return bits;
}

void Note(bool overflowed, bool changed, size_t index, CastCounts& counts, uint8_t* touched) {
  if (overflowed) {
    if (counts.first_overflow < 0) counts.first_overflow = static_cast<int64_t>(index);
    ++counts.overflowed;
  }
  if (changed) ++counts.changed;
  if (touched != nullptr && changed) touched[index] = 1;
}

void CastSlowly(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                uint8_t* touched) {
  const int64_t from_size = DTypeSize(cast.from);
  const int64_t to_size = DTypeSize(cast.to);
  for (size_t i = 0; i < count; ++i) {
    const ElementResult one = CastElement(cast, LoadBits(src + static_cast<int64_t>(i) * from_size, from_size));
    std::memcpy(dst + static_cast<int64_t>(i) * to_size, &one.bits, static_cast<size_t>(to_size));
    Note(one.overflowed, one.changed, i, counts, touched);
  }
}

template <typename From, typename To>
void CastByTable(const Table& table, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                 uint8_t* touched) {
  if (sizeof(From) == 1 && table.exact) {  // as to a wider dtype: no more than a look-up
    To values[256];
    for (size_t i = 0; i < 256; ++i) values[i] = static_cast<To>(table.bits[i]);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(dst + i * sizeof(To), &values[std::to_integer<uint8_t>(src[i])], sizeof(To));
    }
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    From index;
    std::memcpy(&index, src + i * sizeof(From), sizeof(From));
    const auto value = static_cast<To>(table.bits[index]);
    std::memcpy(dst + i * sizeof(To), &value, sizeof(To));
    const uint8_t flags = table.flags[index];
    if (flags != 0) Note((flags & 2) != 0, (flags & 1) != 0, i, counts, touched);
  }
}

template <typename From>
void CastByTable(const Table& table, int64_t to_size, const std::byte* src, std::byte* dst, size_t count,
                 CastCounts& counts, uint8_t* touched) {
  switch (to_size) {
    case 1:
      return CastByTable<From, uint8_t>(table, src, dst, count, counts, touched);
    case 2:
      return CastByTable<From, uint16_t>(table, src, dst, count, counts, touched);
    case 4:
      return CastByTable<From, uint32_t>(table, src, dst, count, counts, touched);
    default:
      return CastByTable<From, uint64_t>(table, src, dst, count, counts, touched);
  }
}

}  // namespace

void CastElements(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                  uint8_t* touched) {
  if (cast.from == cast.to) {
    std::memcpy(dst, src, count * static_cast<size_t>(DTypeSize(cast.from)));
    return;
  }
  if (const VectorCast kernel = touched == nullptr ? FindVectorCast(cast.from, cast.to) : nullptr) {
    constexpr size_t kBlock = 4096;
    const auto from_size = static_cast<size_t>(DTypeSize(cast.from));
    const auto to_size = static_cast<size_t>(DTypeSize(cast.to));
    for (size_t i = 0; i < count; i += kBlock) {
      const size_t n = std::min(kBlock, count - i);
      const VectorCounts block = kernel(src + i * from_size, dst + i * to_size, n);
      counts.changed += block.changed;
      if (block.overflowed == 0) continue;
      counts.changed -= block.changed;
      CastCounts exact;
      CastSlowly(cast, src + i * from_size, dst + i * to_size, n, exact, nullptr);
      if (counts.first_overflow < 0) counts.first_overflow = static_cast<int64_t>(i) + exact.first_overflow;
      counts.overflowed += exact.overflowed;
      counts.changed += exact.changed;
    }
    return;
  }
  const int bits = DTypeBits(cast.from);
  if (bits == 8 || (bits == 16 && count >= 4096)) {
    const std::shared_ptr<const Table> table = TableFor(cast);
    if (bits == 8) return CastByTable<uint8_t>(*table, DTypeSize(cast.to), src, dst, count, counts, touched);
    return CastByTable<uint16_t>(*table, DTypeSize(cast.to), src, dst, count, counts, touched);
  }
  CastSlowly(cast, src, dst, count, counts, touched);
}

}  // namespace ckmap
