// Datatypes of datasets and attributes. Internal to hdf5.
// https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, "The Datatype Message".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {

struct Hdf5Type {
  enum class Kind { kNumber, kText, kVlenText, kOther };
  Kind kind = Kind::kOther;
  DType dtype = DType::kAny;  // of numbers
  bool big_endian = false;
  uint32_t size = 0;        // bytes of an element
  std::string description;  // of kOther: "records"
};

// kMalformed for bytes that are no datatype, down to the innermost of nested ones.
Result<Hdf5Type> ParseHdf5Type(std::string_view data);

}  // namespace ckmap
