// Small checkpoints as bytes, written and read by the formats' definitions alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/differential/draw.h"

namespace ckmap::testing {

void WriteFile(const std::string& path, const std::string& bytes);
std::string ReadFile(const std::string& path);

std::string ElementBytes(const Tensor& tensor);
std::vector<uint64_t> ElementBits(const std::string& dtype, const std::string& bytes);

// False: the format has no such dtype.
bool FitsNumpy(const std::vector<Named>& tensors);
// Every second array in Fortran's order, every third big-endian.
std::string Npz(const std::vector<Named>& tensors);
std::string Safetensors(const std::vector<Named>& tensors);
// Names to dtype, shape and elements.
std::map<std::string, Tensor> ParseSafetensors(const std::string& bytes);

}  // namespace ckmap::testing
