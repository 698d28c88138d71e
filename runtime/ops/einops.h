// The notation of `rearrange`: "(h d two) e -> (h two d) e", with the rules of einops. It is read when rules are
// compiled, where a mistake is shown at its place, and when a plan is bound.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ckmap {

struct EinopsAxis {
  std::string name;  // kEllipsis for `...`
  size_t at = 0;     // where it stands in the text
};
inline constexpr std::string_view kEllipsis = "...";

// One axis of a shape: a product of named axes, outermost first; none (`1`, `()`): an axis of size 1.
struct EinopsGroup {
  std::vector<EinopsAxis> axes;
  size_t at = 0;
  size_t length = 0;

  bool IsEllipsis() const { return axes.size() == 1 && axes[0].name == kEllipsis; }
};

struct EinopsSide {
  std::vector<EinopsGroup> groups;
  bool ellipsis = false;
};

struct Rearrangement {
  EinopsSide left, right;  // with the same named axes, each once; an ellipsis stands on both sides or on none,
                           // and on the left it is a group of its own
};

struct EinopsMistake {
  std::string message;
  std::string help;
  size_t at = 0;      // where in the text
  size_t length = 0;  // of what is wrong
};

std::variant<Rearrangement, EinopsMistake> ParseRearrangement(std::string_view text);

}  // namespace ckmap
