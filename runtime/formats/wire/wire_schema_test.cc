#include "runtime/formats/wire/wire_schema.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr WireMessageText kTexts[] = {{"Outer", "1s 2:Inner 3f 4d 5v 6b"}, {"Inner", "1s 2:Outer"}};

// The error for these bytes, without the file's name; "" if they are messages of the schema.
std::string Check(const std::string& bytes, std::span<const WireMessageText> texts = kTexts) {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("ckmap_wire_schema_{}", ::getpid())).string();
  std::ofstream(path, std::ios::binary) << bytes;
  auto file = InputFile::Open(path);
  std::filesystem::remove(path);
  REQUIRE(file.ok());
  const auto source = MakePlainSource(*std::move(file));
  const Result<void> checked = WireSchema(texts).Check(*source, 0, source->size());
  return checked ? "" : checked.error().message().substr(path.size() + 2);
}

std::string Field(int number, const std::string& payload) {
  std::string length;
  for (size_t left = payload.size();; left >>= 7) {
    length += static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f) break;
  }
  return static_cast<char>(number << 3 | 2) + length + payload;
}

TEST_CASE("what is right inside of messages is right") {
  CHECK(Check("") == "");
  CHECK(Check(Field(1, "grün") + Field(2, Field(1, "x") + Field(2, Field(3, std::string(8, '\x1')))) +
              Field(5, "\x96\x01\x02")) == "");
  CHECK(Check(Field(6, "\xff") + Field(15, "\xff")) == "");  // bytes; a field that nobody knows
  CHECK(Check("\x08\x05") == "");                            // a number where a text should be: passed over as unknown
}

TEST_CASE("what is wrong inside of messages is found, with its byte") {
  CHECK(Check(Field(2, Field(1, "\xff"))) == "byte 4: field 1 of Inner is not UTF-8");
  CHECK(Check(Field(3, "12345")).find("no whole number of 4-byte numbers") != std::string::npos);
  CHECK(Check(Field(4, "1234")).find("no whole number of 8-byte numbers") != std::string::npos);
  CHECK(Check(Field(5, "\x96")).find("a number is cut short") != std::string::npos);
  CHECK(Check(Field(2, "\x12\x05")).find("field 2 should have 5 bytes") != std::string::npos);
  CHECK(Check(Field(2, "\x0f")).find("wire type 7 does not exist") != std::string::npos);
  CHECK(Check(Field(2, std::string(1, '\0') + "\x01")).find("is no field number") != std::string::npos);
}

TEST_CASE("what must be there is missed, also where its field is of another wire type") {
  constexpr WireMessageText kNeeds[] = {{"Outer", "1v! 2:Inner"}, {"Inner", "1s! 3f"}};
  CHECK(Check("\x08\x05" + Field(2, Field(1, "x")), kNeeds) == "");
  CHECK(Check(Field(2, Field(1, "x")), kNeeds).find("Outer ends without its field 1") != std::string::npos);
  CHECK(Check("\x08\x05" + Field(2, ""), kNeeds).find("Inner ends without its field 1") != std::string::npos);
  CHECK(Check("\x08\x05" + Field(2, "\x08\x05"), kNeeds).find("Inner ends without its field 1") != std::string::npos);
}

TEST_CASE("messages in messages end somewhere") {
  std::string deep;
  for (int i = 0; i < 99; ++i) deep = Field(2, deep);
  CHECK(Check(deep) == "");
  CHECK(Check(Field(2, deep)).find("nested too deep") != std::string::npos);
}

}  // namespace
}  // namespace ckmap
