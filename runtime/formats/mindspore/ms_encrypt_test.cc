// Encrypted checkpoints, there and back: every mode and key, several blocks, and what is said of a wrong key, a changed
// byte and a missing block.
#include "runtime/formats/mindspore/ms_encrypt.h"

#include <fcntl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/formats/create.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/open.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLong = (int64_t{64} << 20) + 1000;  // bytes of the tensor that needs two blocks

std::vector<std::byte> Pattern(int64_t bytes) {
  std::vector<std::byte> data(static_cast<size_t>(bytes));
  uint64_t state = 88172645463325252ULL;
  for (size_t i = 0; i + 8 <= data.size(); i += 8) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    std::memcpy(&data[i], &state, 8);
  }
  return data;
}

void Write(const std::string& path, CipherMode mode, const std::string& key, std::span<const std::byte> data) {
  auto writer = CreateCheckpoint(path, OutputFormat::kMindSporeCkpt,
                                 {{"w", DType::kU8, {static_cast<int64_t>(data.size())}}, {"n", DType::kI64, {}}},
                                 {.texts = {{"note", "grün"}}, .cipher = mode, .key = SecretKey(key), .fsync = false});
  REQUIRE(writer.ok());
  const int64_t number = -5;
  REQUIRE((*writer)->Write(0, 0, data).ok());
  REQUIRE((*writer)->Write(1, 0, std::as_bytes(std::span(&number, 1))).ok());
  const int64_t promised = (*writer)->total_bytes();
  const auto files = (*writer)->Commit();
  REQUIRE(files.ok());
  CHECK((*files)[0].bytes == promised);
  CHECK(static_cast<int64_t>(fs::file_size(path)) == promised);
}

OpenOptions Key(const std::string& key) { return {.key = SecretKey(key)}; }

std::string ErrorOf(const std::string& path, const std::string& key) {
  auto checkpoint = OpenCheckpoint(path, Key(key));
  if (!checkpoint) return checkpoint.error().message();
  std::array<std::byte, 16> some{};
  const auto read = (*checkpoint)->ReadStorage((*checkpoint)->layout(0).storage, 0, some);
  return read ? "" : read.error().message();
}

void Flip(const std::string& path, int64_t at) {
  const int fd = ::open(path.c_str(), O_RDWR);
  unsigned char byte = 0;
  REQUIRE(::pread(fd, &byte, 1, at) == 1);
  byte ^= 1;
  REQUIRE(::pwrite(fd, &byte, 1, at) == 1);
  ::close(fd);
}

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("what is encrypted reads back the same, and MindSpore's layout is kept") {
  TempFolder folder;
  const auto data = Pattern(5000);
  for (const CipherMode mode : {CipherMode::kAesGcm, CipherMode::kAesCbc, CipherMode::kSm4Cbc}) {
    for (const size_t length : {16U, 24U, 32U}) {
      if (mode == CipherMode::kSm4Cbc && length != 16) continue;
      CAPTURE(CipherModeName(mode));
      CAPTURE(length);
      const std::string key = std::string("0123456789abcdefghijklmnopqrstuv").substr(0, length);
      const std::string path = folder / (std::string(CipherModeName(mode)) + std::to_string(length) + ".ckpt");
      Write(path, mode, key, data);
      const auto checkpoint = OpenCheckpoint(path, Key(key));
      REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.error().message());
      std::vector<std::byte> back(data.size());
      REQUIRE((*checkpoint)->ReadStorage((*checkpoint)->layout(0).storage, 0, back).ok());
      CHECK(back == data);
      CHECK(std::get<std::string>((*checkpoint)->others().at(0).value) == "grün");
      // Any part of it by itself.
      const std::vector<std::pair<int, int>> parts = {{1, 1}, {15, 3}, {16, 16}, {4000, 1000}, {17, 31}};
      for (const auto& [begin, count] : parts) {
        std::vector<std::byte> part(static_cast<size_t>(count));
        REQUIRE((*checkpoint)->ReadStorage((*checkpoint)->layout(0).storage, begin, part).ok());
        CHECK(std::equal(part.begin(), part.end(), data.begin() + begin));
      }
    }
  }
  CHECK(folder.entries() == 7);
}

