// Rules that nest without end, chains that never stop and lines of a megabyte: `ckmapc` answers each on a stack of
// 256 KiB and in bounded memory, with a plan or with a diagnostic.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

constexpr rlim_t kStack = 256 << 10;
constexpr long kMaxMemory = 768 << 10;  // KiB

struct Outcome {
  int exit = -1;  // -1: ended by a signal
  int signal = 0;
  long memory = 0;  // KiB, at most
};

Outcome RunCompiler(const std::vector<std::string>& args) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit stack{kStack, kStack};
    setrlimit(RLIMIT_STACK, &stack);
    const int null = ::open("/dev/null", 1);
    dup2(null, 1);
    dup2(null, 2);
    std::vector<char*> argv;
    const std::string program = std::string(CKMAP_BUILD_DIR) + "/bin/ckmapc";
    argv.push_back(const_cast<char*>(program.c_str()));
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  Outcome outcome;
  outcome.memory = usage.ru_maxrss;
  if (WIFEXITED(status)) outcome.exit = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

std::string Repeat(std::string_view text, size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

struct Input {
  std::string name, text;
  int exit;  // 0: compiles, or is deeper than a plan may be (5), 1: a diagnostic, 2: any of these
};

void Expect(const std::vector<Input>& inputs, const std::vector<std::string>& command) {
  const TempFolder folder;
  for (const Input& input : inputs) {
    std::ofstream(folder / "a.ckmap") << "ckmap 1;\n" << input.text;
    std::vector<std::string> args = command;
    args.push_back(folder / "a.ckmap");
    if (command.empty()) args.insert(args.end(), {"-o", folder / "a.ckplan"});
    const Outcome outcome = RunCompiler(args);
    CHECK_MESSAGE(outcome.signal == 0, input.name, ": ended by signal ", outcome.signal);
    const bool any = outcome.exit == 0 || outcome.exit == 5;
    const bool fits = input.exit == 1 ? outcome.exit == 1 : any || (input.exit == 2 && outcome.exit == 1);
    if (outcome.signal == 0) CHECK_MESSAGE(fits, input.name, ": exit ", outcome.exit);
    CHECK_MESSAGE(outcome.memory < kMaxMemory, input.name, ": ", outcome.memory, " KiB");
  }
}

// Everything of the language that nests or chains, `depth` deep.
std::vector<Input> Nested(size_t depth, int exit) {
  const auto twice = [&](std::string_view open, std::string_view inner, std::string_view close) {
    return Repeat(open, depth) + std::string(inner) + Repeat(close, depth);
  };
  std::vector<Input> inputs = {
      {"parentheses", "let x = " + twice("(", "1", ")") + ";", exit},
      {"lists", "let x = " + twice("[", "1", "]") + ";", exit == 0 ? 2 : exit},
      {"calls", "let x = " + twice("abs(", "1", ")") + ";", exit},
      {"not", "assert " + Repeat("not ", depth) + "true;", exit},
      {"minus", "let x = " + Repeat("-", depth) + "1;", exit},
      {"minus of a param", "param p: int; let x = " + Repeat("-", depth) + "p; assert x > 0;", exit},
      {"if in then", "let x = " + Repeat("if true then ", depth) + "1" + Repeat(" else 2", depth) + ";", exit},
      {"if in else", "param p: bool; let x = " + Repeat("if p then 1 else ", depth) + "1;", exit},
      {"if in condition", "let x = " + Repeat("if ", depth) + "true" + Repeat(" then true else false", depth) + ";",
       exit},
      {"sum", "param p: int; let x = p" + Repeat(" + p", depth) + "; assert x > 0;", exit},
      {"product", "param p: int; \"a\" [p" + Repeat(" * p", depth) + "] -> \"b\";", exit == 0 ? 2 : exit},
      {"and", "param p: bool; \"a\" -> \"b\" when p" + Repeat(" and p", depth) + "; \"c\" -> \"b\" when not p;", exit},
      {"or of ands",
       "param p: int; \"a\" -> \"b\" when p == 1" + Repeat(" or p == 2 and p != 3", depth / 3) +
           "; \"c\" -> \"b\" when p > 9;",
       exit},
      {"comparisons", "assert 1" + Repeat(" < 1", depth) + ";", 1},
      {"groups of a pipeline", twice("(", "a", ")") + " -> b;", exit},
      {"groups with operations", Repeat("(", depth) + "a" + Repeat(" | transpose())", depth) + " -> b;", exit},
      {"within", twice("within \"a\" <-> \"b\" { ", "x <-> y;", " }"), depth > 50 ? 1 : exit},
      {"within with conditions", twice("within \"a\" <-> \"b\" when source_has(\"q\") { ", "x <-> y;", " }"),
       depth > 50 ? 1 : exit},
      {"layer", twice("layer a { ", "x <-> y;", " }"), 1},
      {"test block", "test \"t\" " + twice("{", "x", "}"), depth > 50 ? 1 : 2},
      {"index of a slice", "\"a\" | slice(axis=0, end=" + twice("(", "1", ")") + ") -> \"b\";", exit},
      {"hole", "\"a.{i:int}\" -> \"b.{" + twice("(", "i", ")") + "}\";", 2},
      {"hole of minuses", "\"a.{i:int}\" -> \"b.{" + Repeat("-", depth) + "i}\";", 2},
      {"regular expression", "/^" + twice("(", "a", ")") + "$/ -> \"b\";", 2},
      {"stars of a regular expression",
       "\"{x:/" + twice("(", "a", ")*") + "/}\" -> \"b.{x}\"; \"{x:/" + twice("(", "b", ")*") + "/}c\" -> \"b.{x}\";",
       2},
      {"shape", "\"a\" [" + twice("(", "1", ")") + "] -> \"b\";", exit},
      {"open only", "let x = " + Repeat("(", depth), 1},
      {"close only", "let x = 1" + Repeat(")", depth) + ";", 1},
      {"open blocks", Repeat("within a -> b {", depth), 1},
  };
  return inputs;
}

TEST_CASE("nesting without end is a diagnostic") { Expect(Nested(100'000, 1), {"check"}); }

TEST_CASE("nesting within the limits goes through every stage") {
  Expect(Nested(45, 0), {});
  std::vector<Input> inputs = Nested(190, 2);
  Expect(inputs, {});
}

TEST_CASE("chains of statements take no stack") {
  std::string lets = "param p: int;\nlet x0 = p;\n", doubled = "param p: int;\nlet x0 = p;\n",
              constants = "let x0 = 1;\n", truths = "param p: int;\nlet x0 = p == 1;\n";
  for (int i = 1; i < 4'000; ++i) {
    lets += fmt::format("let x{} = x{} + 1;\n", i, i - 1);
    truths += fmt::format("let x{} = x{} or p == {};\n", i, i - 1, i);
  }
  for (int i = 1; i < 300; ++i) {
    doubled += fmt::format("let x{} = x{} * x{} + x{};\n", i, i - 1, i - 1, i - 1);
    constants += fmt::format("let x{} = x{} * x{} + x{};\n", i, i - 1, i - 1, i - 1);
  }
  const std::string many = "\"a\" [x3999] -> \"b\";\n", use = "\"a\" [x299] -> \"b\";\n";
  Expect({{"lets", lets + many, 2},
          {"lets that double", doubled + use, 2},
          {"constants that double", constants + use, 2},
          {"conditions", truths + "\"a\" -> \"b\" when x3999;\n\"c\" -> \"b\" when not x3999;\n", 2}},
         {"check"});
}

TEST_CASE("lines of a megabyte") {
  constexpr size_t kMega = 1'000'000;
  Expect({{"name", "rename " + std::string(kMega, 'a') + " -> b;", 2},
          {"dotted name", "rename a" + Repeat(".a", kMega / 2) + " -> b;", 2},
          {"text", "drop \"" + std::string(kMega, 'a') + "\";", 2},
          {"number", "let x = " + std::string(kMega, '1') + ";", 1},
          {"comment", "#" + std::string(kMega, 'a'), 0},
          {"doc comment", "///" + std::string(kMega, 'a') + "\ndrop a;", 0},
          {"captures", "\"" + Repeat("{a}", kMega / 3) + "\" -> \"b\";", 2},
          {"wildcards", "\"a" + Repeat(".*", kMega / 2) + "\" -> \"b\";", 2},
          {"alternatives", "\"{a" + Repeat(",b", kMega / 2) + "}\" | concat(axis=0) -> \"b\";", 2},
          {"lists of alternatives", "\"" + Repeat("{a,b}", 1000) + "\" | concat(axis=0) -> \"b\";", 2},
          {"choices", "\"{x:a" + Repeat("|b", kMega / 2) + "}\" -> \"c.{x}\";", 2},
          {"regular expression", "/^" + std::string(kMega, 'a') + "$/ -> \"b\";", 2},
          {"unclosed regular expression", "/^" + std::string(kMega, '(') + "$/ -> \"b\";", 2},
          {"unknown characters", std::string(kMega, '$'), 1},
          {"unclosed text", "drop \"" + std::string(kMega, 'x'), 1},
          {"spaces", std::string(kMega, ' '), 0}},
         {"check"});
}

}  // namespace
}  // namespace ckmap
