#include "runtime/formats/mindspore/mf_metadata.h"

#include <doctest/doctest.h>

#include <string>

namespace ckmap {
namespace {

TEST_CASE("keys of storage_data are Python's repr of a name and the number of a slice") {
  std::string name;
  int64_t number = 0;
  CHECK(ParseMfStorageKey("('a.b', (0,))", name, number));
  CHECK(name == "a.b");
  CHECK(number == 0);
  CHECK(ParseMfStorageKey("(\"it's, (1,)\", (12,))", name, number));
  CHECK(name == "it's, (1,)");
  CHECK(number == 12);
  CHECK(ParseMfStorageKey(R"(('a\'b\\c\x7f\u20ac', (3,)))", name, number));
  CHECK(name == "a'b\\c\x7f\xe2\x82\xac");
  for (const char* wrong : {"", "a, 1", "('a', 0)", "('a', (0,)", "('a', (0,0,))", "('a', (-1,))", "('a', (00,))",
                            "('a', (1))", "('a'(0,))", "('a\\q', (0,))", "('a\\ud800', (0,))", "('a, (0,))",
                            "('a', (99999999999999999999,))", "('a', (,))"}) {
    CAPTURE(wrong);
    CHECK_FALSE(ParseMfStorageKey(wrong, name, number));
  }
}

constexpr const char* kTwoAxes =
    R"json({"state_dict_metadata":{"w":{"properties":{"dtype":"Float32"},"global_shape":[8,2],"axis_fragmentations":[4,1],
  "layout":{"device_matrix":[2,2],"tensor_map":[[0,1],-1],"interleaved_parallel":false,"alias_name":["fsdp","tp"],"rank_list":[0,1,2,3]},
  "chunk":[{"global_offset":[0],"local_shape":[2,2]},{"global_offset":[2],"local_shape":[2,2]},{"global_offset":[1],"local_shape":[2,2]},
           {"global_offset":[3],"local_shape":[2,2]}]}},
 "storage_data":{"('w', (0,))":[{"file_name":"f0.safetensors","storage_rank":0,"rank_group":[0]}],
  "('w', (2,))":[{"file_name":"f1.safetensors","storage_rank":1,"rank_group":[1]}],
  "('w', (1,))":[{"file_name":"f2.safetensors","storage_rank":2,"rank_group":[2]}],
  "('w', (3,))":[{"file_name":"f3.safetensors","storage_rank":3,"rank_group":[3]}]}})json";

TEST_CASE("two axes of devices cut one axis of the tensor: the order of slices is not that of ranks") {
  const auto tensors = ParseMfMetadata(kTwoAxes);
  REQUIRE(tensors.ok());
  REQUIRE(tensors->size() == 1);
  const MfTensor& w = (*tensors)[0];
  CHECK(w.local_shape == Shape{2, 2});
  REQUIRE(w.slices.size() == 4);
  CHECK(w.slices[2][0].file == "f1.safetensors");
  CHECK(w.Offsets(2) == Shape{4, 0});
}

std::string Edited(std::string_view from, std::string_view to) {
  std::string text = kTwoAxes;
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST_CASE("a description that contradicts itself is refused, with the reason") {
  const auto refused = [](const std::string& text, std::string_view reason) {
    const auto tensors = ParseMfMetadata(text);
    REQUIRE_FALSE(tensors.ok());
    CAPTURE(tensors.error().message());
    CHECK(tensors.error().code() == ErrorCode::kMalformed);
    CHECK(tensors.error().message().find(reason) != std::string::npos);
  };
  refused(Edited("[[0,1],-1]", "[[1,0],-1]"), "by the layout the slice is held by the ranks");
  refused(Edited("\"rank_group\":[1]", "\"rank_group\":[1,2]"), "by the layout the slice is held by the ranks");
  refused(Edited("[8,2]", "[9,2]"), "do not divide");
  refused(Edited("[4,1]", "[2,1]"), "the layout cuts in [4, 1]");
  refused(Edited("\"global_offset\":[3]", "\"global_offset\":[2]"), "slice 2 is described twice");
  refused(Edited("f3.safetensors", "../f3.safetensors"), "the file `../f3.safetensors`");
  refused(Edited("Float32", "Float33"), "is not known");
  refused("[]", "is not a JSON object");
}

}  // namespace
}  // namespace ckmap
