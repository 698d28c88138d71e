// The language server: sessions as text. `<|>` in a file is the cursor; each `ask` section is a request, and `answer`
// what an editor would show of it. `send` holds raw messages, one a line, and `received` what comes back.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <simdjson.h>

#include "compiler/lsp/message.h"
#include "compiler/lsp/position.h"
#include "compiler/lsp/server.h"
#include "runtime/base/json_writer.h"
#include "tests/support/golden.h"
#include "tests/support/temp_folder.h"

namespace ckmap::testing {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::element;

constexpr std::string_view kCursor = "<|>";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string TextAt(element value, std::string_view key) {
  std::string_view text;
  return value[key].get(text) == simdjson::SUCCESS ? std::string(text) : "";
}

lsp::Position PositionOf(element value) {
  return {value["line"].get_int64().value(), value["character"].get_int64().value()};
}
std::string RangeText(element range) {
  const lsp::Position start = PositionOf(range["start"].value()), end = PositionOf(range["end"].value());
  return fmt::format("{}:{}-{}:{}", start.line, start.character, end.line, end.character);
}

class Session {
 public:
  Session(const fs::path& folder, std::vector<std::string> pack_path) : folder_(folder), server_(std::move(pack_path)) {
    Send("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{}}");
    Send("{\"jsonrpc\":\"2.0\",\"method\":\"initialized\",\"params\":{}}");
  }

  // The first file with a cursor is the one that is asked about; else the first of all.
  void Open(const std::string& name, std::string text) {
    const size_t cursor = text.find(kCursor);
    if (cursor != std::string::npos) text.erase(cursor, kCursor.size());
    const std::string path = (folder_ / name).string();
    if (uri_.empty() || cursor != std::string::npos) {
      uri_ = lsp::UriOfPath(path);
      text_ = text;
      cursor_ = lsp::LineTable(text).PositionOf(cursor == std::string::npos ? 0 : cursor);
    }
    JsonWriter json;
    json.BeginObject()
        .Key("jsonrpc")
        .String("2.0")
        .Key("method")
        .String("textDocument/didOpen")
        .Key("params")
        .BeginObject();
    json.Key("textDocument").BeginObject().Key("uri").String(lsp::UriOfPath(path)).Key("languageId").String("ckmap");
    json.Key("version").Int(1).Key("text").String(text).EndObject().EndObject().EndObject();
    Send(std::move(json).Finish());
  }

  std::vector<std::string> Send(const std::string& message) {
    std::vector<std::string> out = server_.Handle(message);
    for (std::string& text : server_.Idle()) {
      diagnostics_.push_back(text);
      out.push_back(std::move(text));
    }
    return out;
  }

  std::string Ask(std::string_view what) {
    const size_t space = what.find(' ');
    const std::string_view kind = what.substr(0, space);
    const std::string argument(space == std::string_view::npos ? "" : what.substr(space + 1));
    if (kind == "diagnostics") return Diagnostics();
    const std::string method = kind == "format"    ? "formatting"
                               : kind == "symbols" ? "documentSymbol"
                               : kind == "actions" ? "codeAction"
                                                   : std::string(kind);
    JsonWriter json;
    json.BeginObject().Key("jsonrpc").String("2.0").Key("id").Int(++id_).Key("method").String("textDocument/" + method);
    json.Key("params").BeginObject().Key("textDocument").BeginObject().Key("uri").String(uri_).EndObject();
    const auto position = [&](const char* key) {
      json.Key(key).BeginObject().Key("line").Int(cursor_.line).Key("character").Int(cursor_.character).EndObject();
    };
    position("position");
    json.Key("range").BeginObject();
    position("start");
    position("end");
    json.EndObject();
    if (!argument.empty()) json.Key("newName").String(argument);
    json.EndObject().EndObject();
    const std::vector<std::string> answers = server_.Handle(std::move(json).Finish());
    REQUIRE(answers.size() == 1);
    return Show(kind, answers[0], argument);
  }

 private:
  std::string Show(std::string_view kind, const std::string& answer, const std::string& prefix) {
    simdjson::dom::parser parser;
    element root;
    REQUIRE(parser.parse(answer).get(root) == simdjson::SUCCESS);
    element error, result;
    if (root["error"].get(error) == simdjson::SUCCESS) return "error: " + TextAt(error, "message") + "\n";
    REQUIRE(root["result"].get(result) == simdjson::SUCCESS);
    if (result.is_null()) return "nothing\n";
    if (kind == "hover")
      return fmt::format("{}\n{}", RangeText(result["range"].value()), TextAt(result["contents"].value(), "value"));
    if (kind == "rename") return Applied(result["changes"][uri_].get_array().value());
    if (kind == "format") return Applied(result.get_array().value());
    if (kind == "prepareRename") return RangeText(result) + "\n";
    if (kind == "completion") return Items(result, prefix);
    if (kind == "symbols") return Symbols(result.get_array().value(), "");
    if (kind == "actions") return Actions(result.get_array().value());
    std::string out;
    for (const element place : result.get_array().value()) {
      const std::string uri = TextAt(place, "uri");
      out += fmt::format("{}{}{}\n", uri, uri.empty() ? "" : " ", RangeText(place["range"].value()));
    }
    return out.empty() ? "nothing\n" : Named(out);
  }

