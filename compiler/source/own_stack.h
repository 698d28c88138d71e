// Work on a stack of its own. The parser and the passes over the tree recurse as deep as the limits of nesting let
// them, which must not depend on how small a stack the caller has (`ulimit -s`, a thread of an editor).
#pragma once

#include <pthread.h>

#include <exception>
#include <utility>

namespace ckmap {

// Calls `work()` on a stack of 16 MiB and waits for it; what it throws is thrown here.
template <typename Work>
void RunOnOwnStack(Work work) {
  struct Call {
    Work work;
    std::exception_ptr thrown;
    static void* Run(void* argument) {
      auto& call = *static_cast<Call*>(argument);
      try {
        call.work();
      } catch (...) {
        call.thrown = std::current_exception();
      }
      return nullptr;
    }
  };
  constexpr size_t kStack = size_t{16} << 20;
  Call call{std::move(work), nullptr};
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  const bool started = pthread_create(&thread, &attributes, Call::Run, &call) == 0;
  pthread_attr_destroy(&attributes);
  if (started) {
    pthread_join(thread, nullptr);
  } else {
    Call::Run(&call);  // no thread to be had: on the stack there is
  }
  if (call.thrown) std::rethrow_exception(call.thrown);
}

}  // namespace ckmap
