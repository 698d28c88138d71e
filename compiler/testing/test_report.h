// What a run of tests is told as.
#pragma once

#include <string>
#include <vector>

#include "compiler/testing/run_test.h"
#include "runtime/report/style.h"

namespace ckmap {

// The tests of one file.
struct FileTests {
  std::string file;  // as it is shown
  struct Entry {
    std::string name;
    uint32_t line = 0;
    TestResult result;
  };
  std::vector<Entry> tests;
};

size_t CountFailed(const std::vector<FileTests>& files);

// One line for each test, what is wrong below those that failed, a count at the end.
std::string RenderTests(const std::vector<FileTests>& files, const Style& style);

// {"ok": true, "passed": 2, "failed": 0, "tests": [{"file": …, "line": …, "name": …, "ok": …, "failures": [
//   {"tensor": …, "message": …, "notes": [… ]}]}]}
std::string RenderTestsJson(const std::vector<FileTests>& files);

}  // namespace ckmap
