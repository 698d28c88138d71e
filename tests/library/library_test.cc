// <ckmap/ckmap.h> and <ckmap/compiler.h>, as another project sees them: what they write is what the program writes,
// what they load is what they write, and whoever uses them in an unkind way gets an Error.
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include <ckmap/compiler.h>

#include "tests/support/temp_folder.h"

namespace {

namespace fs = std::filesystem;
using ckmap::TempFolder;

const std::string kData = CKMAP_TEST_DATA;

template <typename T>
T Must(ckmap::Result<T> result) {
  if (!result) FAIL(result.error().message());
  return *std::move(result);
}

std::string FileText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), path.string());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The files of a folder, or one file, by their names.
std::map<std::string, std::string> Files(const fs::path& path) {
  std::map<std::string, std::string> files;
  if (!fs::is_directory(path)) return {{"", FileText(path)}};
  for (const auto& entry : fs::directory_iterator(path))
    files[entry.path().filename().string()] = FileText(entry.path());
  return files;
}

// Runs the program; gives its exit code.
int Run(const std::vector<std::string>& args) {
  std::string command = CKMAP_PROGRAM;
  for (const std::string& arg : args) command += " '" + arg + "'";
  command += " >/dev/null 2>&1";
  return WEXITSTATUS(std::system(command.c_str()));
}

std::string PlanFile(const TempFolder& folder, const ckmap::Plan& plan) {
  const std::string path = folder / "rules.ckplan";
  std::ofstream(path, std::ios::binary) << plan.Serialize();
  return path;
}

ckmap::Plan Rules(const std::string& statements) {
  return Must(ckmap::CompileText("ckmap 1;\nmigration t from pytorch to mindspore;\n" + statements));
}

// A safetensors file of float tensors; each element has its own value.
void WriteSafetensors(const std::string& path, const std::vector<std::pair<std::string, ckmap::Shape>>& tensors,
                      float scale = 1) {
  std::string header = "{";
  std::vector<float> values;
  for (const auto& [name, shape] : tensors) {
    int64_t count = 1;
    std::string sizes;
    for (const int64_t size : shape) {
      count *= size;
      sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    }
    const size_t begin = values.size() * 4;
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(values.size() % 60000) * scale);
    header += (header.size() > 1 ? ",\"" : "\"") + name + "\":{\"dtype\":\"F32\",\"shape\":[" + sizes +
              "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(values.size() * 4) + "]}";
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << header;
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
}

const std::vector<std::string> kFormats = {"ckpt", "safetensors", "torch", "npz", "gguf"};

// Saves with the library and with the program; both fail, or both write the same bytes.
bool CompareSaved(const TempFolder& folder, const ckmap::Plan& plan, const std::string& source,
                  const std::string& target, const ckmap::OpenOptions& open, const ckmap::Params& params,
                  ckmap::SaveOptions save, std::vector<std::string> more) {
  INFO(source << " to " << save.format);
  const std::string ending = save.max_shard_size > 0 ? "" : "." + save.format;  // shards go into a folder
  const std::string by_library = folder / ("library" + ending), by_program = folder / ("program" + ending);
  fs::remove_all(by_library);
  fs::remove_all(by_program);
  save.fsync = false;
  const auto convert = [&]() -> ckmap::Result<ckmap::Report> {
    CKMAP_TRY(const auto checkpoint, ckmap::Checkpoint::Open(source, open));
    CKMAP_TRY(const auto migration, ckmap::Migration::Prepare(plan, checkpoint, target, params));
    return migration.Save(by_library, save);
  };
  const auto report = convert();
  std::vector<std::string> args = {
      "apply",     PlanFile(folder, plan), source, "--target", target, "-o", by_program, "--to",
      save.format, "--no-fsync",           "-q"};
  args.insert(args.end(), more.begin(), more.end());
  const int exit_code = Run(args);
  CHECK_MESSAGE(exit_code == (report ? 0 : static_cast<int>(report.error().code())),
                (report ? "" : report.error().message()));
  if (!report || exit_code != 0) {
    CHECK(!fs::exists(by_library));
    return false;
  }
  std::map<std::string, std::string> a = Files(by_library), b = Files(by_program);
  REQUIRE(a.size() == b.size());
  for (const auto& [name, text] : a) CHECK_MESSAGE(b[name] == text, name);
  return true;
}

