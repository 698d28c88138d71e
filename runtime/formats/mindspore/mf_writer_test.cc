#include "runtime/formats/mindspore/mf_writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/formats/create.h"
#include "runtime/formats/mindspore/mf_checkpoint.h"
#include "runtime/formats/mindspore/mf_metadata.h"
#include "runtime/formats/open.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

using Bytes = std::vector<std::byte>;
using Values = std::map<std::string, Bytes>;  // whole tensors, row-major

struct Layout {
  std::vector<MeshAxis> mesh;
  std::map<std::string, std::vector<OutputCut>> cuts;
  bool replicas = false;
};

std::vector<OutputTensor> SomeTensors() {
  return {{"decoder.layers.0.linear_qkv.weight", DType::kBF16, {24, 6}},
          {"decoder.layers.0.it's.weight", DType::kF32, {4, 6, 12}},
          {"adam_m.decoder.layers.0.linear_qkv.weight", DType::kF32, {24, 6}},
          {"global_step", DType::kI64, {1}},
          {"learning_rate", DType::kF32, {}},
          {"empty", DType::kF32, {0, 12}},
          {"norm.weight", DType::kF32, {12}}};
}

// Bytes that no other tensor has in this order.
Values SomeValues() {
  Values values;
  uint32_t state = 1;
  for (const OutputTensor& tensor : SomeTensors()) {
    Bytes& bytes = values[tensor.name];
    bytes.resize(static_cast<size_t>(*NumBytes(tensor.shape, tensor.dtype)));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  }
  return values;
}

// In pieces of `piece` elements, from the last to the first.
Result<std::vector<WrittenFile>> Write(const std::string& folder, const Values& values, const Layout& layout,
                                       int64_t piece, bool force = false) {
  std::vector<OutputTensor> tensors = SomeTensors();
  for (OutputTensor& tensor : tensors) {
    if (const auto cut = layout.cuts.find(tensor.name); cut != layout.cuts.end()) tensor.cuts = cut->second;
  }
  WriteOptions options;
  options.metadata = {{"format", "ms"}};
  options.mesh = layout.mesh;
  options.replicas = layout.replicas;
  options.force = force;
  options.fsync = false;
  const bool older = fs::exists(folder + "/common.json");
  CKMAP_ASSIGN_OR_RETURN(const auto writer, CreateCheckpoint(folder, OutputFormat::kMindFormers, tensors, options));
  CHECK(fs::exists(folder + "/common.json") == older);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Bytes& bytes = values.at(tensors[i].name);
    const auto step = static_cast<size_t>(piece * DTypeSize(tensors[i].dtype));
    const size_t pieces = (bytes.size() + step - 1) / step;
    for (size_t k = pieces; k-- > 0;) {
      const auto part = std::span(bytes).subspan(k * step, std::min(step, bytes.size() - k * step));
      CKMAP_RETURN_IF_ERROR(writer->Write(i, static_cast<int64_t>(k * step), part));
    }
    Bytes again(bytes.size());
    CKMAP_RETURN_IF_ERROR(writer->ReadBack(i, 0, again));
    CHECK(again == bytes);
  }
  return writer->Commit();
}

Values Read(const std::string& folder) {
  const auto checkpoint = OpenCheckpoint(folder);
  if (!checkpoint) FAIL(checkpoint.error().message());
  Values values;
  for (size_t i = 0; i < (*checkpoint)->manifest().size(); ++i) {
    const TensorInfo& tensor = (*checkpoint)->manifest()[i];
    Bytes& bytes = values[tensor.name];
    bytes.resize(static_cast<size_t>(*NumBytes(tensor.shape, tensor.dtype)));
    const TensorLayout& layout = (*checkpoint)->layout(i);
    REQUIRE((*checkpoint)->ReadStorage(layout.storage, layout.offset, bytes).ok());
  }
  return values;
}

// A file of safetensors, read here by itself.
struct File {
  std::string text;
  std::map<std::string, std::pair<Shape, std::string>> tensors;  // shape and bytes

  explicit File(const std::string& path) : text(*ReadTextFile(path)) {
    uint64_t length = 0;
    std::memcpy(&length, text.data(), 8);
    dom::parser parser;
    const dom::element header = parser.parse(text.substr(8, length));
    for (const auto& [name, entry] : header.get_object()) {
      if (name == "__metadata__") continue;
      Shape shape;
      for (const int64_t size : entry["shape"].get_array()) shape.push_back(size);
      const auto begin = static_cast<uint64_t>(entry["data_offsets"].at(0)),
                 end = static_cast<uint64_t>(entry["data_offsets"].at(1));
      tensors[std::string(name)] = {shape, text.substr(8 + length + begin, end - begin)};
    }
  }
};

