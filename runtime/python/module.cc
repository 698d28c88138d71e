// The extension module ckmap._runtime: <ckmap/ckmap.h> for Python. It holds no policy: names, defaults and networks are
// Python's (runtime/python/ckmap).
//
// A call that may take long runs on a thread of its own. The calling thread waits without the GIL, looks after signals,
// and is the only one that calls Python (progress), so that Ctrl-C stops a run in order and an exception of the
// callback arrives at the caller.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <ckmap/ckmap.h>

#include "runtime/python/conversions.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace ckmap_python;

// Runs `work(progress, stop)` on a thread of its own, see above.
template <typename T, typename Work>
ckmap::Result<T> RunWatched(const nb::object& callback, const Work& work) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int64_t done = 0, total = 0;
    bool news = false, finished = false;
  } state;
  std::stop_source stop;
  std::optional<ckmap::Result<T>> result;
  std::exception_ptr failed;
  std::thread worker([&] {
    try {
      result.emplace(work(
          [&state](int64_t done, int64_t total) {
            const std::lock_guard lock(state.mutex);
            state.done = done, state.total = total, state.news = true;
          },
          stop.get_token()));
    } catch (...) {
      failed = std::current_exception();
    }
    const std::lock_guard lock(state.mutex);
    state.finished = true;
    state.changed.notify_all();
  });
  std::optional<nb::python_error> raised;
  for (bool finished = false; !finished;) {
    int64_t done = 0, total = 0;
    bool news = false;
    {
      const nb::gil_scoped_release released;
      std::unique_lock lock(state.mutex);
      state.changed.wait_for(lock, std::chrono::milliseconds(30), [&] { return state.finished; });
      finished = state.finished;
      done = state.done, total = state.total;
      news = std::exchange(state.news, false);
    }
    if (raised) continue;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (news && !callback.is_none()) callback(done, total);
    } catch (nb::python_error& error) {
      raised.emplace(std::move(error));
      stop.request_stop();
    }
  }
  worker.join();
  if (raised) {
    // Its cause says what the stop has left undone.
    const ckmap::Error ended(ckmap::ErrorCode::kStopped, "the run ended before it could be stopped: it is complete");
    const ckmap::Error& cause = result && !*result ? result->error() : ended;
    if (!failed) PyException_SetCause(raised->value().ptr(), MakeException(cause).release().ptr());
    throw std::move(*raised);
  }
  if (failed) std::rethrow_exception(failed);
  return std::move(*result);
}

AnyList ManifestRows(const ckmap::Manifest& manifest) {
  AnyList rows;
  for (const ckmap::TensorInfo& info : manifest.tensors()) {
    rows.append(nb::make_tuple(info.name, std::string(ckmap::DTypeName(info.dtype)), nb::tuple(nb::cast(info.shape)),
                               info.optional, info.tied_to, info.storage, info.unreadable));
  }
  return rows;
}

nb::object EntryValue(const ckmap::Entry& entry) {
  return std::visit(
      [](const auto& value) -> nb::object {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
          return nb::none();
        else
          return nb::cast(value);
      },
      entry.value);
}

ckmap::OpenOptions MakeOpenOptions(const std::string& root, nb::bytes key, const std::string& cipher,
                                   const std::string& format, bool crc_check, bool skip_unknown_objects,
                                   const std::string& strategy, const std::vector<std::string>& only,
                                   const std::vector<std::string>& drop, const std::vector<std::string>& specify_prefix,
                                   const std::vector<std::string>& filter_prefix, bool views, bool writable) {
  ckmap::OpenOptions options;
  options.root = root;
  options.key = std::string(key.c_str(), key.size());
  options.cipher = cipher;
  options.format = format;
  options.crc_check = crc_check;
  options.skip_unknown_objects = skip_unknown_objects;
  options.strategy = strategy;
  options.selection = {.specify_prefix = specify_prefix, .filter_prefix = filter_prefix, .only = only, .drop = drop};
  options.views = views;
  options.writable = writable;
  return options;
}

