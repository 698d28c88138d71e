// A program that runs again and again with failing allocations (allocation_shim.cc).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/faults/allocation_protocol.h"

namespace ckmap::faults {

class AllocationServer {
 public:
  // Standard output goes to `log`, which holds that of the last run.
  AllocationServer(const std::vector<std::string>& command, const std::string& shim, const std::string& log);
  ~AllocationServer();
  AllocationServer(const AllocationServer&) = delete;
  AllocationServer& operator=(const AllocationServer&) = delete;

  AllocationReply Run(const AllocationRequest& request);

 private:
  pid_t child_ = 0;
  int requests_ = -1;
  int replies_ = -1;
};

}  // namespace ckmap::faults