std::vector<int64_t> Numbers(const dom::element& list) {
  std::vector<int64_t> numbers;
  for (const int64_t number : list.get_array()) numbers.push_back(number);
  return numbers;
}

// Joins a folder as MindFormers 2.1.0 does (checkpoint/reshard.py): the box of each rank from the layout and the rank's
// place in the mesh, its file by the rank that stored it or by the ranks that hold it.
Values JoinedAsMindFormers(const std::string& folder) {
  const std::string text = *ReadTextFile(folder + "/metadata.json");
  dom::parser parser;
  const dom::element root = parser.parse(text);
  std::map<std::string, File> files;
  Values values;
  for (const auto& [key, tensor] : root["state_dict_metadata"].get_object()) {
    const std::string name(key);
    const std::vector<int64_t> shape = Numbers(tensor["global_shape"]);
    std::vector<int64_t> mesh = {1}, ranks = {0};
    std::vector<std::vector<int64_t>> map(shape.size());
    const bool has_layout = !tensor["layout"].is_null();
    if (has_layout) {
      // By position, as MindFormers unpacks it.
      std::vector<dom::element> fields;
      for (const auto& [unused, field] : tensor["layout"].get_object()) fields.push_back(field);
      REQUIRE(fields.size() == 5);
      mesh = Numbers(fields[0]);
      ranks = Numbers(fields[4]);
      size_t axis = 0;
      for (const dom::element cut : fields[1].get_array()) {
        if (cut.is_array()) {
          map[axis++] = Numbers(cut);
        } else {
          const int64_t number = cut;
          map[axis++] = number < 0 ? std::vector<int64_t>() : std::vector<int64_t>{number};
        }
      }
    }
    std::set<int64_t> used;
    for (const auto& cut : map) used.insert(cut.begin(), cut.end());
    for (size_t place = 0; place < ranks.size(); ++place) {
      std::vector<int64_t> at(mesh.size());  // counted from the right, as the map is
      int64_t rest = static_cast<int64_t>(place);
      bool first = true;
      for (size_t k = 0; k < mesh.size(); ++k) {
        const int64_t extent = mesh[mesh.size() - 1 - k];
        at[k] = rest % extent;
        rest /= extent;
        first = first && (used.contains(static_cast<int64_t>(k)) || at[k] == 0);
      }
      if (!first) continue;
      int64_t number = 0;
      std::vector<int64_t> begin, size;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        int64_t parts = 1, index = 0;
        for (const int64_t k : map[axis]) {
          const int64_t extent = mesh[mesh.size() - 1 - static_cast<size_t>(k)];
          index = index * extent + at[static_cast<size_t>(k)];
          parts *= extent;
        }
        size.push_back(shape[axis] / parts);
        begin.push_back(index * size.back());
        number = number * parts + index;
      }
      std::string chosen;
      for (const dom::element copy : root["storage_data"][MfStorageKey(name, number)].get_array()) {
        const std::vector<int64_t> group = Numbers(copy["rank_group"]);
        const std::string_view file = copy["file_name"];
        if (int64_t{copy["storage_rank"]} == ranks[place]) chosen = file;
        if (chosen.empty() && (!has_layout || std::count(group.begin(), group.end(), ranks[place]) > 0)) chosen = file;
      }
      REQUIRE_FALSE(chosen.empty());
      const File& file = files.try_emplace(chosen, folder + "/" + chosen).first->second;
      const auto& [local, bytes] = file.tensors.at(name);
      REQUIRE(local == size);
      int64_t whole = 1, elements = 1;
      for (const int64_t extent : shape) whole *= extent;
      for (const int64_t extent : size) elements *= extent;
      if (elements == 0) {
        values[name];
        continue;
      }
      const size_t element = bytes.size() / static_cast<size_t>(elements);
      Bytes& out = values[name];
      out.resize(static_cast<size_t>(whole) * element);
      for (int64_t i = 0; i < elements; ++i) {
        int64_t left = i, to = 0, stride = 1;
        for (size_t axis = shape.size(); axis-- > 0;) {
          to += (begin[axis] + left % size[axis]) * stride;
          left /= size[axis];
          stride *= shape[axis];
        }
        std::memcpy(out.data() + static_cast<size_t>(to) * element, bytes.data() + static_cast<size_t>(i) * element,
                    element);
      }
    }
  }
  return values;
}

