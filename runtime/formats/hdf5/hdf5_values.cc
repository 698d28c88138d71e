#include "runtime/formats/hdf5/hdf5_values.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxElements = 4096;
constexpr uint64_t kMaxText = uint64_t{1} << 20;

template <typename T>
T Load(std::string bytes, bool big_endian) {
  if (big_endian) std::reverse(bytes.begin(), bytes.end());
  return LoadLittle<T>(bytes.data());
}

std::string NumberText(const Hdf5Type& type, std::string_view data) {
  const std::string bytes(data);
  const bool swap = type.big_endian;
  switch (type.dtype) {
    case DType::kBool:
      return bytes[0] != 0 ? "true" : "false";
    case DType::kI8:
      return fmt::format("{}", Load<int8_t>(bytes, swap));
    case DType::kU8:
      return fmt::format("{}", Load<uint8_t>(bytes, swap));
    case DType::kI16:
      return fmt::format("{}", Load<int16_t>(bytes, swap));
    case DType::kU16:
      return fmt::format("{}", Load<uint16_t>(bytes, swap));
    case DType::kI32:
      return fmt::format("{}", Load<int32_t>(bytes, swap));
    case DType::kU32:
      return fmt::format("{}", Load<uint32_t>(bytes, swap));
    case DType::kI64:
      return fmt::format("{}", Load<int64_t>(bytes, swap));
    case DType::kU64:
      return fmt::format("{}", Load<uint64_t>(bytes, swap));
    case DType::kF32:
      return fmt::format("{}", Load<float>(bytes, swap));
    case DType::kF64:
      return fmt::format("{}", Load<double>(bytes, swap));
    default:
      return "";
  }
}

}  // namespace

Result<std::optional<Hdf5NamedValue>> Hdf5Values::Attribute(std::string_view message) {
  Hdf5Bytes in(message);
  const uint8_t version = in.U8();
  const uint8_t flags = in.U8();
  const size_t name_bytes = in.U16();
  const size_t type_bytes = in.U16();
  const size_t space_bytes = in.U16();
  if (version < 1 || version > 3) return BadHdf5(fmt::format("an attribute of version {}; 1 to 3 are read", version));
  if (version == 3) in.Skip(1);
  const auto take = [&in, version](size_t bytes) {
    const std::string_view run = in.Take(bytes);
    if (version == 1) in.Skip((8 - bytes % 8) % 8);
    return run;
  };
  const std::string_view name = take(name_bytes);
  std::string_view type_data = take(type_bytes);
  const std::string_view space_data = take(space_bytes);
  if (in.bad()) return BadHdf5("an attribute that is cut short");
  constexpr uint8_t kSharedType = 1, kSharedSpace = 2;
  if (version > 1 && flags > (kSharedType | kSharedSpace)) return BadHdf5("an attribute with unknown flags");
  std::optional<Hdf5Message> followed;
  if (version > 1 && (flags & kSharedType) != 0) {
    CKMAP_ASSIGN_OR_RETURN(followed, FollowHdf5Message(file_, kHdf5Datatype, type_data));
    if (!followed) return std::optional<Hdf5NamedValue>();
    type_data = followed->data;
  }
  if (version > 1 && (flags & kSharedSpace) != 0) return std::optional<Hdf5NamedValue>();
  CKMAP_ASSIGN_OR_RETURN(const Hdf5Type type, ParseHdf5Type(type_data));
  CKMAP_ASSIGN_OR_RETURN(const Hdf5Space space, ParseHdf5Space(space_data));
  Hdf5NamedValue named;
  named.name = std::string(name.substr(0, name.find('\0')));
  if (named.name.empty() || !TensorNameProblem(named.name).empty()) {
    return BadHdf5(fmt::format("an attribute has the name {}, which is not taken", QuoteName(named.name)));
  }
  auto value = Text(type, space, in.Take(in.left()));
  if (!value) return std::move(value).error().Context(fmt::format("attribute {}", QuoteName(named.name)));
  if (!*value) return std::optional<Hdf5NamedValue>();
  named.value = **std::move(value);
  return std::optional<Hdf5NamedValue>(std::move(named));
}

