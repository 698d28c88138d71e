// ckmap: moves the weights of a network from one framework to another, by rules that are proved to fit before a tensor
// is read.
//
//     #include <ckmap/ckmap.h>                                 // C++20; link ckmap::ckmap
//
//     ckmap::Result<void> Convert() {
//       CKMAP_TRY(auto plan, ckmap::Plan::Load("torch2ms.ckplan"));
//       CKMAP_TRY(auto source, ckmap::Checkpoint::Open("model.pth"));
//       CKMAP_TRY(auto migration, ckmap::Migration::Prepare(plan, source, "net.yaml"));    // nothing is read but names and shapes
//       CKMAP_TRY(auto report, migration.Save("model.ckpt", {.digest = true}));            // what `ckmap apply` writes
//       CKMAP_TRY(auto verdict, ckmap::Verify("model.ckpt", {.report_json = report.json}));
//       return {};
//     }
//
// This header and <ckmap/compiler.h> are all of the library; they include nothing but the standard library.
//
// Errors.        Every function that can fail returns a Result. None throws, except std::bad_alloc where memory for
//                names and shapes runs out. An Error has a code and a message for a person; a misfit carries all of its
//                Issues.
// Ownership.     Checkpoint, Plan, Manifest, Migration and Tensor are handles: copying one is cheap, and the copies
//                share one immutable object, which lives as long as any of them. A Migration keeps its plan and its
//                source alive, a Tensor the file that it is a view of. One that is made without arguments is empty and
//                only to be assigned to. References that a const member returns live as long as the handle they came
//                from.
// Threads.       All const members may be called from any number of threads at once. A TensorStream belongs to one
//                thread at a time.
// Shapes, units. Shapes list axes from the outermost (row-major, as numpy); sizes and offsets are in elements or bytes,
//                as said. Elements are little-endian, and dense in row-major order.
// Files.         Inputs are opened once and never changed. They are treated as hostile: nothing in them is executed,
//                and every limit is an Error of kLimit. An output has its name only when it is complete; a failure
//                leaves nothing behind.
// Callbacks.     A progress callback is called from one thread at a time, which may be any; a stop token may be used
//                from any thread. Whoever throws from a callback ends the call, and the exception arrives at the
//                caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ckmap {
namespace v1 {

// ---- Errors ----

// The values up to 5 are the exit codes of the programs.
enum class ErrorCode : int {
  kMisfit = 1,     // the rules do not fit the source or the target, or a value does not fit its new type
  kUsage = 2,      // an argument that makes no sense
  kMalformed = 3,  // a file that is broken, hostile, or of a kind that is refused
  kIo = 4,         // the operating system refused
  kLimit = 5,      // a stated limit was reached, or memory ran out
  kStopped = 6,    // a stop token was set
};

enum class Severity { kError, kWarning, kNote };

// One thing that does not fit, or that a person should know.
struct Issue {
  std::string code;  // "CK1203", stable; README and `ckmapc explain CK1203` describe each. "" for facts about files
  Severity severity = Severity::kError;
  std::string tensor;              // the tensor that it is about; may be empty
  std::string message;             // what was found, one line
  std::vector<std::string> notes;  // what was expected, the rule and its line, the nearest candidates
  std::string help;                // what to do; may be empty
  std::string file;                // of a mistake in rules: where it stands; "" otherwise
  int line = 0;                    // from 1
  int column = 0;                  // from 1, in bytes
};

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message, std::vector<Issue> issues = {})
      : code_(code), message_(std::move(message)), issues_(std::move(issues)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }  // may hold several lines
  const std::vector<Issue>& issues() const {
    return issues_;
  }  // of a misfit or of rules that do not compile: all of them

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<Issue> issues_;
};

// A value or an Error. Reading the one that is not there ends the program.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return Get<0>(state_); }
  const T& operator*() const& { return Get<0>(state_); }
  T&& operator*() && { return std::move(Get<0>(state_)); }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  const Error& error() const& { return Get<1>(state_); }
  Error&& error() && { return std::move(Get<1>(state_)); }

 private:
  template <size_t I, typename State>
  static auto& Get(State& state) {
    auto* const value = std::get_if<I>(&state);
    if (value == nullptr) std::abort();
    return *value;
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_ ? *error_ : (std::abort(), *error_); }
  Error&& error() && { return error_ ? std::move(*error_) : (std::abort(), std::move(*error_)); }

 private:
  std::optional<Error> error_;
};

// ---- Tensors ----

