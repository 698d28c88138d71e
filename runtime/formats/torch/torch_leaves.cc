#include <fmt/format.h>

#include <cmath>

#include "runtime/base/text.h"
#include "runtime/formats/torch/torch_numpy.h"
#include "runtime/formats/torch/torch_tree.h"

namespace ckmap {
namespace {

constexpr size_t kMaxLeafText = size_t{64} << 10;

// A two's complement number beyond 64 bits: decimal up to 128 bits, otherwise hexadecimal.
std::string BigIntText(std::string_view bytes) {
  __extension__ using Wide = unsigned __int128;
  const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  if (bytes.size() > 16) {
    std::string hex = "0x";
    for (auto it = bytes.rbegin(); it != bytes.rend() && hex.size() < 600; ++it) {
      hex += fmt::format("{:02x}", static_cast<unsigned char>(*it));
    }
    return hex;
  }
  Wide value = negative ? ~Wide{0} : Wide{0};
  for (size_t i = bytes.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  if (negative) value = ~value + 1;
  std::string digits;
  for (; value != 0; value /= 10) digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
  return (negative ? "-" : "") + digits;
}

std::string HexText(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

std::string ComplexText(double real, double imaginary) {
  const std::string tail = fmt::format("{:+}j", imaginary);
  if (real == 0 && !std::signbit(real)) return fmt::format("{}j", imaginary);
  return fmt::format("({}{})", real, tail);
}

// "(1, None, 2)"
std::string PlainArguments(const Pickle& pickle, std::span<const PickleId> arguments) {
  std::string text = "(";
  for (const PickleId id : arguments) {
    if (text.size() > 1) text += ", ";
    switch (pickle.kind(id)) {
      case PickleKind::kInt:
        text += std::to_string(pickle.integer(id));
        break;
      case PickleKind::kNone:
        text += "None";
        break;
      case PickleKind::kGlobal:
        text += pickle.global(id).name;
        break;
      default:
        text += "…";
        break;
    }
  }
  return text + ")";
}

OtherEntry DescribeObject(const Pickle& pickle, PickleId id) {
  const auto arguments = pickle.items(pickle.arguments(id));
  const auto first_text = [&] {
    return !arguments.empty() && pickle.kind(arguments[0]) == PickleKind::kText ? std::string(pickle.text(arguments[0]))
                                                                                : "";
  };
  OtherEntry entry{"", "object", {}};
  switch (MeaningOf(pickle.callable(id)).thing) {
    case TorchThing::kSize:
      entry.kind = "Size";
      break;
    case TorchThing::kLayout:
      entry.kind = "layout", entry.value = first_text();
      break;
    case TorchThing::kDevice: {
      std::string device = first_text();
      if (arguments.size() == 2 && pickle.kind(arguments[1]) == PickleKind::kInt) {
        device += fmt::format(":{}", pickle.integer(arguments[1]));
      }
      entry.kind = "device", entry.value = std::move(device);
      break;
    }
    case TorchThing::kComplex:
      entry.kind = "complex", entry.value = ComplexText(pickle.real(arguments[0]), pickle.real(arguments[1]));
      break;
    case TorchThing::kSlice:
    case TorchThing::kRange:
      entry.kind = pickle.callable(id).name;
      entry.value = PlainArguments(pickle, arguments);
      break;
    case TorchThing::kType:
      entry.kind = "type";
      entry.value = fmt::format("type{}", PlainArguments(pickle, arguments));
      break;
    case TorchThing::kNpuFormat:
      entry.kind = "NPU format";
      entry.value = PlainArguments(pickle, arguments);
      break;
    case TorchThing::kBytes:
    case TorchThing::kEncode:
    case TorchThing::kByteArray: {
      entry.kind = MeaningOf(pickle.callable(id)).thing == TorchThing::kByteArray ? "bytearray" : "bytes";
      const PickleId source = entry.kind == "bytes" || arguments.empty() ? id : arguments[0];
      if (arguments.empty()) {
        entry.value = std::string();
      } else if (const auto bytes = PickledBytes(pickle, source); bytes.ok() && bytes->size() <= kMaxLeafText) {
        entry.value = HexText(*bytes);
      }
      break;
    }
    case TorchThing::kNumpyScalar:
      if (auto scalar = ReadNumpyScalar(pickle, id); scalar.ok()) entry = *std::move(scalar);
      break;
    case TorchThing::kUnknown:
      entry.value = fmt::format("{}.{}", pickle.callable(id).module, pickle.callable(id).name);
      break;
    case TorchThing::kNumpyReconstruct:
    case TorchThing::kNumpyFromBuffer:
      entry.kind = "ndarray";
      break;
    default:
      break;
  }
  return entry;
}

}  // namespace

OtherEntry DescribeTorchLeaf(const Pickle& pickle, PickleId id) {
  const PickleKind kind = pickle.kind(id);
  OtherEntry entry{"", std::string(PickleKindName(kind)), {}};
  switch (kind) {
    case PickleKind::kBool:
      entry.value = pickle.boolean(id);
      break;
    case PickleKind::kInt:
      entry.value = pickle.integer(id);
      break;
    case PickleKind::kBigInt:
      entry.value = BigIntText(pickle.text(id));
      break;
    case PickleKind::kFloat:
      entry.value = pickle.real(id);
      break;
    case PickleKind::kText:
      if (pickle.text(id).size() <= kMaxLeafText) entry.value = std::string(pickle.text(id));
      break;
    case PickleKind::kBytes:
    case PickleKind::kByteArray:
      if (pickle.text(id).size() <= kMaxLeafText) entry.value = HexText(pickle.text(id));
      break;
    case PickleKind::kGlobal: {
      const PickleGlobal& global = pickle.global(id);
      if (MeaningOf(global).thing == TorchThing::kDType) entry.kind = "dtype";
      entry.value = fmt::format("{}.{}", global.module, global.name);
      break;
    }
    case PickleKind::kObject:
      return DescribeObject(pickle, id);
    default:
      break;
  }
  return entry;
}

}  // namespace ckmap
