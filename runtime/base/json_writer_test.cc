#include "runtime/base/json_writer.h"

#include <limits>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

TEST_CASE("strings of any bytes become JSON strings") {
  CHECK(JsonString("a\"b\\c") == R"("a\"b\\c")");
  CHECK(JsonString("\n\t\r\x01\x1b\x7f") == R"("\n\t\u000d\u0001\u001b\u007f")");
  CHECK(JsonString(std::string_view("\0", 1)) == R"("\u0000")");
  CHECK(JsonString("\xff"
                   "a\xc3") ==
        "\"\xef\xbf\xbd"
        "a\xef\xbf\xbd\"");
  CHECK(JsonString("\xe2\x80\xa8") == R"("\u2028")");
  CHECK(JsonString("\xf3\xa0\x81\x81") == R"("\udb40\udc41")");  // U+E0041, a tag character
  CHECK(JsonString("\xe5\xb1\x82") == "\"\xe5\xb1\x82\"");
}

TEST_CASE("objects and arrays, on one line or on several") {
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("ok").Bool(true).Key("none").Null().Key("list").BeginArray().Int(1).Int(-2).EndArray();
  json.Key("empty").BeginArray().OnLines().EndArray();
  json.Key("rows").BeginArray().OnLines();
  for (int i = 0; i < 2; ++i) json.BeginObject().Key("i").Int(i).EndObject();
  json.EndArray().EndObject();
  CHECK(std::move(json).Finish() ==
        "{\n \"ok\": true,\n \"none\": null,\n \"list\": [1, -2],\n \"empty\": [],\n"
        " \"rows\": [\n  {\"i\": 0},\n  {\"i\": 1}\n ]\n}\n");
}

TEST_CASE("numbers read back equal, and those that JSON lacks are strings") {
  JsonWriter json;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  json.BeginArray().Number(0.1).Number(1e300).Number(-0.0).Number(3);
  json.Number(kInfinity).Number(-kInfinity).Number(std::numeric_limits<double>::quiet_NaN());
  json.Int(std::numeric_limits<int64_t>::min()).EndArray();
  CHECK(std::move(json).Finish() ==
        "[0.1, 1e+300, -0, 3, \"Infinity\", \"-Infinity\", \"NaN\", -9223372036854775808]\n");
}

}  // namespace
}  // namespace ckmap
