// Many mistakes as one message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// A list of mistakes for one message: the first 20, and how many there are besides.
class MistakeList {
 public:
  void Add(std::string mistake);
  bool empty() const { return count_ == 0; }
  // "WHERE: FIRST" or "WHERE: N mistakes:\n  …".
  Error ToError(ErrorCode code, std::string_view where) const;

 private:
  std::vector<std::string> shown_;
  size_t count_ = 0;
};

}  // namespace ckmap
