#include "compiler/lsp/server.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/fix/fix.h"
#include "compiler/format/format.h"
#include "compiler/lsp/features.h"
#include "compiler/lsp/position.h"
#include "compiler/lsp/reply.h"
#include "runtime/base/json_writer.h"

namespace ckmap::lsp {
namespace {

constexpr int kParseError = -32700, kInvalidRequest = -32600, kMethodNotFound = -32601, kInvalidParams = -32602,
              kNotInitialized = -32002, kRequestFailed = -32803;

Position ReadPosition(Params position) {
  return {position["line"].Int().value_or(0), position["character"].Int().value_or(0)};
}

std::string UriOf(Params params) { return std::string(params["textDocument"]["uri"].Text().value_or("")); }

// The beginning of an answer: `json.Key("result")` or `json.Key("error")` follows.
JsonWriter Reply(const RequestId& id) {
  JsonWriter json;
  json.BeginObject().Key("jsonrpc").String("2.0").Key("id");
  WriteId(json, id);
  return json;
}

}  // namespace

Server::Server(std::vector<std::string> pack_path) : base_pack_path_(std::move(pack_path)) {
  settings_.pack_path = base_pack_path_;
}

std::vector<std::string> Server::Handle(const std::string& message) {
  out_.clear();
  simdjson::dom::parser parser(kMaxMessageBytes);
  simdjson::dom::element root;
  if (parser.parse(message).get(root) != simdjson::SUCCESS) {
    Fail({}, kParseError, "the message is no JSON");
    return std::move(out_);
  }
  const Params request(root);
  const auto method = request["method"].Text();
  const RequestId id = ReadId(request["id"]);
  const bool answer = !method && (request["result"] || request["error"]);
  if (answer) return {};  // to a request of ours: there is none
  if (!method) {
    Fail(id, kInvalidRequest, "the message has no method");
  } else if (std::holds_alternative<std::monostate>(id)) {
    Notification(*method, request["params"]);
  } else {
    Request(id, *method, request["params"]);
  }
  return std::move(out_);
}

void Server::Fail(const RequestId& id, int code, std::string_view message) {
  JsonWriter json = Reply(id);
  json.Key("error").BeginObject().Key("code").Int(code).Key("message").String(message).EndObject().EndObject();
  out_.push_back(std::move(json).Finish());
}

// ---- requests ------------------------------------------------------------------------------------------

void Server::Request(const RequestId& id, std::string_view method, Params params) {
  if (method == "initialize") {
    state_ = State::kReady;
    ReadSettings(params["initializationOptions"]);
    JsonWriter json = Reply(id);
    json.Key("result");
    WriteInitialize(json);
    json.EndObject();
    out_.push_back(std::move(json).Finish());
    return;
  }
  if (state_ == State::kNew) return Fail(id, kNotInitialized, "`initialize` comes first");
  if (shut_down_) return Fail(id, kInvalidRequest, "the server was shut down");
  if (method == "shutdown") {
    shut_down_ = true;
    JsonWriter json = Reply(id);
    json.Key("result").Null().EndObject();
    out_.push_back(std::move(json).Finish());
    return;
  }
  if (method == "textDocument/rename") {
    const std::string uri = UriOf(params);
    const Analysis* analysis = AnalysisOf(uri);
    if (analysis == nullptr) return Fail(id, kInvalidParams, "the document is not open");
    const LineTable lines(analysis->file().text());
    const auto offset = static_cast<uint32_t>(lines.OffsetOf(ReadPosition(params["position"])));
    const std::string name(params["newName"].Text().value_or(""));
    const auto spans = RenameAt(*analysis, offset, name);
    if (!spans) return Fail(id, kRequestFailed, spans.error().message());
    JsonWriter json = Reply(id);
    json.Key("result").BeginObject().Key("changes").BeginObject().Key(uri).BeginArray();
    for (const Span span : *spans) WriteTextEdit(json, lines, span, name);
    json.EndArray().EndObject().EndObject().EndObject();
    out_.push_back(std::move(json).Finish());
    return;
  }
  JsonWriter json = Reply(id);
  json.Key("result");
  if (!LanguageRequest(json, method, UriOf(params), params)) {
    const bool known = method.starts_with("textDocument/") && !documents_.contains(UriOf(params));
    return known ? Fail(id, kInvalidParams, "the document is not open")
                 : Fail(id, kMethodNotFound, fmt::format("there is no method `{}`", method));
  }
  json.EndObject();
  out_.push_back(std::move(json).Finish());
}

// Writes the result; false: there is no such request, or the document is not open.
bool Server::LanguageRequest(JsonWriter& json, std::string_view method, const std::string& uri, Params params) {
  const Analysis* analysis = AnalysisOf(uri);
  if (analysis == nullptr) return false;
  const LineTable lines(analysis->file().text());
  const auto offset = static_cast<uint32_t>(lines.OffsetOf(ReadPosition(params["position"])));
  if (method == "textDocument/hover") {
    WriteHover(json, *analysis, offset);
  } else if (method == "textDocument/definition" || method == "textDocument/references" ||
             method == "textDocument/documentHighlight") {
    WriteLocations(json, uri, *analysis, method, offset);
  } else if (method == "textDocument/prepareRename") {
    const Symbol* symbol = RenamableAt(*analysis, offset);
    symbol == nullptr ? static_cast<void>(json.Null()) : WriteRange(json, lines, symbol->span);
  } else if (method == "textDocument/completion") {
    WriteCompletion(json, *analysis, offset);
  } else if (method == "textDocument/documentSymbol") {
    WriteSymbols(json, lines, analysis->symbols.outline);
  } else if (method == "textDocument/formatting") {
    WriteFormatting(json, *analysis);
  } else if (method == "textDocument/codeAction") {
    WriteCodeActions(json, uri, *analysis, params["range"]);
  } else {
    return false;
  }
  return true;
}

void Server::WriteInitialize(JsonWriter& json) const {
  json.BeginObject().Key("capabilities").BeginObject();
  json.Key("positionEncoding").String("utf-16");
  json.Key("textDocumentSync").BeginObject().Key("openClose").Bool(true).Key("change").Int(2).EndObject();
  for (const char* provider : {"hoverProvider", "definitionProvider", "referencesProvider", "documentHighlightProvider",
                               "documentSymbolProvider", "documentFormattingProvider", "codeActionProvider"}) {
    json.Key(provider).Bool(true);
  }
  json.Key("renameProvider").BeginObject().Key("prepareProvider").Bool(true).EndObject();
  json.Key("completionProvider").BeginObject().Key("triggerCharacters").BeginArray();
  for (const char* character : {"|", "{", "\"", ".", "(", ":"}) json.String(character);
  json.EndArray().EndObject().EndObject();
  json.Key("serverInfo").BeginObject().Key("name").String("ckmapc").Key("version").String(CKMAP_VERSION).EndObject();
  json.EndObject();
}

void Server::WriteHover(JsonWriter& json, const Analysis& analysis, uint32_t offset) const {
  const auto hover = HoverAt(analysis, offset);
  if (!hover) {
    json.Null();
    return;
  }
  json.BeginObject()
      .Key("contents")
      .BeginObject()
      .Key("kind")
      .String("markdown")
      .Key("value")
      .String(hover->markdown)
      .EndObject();
  json.Key("range");
  WriteRange(json, LineTable(analysis.file().text()), hover->span);
  json.EndObject();
}

void Server::WriteLocations(JsonWriter& json, const std::string& uri, const Analysis& analysis, std::string_view method,
                            uint32_t offset) const {
  std::vector<Place> places;
  if (method == "textDocument/definition") {
    places = DefinitionAt(analysis, offset);
  } else {
    for (const Span span : ReferencesAt(analysis, offset)) places.push_back({"", span});
  }
  json.BeginArray();
  for (const Place& place : places) {
    json.BeginObject();
    if (method != "textDocument/documentHighlight")
      json.Key("uri").String(place.path.empty() ? uri : UriOfPath(place.path));
    json.Key("range");
    WriteRange(json, LineTable(analysis.sources.file(place.span.file).text()), place.span);
    json.EndObject();
  }
  json.EndArray();
}

void Server::WriteCompletion(JsonWriter& json, const Analysis& analysis, uint32_t offset) const {
  // As the protocol numbers them, in the order of Completion::Kind.
  constexpr int kKinds[] = {14, 3, 6, 21, 9, 5, 15, 17};
  const Completions completions = CompleteAt(analysis, offset, settings_.pack_path);
  const LineTable lines(analysis.file().text());
  json.BeginObject().Key("isIncomplete").Bool(completions.incomplete).Key("items").BeginArray();
  for (const Completion& item : completions.items) {
    json.BeginObject().Key("label").String(item.label).Key("kind").Int(kKinds[static_cast<size_t>(item.kind)]);
    if (!item.detail.empty()) json.Key("detail").String(item.detail);
    if (!item.documentation.empty()) {
      json.Key("documentation")
          .BeginObject()
          .Key("kind")
          .String("markdown")
          .Key("value")
          .String(item.documentation)
          .EndObject();
    }
    json.Key("insertTextFormat").Int(item.snippet ? 2 : 1).Key("textEdit");
    WriteTextEdit(json, lines, completions.replaced, item.insert.empty() ? item.label : item.insert);
    json.EndObject();
  }
  json.EndArray().EndObject();
}

void Server::WriteFormatting(JsonWriter& json, const Analysis& analysis) const {
  DiagnosticSink ignored;
  const SourceFile& file = analysis.file();
  const auto formatted = Format(file, analysis.program.units[0].file, ignored);
  json.BeginArray();
  if (formatted && *formatted != file.text()) {
    WriteTextEdit(json, LineTable(file.text()), {{}, 0, static_cast<uint32_t>(file.text().size())}, *formatted);
  }
  json.EndArray();
}

// The fixes of the diagnostics that touch the range.
void Server::WriteCodeActions(JsonWriter& json, const std::string& uri, const Analysis& analysis, Params range) const {
  const LineTable lines(analysis.file().text());
  const size_t begin = lines.OffsetOf(ReadPosition(range["start"])), end = lines.OffsetOf(ReadPosition(range["end"]));
  json.BeginArray();
  for (const Diagnostic& diagnostic : analysis.compiled.diagnostics) {
    const SourceFile& file = analysis.compiled.sources.file(diagnostic.primary.file);
    if (file.text() != analysis.file().text() || diagnostic.primary.begin > end || diagnostic.primary.end < begin)
      continue;
    for (const Fix& fix : diagnostic.fixes) {
      json.BeginObject().Key("title").String(fix.title).Key("kind").String("quickfix");
      json.Key("edit").BeginObject().Key("changes").BeginObject().Key(uri).BeginArray();
      for (const Edit& edit : fix.edits) WriteTextEdit(json, lines, edit.span, edit.replacement);
      json.EndArray().EndObject().EndObject().EndObject();
    }
  }
  for (const Cause& cause : analysis.causes.causes) {
    for (const CauseEdit& edit : cause.edits) {
      const auto fix = FixOf(edit, analysis.file());
      if (!fix) continue;
      json.BeginObject().Key("title").String(TitleOf(cause, edit)).Key("kind").String("quickfix");
      json.Key("isPreferred").Bool(edit.proved);
      json.Key("edit").BeginObject().Key("changes").BeginObject().Key(uri).BeginArray();
      WriteTextEdit(json, lines, {{}, fix->begin, fix->end}, fix->replacement);
      json.EndArray().EndObject().EndObject().EndObject();
    }
    if (!cause.edits.empty()) break;  // the edits of the others stand on it
  }
  json.EndArray();
}

// ---- notifications, documents ----------------------------------------------------------------------------

void Server::Notification(std::string_view method, Params params) {
  if (method == "exit") {
    exited_ = true;
  } else if (state_ == State::kNew || shut_down_) {
    return;
  } else if (method == "textDocument/didOpen") {
    Open(params["textDocument"]);
  } else if (method == "textDocument/didChange") {
    Change(params);
  } else if (method == "textDocument/didClose") {
    Close(UriOf(params));
  } else if (method == "textDocument/didSave") {
    Invalidate();
  } else if (method == "workspace/didChangeConfiguration") {
    ReadSettings(params["settings"]["ckmap"]);
    Invalidate();
  }
}

void Server::ReadSettings(Params settings) {
  if (!settings) return;
  settings_.pack_path.clear();
  if (const auto paths = settings["packPath"].Array()) {
    for (const simdjson::dom::element path : *paths) {
      if (const auto text = Params(path).Text()) settings_.pack_path.emplace_back(*text);
    }
  }
  settings_.pack_path.insert(settings_.pack_path.end(), base_pack_path_.begin(), base_pack_path_.end());
  settings_.source = settings["source"].Text().value_or("");
  settings_.target = settings["target"].Text().value_or("");
  settings_.config = settings["config"].Text().value_or("");
}

void Server::Open(Params document) {
  const auto uri = document["uri"].Text();
  const auto text = document["text"].Text();
  if (!uri || !text) return;
  Document& entry = documents_[std::string(*uri)];
  entry.path = PathOfUri(*uri);
  entry.text = *text;
  entry.version = document["version"].Int().value_or(0);
  Invalidate();
}

void Server::Change(Params params) {
  const auto found = documents_.find(UriOf(params));
  const auto changes = params["contentChanges"].Array();
  if (found == documents_.end() || !changes) return;
  Document& document = found->second;
  for (const simdjson::dom::element element : *changes) {
    const Params change(element);
    const auto text = change["text"].Text();
    if (!text) continue;
    if (!change["range"]) {
      document.text = *text;
      continue;
    }
    const LineTable lines(document.text);
    const size_t begin = lines.OffsetOf(ReadPosition(change["range"]["start"]));
    const size_t end = std::max(begin, lines.OffsetOf(ReadPosition(change["range"]["end"])));
    document.text.replace(begin, end - begin, *text);
  }
  document.version = params["textDocument"]["version"].Int().value_or(document.version + 1);
  Invalidate();
}

void Server::Close(const std::string& uri) {
  if (documents_.erase(uri) == 0) return;
  JsonWriter json;
  json.BeginObject().Key("jsonrpc").String("2.0").Key("method").String("textDocument/publishDiagnostics");
  json.Key("params")
      .BeginObject()
      .Key("uri")
      .String(uri)
      .Key("diagnostics")
      .BeginArray()
      .EndArray()
      .EndObject()
      .EndObject();
  out_.push_back(std::move(json).Finish());
  Invalidate();
}

// Files use each other, so a change of one may change what is said about all.
void Server::Invalidate() {
  for (auto& [uri, document] : documents_) {
    document.analysis.reset();
    document.published = false;
  }
}

std::map<std::string, std::string> Server::MemoryFiles() const {
  std::map<std::string, std::string> files;
  for (const auto& [uri, document] : documents_) files[document.path] = document.text;
  return files;
}

const Analysis* Server::AnalysisOf(const std::string& uri) {
  const auto found = documents_.find(uri);
  if (found == documents_.end()) return nullptr;
  Document& document = found->second;
  if (!document.analysis) document.analysis = Analyze(document.path, MemoryFiles(), settings_, manifests_);
  return document.analysis->readable() ? document.analysis.get() : nullptr;
}

std::vector<std::string> Server::Idle() {
  std::vector<std::string> out;
  for (auto& [uri, document] : documents_) {
    if (document.published) continue;
    document.published = true;
    if (AnalysisOf(uri) != nullptr) out.push_back(PublishDiagnostics(uri, document));
  }
  return out;
}

std::string Server::PublishDiagnostics(const std::string& uri, Document& document) {
  JsonWriter json;
  json.BeginObject().Key("jsonrpc").String("2.0").Key("method").String("textDocument/publishDiagnostics");
  json.Key("params").BeginObject().Key("uri").String(uri).Key("version").Int(document.version).Key("diagnostics");
  WriteDiagnostics(json, uri, *document.analysis);
  json.EndObject().EndObject();
  return std::move(json).Finish();
}

}  // namespace ckmap::lsp