TEST_CASE("what the library saves is what the program writes, from every format to every format") {
  const TempFolder folder;
  const ckmap::Plan plan = Rules("");
  const std::vector<std::string> sources = {"ckpt/plain.ckpt",
                                            "ckpt/append_dict.ckpt",
                                            "ckpt/tied.ckpt",
                                            "ckpt/crc.ckpt",
                                            "ckpt/dtypes.ckpt",
                                            "safetensors/ms_crc.safetensors",
                                            "safetensors/ms_append_dict.safetensors",
                                            "safetensors/hf_sharded",
                                            "safetensors/ms_tied.safetensors",
                                            "torch/zip_default.pt",
                                            "torch/zip_training.pt",
                                            "numpy/net.npz",
                                            "numpy/net_deflated.npz",
                                            "numpy/fc.weight.npy",
                                            "gguf/numbers.gguf",
                                            "gguf/quantised.gguf",
                                            "onnx/net.onnx",
                                            "onnx/external.onnx",
                                            "hdf5/dense.h5",
                                            "hdf5/net.keras",
                                            "mindir/add_no_encrpty.mindir"};
  int compared = 0;
  for (const std::string& source : sources) {
    for (const std::string& format : kFormats) {
      const std::string path = kData + "/" + source;
      compared +=
          CompareSaved(folder, plan, path, path, {}, {}, {.format = format, .digest = true}, {"--digest"}) ? 1 : 0;
    }
  }
  CHECK(compared > 60);
}

TEST_CASE("shards, checksums, selections, ranks, ties and texts are the same, too") {
  const TempFolder folder;
  const ckmap::Plan plan = Rules("");
  const std::string plain = kData + "/ckpt/plain.ckpt";
  CHECK(CompareSaved(folder, plan, plain, plain, {}, {}, {.format = "ckpt", .crc = true}, {"--crc"}));
  const std::string big = folder / "big.safetensors";
  WriteSafetensors(big, {{"a.w", {64, 64}}, {"b.w", {64, 32}}, {"c.w", {8}}});
  CHECK(CompareSaved(folder, plan, big, big, {}, {}, {.format = "safetensors", .max_shard_size = 12000},
                     {"--max-shard-size", "12000"}));
  CHECK_FALSE(CompareSaved(folder, plan, big, big, {}, {}, {.format = "npz", .max_shard_size = 12000},
                           {"--max-shard-size", "12000"}));
  CHECK(CompareSaved(folder, Rules("shard \"a.w\" axis=0 over tp;\nshard \"b.w\" axis=1 over tp;\n"), big, big, {},
                     {.ranks = {{"tp", {1, 2}}}}, {.format = "ckpt"}, {"--rank", "tp=1/2"}));
  const std::string spec = folder / "net.yaml";
  std::ofstream(spec) << "tensors:\n  - {name: embed.weight, dtype: f32, shape: [5, 4]}\n"
                         "  - {name: head.weight, dtype: f32, shape: [5, 4], tied_to: embed.weight}\n";
  for (const std::string& format : kFormats) {
    CHECK(CompareSaved(folder, plan, kData + "/torch/zip_tied.pt", spec, {}, {}, {.format = format}, {}));
  }
  std::ofstream(spec) << "tensors:\n  - {name: a.w, dtype: f32, shape: [64, 64]}\n";
  CHECK(CompareSaved(folder, plan, big, spec, {.selection = {.only = {"*.w"}, .drop = {"b.*", "c.*"}}}, {},
                     {.format = "npz"}, {"--only", "*.w", "--drop", "b.*", "--drop", "c.*"}));
}

TEST_CASE("an encrypted output decrypts to what is written without a key") {
  const TempFolder folder;
  const std::string source = kData + "/ckpt/plain.ckpt", key = "0123456789abcdef";
  const auto migration = Must(ckmap::Migration::Prepare(Rules(""), Must(ckmap::Checkpoint::Open(source)), source));
  for (const std::string mode : {"aes-gcm", "aes-cbc", "sm4-cbc"}) {
    const std::string out = folder / (mode + ".ckpt");
    Must(migration.Save(out, {.encrypt = mode, .key = key}));
    CHECK_FALSE(ckmap::Checkpoint::Open(out).ok());
    const auto opened = Must(ckmap::Checkpoint::Open(out, {.key = key, .cipher = mode}));
    CHECK(Must(ckmap::Diff(opened, Must(ckmap::Checkpoint::Open(source)))).empty());
  }
  CHECK(migration.Save(folder / "x.ckpt", {.encrypt = "aes-gcm"}).error().code() == ckmap::ErrorCode::kUsage);
  CHECK(migration.Save(folder / "x.ckpt", {.encrypt = "rot13", .key = key}).error().code() == ckmap::ErrorCode::kUsage);
}