TEST_CASE("several blocks: a wrong key, a changed byte and a missing block are told apart") {
  const std::string key = "0123456789abcdef";
  const auto data = Pattern(kLong);
  for (const CipherMode mode : {CipherMode::kAesGcm, CipherMode::kAesCbc}) {
    TempFolder folder;
    CAPTURE(CipherModeName(mode));
    const std::string path = folder / "m.ckpt";
    Write(path, mode, key, data);
    {
      const auto checkpoint = OpenCheckpoint(path, Key(key));
      REQUIRE(checkpoint.ok());
      std::vector<std::byte> part(5000);  // over the edge of the blocks
      const int64_t begin = (int64_t{64} << 20) - 2500;
      REQUIRE((*checkpoint)->ReadStorage((*checkpoint)->layout(0).storage, begin - 1500, part).ok());
      CHECK(std::equal(part.begin(), part.end(), data.begin() + (begin - 1500)));
    }
    CHECK(Has(ErrorOf(path, "fedcba9876543210"), "key"));
    CHECK(Has(ErrorOf(path, "fedcba9876543210"), "does not decrypt"));
    const auto size = static_cast<int64_t>(fs::file_size(path));
    if (mode == CipherMode::kAesGcm) {
      Flip(path, 5000);
      CHECK(Has(ErrorOf(path, key), "was changed since it was encrypted"));
      Flip(path, 5000);
      Flip(path, size - 100);
      const std::string second = ErrorOf(path, key);
      CHECK_MESSAGE(Has(second, "was changed since it was encrypted"), second);
      Flip(path, size - 100);
    } else {
      Flip(path, size - 1);
      CHECK(Has(ErrorOf(path, key), "padding is wrong though the key fits"));
      Flip(path, size - 1);
    }
    CHECK(ErrorOf(path, key).empty());
    const int64_t first = BlockHeadBytes(mode) + kMaxPlainBlock + (mode == CipherMode::kAesGcm ? 0 : kCipherUnit);
    fs::resize_file(path, static_cast<uintmax_t>(first));
    const std::string cut = ErrorOf(path, key);
    CHECK_MESSAGE(Has(cut, "block is missing"), cut);
  }
}

TEST_CASE("what MindSpore could not read is not written") {
  TempFolder folder;
  const auto create = [&folder](OutputFormat format, const WriteOptions& options) {
    const auto writer = CreateCheckpoint(folder / "m", format, {{"w", DType::kU8, {4}}}, options);
    return writer ? ErrorCode::kIo : writer.error().code();
  };
  const SecretKey key("0123456789abcdef");
  CHECK(create(OutputFormat::kMindSporeCkpt, {.crc = true, .cipher = CipherMode::kAesGcm, .key = key}) ==
        ErrorCode::kUsage);
  CHECK(create(OutputFormat::kSafetensors, {.cipher = CipherMode::kAesGcm, .key = key}) == ErrorCode::kUsage);
  CHECK(create(OutputFormat::kTorch, {.cipher = CipherMode::kAesGcm, .key = key}) == ErrorCode::kUsage);
  CHECK(create(OutputFormat::kMindSporeCkpt, {.cipher = CipherMode::kAesGcm, .key = SecretKey("short")}) ==
        ErrorCode::kUsage);
  CHECK(create(OutputFormat::kMindSporeCkpt, {.cipher = CipherMode::kSm4Cbc, .key = SecretKey(std::string(24, 'k'))}) ==
        ErrorCode::kUsage);
  CHECK(folder.entries() == 0);
}

}  // namespace
}  // namespace ckmap
