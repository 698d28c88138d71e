// Colours of text on a terminal. A Style that is off leaves text as it is.
#pragma once

#include <string>
#include <string_view>

namespace ckmap {

struct Style {
  bool color = false;

  std::string Red(std::string_view text) const { return Wrap("1;31", text); }
  std::string Yellow(std::string_view text) const { return Wrap("1;33", text); }
  std::string Cyan(std::string_view text) const { return Wrap("36", text); }
  std::string Green(std::string_view text) const { return Wrap("32", text); }
  std::string Bold(std::string_view text) const { return Wrap("1", text); }
  std::string Dim(std::string_view text) const { return Wrap("2", text); }

 private:
  std::string Wrap(std::string_view code, std::string_view text) const {
    if (!color || text.empty()) return std::string(text);
    return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
  }
};

}  // namespace ckmap
