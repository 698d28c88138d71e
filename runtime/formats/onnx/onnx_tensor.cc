#include "runtime/formats/onnx/onnx_tensor.h"

#include <utility>

#include <fmt/format.h>

#include "runtime/base/json_strict.h"
#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/storage/contained_path.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

// Fields of a TensorProto.
constexpr uint32_t kDims = 1;
constexpr uint32_t kDataType = 2;
constexpr uint32_t kSegment = 3;
constexpr uint32_t kFloatData = 4;
constexpr uint32_t kInt32Data = 5;
constexpr uint32_t kInt64Data = 7;
constexpr uint32_t kName = 8;
constexpr uint32_t kRawData = 9;
constexpr uint32_t kDoubleData = 10;
constexpr uint32_t kUint64Data = 11;
constexpr uint32_t kExternalData = 13;
constexpr uint32_t kDataLocation = 14;

constexpr uint64_t kTextType = 8;
constexpr uint64_t kMaxDataType = 26;

// The field where numbers of a type stand; 0 if they can only be raw.
uint32_t NumberField(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kC64:
      return kFloatData;
    case DType::kF64:
    case DType::kC128:
      return kDoubleData;
    case DType::kI64:
      return kInt64Data;
    case DType::kU32:
    case DType::kU64:
      return kUint64Data;
    default:
      return kInt32Data;
  }
}

WireType WireTypeOf(uint32_t field) {
  if (field == kFloatData) return WireType::kFixed32;
  return field == kDoubleData ? WireType::kFixed64 : WireType::kVarint;
}

// Bits of an element of a type whose elements share bytes; 0 for others.
int64_t PackedBits(uint64_t data_type) {
  constexpr uint64_t kUInt4 = 21, kFloat4 = 23, kUInt2 = 25;  // INT4 and INT2 follow theirs
  if (data_type >= kUInt4 && data_type <= kFloat4) return 4;
  return data_type == kUInt2 || data_type == kUInt2 + 1 ? 2 : 0;
}

std::string WhyNoElements(uint64_t data_type) {
  if (data_type == kTextType) return "it holds text";
  return fmt::format("its elements are packed below a byte (type {}), which is not unpacked here", data_type);
}

}  // namespace

Result<void> AddOnnxDim(Shape& shape, uint64_t size) {
  if (size > uint64_t{kMaxTensorDim} || shape.size() == kMaxTensorRank) {
    return Malformed(
        fmt::format("has an axis of size {}, or more than {} axes", static_cast<int64_t>(size), kMaxTensorRank));
  }
  shape.push_back(static_cast<int64_t>(size));
  return {};
}

std::optional<DType> FindOnnxType(uint64_t data_type) {
  constexpr DType kNone = DType::kAny;
  constexpr DType kTypes[] = {
      kNone,       DType::kF32,  DType::kU8,   DType::kI8,     DType::kU16,        DType::kI16,    DType::kI32,
      DType::kI64, kNone,        DType::kBool, DType::kF16,    DType::kF64,        DType::kU32,    DType::kU64,
      DType::kC64, DType::kC128, DType::kBF16, DType::kF8E4M3, DType::kF8E4M3Fnuz, DType::kF8E5M2, DType::kF8E5M2Fnuz,
      kNone,       kNone,        kNone,        DType::kF8E8M0};
  if (data_type >= std::size(kTypes) || kTypes[data_type] == kNone) return std::nullopt;
  return kTypes[data_type];
}

Result<OnnxTensor> OnnxTensorReader::Read(const WireField& message) {
  OnnxTensor tensor;
  tensor.begin = message.begin;
  tensor.end = message.end();
  bool has_name = false;
  bool has_type = false;
  for (int64_t at = message.begin; at < message.end();) {
    CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
    const bool bytes = field.type == WireType::kBytes;
    if (field.number == kDims) {
      CKMAP_RETURN_IF_ERROR(ReadDims(field, tensor));
    } else if (field.number == kDataType && field.type == WireType::kVarint) {
      if (std::exchange(has_type, true)) return Malformed("a tensor with two element types");
      tensor.data_type = field.value;
    } else if (field.number == kName && bytes) {
      if (std::exchange(has_name, true)) return Malformed("a tensor with two names");
      CKMAP_ASSIGN_OR_RETURN(tensor.name, reader_.Text(field, kMaxOnnxText));
    } else if (field.number == kRawData && bytes) {
      if (tensor.raw) return Malformed("a tensor with two `raw_data`");
      tensor.raw = field;
    } else if (field.number == kExternalData && bytes) {
      CKMAP_RETURN_IF_ERROR(ReadExternal(field, tensor));
    } else if (field.number == kDataLocation && field.type == WireType::kVarint) {
      if (field.value > 1)
        return Malformed(fmt::format("a tensor whose data are in the unknown place {}", field.value));
      tensor.external = field.value == 1;
    } else if (field.number == kSegment) {
      return Malformed("a tensor in segments, which no writer makes");
    } else if ((field.number >= kFloatData && field.number <= kInt64Data && field.number != 6) ||
               field.number == kDoubleData || field.number == kUint64Data) {
      CKMAP_RETURN_IF_ERROR(ReadNumbers(field, tensor));
    } else if (field.number <= kDataLocation && field.number != 6 && field.number != 12) {
      return Malformed(fmt::format("a tensor whose field {} has the wrong wire type", field.number));
    }
  }
  return tensor;
}

