#include "runtime/formats/safetensors/safetensors_header.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::array<std::pair<std::string_view, DType>, 22> kDTypes = {{
    {"BOOL", DType::kBool},
    {"F4", DType::kF4},
    {"F6_E2M3", DType::kF6E2M3},
    {"F6_E3M2", DType::kF6E3M2},
    {"U8", DType::kU8},
    {"I8", DType::kI8},
    {"F8_E5M2", DType::kF8E5M2},
    {"F8_E4M3", DType::kF8E4M3},
    {"F8_E8M0", DType::kF8E8M0},
    {"F8_E4M3FNUZ", DType::kF8E4M3Fnuz},
    {"F8_E5M2FNUZ", DType::kF8E5M2Fnuz},
    {"I16", DType::kI16},
    {"U16", DType::kU16},
    {"F16", DType::kF16},
    {"BF16", DType::kBF16},
    {"I32", DType::kI32},
    {"U32", DType::kU32},
    {"F32", DType::kF32},
    {"C64", DType::kC64},
    {"F64", DType::kF64},
    {"I64", DType::kI64},
    {"U64", DType::kU64},
}};

Error BadTensor(std::string_view name, std::string_view what) {
  return Malformed(fmt::format("tensor {}: {}", QuoteName(name), what));
}

Error BadJson(simdjson::error_code error) {
  return Malformed(fmt::format("the header is not valid JSON: {}", simdjson::error_message(error)));
}

std::optional<DType> FindDType(std::string_view name) {
  for (const auto& [text, dtype] : kDTypes) {
    if (text == name) return dtype;
  }
  return std::nullopt;
}

class HeaderParser {
 public:
  explicit HeaderParser(SafetensorsHeader& header) : header_(header) {}

  Result<void> Parse(const std::string& padded, size_t length) {
    ondemand::document document;
    if (auto e = BeginJson(parser_, padded, length, document)) return BadJson(e);
    ondemand::object root;
    if (auto e = document.get_object().get(root)) {
      if (e == simdjson::INCORRECT_TYPE) return Malformed("the header is not a JSON object");
      return BadJson(e);
    }
    for (auto item : root) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return BadJson(e);
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return BadJson(e);
      if (key == "__metadata__") {
        CKMAP_RETURN_IF_ERROR(Metadata(field.value()));
      } else {
        CKMAP_RETURN_IF_ERROR(Tensor(key, field.value()));
      }
    }
    if (!document.current_location().error()) return Malformed("something follows the JSON object of the header");
    return {};
  }

 private:
  Result<void> Metadata(ondemand::value value) {
    if (std::exchange(has_metadata_, true)) return Malformed("`__metadata__` is given twice");
    ondemand::object object;
    if (auto e = value.get_object().get(object)) {
      if (e == simdjson::INCORRECT_TYPE) return Malformed("`__metadata__` is not an object");
      return BadJson(e);
    }
    for (auto item : object) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return BadJson(e);
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return BadJson(e);
      std::string_view text;
      if (auto e = field.value().get_string().get(text)) {
        if (e != simdjson::INCORRECT_TYPE) return BadJson(e);
        return Malformed(fmt::format("metadata {} is not text; all metadata must be", QuoteName(key)));
      }
      if (!IsValidUtf8(key) || !IsValidUtf8(text)) return Malformed("the metadata are not UTF-8");
      if (!header_.metadata.emplace(key, text).second) {
        return Malformed(fmt::format("metadata key {} is given twice", QuoteName(key)));
      }
    }
    return {};
  }

  Result<void> Tensor(std::string_view name, ondemand::value value) {
    if (const std::string problem = TensorNameProblem(name); !problem.empty()) {
      return BadTensor(name, problem);
    }
    ondemand::object object;
    if (auto e = value.get_object().get(object)) {
      if (e == simdjson::INCORRECT_TYPE) return BadTensor(name, "its entry is not an object");
      return BadJson(e);
    }
    TensorInfo info;
    info.name = name;
    info.storage = static_cast<int64_t>(header_.ranges.size());
    ByteRange range;
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
    for (auto item : object) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return BadJson(e);
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return BadJson(e);
      bool* seen = key == "dtype"          ? &has_dtype
                   : key == "shape"        ? &has_shape
                   : key == "data_offsets" ? &has_offsets
                                           : nullptr;
      if (seen == nullptr) {
        return BadTensor(info.name, fmt::format("has the unknown key {}", QuoteName(key)));
      }
      if (std::exchange(*seen, true)) return BadTensor(info.name, fmt::format("`{}` is given twice", key));
      ondemand::value content = field.value();
      if (seen == &has_dtype) {
        CKMAP_RETURN_IF_ERROR(ReadDType(info, content));
      } else if (seen == &has_shape) {
        CKMAP_RETURN_IF_ERROR(ReadShape(info, content));
      } else {
        CKMAP_RETURN_IF_ERROR(ReadOffsets(info, range, content));
      }
    }
    if (!has_dtype || !has_shape || !has_offsets) {
      return BadTensor(info.name, "must have `dtype`, `shape` and `data_offsets`");
    }
    // The file counts 4-bit values; an element of kF4 is a byte of two.
    if (info.dtype == DType::kF4) {
      if (info.shape.empty() || info.shape.back() % 2 != 0) {
        return BadTensor(info.name,
                         fmt::format("F4 {}: the last axis does not fill whole bytes", FormatShape(info.shape)));
      }
      info.shape.back() /= 2;
    }
    CKMAP_RETURN_IF_ERROR(CheckSize(info, range));
    header_.ranges.push_back(range);
    std::string copy = info.name;
    if (!header_.manifest.Add(std::move(info))) return BadTensor(copy, "the name is given twice");
    return {};
  }

  static Result<void> ReadDType(TensorInfo& info, ondemand::value value) {
    std::string_view text;
    if (auto e = value.get_string().get(text)) {
      if (e == simdjson::INCORRECT_TYPE) return BadTensor(info.name, "its dtype is not text");
      return BadJson(e);
    }
    const auto dtype = FindDType(text);
    if (!dtype) return BadTensor(info.name, fmt::format("unknown dtype {}", QuoteName(text)));
    info.dtype = *dtype;
    return {};
  }

  // Reads an array of plain numbers.
  template <typename Consume>
  static Result<void> ReadNumbers(const TensorInfo& info, std::string_view what, ondemand::value value,
                                  Consume consume) {
    ondemand::array array;
    if (auto e = value.get_array().get(array)) {
      if (e != simdjson::INCORRECT_TYPE) return BadJson(e);
      return BadTensor(info.name, fmt::format("its {} is not an array", what));
    }
    for (auto item : array) {
      ondemand::value element;
      if (auto e = std::move(item).get(element)) return BadJson(e);
      std::string_view token = element.raw_json_token();
      const auto number = ParsePlainUnsigned(token);
      uint64_t parsed = 0;
      if (!number || element.get_uint64().get(parsed) != simdjson::SUCCESS || parsed != *number) {
        return BadTensor(info.name, fmt::format("its {} must hold numbers written as plain digits", what));
      }
      CKMAP_RETURN_IF_ERROR(consume(*number));
    }
    return {};
  }

  static Result<void> ReadShape(TensorInfo& info, ondemand::value value) {
    return ReadNumbers(info, "shape", value, [&info](uint64_t size) -> Result<void> {
      if (info.shape.size() == kMaxTensorRank) {
        return BadTensor(info.name, fmt::format("has more than {} axes", kMaxTensorRank));
      }
      if (size > uint64_t{kMaxTensorDim}) {
        return BadTensor(info.name, fmt::format("an axis of {}, at most 2^48 is read", size));
      }
      info.shape.push_back(static_cast<int64_t>(size));
      return {};
    });
  }

  static Result<void> ReadOffsets(const TensorInfo& info, ByteRange& range, ondemand::value value) {
    std::array<uint64_t, 2> offsets{};
    size_t count = 0;
    CKMAP_RETURN_IF_ERROR(ReadNumbers(info, "data_offsets", value, [&](uint64_t offset) -> Result<void> {
      if (count == offsets.size() || offset > (uint64_t{1} << 62)) {
        return BadTensor(info.name, "its data_offsets must be two numbers below 2^62");
      }
      offsets[count++] = offset;
      return {};
    }));
    if (count != offsets.size()) return BadTensor(info.name, "its data_offsets must be two numbers");
    range = {static_cast<int64_t>(offsets[0]), static_cast<int64_t>(offsets[1])};
    return {};
  }

  static Result<void> CheckSize(const TensorInfo& info, const ByteRange& range) {
    if (range.end < range.begin) {
      return BadTensor(info.name, fmt::format("its data end at {}, before they begin at {}", range.end, range.begin));
    }
    const auto bytes = NumBytes(info.shape, info.dtype);
    if (!bytes) {
      return BadTensor(info.name, fmt::format("{} {} is no number of whole bytes below 2^62", DTypeName(info.dtype),
                                              FormatShape(info.shape)));
    }
    if (*bytes != range.end - range.begin) {
      return BadTensor(info.name,
                       fmt::format("{} {} takes {} bytes, but its data_offsets span {}", DTypeName(info.dtype),
                                   FormatShape(info.shape), *bytes, range.end - range.begin));
    }
    return {};
  }

  SafetensorsHeader& header_;
  ondemand::parser parser_;
  bool has_metadata_ = false;
};

