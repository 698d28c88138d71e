#include "runtime/formats/zip/zip_archive.h"

#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace ckmap {
namespace {

namespace fs = std::filesystem;

std::string Little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return out;
}

std::string Deflate(const std::string& plain) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

struct Member {
  std::string name;
  std::string plain;
  bool deflated = false;
};

// An archive as the standard has it, without any option.
std::string Zip(const std::vector<Member>& members) {
  std::string file;
  std::string directory;
  for (const Member& member : members) {
    const std::string packed = member.deflated ? Deflate(member.plain) : member.plain;
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(member.plain.data()), static_cast<uInt>(member.plain.size()));
    const std::string common = Little(20, 2) + Little(0, 2) + Little(member.deflated ? 8 : 0, 2) + Little(0, 4) +
                               Little(crc, 4) + Little(packed.size(), 4) + Little(member.plain.size(), 4) +
                               Little(member.name.size(), 2) + Little(0, 2);
    directory += Little(0x02014b50, 4) + Little(20, 2) + common + Little(0, 2) + Little(0, 2) + Little(0, 2) +
                 Little(0, 4) + Little(file.size(), 4) + member.name;
    file += Little(0x04034b50, 4) + common + member.name + packed;
  }
  return file + directory + Little(0x06054b50, 4) + Little(0, 4) + Little(members.size(), 2) +
         Little(members.size(), 2) + Little(directory.size(), 4) + Little(file.size(), 4) + Little(0, 2);
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes)
      : path_((fs::temp_directory_path() / ("ckmap-zip-" + std::to_string(::getpid()))).string()) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { fs::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>('a' + (state >> 28));
  }
  return text;
}

TEST_CASE("members are found by their exact name and read whole") {
  const TemporaryFile temporary(Zip({{"a/one", "first"}, {"a/two", "second second second", true}, {"a/empty", ""}}));
  const auto file = InputFile::Open(temporary.path());
  REQUIRE(file.ok());
  const auto archive = ZipArchive::Open(*file);
  REQUIRE(archive.ok());
  CHECK(archive->members().size() == 3);
  CHECK(!archive->Find("A/one").has_value());
  CHECK(*archive->ReadWhole(*archive->Find("a/one"), 100) == "first");
  CHECK(*archive->ReadWhole(*archive->Find("a/two"), 100) == "second second second");
  CHECK(archive->ReadWhole(*archive->Find("a/empty"), 0)->empty());
  CHECK(archive->ReadWhole(*archive->Find("a/two"), 5).error().code() == ErrorCode::kLimit);
  for (size_t i = 0; i < 3; ++i) CHECK(archive->VerifyCrc(i).ok());
}

TEST_CASE("a large deflated member can be read anywhere, backwards, and from several threads") {
  const std::string plain = Pattern(size_t{40} << 20);
  const TemporaryFile temporary(Zip({{"small", "x", true}, {"large", plain, true}}));
  const auto file = InputFile::Open(temporary.path());
  const auto archive = ZipArchive::Open(*file);
  REQUIRE(archive.ok());
  const size_t member = *archive->Find("large");
  const auto matches = [&](size_t offset, size_t count) {
    std::string part(count, '\0');
    if (!archive->Read(member, static_cast<int64_t>(offset), std::as_writable_bytes(std::span(part))).ok())
      return false;
    return plain.compare(offset, count, part) == 0;
  };
  CHECK(matches(plain.size() - 100, 100));
  CHECK(matches(0, 100));
  for (size_t offset = plain.size() - 5000; offset > (size_t{8} << 20); offset -= size_t{5} << 20)
    CHECK(matches(offset, 5000));
  CHECK(matches(123, size_t{20} << 20));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 6; ++i) wrong += matches((i * 7 + t * 3) % 38 << 20, 10000) ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(archive->VerifyCrc(member).ok());
}

TEST_CASE("an archive may be a part of a file, and must fill it") {
  const std::string zip = Zip({{"a/one", "first"}});
  const TemporaryFile temporary("1234" + zip + "56");
  const auto file = InputFile::Open(temporary.path());
  const auto inner = ZipArchive::Open(*file, 4, static_cast<int64_t>(zip.size()));
  REQUIRE(inner.ok());
  CHECK(*inner->ReadWhole(0, 100) == "first");
  CHECK(!ZipArchive::Open(*file).ok());
  CHECK(!ZipArchive::Open(*file, 0, static_cast<int64_t>(zip.size()) + 4).ok());
  CHECK(!ZipArchive::Open(*file, 4, static_cast<int64_t>(zip.size()) + 2).ok());
}

TEST_CASE("damage is told with the member's name") {
  std::string zip = Zip({{"a/one", "some bytes that are stored"}});
  zip[zip.find("stored")] = 'S';
  const TemporaryFile temporary(zip);
  const auto file = InputFile::Open(temporary.path());
  const auto archive = ZipArchive::Open(*file);
  REQUIRE(archive.ok());
  const auto status = archive->VerifyCrc(0);
  REQUIRE(!status.ok());
  CHECK(status.error().code() == ErrorCode::kMalformed);
  CHECK(status.error().message().find("\"a/one\"") != std::string::npos);
}

}  // namespace
}  // namespace ckmap
