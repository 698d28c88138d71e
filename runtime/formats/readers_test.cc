// Every file of tests/data that these readers take, against what the frameworks themselves read from it.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_crypto.h"
#include "runtime/formats/open.h"
#include "tests/support/torch_oracle.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

const std::string kData = CKMAP_TEST_DATA;

std::string Text(const dom::element& object, std::string_view key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? std::string(text) : "";
}

OpenOptions OptionsOf(const dom::element& object) {
  const std::string hex = Text(object, "key_hex");
  std::string key;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) key += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return {.key = SecretKey(key), .cipher = ParseCipherMode(Text(object, "mode"))};
}

struct Expected {
  std::string name;
  std::string dtype;
  Shape shape;
  std::string sha256;
};

struct Oracle {
  std::vector<Expected> tensors;
  std::vector<std::pair<std::string, std::string>> texts;  // of append_dict
  std::string refuse_scope;
  std::string refuse;
  OpenOptions options;
};

Oracle ReadOracle(const std::string& path) {
  dom::parser parser;
  const dom::element root = parser.load(path);
  Oracle oracle;
  oracle.refuse_scope = Text(root, "refuse_scope");
  oracle.refuse = Text(root, "refuse");
  dom::element load;
  if (root["load"].get(load) == simdjson::SUCCESS) oracle.options = OptionsOf(load);
  for (const dom::element& entry : root["tensors"].get_array()) {
    Expected tensor{
        .name = Text(entry, "name"), .dtype = Text(entry, "dtype"), .shape = {}, .sha256 = Text(entry, "sha256")};
    for (char& c : tensor.dtype) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (tensor.dtype == "int4x2") tensor.dtype = "i4";
    for (const int64_t size : entry["shape"].get_array()) tensor.shape.push_back(size);
    // Where no framework read the file, the oracle counts 4-bit values; an element of kF4 is a byte of two.
    if (tensor.dtype == "f4" && Text(entry, "native").empty()) tensor.shape.back() /= 2;
    oracle.tensors.push_back(std::move(tensor));
  }
  dom::array leaves;
  if (root["leaves"].get(leaves) == simdjson::SUCCESS) {
    for (const dom::element& leaf : leaves) oracle.texts.emplace_back(Text(leaf, "name"), Text(leaf, "value"));
  }
  return oracle;
}

std::string Compare(const Checkpoint& checkpoint, const Oracle& oracle) {
  std::string differences;
  if (checkpoint.manifest().size() != oracle.tensors.size()) {
    differences += fmt::format("{} tensors, not {}\n", checkpoint.manifest().size(), oracle.tensors.size());
  }
  for (const Expected& want : oracle.tensors) {
    const auto at = checkpoint.manifest().Find(want.name);
    if (!at) {
      differences += fmt::format("no tensor `{}`\n", EscapeText(want.name));
      continue;
    }
    const TensorInfo& info = checkpoint.manifest()[*at];
    if (!info.unreadable.empty()) {
      if (oracle.refuse_scope != "entry")
        differences += fmt::format("`{}` is unreadable: {}\n", want.name, info.unreadable);
      continue;
    }
    if (DTypeName(info.dtype) != want.dtype || info.shape != want.shape) {
      differences += fmt::format("`{}` is {} {}, not {} {}\n", EscapeText(want.name), DTypeName(info.dtype),
                                 FormatShape(info.shape), want.dtype, FormatShape(want.shape));
      continue;
    }
    const auto bytes = LogicalBytes(checkpoint, *at);
    if (!bytes || Sha256Hex(*bytes) != want.sha256)
      differences += fmt::format("`{}` has other bytes\n", EscapeText(want.name));
    if (auto verified = checkpoint.VerifyStorage(checkpoint.layout(*at).storage); !verified) {
      differences += verified.error().message() + "\n";
    }
  }
  for (const auto& [name, value] : oracle.texts) {
    const auto found = std::find_if(checkpoint.others().begin(), checkpoint.others().end(),
                                    [&name = name](const OtherEntry& other) { return other.name == name; });
    if (found == checkpoint.others().end() || std::get<std::string>(found->value) != value) {
      differences += fmt::format("no text `{}` of that value\n", name);
    }
  }
  return differences;
}

// Opens, reads all of it, checks all checksums; a tensor that cannot be read counts as refused.
Result<void> ReadWhole(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const auto checkpoint, OpenCheckpoint(path, options));
  for (const TensorInfo& info : checkpoint->manifest().tensors()) {
    if (!info.unreadable.empty()) return Error(ErrorCode::kMalformed, info.unreadable);
  }
  return ReadAll(*checkpoint, true);
}

