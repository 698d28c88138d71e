// Small values as text: attributes, and datasets of text. Internal to hdf5.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/formats/hdf5/hdf5_file.h"
#include "runtime/formats/hdf5/hdf5_object.h"
#include "runtime/formats/hdf5/hdf5_type.h"

namespace ckmap {

struct Hdf5NamedValue {
  std::string name;
  std::string value;  // text as it is, numbers written out, arrays as JSON
};

class Hdf5Values {
 public:
  explicit Hdf5Values(Hdf5File& file) : file_(file) {}

  // What an attribute message says; nullopt where it has no form as text (records, large arrays, types kept elsewhere).
  Result<std::optional<Hdf5NamedValue>> Attribute(std::string_view message);

  // Elements as text; nullopt as above.
  Result<std::optional<std::string>> Text(const Hdf5Type& type, const Hdf5Space& space, std::string_view data);

 private:
  Result<std::string> One(const Hdf5Type& type, std::string_view data);
  Result<std::string> VlenText(std::string_view reference);

  Hdf5File& file_;
  // Global heaps that were read: address and length of their objects, by heap and index.
  std::map<uint64_t, std::map<uint32_t, std::pair<uint64_t, uint64_t>>> heaps_;
};

}  // namespace ckmap
