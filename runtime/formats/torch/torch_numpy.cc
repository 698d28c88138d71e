#include "runtime/formats/torch/torch_numpy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "runtime/base/little_endian.h"
#include "runtime/base/malformed.h"
#include "runtime/formats/pickle/pickle_text.h"
#include "runtime/tensor/numpy_types.h"

namespace ckmap {
namespace {

struct NumpyType {
  DType dtype = DType::kAny;  // kAny: no numbers
  bool big_endian = false;
};

// numpy.dtype("f8", False, True) with the state (3, "<", None, None, None, -1, -1, 0).
Result<NumpyType> ReadType(const Pickle& pickle, PickleId id) {
  if (pickle.kind(id) != PickleKind::kObject || MeaningOf(pickle.callable(id)).thing != TorchThing::kNumpyDType) {
    return Malformed("the element type of an array is no numpy.dtype");
  }
  const auto arguments = pickle.items(pickle.arguments(id));
  if (arguments.empty() || pickle.kind(arguments[0]) != PickleKind::kText)
    return Malformed("a numpy.dtype without a name");
  const auto number = NumpyNumberType(pickle.text(arguments[0]));
  if (!number) return NumpyType{};
  NumpyType type{*number, false};
  if (const PickleId state = pickle.state(id); state != kNoPickle) {
    if (pickle.kind(state) != PickleKind::kTuple || pickle.items(state).size() < 2 ||
        pickle.kind(pickle.items(state)[1]) != PickleKind::kText) {
      return Malformed("a numpy.dtype with another state than numpy writes");
    }
    const std::string_view order = pickle.text(pickle.items(state)[1]);
    if (order != "<" && order != ">" && order != "|" && order != "=")
      return Malformed("a numpy.dtype without a byte order");
    type.big_endian = order == ">";
    const auto parts = pickle.items(state);
    for (size_t i = 2; i < std::min<size_t>(parts.size(), 5); ++i) {
      if (pickle.kind(parts[i]) != PickleKind::kNone) return NumpyType{};  // records, sub-arrays
    }
  }
  return type;
}

struct ArrayParts {
  PickleId shape;
  PickleId type;
  PickleId data;
  bool fortran = false;
};

// numpy.ndarray, or what a subclass such as numpy.matrix says it is.
bool MakesArray(TorchThing thing) { return thing == TorchThing::kNumpyArray || thing == TorchThing::kUnknown; }

// _reconstruct(ndarray, (0,), b"b") with the state (1, shape, dtype, fortran, data), or
// _frombuffer(data, dtype, shape, order).
Result<ArrayParts> ReadParts(const Pickle& pickle, PickleId id) {
  const auto arguments = pickle.items(pickle.arguments(id));
  if (MeaningOf(pickle.callable(id)).thing == TorchThing::kNumpyFromBuffer) {
    if (arguments.size() != 4 || pickle.kind(arguments[3]) != PickleKind::kText)
      return Malformed("wants four arguments");
    return ArrayParts{arguments[2], arguments[1], arguments[0], pickle.text(arguments[3]) == "F"};
  }
  const PickleId state = pickle.state(id);
  if (arguments.size() != 3 || pickle.kind(arguments[0]) != PickleKind::kGlobal ||
      !MakesArray(MeaningOf(pickle.global(arguments[0])).thing)) {
    return Malformed("does not make a numpy.ndarray");
  }
  if (state == kNoPickle || pickle.kind(state) != PickleKind::kTuple || pickle.items(state).size() != 5 ||
      pickle.kind(pickle.items(state)[3]) != PickleKind::kBool) {
    return Malformed("an array with another state than numpy writes");
  }
  const auto parts = pickle.items(state);
  return ArrayParts{parts[1], parts[2], parts[4], pickle.boolean(parts[3])};
}

template <typename T>
T LoadAs(std::string bytes, bool big_endian) {
  if (big_endian) std::reverse(bytes.begin(), bytes.end());
  return LoadLittle<T>(bytes.data());
}

}  // namespace

Result<std::string> PickledBytes(const Pickle& pickle, PickleId id) {
  const PickleKind kind = pickle.kind(id);
  if (kind == PickleKind::kBytes || kind == PickleKind::kByteArray || kind == PickleKind::kText) {
    return std::string(pickle.text(id));
  }
  // Protocols 0 to 2 write no bytes at all as a call without arguments.
  if (kind == PickleKind::kObject && MeaningOf(pickle.callable(id)).thing == TorchThing::kBytes) {
    const auto given = pickle.items(pickle.arguments(id));
    if (given.empty()) return std::string();
    if (given.size() == 1 && pickle.kind(given[0]) == PickleKind::kBytes) return std::string(pickle.text(given[0]));
    return Malformed("bytes() of something else than bytes");
  }
  if (kind != PickleKind::kObject || MeaningOf(pickle.callable(id)).thing != TorchThing::kEncode) {
    return Malformed(fmt::format("a {} where bytes should be", PickleKindName(kind)));
  }
  const auto arguments = pickle.items(pickle.arguments(id));
  const bool latin1 = arguments.size() == 2 && pickle.kind(arguments[0]) == PickleKind::kText &&
                      pickle.kind(arguments[1]) == PickleKind::kText &&
                      (pickle.text(arguments[1]) == "latin1" || pickle.text(arguments[1]) == "latin-1");
  auto bytes = latin1 ? Latin1FromUtf8(pickle.text(arguments[0])) : std::nullopt;
  if (!bytes) return Malformed("_codecs.encode is only read as Latin-1 text to bytes");
  return *std::move(bytes);
}

Result<std::optional<TorchTensor>> ReadNumpyArray(const Pickle& pickle, PickleId id, TorchReferences& references) {
  CKMAP_ASSIGN_OR_RETURN(const ArrayParts parts, ReadParts(pickle, id));
  CKMAP_ASSIGN_OR_RETURN(const NumpyType type, ReadType(pickle, parts.type));
  if (type.dtype == DType::kAny) return std::optional<TorchTensor>();
  CKMAP_ASSIGN_OR_RETURN(const Shape shape, TorchIntegers(pickle, parts.shape));
  const bool as_is = pickle.kind(parts.data) == PickleKind::kBytes || pickle.kind(parts.data) == PickleKind::kByteArray;
  std::string decoded;
  if (!as_is) {
    CKMAP_ASSIGN_OR_RETURN(decoded, PickledBytes(pickle, parts.data));
  }
  const std::string_view bytes = as_is ? pickle.text(parts.data) : decoded;
  const auto wanted = NumBytes(shape, type.dtype);
  if (!wanted || static_cast<size_t>(*wanted) != bytes.size()) {
    return Malformed(fmt::format("an array of shape {} and type {} with {} bytes", FormatShape(shape),
                                 DTypeName(type.dtype), bytes.size()));
  }
  TorchStorageRef ref;
  ref.dtype = type.dtype;
  ref.numel = *NumElements(shape);
  ref.storage = as_is ? references.AddPickledBytes(bytes) : references.AddBytes(std::move(decoded));
  CKMAP_ASSIGN_OR_RETURN(
      TorchTensor tensor,
      MakeTorchTensor(ref, type.dtype, shape, parts.fortran ? ColumnMajorStrides(shape) : RowMajorStrides(shape), 0,
                      type.big_endian));
  return std::optional<TorchTensor>(std::move(tensor));
}

Result<std::string> NumpyArrayBytes(const Pickle& pickle, PickleId id) {
  CKMAP_ASSIGN_OR_RETURN(const ArrayParts parts, ReadParts(pickle, id));
  return PickledBytes(pickle, parts.data);
}

PickleId NumpyArrayObjects(const Pickle& pickle, PickleId id) {
  const auto parts = ReadParts(pickle, id);
  return parts && pickle.kind(parts->data) == PickleKind::kList ? parts->data : kNoPickle;
}

Result<OtherEntry> ReadNumpyScalar(const Pickle& pickle, PickleId id) {
  const auto arguments = pickle.items(pickle.arguments(id));
  OtherEntry entry{"", "object", {}};
  if (arguments.empty() || arguments.size() > 2) return Malformed("a numpy scalar of another form than numpy writes");
  CKMAP_ASSIGN_OR_RETURN(const NumpyType type, ReadType(pickle, arguments[0]));
  if (type.dtype == DType::kAny || arguments.size() == 1) return entry;
  CKMAP_ASSIGN_OR_RETURN(const std::string bytes, PickledBytes(pickle, arguments[1]));
  if (bytes.size() != static_cast<size_t>(DTypeSize(type.dtype))) {
    return Malformed(fmt::format("a numpy scalar of type {} with {} bytes", DTypeName(type.dtype), bytes.size()));
  }
  const bool swap = type.big_endian;
  const auto integer = [&](int64_t value) { entry.kind = "int", entry.value = value; };
  switch (type.dtype) {
    case DType::kBool:
      entry.kind = "bool", entry.value = bytes[0] != 0;
      break;
    case DType::kI8:
      integer(LoadAs<int8_t>(bytes, swap));
      break;
    case DType::kU8:
      integer(LoadAs<uint8_t>(bytes, swap));
      break;
    case DType::kI16:
      integer(LoadAs<int16_t>(bytes, swap));
      break;
    case DType::kU16:
      integer(LoadAs<uint16_t>(bytes, swap));
      break;
    case DType::kI32:
      integer(LoadAs<int32_t>(bytes, swap));
      break;
    case DType::kU32:
      integer(LoadAs<uint32_t>(bytes, swap));
      break;
    case DType::kI64:
      integer(LoadAs<int64_t>(bytes, swap));
      break;
    case DType::kU64:
      entry.kind = "int", entry.value = std::to_string(LoadAs<uint64_t>(bytes, swap));
      break;
    case DType::kF32:
      entry.kind = "float", entry.value = double{LoadAs<float>(bytes, swap)};
      break;
    case DType::kF64:
      entry.kind = "float", entry.value = LoadAs<double>(bytes, swap);
      break;
    default:
      break;
  }
  return entry;
}

}  // namespace ckmap
