#include "tests/support/golden.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/temp_folder.h"

namespace ckmap::testing {

bool Updating() {
  const char* update = std::getenv("CKMAP_UPDATE_GOLDEN");
  return update != nullptr && std::string_view(update) == "1";
}

void WriteText(const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTitle = "=== ";
constexpr std::string_view kHeader = "--- ";

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool NeedsEscape(std::string_view line) {
  return line.starts_with(kTitle) || line.starts_with(kHeader) || line.starts_with('\\');
}

// Whether `line` is what `pattern` says; `[..]` stands for anything.
bool Matches(std::string_view pattern, std::string_view line) {
  constexpr std::string_view kAny = "[..]";
  size_t any = pattern.find(kAny);
  if (any == std::string_view::npos) return pattern == line;
  if (!line.starts_with(pattern.substr(0, any))) return false;
  line.remove_prefix(any);
  pattern.remove_prefix(any + kAny.size());
  while ((any = pattern.find(kAny)) != std::string_view::npos) {
    const size_t at = line.find(pattern.substr(0, any));
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at + any);
    pattern.remove_prefix(any + kAny.size());
  }
  return line.ends_with(pattern);
}

// The lines that came out, but as expected where they match.
std::string KeepMatching(std::string_view expected, std::string_view actual) {
  const auto wanted = Lines(expected);
  const auto found = Lines(actual);
  if (wanted.size() != found.size()) return std::string(actual);
  std::string out;
  for (size_t i = 0; i < found.size(); ++i) {
    out += Matches(wanted[i], found[i]) ? wanted[i] : found[i];
    out += '\n';
  }
  return out;
}

std::string FirstDifference(std::string_view expected, std::string_view actual) {
  const auto wanted = Lines(expected);
  const auto found = Lines(actual);
  size_t i = 0;
  while (i < wanted.size() && i < found.size() && wanted[i] == found[i]) ++i;
  return fmt::format("expected: {}\n   found: {}", i < wanted.size() ? wanted[i] : "(nothing more)",
                     i < found.size() ? found[i] : "(nothing more)");
}

std::string PrintCase(const GoldenCase& golden_case) {
  std::string out = fmt::format("{}{}\n", kTitle, golden_case.title);
  for (const Section& section : golden_case.sections) {
    out += fmt::format("{}{}\n", kHeader, section.header);
    for (const std::string_view line : Lines(section.body)) {
      if (NeedsEscape(line)) out += '\\';
      out += line;
      out += '\n';
    }
  }
  return out;
}

struct CommandResult {
  std::string output;
  int exit = 0;
};

CommandResult RunCommand(std::string_view command, const fs::path& folder) {
  const fs::path script = folder / ".command";
  WriteText(script, fmt::format("cd '{}' || exit 99\nexport PATH='{}/bin':\"$PATH\" LC_ALL=C.UTF-8 "
                                "NO_COLOR=1 CKMAP_PACKS=\nrm -f .command\n{}",
                                folder.string(), CKMAP_BUILD_DIR, command));
  const std::string line = fmt::format("timeout 120 sh '{}' 2>&1 </dev/null", script.string());
  FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  CommandResult result;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) result.output.append(buffer, count);
  const int status = pclose(pipe);
  result.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string WithFinalNewline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

// What an update may not lose: wildcards of the old text where they still match.
void KeepWildcards(const GoldenCase& before, GoldenCase& after) {
  const size_t count = std::min(before.sections.size(), after.sections.size());
  for (size_t i = 0; i < count; ++i) {
    if (before.sections[i].header != after.sections[i].header) return;
    after.sections[i].body = KeepMatching(before.sections[i].body, after.sections[i].body);
  }
}

}  // namespace

std::string_view Section::kind() const { return std::string_view(header).substr(0, header.find(' ')); }
std::string_view Section::argument() const {
  const size_t space = header.find(' ');
  return space == std::string::npos ? "" : std::string_view(header).substr(space + 1);
}

std::string_view GoldenCase::Body(std::string_view kind) const {
  for (const Section& section : sections) {
    if (section.kind() == kind) return section.body;
  }
  return "";
}

void GoldenCase::Set(std::string_view kind, std::string body) {
  body = WithFinalNewline(std::move(body));
  const auto found =
      std::find_if(sections.begin(), sections.end(), [kind](const Section& section) { return section.kind() == kind; });
  if (body.empty()) {
    if (found != sections.end()) sections.erase(found);
  } else if (found != sections.end()) {
    found->body = std::move(body);
  } else {
    sections.push_back({std::string(kind), std::move(body)});
  }
}

