// What writers of every format check of the names and sizes that they are given.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// Collects the reasons why a format cannot hold some tensors, and tells them all at once.
class Refusals {
 public:
  void Add(const std::string& tensor, std::string reason);
  void Add(std::string reason) { lines_.push_back(std::move(reason)); }

  // kMismatch with every reason (the first 50 and a count of the rest), or success.
  Result<void> ToResult(const std::string& path, std::string_view format) const;

 private:
  std::vector<std::string> lines_;
};

// Duplicate names, names that are no UTF-8 or hold controls, sizes that overflow, more than 64 axes.
void CheckTensors(const std::vector<OutputTensor>& tensors, Refusals& refusals);

// "a, b and 12 more"
std::string NameSome(const std::vector<std::string>& names);

}  // namespace ckmap
