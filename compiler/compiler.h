// The compiler: `.ckmap` text → Plan, or everything that is wrong with it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/sema/test_case.h"
#include "compiler/source/source_map.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {

struct CompileOptions {
  std::vector<std::string> pack_path;               // folders that hold packs, first wins
  std::map<std::string, std::string> memory_files;  // path → text, before the disk (tests, editors)
  std::map<std::string, std::string> defines;       // parameter → value as typed; fixed in the plan
  bool reverse = false;                             // the plan runs from right to left
};

struct CompileResult {
  SourceMap sources;
  std::vector<Diagnostic> diagnostics;  // sorted
  std::optional<Plan> plan;             // set iff there is no error
  std::vector<TestCase> tests;          // of the file itself, not of those that it uses
};

struct ReversedText {
  SourceMap sources;
  std::vector<Diagnostic> diagnostics;  // sorted
  std::optional<std::string> text;      // a `.ckmap` file that needs no other; set iff there is no error
};

// The same migration from right to left, as text: what `reverse` does for plans.
ReversedText ReverseToText(const std::string& path, const CompileOptions& options = {});

// Reads `path` and what it uses. A file that cannot be read is a diagnostic too.
CompileResult Compile(const std::string& path, const CompileOptions& options = {});

}  // namespace ckmap
