// `ckmap load-check` beside MindSpore itself: cases.json holds files, networks and options, and what MindSpore 2.10
// answered (make_cases.py asked it).
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/formats/open.h"
#include "runtime/report/load_check.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

using simdjson::dom::element;

// Where the two differ on purpose: title → why.
const std::map<std::string, std::string, std::less<>> kDeliberate = {
    {"a text first, then a tensor with that end",
     "texts and tensors of a file are listed apart, so which of them comes first is not known"},
};

std::string Text(element value) { return std::string(std::string_view(value)); }

std::vector<std::string> Texts(element array) {
  std::vector<std::string> out;
  for (const element item : array.get_array()) out.push_back(Text(item));
  return out;
}

void WriteHex(const std::string& path, std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::ofstream out(path, std::ios::binary);
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.put(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
}

Manifest NetworkOf(element network) {
  Manifest manifest;
  for (const element parameter : network.get_array()) {
    TensorInfo info;
    info.name = Text(parameter.at(0));
    info.dtype = ParseDType(std::string_view(parameter.at(1))).value();
    for (const element size : parameter.at(2).get_array()) info.shape.push_back(int64_t(size));
    REQUIRE(manifest.Add(info));
  }
  return manifest;
}

Selection SelectionOf(element options) {
  Selection selection;
  for (const auto& [key, list] :
       {std::pair("specify_prefix", &selection.specify_prefix), std::pair("filter_prefix", &selection.filter_prefix),
        std::pair("only", &selection.only), std::pair("drop", &selection.drop)}) {
    element value;
    if (!options[key].get(value)) *list = Texts(value);
  }
  return selection;
}

// "raises", or both lists.
std::string Shown(const LoadVerdict& verdict) {
  if (!verdict.fits) return "raises";
  return fmt::format("[{}] [{}]", fmt::join(verdict.param_not_load, ", "), fmt::join(verdict.ckpt_not_load, ", "));
}

std::string Shown(element answer) {
  if (answer.is_string()) return Text(answer);
  return fmt::format("[{}] [{}]", fmt::join(Texts(answer.at(0)), ", "), fmt::join(Texts(answer.at(1)), ", "));
}

TEST_CASE("load-check answers what MindSpore answers") {
  simdjson::dom::parser parser;
  element cases;
  REQUIRE(!parser.load(std::string(CKMAP_SOURCE_DIR) + "/tests/load_check/cases.json").get(cases));
  const TempFolder folder;
  for (const auto& file : cases["files"].get_object()) WriteHex(folder / std::string(file.key), file.value);
  size_t asked = 0, deliberate = 0;
  for (const element test : cases["cases"].get_array()) {
    const std::string title = Text(test["title"]), path = folder / Text(test["file"]);
    INFO(title);
    ++asked;
    const auto file = OpenCheckpoint(path);
    const bool loads = test["loads"];
    if (!file) {
      CHECK_MESSAGE(!loads, file.error().message());  // what is not read here must not load there
      continue;
    }
    const MindSporeDict dict(**file, path, SelectionOf(test["options"]));
    CHECK_MESSAGE(dict.raises().empty() == loads, dict.raises());
    if (!loads || !dict.raises().empty()) continue;
    const Manifest network = NetworkOf(cases["networks"][std::string_view(test["network"])]);
    const std::vector<LoadVerdict> verdicts = CheckLoad(dict, (*file)->manifest(), network);
    const bool equal = Shown(verdicts[0]) == Shown(test["loose"]) && Shown(verdicts[1]) == Shown(test["strict"]);
    if (kDeliberate.contains(title)) {
      ++deliberate;
      CHECK_MESSAGE(!equal, "no longer differs: take it off the list");
      continue;
    }
    CHECK(Shown(verdicts[0]) == Shown(test["loose"]));
    CHECK(Shown(verdicts[1]) == Shown(test["strict"]));
  }
  CHECK(asked >= 200);
  CHECK(deliberate == kDeliberate.size());
}

}  // namespace
}  // namespace ckmap