Result<std::optional<std::string>> Hdf5Values::Text(const Hdf5Type& type, const Hdf5Space& space,
                                                    std::string_view data) {
  const auto count = NumElements(space.shape);
  const bool number = type.kind == Hdf5Type::Kind::kNumber;
  const bool known =
      number ? type.dtype != DType::kF16 && type.dtype != DType::kBF16 : type.kind != Hdf5Type::Kind::kOther;
  if (space.null || !known || !count || *count > kMaxElements) return std::optional<std::string>();
  if (*count > static_cast<int64_t>(data.size() / type.size)) return BadHdf5("a value that is cut short");
  if (space.shape.empty()) {
    CKMAP_ASSIGN_OR_RETURN(std::string one, One(type, data.substr(0, type.size)));
    return std::optional<std::string>(std::move(one));
  }
  std::string list = "[";
  uint64_t total = 0;
  for (int64_t i = 0; i < *count; ++i) {
    CKMAP_ASSIGN_OR_RETURN(const std::string one,
                           One(type, data.substr(static_cast<size_t>(i) * type.size, type.size)));
    total += one.size();
    if (total > kMaxText) return std::optional<std::string>();
    list += (i == 0 ? "" : ",") + (number ? one : JsonString(one));
  }
  return std::optional<std::string>(list + "]");
}

Result<std::string> Hdf5Values::One(const Hdf5Type& type, std::string_view data) {
  if (type.kind == Hdf5Type::Kind::kNumber) return NumberText(type, data);
  std::string text;
  if (type.kind == Hdf5Type::Kind::kVlenText) {
    CKMAP_ASSIGN_OR_RETURN(text, VlenText(data));
  } else {
    text = std::string(data.substr(0, data.find('\0')));
  }
  return IsValidUtf8(text) ? text : EscapeText(text);
}

// Length, and the address and index of the text in a global heap.
Result<std::string> Hdf5Values::VlenText(std::string_view reference) {
  Hdf5Bytes in(reference);
  const uint32_t length = in.U32();
  const uint64_t heap = in.U64();
  const uint32_t index = in.U32();
  if (length == 0) return std::string();
  if (heaps_.find(heap) == heaps_.end()) {
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(heap, 16, "a global heap"));
    Hdf5Bytes head_in(head);
    if (head_in.Take(4) != "GCOL" || head_in.U8() != 1) return BadHdf5(heap, "no global heap");
    head_in.Skip(3);
    const uint64_t size = head_in.U64();
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(heap, std::max<uint64_t>(size, 16), "a global heap"));
    Hdf5Bytes objects(bytes);
    objects.Skip(16);
    auto& known = heaps_[heap];
    while (objects.left() >= 16) {
      const uint16_t number = objects.U16();
      objects.Skip(6);
      const uint64_t object = objects.U64();
      if (number == 0) break;  // the free space behind all objects
      if (object > objects.left()) return BadHdf5(heap, "a global heap with an object beyond its end");
      if (!known.emplace(number, std::pair(heap + objects.at(), object)).second) {
        return BadHdf5(heap, "a global heap with two objects of one number");
      }
      objects.Skip(static_cast<size_t>(object));
      objects.Skip(std::min<size_t>((8 - object % 8) % 8, objects.left()));
    }
  }
  const auto& objects = heaps_[heap];
  const auto found = objects.find(index);
  if (found == objects.end()) return BadHdf5(heap, fmt::format("a global heap without object {}", index));
  const auto [address, size] = found->second;
  if (length > size || length > kMaxText)
    return BadHdf5(fmt::format("a text of {} bytes in an object of {}", length, size));
  return file_.Read(address, length, "a text");
}

}  // namespace ckmap
