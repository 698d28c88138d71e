// Damaged files: every prefix of small real ones, and real ones with one bit turned over. Each is refused, or is read
// as what it says: where the bit lies in the bytes of a tensor, everything but that bit is as before.
//
//     mutations [--flips N] [--seed S] [--prefixes-of BYTES] [--accepted FILE] DATA
//
// DATA is a folder such as tests/data; all files with an oracle beside them are used. A prefix, or a change elsewhere
// (a name, a shape), that is read without complaint is written to FILE, a line of JSON each, for check_mutants.py to
// ask the real frameworks. A read that takes more than a second of processor time, or a peak above 256 MB, is a
// failure. Exit code 1 if anything fails.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/sha256.h"
#include "runtime/formats/open.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr double kMaxSeconds = 1.0;
constexpr long kMaxKilobytes = 256 << 10;
constexpr int64_t kMaxRead = int64_t{16} << 20;  // of one storage; the fixtures' are far smaller

struct Fixture {
  std::string path;   // what is opened
  std::string file;   // what is changed: the same, or a file of the folder
  std::string bytes;  // of `file`
  OpenOptions options;
};

// What a file says, whole.
struct Reading {
  Manifest manifest;
  std::vector<std::string> storages;  // bytes, by storage
  std::map<std::string, std::string> metadata;
  std::vector<TensorLayout> layouts;
  std::vector<std::vector<FileExtent>>
      extents;  // by storage; fd is -1 where they lie in another file than the changed one
};

double ProcessorSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::vector<FileExtent> MarkOthers(std::vector<FileExtent> extents, const std::string& path) {
  struct stat changed {};
  if (::stat(path.c_str(), &changed) != 0) std::abort();
  for (FileExtent& run : extents) {
    struct stat status {};
    if (::fstat(run.fd, &status) != 0) std::abort();
    if (status.st_ino != changed.st_ino) run.fd = -1;
  }
  return extents;
}

Result<Reading> Read(const Fixture& fixture) {
  CKMAP_ASSIGN_OR_RETURN(const auto checkpoint, OpenCheckpoint(fixture.path, fixture.options));
  Reading reading;
  reading.manifest = checkpoint->manifest();
  reading.metadata = checkpoint->metadata();
  for (size_t i = 0; i < reading.manifest.size(); ++i) {
    reading.layouts.push_back(checkpoint->layout(i));
    if (!reading.manifest[i].unreadable.empty()) continue;
    const uint32_t storage = checkpoint->layout(i).storage;
    if (storage >= reading.storages.size()) {
      reading.storages.resize(storage + 1);
      reading.extents.resize(storage + 1);
    }
    if (!reading.storages[storage].empty()) continue;
    const int64_t bytes = checkpoint->storage_bytes(storage);
    if (bytes > kMaxRead) return Error(ErrorCode::kLimit, "a storage that no fixture has");
    CKMAP_RETURN_IF_ERROR(checkpoint->VerifyStorage(storage));
    std::string& content = reading.storages[storage];
    content.resize(static_cast<size_t>(bytes));
    CKMAP_RETURN_IF_ERROR(checkpoint->ReadStorage(storage, 0, std::as_writable_bytes(std::span(content))));
    reading.extents[storage] =
        MarkOthers(checkpoint->storage_extents(storage), fixture.file.empty() ? fixture.path : fixture.file);
  }
  return reading;
}

class Mutations {
 public:
  explicit Mutations(std::FILE* accepted) : accepted_(accepted) {}

  void AllPrefixes(const Fixture& fixture);
  void Flips(const Fixture& fixture, int64_t count, std::mt19937_64& random);
  int Finish() const;

 private:
  Result<Reading> Timed(const Fixture& fixture, const std::string& what);
  void CheckFlip(const Fixture& fixture, const Reading& before, const Reading& after, int64_t byte, int bit);
  template <typename How>
  void WriteAccepted(const Fixture& fixture, const How& how) {
    if (accepted_ == nullptr) return;
    JsonWriter json;
    json.BeginObject().Key("file").String(fixture.file);
    how(json);
    json.EndObject();
    std::string line = std::move(json).Finish();
    std::erase(line, '\n');
    fmt::print(accepted_, "{}\n", line);
  }
  void Fail(const Fixture& fixture, const std::string& what, const std::string& why) {
    if (++failures_ <= 40) fmt::print("FAIL {} {}: {}\n", fixture.file, what, why);
  }

  std::FILE* accepted_;
  int64_t prefixes_ = 0;
  int64_t prefixes_read_ = 0;
  int64_t flips_ = 0;
  int64_t refused_ = 0;
  int64_t content_ = 0;
  int64_t structure_ = 0;
  int64_t failures_ = 0;
  double slowest_ = 0;
  std::string slowest_what_;
};

