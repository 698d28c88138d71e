// The formatter: cases as text, and what must hold for every file that there is: formatting twice is formatting
// once, and the plan that comes out says the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/format/format.h"
#include "compiler/syntax/ast_printer.h"
#include "compiler/syntax/parser.h"
#include "compiler/syntax/tokens.h"
#include "plan.pb.h"
#include "tests/support/golden.h"
#include "tests/support/markdown.h"

namespace ckmap::testing {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = CKMAP_SOURCE_DIR;

struct Formatted {
  std::string text;  // empty: there are mistakes
  std::string diagnostics;
};

Formatted FormatText(const std::string& name, const std::string& text) {
  SourceMap sources;
  const FileId id = sources.Add(name, text);
  DiagnosticSink sink;
  auto formatted = Format(sources.file(id), id, sink);
  return {formatted ? *std::move(formatted) : "", RenderText(sink.Sorted(), sources)};
}

void RunFormat(GoldenCase& golden_case) {
  const auto input = std::find_if(golden_case.sections.begin(), golden_case.sections.end(),
                                  [](const Section& section) { return section.kind() == "file"; });
  REQUIRE_MESSAGE(input != golden_case.sections.end(), golden_case.title, ": no file");
  const Formatted result = FormatText(std::string(input->argument()), input->body);
  const std::string before = input->body;
  golden_case.Set("formatted", result.text == before ? "" : result.text);
  golden_case.Set("diagnostics", result.text.empty() ? result.diagnostics : "");
  if (!result.text.empty()) CHECK_MESSAGE(FormatText("again", result.text).text == result.text, golden_case.title);
}

TEST_CASE("fmt") { RunGoldenFolder("fmt", RunFormat); }

struct Sample {
  std::string name, text;
};

// Every pack, every example, every block of the manuals, and what the other golden cases hold.
std::vector<Sample> Samples() {
  std::vector<Sample> samples;
  for (const char* folder : {"/rules", "/examples"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot + folder)) {
      if (entry.path().extension() == ".ckmap")
        samples.push_back({entry.path().string(), ReadText(entry.path().string())});
    }
  }
  for (const char* manual : {"/README.md", "/grammar/LANGUAGE.md", "/examples/quickstart/README.md"}) {
    for (const MarkdownBlock& block : MarkdownBlocks(ReadText(kRoot + manual))) {
      if (block.info.starts_with("ckmap")) samples.push_back({fmt::format("{}:{}", manual, block.line), block.text});
    }
  }
  for (const char* folder : {"parse", "diagnostics", "fmt", "commands"}) {
    for (const std::string& path : GoldenFiles(folder, ".txt")) {
      for (const GoldenCase& golden_case : ParseGolden(ReadText(path)).cases) {
        for (const Section& section : golden_case.sections) {
          if (section.kind() == "file" && section.argument().ends_with(".ckmap")) {
            samples.push_back({fmt::format("{}:{}", path, golden_case.line), section.body});
          }
        }
      }
    }
  }
  return samples;
}

// Where things stand and how they are spelt is what formatting changes.
void ClearPlaces(google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    const bool pattern = message.GetDescriptor()->name() == "Pattern";
    const std::string& name = field->name();
    if (name == "loc" || name == "sha256" || name == "source_sha256" ||
        (name == "text" && !pattern && field->containing_oneof() == nullptr)) {
      reflection->ClearField(&message, field);
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        ClearPlaces(*reflection->MutableMessage(&message, field));
      } else {
        for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
          ClearPlaces(*reflection->MutableRepeatedMessage(&message, field, i));
        }
      }
    }
  }
}

// What the rules say; "" if they do not compile.
std::string Meaning(const Sample& sample, const std::string& text) {
  CompileOptions options;
  const std::string path = sample.name.ends_with(".ckmap") ? sample.name : "block.ckmap";
  options.memory_files[path] = text;
  options.pack_path = {kRoot + "/rules"};
  const CompileResult result = Compile(path, options);
  if (!result.plan) return "";
  plan::Plan plan = result.plan->proto();
  ClearPlaces(plan);
  return plan.DebugString();
}

TEST_CASE("formatting twice is formatting once, and changes no meaning") {
  size_t formatted = 0, compiled = 0;
  for (const Sample& sample : Samples()) {
    CAPTURE(sample.name);
    const std::string once = FormatText(sample.name, sample.text).text;
    if (once.empty()) continue;
    ++formatted;
    CHECK(FormatText(sample.name, once).text == once);
    const std::string meaning = Meaning(sample, sample.text);
    compiled += meaning.empty() ? 0 : 1;
    CHECK(Meaning(sample, once) == meaning);
  }
  CHECK(formatted > 100);
  CHECK(compiled > 50);
}

std::string TreeOf(const std::string& text) {
  const SourceFile file("a.ckmap", text);
  DiagnosticSink sink;
  return PrintAst(Parse(file, {}, sink));
}

// Words of a file taken out, doubled, exchanged, broken into lines: what still parses keeps its tree.
TEST_CASE("whatever parses is laid out, once and for all") {
  std::mt19937 random(20260);
  size_t formatted = 0;
  const std::vector<Sample> samples = Samples();
  for (int round = 0; round < 150; ++round) {
    const std::string& original = samples[random() % samples.size()].text;
    if (original.size() > 1500) continue;
    SourceMap sources;
    const FileId id = sources.Add("a.ckmap", original);
    std::string text;
    const std::vector<Token> tokens = Tokenize(sources.file(id), id);
    const size_t place = tokens.empty() ? 0 : random() % tokens.size();
    const size_t kind = random() % 5;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string word(sources.Text(tokens[i].span));
      const bool comment = tokens[i].kind == TokenKind::kComment || tokens[i].kind == TokenKind::kDoc;
      if (i == place && kind == 0) continue;
      if (i == place && kind == 1) text += word + (comment ? "\n" : " ");
      if (i == place && kind == 2) text += " # a comment\n";
      if (i == place && kind == 3) text += "\n\n\n";
      text += word + (comment ? "\n" : i == place && kind == 4 ? "\t" : random() % 8 == 0 ? "\n" : " ");
    }
    CAPTURE(text);
    const Formatted once = FormatText("a.ckmap", text);
    if (once.text.empty()) continue;
    ++formatted;
    REQUIRE(FormatText("a.ckmap", once.text).text == once.text);
    REQUIRE(TreeOf(once.text) == TreeOf(text));
  }
  CHECK(formatted > 20);
}

TEST_CASE("packs and examples are formatted") {
  for (const Sample& sample : Samples()) {
    if (!sample.name.ends_with(".ckmap")) continue;
    const Formatted result = FormatText(sample.name, sample.text);
    // The examples of mistakes need not parse.
    CHECK_MESSAGE((result.text.empty() || result.text == sample.text), "run: ckmapc fmt ", sample.name);
  }
}

}  // namespace
}  // namespace ckmap::testing
