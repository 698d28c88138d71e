// The header of a .npy file (versions 1 to 3): a Python literal,
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// read by a parser for just this. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

inline constexpr std::string_view kNpyMagic = "\x93NUMPY";
// Magic, version, and a length of 2 bytes (version 1) or 4.
inline constexpr size_t kNpyPrefix = 12;
inline constexpr int64_t kMaxNpyHeader = int64_t{1} << 20;

struct NpyHeader {
  std::string descr;           // as written, "<f4"; "" for records
  DType dtype = DType::kAny;   // kAny: no numbers that have a counterpart here
  bool byteswap = false;       // big-endian
  bool fortran_order = false;  // the first axis is the innermost
  Shape shape;
};

// Where the header's text lies in the file.
struct NpyText {
  int64_t begin = 0;
  int64_t length = 0;
};

// From the first bytes of the file: kNpyPrefix of them, or all there are. kMalformed if this is no .npy
// of a known version, or its header does not fit `file_bytes`.
Result<NpyText> FindNpyText(std::string_view prefix, int64_t file_bytes);

// kMalformed for anything that numpy would not have written.
Result<NpyHeader> ParseNpyText(std::string_view text);

// Text for people: what elements of this kind are ("Python objects", "text"), for those of dtype kAny.
std::string_view NpyKindName(std::string_view descr);

// Bytes of an element of a fixed size that is no number, such as "<U7" or "|S3"; 0 for others.
int64_t NpyItemSize(std::string_view descr);

}  // namespace ckmap