Result<void> OnnxTensorReader::ReadDims(const WireField& field, OnnxTensor& tensor) {
  if (field.type == WireType::kVarint) return AddOnnxDim(tensor.shape, field.value);
  if (field.type != WireType::kBytes) return Malformed("a tensor whose dims have the wrong wire type");
  for (int64_t at = field.begin; at < field.end();) {
    CKMAP_ASSIGN_OR_RETURN(const uint64_t size, reader_.Varint(at, field.end()));
    CKMAP_RETURN_IF_ERROR(AddOnnxDim(tensor.shape, size));
  }
  return {};
}

Result<void> OnnxTensorReader::ReadNumbers(const WireField& field, OnnxTensor& tensor) {
  if (field.type != WireType::kBytes && field.type != WireTypeOf(field.number)) {
    return Malformed(fmt::format("a tensor whose field {} has the wrong wire type", field.number));
  }
  if (field.type == WireType::kBytes && field.length == 0) return {};
  if (tensor.numbers != 0 && tensor.numbers != field.number) return Malformed("a tensor with numbers in two fields");
  tensor.numbers = field.number;
  return {};
}

Result<void> OnnxTensorReader::ReadExternal(const WireField& field, OnnxTensor& tensor) {
  std::string key;
  std::string value;
  for (int64_t at = field.begin; at < field.end();) {
    CKMAP_ASSIGN_OR_RETURN(const WireField part, reader_.Next(at, field.end()));
    if (part.type != WireType::kBytes || part.number > 2) continue;
    CKMAP_ASSIGN_OR_RETURN(std::string text, reader_.Text(part, kMaxOnnxText));
    (part.number == 1 ? key : value) = std::move(text);
  }
  if (key == "checksum" || key == "basepath") return {};  // of a SHA-1 that no writer makes, of the model's own folder
  if (key != "location" && key != "offset" && key != "length") {
    checkpoint_.AddWarning(
        fmt::format("external data with the unknown key \"{}\", which is passed over", EscapeText(key)));
    return {};
  }
  if (!tensor.external_data.emplace(key, std::move(value)).second)
    return Malformed(fmt::format("external data with two `{}`", key));
  return {};
}

Result<void> OnnxTensorReader::Add(const OnnxTensor& tensor, std::string name, bool optional) {
  const auto bad = [name](std::string_view what) {
    return Malformed(fmt::format("tensor {}: {}", QuoteName(name), what));
  };
  // Others than kMalformed are of a file, not of the tensor.
  const auto named = [&bad](Error error) {
    return error.code() == ErrorCode::kMalformed ? bad(error.message()) : std::move(error);
  };
  if (name.empty()) return Malformed("a tensor without a name");
  if (const std::string problem = TensorNameProblem(name); !problem.empty()) return bad(problem);
  if (tensor.data_type == 0 || tensor.data_type > kMaxDataType)
    return bad(fmt::format("unknown element type {}", tensor.data_type));
  TensorInfo info;
  info.name = std::move(name);
  info.shape = tensor.shape;
  info.optional = optional;
  const auto dtype = FindOnnxType(tensor.data_type);
  info.dtype = dtype.value_or(DType::kAny);
  const auto bytes = NumBytes(info.shape, dtype.value_or(DType::kU8));
  if (!bytes) return bad(fmt::format("{} is too large", FormatShape(info.shape)));
  if (!dtype) info.unreadable = WhyNoElements(tensor.data_type);
  std::unique_ptr<StorageSource> source;
  if (dtype) {
    auto opened = Open(tensor, *dtype, *bytes, info.unreadable);
    if (!opened) return named(std::move(opened).error());
    source = *std::move(opened);
  }
  if (const int64_t bits = PackedBits(tensor.data_type); bits != 0) {
    auto checked = CheckPacked(tensor, (*NumElements(info.shape) * bits + 7) / 8);
    if (!checked) return named(std::move(checked).error());
  }
  const bool added = info.unreadable.empty() ? checkpoint_.AddDense(std::move(info), std::move(source))
                                             : checkpoint_.AddUnreadable(std::move(info));
  return added ? Result<void>() : bad("is given twice");
}