void CheckFolder(const std::string& folder) {
  size_t checked = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string oracle_path = entry.path().string();
    const std::string path = oracle_path.substr(0, oracle_path.rfind(".json"));
    if (!oracle_path.ends_with(".json") || !fs::exists(path)) continue;
    CAPTURE(path);
    ++checked;
    Oracle oracle = ReadOracle(oracle_path);
    if (path.ends_with("enc_and_crc.ckpt")) {
      Oracle same = ReadOracle(folder + "/enc_aes_gcm_16.ckpt.json");
      oracle.tensors = std::move(same.tensors);
    }
    const auto checkpoint = OpenCheckpoint(path, oracle.options);
    const bool refused = oracle.refuse_scope == "file" || path.ends_with("hifloat8.ckpt");
    if (refused) {
      REQUIRE_FALSE(checkpoint.ok());
      CHECK(checkpoint.error().code() == ErrorCode::kMalformed);
      CHECK(checkpoint.error().message().starts_with(path));
      continue;
    }
    if (!checkpoint) FAIL_CHECK(checkpoint.error().message());
    if (checkpoint) CHECK(Compare(**checkpoint, oracle) == "");
  }
  CHECK(checked > 0);
}

}  // namespace

TEST_CASE("safetensors files say what the frameworks read from them") { CheckFolder(kData + "/safetensors"); }

TEST_CASE(".ckpt files, encrypted ones too, say what MindSpore reads from them") { CheckFolder(kData + "/ckpt"); }

TEST_CASE("hostile files are refused, odd ones read exactly") {
  dom::parser parser;
  size_t checked = 0;
  for (const dom::element& entry : parser.load(kData + "/hostile/readers_index.json").get_array()) {
    const std::string file = Text(entry, "file");
    const bool ours =
        file.starts_with("st_") || file.starts_with("idx_") || file.starts_with("ms_") || file.starts_with("enc_");
    if (!ours) continue;
    ++checked;
    const std::string path = kData + "/hostile/" + file;
    const std::string why = Text(entry, "why");
    CAPTURE(file);
    CAPTURE(why);
    const OpenOptions options = OptionsOf(entry);
    const auto read = ReadWhole(path, options);
    if (!read) {
      CHECK_MESSAGE(Text(entry, "must") != "accept", read.error().message());
      CHECK_MESSAGE(read.error().code() == ErrorCode::kMalformed, read.error().message());
      continue;
    }
    CHECK(Text(entry, "must") != "refuse");
    const auto checkpoint = OpenCheckpoint(path, options);
    REQUIRE(checkpoint.ok());
    if (fs::exists(path + ".json")) CHECK(Compare(**checkpoint, ReadOracle(path + ".json")) == "");
  }
  CHECK(checked > 250);
}

TEST_CASE("MindIR: names without the graph's, as manifest and as checkpoint; encrypted too") {
  const auto old_version = OpenCheckpoint(kData + "/mindir/old_version_mindir_2.mindir");
  REQUIRE(old_version.ok());
  const auto lstm = (*old_version)->manifest().Find("lstm.weight_ih_l0");
  REQUIRE(lstm.has_value());
  CHECK((*old_version)->manifest()[*lstm].shape == Shape{200, 10});
  CHECK((*old_version)->manifest()[*lstm].dtype == DType::kF32);
  CHECK(ReadAll(**old_version, true).ok());

  const auto network = ReadManifest(kData + "/mindir/ori_net.mindir");
  REQUIRE(network.ok());
  const auto conv = network->Find("conv2.weight");
  REQUIRE(conv.has_value());
  CHECK((*network)[*conv].shape == Shape{16, 6, 5, 5});

  const std::string encrypted = kData + "/mindir/add_encrpty_key_0123456789ABCDEF.mindir";
  const auto closed = OpenCheckpoint(encrypted);
  REQUIRE_FALSE(closed.ok());
  CHECK(closed.error().message().find("--key-file") != std::string::npos);
  const auto open = OpenCheckpoint(encrypted, {.key = SecretKey("0123456789ABCDEF")});
  REQUIRE(open.ok());
  const auto plain = OpenCheckpoint(kData + "/mindir/add_no_encrpty.mindir");
  REQUIRE(plain.ok());
  CHECK((*open)->manifest().tensors().size() == (*plain)->manifest().tensors().size());
}

}  // namespace ckmap
