#include "runtime/migrate/load.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/target/decisions.h"
#include "runtime/exec/read_checks.h"
#include "runtime/exec/tensor_reader.h"

namespace ckmap {
namespace {

int64_t BytesOf(const BoundTensor& tensor) { return *NumBytes(tensor.shape, tensor.dtype); }

// Tensors that become memory instead of files. Positions say in which order they are made.
class MemoryWriter : public CheckpointWriter {
 public:
  explicit MemoryWriter(const BoundPlan& bound) : bound_(bound), positions_(bound.tensors.size(), -1) {}

  std::vector<FileExtent> extents(size_t tensor) const override {
    if (positions_[tensor] < 0) return {};
    return {{-1, positions_[tensor], BytesOf(bound_.tensors[tensor])}};
  }
  const std::string& path(size_t /*tensor*/) const override { return path_; }
  Result<std::vector<WrittenFile>> Commit() override { return std::vector<WrittenFile>(); }
  int64_t total_bytes() const override { return total_; }

 protected:
  // The tensor is to be made, after all that were added before.
  void Add(size_t tensor) {
    positions_[tensor] = total_;
    total_ += BytesOf(bound_.tensors[tensor]);
  }

 private:
  const BoundPlan& bound_;
  std::vector<int64_t> positions_;  // -1: not wanted
  int64_t total_ = 0;
  std::string path_ = "memory";
};

// Memory of the caller.
class PlacesWriter final : public MemoryWriter {
 public:
  PlacesWriter(const BoundPlan& bound, std::span<const TensorPlace> places)
      : MemoryWriter(bound), places_(places), left_(places.size()) {
    for (size_t i = 0; i < places.size(); ++i) {
      left_[i] = places[i].shared ? 0 : static_cast<int64_t>(places[i].bytes.size());
      if (left_[i] > 0) Add(i);
    }
  }

  Result<void> Write(size_t tensor, int64_t offset, std::span<const std::byte> data) override {
    std::memcpy(places_[tensor].bytes.data() + offset, data.data(), data.size());
    return {};
  }
  Result<void> Completed(size_t tensor, int64_t bytes) override {
    left_[tensor] -= bytes;
    return {};
  }
  bool complete(size_t tensor) const { return left_[tensor] == 0; }

 private:
  std::span<const TensorPlace> places_;
  std::vector<std::atomic<int64_t>> left_;  // bytes
};

}  // namespace

// Tensors between the threads that make them and the one that takes them.
struct TensorLoader::State final : MemoryWriter {
  State(std::shared_ptr<const PreparedMigration> prepared, LoadRequest wanted, std::shared_ptr<MappedFiles> mapped)
      : MemoryWriter(*prepared->report.bound),
        migration(std::move(prepared)),
        request(std::move(wanted)),
        maps(std::move(mapped)) {}

  struct Item {
    LoadedTensor tensor;
    std::optional<StoredRun> run;  // where it is a view
    std::shared_ptr<std::byte> memory;
    int64_t left = 0;  // bytes to come
    bool ready = false;
  };

  // In the threads that make them. Memory is given in the order of the tensors, and a tensor that finds nothing else
  // waiting gets it whatever its size: so the one that is taken next is always on its way.
  Result<void> Write(size_t tensor, int64_t offset, std::span<const std::byte> data) override {
    Item& item = items[index.at(tensor)];
    {
      std::unique_lock lock(mutex);
      if (item.memory == nullptr) {
        changed.wait(lock, [&] {
          return stop.load() || item.memory != nullptr ||
                 (made[given] == &item && (held == 0 || held + item.tensor.length <= room));
        });
        if (stop.load()) return Stopped();
        if (item.memory == nullptr) {
          item.memory = AllocateElements(item.tensor.length);
          if (item.memory == nullptr)
            return Error(ErrorCode::kLimit, fmt::format("no memory for {} bytes", item.tensor.length));
          held += item.tensor.length;
          ++given;
          changed.notify_all();
        }
      }
    }
    std::memcpy(item.memory.get() + offset, data.data(), data.size());
    return {};
  }

