// Programs that are large in one way each: what the compiler proves of them takes bounded time and memory, and what it
// leaves undecided is reported. `CKMAP_LARGE_PROGRAMS=1` runs all of them (a minute), and prints what each takes.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "compiler/compiler.h"

namespace ckmap {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSeconds = 40;
constexpr int64_t kMegabytes = 3000;
#else
// Of the processor: on a quiet one each takes less than 2; without bounds they take minutes.
constexpr double kSeconds = 6;
constexpr int64_t kMegabytes = 300;
#endif

struct Program {
  std::string name;
  int lines;
  std::function<std::string(int)> line;
  std::string before = {}, after = {};
  bool always = false;  // a default test runs it, too
};

std::string Names(int begin, int end) {
  std::string names;
  for (int i = begin; i < end; ++i) names += fmt::format("{}b{}", i == begin ? "" : ",", i);
  return names;
}

std::vector<Program> Programs() {
  const std::string n = "param n: int;\n";
  return {
      {"rules for one target", 2000, [](int i) { return fmt::format("\"a{}\" -> \"t\";", i); }, "", "", true},
      {"drops by a path", 3000, [](int i) { return fmt::format("drop \"{{a:path}}.x{}.*.**\";", i); }, "", "", true},
      {"shards", 2000, [](int i) { return fmt::format("shard \"**.l{}.*.w\" axis={} over g{};", i, i % 2, i); }, "", "",
       true},
      {"rules of different conditions", 1600,
       [](int i) { return fmt::format("\"a{}.{{x}}\" -> \"t.{{x}}\" when n == {};", i, i); }, n, "", true},
      {"rules of many alternatives", 20,
       [](int i) { return fmt::format("\"r{}.{{{}}}\" -> \"m.{{{}}}\";", i, Names(0, 1000), Names(i, 1000 + i)); }, "",
       "", true},
      {"conditions that are not compared as values", 1600,
       [](int i) { return fmt::format("\"a{}\" -> \"t\" when n % 1600 == {};", i, i); }, n},
      {"conditions on a number of the name", 1600,
       [](int i) { return fmt::format("\"a{}.{{j:int}}\" -> \"t.{{j}}\" when j == {};", i, i); }},
      {"conditions on a text of the name", 800,
       [](int i) { return fmt::format("\"a{}.{{x}}.{{y:path}}\" -> \"t.{{x}}.{{y}}\" when x == \"q{}\";", i, i); }},
      {"conditions on other tensors", 1600,
       [](int i) { return fmt::format("\"a{}.{{j}}\" -> \"t.{{j}}\" when source_has(\"b.{{j}}.x{}\");", i, i); }},
      {"places by a path", 3000,
       [](int i) { return fmt::format("place \"{{a:path}}.x{}.*.**\" on \"GPU:{}\";", i, i % 8); }, "", "", true},
      {"inits by a path", 3000,
       [](int i) { return fmt::format("init \"{{a:path}}.x{}.*.**\" = constant({});", i, i); }},
      {"renames of runs", 3000, [](int i) { return fmt::format("rename \"{{a}}.x{}.*\" -> \"{{a}}.y{}\";", i, i); }},
      {"rules by a path", 3000,
       [](int i) { return fmt::format("\"{{a:path}}.x{}.{{b:path}}\" -> \"{{a}}.y{}.{{b}}\";", i, i); }},
      {"rules that override", 1500,
       [](int i) {
         return fmt::format(
             "override \"{{a:path}}.x{}.{{b:path}}\" -> \"{{a}}.y{}.{{b}}\"; \"x{}.{{a}}.{{b}}\" -> "
             "\"z{}.{{a}}.{{b}}\";",
             i, i, i, i);
       }},
      {"computed numbers", 1500, [](int i) { return fmt::format("\"a{}.{{x:int}}\" -> \"b.{{2000*x+{}}}\";", i, i); },
       "", "", true},
      {"computed squares", 1500, [](int i) { return fmt::format("\"a{}.{{x:int}}\" -> \"b.{{x*x+{}}}\";", i, i); }},
      {"ranges", 1500,
       [](int i) {
         return fmt::format("\"a{}.{{x:int}}\" -> \"b.{{x}}\" where x in {}..{};", i, i * 10, i * 10 + 10);
       }},
      {"numbers over large ranges", 50,
       [](int i) {
         return fmt::format("\"a{}.{{x:int}}.{{y:int}}\" -> \"b{}.{{400*x+y}}\" where x in 0..400, y in 0..400;", i, i);
       }},
      {"regular expressions", 1000,
       [](int i) { return fmt::format("\"a{}.{{x:/(q|r{})+(s|t)*/}}\" -> \"y.{{x}}\";", i, i); }},
      {"sizes of one tensor", 2000,
       [](int i) { return fmt::format("\"w\" [{}, D] -> \"r{}\" when target_has(\"z{}\");", i + 1, i, i); }},
      {"parameters", 500,
       [](int i) {
         return fmt::format(
             "param p{}: int; param q{}: int; \"q{}\" [p{} * q{}, D] | reshape(p{}, q{} / 2, 2, D) -> \"o{}\";", i, i,
             i, i, i, i, i, i);
       }},
      {"asserts", 900, [](int i) { return fmt::format("assert n != {};", i); }, n,
       "\"q\" [n, D] | reshape(n / 2, 2, D) -> \"r\";"},
      {"a long condition", 3000, [](int i) { return fmt::format("n == {} or", i); },
       n + "\"c\" -> \"b\" when n == 1; \"a\" -> \"b\" when ", "n == 0;"},
      {"layers", 2000,
       [](int i) { return fmt::format("layer l{} {{ w{} [A] <-> g; b? [A] <-> h; drop c?; }}", i, i); }},
      {"rules of one layer", 3000, [](int i) { return fmt::format("w{} [A] <-> g{};", i, i); }, "layer l {\n", "}"},
      {"modules", 3000, [](int i) { return fmt::format("module \"{{a:path}}.x{}.**\" is l;", i); },
       "layer l { w [A] <-> g; }\n"},
      {"tests", 3000,
       [](int i) { return fmt::format("test \"t{}\" {{ source {{ a [2, 3]; }} target {{ b [2, 3]; }} }}", i); },
       "a -> b;\n"},
      {"only", 3000, [](int i) { return fmt::format("only \"{{a:path}}.x{}.*.**\";", i); }},
  };
}

TEST_CASE("large programs take bounded time and memory") {
  const bool all = std::getenv("CKMAP_LARGE_PROGRAMS") != nullptr;
  for (const Program& program : Programs()) {
    if (!all && !program.always) continue;
    std::string text = "ckmap 1;\n" + program.before;
    for (int i = 0; i < program.lines; ++i) text += program.line(i) + "\n";
    CompileOptions options;
    options.memory_files["a.ckmap"] = text + program.after;
    const std::clock_t begin = std::clock();
    const CompileResult result = Compile("a.ckmap", options);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    if (all)
      MESSAGE(program.name, ": ", seconds, " s, ", usage.ru_maxrss / 1024, " MB, ", result.diagnostics.size(),
              " diagnostics");
    CHECK_MESSAGE(seconds < kSeconds, program.name);
    CHECK_MESSAGE(usage.ru_maxrss / 1024 < kMegabytes, program.name);
    CHECK_MESSAGE((result.plan.has_value() || !result.diagnostics.empty()), program.name);
  }
}

}  // namespace
}  // namespace ckmap