// As DLPack names it; lanes 0: it has no such name.
nb::dlpack::dtype DlpackType(ckmap::DType dtype) {
  using Code = nb::dlpack::dtype_code;
  const auto type = [dtype](Code code) {
    return nb::dlpack::dtype{static_cast<uint8_t>(code), static_cast<uint8_t>(ckmap::DTypeBits(dtype)), 1};
  };
  switch (dtype) {
    case ckmap::DType::kBool:
      return type(Code::Bool);
    case ckmap::DType::kI8:
    case ckmap::DType::kI16:
    case ckmap::DType::kI32:
    case ckmap::DType::kI64:
      return type(Code::Int);
    case ckmap::DType::kU8:
    case ckmap::DType::kU16:
    case ckmap::DType::kU32:
    case ckmap::DType::kU64:
      return type(Code::UInt);
    case ckmap::DType::kF16:
    case ckmap::DType::kF32:
    case ckmap::DType::kF64:
      return type(Code::Float);
    case ckmap::DType::kBF16:
      return type(Code::Bfloat);
    case ckmap::DType::kF8E4M3:
      return type(Code::Float8_E4M3FN);
    case ckmap::DType::kF8E5M2:
      return type(Code::Float8_E5M2);
    case ckmap::DType::kF8E4M3Fnuz:
      return type(Code::Float8_E4M3FNUZ);
    case ckmap::DType::kF8E5M2Fnuz:
      return type(Code::Float8_E5M2FNUZ);
    case ckmap::DType::kF8E8M0:
      return type(Code::Float8_E8M0FNU);
    case ckmap::DType::kF4:
      return {static_cast<uint8_t>(Code::Float4_E2M1FN), 4, 2};
    case ckmap::DType::kC32:
    case ckmap::DType::kC64:
    case ckmap::DType::kC128:
      return type(Code::Complex);
    default:
      return {0, 0, 0};
  }
}

// An object with `__dlpack__` and `__dlpack_device__`: over the tensor's own bytes, which keeps `self` alive, or over a
// copy. Whoever asks for no copy has made sure that the bytes may be written to.
nb::any DlpackOf(nb::handle self, bool copy) {
  const auto& tensor = nb::cast<const ckmap::Tensor&>(self);
  const nb::dlpack::dtype type = DlpackType(tensor.dtype());
  if (type.lanes == 0) {
    PyErr_Format(PyExc_BufferError, "`%s`: DLPack has no dtype %s", tensor.name().c_str(),
                 std::string(ckmap::DTypeName(tensor.dtype())).c_str());
    throw nb::python_error();
  }
  const std::vector<size_t> shape(tensor.shape().begin(), tensor.shape().end());
  auto* data = const_cast<std::byte*>(tensor.bytes().data());
  nb::object owner = nb::borrow(self);
  if (copy) {
    auto memory = std::make_unique<std::byte[]>(tensor.bytes().size());
    std::copy(tensor.bytes().begin(), tensor.bytes().end(), memory.get());
    data = memory.release();
    owner = nb::capsule(data, [](void* held) noexcept { delete[] static_cast<std::byte*>(held); });
  }
  return nb::borrow<nb::any>(
      nb::cast(nb::ndarray<nb::array_api>(data, shape.size(), shape.data(), owner, nullptr, type)));
}

// A stream that says when it has ended, and that can be closed. Another thread may close it while a tensor is awaited, as
// an asynchronous iteration that is cancelled does.
class Stream {
 public:
  explicit Stream(ckmap::TensorStream stream) : stream_(std::move(stream)) {}
  std::optional<ckmap::Tensor> Next() {
    auto next = [&]() -> ckmap::Result<std::optional<ckmap::Tensor>> {
      const nb::gil_scoped_release released;
      const std::lock_guard lock(*mutex_);
      if (!stream_) return std::optional<ckmap::Tensor>();
      auto tensor = stream_->Next();
      if (!tensor || !*tensor) stream_.reset();
      return tensor;
    }();
    return Take(std::move(next));
  }
  void Close() {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(*mutex_);
    stream_.reset();
  }

 private:
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::optional<ckmap::TensorStream> stream_;
};

AnyDict ReportDict(const ckmap::Report& report) {
  nb::dict out;
  nb::list tensors;
  for (const ckmap::TensorOutcome& tensor : report.tensors) {
    tensors.append(nb::make_tuple(tensor.name, tensor.sha256, tensor.overflowed, tensor.changed));
  }
  nb::list files;
  for (const ckmap::SavedFile& file : report.files) files.append(nb::make_tuple(file.path.string(), file.bytes));
  out["tensors"] = tensors;
  out["files"] = files;
  out["issues"] = IssueList(report.issues);
  out["warnings"] = report.warnings;
  out["seconds"] = report.seconds;
  out["json"] = report.json;
  return out;
}