// kI4 is MindSpore's qint4x2 and kF4 (e2m1) is torch's float4_e2m1fn_x2: one element is a byte of two values, and
// shapes count bytes. kF6E2M3 and kF6E3M2 are packed below a byte: such tensors are only copied whole.
enum class DType : uint8_t {
  kBool,
  kI8,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kF8E4M3,
  kF8E5M2,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kF8E8M0,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kI4,
  kC32,
  kC64,
  kC128,
  kAny,  // only in a target: whatever the source has
};
std::string_view DTypeName(DType dtype);                 // "f32", "f8_e4m3", …; static storage
std::optional<DType> ParseDType(std::string_view name);  // the inverse; nullopt for any other text
int DTypeBits(DType dtype);                              // of one element; 0 for kAny

using Shape = std::vector<int64_t>;  // {} is a scalar; -1, only in a target: any size

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  bool optional = false;        // only in a target: the network does without it
  std::string tied_to = {};     // only in a target: the name of the tensor that it shares its memory with
  int64_t storage = -1;         // tensors of a checkpoint with equal numbers share bytes; -1: not known
  std::string unreadable = {};  // why the elements of a tensor that is listed cannot be had; "": they can
};

// The tensors of a checkpoint or of a network: names, dtypes and shapes, without elements.
class Manifest {
 public:
  Manifest();
  // For a live network: its parameters, in its order. kUsage for a name that occurs twice.
  static Result<Manifest> Of(std::vector<TensorInfo> tensors, std::string framework = "");
  // Of anything that has names and shapes: a checkpoint in any format, or a spec (YAML or JSON).
  static Result<Manifest> Read(const std::filesystem::path& path);

  std::span<const TensorInfo> tensors() const;
  std::optional<size_t> Find(std::string_view name) const;  // index into tensors()
  const std::string& framework() const;                     // "mindspore", "torch", …; may be empty

  struct State;  // the library's own

 private:
  friend struct Access;
  std::shared_ptr<const State> state_;
};

// The elements of one tensor, read-only.
class Tensor {
 public:
  const std::string& name() const { return info_->name; }
  DType dtype() const { return info_->dtype; }
  const Shape& shape() const { return info_->shape; }
  // Valid as long as a copy of this Tensor lives. The address is a multiple of the element's size, up to 8.
  std::span<const std::byte> bytes() const { return bytes_; }
  // Whether the bytes are those of the mapped file, not a copy. If another program shortens that file, reading them
  // ends the process with SIGBUS, as for every mapped file; RunOptions::views and OpenOptions::views turn views off.
  bool is_view() const { return view_; }
  // Keeps the bytes alive without the Tensor: for a numpy array or a DLPack capsule.
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  friend struct Access;
  Tensor() = default;
  std::shared_ptr<const TensorInfo> info_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  bool view_ = false;
};

// ---- Checkpoints ----

// Which tensors of a checkpoint are seen, by name, before any rule. All of it holds at once.
struct Selection {
  std::vector<std::string> specify_prefix = {};  // if any: names that begin with none of them are left out
  std::vector<std::string> filter_prefix = {};   // names that begin with one of them are left out
  std::vector<std::string> only =
      {};  // globs (`*` within a part of a name, `**` across); if any: names that match none are left out
  std::vector<std::string> drop = {};  // globs; names that match one are left out
};

struct OpenOptions {
  std::string root = {};              // of a torch file: the dict that holds the tensors: "state_dict", "a.b"; "": all
  std::string key = {};               // of an encrypted file: raw bytes, as MindSpore was given them
  std::string cipher = {};            // "aes-gcm", "aes-cbc", "sm4-cbc": refuse a file that is encrypted otherwise
  std::string format = {};            // "ckpt", "safetensors", "torch", "mindir", "npz", "npy", "gguf": refuse others
  bool crc_check = false;             // refuse a file without MindSpore's checksum (crc_num), or with a wrong one
  bool skip_unknown_objects = false;  // of a torch file: read around objects of unknown classes; a warning names them
  std::filesystem::path strategy = {};  // of a folder of ranks: its strategy file, if that is not in the folder
  Selection selection = {};
  bool views = true;  // Read may return views of the file
  // The caller may write to the bytes of what is read or loaded. A view is then private to this checkpoint: a page is
  // copied when it is written to, the file does not change, and later reads of the same tensor see what was written.
  bool writable = false;
};

// An entry that is not a tensor: an epoch number, a string of append_dict.
struct Entry {
  std::string name;
  std::string kind;  // "int", "float", "bool", "str", "bytes", "none", "list", "dict", "object", …
  std::variant<std::monostate, bool, int64_t, double, std::string> value;  // monostate where only the kind is known
};

struct NamedCheckpoint;