  Result<void> Completed(size_t tensor, int64_t bytes) override {
    Item& item = items[index.at(tensor)];
    {
      const std::lock_guard lock(mutex);
      item.left -= bytes;
      if (item.left > 0) return {};
    }
    // A tensor whose checksum is known to be wrong is never given out.
    Result<void> sound;
    ForEachSource(migration->report.bound->tensors[tensor], [&](size_t source) {
      if (sound) sound = checks->CheckIfSeen(migration->source.checkpoint->layout(source).storage);
    });
    CKMAP_RETURN_IF_ERROR(std::move(sound));
    const std::lock_guard lock(mutex);
    item.ready = true;
    changed.notify_all();
    return {};
  }

  void Run() {
    Result<ExecResult> done = Execute(*migration->report.bound, *migration->source.checkpoint, *this, request.run);
    const std::lock_guard lock(mutex);
    if (!done) result = std::move(done).error();
    finished = true;
    changed.notify_all();
  }

  void AddItems();
  std::optional<StoredRun> ViewOf(const BoundTensor& tensor) const;
  Result<std::optional<LoadedTensor>> TakeView(Item& item);
  Result<std::optional<LoadedTensor>> End();

  std::shared_ptr<const PreparedMigration> migration;
  LoadRequest request;
  std::shared_ptr<MappedFiles> maps;
  std::unique_ptr<ReadChecks> checks;
  std::vector<Item> items;    // in the order in which they are wanted
  std::vector<size_t> index;  // of each target tensor's item
  std::vector<Item*> made;    // the items that are made, in order
  size_t next = 0;            // the item that is taken next
  bool ended = false;

  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stop{false};
  size_t given = 0;  // items of `made` that have their memory
  int64_t held = 0;  // bytes of memory that was given and not taken
  int64_t room = 0;  // for these
  bool finished = false;
  Result<void> result;
  std::thread thread;
};

// The place in the source that holds the elements as they are.
std::optional<StoredRun> TensorLoader::State::ViewOf(const BoundTensor& tensor) const {
  const Checkpoint& source = *migration->source.checkpoint;
  const bool simple = tensor.inputs.size() == 1 && tensor.inputs[0].node == nullptr && tensor.inputs[0].casts.empty() &&
                      tensor.value.pieces.size() == 1;
  if (!request.views || !simple) return std::nullopt;
  const Result<LoweredTensor> lowered = LowerTensor(tensor, source, tensor.rule);
  if (!lowered) return std::nullopt;  // whoever makes it says why
  const auto run = AsStored(*lowered);
  if (!run) return std::nullopt;
  const auto extent = InFile(source, *run);
  if (!extent) return std::nullopt;
  return MapElements(*maps, *extent, tensor.dtype) != nullptr ? run : std::nullopt;
}

void TensorLoader::State::AddItems() {
  const BoundPlan& bound = *migration->report.bound;
  items.resize(request.order.size());
  index.resize(bound.tensors.size());
  std::set<uint32_t> storages;
  for (size_t i = 0; i < items.size(); ++i) {
    Item& item = items[i];
    const BoundTensor& tensor = bound.tensors[request.order[i]];
    index[request.order[i]] = i;
    item.tensor = {.tensor = request.order[i], .bytes = nullptr, .length = BytesOf(tensor), .view = false};
    item.left = item.tensor.length;
    ForEachSource(tensor,
                  [&](size_t source) { storages.insert(migration->source.checkpoint->layout(source).storage); });
    item.run = ViewOf(tensor);
    if (item.run || item.left == 0) continue;
    Add(request.order[i]);
    made.push_back(&item);
  }
  checks = std::make_unique<ReadChecks>(*migration->source.checkpoint,
                                        std::vector<uint32_t>(storages.begin(), storages.end()));
}

Result<std::optional<LoadedTensor>> TensorLoader::State::TakeView(Item& item) {
  const Checkpoint& source = *migration->source.checkpoint;
  const auto extent = InFile(source, *item.run);
  CKMAP_CHECK(extent.has_value());
  item.tensor.bytes = maps->Map(*extent);
  if (item.tensor.bytes == nullptr) return Error(ErrorCode::kIo, "the source changed while it was read");
  item.tensor.view = true;
  checks->SawStorage(item.run->storage, item.run->offset,
                     {item.tensor.bytes.get(), static_cast<size_t>(item.tensor.length)});
  CKMAP_RETURN_IF_ERROR(checks->CheckIfSeen(item.run->storage));
  return std::optional(std::move(item.tensor));
}

Result<std::optional<LoadedTensor>> TensorLoader::State::End() {
  ended = true;
  if (thread.joinable()) thread.join();
  CKMAP_RETURN_IF_ERROR(result);
  CKMAP_RETURN_IF_ERROR(checks->Finish(1));
  CKMAP_RETURN_IF_ERROR(migration->source.checkpoint->CheckUnchanged());
  return std::optional<LoadedTensor>();
}

TensorLoader::TensorLoader(std::unique_ptr<State> state) : state_(std::move(state)) {}

TensorLoader::~TensorLoader() {
  Stop();
  if (state_->thread.joinable()) state_->thread.join();
}

void TensorLoader::Stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->changed.notify_all();
}