// Parameters by name, as `-D` takes them; (rank, ranks) by group.
using Values = std::map<std::string, std::string>;
using Ranks = std::map<std::string, std::pair<int64_t, int64_t>>;

// A migration of a checkpoint, or of a manifest: then it is to be looked at, not to be run.
template <typename Source, typename TargetLike>
ckmap::Migration Prepare(const ckmap::Plan& plan, const Source& source, const TargetLike& target, const Values& values,
                         const std::string& config, const Ranks& ranks, const std::string& device_map) {
  ckmap::Params params;
  params.values = values;
  params.config = config;
  for (const auto& [group, rank] : ranks) params.ranks[group] = {.index = rank.first, .count = rank.second};
  params.device_map = device_map;
  auto migration = [&] {
    const nb::gil_scoped_release released;
    return ckmap::Migration::Prepare(plan, source, ckmap::Target(target), params);
  }();
  return Take(std::move(migration));
}

AnyTuple Bound(const ckmap::Migration& migration) {
  const ckmap::BoundPlan& bound = migration.bound();
  nb::list tensors, dropped, kept;
  for (const ckmap::BoundTensor& t : bound.tensors) {
    tensors.append(nb::make_tuple(t.name, std::string(ckmap::DTypeName(t.dtype)), nb::tuple(nb::cast(t.shape)),
                                  t.sources, t.ops, t.rule, t.initialized, t.device));
  }
  for (const ckmap::NamedByRule& named : bound.dropped) dropped.append(nb::make_tuple(named.name, named.rule));
  for (const ckmap::NamedByRule& named : bound.kept) kept.append(nb::make_tuple(named.name, named.rule));
  return nb::make_tuple(tensors, dropped, kept, bound.params);
}

void DefineTensors(nb::module_& m) {
  nb::class_<ckmap::Manifest>(m, "Manifest")
      .def_static("of", &MakeManifest, "tensors"_a, "framework"_a = "")
      .def_static(
          "read",
          [](const std::string& path) {
            auto manifest = [&] {
              const nb::gil_scoped_release released;
              return ckmap::Manifest::Read(path);
            }();
            return Take(std::move(manifest));
          },
          "path"_a)
      .def("rows", &ManifestRows)
      .def_prop_ro("framework", [](const ckmap::Manifest& manifest) { return manifest.framework(); });

  nb::class_<ckmap::Tensor>(m, "Tensor")
      .def_prop_ro("name", [](const ckmap::Tensor& tensor) { return tensor.name(); })
      .def_prop_ro("dtype", [](const ckmap::Tensor& tensor) { return std::string(ckmap::DTypeName(tensor.dtype())); })
      .def_prop_ro("shape", [](const ckmap::Tensor& tensor) { return AnyTuple(nb::tuple(nb::cast(tensor.shape()))); })
      .def_prop_ro("address",
                   [](const ckmap::Tensor& tensor) { return reinterpret_cast<uintptr_t>(tensor.bytes().data()); })
      .def_prop_ro("nbytes", [](const ckmap::Tensor& tensor) { return tensor.bytes().size(); })
      .def_prop_ro("is_view", &ckmap::Tensor::is_view)
      .def_static("dlpack", &DlpackOf, "tensor"_a, "copy"_a);
}

