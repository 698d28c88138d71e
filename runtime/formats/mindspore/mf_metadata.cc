#include "runtime/formats/mindspore/mf_metadata.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/mistake_list.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/mf_layout.h"
#include "runtime/formats/storage/contained_path.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

namespace dom = simdjson::dom;

constexpr int64_t kMaxGrid = int64_t{1} << 20;  // slices of one tensor

// As the dynamic graph writes them, which is how MindSpore prints them; the static graph's are in lower case.
constexpr std::array<std::pair<std::string_view, DType>, 17> kDTypes = {{
    {"Bool", DType::kBool},
    {"Int8", DType::kI8},
    {"Int16", DType::kI16},
    {"Int32", DType::kI32},
    {"Int64", DType::kI64},
    {"UInt8", DType::kU8},
    {"UInt16", DType::kU16},
    {"UInt32", DType::kU32},
    {"UInt64", DType::kU64},
    {"Float16", DType::kF16},
    {"BFloat16", DType::kBF16},
    {"Float32", DType::kF32},
    {"Float64", DType::kF64},
    {"Complex64", DType::kC64},
    {"Complex128", DType::kC128},
    {"Float8_E4M3FN", DType::kF8E4M3},
    {"Float8_E5M2", DType::kF8E5M2},
}};

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::optional<DType> MfDType(std::string_view name) {
  for (const auto& [known, dtype] : kDTypes) {
    if (std::equal(known.begin(), known.end(), name.begin(), name.end(),
                   [](char a, char b) { return LowerCase(a) == LowerCase(b); }))
      return dtype;
  }
  return std::nullopt;
}