Result<std::unique_ptr<TensorLoader>> TensorLoader::Start(std::shared_ptr<const PreparedMigration> migration,
                                                          LoadRequest request, std::shared_ptr<MappedFiles> maps) {
  CKMAP_RETURN_IF_ERROR(CheckDecided(migration->report.issues));
  std::unique_ptr<TensorLoader> loader(
      new TensorLoader(std::make_unique<State>(std::move(migration), std::move(request), std::move(maps))));
  State& state = *loader->state_;
  state.AddItems();
  state.room = state.request.run.max_memory / 2;
  state.request.run.max_memory -= state.room;
  state.request.run.stop = &state.stop;
  state.request.run.checks = state.checks.get();
  if (state.made.empty()) {
    state.finished = true;
    return loader;
  }
  try {
    state.thread = std::thread([&state] { state.Run(); });
  } catch (const std::system_error&) {
    return Error(ErrorCode::kLimit, "out of threads");
  }
  return loader;
}

Result<std::optional<LoadedTensor>> TensorLoader::Next() {
  State& state = *state_;
  if (state.stop.load()) return Stopped();
  if (state.ended) return std::optional<LoadedTensor>();
  if (state.next == state.items.size()) return state.End();
  State::Item& item = state.items[state.next++];
  if (item.run) return state.TakeView(item);
  if (item.tensor.length > 0) {
    std::unique_lock lock(state.mutex);
    state.changed.wait(lock, [&] { return item.ready || state.finished || state.stop.load(); });
    if (!item.ready) {
      state.ended = true;
      if (!state.result) return state.result.error();
      return Stopped();
    }
    state.held -= item.tensor.length;
    item.tensor.bytes = std::move(item.memory);
    state.changed.notify_all();
  }
  return std::optional(std::move(item.tensor));
}

Result<ExecResult> LoadInto(const PreparedMigration& migration, std::span<const TensorPlace> places,
                            const ExecOptions& options, std::vector<bool>& complete) {
  CKMAP_RETURN_IF_ERROR(CheckDecided(migration.report.issues));
  const BoundPlan& bound = *migration.report.bound;
  CKMAP_CHECK(places.size() == bound.tensors.size());
  for (size_t i = 0; i < places.size(); ++i)
    CKMAP_CHECK(static_cast<int64_t>(places[i].bytes.size()) == BytesOf(bound.tensors[i]));
  PlacesWriter writer(bound, places);
  Result<ExecResult> done = Execute(bound, *migration.source.checkpoint, writer, options);
  complete.assign(places.size(), false);
  for (size_t i = 0; i < places.size(); ++i) complete[i] = writer.complete(i);
  return done;
}

}  // namespace ckmap
