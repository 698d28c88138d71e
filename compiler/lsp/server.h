// `ckmapc lsp`: the language server. Messages in, messages out; it reads no socket and starts no thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/lsp/analysis.h"
#include "compiler/lsp/message.h"

namespace ckmap::lsp {

class Server {
 public:
  explicit Server(std::vector<std::string> pack_path);

  // One message (JSON, without its header). The answers, without theirs.
  std::vector<std::string> Handle(const std::string& message);
  // To be called when no message waits: the diagnostics of what has changed.
  std::vector<std::string> Idle();

  bool exited() const { return exited_; }
  // 0 if the client said `shutdown` before `exit`.
  int exit_code() const { return shut_down_ ? 0 : 1; }

 private:
  struct Document {
    std::string path, text;
    int64_t version = 0;
    std::unique_ptr<Analysis> analysis;  // null: the text has changed since
    bool published = false;
  };
  enum class State { kNew, kReady };

  void Request(const RequestId& id, std::string_view method, Params params);
  bool LanguageRequest(JsonWriter& json, std::string_view method, const std::string& uri, Params params);
  void Notification(std::string_view method, Params params);
  void ReadSettings(Params settings);
  void Open(Params document);
  void Change(Params params);
  void Close(const std::string& uri);
  void Invalidate();

  const Analysis* AnalysisOf(const std::string& uri);
  std::map<std::string, std::string> MemoryFiles() const;
  std::string PublishDiagnostics(const std::string& uri, Document& document);

  void WriteInitialize(JsonWriter& json) const;
  void WriteHover(JsonWriter& json, const Analysis& analysis, uint32_t offset) const;
  void WriteLocations(JsonWriter& json, const std::string& uri, const Analysis& analysis, std::string_view method,
                      uint32_t offset) const;
  void WriteCompletion(JsonWriter& json, const Analysis& analysis, uint32_t offset) const;
  void WriteCodeActions(JsonWriter& json, const std::string& uri, const Analysis& analysis, Params range) const;
  void WriteFormatting(JsonWriter& json, const Analysis& analysis) const;
  void Fail(const RequestId& id, int code, std::string_view message);

  Settings settings_;
  std::vector<std::string> base_pack_path_;
  ManifestCache manifests_;
  std::map<std::string, Document> documents_;  // by URI
  std::vector<std::string> out_;
  State state_ = State::kNew;
  bool shut_down_ = false;
  bool exited_ = false;
};

// Serves `in` and `out` (file descriptors) until the client leaves; the exit code of the program.
int ServeLanguage(int in, int out, std::vector<std::string> pack_path);

}  // namespace ckmap::lsp