class Checkpoint {
 public:
  // A file in any format that ckmap reads, found by its content; a folder of shards or of ranks; or the index of
  // shards.
  static Result<Checkpoint> Open(const std::filesystem::path& path, const OpenOptions& options = {});
  // Several checkpoints as one, for rules that read `source NAME;`: each tensor of a checkpoint with a name is called
  // "NAME:tensor". At most the first has the name "", and its tensors keep theirs. Format, metadata and entries are those
  // of the first; warnings() says what is left behind of the others. kUsage: a name that is not letters, digits and
  // underscores, or occurs twice.
  static Result<Checkpoint> Join(const std::vector<NamedCheckpoint>& checkpoints);

  const std::filesystem::path& path() const;
  const std::string& format() const;  // "safetensors", "torch-zip", "ms-ckpt", …
  const Manifest& manifest() const;   // in the order of the file
  const std::map<std::string, std::string>& metadata() const;
  const std::vector<Entry>& entries() const;
  const std::vector<std::string>& warnings() const;  // facts that stop nothing, one line each

  // All elements of one tensor. A view of the file where it holds them as they are, else a copy. Checks what the file
  // promises of these bytes (the CRC of a zip member, MindSpore's crc_num) when they are read first. kUsage: no tensor
  // has this name.
  Result<Tensor> Read(std::string_view name) const;

  struct State;  // the library's own

 private:
  friend struct Access;
  std::shared_ptr<const State> state_;
};

struct NamedCheckpoint {
  std::string name;
  Checkpoint checkpoint;
};

// ---- Plans ----

// Compiled rules. <ckmap/compiler.h> makes one from text.
class Plan {
 public:
  // A .ckplan file, or an installed pack: "resnet", "llama/hf2mindformers" (in $CKMAP_PACKS, else beside the program).
  static Result<Plan> Load(std::string_view path_or_pack);
  // The bytes of a .ckplan file.
  static Result<Plan> Parse(std::string_view bytes);
  // Deterministic: equal rules give equal bytes.
  std::string Serialize() const;

  const std::string& digest() const;  // hex SHA-256 of the bytes
  std::string migration() const;      // its name
  std::string from_framework() const;
  std::string to_framework() const;

  struct State;  // the library's own

 private:
  friend struct Access;
  std::shared_ptr<const State> state_;
};

// ---- Migrations ----

// What is to be reached.
class Target {
 public:
  Target(std::filesystem::path path)
      : path_(std::move(path)) {
  }  // NOLINT: implicit; a checkpoint, a spec (YAML or JSON), or "same": what the rules make
  Target(const char* path) : path_(path) {}                      // NOLINT: implicit
  Target(const std::string& path) : path_(path) {}               // NOLINT: implicit
  Target(Manifest manifest) : manifest_(std::move(manifest)) {}  // NOLINT: implicit; of a live network

  const std::filesystem::path& path() const { return path_; }  // "" for a manifest
  const std::optional<Manifest>& manifest() const { return manifest_; }

 private:
  std::filesystem::path path_;
  std::optional<Manifest> manifest_;
};

struct Rank {
  int64_t index = 0;  // from 0
  int64_t count = 1;
};

// What the rules ask for besides the tensors.
struct Params {
  std::map<std::string, std::string> values = {};  // parameter → value as it would be typed: {"heads", "32"}
  std::filesystem::path config = {};               // the model's config.json, for parameters that come from it
  std::string config_json = {};                    // its text instead
  std::map<std::string, Rank> ranks = {};          // write the slice of one rank of each group: {"tp", {1, 8}}
  std::filesystem::path device_map = {};           // devices of modules or tensors (YAML or JSON), before `place`
};

struct BoundTensor {
  std::string name;  // in the target
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::string> sources;  // the source tensors that it is made of, each once
  std::vector<std::string> ops;      // "permute(1, 0)", …, as reports show them
  std::string rule;                  // "torch2ms.ckmap:12"
  bool initialized = false;          // made by `init` alone
  std::string device = {};           // where `place` or a device map puts it; may be empty
};

// A tensor of the source that is left out, or one of the target that the network keeps, and the rule that says so.
struct NamedByRule {
  std::string name;
  std::string rule;
};

// What becomes what.
struct BoundPlan {
  std::vector<BoundTensor> tensors;  // in the target's order
  std::vector<NamedByRule> dropped;
  std::vector<NamedByRule> kept;
  std::map<std::string, std::string> params;  // as bound, printed
};

// done and total are bytes of the target.
using Progress = std::function<void(int64_t done, int64_t total)>;