// A plan of random rules and a source that it fits.
struct Example {
  std::string rules;
  std::string target = "framework: mindspore\ntensors:\n";
  std::vector<std::pair<std::string, ckmap::Shape>> tensors;
};

Example RandomExample(std::mt19937& random) {
  const auto below = [&random](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  Example example;
  const auto want = [&example](const std::string& name, const std::string& dtype, const ckmap::Shape& shape) {
    std::string sizes;
    for (const int64_t size : shape) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    example.target += "  - {name: " + name + ", dtype: " + dtype + ", shape: [" + sizes + "]}\n";
  };
  const int64_t count = 1 + below(12);
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "t" + std::to_string(i), other = "n" + std::to_string(i);
    const int64_t rows = 2 * (1 + below(40)), columns = 2 * (1 + below(60));
    example.tensors.push_back({name + ".w", {rows, columns}});
    const std::string from = "\"" + name + ".w\" ", to = " -> \"" + other + ".w\";\n";
    switch (below(7)) {
      case 0:
        want(name + ".w", "f32", {rows, columns});
        break;
      case 1:
        example.rules += from + "| transpose()" + to;
        want(other + ".w", "f32", {columns, rows});
        break;
      case 2:
        example.rules += from + "| cast(f16)" + to;
        want(other + ".w", "f16", {rows, columns});
        break;
      case 3:
        example.rules += from + "| split(axis=0) -> \"" + other + ".{a,b}.w\";\n";
        want(other + ".a.w", "f32", {rows / 2, columns});
        want(other + ".b.w", "f32", {rows / 2, columns});
        break;
      case 4:
        example.tensors.push_back({name + ".v", {rows, columns}});
        example.rules += "\"" + name + ".{w,v}\" | concat(axis=1)" + to;
        want(other + ".w", "f32", {rows, 2 * columns});
        break;
      case 5:
        example.rules += from + "| scale(0.5)" + to;
        want(other + ".w", "f32", {rows, columns});
        break;
      default:
        example.rules += from + "[A, B] | reshape(B, A)" + to;
        want(other + ".w", "f32", {columns, rows});
        break;
    }
  }
  return example;
}

// The tensors of a stream in its order.
std::vector<ckmap::Tensor> All(ckmap::TensorStream stream) {
  std::vector<ckmap::Tensor> tensors;
  for (;;) {
    auto next = Must(stream.Next());
    if (!next) return tensors;
    tensors.push_back(*std::move(next));
  }
}

TEST_CASE("Load and LoadInto give the bytes that Save writes, for random plans") {
  const TempFolder folder;
  std::mt19937 random(20);
  int views = 0, copies = 0, fitting = 0;
  for (int round = 0; round < 100; ++round) {
    const Example example = RandomExample(random);
    INFO(round << "\n" << example.rules << example.target);
    const std::string source = folder / "source.safetensors", spec = folder / "net.yaml",
                      out = folder / "out.safetensors";
    WriteSafetensors(source, example.tensors, 0.25F);
    std::ofstream(spec) << example.target;
    const auto opened = Must(ckmap::Checkpoint::Open(source));
    const auto migration = Must(ckmap::Migration::Prepare(Rules(example.rules), opened, spec));
    Must(migration.Save(out, {.force = true, .fsync = false}));
    const auto saved = Must(ckmap::Checkpoint::Open(out));
    ++fitting;

    ckmap::RunOptions options{
        .threads = 1 + round % 3, .max_memory = round % 2 == 0 ? 64 << 20 : 1 << 20, .views = round % 4 != 1};
    if (round % 5 == 4) {
      for (const auto& tensor : migration.target().tensors()) options.order.push_back(tensor.name);
      std::shuffle(options.order.begin(), options.order.end(), random);
    }
    const std::vector<ckmap::Tensor> tensors = All(Must(migration.Load(options)));
    REQUIRE(tensors.size() == migration.target().tensors().size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const ckmap::Tensor& tensor = tensors[i];
      CHECK(tensor.name() == (options.order.empty() ? migration.target().tensors()[i].name : options.order[i]));
      const ckmap::Tensor wanted = Must(saved.Read(tensor.name()));
      CHECK(tensor.dtype() == wanted.dtype());
      CHECK(tensor.shape() == wanted.shape());
      CHECK_MESSAGE(std::ranges::equal(tensor.bytes(), wanted.bytes()), tensor.name());
      (tensor.is_view() ? views : copies) += 1;
      if (!options.views) CHECK_FALSE(tensor.is_view());
    }

    std::map<std::string, std::vector<std::byte>> memory;
    std::vector<ckmap::Destination> destinations;
    for (const auto& tensor : migration.target().tensors()) {
      auto& bytes = memory[tensor.name];
      bytes.resize(Must(saved.Read(tensor.name)).bytes().size(), std::byte{0xee});
      destinations.push_back({tensor.name, bytes});
    }
    Must(migration.LoadInto(destinations, options));
    for (const auto& [name, bytes] : memory)
      CHECK_MESSAGE(std::ranges::equal(bytes, Must(saved.Read(name)).bytes()), name);
  }
  CHECK(fitting == 100);
  CHECK(views > 20);
  CHECK(copies > 100);
}

