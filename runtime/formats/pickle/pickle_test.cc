#include "runtime/formats/pickle/pickle.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "runtime/formats/torch/torch_globals.h"

namespace ckmap {
namespace {

using namespace std::string_view_literals;

Result<Pickle> Read(std::string_view bytes) { return Pickle::Read(bytes, TorchAllowList()); }

std::string Failure(std::string_view bytes) {
  const auto pickle = Read(bytes);
  if (pickle.ok()) return "";
  CHECK(pickle.error().code() == ErrorCode::kMalformed);
  return pickle.error().message();
}

int64_t Integer(std::string_view bytes) {
  const auto pickle = Read(bytes);
  REQUIRE(pickle.ok());
  REQUIRE(pickle->kind(pickle->root()) == PickleKind::kInt);
  return pickle->integer(pickle->root());
}

std::string Text(std::string_view bytes) {
  const auto pickle = Read(bytes);
  REQUIRE(pickle.ok());
  REQUIRE(pickle->kind(pickle->root()) == PickleKind::kText);
  return std::string(pickle->text(pickle->root()));
}

TEST_CASE("integers in every spelling") {
  CHECK(Integer("K\xff."sv) == 255);
  CHECK(Integer("M\xff\xff."sv) == 65535);
  CHECK(Integer("J\xff\xff\xff\xff."sv) == -1);
  CHECK(Integer("I-12\n."sv) == -12);
  CHECK(Integer("L9223372036854775807L\n."sv) == INT64_MAX);
  CHECK(Integer("L-9223372036854775808L\n."sv) == INT64_MIN);
  CHECK(Integer("\x8a\x00."sv) == 0);
  CHECK(Integer("\x8a\x01\x80."sv) == -128);
  CHECK(Integer("\x8a\x02\xff\x00."sv) == 255);
  CHECK(Integer("\x8a\x0c\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00."sv) == 1);
  const auto big = Read("L9223372036854775808L\n."sv);
  REQUIRE(big.ok());
  CHECK(big->kind(big->root()) == PickleKind::kBigInt);
}

TEST_CASE("texts in every spelling") {
  CHECK(Text("X\x02\x00\x00\x00\xc3\xa9."sv) == "é");
  CHECK(Text("\x8c\x01z."sv) == "z");
  CHECK(Text("U\x02hi."sv) == "hi");
  CHECK(Text("S'a\\'\\x41'\n."sv) == "a'A");
  CHECK(Text("V\\u00e9\xe9\\U0001f389\n."sv) == "éé🎉");
  CHECK(Failure("X\x02\x00\x00\x00\xed\xa0."sv).find("not UTF-8") != std::string::npos);
}

TEST_CASE("containers, the memo and calls") {
  // {"a": [1, 2], "b": the same list}
  const auto pickle = Read(
      "}(X\x01\x00\x00\x00"
      "a]q\x05(K\x01K\x02"
      "eX\x01\x00\x00\x00"
      "bh\x05u."sv);
  REQUIRE(pickle.ok());
  const auto items = pickle->items(pickle->root());
  REQUIRE(items.size() == 4);
  CHECK(items[1] == items[3]);
  CHECK(pickle->items(items[1]).size() == 2);

  const auto ordered = Read("ccollections\nOrderedDict\n)R(K\x01K\x02u."sv);
  REQUIRE(ordered.ok());
  CHECK(ordered->kind(ordered->root()) == PickleKind::kDict);
  const auto size = Read("ctorch\nSize\n(K\x01K\x02t\x85R."sv);
  REQUIRE(size.ok());
  CHECK(size->kind(size->root()) == PickleKind::kObject);
  CHECK(size->callable(size->root()).name == "Size");
}

TEST_CASE("refusals name the opcode, its byte and the global") {
  CHECK(Failure("\x80\x02"
                "cos\nsystem\nq\x00."sv)
            .find("pickle byte 2, GLOBAL: refused: \"os.system\"") == 0);
  CHECK(Failure("\x80\x04\x8c\x02os\x8c\x06system\x93."sv).find("STACK_GLOBAL: refused: \"os.system\"") !=
        std::string::npos);
  CHECK(Failure("cos\nsys\x1b[2Jtem\n."sv).find('\x1b') == std::string::npos);
  CHECK(Failure("(ios\nsystem\n."sv).find("INST") != std::string::npos);
  CHECK(Failure("K\x01K\x02."sv).find("2 values are on the stack") != std::string::npos);
  CHECK(Failure("K\x01"sv).find("needs 1 more bytes") != std::string::npos);
  CHECK(Failure("\xff"sv).find("0xff is no opcode") != std::string::npos);
  CHECK(Failure(""sv) != "");
}

TEST_CASE("what is behind STOP belongs to somebody else") {
  const auto pickle = Read("K\x01.K\x02."sv);
  REQUIRE(pickle.ok());
  CHECK(pickle->end() == 3);
}

TEST_CASE("an allowed global can only do what its role allows") {
  CHECK(Failure("ctorch\nfloat32\n)R."sv).find("cannot be called") != std::string::npos);
  CHECK(Failure("ctorch\nSize\n)\x81."sv).find("class that may be instantiated") != std::string::npos);
  CHECK(Failure("ctorch\nSize\n(K\x01t\x85R}b."sv).find("takes no state") != std::string::npos);
  CHECK(Failure("c__torch__.x\nNet\n)\x81}b."sv).find("refused") != std::string::npos);
  CHECK(Pickle::Read("c__torch__.x\nNet\n)\x81}b."sv, TorchAllowList(TorchAllowList::Scope::kScript)).ok());
}

}  // namespace
}  // namespace ckmap
