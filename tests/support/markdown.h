// The fenced blocks of a manual.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ckmap::testing {

struct MarkdownBlock {
  std::string info;  // "ckmap error=CK0301"
  std::string text;
  int line = 0;  // of the fence, from 1
};

inline std::vector<MarkdownBlock> MarkdownBlocks(std::string_view text) {
  std::vector<MarkdownBlock> blocks;
  bool inside = false;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t indent = std::min(line.find_first_not_of(' '), line.size());
    if (line.substr(indent).starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({std::string(line.substr(indent + 3)), "", number});
    } else if (inside) {
      blocks.back().text += std::string(line) + "\n";
    }
  }
  return blocks;
}

}  // namespace ckmap::testing