// A migration of 64 tensors of 1 MiB, each transposed, and its source.
struct Large {
  explicit Large(const TempFolder& folder, const std::string& how = "| transpose() ", int64_t count = 64) {
    std::vector<std::pair<std::string, ckmap::Shape>> tensors;
    std::string target = "framework: mindspore\ntensors:\n";
    for (int64_t i = 0; i < count; ++i) {
      tensors.push_back({"t" + std::to_string(i) + ".w", {512, 512}});
      target += "  - {name: n" + std::to_string(i) + ".w, dtype: f32, shape: [512, 512]}\n";
    }
    source = folder / "large.safetensors";
    WriteSafetensors(source, tensors);
    spec = folder / "large.yaml";
    std::ofstream(spec) << target;
    plan = "\"t{i}.w\" " + how + "-> \"n{i}.w\";\n";
    migration = Must(ckmap::Migration::Prepare(Rules(plan), Must(ckmap::Checkpoint::Open(source)), spec));
  }
  std::string source, spec, plan;
  ckmap::Migration migration;
};

int Threads() {
  return static_cast<int>(std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator{}));
}

TEST_CASE("a consumer that stops early, is slow or throws leaves nothing running") {
  const TempFolder folder;
  const Large large(folder);
  const int before = Threads();
  for (const int taken : {0, 1, 3, 63}) {
    auto stream = Must(large.migration.Load({.threads = 3, .max_memory = 4 << 20}));
    for (int i = 0; i < taken; ++i) CHECK(Must(stream.Next()).has_value());
  }
  CHECK(Threads() == before);
  {
    auto stream = Must(large.migration.Load({.threads = 2, .max_memory = 2 << 20}));
    int count = 0;
    while (Must(stream.Next())) {
      if (++count % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(count == 64);
    CHECK_FALSE(Must(stream.Next()).has_value());  // and again
  }
  CHECK(Threads() == before);
  const auto consume = [&] {
    auto stream = Must(large.migration.Load({.threads = 3, .max_memory = 4 << 20}));
    Must(stream.Next());
    throw std::runtime_error("the consumer's own");
  };
  CHECK_THROWS_WITH(consume(), "the consumer's own");
  CHECK(Threads() == before);
  // A tensor outlives its stream, its migration and its checkpoint.
  std::optional<ckmap::Tensor> kept;
  {
    const Large views(folder, "");
    kept = Must(Must(views.migration.Load()).Next());
  }
  REQUIRE(kept);
  CHECK(kept->is_view());
  float value = 0;
  std::memcpy(&value, kept->bytes().data() + 8, 4);
  CHECK(value == 2);
}

// A consumer in a thread of its own: the number of tensors that it got whole.
int64_t Consume(const Large& large, int which) {
  const ckmap::RunOptions options{.threads = 1 + which % 4, .max_memory = 2 << 20};
  if (which % 4 == 3) {
    std::vector<std::byte> memory(64 << 20);
    std::vector<ckmap::Destination> destinations;
    for (size_t i = 0; const auto& tensor : large.migration.target().tensors())
      destinations.push_back({tensor.name, std::span(memory).subspan(i++ << 20, 1 << 20)});
    return large.migration.LoadInto(destinations, options).ok() ? 64 : -1;
  }
  auto stream = large.migration.Load(options);
  if (!stream.ok()) return -1;
  int64_t taken = 0;
  for (const int64_t wanted = which % 4 == 0 ? 64 : 5; taken < wanted; ++taken) {
    const auto next = stream->Next();
    if (!next.ok() || !next->has_value()) return -1;
    if (which % 4 == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return taken;
}

TEST_CASE("eight threads use one migration at once, whole, slowly, in part and into memory") {
  const TempFolder folder;
  const Large large(folder);
  const int before = Threads();
  std::vector<int64_t> taken(8);
  {
    std::vector<std::jthread> consumers;
    for (int i = 0; i < 8; ++i) consumers.emplace_back([&, i] { taken[static_cast<size_t>(i)] = Consume(large, i); });
  }
  for (int i = 0; i < 8; ++i) CHECK(taken[static_cast<size_t>(i)] == (i % 4 == 0 || i % 4 == 3 ? 64 : 5));
  CHECK(Threads() == before);
  const auto eight = All(Must(large.migration.Load({.threads = 8})));
  const auto one = All(Must(large.migration.Load({.threads = 1})));
  REQUIRE(eight.size() == one.size());
  for (size_t i = 0; i < one.size(); ++i) CHECK(std::ranges::equal(eight[i].bytes(), one[i].bytes()));
}

TEST_CASE("a stop token ends every call, and what a callback throws arrives at the caller") {
  const TempFolder folder;
  const Large large(folder);
  std::stop_source stop;
  const auto stopping = [&](int64_t, int64_t) { stop.request_stop(); };
  auto saved = large.migration.Save(folder / "x.ckpt",
                                    {.run = {.max_memory = 1 << 20, .progress = stopping, .stop = stop.get_token()}});
  REQUIRE_FALSE(saved.ok());
  CHECK(saved.error().code() == ckmap::ErrorCode::kStopped);
  CHECK_FALSE(fs::exists(folder / "x.ckpt"));
  const ckmap::RunOptions stopped{.stop = stop.get_token()};
  std::vector<std::vector<std::byte>> memory;
  std::vector<ckmap::Destination> destinations;
  for (const auto& tensor : large.migration.target().tensors())
    destinations.push_back({tensor.name, memory.emplace_back(size_t{1} << 20)});
  const auto loaded = large.migration.LoadInto(destinations, stopped);
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().code() == ckmap::ErrorCode::kStopped);
  CHECK(loaded.error().issues().size() > 0);
  // Next waits, and another thread stops it.
  std::stop_source later;
  auto stream = Must(large.migration.Load({.max_memory = 1 << 20, .stop = later.get_token()}));
  std::thread stopper([&later] { later.request_stop(); });
  for (int i = 0; i < 65; ++i) {
    const auto next = stream.Next();
    if (next) continue;
    CHECK(next.error().code() == ckmap::ErrorCode::kStopped);
    break;
  }
  stopper.join();
  const auto throwing = [](int64_t, int64_t) { throw std::runtime_error("the callback's own"); };
  CHECK_THROWS_WITH(
      (void)large.migration.Save(folder / "x.ckpt", {.run = {.max_memory = 1 << 20, .progress = throwing}}),
      "the callback's own");
  CHECK_THROWS_WITH((void)large.migration.LoadInto(destinations, {.max_memory = 1 << 20, .progress = throwing}),
                    "the callback's own");
  CHECK_FALSE(fs::exists(folder / "x.ckpt"));
}

// Of /proc/self/status, in bytes.
int64_t AnonymousMemory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  }
  return 0;
}

// Bytes that this process has asked to be read.
int64_t BytesRead() {
  std::ifstream io("/proc/self/io");
  std::string line;
  while (std::getline(io, line)) {
    if (line.starts_with("rchar:")) return std::stoll(line.substr(6));
  }
  return -1;
}

TEST_CASE("Load stays within its memory and gives the first tensor early") {
  const TempFolder folder;
  const Large large(folder, "| transpose() ", 200);
  const int64_t budget = 8 << 20;
  const int64_t size = static_cast<int64_t>(fs::file_size(large.source));
  Must(Must(large.migration.Load({.threads = 2, .max_memory = budget})).Next());  // whatever is made once is made
  const int64_t before = AnonymousMemory();
  int64_t peak = 0;
  auto stream = Must(large.migration.Load({.threads = 2, .max_memory = budget}));
  while (auto tensor = Must(stream.Next())) peak = std::max(peak, AnonymousMemory() - before);
  MESSAGE("peak of anonymous memory: " << peak << " bytes, the budget is " << budget);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose shadow memory is anonymous too
  CHECK(peak <= budget + (3 << 20));  // with the tensor that the consumer holds, and the stacks of the threads
#endif

  const int64_t read = BytesRead();
  if (read < 0) return;  // a system without accounts of it
  auto first = Must(large.migration.Load({.threads = 1, .max_memory = 2 << 20}));
  CHECK(Must(first.Next()).has_value());
  const int64_t until_first = BytesRead() - read;
  MESSAGE("bytes read until the first tensor: " << until_first << " of " << size);
  CHECK(until_first <= size / 20);
}

// Counts how often a file is opened.
class Opens {
 public:
  explicit Opens(const std::string& path) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (fd_ >= 0) ::inotify_add_watch(fd_, path.c_str(), IN_OPEN);
  }
  ~Opens() {
    if (fd_ >= 0) ::close(fd_);
  }
  Opens(const Opens&) = delete;
  Opens& operator=(const Opens&) = delete;
  bool works() const { return fd_ >= 0; }
  int count() {
    alignas(inotify_event) char buffer[4096];
    for (ssize_t length; (length = ::read(fd_, buffer, sizeof buffer)) > 0;)
      count_ += static_cast<int>(length / static_cast<ssize_t>(sizeof(inotify_event)));
    return count_;
  }

 private:
  int fd_;
  int count_ = 0;
};

