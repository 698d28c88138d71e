#include "runtime/tensor/manifest.h"

#include <random>
#include <string>
#include <unordered_map>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

TensorInfo Named(std::string name) {
  TensorInfo info;
  info.name = std::move(name);
  return info;
}

TEST_CASE("tensors are found by their exact names, each of which is there once") {
  std::mt19937 random(3);
  Manifest manifest;
  std::unordered_map<std::string, size_t> expected;
  CHECK(!manifest.Find(""));
  for (int i = 0; i < 5000; ++i) {
    std::string name;  // few enough that many come again
    for (size_t n = random() % 4; n > 0; --n) name += static_cast<char>('a' + random() % 12);
    const bool fresh = expected.emplace(name, manifest.size()).second;
    CHECK(manifest.Add(Named(name)) == fresh);
  }
  REQUIRE(manifest.size() == expected.size());
  for (const auto& [name, index] : expected) {
    CHECK(manifest.Find(name) == index);
    CHECK(manifest[index].name == name);
    CHECK(!manifest.Find(name + "z"));
    for (const size_t likely : {index, index + 1, size_t{0}, manifest.size(), SIZE_MAX}) {
      CHECK(manifest.Find(name, likely) == index);
      CHECK(!manifest.Find(name + "z", likely));
    }
  }
}

TEST_CASE("a copy finds its own tensors, and what was moved from is empty") {
  Manifest manifest;
  REQUIRE(manifest.Add(Named("a")));
  Manifest copy = manifest;
  REQUIRE(copy.Add(Named("b")));
  CHECK(!manifest.Find("b"));
  CHECK(copy.Find("b") == 1);
  const Manifest moved = std::move(copy);
  CHECK(moved.Find("a") == 0);
  CHECK(!copy.Find("a"));  // NOLINT(bugprone-use-after-move)
  REQUIRE(copy.Add(Named("c")));
  CHECK(copy.Find("c") == 0);
}

}  // namespace
}  // namespace ckmap
