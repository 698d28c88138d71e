#include "tests/faults/allocation_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "tests/faults/scenarios.h"

namespace ckmap::faults {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

[[noreturn]] void Become(const std::vector<std::string>& command, const std::string& shim, const std::string& log,
                         int requests, int replies) {
  if (!RedirectOutput(log)) ::_exit(126);
  if (::dup2(requests, kRequestDescriptor) < 0 || ::dup2(replies, kReplyDescriptor) < 0) ::_exit(126);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::setenv("LD_PRELOAD", shim.c_str(), 1);
  ::setenv("LD_BIND_NOW", "1", 1);  // once, not in each run again
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

AllocationServer::AllocationServer(const std::vector<std::string>& command, const std::string& shim,
                                   const std::string& log) {
  std::array<int, 2> requests{};
  std::array<int, 2> replies{};
  if (::pipe2(requests.data(), O_CLOEXEC) != 0 || ::pipe2(replies.data(), O_CLOEXEC) != 0) Die("pipe2");
  child_ = ::fork();
  if (child_ < 0) Die("fork");
  if (child_ == 0) Become(command, shim, log, requests[0], replies[1]);
  ::close(requests[0]);
  ::close(replies[1]);
  requests_ = requests[1];
  replies_ = replies[0];
}

AllocationServer::~AllocationServer() {
  ::close(requests_);  // it ends
  ::close(replies_);
  ::waitpid(child_, nullptr, 0);
}

AllocationReply AllocationServer::Run(const AllocationRequest& request) {
  AllocationReply reply;
  if (::write(requests_, &request, sizeof request) != sizeof request) Die("write to the allocation server");
  if (::read(replies_, &reply, sizeof reply) != sizeof reply) Die("read from the allocation server");
  return reply;
}

}  // namespace ckmap::faults