// The tensors, in the order of their data, must follow each other from 0 to the end.
Result<void> CheckTiling(const SafetensorsHeader& header, int64_t data_bytes) {
  const auto& ranges = header.ranges;
  std::vector<uint32_t> order(ranges.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto before = [&ranges](uint32_t a, uint32_t b) {
    return std::pair(ranges[a].begin, ranges[a].end) < std::pair(ranges[b].begin, ranges[b].end);
  };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
  int64_t end = 0;
  for (const uint32_t index : order) {
    const ByteRange& range = ranges[index];
    if (range.begin != end) {
      return BadTensor(header.manifest[index].name,
                       fmt::format("its data begin at {}, but {} {}: tensors may neither overlap nor leave a gap",
                                   range.begin, end == 0 ? "the data begin at" : "the tensor before ends at", end));
    }
    end = range.end;
  }
  if (end > data_bytes) {
    return BadTensor(header.manifest[order.back()].name,
                     fmt::format("its data end at {}, but only {} bytes of data are in the file (is it cut short?)",
                                 end, data_bytes));
  }
  if (end < data_bytes) {
    return Malformed(fmt::format("the tensors take {} bytes, but {} follow the header: {} belong to no tensor", end,
                                 data_bytes, data_bytes - end));
  }
  return {};
}

}  // namespace

Result<SafetensorsHeader> ParseSafetensorsHeader(std::string text, int64_t data_bytes) {
  SafetensorsHeader header;
  header.leading_space = !text.empty() && text[0] != '{';
  if (const size_t at = FindLoneSurrogate(text); at != std::string::npos) {
    return Malformed(fmt::format("the escape at byte {} of the header is half of a surrogate pair", at));
  }
  const size_t length = text.size();
  text.resize(length + simdjson::SIMDJSON_PADDING, ' ');
  HeaderParser parser(header);
  CKMAP_RETURN_IF_ERROR(parser.Parse(text, length));
  CKMAP_RETURN_IF_ERROR(CheckTiling(header, data_bytes));
  return header;
}

}  // namespace ckmap
