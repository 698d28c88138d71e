#include "compiler/diag/did_you_mean.h"

#include <doctest/doctest.h>

#include "compiler/program/pack.h"

namespace ckmap {
namespace {

TEST_CASE("edit distance") {
  CHECK(EditDistance("permute", "permute", 3) == 0);
  CHECK(EditDistance("premute", "permute", 3) == 1);
  CHECK(EditDistance("squeze", "squeeze", 3) == 1);
  CHECK(EditDistance("", "abcd", 3) == 4);
  CHECK(EditDistance("kitten", "sitting", 3) == 3);
}

TEST_CASE("did you mean") {
  const std::vector<std::string> words = {"transpose", "permute", "flatten"};
  CHECK(DidYouMean("tranpose", words) == "did you mean `transpose`?");
  CHECK(DidYouMean("rotate", words).empty());
  CHECK(DidYouMean("i", std::vector<std::string>{"j"}).empty());
}

TEST_CASE("lists of words") {
  CHECK(ListOf(std::vector<std::string>{"a", "b", "c"}) == "`a`, `b` or `c`");
  CHECK(ListOf(std::vector<std::string>{"a"}) == "`a`");
}

TEST_CASE("versions are compared as numbers") {
  CHECK(CompareVersions("1.9", "1.10") == -1);
  CHECK(CompareVersions("1.0", "1.0.0") == 0);
  CHECK(CompareVersions("2", "1.99.99") == 1);
  CHECK(CompareVersions("1.x", "1.0") == -2);
  CHECK_FALSE(IsVersion("1."));
  CHECK_FALSE(IsVersion(""));
}

}  // namespace
}  // namespace ckmap
