// The formats of other frameworks against what their own libraries read (tests/formats/make_fixtures.py), and
// against files that lie (tests/formats/make_hostile.py).
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/formats/open.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

const std::string kData = CKMAP_TEST_DATA;
const std::vector<std::string> kFolders = {"numpy", "gguf", "onnx", "hdf5"};

std::vector<std::string> FixturesOf(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(kData + "/" + folder)) {
    const std::string oracle = entry.path().string();
    if (oracle.ends_with(".json")) paths.push_back(oracle.substr(0, oracle.size() - 5));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// What the oracle says beside tensors and leaves: entries that are only listed, and metadata.
struct Extras {
  std::set<std::string> unreadable;
  std::map<std::string, std::string> metadata;
};

Extras ReadExtras(const std::string& path) {
  dom::parser parser;
  const dom::element root = parser.load(path);
  Extras extras;
  dom::array names;
  if (root["unreadable"].get(names) == simdjson::SUCCESS) {
    for (const dom::element& name : names) extras.unreadable.emplace(std::string_view(name));
  }
  dom::object metadata;
  if (root["metadata"].get(metadata) == simdjson::SUCCESS) {
    for (const auto& [key, value] : metadata) extras.metadata.emplace(key, std::string_view(value));
  }
  return extras;
}

// "" or what differs; checksums too.
std::string CompareAll(const Checkpoint& checkpoint, const std::string& oracle_path) {
  TorchOracle oracle = ReadTorchOracle(oracle_path);
  const Extras extras = ReadExtras(oracle_path);
  std::string differences;
  for (const TensorInfo& info : checkpoint.manifest().tensors()) {
    const bool expected = extras.unreadable.contains(info.name);
    if (info.unreadable.empty() == expected)
      differences += fmt::format("{}: unreadable: \"{}\"\n", info.name, info.unreadable);
    // CompareWithOracle wants every tensor; of these only the name is known.
    if (expected) oracle.tensors.push_back({info.name, std::string(DTypeName(info.dtype)), info.shape, "", -1});
  }
  const auto& known = checkpoint.manifest();
  if (known.size() != oracle.tensors.size())
    differences += fmt::format("{} tensors, not {}\n", known.size(), oracle.tensors.size());
  for (const auto& tensor : oracle.tensors) {
    if (!known.Find(tensor.name)) differences += fmt::format("no tensor {}\n", tensor.name);
  }
  for (const auto& [key, value] : extras.metadata) {
    const auto found = checkpoint.metadata().find(key);
    const std::string have = found == checkpoint.metadata().end() ? "nothing" : found->second;
    if (have != value) differences += fmt::format("metadata {} is {}, not {}\n", key, have, value);
  }
  if (!differences.empty()) return differences;
  // The oracle may list them in another order.
  std::sort(oracle.tensors.begin(), oracle.tensors.end(),
            [&known](const auto& a, const auto& b) { return *known.Find(a.name) < *known.Find(b.name); });
  differences = CompareWithOracle(checkpoint, oracle);
  for (size_t i = 0; i < known.size(); ++i) {
    if (!known[i].unreadable.empty()) continue;
    if (auto verified = checkpoint.VerifyStorage(checkpoint.layout(i).storage); !verified)
      differences += verified.error().message();
  }
  return differences;
}

// A file of these bytes, in memory.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("ckmap-test", 0)) { REQUIRE(fd_ >= 0); }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string Set(std::string_view bytes) const {
    REQUIRE(::ftruncate(fd_, 0) == 0);
    REQUIRE(::pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return fmt::format("/proc/self/fd/{}", fd_);
  }

 private:
  int fd_;
};

std::string Contents(const std::string& path) {
  auto text = ReadTextFile(path);
  REQUIRE(text.ok());
  return *std::move(text);
}

// The name of an array that is a file of its own is the file's, which is another one here.
bool NamedByFile(const std::string& path) { return path.ends_with(".npy"); }
// Whose tensors lie in files beside it.
bool HasCompanions(const std::string& path) {
  return path.find("external") != std::string::npos || path.find("parts/") != std::string::npos;
}

}  // namespace