void DefineCheckpoint(nb::module_& m) {
  nb::class_<ckmap::Checkpoint>(m, "Checkpoint")
      .def_static(
          "open",
          [](const std::string& path, const std::string& root, nb::bytes key, const std::string& cipher,
             const std::string& format, bool crc_check, bool skip_unknown_objects, const std::string& strategy,
             const std::vector<std::string>& only, const std::vector<std::string>& drop,
             const std::vector<std::string>& specify_prefix, const std::vector<std::string>& filter_prefix, bool views,
             bool writable) {
            const auto options = MakeOpenOptions(root, key, cipher, format, crc_check, skip_unknown_objects, strategy,
                                                 only, drop, specify_prefix, filter_prefix, views, writable);
            auto opened = [&] {
              const nb::gil_scoped_release released;
              return ckmap::Checkpoint::Open(path, options);
            }();
            return Take(std::move(opened));
          },
          "path"_a, "root"_a, "key"_a, "cipher"_a, "format"_a, "crc_check"_a, "skip_unknown_objects"_a, "strategy"_a,
          "only"_a, "drop"_a, "specify_prefix"_a, "filter_prefix"_a, "views"_a, "writable"_a)
      .def_prop_ro("path", [](const ckmap::Checkpoint& checkpoint) { return checkpoint.path().string(); })
      .def_prop_ro("format", [](const ckmap::Checkpoint& checkpoint) { return checkpoint.format(); })
      .def_prop_ro("manifest", [](const ckmap::Checkpoint& checkpoint) { return checkpoint.manifest(); })
      .def_prop_ro("metadata", [](const ckmap::Checkpoint& checkpoint) { return checkpoint.metadata(); })
      .def_prop_ro("warnings", [](const ckmap::Checkpoint& checkpoint) { return checkpoint.warnings(); })
      .def_prop_ro("entries",
                   [](const ckmap::Checkpoint& checkpoint) {
                     AnyList list;
                     for (const ckmap::Entry& entry : checkpoint.entries())
                       list.append(nb::make_tuple(entry.name, entry.kind, EntryValue(entry)));
                     return list;
                   })
      .def(
          "read",
          [](const ckmap::Checkpoint& checkpoint, const std::string& name) {
            auto tensor = [&] {
              const nb::gil_scoped_release released;
              return checkpoint.Read(name);
            }();
            return Take(std::move(tensor));
          },
          "name"_a);
}

