#include "runtime/report/fold.h"

#include <doctest/doctest.h>

namespace ckmap {
namespace {

std::vector<std::string> Folded(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const FoldedRow& row : FoldNames(names)) result.push_back(row.names[0]);
  return result;
}
using Names = std::vector<std::string>;

TEST_CASE("names that differ in one number fold into a range") {
  CHECK(Folded({"layers.0.w", "layers.1.w", "layers.2.w"}) == Names{"layers.{0..2}.w"});
  CHECK(Folded({"l.2.w", "l.10.w", "l.1.w"}) == Names{"l.{1,2,10}.w"});
  CHECK(Folded({"l.0.w", "l.1.w"}) == Names{"l.{0,1}.w"});
  CHECK(Folded({"l.0", "l.1", "l.2", "l.3", "l.5", "l.7", "l.8", "l.9"}) == Names{"l.{0..3,5,7..9}"});
  CHECK(Folded({"l.0", "l.3", "l.6", "l.9"}) == Names{"l.{0,3..9}"});
  CHECK(Folded({"a.conv1.w", "a.conv2.w"}) == Names{"a.conv{1,2}.w"});
}

TEST_CASE("names that differ in more stay apart, in their order") {
  CHECK(Folded({"a.0.w", "b.1.w", "a.0.b"}) == Names{"a.0.w", "b.1.w", "a.0.b"});
  CHECK(Folded({"fc.weight", "conv.weight"}) == Names{"fc.weight", "conv.weight"});
  CHECK(Folded({"l.0.w", "head", "l.1.w"}) == Names{"l.{0,1}.w", "head"});
  CHECK(Folded({}).empty());
}

TEST_CASE("full grids fold in every number, ragged ones as far as they go") {
  Names grid;
  for (int i = 0; i < 4; ++i) {
    for (int e = 0; e < 3; ++e) grid.push_back("l." + std::to_string(i) + ".experts." + std::to_string(e) + ".w1");
  }
  CHECK(Folded(grid) == Names{"l.{0..3}.experts.{0..2}.w1"});
  CHECK(Folded({"l.1.0", "l.1.1", "l.2.0", "l.2.1", "l.2.2"}) == Names{"l.1.{0,1}", "l.2.{0..2}"});
}

TEST_CASE("what is no number of its own does not fold") {
  CHECK(Folded({"conv2d", "conv3d"}) == Names{"conv2d", "conv3d"});
  CHECK(Folded({"l.01", "l.02"}) == Names{"l.01", "l.02"});
  CHECK(Folded({"l.1234567890123456", "l.1234567890123457"}).size() == 2);
  CHECK(Folded({"same.1", "same.1"}) == Names{"same.1", "same.1"});
}

TEST_CASE("names are escaped") { CHECK(Folded({"a\x1b.0", "a\x1b.1"}) == Names{"a\\u{1b}.{0,1}"}); }

TEST_CASE("rows fold when their other names go along") {
  const auto fold = [](std::vector<FoldRow> rows) {
    Names result;
    for (const FoldedRow& row : FoldRows(rows)) result.push_back(row.names[0] + " <- " + row.names[1]);
    return result;
  };
  CHECK(
      fold({{{"cell.0.w", "layer1.w"}, "f32"}, {{"cell.1.w", "layer2.w"}, "f32"}, {{"cell.2.w", "layer3.w"}, "f32"}}) ==
      Names{"cell.{0..2}.w <- layer{1..3}.w"});
  CHECK(fold({{{"c.0", "l.0"}, ""}, {{"c.1", "l.3"}, ""}, {{"c.2", "l.6"}, ""}, {{"c.3", "l.9"}, ""}}) ==
        Names{"c.{0..3} <- l.{0,3..9}"});
  CHECK(fold({{{"c.0", "w"}, ""}, {{"c.1", "w"}, ""}}) == Names{"c.{0,1} <- w"});
  // Another detail, another source, or numbers without a rule: each row by itself.
  CHECK(fold({{{"c.0", "l.0"}, "f32"}, {{"c.1", "l.1"}, "f16"}}).size() == 2);
  CHECK(fold({{{"c.0", "l.0"}, ""}, {{"c.1", "m.1"}, ""}}).size() == 2);
  CHECK(fold({{{"c.0", "l.1"}, ""}, {{"c.1", "l.0"}, ""}}).size() == 2);
  CHECK(fold({{{"c.0", "l.0"}, ""}, {{"c.1", "l.2"}, ""}, {{"c.2", "l.1"}, ""}}).size() == 3);
}

TEST_CASE("a folded row knows its members") {
  const auto rows = FoldNames({"l.1", "x", "l.0"});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].members == std::vector<size_t>{2, 0});
  CHECK(rows[1].members == std::vector<size_t>{1});
}

}  // namespace
}  // namespace ckmap