TEST_CASE("each file is opened once, and each byte of the source is read once, with its checksum") {
  const TempFolder folder;
  const Large large(folder, "", 16);
  const std::string target = folder / "same.yaml", json = folder / "same.json";
  std::ofstream yaml(target);
  yaml << "tensors:\n";
  std::string items;
  for (int i = 0; i < 16; ++i) {
    yaml << "  - {name: t" << i << ".w, dtype: f32, shape: [512, 512]}\n";
    items += std::string(i > 0 ? "," : "") + "{\"name\":\"t" + std::to_string(i) +
             ".w\",\"dtype\":\"f32\",\"shape\":[512,512]}";
  }
  yaml.close();
  std::ofstream(json) << "{\"tensors\":[" << items << "]}";
  const ckmap::Plan plan = Rules("");
  const TempFolder outputs;
  const std::string out = outputs / "out.safetensors";
  const auto whole = Must(ckmap::Migration::Prepare(plan, Must(ckmap::Checkpoint::Open(large.source)), target));
  struct Source {
    std::string format;
    bool crc;
  };
  for (const Source& made :
       {Source{"safetensors", false}, Source{"safetensors", true}, Source{"torch", false}, Source{"ckpt", false},
        Source{"ckpt", true}, Source{"npz", false}, Source{"gguf", false}}) {
    INFO(std::string(made.format + (made.crc ? " with crc_num" : "")));
    const std::string source = folder / ("source." + made.format);
    Must(whole.Save(source, {.format = made.format, .crc = made.crc, .force = true, .fsync = false}));
    for (const std::string& spec : {target, json}) {
      Opens opens(source), spec_opens(spec);
      const int64_t before = BytesRead();
      const auto migration = Must(ckmap::Migration::Prepare(plan, Must(ckmap::Checkpoint::Open(source)), spec));
      Must(migration.Save(out, {.force = true, .fsync = false}));
      const int64_t read = BytesRead() - before;
      const auto size = static_cast<double>(fs::file_size(source));
      if (opens.works()) {
        CHECK(opens.count() == 1);
        CHECK(spec_opens.count() == 1);
      }
      if (before >= 0) {
        MESSAGE(std::string(made.format + (made.crc ? " with crc_num: " : ": "))
                << static_cast<double>(read) / size << " bytes read for each of the source");
        CHECK(static_cast<double>(read) <= 1.05 * size);
      }
      // The elements are the same, so the checks on the way let the right bytes pass.
      CHECK(Must(ckmap::Diff(Must(ckmap::Checkpoint::Open(out)), Must(ckmap::Checkpoint::Open(large.source)))).empty());
    }
  }
}

