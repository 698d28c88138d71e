#include "tests/differential/files.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap::testing {
namespace {

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xff);
  return text;
}

const std::map<std::string, std::string> kSafetensors = {{"bool", "BOOL"},
                                                         {"i8", "I8"},
                                                         {"u8", "U8"},
                                                         {"i16", "I16"},
                                                         {"u16", "U16"},
                                                         {"i32", "I32"},
                                                         {"u32", "U32"},
                                                         {"i64", "I64"},
                                                         {"u64", "U64"},
                                                         {"f16", "F16"},
                                                         {"bf16", "BF16"},
                                                         {"f32", "F32"},
                                                         {"f64", "F64"},
                                                         {"f8_e4m3", "F8_E4M3"},
                                                         {"f8_e5m2", "F8_E5M2"},
                                                         {"f8_e4m3fnuz", "F8_E4M3FNUZ"},
                                                         {"f8_e5m2fnuz", "F8_E5M2FNUZ"},
                                                         {"c64", "C64"}};
const std::map<std::string, std::string> kNumpy = {
    {"bool", "b1"}, {"i8", "i1"},  {"u8", "u1"},  {"i16", "i2"}, {"u16", "u2"}, {"i32", "i4"}, {"u32", "u4"},
    {"i64", "i8"},  {"u64", "u8"}, {"f16", "f2"}, {"f32", "f4"}, {"f64", "f8"}, {"c64", "c8"}};

uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

// The members as a zip archive that compresses nothing.
std::string Zip(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out, directory;
  for (const auto& [name, bytes] : members) {
    const std::string common = LittleEndian(20, 2) + LittleEndian(0, 2) + LittleEndian(0, 2) + LittleEndian(0, 4) +
                               LittleEndian(Crc32(bytes), 4) + LittleEndian(bytes.size(), 4) +
                               LittleEndian(bytes.size(), 4) + LittleEndian(name.size(), 2) + LittleEndian(0, 2);
    directory += "PK\x01\x02" + LittleEndian(20, 2) + common + LittleEndian(0, 2) + LittleEndian(0, 2) +
                 LittleEndian(0, 2) + LittleEndian(0, 4) + LittleEndian(out.size(), 4) + name;
    out += "PK\x03\x04" + common + name + bytes;
  }
  return out + directory + "PK\x05\x06" + LittleEndian(0, 4) + LittleEndian(members.size(), 2) +
         LittleEndian(members.size(), 2) + LittleEndian(directory.size(), 4) + LittleEndian(out.size(), 4) +
         LittleEndian(0, 2);
}

std::string Npy(const Tensor& tensor, bool fortran, bool big_endian) {
  std::string sizes;
  for (const int64_t size : tensor.shape) sizes += fmt::format("{},", size);
  const int bytes = BytesOf(tensor.dtype);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': {}, 'shape': ({}), }}",
                                   bytes == 1   ? '|'
                                   : big_endian ? '>'
                                                : '<',
                                   kNumpy.at(tensor.dtype), fortran ? "True" : "False", sizes);
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string data;
  for (int64_t i = 0; i < tensor.count(); ++i) {
    int64_t place = i;
    if (fortran) {  // the first axis runs fastest
      Index index(tensor.shape.size());
      int64_t rest = i;
      for (size_t d = 0; d < index.size(); ++d) {
        index[d] = rest % tensor.shape[d];
        rest /= tensor.shape[d];
      }
      place = 0;
      for (size_t d = 0; d < index.size(); ++d) place = place * tensor.shape[d] + index[d];
    }
    std::string element = LittleEndian(tensor.bits[static_cast<size_t>(place)], bytes);
    if (big_endian && bytes > 1) {
      const ptrdiff_t unit = tensor.dtype == "c64" ? 4 : bytes;  // each half by itself
      for (auto at = element.begin(); at != element.end(); at += unit) std::reverse(at, at + unit);
    }
    data += element;
  }
  return "\x93NUMPY\x01" + std::string(1, '\0') + LittleEndian(header.size(), 2) + header + data;
}

}  // namespace

