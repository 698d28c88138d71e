#include "runtime/formats/hdf5/hdf5_filters.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"

namespace ckmap {
namespace {

constexpr uint16_t kDeflate = 1;
constexpr uint16_t kShuffle = 2;
constexpr uint16_t kFletcher32 = 3;
constexpr uint16_t kLzf = 32000;
constexpr size_t kMaxFilters = 32;
constexpr size_t kSumBytes = 4;

Result<std::string> Inflate(const std::string& packed, size_t most) {
  std::string plain(most, '\0');
  auto length = static_cast<uLongf>(plain.size());
  auto taken = static_cast<uLong>(packed.size());
  const int status = ::uncompress2(reinterpret_cast<Bytef*>(plain.data()), &length,
                                   reinterpret_cast<const Bytef*>(packed.data()), &taken);
  if (status != Z_OK || taken != packed.size())
    return BadHdf5("its deflated bytes are damaged, or more than it has room for");
  plain.resize(length);
  return plain;
}

// LibLZF: runs of literal bytes, and copies of what was put out up to 8 KiB before. A run begins with its length - 1
// (below 32); a copy with 3 bits of its length - 2 (7: one more byte is added to it) and 13 bits of its distance - 1.
Result<std::string> UndoLzf(std::string_view packed, size_t most) {
  constexpr size_t kRuns = 32, kLong = 7;
  std::string plain;
  plain.reserve(most);
  Hdf5Bytes in(packed);
  while (in.left() > 0) {
    const size_t head = in.U8();
    if (head < kRuns) {
      plain += in.Take(head + 1);
    } else {
      size_t length = (head >> 5) + 2;
      if (length == kLong + 2) length += in.U8();
      const size_t distance = ((head & 0x1f) << 8 | in.U8()) + 1;
      if (distance > plain.size()) return BadHdf5("its bytes packed by lzf are damaged");
      for (size_t i = 0; i < length; ++i) plain += plain[plain.size() - distance];  // may run into what it adds
    }
    if (in.bad() || plain.size() > most)
      return BadHdf5("its bytes packed by lzf are damaged, or more than it has room for");
  }
  return plain;
}

// All first bytes of elements stand together, then all second ones.
std::string Unshuffle(const std::string& bytes, size_t element) {
  if (element < 2) return bytes;
  const size_t count = bytes.size() / element;
  std::string plain(bytes.size(), '\0');
  for (size_t part = 0; part < element; ++part) {
    for (size_t i = 0; i < count; ++i) plain[i * element + part] = bytes[part * count + i];
  }
  for (size_t i = count * element; i < bytes.size(); ++i) plain[i] = bytes[i];
  return plain;
}

uint32_t Fold(uint32_t sum) { return (sum & 0xffff) + (sum >> 16); }

uint32_t Fletcher32(std::string_view bytes) {
  constexpr size_t kWithoutOverflow = 360;  // words that can be summed before folding
  uint32_t first = 0;
  uint32_t second = 0;
  const auto byte = [&bytes](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const size_t words = bytes.size() / 2;
  for (size_t done = 0; done < words;) {
    const size_t end = std::min(words, done + kWithoutOverflow);
    for (; done < end; ++done) {
      first += byte(2 * done) << 8 | byte(2 * done + 1);
      second += first;
    }
    first = Fold(first);
    second = Fold(second);
  }
  if (bytes.size() % 2 != 0) {
    first += byte(bytes.size() - 1) << 8;
    second += first;
    first = Fold(first);
    second = Fold(second);
  }
  return Fold(second) << 16 | Fold(first);
}

}  // namespace

Result<std::vector<Hdf5Filter>> ParseHdf5Filters(std::string_view data) {
  Hdf5Bytes in(data);
  const uint8_t version = in.U8();
  const uint8_t count = in.U8();
  if ((version != 1 && version != 2) || count > kMaxFilters)
    return BadHdf5("a list of filters of an unknown version, or too long");
  if (version == 1) in.Skip(6);
  std::vector<Hdf5Filter> filters;
  for (int i = 0; i < count; ++i) {
    Hdf5Filter filter;
    filter.id = in.U16();
    const bool named = version == 1 || filter.id >= 256;
    const uint16_t name = named ? in.U16() : uint16_t{0};
    in.Skip(2);
    const uint16_t values = in.U16();
    in.Skip(name);
    if (values > in.left() / 4) return BadHdf5("a list of filters that is cut short");
    for (int v = 0; v < values; ++v) filter.values.push_back(in.U32());
    if (version == 1 && values % 2 != 0) in.Skip(4);
    constexpr uint32_t kMaxLevel = 9;
    if (filter.id == kDeflate && !filter.values.empty() && filter.values[0] > kMaxLevel) {
      return BadHdf5(fmt::format("a filter that deflates at the level {}", filter.values[0]));
    }
    filters.push_back(std::move(filter));
  }
  if (in.bad()) return BadHdf5("a list of filters that is cut short");
  return filters;
}

std::string UnknownHdf5Filter(const std::vector<Hdf5Filter>& filters) {
  for (const Hdf5Filter& filter : filters) {
    if (filter.id == kDeflate || filter.id == kShuffle || filter.id == kFletcher32 || filter.id == kLzf) continue;
    constexpr uint16_t kSzip = 4;
    return filter.id == kSzip ? "the filter szip" : fmt::format("the filter {}", filter.id);
  }
  return "";
}

Result<std::string> UndoHdf5Filters(const std::vector<Hdf5Filter>& filters, uint32_t skipped, std::string bytes,
                                    int64_t plain) {
  for (size_t i = filters.size(); i-- > 0;) {
    if ((skipped >> i & 1) != 0) continue;
    const Hdf5Filter& filter = filters[i];
    const size_t most = static_cast<size_t>(plain) + kMaxFilters * kSumBytes;
    if (filter.id == kDeflate) {
      CKMAP_ASSIGN_OR_RETURN(bytes, Inflate(bytes, most));
    } else if (filter.id == kLzf) {
      CKMAP_ASSIGN_OR_RETURN(bytes, UndoLzf(bytes, most));
    } else if (filter.id == kShuffle) {
      bytes = Unshuffle(bytes, filter.values.empty() ? 1 : filter.values[0]);
    } else {
      if (bytes.size() < kSumBytes) return BadHdf5("it has no room for its checksum");
      const auto expected = LoadLittle<uint32_t>(bytes.data() + bytes.size() - kSumBytes);
      bytes.resize(bytes.size() - kSumBytes);
      const uint32_t found = Fletcher32(bytes);
      // Libraries before 1.6.3 swapped the bytes of each half on little-endian machines.
      const uint32_t swapped = (found & 0x00ff00ff) << 8 | (found & 0xff00ff00) >> 8;
      if (expected != found && expected != swapped) {
        return BadHdf5(fmt::format("its checksum is {:08x}, but {:08x} is written: it is damaged", found, expected));
      }
    }
  }
  if (static_cast<int64_t>(bytes.size()) == plain) return bytes;
  return BadHdf5(fmt::format("it has {} bytes, not {}", bytes.size(), plain));
}

}  // namespace ckmap