TEST_CASE("a damaged source is found while it is read, and leaves nothing behind") {
  const TempFolder folder;
  const Large large(folder, "", 8);
  const auto whole =
      Must(ckmap::Migration::Prepare(Rules(large.plan), Must(ckmap::Checkpoint::Open(large.source)), large.spec));
  for (const std::string format : {"torch", "ckpt", "npz", "safetensors"}) {
    INFO(format);
    const std::string source = folder / ("source." + format), out = folder / "out.safetensors";
    const bool crc = format == "ckpt" || format == "safetensors";
    Must(whole.Save(source, {.format = format, .crc = crc, .fsync = false}));
    const auto size = static_cast<std::streamoff>(fs::file_size(source));
    std::fstream file(source, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(size / 2 + 100000);
    file << "xxxx";
    file.close();
    const auto opened = Must(ckmap::Checkpoint::Open(source));
    // Once all of it is used, once only a part that is whole.
    const auto migration = Must(ckmap::Migration::Prepare(Rules(""), opened, large.spec));
    const auto saved = migration.Save(out, {.fsync = false});
    REQUIRE_FALSE(saved.ok());
    CHECK(saved.error().code() == ckmap::ErrorCode::kMalformed);
    CHECK(saved.error().message().find("CRC") != std::string::npos);
    CHECK_FALSE(fs::exists(out));
    for (const bool views : {true, false}) {
      auto stream = Must(migration.Load({.threads = 2, .views = views}));
      int given = 0;
      ckmap::Result<std::optional<ckmap::Tensor>> next = stream.Next();
      for (; next && *next; next = stream.Next()) ++given;
      REQUIRE_FALSE(next.ok());
      CHECK(next.error().code() == ckmap::ErrorCode::kMalformed);
      if (!crc) CHECK(given < 8);  // a member of an archive has a checksum of its own
    }
    std::vector<std::vector<std::byte>> memory;
    std::vector<ckmap::Destination> destinations;
    for (const auto& tensor : migration.target().tensors())
      destinations.push_back({tensor.name, memory.emplace_back(size_t{1} << 20)});
    CHECK(migration.LoadInto(destinations).error().code() == ckmap::ErrorCode::kMalformed);
    fs::remove(source);
  }
}

TEST_CASE("destinations that are wrong are all named before a byte is written") {
  const TempFolder folder;
  const Large large(folder, "", 3);
  std::vector<std::byte> a(size_t{1} << 20, std::byte{7}), b(size_t{1} << 20, std::byte{7});
  const std::vector<ckmap::Destination> wrong = {
      {"n0.w", a}, {"n1.w", std::span(a).subspan(4)}, {"n9.w", b}, {"n0.w", b}};
  const auto loaded = large.migration.LoadInto(wrong);
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().code() == ckmap::ErrorCode::kUsage);
  std::string all;
  for (const auto& issue : loaded.error().issues()) all += issue.message + "\n";
  CHECK(all.find("`n1.w` has 1048572 bytes, f32 [512, 512] needs 1048576") != std::string::npos);
  CHECK(all.find("no tensor of this name") != std::string::npos);
  CHECK(all.find("`n0.w` is given twice") != std::string::npos);
  CHECK(all.find("`n2.w` has no destination") != std::string::npos);
  CHECK(std::ranges::all_of(a, [](std::byte value) { return value == std::byte{7}; }));
  const auto overlapping =
      large.migration.LoadInto(std::vector<ckmap::Destination>{{"n0.w", a}, {"n1.w", a}, {"n2.w", b}});
  REQUIRE_FALSE(overlapping.ok());
  CHECK(overlapping.error().message().find("overlap") != std::string::npos);
}

