// What torch itself read from a test file, and the comparison with what we read. For tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct TorchOracle {
  struct Tensor {
    std::string name;
    std::string dtype;  // our spelling
    Shape shape;
    std::string sha256;  // of the row-major little-endian bytes
    int64_t group = -1;  // equal for tensors that share a storage
  };
  struct Leaf {
    std::string name;
    std::string kind;   // our spelling
    std::string value;  // as text; "" where it is not compared
  };
  std::vector<Tensor> tensors;
  std::vector<Leaf> leaves;
  std::string refuse_scope;  // "", "file", "entry"
};

struct HostileFile {
  std::string file;
  std::string format;
  std::string why;
  std::string must;  // "refuse", "accept", "either"
};

// Both abort on files that are not as the tests need them.
TorchOracle ReadTorchOracle(const std::string& json_path);
std::vector<HostileFile> ReadHostileIndex(const std::string& json_path);

// The logical elements of a tensor, row-major and little-endian, lazy bits resolved.
Result<std::string> LogicalBytes(const Checkpoint& checkpoint, size_t tensor);

// "" or every difference, a line each.
std::string CompareWithOracle(const Checkpoint& checkpoint, const TorchOracle& oracle);

// Opens nothing but reads everything: all tensors, and with `verify` all checksums.
Result<void> ReadAll(const Checkpoint& checkpoint, bool verify);

}  // namespace ckmap
