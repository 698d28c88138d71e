#include "tests/support/manifest_templates.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

// "a.{0..2}.{q,k}" → the names that it stands for.
void Expand(std::string_view pattern, const std::string& prefix, std::vector<std::string>& out) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) {
    out.push_back(prefix + std::string(pattern));
    return;
  }
  const size_t close = pattern.find('}', open);
  const std::string inside(pattern.substr(open + 1, close - open - 1));
  const std::string before = prefix + std::string(pattern.substr(0, open));
  std::vector<std::string> choices;
  if (const size_t dots = inside.find(".."); dots != std::string::npos) {
    for (int i = std::stoi(inside); i <= std::stoi(inside.substr(dots + 2)); ++i) choices.push_back(std::to_string(i));
  } else {
    std::istringstream words(inside);
    for (std::string word; std::getline(words, word, ',');) choices.push_back(word);
  }
  for (const std::string& choice : choices) Expand(pattern.substr(close + 1), before + choice, out);
}

}  // namespace

Manifest ManifestFromTemplates(std::string_view text) {
  Manifest manifest;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    std::istringstream words(line);
    std::string pattern, word;
    words >> pattern;
    TensorInfo info;
    info.dtype = DType::kF32;
    while (words >> word) {
      std::erase_if(word, [](char c) { return c == '[' || c == ']' || c == ','; });
      if (word.empty()) continue;
      if (const auto dtype = ParseDType(word)) {
        info.dtype = *dtype;
      } else {
        info.shape.push_back(std::stoll(word));
      }
    }
    std::vector<std::string> names;
    Expand(pattern, "", names);
    for (std::string& name : names) {
      info.name = std::move(name);
      REQUIRE_MESSAGE(manifest.Add(info), info.name);
    }
  }
  return manifest;
}

}  // namespace ckmap
