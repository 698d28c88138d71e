#include "tests/causes/network.h"

#include <filesystem>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/formats/open.h"

namespace ckmap {

Side::Side(Manifest manifest) : manifest_(std::move(manifest)) {
  for (const TensorInfo& tensor : manifest_.tensors()) true_names_.push_back(tensor.name);
}

void Side::Rename(const std::function<std::string(const std::string&)>& rename) {
  Manifest manifest;
  std::vector<std::string> names;
  manifest.framework = manifest_.framework;
  for (size_t i = 0; i < manifest_.size(); ++i) {
    TensorInfo tensor = manifest_[i];
    tensor.name = rename(tensor.name);
    if (!tensor.tied_to.empty()) tensor.tied_to = rename(tensor.tied_to);
    if (tensor.name.empty()) continue;
    REQUIRE(manifest.Add(std::move(tensor)));
    names.push_back(true_names_[i]);
  }
  manifest_ = std::move(manifest);
  true_names_ = std::move(names);
}

void Side::Change(const std::function<void(TensorInfo&)>& change) {
  for (size_t i = 0; i < manifest_.size(); ++i) change(manifest_.at(i));
}

void Side::Remove(const std::string& part) {
  Rename([&](const std::string& name) { return name.find(part) != std::string::npos ? std::string() : name; });
}

void Side::Add(const std::string& name, DType dtype, Shape shape) {
  TensorInfo tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  REQUIRE(manifest_.Add(std::move(tensor)));
  true_names_.push_back(name);
}

void Network::Replace(const std::string& old_text, const std::string& new_text) {
  const size_t at = rules.find(old_text);
  REQUIRE_MESSAGE(at != std::string::npos, old_text);
  rules.replace(at, old_text.size(), new_text);
}

Network ReadNetwork(const std::string& pack, const std::string& family, bool copy) {
  const std::string folder = std::string(CKMAP_TEST_DATA) + "/families/" + family;
  Network network;
  auto source = ReadManifest(folder + ".source.json"), target = ReadManifest(folder + ".target.json");
  REQUIRE(source);
  REQUIRE(target);
  network.source = Side(*std::move(source));
  network.target = Side(*std::move(target));
  if (std::filesystem::exists(folder + ".config.json")) {
    network.bind.config_json = *ReadTextFile(folder + ".config.json");
    network.bind.config_path = "config.json";
  }
  network.rules = copy ? *ReadTextFile(fmt::format("{}/rules/{}.ckmap", CKMAP_SOURCE_DIR, pack))
                       : fmt::format("ckmap 1;\nuse {};\n", pack);
  return network;
}

void Resize(Side& side, int64_t from, int64_t to) {
  side.Change([&](TensorInfo& tensor) {
    for (int64_t& size : tensor.shape) size = size == from ? to : size;
  });
}

}  // namespace ckmap