TEST_CASE("a misfit is one Error with all issues, and rules that do not compile name their lines") {
  const TempFolder folder;
  const Large large(folder, "", 2);
  const auto misfit = ckmap::Migration::Prepare(Rules("\"t0.w\" -> \"other.w\";\n"),
                                                Must(ckmap::Checkpoint::Open(large.source)), large.spec);
  REQUIRE_FALSE(misfit.ok());
  CHECK(misfit.error().code() == ckmap::ErrorCode::kMisfit);
  CHECK(misfit.error().issues().size() >= 3);
  CHECK(std::ranges::any_of(misfit.error().issues(), [](const auto& issue) { return issue.code == "CK1201"; }));
  const auto mistakes =
      ckmap::CompileText("ckmap 1;\nmigration t from a to b;\nrename fc -> x;\nrename fc -> y;\n", "mine.ckmap");
  REQUIRE_FALSE(mistakes.ok());
  REQUIRE(mistakes.error().issues().size() > 0);
  CHECK(mistakes.error().issues()[0].file == "mine.ckmap");
  CHECK(mistakes.error().issues()[0].line == 4);
  // A live network: names, shapes and dtypes, no file.
  const auto net = Must(ckmap::Manifest::Of({{.name = "n0.w", .dtype = ckmap::DType::kF32, .shape = {512, 512}},
                                             {.name = "n1.w", .dtype = ckmap::DType::kF32, .shape = {512, 512}}}));
  const auto migration =
      Must(ckmap::Migration::Prepare(Rules(large.plan), Must(ckmap::Checkpoint::Open(large.source)), net));
  CHECK(migration.bound().tensors.size() == 2);
  CHECK(migration.bound().tensors[0].sources == std::vector<std::string>{"t0.w"});
  CHECK(migration.cost().bytes_written == 2 << 20);
  CHECK(migration.Table(true).find("n0.w") != std::string::npos);
  // And a source that is not there yet.
  const auto planned =
      Must(ckmap::Migration::Prepare(Rules(large.plan), Must(ckmap::Manifest::Read(large.source)), net));
  CHECK(planned.Save(folder / "x.ckpt").error().code() == ckmap::ErrorCode::kUsage);
  CHECK(planned.Load().error().code() == ckmap::ErrorCode::kUsage);
}

