// What an output may replace: never a file that the run reads, under whatever name, and the whole of an older
// checkpoint.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/faults/scenarios.h"
#include "tests/support/temp_folder.h"

namespace ckmap::faults {
namespace {

namespace fs = std::filesystem;

const std::string kCkmap = std::string(CKMAP_PROGRAMS) + "/ckmap";
const std::string kCkmapc = std::string(CKMAP_PROGRAMS) + "/ckmapc";
const std::string kData = std::string(CKMAP_SOURCE_DIR) + "/tests/data/";

std::string Content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Put(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// A command that reads all files of `folder`, and writes what is added to it.
struct Reading {
  std::string name;
  fs::path folder;
  std::vector<std::string> command;
};

// An option that names a path as an output.
struct Way {
  std::string name;
  std::vector<std::string> options;  // the path follows
  std::vector<std::string> more = {};
  std::string ending = "";  // that the path must have
};

std::vector<Way> WaysOfApply(const std::string& elsewhere) {
  std::vector<Way> ways;
  for (const char* format : {"safetensors", "ckpt", "torch", "npz", "gguf"})
    ways.push_back({format, {"--to", format, "-o"}});
  ways.push_back({"shards", {"--to", "safetensors", "--max-shard-size", "1KiB", "-o"}, {}, ".safetensors"});
  ways.push_back(
      {"encrypted", {"--to", "ckpt", "--encrypt", "aes-gcm", "--output-key-file", elsewhere + "/key", "-o"}});
  ways.push_back({"report", {"-o", elsewhere + "/out.safetensors", "--report"}, {}, ".json"});
  ways.push_back({"page", {"-o", elsewhere + "/out.safetensors", "--report"}, {}, ".html"});
  return ways;
}

// The names under which a file can be given, each ending as the option wants it.
std::vector<std::string> NamesOf(const fs::path& file, const std::string& ending, const fs::path& elsewhere) {
  std::vector<std::string> names;
  if (file.string().ends_with(ending)) {
    names.push_back(file.string());
    names.push_back((elsewhere / ".." / file.lexically_relative(elsewhere.parent_path())).string());
  }
  static int count = 0;
  const fs::path link = elsewhere / ("link" + std::to_string(++count) + ending),
                 hard = elsewhere / ("hard" + std::to_string(count) + ending);
  fs::create_symlink(file, link);
  fs::create_hard_link(file, hard);
  names.push_back(link.string());
  names.push_back(hard.string());
  return names;
}

void CheckRefused(const Reading& reading, const std::vector<std::string>& options, const std::string& path,
                  const std::string& log) {
  const Files before = ReadFolder(reading.folder.string());
  for (const bool force : {false, true}) {
    if (force && reading.command[0] != kCkmap) continue;
    std::vector<std::string> command = reading.command;
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(path);
    if (force) command.emplace_back("--force");
    CAPTURE(reading.name);
    CAPTURE(path);
    CAPTURE(options.back());
    CAPTURE(force);
    const int code = Run(command, log);
    INFO(Content(log + ".err"));
    CHECK(code == 2);
    if (ReadFolder(reading.folder.string()) != before) FAIL("an input was changed");
  }
}

void CheckAllRefused(const Reading& reading, const std::vector<Way>& ways, const fs::path& elsewhere,
                     const std::string& log) {
  CAPTURE(reading.name);
  // It does run where it is asked nothing that it must refuse.
  std::vector<std::string> command = reading.command;
  const fs::path fine = elsewhere / ("fine_" + reading.name);
  command.insert(command.end(), ways[0].options.begin(), ways[0].options.end());
  command.push_back(fine.string());
  const int code = Run(command, log);
  INFO(Content(log + ".err"));
  REQUIRE(code == 0);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(reading.folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  REQUIRE(!files.empty());
  for (const fs::path& file : files) {
    for (const Way& way : ways) {
      const std::vector<std::string> names = NamesOf(file, way.ending, elsewhere);
      // All names once; how a name is given does not depend on what is done with it.
      for (size_t i = 0; i < (&way == &ways[0] ? names.size() : 1); ++i)
        CheckRefused(reading, way.options, names[i], log);
    }
  }
}

struct World {
  TempFolder base;
  fs::path in, elsewhere;
  std::string log;

  World() : in(base / "in"), elsewhere(base / "elsewhere"), log(base / "log") {
    REQUIRE(PrepareInputs(CKMAP_PROGRAMS, CKMAP_SOURCE_DIR, base.path()));
    fs::create_directory(elsewhere);
    Put(elsewhere / "key", "fedcba9876543210");
  }

  // A folder of its own with these files and folders of `in` or of tests/data.
  fs::path Folder(const std::string& name, const std::vector<std::string>& sources) const {
    const fs::path folder = fs::path(base.path()) / ("read_" + name);
    fs::create_directory(folder);
    for (const std::string& source : sources) {
      const fs::path from = fs::exists(in / source) ? in / source : fs::path(kData + source);
      fs::copy(from, folder / from.filename(), fs::copy_options::recursive);
    }
    return folder;
  }

  Reading Apply(const std::string& name, const std::vector<std::string>& files, const std::string& source,
                const std::string& target, const std::vector<std::string>& options = {}) const {
    const fs::path folder = Folder(name, files);
    const auto place = [&](const std::string& word) {
      return word.starts_with("@") ? (folder / word.substr(1)).string() : word;
    };
    Reading reading{
        name, folder, {kCkmap, "apply", place("@same.ckplan"), place(source), "--target", place(target), "-q", "-j1"}};
    for (const std::string& option : options) reading.command.push_back(place(option));
    return reading;
  }
};

TEST_CASE("no file that ckmap reads can be named as an output") {
  const World world;
  const std::vector<Way> ways = WaysOfApply(world.elsewhere.string());
  const auto check = [&](const Reading& reading) { CheckAllRefused(reading, ways, world.elsewhere, world.log); };
  SUBCASE("shards, their index, the target, the plan") {
    check(world.Apply("shards", {"same.ckplan", "shards", "a.safetensors"}, "@shards", "@a.safetensors"));
  }
  SUBCASE("the key and the config") {
    Reading reading = world.Apply("key", {"same.ckplan", "e.ckpt", "a.ckpt", "key"}, "@e.ckpt", "@a.ckpt",
                                  {"--key-file", "@key", "--config", "@config.json"});
    Put(reading.folder / "config.json", "{}");
    check(reading);
  }
  SUBCASE("a device map and a spec") {
    Reading reading = world.Apply("map", {"same.ckplan", "a.npz"}, "@a.npz", "@a.npz", {"--device-map", "@map.json"});
    Put(reading.folder / "map.json", R"({"": "cpu"})");
    check(reading);
  }
  SUBCASE("external data") {
    check(world.Apply("onnx", {"same.ckplan", "onnx/external.onnx", "onnx/external.onnx.data"}, "@external.onnx",
                      "@external.onnx"));
  }
  SUBCASE("ranks and their strategy") {
    check(world.Apply("ranks", {"same.ckplan", "ckpt/dist4"}, "@dist4", "@dist4"));
    check(world.Apply("ranks_json", {"same.ckplan", "ckpt/dist4_json"}, "@dist4_json", "@dist4_json",
                      {"--strategy", "@dist4_json/strategy.json"}));
  }
}

TEST_CASE("an output does not become a part of what is read, nor of another output") {
  const World world;
  const Reading reading =
      world.Apply("shards", {"same.ckplan", "shards", "a.safetensors"}, "@shards", "@a.safetensors");
  const std::string folder = (reading.folder / "shards").string();
  const std::string elsewhere = world.elsewhere.string();
  const auto refused = [&](const std::vector<std::string>& options, const std::string& path) {
    CheckRefused(reading, options, path, world.log);
  };
  for (const char* name : {"/new.safetensors", "/new.ckpt", "/below/new.npz"}) refused({"-o"}, folder + name);
  refused({"--to", "safetensors", "--max-shard-size", "1KiB", "-o"}, folder);
  refused({"--to", "safetensors", "--max-shard-size", "1KiB", "-o"}, folder + "/new");
  refused({"-o", elsewhere + "/x.safetensors", "--report"}, folder + "/new.json");
  // Two outputs of one name: the report is the index, a shard's folder, the output itself.
  refused({"--to", "safetensors", "-o", elsewhere + "/x.json", "--report"}, elsewhere + "/x.json");
  refused({"--to", "safetensors", "-o", elsewhere + "/X.json", "--report"}, elsewhere + "/x.json");
  refused({"--to", "safetensors", "--max-shard-size", "1KiB", "-o", elsewhere + "/new", "--report"},
          elsewhere + "/new/model.safetensors.index.json");
  CHECK_FALSE(fs::exists(world.elsewhere / "x.json"));
  CHECK_FALSE(fs::exists(world.elsewhere / "new"));
  CHECK_FALSE(fs::exists(world.elsewhere / "x.safetensors"));
}

TEST_CASE("a dry run's report replaces no input") {
  const World world;
  const fs::path folder = world.Folder("plan", {"same.ckplan", "a.safetensors"});
  Put(folder / "config.json", "{}");
  const std::string config = (folder / "config.json").string();
  const Reading reading{"plan",
                        folder,
                        {kCkmap, "plan", (folder / "same.ckplan").string(), (folder / "a.safetensors").string(),
                         "--target", (folder / "a.safetensors").string(), "--config", config, "-q"}};
  CheckRefused(reading, {"--report"}, config, world.log);
}

TEST_CASE("no file that ckmapc reads can be named as an output") {
  const World world;
  const fs::path folder = world.Folder("rules", {});
  Put(folder / "a.ckmap",
      "ckmap 1;\nmigration a from pytorch to mindspore;\nuse \"used.ckmap\";\nuse p;\nparam n: int from config "
      "\"n\";\n\"w\" -> \"v\";\n");
  Put(folder / "used.ckmap", "ckmap 1;\n\"u\" -> \"t\";\n");
  Put(folder / "config.json", "{\"n\": 1}");
  Put(folder / "packs/p/pack.yaml", "name: p\nversion: 1.0.0\nedition: 1\nlibrary: p.ckmap\n");
  Put(folder / "packs/p/p.ckmap", "ckmap 1;\n\"x\" -> \"y\";\n");
  const std::vector<std::string> common = {kCkmapc, (folder / "a.ckmap").string(), "-I", (folder / "packs").string()};
  Reading compile{"compile", folder, common};
  compile.command.insert(compile.command.end(), {"--config", (folder / "config.json").string()});
  CheckAllRefused(compile, {{"plan", {"-o"}}}, world.elsewhere, world.log);

  const fs::path specs = world.Folder("specs", {"a.safetensors", "shards"});
  const Reading suggest{
      "suggest",
      specs,
      {kCkmapc, "suggest", "--source", (specs / "a.safetensors").string(), "--target", (specs / "shards").string()}};
  CheckAllRefused(suggest, {{"draft", {"-o"}}}, world.elsewhere, world.log);

  // The page of a file has its name in the folder of pages.
  const Reading pages{"pages", folder, {kCkmapc, "doc", (folder / "used.ckmap").string()}};
  const std::string page = [&] {
    std::string name = (folder / "used.md").string();
    std::replace(name.begin(), name.end(), '/', '_');
    return name;
  }();
  fs::create_directory(world.elsewhere / "pages");
  fs::create_symlink(folder / "used.ckmap", world.elsewhere / "pages" / page);
  CheckRefused(pages, {"-o"}, (world.elsewhere / "pages").string(), world.log);
}

// ---- an older checkpoint ---------------------------------------------------------------------------

struct Outputs {
  World world;
  std::string folder = (world.elsewhere / "set").string();

  int Make(const std::string& source, std::vector<std::string> options) const {
    std::vector<std::string> command = {kCkmap,
                                        "apply",
                                        (world.in / "same.ckplan").string(),
                                        (world.in / source).string(),
                                        "--target",
                                        (world.in / "a.safetensors").string(),
                                        "-j1"};
    command.insert(command.end(), options.begin(), options.end());
    return Run(command, world.log);
  }
  std::string Said() const { return Content(world.log + ".err"); }

  // As our reader, and as one that goes by the index, sees the folder: "a", "other", or what is wrong.
  std::string Reads(const std::string& path) const {
    for (const char* source : {"a.safetensors", "other.safetensors"}) {
      if (Run({kCkmap, "diff", path, (world.in / source).string(), "-q"}, world.log) == 0) return source;
    }
    return "neither: " + Said();
  }
  // transformers looks for these, in this order.
  std::string Found() const {
    for (const char* name :
         {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
      if (fs::exists(folder + "/" + name)) return folder + "/" + name;
    }
    return "";
  }
};

TEST_CASE("whatever the order, readers of a folder see the new weights alone") {
  const Outputs outputs;
  const std::vector<std::string> few = {"--to", "safetensors", "--max-shard-size", "100KiB", "-o", outputs.folder};
  const std::vector<std::string> many = {"--to", "safetensors", "--max-shard-size", "32KiB", "-o", outputs.folder};
  const std::vector<std::string> one = {"--to", "safetensors", "--max-shard-size", "64MiB", "-o", outputs.folder};
  for (const auto& before : {few, many, one}) {
    for (auto after : {few, many, one}) {
      fs::remove_all(outputs.folder);
      REQUIRE(outputs.Make("a.safetensors", after) == 0);
      const Files fresh = ReadFolder(outputs.folder);
      fs::remove_all(outputs.folder);
      REQUIRE(outputs.Make("other.safetensors", before) == 0);
      CHECK(outputs.Make("a.safetensors", after) == 2);
      CHECK(outputs.Reads(outputs.folder) == "other.safetensors");
      after.emplace_back("--force");
      REQUIRE(outputs.Make("a.safetensors", after) == 0);
      const Files now = ReadFolder(outputs.folder);
      CHECK(outputs.Reads(outputs.folder) == "a.safetensors");
      CHECK(outputs.Reads(outputs.Found()) == "a.safetensors");
      // Nothing of the old is left.
      for (const auto& [name, content] : now) CHECK_MESSAGE(fresh.contains(name), name);
      CHECK(now.size() == fresh.size());
    }
  }
}

TEST_CASE("a file replaces the shards of its name, and shards that file") {
  const Outputs outputs;
  fs::create_directory(outputs.folder);
  const std::string path = outputs.folder + "/model.safetensors";
  const std::vector<std::string> shards = {"--max-shard-size", "64KiB", "-o", path};
  REQUIRE(outputs.Make("other.safetensors", shards) == 0);
  CHECK(outputs.Make("a.safetensors", {"-o", path}) == 2);  // the index would lead to the old shards
  CHECK(outputs.Said().find("model.safetensors.index.json") != std::string::npos);
  REQUIRE(outputs.Make("a.safetensors", {"-o", path, "--force"}) == 0);
  CHECK(outputs.Said().find("`model-00001-of-") != std::string::npos);  // what goes is named
  CHECK(ReadFolder(outputs.folder).size() == 1);
  CHECK(outputs.Reads(outputs.folder) == "a.safetensors");
  REQUIRE(outputs.Make("other.safetensors", {"--max-shard-size", "64KiB", "-o", path, "--force"}) == 0);
  CHECK_FALSE(fs::exists(path));
  CHECK(outputs.Reads(outputs.folder) == "other.safetensors");
}

TEST_CASE("sharded torch checkpoints go, other weights stay and are named") {
  const Outputs outputs;
  const fs::path folder = outputs.folder;
  Put(folder / "pytorch_model.bin.index.json",
      R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin",
      "c": "config.json"}})");
  Put(folder / "pytorch_model-00001-of-00002.bin", "old");
  Put(folder / "pytorch_model-00002-of-00002.bin", "old");
  Put(folder / "config.json", "{}");
  Put(folder / "optimizer.pt", "kept");
  const std::vector<std::string> one = {"--to", "safetensors",  "--max-shard-size", "64MiB",
                                        "-o",   outputs.folder, "--force"};
  REQUIRE(outputs.Make("a.safetensors", one) == 0);
  CHECK(outputs.Said().find("`optimizer.pt`") != std::string::npos);
  CHECK(outputs.Said().find("`pytorch_model-00002-of-00002.bin`") != std::string::npos);
  const Files left = ReadFolder(outputs.folder);
  CHECK(left.size() == 4);  // the output, its index, config.json, optimizer.pt
  CHECK(left.contains("config.json"));
  CHECK(left.contains("optimizer.pt"));
  CHECK(outputs.Reads(outputs.folder) == "a.safetensors");
  // The torch file that transformers would take after these.
  REQUIRE(outputs.Make("other.safetensors", {"-o", (folder / "pytorch_model.bin").string()}) == 0);
  CHECK(outputs.Said().find("transformers loads it in place of the output") != std::string::npos);
  // One shard of a set is not an output of its own.
  REQUIRE(outputs.Make("a.safetensors",
                       {"--to", "safetensors", "--max-shard-size", "64KiB", "-o", outputs.folder, "--force"}) == 0);
  fs::rename(folder / "model.safetensors.index.json", folder / "else.safetensors.index.json");
  std::string shard;
  for (const auto& [name, content] : ReadFolder(outputs.folder)) {
    if (name.starts_with("model-00001-of-")) shard = (folder / name).string();
  }
  REQUIRE(!shard.empty());
  CHECK(outputs.Make("other.safetensors", {"-o", shard, "--force"}) == 2);
}

TEST_CASE("checkpoints of ranks and of torch.distributed are never removed, and never hidden") {
  const Outputs outputs;
  const std::vector<std::string> options = {"--to", "safetensors",  "--max-shard-size", "64KiB",
                                            "-o",   outputs.folder, "--force"};
  SUBCASE("ranks") { fs::copy(kData + "ckpt/dist4", outputs.folder, fs::copy_options::recursive); }
  SUBCASE("distributed") { fs::copy(kData + "torch/dcp_two_ranks", outputs.folder, fs::copy_options::recursive); }
  const Files before = ReadFolder(outputs.folder);
  CHECK(outputs.Make("a.safetensors", options) == 2);
  CHECK(ReadFolder(outputs.folder) == before);
}

TEST_CASE("what replaces a file keeps its mode, in the program too") {
  const Outputs outputs;
  const std::string path = outputs.world.elsewhere / "x.ckpt";
  REQUIRE(outputs.Make("other.safetensors", {"-o", path}) == 0);
  fs::permissions(path, fs::perms(0600));
  REQUIRE(outputs.Make("a.safetensors", {"-o", path, "--force"}) == 0);
  CHECK(fs::status(path).permissions() == fs::perms(0600));
}

TEST_CASE("a note about the sandbox appears where a part of it is missing, and only there") {
  const Outputs outputs;
  const std::string path = (outputs.world.elsewhere / "x.ckpt").string();
  const bool whole = outputs.Make("a.safetensors", {"-o", path, "--sandbox=require"}) == 0;
  if (!whole) CHECK(outputs.Said().find("--sandbox=require: ") != std::string::npos);
  REQUIRE(outputs.Make("a.safetensors", {"-o", path, "--force"}) == 0);
  CHECK((outputs.Said().find("note: the sandbox is not complete: ") == std::string::npos) == whole);
}

}  // namespace
}  // namespace ckmap::faults