// Elements that share bytes are not unpacked, but their bytes must be there.
Result<void> OnnxTensorReader::CheckPacked(const OnnxTensor& tensor, int64_t bytes) {
  OnnxTensor packed = tensor;
  packed.shape = {bytes};
  std::string missing;  // another file, which is no lie
  auto opened = Open(packed, DType::kU8, bytes, missing);
  return opened ? Result<void>() : std::move(opened).error().Context("elements that share bytes");
}

// The storage, or, if its bytes are simply not there, none and the reason.
Result<std::unique_ptr<StorageSource>> OnnxTensorReader::Open(const OnnxTensor& tensor, DType dtype, int64_t bytes,
                                                              std::string& unreadable) {
  if (tensor.external) {
    if (tensor.raw || tensor.numbers != 0) return Malformed("has its data both here and in another file");
    return OpenExternal(tensor, bytes, unreadable);
  }
  if (tensor.raw && tensor.numbers != 0) return Malformed("has its data both raw and as numbers");
  if (tensor.numbers != 0) return OpenNumbers(tensor, dtype, bytes);
  const int64_t given = tensor.raw ? tensor.raw->length : 0;
  if (given != bytes) {
    return Malformed(fmt::format("{} {} takes {} bytes, but {} are given", DTypeName(dtype), FormatShape(tensor.shape),
                                 bytes, given));
  }
  return FileSource(source_.file(), tensor.raw ? tensor.raw->begin : 0, bytes);
}

Result<std::unique_ptr<StorageSource>> OnnxTensorReader::OpenNumbers(const OnnxTensor& tensor, DType dtype,
                                                                     int64_t bytes) {
  if (tensor.numbers != NumberField(dtype)) {
    return Malformed(fmt::format("its numbers are in field {}, those of {} belong in field {}", tensor.numbers,
                                 DTypeName(dtype), NumberField(dtype)));
  }
  const OnnxNumbers numbers{tensor.begin, tensor.end, tensor.numbers, WireTypeOf(tensor.numbers), dtype};
  // Floats in one packed run lie in the file as they are.
  if (numbers.wire != WireType::kVarint) {
    for (int64_t at = tensor.begin; at < tensor.end;) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, tensor.end));
      if (field.number == tensor.numbers && field.type == WireType::kBytes && field.length == bytes) {
        return FileSource(source_.file(), field.begin, bytes);
      }
      if (field.number == tensor.numbers) break;
    }
  }
  return OpenOnnxNumbers(source_, numbers, *NumElements(tensor.shape));
}

Result<std::unique_ptr<StorageSource>> OnnxTensorReader::OpenExternal(const OnnxTensor& tensor, int64_t bytes,
                                                                      std::string& unreadable) {
  const auto given = [&tensor](const std::string& key) {
    const auto found = tensor.external_data.find(key);
    return found == tensor.external_data.end() ? std::optional<std::string>() : found->second;
  };
  const std::string location = given("location").value_or("");
  const auto problem = ContainedPathProblem(location);
  if (!problem.empty()) return Malformed(fmt::format("the file of its data, {}, {}", QuoteName(location), problem));
  if (!FileStaysInside(folder_, location)) {
    return Malformed(
        fmt::format("the file of its data, {}, is a link that leads out of the folder", QuoteName(location)));
  }
  const auto offset = ParsePlainUnsigned(given("offset").value_or("0"));
  const auto length = ParsePlainUnsigned(given("length").value_or("0"));
  if (!offset || !length) return Malformed("the place of its data in another file is no number");
  const std::string path = (folder_ / location).string();
  auto known = files_.find(location);
  if (known == files_.end()) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      unreadable = fmt::format("its bytes are in {}, which is not there", EscapeText(location));
      return std::unique_ptr<StorageSource>();
    }
    CKMAP_ASSIGN_OR_RETURN(const InputFile* file, checkpoint_.AddFile(path));
    known = files_.emplace(location, file).first;
  }
  const auto size = static_cast<uint64_t>(known->second->size());
  // Without a length it is all that follows.
  const uint64_t held = given("length") || *offset > size ? *length : size - *offset;
  if (held != static_cast<uint64_t>(bytes)) {
    return Malformed(fmt::format("takes {} bytes, but {} are given in {}", bytes, held, QuoteName(location)));
  }
  if (*offset > size || static_cast<uint64_t>(bytes) > size - *offset) {
    return Malformed(fmt::format("its {} bytes from byte {} of {} on end beyond that file, which has {}", bytes,
                                 *offset, QuoteName(location), size));
  }
  return FileSource(*known->second, static_cast<int64_t>(*offset), bytes);
}

}  // namespace ckmap