// The field of that name; nullopt if it is missing or given twice.
std::optional<dom::element> Field(const dom::object& object, std::string_view name) {
  std::optional<dom::element> found;
  for (const auto& [key, value] : object) {
    if (key != name) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

// A list of integers from `least` on.
std::optional<std::vector<int64_t>> Integers(const std::optional<dom::element>& element, int64_t least) {
  dom::array array;
  if (!element || element->get_array().get(array)) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const dom::element item : array) {
    int64_t number = 0;
    if (item.type() != dom::element_type::INT64 || item.get_int64().get(number) || number < least) return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

class MetadataParser {
 public:
  Result<std::vector<MfTensor>> Parse(std::string_view text) {
    if (FindLoneSurrogate(text) != std::string_view::npos)
      return Error(ErrorCode::kMalformed, "holds half of a surrogate pair");
    dom::parser parser;
    dom::element root;
    const auto error = parser.parse(text.data(), text.size()).get(root);
    ThrowIfOutOfMemory(error);
    if (error) return Error(ErrorCode::kMalformed, fmt::format("not valid JSON: {}", simdjson::error_message(error)));
    dom::object object;
    if (root.get_object().get(object)) return Error(ErrorCode::kMalformed, "is not a JSON object");
    dom::object described;
    dom::object stored;
    const auto described_field = Field(object, "state_dict_metadata");
    const auto stored_field = Field(object, "storage_data");
    if (!described_field || described_field->get_object().get(described))
      Report("`state_dict_metadata` is not there once, as an object");
    if (!stored_field || stored_field->get_object().get(stored))
      Report("`storage_data` is not there once, as an object");
    if (mistakes_.empty()) {
      for (const auto& [name, value] : described) Describe(std::string(name), value);
      for (const auto& [key, value] : stored) Store(key, value);
      for (size_t i = 0; i < tensors_.size(); ++i) CheckStored(i);
    }
    if (!mistakes_.empty()) return mistakes_.ToError(ErrorCode::kMalformed, "the description of the tensors");
    return std::move(tensors_);
  }

 private:
  void Report(std::string mistake) { mistakes_.Add(std::move(mistake)); }
  void Report(std::string_view name, std::string_view mistake) {
    mistakes_.Add(fmt::format("{}: {}", QuoteName(name), mistake));
  }

  void Describe(std::string name, const dom::element& value) {
    if (const std::string problem = TensorNameProblem(name); !problem.empty()) return Report(name, problem);
    if (by_name_.contains(name)) return Report(name, "is described twice");
    dom::object fields;
    if (value.get_object().get(fields)) return Report(name, "is not described by an object");
    MfTensor tensor;
    tensor.name = name;
    std::optional<MfLayout> layout;
    const std::string problem = Read(fields, tensor, layout);
    // A tensor whose description is wrong is known all the same: its storage is not reported a second time.
    by_name_.emplace(std::move(name), tensors_.size());
    if (!problem.empty()) Report(tensor.name, problem);
    wrong_.push_back(!problem.empty());
    tensors_.push_back(std::move(tensor));
    layouts_.push_back(std::move(layout));
  }

  // "" or what is wrong.
  static std::string Read(const dom::object& fields, MfTensor& tensor, std::optional<MfLayout>& layout) {
    dom::object properties;
    const auto property_field = Field(fields, "properties");
    if (!property_field || property_field->get_object().get(properties))
      return "`properties` is not there once, as an object";
    std::string_view dtype;
    const auto dtype_field = Field(properties, "dtype");
    if (!dtype_field || dtype_field->get_string().get(dtype)) return "`dtype` is not there once, as text";
    const auto known = MfDType(dtype);
    if (!known) return fmt::format("the dtype {} is not known", QuoteName(dtype));
    tensor.dtype = *known;
    const auto shape = Integers(Field(fields, "global_shape"), 0);
    if (!shape) return "`global_shape` is not there once, as a list of sizes";
    tensor.global_shape = Shape(shape->begin(), shape->end());
    if (shape->size() > kMaxTensorRank || !NumBytes(tensor.global_shape, tensor.dtype))
      return "`global_shape` is too large";
    if (std::string problem = ReadLayout(fields, shape->size(), layout); !problem.empty()) return problem;
    const std::vector<int64_t> cut = layout ? layout->Fragments() : std::vector<int64_t>(shape->size(), 1);
    const auto fragment_field = Field(fields, "axis_fragmentations");
    if (!fragment_field) return "`axis_fragmentations` is not there once";
    if (!fragment_field->is_null()) {
      const auto fragments = Integers(fragment_field, 1);
      if (!fragments) return "`axis_fragmentations` is not a list of numbers from 1 on";
      if (*fragments != cut)
        return fmt::format("`axis_fragmentations` is {}, but the layout cuts in {}",
                           FormatShape(Shape(fragments->begin(), fragments->end())),
                           FormatShape(Shape(cut.begin(), cut.end())));
    }
    tensor.fragments = cut;
    for (size_t k = 0; k < cut.size(); ++k) {
      if ((*shape)[k] % cut[k] != 0) {
        return fmt::format("axis {} of {} is cut in {} parts, which do not divide it: rows are missing", k,
                           FormatShape(tensor.global_shape), cut[k]);
      }
      tensor.local_shape.push_back((*shape)[k] / cut[k]);
    }
    return ReadChunks(fields, tensor);
  }

  static std::string ReadLayout(const dom::object& fields, size_t rank, std::optional<MfLayout>& layout) {
    const auto field = Field(fields, "layout");
    if (!field) return "`layout` is not there once";
    if (field->is_null()) return "";
    dom::object object;
    if (field->get_object().get(object)) return "`layout` is neither null nor an object";
    MfLayout read;
    const auto mesh = Integers(Field(object, "device_matrix"), 1);
    const auto ranks = Integers(Field(object, "rank_list"), 0);
    if (!mesh || mesh->empty()) return "`device_matrix` is not there once, as a list of numbers from 1 on";
    if (!ranks) return "`rank_list` is not there once, as a list of ranks";
    int64_t devices = 1;
    for (const int64_t extent : *mesh) {
      if (extent > kMaxMfRanks / devices) return "`device_matrix` has too many devices";
      devices *= extent;
    }
    if (static_cast<int64_t>(ranks->size()) != devices)
      return fmt::format("`rank_list` has {} ranks, `device_matrix` {} devices", ranks->size(), devices);
    if (std::set<int64_t>(ranks->begin(), ranks->end()).size() != ranks->size())
      return "`rank_list` names a rank twice";
    read.mesh = *mesh;
    read.ranks = *ranks;
    bool interleaved = false;
    const auto interleaved_field = Field(object, "interleaved_parallel");
    if (!interleaved_field || interleaved_field->get_bool().get(interleaved))
      return "`interleaved_parallel` is not there once, as true or false";
    dom::array names;
    const auto alias_field = Field(object, "alias_name");
    if (!alias_field || alias_field->get_array().get(names)) return "`alias_name` is not there once, as a list";
    std::set<std::string_view> aliases;
    for (const dom::element item : names) {
      std::string_view alias;
      if (item.get_string().get(alias)) return "`alias_name` is not a list of texts";
      if (!aliases.insert(alias).second) return fmt::format("`alias_name` has {} twice", QuoteName(alias));
      interleaved = interleaved || alias == "interleaved_parallel";
    }
    if (aliases.size() != mesh->size())
      return fmt::format("`alias_name` has {} names for {} axes of devices", aliases.size(), mesh->size());
    if (interleaved) return "`interleaved_parallel` is set: slices that are cut inside of a device cannot be joined";
    dom::array map;
    const auto map_field = Field(object, "tensor_map");
    if (!map_field || map_field->get_array().get(map)) return "`tensor_map` is not there once, as a list";
    if (map.size() != rank) return fmt::format("`tensor_map` has {} axes, the tensor {}", map.size(), rank);
    if (std::string problem = ReadMap(map, read); !problem.empty()) return problem;
    read.FindHolders();
    layout = std::move(read);
    return "";
  }

  static std::string ReadMap(const dom::array& map, MfLayout& layout) {
    std::set<int64_t> used;
    const auto axes = static_cast<int64_t>(layout.mesh.size());
    int64_t slices = 1;
    for (const dom::element item : map) {
      std::vector<int64_t> numbers;
      if (item.is_array()) {
        const auto list = Integers(item, -1);
        if (!list) return "`tensor_map` holds something else than axes of devices";
        numbers = *list;
      } else {
        int64_t number = 0;
        if (item.type() != dom::element_type::INT64 || item.get_int64().get(number))
          return "`tensor_map` holds something else than axes of devices";
        numbers = {number};
      }
      std::vector<int64_t>& cut = layout.axes.emplace_back();
      for (const int64_t number : numbers) {
        if (number == -1) continue;
        if (number < 0 || number >= axes)
          return fmt::format("`tensor_map` names axis {} of {} axes of devices", number, axes);
        if (!used.insert(number).second)
          return fmt::format("`tensor_map` cuts by axis {} of the devices twice", number);
        cut.push_back(axes - 1 - number);  // counted from the right
        slices *= layout.mesh[static_cast<size_t>(cut.back())];
      }
    }
    if (slices > kMaxGrid) return fmt::format("is cut into more than {} slices", kMaxGrid);
    return "";
  }

  static std::string ReadChunks(const dom::object& fields, MfTensor& tensor) {
    dom::array chunks;
    const auto field = Field(fields, "chunk");
    if (!field || field->get_array().get(chunks)) return "`chunk` is not there once, as a list";
    int64_t count = 1;
    for (const int64_t parts : tensor.fragments) count *= parts;
    std::vector<bool> seen(static_cast<size_t>(count));
    for (const dom::element item : chunks) {
      dom::object chunk;
      if (item.get_object().get(chunk)) return "a chunk is not an object";
      const auto offset = Integers(Field(chunk, "global_offset"), 0);
      const auto shape = Integers(Field(chunk, "local_shape"), 0);
      if (!offset || offset->size() != 1)
        return "a chunk's `global_offset` is not a list of one number, the number of the slice";
      if (!shape) return "a chunk's `local_shape` is not a list of sizes";
      if ((*offset)[0] >= count) return fmt::format("slice {} is described, but there are {}", (*offset)[0], count);
      if (Shape(shape->begin(), shape->end()) != tensor.local_shape) {
        return fmt::format("slice {} has `local_shape` {}; {} in {} parts gives {}", (*offset)[0],
                           FormatShape(Shape(shape->begin(), shape->end())), FormatShape(tensor.global_shape),
                           FormatShape(Shape(tensor.fragments.begin(), tensor.fragments.end())),
                           FormatShape(tensor.local_shape));
      }
      if (seen[static_cast<size_t>((*offset)[0])]) return fmt::format("slice {} is described twice", (*offset)[0]);
      seen[static_cast<size_t>((*offset)[0])] = true;
    }
    const auto hole = std::find(seen.begin(), seen.end(), false);
    if (hole != seen.end()) return fmt::format("slice {} of {} is not described", hole - seen.begin(), count);
    tensor.slices.resize(static_cast<size_t>(count));
    return "";
  }

  void Store(std::string_view key, const dom::element& value) {
    std::string name;
    int64_t number = 0;
    if (!ParseMfStorageKey(key, name, number))
      return Report(fmt::format("the key {} of `storage_data` is not of the form ('NAME', (NUMBER,))", QuoteName(key)));
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return Report(name, "is stored, but not described");
    const size_t index = found->second;
    if (wrong_[index]) return;
    MfTensor& tensor = tensors_[index];
    if (number >= static_cast<int64_t>(tensor.slices.size()))
      return Report(name, fmt::format("slice {} is stored, but there are {}", number, tensor.slices.size()));
    if (!tensor.slices[static_cast<size_t>(number)].empty())
      return Report(name, fmt::format("slice {} is stored twice", number));
    dom::array copies;
    if (value.get_array().get(copies) || copies.size() == 0)
      return Report(name, fmt::format("slice {} is stored in no file", number));
    for (const dom::element item : copies) {
      MfStored stored;
      if (const std::string problem = ReadStored(item, layouts_[index], number, stored); !problem.empty()) {
        wrong_[index] = true;
        return Report(name, fmt::format("slice {}: {}", number, problem));
      }
      tensor.slices[static_cast<size_t>(number)].push_back(std::move(stored));
    }
  }

  static std::string ReadStored(const dom::element& item, const std::optional<MfLayout>& layout, int64_t number,
                                MfStored& stored) {
    dom::object object;
    if (item.get_object().get(object)) return "where it is stored is not an object";
    std::string_view file;
    const auto file_field = Field(object, "file_name");
    if (!file_field || file_field->get_string().get(file)) return "`file_name` is not there once, as text";
    if (const std::string problem = ContainedPathProblem(file); !problem.empty())
      return fmt::format("the file {} {}", QuoteName(file), problem);
    if (!file.ends_with(".safetensors")) return fmt::format("the file {} is not called *.safetensors", QuoteName(file));
    stored.file = std::string(file);
    const auto rank = Field(object, "storage_rank");
    if (!rank || rank->type() != dom::element_type::INT64 || rank->get_int64().get(stored.rank) || stored.rank < 0)
      return "`storage_rank` is not there once, as a rank";
    std::vector<int64_t> holders = {stored.rank};
    bool given = false;
    for (const auto& [key, unused] : object) given = given || key == "rank_group";
    if (given) {
      const auto group = Integers(Field(object, "rank_group"), 0);
      if (!group) return "`rank_group` is not a list of ranks";
      if (std::find(group->begin(), group->end(), stored.rank) == group->end())
        return fmt::format("`rank_group` lacks rank {}, which stores it", stored.rank);
      holders = *group;
    }
    if (!layout) return "";
    const std::vector<int64_t>& expected = layout->holders[static_cast<size_t>(number)];
    std::sort(holders.begin(), holders.end());
    if (given ? holders == expected : std::binary_search(expected.begin(), expected.end(), stored.rank)) return "";
    return fmt::format("by the layout the slice is held by the ranks {}, but here by {}",
                       FormatShape(Shape(expected.begin(), expected.end())),
                       FormatShape(Shape(holders.begin(), holders.end())));
  }

  void CheckStored(size_t index) {
    if (wrong_[index]) return;
    const MfTensor& tensor = tensors_[index];
    for (size_t number = 0; number < tensor.slices.size(); ++number) {
      if (tensor.slices[number].empty())
        return Report(tensor.name,
                      fmt::format("slice {} of {} is described, but not stored", number, tensor.slices.size()));
    }
  }

  std::vector<MfTensor> tensors_;
  std::vector<std::optional<MfLayout>> layouts_;  // one for each tensor
  std::vector<bool> wrong_;                       // tensors that are reported already
  std::unordered_map<std::string, size_t> by_name_;
  MistakeList mistakes_;
};

// Appends the character of a \x, \u or \U escape; false if it is none.
bool AppendEscape(std::string_view digits, std::string& out) {
  uint32_t code = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    code = code * 16 + static_cast<uint32_t>(digit);
  }
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
  return true;
}

// The text literal at the start of `rest`, which is moved behind it.
bool TakePythonText(std::string_view& rest, std::string& out) {
  if (rest.empty() || (rest[0] != '\'' && rest[0] != '"')) return false;
  const char quote = rest[0];
  size_t i = 1;
  for (; i < rest.size() && rest[i] != quote; ++i) {
    if (rest[i] != '\\') {
      out += rest[i];
      continue;
    }
    if (++i == rest.size()) return false;
    const size_t digits = rest[i] == 'x' ? 2 : rest[i] == 'u' ? 4 : rest[i] == 'U' ? 8 : 0;
    if (digits != 0) {
      if (i + digits >= rest.size() || !AppendEscape(rest.substr(i + 1, digits), out)) return false;
      i += digits;
      continue;
    }
    switch (rest[i]) {
      case '\\':
      case '\'':
      case '"':
        out += rest[i];
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      default:
        return false;
    }
  }
  if (i >= rest.size()) return false;
  rest.remove_prefix(i + 1);
  return true;
}

}  // namespace

Shape MfTensor::Offsets(int64_t number) const {
  Shape offsets(fragments.size());
  for (size_t k = fragments.size(); k-- > 0; number /= fragments[k])
    offsets[k] = number % fragments[k] * local_shape[k];
  return offsets;
}

std::string_view MfDTypeName(DType dtype) {
  for (const auto& [name, known] : kDTypes) {
    if (known == dtype) return name;
  }
  return "";
}

bool ParseMfStorageKey(std::string_view key, std::string& name, int64_t& number) {
  if (!key.starts_with("(") || !key.ends_with(",))")) return false;
  key.remove_prefix(1);
  key.remove_suffix(3);
  name.clear();
  if (!TakePythonText(key, name) || !key.starts_with(", (")) return false;
  const auto parsed = ParsePlainUnsigned(key.substr(3));
  if (!parsed || *parsed > INT64_MAX || key.substr(3).find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  number = static_cast<int64_t>(*parsed);
  return true;
}

Result<std::vector<MfTensor>> ParseMfMetadata(std::string_view text) { return MetadataParser().Parse(text); }

}  // namespace ckmap
