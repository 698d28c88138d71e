// What the allocation shim and its client say to each other, through pipes.
#pragma once

namespace ckmap::faults {

constexpr int kRequestDescriptor = 198;
constexpr int kReplyDescriptor = 199;
constexpr unsigned kAlarmSeconds = 20;

struct AllocationRequest {
  long at = 0;             // the number of the allocation that fails, from 1, counted from main on
  bool all_after = false;  // and all that follow
};

struct AllocationReply {
  int status = 0;       // as waitpid tells it
  bool failed = false;  // whether the program came so far
};

}  // namespace ckmap::faults