TEST_CASE("no file that a migration reads is an output, under whatever name, with or without force") {
  const TempFolder folder;
  const std::string index = folder / "m/model.safetensors.index.json";
  fs::create_directories(folder / "m");
  WriteSafetensors(folder / "m/a.safetensors", {{"a.w", {2}}});
  WriteSafetensors(folder / "m/b.safetensors", {{"b.w", {2}}});
  std::ofstream(index) << R"({"weight_map": {"a.w": "a.safetensors", "b.w": "b.safetensors"}})";
  std::ofstream(folder / "t.yaml") << "tensors:\n  - {name: a.w, dtype: f32, shape: [2]}\n"
                                      "  - {name: b.w, dtype: f32, shape: [2]}\n";
  std::ofstream(folder / "config.json") << "{}";
  fs::create_hard_link(folder / "m/a.safetensors", folder / "hard.safetensors");
  fs::create_symlink("m/b.safetensors", folder / "link.safetensors");
  const auto before = Files(folder / "m");
  const auto source = Must(ckmap::Checkpoint::Open(index));
  const auto migration = Must(ckmap::Migration::Prepare(Rules(""), source, ckmap::Target(folder / "t.yaml"),
                                                        {.config = folder / "config.json"}));
  for (const char* name : {"m/a.safetensors", "m/b.safetensors", "m/../m/b.safetensors", "hard.safetensors",
                           "link.safetensors", "t.yaml", "config.json", "m/model.safetensors.index.json"}) {
    for (const bool force : {false, true}) {
      CAPTURE(name);
      const auto saved = migration.Save(folder / name, {.format = "safetensors", .force = force, .fsync = false});
      REQUIRE_FALSE(saved.ok());
      CHECK(saved.error().code() == ckmap::ErrorCode::kUsage);
    }
  }
  CHECK(Files(folder / "m") == before);
  CHECK(migration.Save(folder / "out.safetensors", {.fsync = false}).ok());
  SUBCASE("an output is no input of another migration for good") {
    Must(ckmap::Checkpoint::Open(folder / "out.safetensors"));
    CHECK(migration.Save(folder / "out.safetensors", {.force = true, .fsync = false}).ok());
  }
}

TEST_CASE("Verify checks the receipt, the report and the source") {
  const TempFolder folder;
  const Large large(folder, "", 3);
  const std::string out = folder / "out.safetensors", plain = folder / "out.ckpt";
  Must(large.migration.Save(out, {.digest = true}));
  const auto report = Must(large.migration.Save(plain, {.digest = true}));
  CHECK(Must(ckmap::Verify(out)).by_digest == 3);
  CHECK(Must(ckmap::Verify(out, {.source = large.source})).by_source == 3);
  CHECK(Must(ckmap::Verify(plain, {.report_json = report.json})).ok);
  CHECK(ckmap::Verify(plain).error().code() == ckmap::ErrorCode::kUsage);
  std::fstream file(out, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-4, std::ios::end);
  file << "xxxx";
  file.close();
  const auto verdict = Must(ckmap::Verify(out));
  CHECK_FALSE(verdict.ok);
  REQUIRE(verdict.issues.size() == 1);
  CHECK(verdict.issues[0].tensor == "n2.w");
  CHECK(ckmap::Verify(plain, {.report_json = report.json, .plan = "x.ckplan"}).error().code() ==
        ckmap::ErrorCode::kUsage);
}

TEST_CASE("Verify runs the plan again, and says what was proved") {
  const TempFolder folder;
  WriteSafetensors(folder / "s.safetensors", {{"w", {2, 3}}});
  std::ofstream(folder / "t.yaml") << "tensors:\n  - {name: w, dtype: f32, shape: [3, 2]}\n";
  const ckmap::Plan plan = Rules("\"w\" [A, B] | transpose() <-> \"w\" [B, A];\n");
  const std::string file = PlanFile(folder, plan);
  const auto source = Must(ckmap::Checkpoint::Open(folder / "s.safetensors"));
  const auto migration = Must(ckmap::Migration::Prepare(plan, source, ckmap::Target(folder / "t.yaml")));
  Must(migration.Save(folder / "out.safetensors", {.fsync = false}));
  ckmap::VerifyOptions options;
  options.source = folder / "s.safetensors";
  options.plan = file;
  const auto verdict = Must(ckmap::Verify(folder / "out.safetensors", options));
  CHECK(verdict.ok);
  CHECK(verdict.recomputed == 1);
  CHECK_FALSE(verdict.proved.empty());
  WriteSafetensors(folder / "s.safetensors", {{"w", {2, 3}}}, 2);
  const auto other = Must(ckmap::Verify(folder / "out.safetensors", options));
  CHECK_FALSE(other.ok);
  CHECK(other.proved.empty());
}

}  // namespace
