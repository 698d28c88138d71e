#include "runtime/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace ckmap {
namespace {

// Joins its threads however it is left.
class ThreadPool {
 public:
  explicit ThreadPool(size_t most) { threads_.reserve(most); }
  ~ThreadPool() {
    for (std::thread& thread : threads_) thread.join();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // False if the system has no thread to give.
  template <typename Work>
  bool Start(const Work& work) {
    try {
      threads_.emplace_back(work);
    } catch (const std::system_error&) {
      return false;
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

Result<void> ForEachInParallel(int threads, size_t count, const std::function<ItemBody()>& make_body) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed{std::numeric_limits<size_t>::max()};
  std::mutex mutex;
  Result<void> first_error;
  const auto fail = [&](size_t item, Error error) {
    const std::lock_guard lock(mutex);
    if (item >= failed.load()) return;
    failed.store(item);
    first_error = std::move(error);
  };
  const auto work = [&] {
    size_t item = 0;
    try {
      const ItemBody body = make_body();
      for (;;) {
        item = next.fetch_add(1);
        if (item >= count || item > failed.load()) return;
        if (Result<void> done = body(item); !done) fail(item, std::move(done).error());
      }
    } catch (const std::bad_alloc&) {
      fail(item, Error(ErrorCode::kLimit, "out of memory"));  // short enough to need none
    } catch (const std::exception&) {
      fail(item, Error(ErrorCode::kLimit, "out of threads"));
    }
  };
  const size_t workers = std::min(count, static_cast<size_t>(std::max(threads, 1)));
  if (workers == 0) return {};
  {
    ThreadPool pool(workers);
    for (size_t i = 1; i < workers && pool.Start(work); ++i) continue;
    work();
  }
  return first_error;
}

int DefaultThreads() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

}  // namespace ckmap
