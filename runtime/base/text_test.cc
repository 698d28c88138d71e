#include "runtime/base/text.h"

#include <doctest/doctest.h>

namespace ckmap {
namespace {

TEST_CASE("a name cannot steer the terminal") {
  CHECK(EscapeText("fc.weight") == "fc.weight");
  CHECK(EscapeText("a\nb\tc\rd\\e") == "a\\nb\\tc\\rd\\e");
  CHECK(EscapeText("\x1b[2J") == "\\u{1b}[2J");
  CHECK(EscapeText(std::string_view("a\0b", 3)) == "a\\u{0}b");
  CHECK(EscapeText("\xc2\x9b"
                   "31m") == "\\u{9b}31m");  // C1 control sequence introducer
  CHECK(EscapeText("\xe2\x80\xae"
                   "txt") == "\\u{202e}txt");  // right-to-left override
  CHECK(EscapeText("\xff\xfe") == "\\xff\\xfe");
  CHECK(EscapeText("\xe5\xb1\x82.\xc3\xa9") == "\xe5\xb1\x82.\xc3\xa9");
}

TEST_CASE("only well-formed UTF-8 is UTF-8") {
  CHECK(IsValidUtf8(""));
  CHECK(IsValidUtf8("\xf0\x9f\x98\x80"));
  CHECK_FALSE(IsValidUtf8("\xc0\x80"));          // overlong
  CHECK_FALSE(IsValidUtf8("\xe0\x80\x80"));      // overlong
  CHECK_FALSE(IsValidUtf8("\xed\xa0\x80"));      // a surrogate
  CHECK_FALSE(IsValidUtf8("\xf4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(IsValidUtf8("\xe5\xb1"));          // cut short
  CHECK_FALSE(IsValidUtf8("\x80"));
}

TEST_CASE("sizes and counts have one spelling") {
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.5 KiB");
  CHECK(FormatBytes((int64_t{1} << 20) - 1) == "1.0 MiB");
  CHECK(FormatBytes(int64_t{600} << 30) == "600.0 GiB");
  CHECK(FormatCount(0) == "0");
  CHECK(FormatCount(999) == "999");
  CHECK(FormatCount(-1234567) == "-1,234,567");
  CHECK(FormatCount(100000) == "100,000");
  CHECK(Plural(1, "tensor") == "1 tensor");
  CHECK(Plural(2000, "tensor") == "2,000 tensors");
  CHECK(FormatDuration(0.44) == "0.4 s");
  CHECK(FormatDuration(61) == "1 min 01 s");
  CHECK(FormatDuration(7800) == "2 h 10 min");
}

TEST_CASE("byte sizes are read with their unit") {
  int64_t bytes = 0;
  CHECK(ParseByteSize("5GB", bytes));
  CHECK(bytes == 5'000'000'000);
  CHECK(ParseByteSize("64MiB", bytes));
  CHECK(bytes == 64 << 20);
  CHECK(ParseByteSize("64m", bytes));
  CHECK(bytes == 64 << 20);
  CHECK(ParseByteSize("17", bytes));
  CHECK(bytes == 17);
  for (const char* text :
       {"", "GB", "-1", "5 GB", "5XB", "1.5GB", "99999999999999999999", "9223372036854775807", "5000000TiB"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseByteSize(text, bytes));
  }
}

TEST_CASE("a table aligns its columns by what is seen") {
  TextTable table({"name", "bytes", "shape"});
  CHECK(table.Render().empty());
  table.AlignRight(1);
  table.AddRow({"\xe5\xb1\x82", "5", "[1]"});
  table.AddRow({"fc.weight", "12345", "[]"});
  CHECK(table.Render(" ") ==
        " name       bytes  shape\n"
        " \xe5\xb1\x82             5  [1]\n"
        " fc.weight  12345  []\n");
}

}  // namespace
}  // namespace ckmap
