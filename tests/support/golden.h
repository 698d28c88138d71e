// Tests that are text: what goes in and what must come out stand together in one file, many cases a
// file. tests/golden/README.md says how they are written.
//
//   === a title                       one case
//   --- file a.ckmap                  sections: a header line, then the body
//   ckmap 1;
//   --- ast
//   (edition 1)
//
// With CKMAP_UPDATE_GOLDEN=1 in the environment the files are rewritten instead of compared.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap::testing {

struct Section {
  std::string header;  // "file a.ckmap"
  std::string body;    // ends in a line feed unless empty

  std::string_view kind() const;      // "file"
  std::string_view argument() const;  // "a.ckmap"
};

struct GoldenCase {
  std::string title;
  std::vector<Section> sections;
  size_t line = 0;  // of the title in its file, from 1

  // Body of the first section of that kind; "" if there is none.
  std::string_view Body(std::string_view kind) const;
  // Replaces the section of that kind, or puts it at the end; an empty body removes it.
  void Set(std::string_view kind, std::string body);
};

struct GoldenFile {
  std::string preamble;  // what stands above the first case; a comment
  std::vector<GoldenCase> cases;
};
GoldenFile ParseGolden(std::string_view text);
std::string PrintGolden(const GoldenFile& file);

// Runs `run` on each case of each `*.txt` of tests/golden/FOLDER; it replaces the sections that hold results
// by what really came out, and any difference fails the test (doctest), with file, line and title.
// `[..]` in an expected line matches anything within the line.
void RunGoldenFolder(const std::string& folder, const std::function<void(GoldenCase&)>& run);

// All files of tests/golden/FOLDER with the ending, sorted; full paths.
std::vector<std::string> GoldenFiles(const std::string& folder, const std::string& ending);
std::string ReadText(const std::string& path);
void WriteText(const std::string& path, std::string_view text);
bool Updating();  // CKMAP_UPDATE_GOLDEN=1

// Runs the `command` sections of a case by `sh` in a new folder that holds its files, with the build's
// bin/ first in PATH, and sets `output` (stdout and stderr as they come) and `exit` (if not 0) after each.
void RunCommands(GoldenCase& golden_case);

}  // namespace ckmap::testing
