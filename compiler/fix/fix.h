// What mends rules, as edits of their text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/source/source_map.h"
#include "runtime/causes/cause.h"

namespace ckmap {

// One replacement in a text; `begin` and `end` are offsets in bytes.
struct TextFix {
  uint32_t begin = 0, end = 0;
  std::string replacement;
};

// The edit in the text of `file`. nullopt: it is an option, it is of another file, or what it replaces is not there.
std::optional<TextFix> FixOf(const CauseEdit& edit, const SourceFile& file);

// "add: rename "module" -> "";", for menus.
std::string TitleOf(const Cause& cause, const CauseEdit& edit);

std::string Applied(std::string text, const TextFix& fix);

}  // namespace ckmap