void DefinePlan(nb::module_& m) {
  nb::class_<ckmap::Plan>(m, "Plan")
      .def_static(
          "load", [](const std::string& path_or_pack) { return Take(ckmap::Plan::Load(path_or_pack)); },
          "path_or_pack"_a)
      .def_static(
          "parse",
          [](nb::bytes bytes) {
            return Take(ckmap::Plan::Parse({bytes.c_str(), bytes.size()}));
          },
          "bytes"_a)
      .def("serialize",
           [](const ckmap::Plan& plan) {
             const std::string bytes = plan.Serialize();
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def_prop_ro("digest", [](const ckmap::Plan& plan) { return plan.digest(); })
      .def_prop_ro("migration", [](const ckmap::Plan& plan) { return plan.migration(); });
}

void DefineMigration(nb::module_& m) {
  nb::class_<Stream>(m, "Stream").def("next", &Stream::Next).def("close", &Stream::Close);

  nb::class_<ckmap::Migration>(m, "Migration")
      .def_static("prepare", &Prepare<ckmap::Checkpoint, ckmap::Manifest>, "plan"_a, "source"_a, "target"_a, "values"_a,
                  "config"_a, "ranks"_a, "device_map"_a)
      .def_static("prepare_path", &Prepare<ckmap::Checkpoint, std::string>, "plan"_a, "source"_a, "target"_a,
                  "values"_a, "config"_a, "ranks"_a, "device_map"_a)
      .def_static("prepare_manifest", &Prepare<ckmap::Manifest, ckmap::Manifest>, "plan"_a, "source"_a, "target"_a,
                  "values"_a, "config"_a, "ranks"_a, "device_map"_a)
      .def_prop_ro("notes", [](const ckmap::Migration& migration) { return IssueList(migration.notes()); })
      .def_prop_ro("target", [](const ckmap::Migration& migration) { return migration.target(); })
      .def("bound", &Bound)
      .def("cost",
           [](const ckmap::Migration& migration) -> AnyTuple {
             const ckmap::Cost cost = migration.cost();
             return nb::make_tuple(cost.bytes_read, cost.bytes_written, cost.peak_memory);
           })
      .def("table", &ckmap::Migration::Table, "all"_a = false)
      .def("json", &ckmap::Migration::Json)
      .def(
          "save",
          [](const ckmap::Migration& migration, const std::string& path, const std::string& format,
             int64_t max_shard_size, bool crc, const std::string& encrypt, nb::bytes key, bool old_scalars, bool digest,
             bool force, bool fsync, int threads, int64_t max_memory, nb::object progress) {
            ckmap::SaveOptions options;
            options.format = format;
            options.max_shard_size = max_shard_size;
            options.crc = crc;
            options.encrypt = encrypt;
            options.key = std::string(key.c_str(), key.size());
            options.old_scalars = old_scalars;
            options.digest = digest;
            options.force = force;
            options.fsync = fsync;
            options.run.threads = threads;
            options.run.max_memory = max_memory;
            return ReportDict(
                Take(RunWatched<ckmap::Report>(progress, [&](ckmap::Progress report, std::stop_token stop) {
                  options.run.progress = std::move(report);
                  options.run.stop = std::move(stop);
                  return migration.Save(path, options);
                })));
          },
          "path"_a, "format"_a, "max_shard_size"_a, "crc"_a, "encrypt"_a, "key"_a, "old_scalars"_a, "digest"_a,
          "force"_a, "fsync"_a, "threads"_a, "max_memory"_a, "progress"_a.none())
      .def(
          "load",
          [](const ckmap::Migration& migration, const std::vector<std::string>& order, int threads, int64_t max_memory,
             bool views, bool writable) {
            ckmap::RunOptions options;
            options.order = order;
            options.threads = threads;
            options.max_memory = max_memory;
            options.views = views;
            options.writable = writable;
            auto stream = [&] {
              const nb::gil_scoped_release released;
              return migration.Load(options);
            }();
            return Stream(Take(std::move(stream)));
          },
          "order"_a, "threads"_a, "max_memory"_a, "views"_a, "writable"_a)
      // (name, address, bytes) of each destination; the memory must stay until the call returns.
      .def(
          "load_into",
          [](const ckmap::Migration& migration, const std::vector<std::tuple<std::string, uintptr_t, size_t>>& places,
             int threads, int64_t max_memory, nb::object progress) {
            std::vector<ckmap::Destination> destinations;
            for (const auto& [name, address, bytes] : places) {
              destinations.push_back({.name = name, .bytes = {reinterpret_cast<std::byte*>(address), bytes}});
            }
            ckmap::RunOptions options;
            options.threads = threads;
            options.max_memory = max_memory;
            return ReportDict(
                Take(RunWatched<ckmap::Report>(progress, [&](ckmap::Progress report, std::stop_token stop) {
                  options.progress = std::move(report);
                  options.stop = std::move(stop);
                  return migration.LoadInto(destinations, options);
                })));
          },
          "destinations"_a, "threads"_a, "max_memory"_a, "progress"_a.none());
}

void DefineChecks(nb::module_& m) {
  m.def(
      "verify",
      [](const std::string& output, const std::string& report, const std::string& report_json,
         const std::string& source, const std::string& plan, const std::string& target,
         nb::object progress) -> AnyTuple {
        ckmap::VerifyOptions options;
        options.report = report;
        options.report_json = report_json;
        options.source = source;
        options.plan = plan;
        options.target = target;
        const ckmap::Verdict verdict =
            Take(RunWatched<ckmap::Verdict>(progress, [&](ckmap::Progress told, std::stop_token stop) {
              options.progress = std::move(told);
              options.stop = std::move(stop);
              return ckmap::Verify(output, options);
            }));
        return nb::make_tuple(verdict.ok, IssueList(verdict.issues), verdict.tensors, verdict.by_digest,
                              verdict.by_source);
      },
      "output"_a, "report"_a, "report_json"_a, "source"_a, "plan"_a, "target"_a, "progress"_a.none());

  m.def(
      "diff",
      [](const ckmap::Checkpoint& a, const ckmap::Checkpoint& b, double rtol, double atol, nb::object progress) {
        ckmap::DiffOptions options;
        options.rtol = rtol;
        options.atol = atol;
        const auto differences = Take(
            RunWatched<std::vector<ckmap::TensorDifference>>(progress, [&](ckmap::Progress told, std::stop_token stop) {
              options.progress = std::move(told);
              options.stop = std::move(stop);
              return ckmap::Diff(a, b, options);
            }));
        AnyList list;
        for (const auto& d : differences)
          list.append(
              nb::make_tuple(d.name, d.kind, d.in_a, d.in_b, d.different, d.elements, d.max_difference, d.first_index));
        return list;
      },
      "a"_a, "b"_a, "rtol"_a, "atol"_a, "progress"_a.none());

  m.def(
      "load_check",
      [](const ckmap::Manifest& checkpoint, const ckmap::Manifest& network) {
        AnyList list;
        for (const ckmap::LoadVerdict& v : ckmap::LoadCheck(checkpoint, network)) {
          list.append(nb::make_tuple(v.rules, v.fits, v.loaded, v.missing, v.unused, IssueList(v.issues)));
        }
        return list;
      },
      "checkpoint"_a, "network"_a);
}

}  // namespace

NB_MODULE(_runtime, m) {
  nb::set_leak_warnings(false);
  DefineTensors(m);
  DefineCheckpoint(m);
  DefinePlan(m);
  DefineMigration(m);
  DefineChecks(m);
}