 public:
  // The paths of the session's folder and of the source tree, by short names.
  std::string Named(std::string text) const {
    text = Replaced(std::move(text), lsp::UriOfPath(folder_.string()), "$TMP");
    text = Replaced(std::move(text), folder_.string(), "$TMP");
    text = Replaced(std::move(text), lsp::UriOfPath(CKMAP_SOURCE_DIR), "$SOURCE");
    return Replaced(std::move(text), CKMAP_SOURCE_DIR, "$SOURCE");
  }

 private:
  std::string Applied(simdjson::dom::array edits) const {
    struct Edit {
      size_t begin, end;
      std::string text;
    };
    std::vector<Edit> all;
    const lsp::LineTable lines(text_);
    for (const element edit : edits) {
      const element range = edit["range"].value();
      all.push_back({lines.OffsetOf(PositionOf(range["start"].value())),
                     lines.OffsetOf(PositionOf(range["end"].value())), TextAt(edit, "newText")});
    }
    std::sort(all.begin(), all.end(), [](const Edit& a, const Edit& b) { return a.begin > b.begin; });
    std::string text = text_;
    for (const Edit& edit : all) text.replace(edit.begin, edit.end - edit.begin, edit.text);
    return all.empty() ? "no change\n" : text;
  }

  // Those that begin with `prefix`: an editor filters them too.
  static std::string Items(element result, const std::string& prefix) {
    std::string out;
    for (const element item : result["items"].get_array().value()) {
      const std::string label = TextAt(item, "label"), insert = TextAt(item["textEdit"].value(), "newText");
      if (!label.starts_with(prefix)) continue;
      out += label;
      if (insert != label) out += fmt::format("  =>  {}", Replaced(insert, "\n", "\\n"));
      out += "\n";
    }
    if (result["isIncomplete"].get_bool().value()) out += "(and more)\n";
    return out.empty() ? "nothing\n" : out;
  }

  static std::string Symbols(simdjson::dom::array symbols, const std::string& indent) {
    std::string out;
    for (const element symbol : symbols) {
      out += fmt::format("{}{} {} ({}) {}\n", indent, symbol["kind"].get_int64().value(), TextAt(symbol, "name"),
                         TextAt(symbol, "detail"), RangeText(symbol["range"].value()));
      simdjson::dom::array children;
      if (symbol["children"].get(children) == simdjson::SUCCESS) out += Symbols(children, indent + "  ");
    }
    return out;
  }

  std::string Actions(simdjson::dom::array actions) const {
    std::string out;
    for (const element action : actions) {
      out += TextAt(action, "title") + ":\n" + Applied(action["edit"]["changes"][uri_].get_array().value());
    }
    return out.empty() ? "nothing\n" : out;
  }

  // What was published last about the file.
  std::string Diagnostics() const {
    std::string out;
    for (const std::string& message : diagnostics_) {
      simdjson::dom::parser parser;
      element root;
      REQUIRE(parser.parse(message).get(root) == simdjson::SUCCESS);
      const element params = root["params"].value();
      if (TextAt(params, "uri") != uri_) continue;
      out.clear();
      for (const element diagnostic : params["diagnostics"].get_array().value()) {
        out += fmt::format("{} {} {}: {}\n", RangeText(diagnostic["range"].value()),
                           diagnostic["severity"].get_int64().value(), TextAt(diagnostic, "code"),
                           TextAt(diagnostic, "message"));
      }
    }
    return out.empty() ? "none\n" : Named(out);
  }