GoldenFile ParseGolden(std::string_view text) {
  GoldenFile file;
  size_t number = 0;
  for (std::string_view line : Lines(text)) {
    ++number;
    if (line.starts_with(kTitle)) {
      file.cases.push_back({std::string(line.substr(kTitle.size())), {}, number});
    } else if (file.cases.empty()) {
      file.preamble += std::string(line) + "\n";
    } else if (line.starts_with(kHeader)) {
      file.cases.back().sections.push_back({std::string(line.substr(kHeader.size())), ""});
    } else if (!file.cases.back().sections.empty()) {
      if (line.starts_with('\\')) line.remove_prefix(1);
      file.cases.back().sections.back().body += std::string(line) + "\n";
    }
  }
  // The blank line between two cases belongs to neither.
  for (GoldenCase& golden_case : file.cases) {
    if (golden_case.sections.empty()) continue;
    std::string& body = golden_case.sections.back().body;
    if (body == "\n") body.clear();
    if (body.ends_with("\n\n")) body.pop_back();
  }
  return file;
}

std::string PrintGolden(const GoldenFile& file) {
  std::string out = file.preamble;
  for (size_t i = 0; i < file.cases.size(); ++i) {
    if (i > 0) out += "\n";
    out += PrintCase(file.cases[i]);
  }
  return out;
}

std::vector<std::string> GoldenFiles(const std::string& folder, const std::string& ending) {
  std::vector<std::string> files;
  const fs::path root = fs::path(CKMAP_SOURCE_DIR) / "tests/golden" / folder;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(root, missing)) {
    if (entry.path().string().ends_with(ending)) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadText(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  REQUIRE_MESSAGE(stream.good(), "cannot read ", path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void RunGoldenFolder(const std::string& folder, const std::function<void(GoldenCase&)>& run) {
  const std::vector<std::string> files = GoldenFiles(folder, ".txt");
  CHECK_MESSAGE(!files.empty(), "no cases in tests/golden/", folder);
  for (const std::string& path : files) {
    GoldenFile file = ParseGolden(ReadText(path));
    CHECK_MESSAGE(!file.cases.empty(), "no cases in ", path);
    for (GoldenCase& golden_case : file.cases) {
      const GoldenCase before = golden_case;
      run(golden_case);
      KeepWildcards(before, golden_case);
      if (Updating()) continue;
      const std::string expected = PrintCase(before);
      const std::string actual = PrintCase(golden_case);
      CHECK_MESSAGE(expected == actual,
                    fmt::format("{}:{}: {}\n{}\n(CKMAP_UPDATE_GOLDEN=1 accepts what is found)", path, before.line,
                                before.title, FirstDifference(expected, actual)));
    }
    if (Updating()) WriteText(path, PrintGolden(file));
  }
}

namespace {

// Where the machine has no sandbox the programs say so; that is not what a case is about.
std::string WithoutSandboxNotes(std::string output) {
  constexpr std::string_view kNote = "note: the sandbox ";
  for (size_t at = 0; (at = output.find(kNote, at)) != std::string::npos;) {
    const size_t end = output.find('\n', at);
    if (end == std::string::npos || (at > 0 && output[at - 1] != '\n')) {
      at += kNote.size();
    } else {
      output.erase(at, end + 1 - at);
    }
  }
  return output;
}

}  // namespace

void RunCommands(GoldenCase& golden_case) {
  const TempFolder temporary;
  const fs::path folder = temporary.path();
  std::vector<Section> sections;
  bool last_was_command = false;
  for (Section& section : golden_case.sections) {
    const std::string_view kind = section.kind();
    if (kind == "output" || kind == "exit") {
      CHECK_MESSAGE(last_was_command, golden_case.title, ": `", section.header, "` without a command");
      continue;
    }
    last_was_command = kind == "command";
    if (kind == "file") {
      WriteText(folder / section.argument(), section.body);
    } else if (kind == "copy") {  // a file or folder of tests/data, under its own last name
      const fs::path from = fs::path(CKMAP_TEST_DATA) / section.argument();
      fs::copy(from, folder / from.filename(), fs::copy_options::recursive);
    } else {
      CHECK_MESSAGE(last_was_command, golden_case.title, ": unknown section `", section.header, "`");
    }
    sections.push_back(section);
    if (!last_was_command) continue;
    CommandResult result = RunCommand(section.body, folder);
    if (result.exit != 0) sections.push_back({fmt::format("exit {}", result.exit), ""});
    result.output = WithoutSandboxNotes(std::move(result.output));
    result.output = ReplaceAll(std::move(result.output), folder.string(), "$TMP");
    if (!result.output.empty()) {
      sections.push_back({"output", WithFinalNewline(std::move(result.output))});
    }
  }
  golden_case.sections = std::move(sections);
}

}  // namespace ckmap::testing