void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string ElementBytes(const Tensor& tensor) {
  std::string bytes;
  for (const uint64_t bits : tensor.bits) bytes += LittleEndian(bits, BytesOf(tensor.dtype));
  return bytes;
}

std::vector<uint64_t> ElementBits(const std::string& dtype, const std::string& bytes) {
  const auto size = static_cast<size_t>(BytesOf(dtype));
  std::vector<uint64_t> all;
  for (size_t at = 0; at + size <= bytes.size(); at += size) {
    uint64_t bits = 0;
    for (size_t i = 0; i < size; ++i) bits |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + i])) << 8 * i;
    all.push_back(bits);
  }
  return all;
}

bool FitsNumpy(const std::vector<Named>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const Named& named) { return kNumpy.contains(named.tensor.dtype); });
}

std::string Npz(const std::vector<Named>& tensors) {
  std::vector<std::pair<std::string, std::string>> members;
  for (size_t i = 0; i < tensors.size(); ++i)
    members.emplace_back(tensors[i].name + ".npy", Npy(tensors[i].tensor, i % 2 == 0, i % 3 == 0));
  return Zip(members);
}

std::string Safetensors(const std::vector<Named>& tensors) {
  std::string header, data;
  for (const Named& named : tensors) {
    const std::string bytes = ElementBytes(named.tensor);
    header += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.empty() ? "{" : ",", named.name, kSafetensors.at(named.tensor.dtype),
                          fmt::join(named.tensor.shape, ","), data.size(), data.size() + bytes.size());
    data += bytes;
  }
  header += header.empty() ? "{}" : "}";
  while (header.size() % 8 != 0) header += ' ';
  return LittleEndian(header.size(), 8) + header + data;
}

std::map<std::string, Tensor> ParseSafetensors(const std::string& bytes) {
  uint64_t length = 0;
  for (int i = 0; i < 8; ++i)
    length |= static_cast<uint64_t>(static_cast<uint8_t>(bytes.at(static_cast<size_t>(i)))) << 8 * i;
  const std::string header = bytes.substr(8, length), data = bytes.substr(8 + length);
  std::map<std::string, Tensor> tensors;
  // "NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}: names here hold no quotes, and metadata no "dtype".
  for (size_t at = 0; (at = header.find("\"dtype\"", at)) != std::string::npos; ++at) {
    const size_t brace = header.rfind('{', at), quote = header.rfind('"', brace), open = header.rfind('"', quote - 1);
    const auto text = [&](const std::string& key, char first, char last) {
      const size_t from = header.find(first, header.find('"' + key + '"', brace) + key.size() + 2);
      return header.substr(from + 1, header.find(last, from + 1) - from - 1);
    };
    const auto numbers = [](const std::string& list) {
      Index values;
      for (size_t i = 0; i < list.size();) {
        char* end = nullptr;
        values.push_back(std::strtoll(list.c_str() + i, &end, 10));
        i = static_cast<size_t>(end - list.c_str()) + 1;
      }
      return values;
    };
    Tensor tensor;
    const std::string dtype = text("dtype", '"', '"');
    for (const auto& [ours, theirs] : kSafetensors) {
      if (theirs == dtype) tensor.dtype = ours;
    }
    tensor.shape = numbers(text("shape", '[', ']'));
    const Index offsets = numbers(text("data_offsets", '[', ']'));
    if (!tensor.dtype.empty()) {
      tensor.bits = ElementBits(
          tensor.dtype, data.substr(static_cast<size_t>(offsets[0]), static_cast<size_t>(offsets[1] - offsets[0])));
      tensors[header.substr(open + 1, quote - open - 1)] = std::move(tensor);
    }
  }
  return tensors;
}

}  // namespace ckmap::testing
