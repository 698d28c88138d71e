#include "runtime/formats/hdf5/hdf5_type.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/formats/hdf5/hdf5_file.h"

namespace ckmap {
namespace {

enum Class : uint8_t {
  kInteger = 0,
  kFloat = 1,
  kTime = 2,
  kString = 3,
  kBits = 4,
  kOpaque = 5,
  kRecord = 6,
  kReference = 7,
  kEnumeration = 8,
  kList = 9,
  kArray = 10,
  kComplex = 11
};
constexpr uint8_t kNewestVersion = 5;
constexpr uint8_t kCompactVersion = 3;  // from which on names are not padded

// Of a member.
std::string_view TakeName(Hdf5Bytes& in, uint8_t version) {
  const size_t begin = in.at();
  const std::string_view name = in.Text();
  if (version < kCompactVersion) in.Skip((8 - (in.at() - begin) % 8) % 8);
  return name;
}

// Whether the bytes are a datatype. The library refuses an object for one that is none, wherever it is nested. Types
// that are open wait in a list for those within them: there is no recursion.
class TypeCheck {
 public:
  explicit TypeCheck(std::string_view data) : in_(data) {}

  Result<void> Run() {
    do {
      if (!open_.empty() && open_.back().kind == kRecord) ReadMember(open_.back());
      CKMAP_RETURN_IF_ERROR(Open());
      while (!open_.empty() && open_.back().wanted == 0) CKMAP_RETURN_IF_ERROR(Close());
    } while (!open_.empty());
    return {};
  }

 private:
  struct Part {
    uint64_t begin, end;
  };
  struct Type {
    uint8_t kind;
    uint8_t version;
    uint32_t size;
    uint32_t wanted = 0;      // types within it that are still to come
    uint32_t members = 0;     // of a record or an enumeration
    uint64_t count = 1;       // elements of the type within it that it holds, of a record: its present member
    uint64_t at = 0;          // of a record: its present member's place
    std::vector<Part> parts;  // of a record: its members so far
  };

  // The head of a type and what stands before the types within it.
  Result<void> Open() {
    const uint8_t first = in_.U8();
    const auto bits = static_cast<uint32_t>(in_.Number(3));
    Type type{.kind = static_cast<uint8_t>(first & 0xf),
              .version = static_cast<uint8_t>(first >> 4),
              .size = in_.U32(),
              .parts = {}};
    if (in_.bad() || type.version == 0 || type.size == 0) return BadHdf5("a datatype that is cut short or of no size");
    if (type.version > kNewestVersion)
      return BadHdf5(fmt::format("a datatype of version {}; 1 to {} are read", type.version, kNewestVersion));
    CKMAP_RETURN_IF_ERROR(ReadProperties(type, bits));
    if (in_.bad()) return BadHdf5("a datatype that is cut short");
    open_.push_back(std::move(type));
    return {};
  }

  Result<void> ReadProperties(Type& type, uint32_t bits) {
    switch (type.kind) {
      case kInteger:
      case kBits: {
        const uint16_t offset = in_.U16();
        return CheckBits(type.size, offset, in_.U16());
      }
      case kFloat:
        return CheckFloat(type, bits);
      case kTime:
        in_.Skip(2);
        return {};
      case kString:
        return CheckText(bits);
      case kOpaque:
        in_.Skip(bits & 0xff);
        return {};  // a tag
      case kReference:
        return CheckReference(bits);
      case kRecord:
        type.members = type.wanted = bits & 0xffff;
        return type.members == 0 ? BadHdf5("records without members") : Result<void>();
      case kEnumeration:
        type.members = bits & 0xffff;
        type.wanted = 1;
        return {};
      case kArray:
        return ReadArray(type);
      case kComplex:
        type.count = 2;
        type.wanted = 1;
        return {};
      case kList:
        type.wanted = 1;
        if ((bits & 0xf) > 1) return BadHdf5("lists of an unknown kind");
        return (bits & 0xf) == 1 ? CheckText(bits >> 4) : Result<void>();
      default:
        return BadHdf5(fmt::format("a datatype of the unknown class {}", type.kind));
    }
  }

  // How text is padded, and its encoding.
  static Result<void> CheckText(uint32_t bits) {
    constexpr uint32_t kPaddings = 3, kEncodings = 2;
    if ((bits & 0xf) < kPaddings && (bits >> 4 & 0xf) < kEncodings) return {};
    return BadHdf5("text of an unknown padding or encoding");
  }

  // Bits that hold the number, among those of an element. The library takes many unused ones for damage.
  static Result<void> CheckBits(uint32_t size, uint32_t offset, uint32_t precision) {
    const uint64_t all = uint64_t{size} * 8;
    if (precision == 0 || offset + precision > all)
      return BadHdf5(fmt::format("a datatype of {} bits from bit {} in {}", precision, offset, all));
    const uint64_t usual = size == 1 ? all : std::bit_ceil(uint64_t{offset} + precision);
    if (all > usual) return BadHdf5(fmt::format("a datatype of {} bits in {} bytes", precision, size));
    return {};
  }