TEST_CASE("files say what their own libraries read from them") {
  for (const std::string& folder : kFolders) {
    const auto paths = FixturesOf(folder);
    CHECK(paths.size() >= 5);
    for (const std::string& path : paths) {
      CAPTURE(path);
      const auto checkpoint = OpenCheckpoint(path);
      if (!checkpoint) {
        FAIL_CHECK(checkpoint.error().message());
        continue;
      }
      CHECK(CompareAll(**checkpoint, path + ".json") == "");
    }
  }
}

TEST_CASE("every prefix of every file is refused, or holds the same") {
  const MemoryFile memory;
  for (const std::string& folder : kFolders) {
    for (const std::string& path : FixturesOf(folder)) {
      if (NamedByFile(path) || HasCompanions(path)) continue;
      CAPTURE(path);
      const std::string bytes = Contents(path);
      const size_t step = std::max<size_t>(1, bytes.size() / 600);
      for (size_t length = 0; length < bytes.size(); length += length < 400 ? 1 : step) {
        const auto checkpoint = OpenCheckpoint(memory.Set(std::string_view(bytes).substr(0, length)));
        if (!checkpoint) {
          const ErrorCode code = checkpoint.error().code();
          if (code != ErrorCode::kMalformed) CHECK(code == ErrorCode::kLimit);
          continue;
        }
        CAPTURE(length);
        CHECK(CompareAll(**checkpoint, path + ".json") == "");
      }
    }
  }
}

TEST_CASE("a flipped bit is refused or changes values; nothing breaks, nothing takes long") {
  const MemoryFile memory;
  std::mt19937 random(7);  // NOLINT: the same flips each time
  for (const std::string& folder : kFolders) {
    for (const std::string& path : FixturesOf(folder)) {
      if (HasCompanions(path)) continue;
      CAPTURE(path);
      std::string bytes = Contents(path);
      const bool checked = path.ends_with(".npz");  // every byte is under a checksum
      for (int i = 0; i < 800; ++i) {
        // Half of them where headers are.
        const size_t range = i % 2 == 0 ? std::min<size_t>(bytes.size(), 2048) : bytes.size();
        const size_t at = random() % range;
        const auto flip = static_cast<char>(1 << random() % 8);
        bytes[at] = static_cast<char>(bytes[at] ^ flip);
        const std::clock_t start = std::clock();
        const auto checkpoint = OpenCheckpoint(memory.Set(bytes));
        bool same = true;
        if (checkpoint) {
          const bool whole = ReadAll(**checkpoint, true).ok();
          if (checked && whole) same = CompareAll(**checkpoint, path + ".json").empty();
        } else if (checkpoint.error().code() != ErrorCode::kMalformed) {
          CHECK(checkpoint.error().code() == ErrorCode::kLimit);
        }
        CHECK(std::clock() - start < CLOCKS_PER_SEC);
        bytes[at] = static_cast<char>(bytes[at] ^ flip);
        if (!same) FAIL_CHECK("byte " << at << ": other values, and no error");
      }
    }
  }
}

TEST_CASE("hostile files are refused, odd ones read exactly") {
  const std::string root = kData + "/hostile_others/";
  std::map<std::string, int> count;
  for (const auto& [file, format, why, must] : ReadHostileIndex(root + "index.json")) {
    const std::string folder = file.substr(0, file.find('/'));
    if (std::find(kFolders.begin(), kFolders.end(), folder) == kFolders.end()) continue;
    CAPTURE(file);
    CAPTURE(why);
    ++count[folder];
    const std::clock_t start = std::clock();
    const auto checkpoint = OpenCheckpoint(root + file);
    Result<void> read;
    if (!checkpoint) {
      read = checkpoint.error();
    } else {
      for (const TensorInfo& info : (*checkpoint)->manifest().tensors()) {
        if (!info.unreadable.empty()) read = Error(ErrorCode::kMalformed, info.unreadable);
      }
      if (read) read = ReadAll(**checkpoint, true);
    }
    CHECK(std::clock() - start < CLOCKS_PER_SEC);
    if (must == "refuse") {
      CHECK_FALSE(read.ok());
      if (!read) CHECK(read.error().code() == ErrorCode::kMalformed);
    } else {
      if (!read) FAIL_CHECK(read.error().message());
      if (read) CHECK(CompareAll(**checkpoint, root + file + ".json") == "");
    }
  }
  for (const std::string& folder : kFolders) CHECK_MESSAGE(count[folder] >= 30, folder);
}

}  // namespace ckmap