  fs::path folder_;
  lsp::Server server_;
  std::string uri_, text_;
  lsp::Position cursor_;
  int64_t id_ = 0;
  std::vector<std::string> diagnostics_;
};

void RunSession(GoldenCase& golden_case) {
  const TempFolder folder;
  // The packs of the case, and those that are shipped if it says so.
  std::vector<std::string> pack_path = {folder.path() + "/packs"};
  const bool shipped = std::any_of(golden_case.sections.begin(), golden_case.sections.end(),
                                   [](const Section& section) { return section.kind() == "shipped"; });
  if (shipped) pack_path.push_back(std::string(CKMAP_SOURCE_DIR) + "/rules");
  Session session(folder.path(), pack_path);
  std::vector<Section> sections;
  for (const Section& section : golden_case.sections) {
    const std::string_view kind = section.kind();
    if (kind == "answer" || kind == "received") continue;
    sections.push_back(section);
    const fs::path path = fs::path(folder.path()) / section.argument();
    if (kind == "disk") {  // a file that is not open
      fs::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << section.body;
    } else if (kind == "shipped") {
    } else if (kind == "file") {
      session.Open(std::string(section.argument()), section.body);
    } else if (kind == "ask") {
      sections.push_back({"answer", session.Ask(section.argument())});
    } else {
      REQUIRE_MESSAGE(kind == "send", golden_case.title, ": unknown section ", section.header);
      std::istringstream lines(section.body);
      std::string received;
      for (std::string line; std::getline(lines, line);) {
        for (const std::string& answer : session.Send(Replaced(line, "$TMP", lsp::UriOfPath(folder.path()))))
          received += session.Named(answer);
      }
      if (!received.empty()) sections.push_back({"received", received});
    }
  }
  for (Section& section : sections) {
    if (!section.body.empty() && section.body.back() != '\n') section.body += '\n';
  }
  golden_case.sections = std::move(sections);
}

TEST_CASE("lsp sessions") { RunGoldenFolder("lsp", RunSession); }

TEST_CASE("positions are UTF-16, whatever the text") {
  const std::string text = "a\xc3\xa9\xe5\xb1\x82\xf0\x9f\x98\x80z\r\nb\rc\n\n";  // é 層 emoji
  const lsp::LineTable lines(text);
  CHECK(lines.PositionOf(0) == lsp::Position{0, 0});
  CHECK(lines.PositionOf(3) == lsp::Position{0, 2});   // behind é
  CHECK(lines.PositionOf(6) == lsp::Position{0, 3});   // behind 層
  CHECK(lines.PositionOf(10) == lsp::Position{0, 5});  // behind the emoji: two units
  CHECK(lines.PositionOf(8) == lsp::Position{0, 3});   // inside of it
  CHECK(lines.OffsetOf({0, 4}) == 6);                  // half of a pair: its start
  CHECK(lines.OffsetOf({0, 99}) == 11);                // behind the line: its end
  CHECK(lines.OffsetOf({1, 0}) == 13);
  CHECK(lines.OffsetOf({2, 0}) == 15);  // a carriage return alone ends a line
  CHECK(lines.OffsetOf({99, 0}) == text.size());
  CHECK(lines.OffsetOf({-1, 5}) == 0);
  CHECK(lines.OffsetOf({0, -5}) == 0);
  for (size_t i = 0; i <= text.size(); ++i) {
    const size_t there = lines.OffsetOf(lines.PositionOf(i));
    CHECK(there <= i);
    CHECK(lines.OffsetOf(lines.PositionOf(there)) == there);
  }
}

std::vector<std::string> ReadAll(std::string_view bytes, size_t step) {
  lsp::MessageReader reader;
  std::vector<std::string> messages;
  for (size_t i = 0; i < bytes.size(); i += step) {
    reader.Feed(bytes.substr(i, step));
    while (auto message = reader.Next()) messages.push_back(*message);
  }
  return messages;
}

TEST_CASE("messages are cut by their headers, however the bytes come") {
  const std::string bytes =
      "Content-Length: 2\r\n\r\n{}Content-Type: x\r\ncontent-length:3\r\n\r\n[1]Content-Length: 0\r\n\r\n"
      "Content-Length: 4\n\nnull";
  for (const size_t step : {size_t{1}, size_t{2}, size_t{7}, bytes.size()}) {
    CHECK(ReadAll(bytes, step) == std::vector<std::string>{"{}", "[1]", "", "null"});
  }
}

TEST_CASE("a length that lies costs a message, not the session") {
  // Too short, too long, no number, negative, beyond all limits, without an empty line, and garbage between.
  for (const std::string& lie :
       {std::string("Content-Length: 1\r\n\r\n{}"), std::string("Content-Length: 9\r\n\r\n{}"),
        std::string("Content-Length: x\r\n\r\n"), std::string("Content-Length: -4\r\n\r\n"),
        std::string("Content-Length: 99999999999999999999999\r\n\r\n"), std::string("Content-Length: 3 4\r\n\r\n"),
        std::string(20000, '\0'), std::string("Content-Length:" + std::string(10000, ' ') + "\r\n\r\n")}) {
    const std::string good = "Content-Length: 5\r\n\r\n[1,2]";
    CAPTURE(lie.substr(0, 40));
    for (const size_t step : {size_t{1}, size_t{13}, size_t{100000}}) {
      const auto messages = ReadAll(lie + good + good, step);
      CHECK(std::count(messages.begin(), messages.end(), "[1,2]") >= 1);
    }
  }
}

TEST_CASE("a message that is too long is passed over without being held") {
  lsp::MessageReader reader;
  reader.Feed(fmt::format("Content-Length: {}\r\n\r\n", lsp::kMaxMessageBytes + 1000));
  const std::string chunk(1 << 20, 'x');
  for (size_t sent = 0; sent < lsp::kMaxMessageBytes; sent += chunk.size()) {
    reader.Feed(chunk);
    CHECK_FALSE(reader.Next().has_value());
  }
  reader.Feed(std::string(1000, 'x') + "Content-Length: 2\r\n\r\n{}");
  CHECK(reader.Next() == "{}");
}

TEST_CASE("uris and paths") {
  CHECK(lsp::PathOfUri("file:///a%20b/c%C3%A9.ckmap") == "/a b/c\xc3\xa9.ckmap");
  CHECK(lsp::PathOfUri("file://host/a") == "/a");
  CHECK(lsp::PathOfUri("untitled:Untitled-1") == "untitled:Untitled-1");
  CHECK(lsp::PathOfUri("file:///a%2") == "/a%2");
  CHECK(lsp::PathOfUri(lsp::UriOfPath("/x y/ü.ckmap")) == "/x y/ü.ckmap");
}

// A session whose bytes were changed at random: the server answers or passes over, and never falls.
TEST_CASE("a session that is damaged on its way") {
  const std::string open =
      R"({"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a.ckmap","version":1,"text":"ckmap 1;\nparam n: int = 2;\n\"a.{i:int}\" [n, D] | transpose() -> \"b.{i}\" when n > 1;\n"}}})";
  std::string session;
  for (
      const std::string& message :
      {std::string(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}})"), open,
       std::string(
           R"({"id":1,"method":"textDocument/hover","params":{"textDocument":{"uri":"file:///a.ckmap"},"position":{"line":2,"character":7}}})"),
       std::string(
           R"({"id":2,"method":"textDocument/completion","params":{"textDocument":{"uri":"file:///a.ckmap"},"position":{"line":2,"character":18}}})"),
       std::string(
           R"({"id":3,"method":"textDocument/rename","params":{"textDocument":{"uri":"file:///a.ckmap"},"position":{"line":2,"character":4},"newName":"k"}})"),
       std::string(
           R"({"method":"textDocument/didChange","params":{"textDocument":{"uri":"file:///a.ckmap","version":2},"contentChanges":[{"range":{"start":{"line":1,"character":3},"end":{"line":2,"character":9}},"text":"x"}]}})")}) {
    session += lsp::Frame(message);
  }
  std::mt19937 random(7);
  size_t answered = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bytes = session;
    for (size_t change = 0, count = 1 + random() % 6; change < count; ++change) {
      const size_t at = random() % bytes.size();
      if (random() % 3 == 0) {
        bytes.erase(at, 1 + random() % 20);
      } else {
        bytes[at] = static_cast<char>(random() % 256);
      }
    }
    lsp::MessageReader reader;
    lsp::Server server({});
    reader.Feed(bytes);
    while (const auto message = reader.Next()) {
      answered += server.Handle(*message).size();
      server.Idle();
    }
  }
  CHECK(answered > 600);
}

// Every request at every byte of every prefix: no crash, one answer each.
TEST_CASE("no place of a file is one too many") {
  const std::string text = ReadText(std::string(CKMAP_SOURCE_DIR) + "/rules/vit/hf2mindcv.ckmap");
  lsp::Server server({std::string(CKMAP_SOURCE_DIR) + "/rules"});
  server.Handle("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{}}");
  for (size_t cut = 0; cut < text.size(); cut += 37) {
    JsonWriter open;
    open.BeginObject()
        .Key("method")
        .String("textDocument/didOpen")
        .Key("params")
        .BeginObject()
        .Key("textDocument")
        .BeginObject();
    open.Key("uri")
        .String("file:///a.ckmap")
        .Key("text")
        .String(text.substr(0, cut))
        .EndObject()
        .EndObject()
        .EndObject();
    server.Handle(std::move(open).Finish());
    const lsp::Position end = lsp::LineTable(std::string_view(text).substr(0, cut)).End();
    for (const char* method : {"hover", "definition", "references", "completion", "prepareRename", "documentSymbol",
                               "formatting", "codeAction"}) {
      const auto answers = server.Handle(fmt::format(
          R"({{"id":1,"method":"textDocument/{}","params":{{"textDocument":{{"uri":"file:///a.ckmap"}},"position":{{"line":{},"character":{}}}}}}})",
          method, end.line, end.character));
      REQUIRE(answers.size() == 1);
      CHECK(answers[0].find("\"result\"") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace ckmap::testing