  Result<void> CheckFloat(const Type& type, uint32_t bits) {
    const uint16_t offset = in_.U16();
    const uint16_t precision = in_.U16();
    const Part exponent = ReadPart();
    const Part fraction = ReadPart();
    in_.Skip(4);  // bias
    const uint32_t sign = bits >> 8 & 0xff;
    const auto beyond = [precision](const Part& part) { return part.begin == part.end || part.end > precision; };
    const auto overlap = [](const Part& a, const Part& b) { return a.begin < b.end && b.begin < a.end; };
    const Part sign_part{sign, sign + uint64_t{1}};
    if ((bits & 0x30) == 0x30 || (type.version >= kCompactVersion && (bits & 0x41) == 0x40))
      return BadHdf5("floats of an unknown kind");
    if (beyond(sign_part) || beyond(exponent) || beyond(fraction))
      return BadHdf5("floats with parts beyond their bits");
    if (overlap(sign_part, exponent) || overlap(sign_part, fraction) || overlap(exponent, fraction))
      return BadHdf5("floats whose parts overlap");
    return CheckBits(type.size, offset, precision);
  }

  Part ReadPart() {
    const uint8_t begin = in_.U8();
    return {begin, uint64_t{begin} + in_.U8()};
  }

  static Result<void> CheckReference(uint32_t bits) {
    constexpr uint32_t kFirstOpaque = 2, kKinds = 5, kVersion = 1;
    const uint32_t kind = bits & 0xf;
    if (kind >= kKinds || (kind >= kFirstOpaque && (bits >> 4 & 0xf) != kVersion))
      return BadHdf5("references of an unknown kind");
    return {};
  }

  Result<void> ReadArray(Type& type) {
    constexpr int kMaxAxes = 32;
    const int axes = in_.U8();
    if (axes > kMaxAxes || type.version == 1) return BadHdf5("an array of too many axes or of an old version");
    if (type.version < kCompactVersion) in_.Skip(3);
    CKMAP_RETURN_IF_ERROR(ReadSizes(axes, type.count));
    if (type.version < kCompactVersion)
      in_.Skip(size_t{4} * static_cast<size_t>(axes));  // an order of axes that is not used
    type.wanted = 1;
    return {};
  }

  Result<void> ReadSizes(int axes, uint64_t& count) {
    count = 1;
    for (int i = 0; i < axes; ++i) {
      if (__builtin_mul_overflow(count, in_.U32(), &count)) return BadHdf5("an array that is too large");
    }
    return {};
  }

  // What stands before a member's type. Errors are seen behind it.
  void ReadMember(Type& record) {
    (void)TakeName(in_, record.version);
    const size_t width =
        record.version < kCompactVersion ? 4 : static_cast<size_t>(std::bit_width(record.size) + 7) / 8;
    record.at = in_.Number(width);
    record.count = 1;
    if (record.version > 1) return;
    const int axes = in_.U8();
    in_.Skip(11);
    constexpr int kMaxAxes = 4;
    uint64_t sizes[kMaxAxes];
    for (uint64_t& size : sizes) size = in_.U32();
    constexpr uint64_t kBeyond = ~uint64_t{0};  // every record
    for (int i = 0; i < std::min(axes, kMaxAxes); ++i) {
      if (sizes[i] == 0 || __builtin_mul_overflow(record.count, sizes[i], &record.count)) record.count = kBeyond;
    }
    if (axes > kMaxAxes) record.count = kBeyond;
  }

  // A type with all that is within it; the type around it, if any, has one less to wait for.
  Result<void> Close() {
    Type type = std::move(open_.back());
    open_.pop_back();
    if (type.kind == kEnumeration) CKMAP_RETURN_IF_ERROR(ReadNamesAndValues(type));
    if (type.kind == kRecord) CKMAP_RETURN_IF_ERROR(CheckOverlap(type.parts));
    if (open_.empty()) return {};
    Type& outer = open_.back();
    --outer.wanted;
    if (outer.kind == kList) return {};
    uint64_t bytes = 0;
    const bool fits = !__builtin_mul_overflow(outer.count, uint64_t{type.size}, &bytes) && bytes <= outer.size;
    if (outer.kind != kRecord)
      return fits && bytes == outer.size ? Result<void>()
                                         : BadHdf5("a datatype of another size than what is within it");
    if (!fits || outer.at > outer.size - bytes) return BadHdf5("a record with a member beyond its end");
    outer.parts.push_back({outer.at, outer.at + bytes});
    return {};
  }

  Result<void> ReadNamesAndValues(const Type& enumeration) {
    for (uint32_t i = 0; i < enumeration.members && !in_.bad(); ++i) (void)TakeName(in_, enumeration.version);
    const uint64_t values = uint64_t{enumeration.members} * enumeration.size;
    if (in_.bad() || values > in_.left()) return BadHdf5("an enumeration that is cut short");
    in_.Skip(static_cast<size_t>(values));
    return {};
  }

  static Result<void> CheckOverlap(std::vector<Part>& parts) {
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < parts.size(); ++i) {
      if (parts[i].begin < parts[i - 1].end) return BadHdf5("a record whose members overlap");
    }
    return {};
  }