std::vector<Layout> Layouts() {
  const std::string qkv = "decoder.layers.0.linear_qkv.weight", cube = "decoder.layers.0.it's.weight";
  const std::string moment = "adam_m." + qkv;
  std::vector<Layout> layouts = {
      {},
      {{{"dp", 2}}, {}},
      {{{"tp", 2}}, {{qkv, {{0, 0}}}, {moment, {{0, 0}}}, {cube, {{1, 0}}}}},
      {{{"tp", 3}}, {{qkv, {{1, 0}}}, {cube, {{2, 0}}}, {"norm.weight", {{0, 0}}}}},
      {{{"tp", 12}}, {{"norm.weight", {{0, 0}}}, {"empty", {{1, 0}}}}},
      {{{"dp", 2}, {"tp", 2}}, {{qkv, {{0, 1}}}, {moment, {{1, 1}}}, {cube, {{0, 1}}}}},
      {{{"fsdp", 2}, {"tp", 3}}, {{qkv, {{0, 0}, {0, 1}}}, {moment, {{0, 0}, {1, 1}}}, {cube, {{2, 0}, {1, 1}}}}},
      {{{"a", 2}, {"b", 1}, {"c", 3}},
       {{qkv, {{1, 0}, {1, 2}}}, {cube, {{0, 0}, {1, 1}, {2, 2}}}, {"norm.weight", {{0, 2}}}}},
      {{{"a", 2}, {"b", 2}, {"c", 2}},
       {{qkv, {{0, 0}, {1, 1}, {0, 2}}}, {moment, {{0, 2}}}, {cube, {{0, 0}, {0, 1}, {2, 2}}}}},
      {{{"a", 4}, {"b", 2}}, {{qkv, {{0, 0}}}, {cube, {{2, 0}, {1, 1}}}}},
      {{{"one", 1}}, {{qkv, {{0, 0}}}}},
  };
  for (size_t i = 1, count = layouts.size(); i < count; ++i) {
    layouts.push_back(layouts[i]);
    layouts.back().replicas = true;
  }
  return layouts;
}

TEST_CASE("every layout holds the same tensors, for us and as MindFormers joins them, and each becomes the next") {
  TempFolder folder;
  const std::vector<Layout> layouts = Layouts();
  REQUIRE(layouts.size() > 20);
  const Values values = SomeValues();
  Values before = values;
  for (size_t i = 0; i < layouts.size(); ++i) {
    CAPTURE(i);
    const std::string path = folder / std::to_string(i);
    const auto written = Write(path, before, layouts[i], static_cast<int64_t>(1 + i % 7));
    if (!written) FAIL(written.error().message());
    CHECK(written->back().path.ends_with("common.json"));
    before = Read(path);
    CHECK(before == values);
    if (!layouts[i].mesh.empty()) CHECK(JoinedAsMindFormers(path) == values);
    CHECK(fs::exists(path + "/metadata.json") == !layouts[i].mesh.empty());
  }
}

std::set<std::string> NamesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST_CASE("one process: no metadata.json; the optimizer has a file of its own; no steps so far") {
  TempFolder folder;
  REQUIRE(Write(folder / "out", SomeValues(), {}, 5).ok());
  CHECK(NamesIn(folder / "out") ==
        std::set<std::string>{"common.json", "model-0000000-0000001.safetensors", "opt-0000000-0000001.safetensors"});
  const File optimizer(folder / "out/opt-0000000-0000001.safetensors");
  CHECK(optimizer.tensors.size() == 3);
  CHECK(optimizer.tensors.contains("learning_rate"));
  CHECK(*ReadTextFile(folder / "out/common.json") ==
        "{\n    \"epoch_num\": 0,\n    \"step_num\": 0,\n    \"global_step\": 0,\n    \"loss_scale\": null,\n"
        "    \"global_batch_size\": null,\n    \"consumed_samples\": 0,\n    \"ckpt_status\": null\n}");
}

TEST_CASE("files are numbered among the ranks that have something: each slice is written once, or by all who hold it") {
  TempFolder folder;
  const Layout once = {{{"dp", 2}, {"tp", 2}}, {{"norm.weight", {{0, 1}}}}};
  Layout all = once;
  all.replicas = true;
  REQUIRE(Write(folder / "once", SomeValues(), once, 4).ok());
  REQUIRE(Write(folder / "all", SomeValues(), all, 4).ok());
  CHECK(NamesIn(folder / "all").size() == 4 + 4 + 2);
  size_t copies = 0;
  for (const std::string& name : NamesIn(folder / "once")) {
    if (!name.ends_with(".safetensors")) continue;
    copies += File(folder / "once/" + name).tensors.size();
    const auto total = static_cast<size_t>(MfTensorFileTotal(name));
    const std::string kind = name.substr(0, name.find('-'));
    const auto names = NamesIn(folder / "once");
    CHECK(total == static_cast<size_t>(std::count_if(names.begin(), names.end(), [&](const std::string& other) {
            return other.starts_with(kind + "-");
          })));
  }
  CHECK(copies == SomeTensors().size() + 1);  // norm.weight has two slices
}

