// What every code of a message means: `ckmapc explain CK0301`. The texts are the `.md` files of this folder, one
// section for each code, and are part of the program. The first paragraph says what the code means; the blocks show a
// file that gives it, the other files that this needs, and (`mended`) the file put right. A test runs them.
//
//   ## CK0301                                  a diagnostic: its summary is in diag/diagnostic_kinds.def
//   ## CK1201 error: nothing writes a …         an issue, with its severity and its summary
//
//   ```ckmap            a.ckmap, which gives the code      ```ckmap mended     the same without the mistake
//   ```ckmap name=PATH  another file; also yaml, json      ```yaml source|target   source.yaml, target.yaml
//   ```ckmap reverse, ```ckmap -D name=value     a.ckmap with this option
//   ```sh               makes files that are no text       ```console          commands that show the code
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

struct Explanation {
  std::string code;      // "CK0301"
  std::string severity;  // "error", "warning" or "note"
  std::string summary;
  std::string text;  // Markdown: paragraphs and blocks
};

// All of them, by code.
const std::vector<Explanation>& Explanations();

// Upper or lower case; nullptr: there is no such code.
const Explanation* FindExplanation(std::string_view code);

// For a terminal: blocks are indented, with the names of their files.
std::string RenderExplanation(const Explanation& explanation);

}  // namespace ckmap