Result<Reading> Mutations::Timed(const Fixture& fixture, const std::string& what) {
  const double start = ProcessorSeconds();
  Result<Reading> reading = Read(fixture);
  const double seconds = ProcessorSeconds() - start;
  if (seconds > slowest_) {
    slowest_ = seconds;
    slowest_what_ = fixture.file + " " + what;
  }
  if (seconds > kMaxSeconds) Fail(fixture, what, fmt::format("took {:.2f} s", seconds));
  const bool absent =
      !reading && fixture.path != fixture.file && reading.error().code() == ErrorCode::kIo;  // a name was changed
  if (!reading && !absent && reading.error().code() != ErrorCode::kMalformed &&
      reading.error().code() != ErrorCode::kLimit) {
    Fail(fixture, what, "is not refused as malformed: " + reading.error().message());
  }
  return reading;
}

// Why tensor `i` of a cut file is not as in the whole; "" if it is. A map parameter may have fewer rows: its entries
// are rows, and where the last of them ends nothing says.
std::string CheckPart(const Reading& part, size_t i, const Reading& whole) {
  const TensorInfo& info = part.manifest[i];
  const auto same = whole.manifest.Find(info.name);
  if (!same) return fmt::format("reads a tensor `{}` that the whole does not have", info.name);
  Shape wanted = whole.manifest[*same].shape;
  const bool rows = info.name.find('#') != std::string::npos && !info.shape.empty() && info.shape[0] <= wanted.at(0);
  if (rows) wanted[0] = info.shape[0];
  if (info.dtype != whole.manifest[*same].dtype || info.shape != wanted) {
    return fmt::format("reads `{}` in another shape or type than the whole", info.name);
  }
  if (!info.unreadable.empty()) return "";
  const std::string& bytes = part.storages[part.layouts[i].storage];
  const std::string& all = whole.storages[whole.layouts[*same].storage];
  const bool equal = rows ? all.starts_with(bytes) : bytes == all;
  return equal ? "" : fmt::format("reads other bytes of `{}`", info.name);
}

// A part of a file is no checkpoint, unless the whole is a row of entries and it ends between two of them.
void Mutations::AllPrefixes(const Fixture& fixture) {
  const auto whole = Read(fixture);
  if (!whole) return Fail(fixture, "whole", whole.error().message());
  for (auto length = static_cast<int64_t>(fixture.bytes.size()) - 1; length >= 0; --length) {
    if (::truncate(fixture.file.c_str(), length) != 0) std::abort();
    const std::string what = fmt::format("cut to {} bytes", length);
    const auto reading = Timed(fixture, what);
    ++prefixes_;
    if (!reading) continue;
    ++prefixes_read_;
    WriteAccepted(fixture, [length](JsonWriter& json) { json.Key("length").Int(length); });
    for (size_t i = 0; i < reading->manifest.size(); ++i) {
      const std::string problem = CheckPart(*reading, i, *whole);
      if (!problem.empty()) Fail(fixture, what, problem);
    }
  }
}

void Mutations::Flips(const Fixture& fixture, int64_t count, std::mt19937_64& random) {
  const auto before = Read(fixture);
  if (!before) return Fail(fixture, "whole", before.error().message());
  const int fd = ::open(fixture.file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) std::abort();
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<int64_t>(random() % fixture.bytes.size());
    const int bit = static_cast<int>(random() % 8);
    const char old = fixture.bytes[static_cast<size_t>(byte)];
    const char changed = static_cast<char>(old ^ (1 << bit));
    if (::pwrite(fd, &changed, 1, byte) != 1) std::abort();
    const auto after = Timed(fixture, fmt::format("bit {} of byte {}", bit, byte));
    ++flips_;
    if (after) {
      CheckFlip(fixture, *before, *after, byte, bit);
    } else {
      ++refused_;
    }
    if (::pwrite(fd, &old, 1, byte) != 1) std::abort();
  }
  ::close(fd);
}

// Where the byte lies in a storage of the file, or (-1, 0).
std::pair<int64_t, int64_t> PlaceOf(const Reading& reading, int64_t byte) {
  for (size_t storage = 0; storage < reading.extents.size(); ++storage) {
    int64_t begin = 0;
    for (const FileExtent& run : reading.extents[storage]) {
      if (run.fd >= 0 && byte >= run.offset && byte < run.offset + run.length) {
        return {static_cast<int64_t>(storage), begin + byte - run.offset};
      }
      begin += run.length;
    }
  }
  return {-1, 0};
}

void Mutations::CheckFlip(const Fixture& fixture, const Reading& before, const Reading& after, int64_t byte, int bit) {
  const std::string what = fmt::format("bit {} of byte {}", bit, byte);
  const auto [storage, offset] = PlaceOf(before, byte);
  if (storage < 0) {
    ++structure_;
    WriteAccepted(fixture, [byte, bit](JsonWriter& json) { json.Key("byte").Int(byte).Key("bit").Int(bit); });
    return;
  }
  ++content_;
  std::vector<std::string> expected = before.storages;
  char& target = expected[static_cast<size_t>(storage)][static_cast<size_t>(offset)];
  target = static_cast<char>(target ^ (1 << bit));
  if (before.manifest.tensors() != after.manifest.tensors()) {
    Fail(fixture, what, "a bit of a tensor's bytes changes names, dtypes or shapes");
  } else if (after.storages != expected) {
    Fail(fixture, what, "other bytes than the one that was changed differ");
  }
}