struct RunOptions {
  int threads = 0;  // 0: one per core
  int64_t max_memory =
      int64_t{64} << 20;  // bytes, of buffers over all threads; what a stream holds ready is part of it
  Progress progress = {};
  std::stop_token stop = {};  // once it is set: kStopped, soon
  bool views = true;          // Load may give views of the source's files
  // Load: the caller may write to the bytes of each tensor. A view is then private to the stream: a page is copied when
  // it is written to, and no file changes. Two tensors that are views of the same bytes share them.
  bool writable = false;
  std::vector<std::string> order =
      {};  // Load: names of target tensors, in the order in which they are wanted, each once;
  // those that are not named are not made. Empty: all, in the target's order
};

struct SaveOptions {
  std::string format = {};     // "ckpt", "safetensors", "torch", "npz", "gguf"; "": by the path's ending
  int64_t max_shard_size = 0;  // bytes of a file; 0: one file
  bool crc = false;            // of a .ckpt: the checksum that MindSpore's crc_check reads
  std::string encrypt = {};    // of a .ckpt: "aes-gcm", "aes-cbc", "sm4-cbc"
  std::string key = {};        // raw bytes: 16, 24 or 32 for AES, 16 for SM4
  bool old_scalars = false;    // of a .ckpt: scalars as MindSpore before 2.3 wrote them
  bool digest =
      // the SHA-256 of each tensor, in the report and in the receipt that the output carries (reads it once more)
      false;
  bool force = false;  // replace what is there
  bool fsync = true;   // the output is on the disk when Save returns
  RunOptions run = {};
};

struct Cost {
  int64_t bytes_read = 0;     // of the source
  int64_t bytes_written = 0;  // of the target's tensors
  int64_t peak_memory = 0;    // bytes of buffers
};

struct SavedFile {
  std::filesystem::path path;
  int64_t bytes = 0;
};

struct TensorOutcome {
  std::string name;
  std::string sha256;      // hex, of the elements; "" unless asked for
  int64_t overflowed = 0;  // values that saturated or became infinite, as the rule allows
  int64_t changed = 0;     // values that a cast changed, rounding included
};

struct Report {
  std::vector<TensorOutcome> tensors;  // in the target's order
  std::vector<SavedFile> files;        // of Save
  std::vector<Issue> issues;           // notes and warnings, no errors
  std::vector<std::string> warnings;   // facts about the files, one line each
  double seconds = 0;
  std::string json;  // of Save: what `ckmap apply --report` writes
};

// Memory that the caller owns: all elements of one target tensor, little-endian, dense and row-major.
struct Destination {
  std::string name;
  std::span<std::byte> bytes;  // exactly as many as dtype and shape of the target tensor have
};

// Ready tensors, made ahead by worker threads in bounded memory. Destroying it at any time stops and joins them.
// Move-only.
class TensorStream {
 public:
  TensorStream(TensorStream&&) noexcept;
  TensorStream& operator=(TensorStream&&) noexcept;
  ~TensorStream();

  // The next tensor; nullopt when there is none. Blocks until it is ready. After an Error the stream has ended. A
  // checksum over a whole file (crc_num) is known only at its end: if it is wrong, the Error takes the place of the
  // nullopt, and the tensors that came before must not be used.
  Result<std::optional<Tensor>> Next();

  struct State;  // the library's own

 private:
  friend struct Access;
  explicit TensorStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A plan that is proved to fit a source and a target: every target tensor is written exactly once, with the right name,
// shape and dtype; every source tensor is used or dropped by name. No tensor has been read.
class Migration {
 public:
  // kMisfit carries every Issue at once. `source`: that of Checkpoint::Join for rules that read several.
  static Result<Migration> Prepare(const Plan& plan, const Checkpoint& source, const Target& target,
                                   const Params& params = {});
  // The same for a source that is not there yet: it can be looked at, but neither saved nor loaded (kUsage).
  static Result<Migration> Prepare(const Plan& plan, const Manifest& source, const Target& target,
                                   const Params& params = {});

  const BoundPlan& bound() const;
  std::span<const Issue> notes() const;  // notes and warnings of the proof
  Cost cost(const RunOptions& options = {}) const;
  const Manifest& target()
      const;  // what comes out, in order: dtypes and shapes are known, ties are those of the target
  std::string Table(bool all = false) const;  // what `ckmap plan` prints; `all`: neither folded nor cut
  std::string Json() const;                   // what `ckmap plan --format json` prints