TEST_CASE("an older checkpoint goes wholly, and only when that is allowed") {
  TempFolder folder;
  const Values values = SomeValues();
  REQUIRE(Write(folder / "out", values, {{{"tp", 3}}, {{"norm.weight", {{0, 0}}}}, true}, 4).ok());
  const auto refused = Write(folder / "out", values, {}, 4);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code() == ErrorCode::kUsage);
  REQUIRE(Write(folder / "out", values, {}, 4, true).ok());
  CHECK(NamesIn(folder / "out").size() == 3);
  CHECK(Read(folder / "out") == values);
  REQUIRE(Write(folder / "out", values, {{{"tp", 2}}, {}}, 4, true).ok());
  CHECK(Read(folder / "out") == values);
}

TEST_CASE("nothing is written beside what readers would take for the output, or with it") {
  TempFolder folder;
  const auto put = [](const std::string& path) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "{}";
  };
  put(folder / "root/latest_checkpointed_iteration.txt");
  put(folder / "iterations/iteration_00000001/common.json");
  put(folder / "weights/other.safetensors");
  for (const char* name : {"root", "iterations", "weights"}) {
    CAPTURE(name);
    const auto before = NamesIn(folder / name);
    const auto written = Write(folder / name, SomeValues(), {}, 4, true);
    REQUIRE_FALSE(written.ok());
    CHECK(written.error().code() == ErrorCode::kUsage);
    CHECK(NamesIn(folder / name) == before);
  }
}

TEST_CASE("a folder that is there in part is refused") {
  TempFolder folder;
  const Layout layout = {{{"tp", 2}}, {{"norm.weight", {{0, 0}}}}, true};
  REQUIRE(Write(folder / "out", SomeValues(), layout, 4).ok());
  SUBCASE("without the description") { fs::remove(folder / "out/metadata.json"); }
  SUBCASE("without a file") { fs::remove(folder / "out/model-0000001-0000002.safetensors"); }
  SUBCASE("with the description and one file of copies alone") {
    fs::remove(folder / "out/metadata.json");
    fs::remove(folder / "out/model-0000001-0000002.safetensors");
  }
  const auto opened = OpenCheckpoint(folder / "out");
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().code() == ErrorCode::kMalformed);
}

TEST_CASE("what the format cannot hold is refused") {
  TempFolder folder;
  const auto create = [&](std::vector<OutputTensor> tensors, WriteOptions options = {}) {
    return CreateCheckpoint(folder / "out", OutputFormat::kMindFormers, std::move(tensors), options);
  };
  const auto unknown = create({{"q", DType::kF4, {2}}, {"zero\xe2\x80\x8bwidth", DType::kF32, {2}}});
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().code() == ErrorCode::kMismatch);
  CHECK(unknown.error().message().find("`q`") != std::string::npos);
  CHECK(unknown.error().message().find("Python") != std::string::npos);
  const auto many = create({{"a", DType::kF32, {2}}}, {.mesh = {{"x", 4097}}});
  REQUIRE_FALSE(many.ok());
  CHECK(many.error().code() == ErrorCode::kLimit);
  CHECK_FALSE(create({{"a", DType::kF32, {2}}}, {.max_shard_size = 100}).ok());
  const auto other = CreateCheckpoint(folder / "x.safetensors", OutputFormat::kSafetensors, {{"a", DType::kF32, {2}}},
                                      {.mesh = {{"tp", 2}}});
  CHECK_FALSE(other.ok());
  CHECK(folder.entries() == 0);
}

TEST_CASE("keys are what Python's repr gives, and are read back") {
  CHECK(MfStorageKey("a.b", 0) == "('a.b', (0,))");
  CHECK(MfStorageKey("it's", 12) == "(\"it's\", (12,))");
  CHECK(MfStorageKey("it's \"b\"", 1) == R"(('it\'s "b"', (1,)))");
  CHECK(MfStorageKey("back\\slash", 1) == R"(('back\\slash', (1,)))");
  CHECK(MfStorageKey("\xc3\xa9\xe5\xb1\x82", 1) == "('\xc3\xa9\xe5\xb1\x82', (1,))");
  CHECK(MfStorageKey("soft\xc2\xadhyphen", 1).empty());
  for (const char* text : {"a.b", "it's", "it's \"b\"", "back\\slash", "\xc3\xa9\xe5\xb1\x82"}) {
    std::string name;
    int64_t number = 0;
    CHECK(ParseMfStorageKey(MfStorageKey(text, 7), name, number));
    CHECK(name == text);
    CHECK(number == 7);
  }
}

}  // namespace
}  // namespace ckmap