int Mutations::Finish() const {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} prefixes: {} refused, {} read as a part of the whole\n", prefixes_, prefixes_ - prefixes_read_,
             prefixes_read_);
  fmt::print("{} flips: {} refused, {} in a tensor's bytes and read so, {} elsewhere and read\n", flips_, refused_,
             content_, structure_);
  fmt::print("slowest {:.3f} s ({}); peak {} MiB\n", slowest_, slowest_what_, usage.ru_maxrss >> 10);
  const bool small = usage.ru_maxrss <= kMaxKilobytes;
  if (!small) fmt::print("FAIL: more than 256 MiB of memory\n");
  fmt::print("{} failures\n", failures_ + (small ? 0 : 1));
  return failures_ == 0 && small ? 0 : 1;
}

OpenOptions OptionsOf(const std::string& oracle_path) {
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.load(oracle_path);
  std::string_view hex;
  OpenOptions options;
  if (root["load"]["key_hex"].get(hex) != simdjson::SUCCESS) return options;
  std::string key;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    key += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  options.key = SecretKey(key);
  return options;
}

// Copies of all files with an oracle that can be read, in `work`; of a folder, each of its files in turn.
std::vector<Fixture> FindFixtures(const fs::path& data, const fs::path& work) {
  std::vector<Fixture> fixtures;
  for (const char* top : {"ckpt", "safetensors", "torch", "mindir", "numpy", "gguf", "onnx", "hdf5"}) {
    fs::copy(data / top, work / top, fs::copy_options::recursive);
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(work / top)) {
      if (fs::exists(entry.path().string() + ".json") || entry.path().extension() == ".mindir")
        paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      const std::string oracle = path.string() + ".json";
      Fixture fixture{.path = path.string(),
                      .file = {},
                      .bytes = {},
                      .options = fs::exists(oracle) ? OptionsOf(oracle) : OpenOptions{}};
      if (!Read(fixture)) continue;
      std::vector<fs::path> files = {path};
      if (fs::is_directory(path)) {
        files.clear();
        for (const auto& entry : fs::recursive_directory_iterator(path)) {
          if (entry.is_regular_file()) files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
      }
      for (const fs::path& file : files) {
        fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
        fixture.file = file.string();
        fixture.bytes = *ReadTextFile(fixture.file);
        if (!fixture.bytes.empty()) fixtures.push_back(fixture);
      }
    }
  }
  return fixtures;
}

void Restore(const Fixture& fixture) {
  std::ofstream out(fixture.file, std::ios::binary | std::ios::trunc);
  out << fixture.bytes;
}

struct Options {
  int64_t flips = 2000;
  uint64_t seed = 1;
  int64_t prefixes_of = 600;
  std::string accepted;
  std::string data;
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string("0"); };
    if (argument == "--flips") {
      options.flips = std::stoll(value());
    } else if (argument == "--seed") {
      options.seed = std::stoull(value());
    } else if (argument == "--prefixes-of") {
      options.prefixes_of = std::stoll(value());
    } else if (argument == "--accepted") {
      options.accepted = value();
    } else {
      options.data = argument;
    }
  }
  return options;
}

// Files in memory where that is to be had: a disk takes a hundred times as long for a change of one byte.
fs::path WorkRoot() { return ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path(); }

int Run(const Options& options) {
  std::string work = (WorkRoot() / "ckmap-mutations-XXXXXX").string();
  if (::mkdtemp(work.data()) == nullptr) std::abort();
  const std::vector<Fixture> fixtures = FindFixtures(options.data, work);
  std::FILE* accepted = options.accepted.empty() ? nullptr : std::fopen(options.accepted.c_str(), "w");
  Mutations mutations(accepted);
  std::mt19937_64 random(options.seed);
  size_t cut = 0;
  for (const Fixture& fixture : fixtures) {
    if (static_cast<int64_t>(fixture.bytes.size()) <= options.prefixes_of) {
      ++cut;
      mutations.AllPrefixes(fixture);
      Restore(fixture);
    }
    mutations.Flips(fixture, options.flips / static_cast<int64_t>(fixtures.size()) + 1, random);
  }
  if (accepted != nullptr) std::fclose(accepted);
  fmt::print("{} files, {} of them cut everywhere\n", fixtures.size(), cut);
  fs::remove_all(work);
  return fixtures.empty() ? 1 : mutations.Finish();
}

}  // namespace
}  // namespace ckmap

int main(int argc, char** argv) {
  const ckmap::Options options = ckmap::Parse(argc, argv);
  if (options.data.empty()) {
    std::fprintf(stderr, "usage: mutations [--flips N] [--seed S] [--prefixes-of BYTES] [--accepted FILE] DATA\n");
    return 2;
  }
  return ckmap::Run(options);
}