  // Writes an output: the same bytes as `ckmap apply`.
  Result<Report> Save(const std::filesystem::path& path, const SaveOptions& options = {}) const;
  // Makes tensors one after another. The elements are those that Save writes.
  Result<TensorStream> Load(const RunOptions& options = {}) const;
  // Writes into memory of the caller, in parallel. Destinations name every target tensor once. They must not overlap,
  // except that tensors that are tied in the target and come from the same bytes may have one place. All of that is
  // checked before a byte is written (kUsage). If reading or converting fails after that, the Error's message and
  // issues name the destinations that were not completed; their contents are undefined. A checksum that fails is
  // reported at the end: then no destination is to be used.
  Result<Report> LoadInto(std::span<const Destination> destinations, const RunOptions& options = {}) const;

  struct State;  // the library's own

 private:
  friend struct Access;
  std::shared_ptr<const State> state_;
};

// ---- Checks ----

struct VerifyOptions {
  std::filesystem::path report = {};  // the JSON report of the run that wrote the output; "": the receipt in the output
  std::string report_json = {};       // its text instead: Report::json
  std::filesystem::path source = {};  // also compare what was copied as it is with the source; "": do not
  std::map<std::string, std::filesystem::path> named_sources = {};  // those beside it, by their names in the rules
  // Also run this plan on the source again, and compare what it makes; a .ckplan file or an installed pack. Needs
  // `source`, where a spec will do, which proves the rules and nothing of the bytes. "": do not
  std::string plan = {};
  std::filesystem::path target = {};  // that the plan was run for; "": the output itself
  Params params = {};                 // of the plan; without a config, those that are missing come from the receipt
  OpenOptions open = {};              // of output and source
  Progress progress = {};             // counts tensors
  std::stop_token stop = {};
};

struct Verdict {
  bool ok = false;
  std::vector<Issue> issues;
  int64_t tensors = 0;                // that the receipt or the report lists
  int64_t by_digest = 0;              // of them: compared by SHA-256
  int64_t by_source = 0;              // of them: compared with the source
  int64_t recomputed = 0;             // of them: made again from the source by the plan, and compared
  std::vector<std::string> proved;    // what was proved, a line each; empty if there are issues
  std::vector<std::string> unproved;  // what was not
};

// Whether an output holds what its receipt, or the report of its run, says. kUsage: it has neither.
Result<Verdict> Verify(const std::filesystem::path& output, const VerifyOptions& options = {});

struct DiffOptions {
  // Elements are equal if |a - b| <= atol + rtol * |b|, or both are NaN. With both 0 the bytes must be equal.
  double rtol = 0;
  double atol = 0;
  Progress progress = {};  // bytes
  std::stop_token stop = {};
};

struct TensorDifference {
  std::string name;
  std::string kind;           // "only_in_a", "only_in_b", "dtype", "shape", "values", "unreadable"
  std::string in_a, in_b;     // "f32 [10, 64]"; "" where it is absent
  int64_t different = 0;      // "values": elements that differ …
  int64_t elements = 0;       // … of so many
  double max_difference = 0;  // the largest |a - b|
  int64_t first_index = 0;    // row-major index of the first that differs
};

// What differs; nothing if they hold the same tensors.
Result<std::vector<TensorDifference>> Diff(const Checkpoint& a, const Checkpoint& b, const DiffOptions& options = {});

struct LoadVerdict {
  std::string rules;  // "load_param_into_net", "load_param_into_net, strict_load=True", "strict"
  bool fits = false;
  int64_t loaded = 0;   // tensors of the network that get a value
  int64_t missing = 0;  // those that keep their own
  int64_t unused = 0;   // tensors of the checkpoint that go nowhere
  std::vector<Issue> issues;
};

// Whether a checkpoint would load into a network as it is, by MindSpore's two rules and by a strict one, in this order.
std::vector<LoadVerdict> LoadCheck(const Manifest& checkpoint, const Manifest& network);

}  // namespace v1

// The library's own sources define CKMAP_INTERNAL: they have other types of these names in `ckmap` itself.
#ifndef CKMAP_INTERNAL
using namespace v1;
#endif

}  // namespace ckmap

// CKMAP_TRY(auto plan, Plan::Load(path)): the value, or returns the Error from the function that it stands in.
#define CKMAP_TRY_CONCAT_INNER(a, b) a##b
#define CKMAP_TRY_CONCAT(a, b) CKMAP_TRY_CONCAT_INNER(a, b)
#define CKMAP_TRY_INNER(result, variable, expression) \
  auto result = (expression);                         \
  if (!result) return std::move(result).error();      \
  variable = *std::move(result)
#define CKMAP_TRY(variable, expression) CKMAP_TRY_INNER(CKMAP_TRY_CONCAT(ckmap_try_, __LINE__), variable, expression)
