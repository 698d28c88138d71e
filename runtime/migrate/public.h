// Between the public types of <ckmap/ckmap.h>, which are in ckmap::v1, and those of the library. For the files that
// implement that header; whoever includes this must not have included <ckmap/ckmap.h> before.
#pragma once

#define CKMAP_INTERNAL
#include "runtime/include/ckmap/ckmap.h"

#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/run_list.h"
#include "runtime/bind/issue.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/migrate/mapped_files.h"
#include "runtime/migrate/prepare.h"
#include "runtime/plan/plan_io.h"
#include "runtime/tensor/manifest.h"

namespace ckmap::v1 {

Error ToPublic(ckmap::Error error);
Issue ToPublic(const ckmap::Issue& issue);
std::vector<Issue> ToPublic(const std::vector<ckmap::Issue>& issues);

struct Manifest::State {
  ckmap::Manifest manifest;
  std::vector<TensorInfo> tensors;
};

struct Checkpoint::State {
  RunList files;                    // that it reads: no output may touch them while it is open
  std::vector<Checkpoint> joined;   // those that it is made of, each with files of its own
  std::vector<std::string> spaces;  // names of those beside the first one
  std::filesystem::path path;
  std::shared_ptr<const ckmap::Checkpoint> checkpoint;
  bool crc_check = false;
  bool views = true;
  std::string format;
  Manifest manifest;
  std::vector<Entry> entries;
  std::shared_ptr<MappedFiles> maps;

  // Checks the checksum of a storage when it is first read.
  Result<void> Verify(uint32_t storage) const;
  mutable std::mutex mutex;
  mutable std::set<uint32_t> verified;
};

struct Plan::State {
  ckmap::Plan plan;
};

// The lists of all files of a checkpoint, for as long as this lives.
class SourceScope {
 public:
  explicit SourceScope(const Checkpoint& checkpoint);
  ~SourceScope();
  SourceScope(const SourceScope&) = delete;
  SourceScope& operator=(const SourceScope&) = delete;

 private:
  std::unique_ptr<RunList::Scope> own_;
  std::vector<std::unique_ptr<SourceScope>> joined_;
};

// What the friends of the public handles are made of.
struct Access {
  static Manifest Make(ckmap::Manifest manifest);
  static Checkpoint Make(std::shared_ptr<Checkpoint::State> state);
  static Plan Make(ckmap::Plan plan);
  // `owner` keeps the bytes alive.
  static Tensor Make(std::shared_ptr<const TensorInfo> info, std::span<const std::byte> bytes,
                     std::shared_ptr<const void> owner, bool view);
  static TensorStream Make(std::unique_ptr<TensorStream::State> state);

  static const Manifest::State& StateOf(const Manifest& manifest) { return *manifest.state_; }
  static const Checkpoint::State& StateOf(const Checkpoint& checkpoint) { return *checkpoint.state_; }
  static const Plan::State& StateOf(const Plan& plan) { return *plan.state_; }
};

// A caller's stop token and progress callback as the executor takes them. What the callback throws stops the run;
// Finish throws it again, in the caller's thread.
class Watch {
 public:
  Watch(std::stop_token token, Progress progress);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  const std::atomic<bool>* stop() const { return &stop_; }
  std::function<void(int64_t, int64_t)> progress();
  // kStopped in place of the error of a run that the token stopped.
  Error Explain(ckmap::Error error) const;
  void Rethrow() const;

 private:
  std::exception_ptr thrown() const;

  std::stop_token token_;
  Progress progress_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::exception_ptr thrown_;
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace ckmap::v1

// As CKMAP_ASSIGN_OR_RETURN, from the library's Result to a public one.
#define CKMAP_PUBLIC_CONCAT_INNER(a, b) a##b
#define CKMAP_PUBLIC_CONCAT(a, b) CKMAP_PUBLIC_CONCAT_INNER(a, b)
#define CKMAP_PUBLIC_INNER(result, variable, expression)                \
  auto result = (expression);                                           \
  if (!result) return ::ckmap::v1::ToPublic(std::move(result).error()); \
  variable = *std::move(result)
#define CKMAP_PUBLIC_OR_RETURN(variable, expression) \
  CKMAP_PUBLIC_INNER(CKMAP_PUBLIC_CONCAT(ckmap_public_, __LINE__), variable, expression)
#define CKMAP_TRY_VOID(expression) \
  if (auto ckmap_status = (expression); !ckmap_status) return std::move(ckmap_status).error()