  Hdf5Bytes in_;
  std::vector<Type> open_;
};

Hdf5Type Other(std::string description, uint32_t size) {
  Hdf5Type type;
  type.description = std::move(description);
  type.size = size;
  return type;
}

std::optional<DType> FloatOf(uint32_t size, std::string_view properties, uint8_t bits0, uint8_t sign) {
  struct Layout {
    DType dtype;
    uint32_t size;
    uint8_t exponent_at, exponent_bits, fraction_bits;
    uint32_t bias;
  };
  constexpr Layout kLayouts[] = {{DType::kF16, 2, 10, 5, 10, 15},
                                 {DType::kBF16, 2, 7, 8, 7, 127},
                                 {DType::kF32, 4, 23, 8, 23, 127},
                                 {DType::kF64, 8, 52, 11, 52, 1023}};
  Hdf5Bytes in(properties);
  const uint16_t offset = in.U16();
  const uint16_t precision = in.U16();
  const uint8_t exponent_at = in.U8();
  const uint8_t exponent_bits = in.U8();
  const uint8_t fraction_at = in.U8();
  const uint8_t fraction_bits = in.U8();
  const uint32_t bias = in.U32();
  if (in.bad() || offset != 0 || fraction_at != 0 || (bits0 & 0x30) != 0x20 || (bits0 & 0x40) != 0) return std::nullopt;
  for (const Layout& layout : kLayouts) {
    if (layout.size == size && precision == size * 8 && sign == size * 8 - 1 && exponent_at == layout.exponent_at &&
        exponent_bits == layout.exponent_bits && fraction_bits == layout.fraction_bits && bias == layout.bias) {
      return layout.dtype;
    }
  }
  return std::nullopt;
}

std::optional<DType> IntegerOf(uint32_t size, bool is_signed) {
  switch (size) {
    case 1:
      return is_signed ? DType::kI8 : DType::kU8;
    case 2:
      return is_signed ? DType::kI16 : DType::kU16;
    case 4:
      return is_signed ? DType::kI32 : DType::kU32;
    case 8:
      return is_signed ? DType::kI64 : DType::kU64;
    default:
      return std::nullopt;
  }
}

// An enumeration of exactly FALSE = 0 and TRUE = 1 in one byte, which is how h5py stores bools. `in` is behind
// the type's first 8 bytes.
bool IsBool(Hdf5Bytes in, uint8_t version, uint32_t members) {
  const std::string_view base = in.Take(12);
  if (in.bad() || (static_cast<uint8_t>(base[0]) & 0xf) != 0 || base[4] != 1 || members != 2) return false;
  for (const std::string_view wanted : {"FALSE", "TRUE"}) {
    if (TakeName(in, version) != wanted) return false;
  }
  const uint8_t no = in.U8();
  const uint8_t yes = in.U8();
  return !in.bad() && no == 0 && yes == 1;
}

}  // namespace

Result<Hdf5Type> ParseHdf5Type(std::string_view data) {
  CKMAP_RETURN_IF_ERROR(TypeCheck(data).Run());
  Hdf5Bytes in(data);
  const uint8_t first = in.U8();
  const uint8_t bits0 = in.U8();
  const uint8_t bits1 = in.U8();
  in.Skip(1);
  const uint32_t size = in.U32();
  const auto version = static_cast<uint8_t>(first >> 4);
  Hdf5Type type;
  type.size = size;
  type.big_endian = (bits0 & 1) != 0;
  switch (const int kind = first & 0xf; kind) {
    case kInteger: {
      const uint16_t offset = in.U16();
      const uint16_t precision = in.U16();
      const auto dtype = IntegerOf(size, (bits0 & 8) != 0);
      if (in.bad() || !dtype || offset != 0 || precision != size * 8)
        return Other("integers of a width of their own", size);
      type.kind = Hdf5Type::Kind::kNumber;
      type.dtype = *dtype;
      return type;
    }
    case kFloat: {
      const auto dtype = FloatOf(size, data.substr(in.at()), bits0, bits1);
      if (!dtype) return Other("floats of a layout of their own", size);
      type.kind = Hdf5Type::Kind::kNumber;
      type.dtype = *dtype;
      return type;
    }
    case kString:
      type.kind = Hdf5Type::Kind::kText;
      return type;
    case kEnumeration:
      if (!IsBool(in, version, bits0 | uint32_t{bits1} << 8) || size != 1) return Other("an enumeration", size);
      type.kind = Hdf5Type::Kind::kNumber;
      type.dtype = DType::kBool;
      type.big_endian = false;
      return type;
    case kList:
      if ((bits0 & 0xf) != 1 || size != 16) return Other("lists of varying length", size);
      type.kind = Hdf5Type::Kind::kVlenText;
      return type;
    default: {
      constexpr std::string_view kNames[] = {"",        "",           "times", "", "bit fields", "opaque bytes",
                                             "records", "references", "",      "", "arrays",     "complex numbers"};
      return Other(std::string(kNames[kind]), size);
    }
  }
}

}  // namespace ckmap
