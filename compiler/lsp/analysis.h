// All that is known about one open file: its syntax, what the compiler says, and, when manifests are given, what
// the rules match.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/compiler.h"
#include "compiler/lsp/symbols.h"
#include "compiler/program/loader.h"
#include "compiler/syntax/tokens.h"
#include "runtime/bind/bind.h"
#include "runtime/causes/cause.h"
#include "runtime/tensor/manifest.h"

namespace ckmap::lsp {

// A manifest that a file or the settings name. `error` says why there is none.
struct NamedManifest {
  std::string path;
  std::shared_ptr<const Manifest> manifest;
  std::string error;
};

// Manifests by path, read again when the file changes.
class ManifestCache {
 public:
  NamedManifest Read(const std::string& path);

 private:
  struct Entry {
    int64_t stamp = 0;
    NamedManifest read;
  };
  std::map<std::string, Entry> entries_;
};

struct Settings {
  std::vector<std::string> pack_path;
  std::string source, target, config;  // for files that do not name their own
};

// The comments `# source: PATH`, `# target: PATH` and `# config: PATH` of a file, and where they stand.
struct Directives {
  struct Directive {
    std::string path;
    Span span;
  };
  std::optional<Directive> source, target, config;
};
Directives ReadDirectives(const SourceFile& file, const std::vector<Token>& tokens);

struct Analysis {
  SourceMap sources;
  Program program;  // units[0] is the file itself
  FileSymbols symbols;
  std::vector<Token> tokens;
  CompileResult compiled;
  Directives directives;
  NamedManifest source, target;
  std::vector<Issue> issues;       // of a bind to both manifests
  Causes causes;                   // of the errors among them
  std::optional<BoundPlan> bound;  // if they fit

  // Whether there is a file at all: one that cannot be read has only diagnostics.
  bool readable() const { return !program.units.empty(); }
  const SourceFile& file() const { return sources.file(program.units[0].file); }
};

// `memory_files` holds the texts of all open files by path.
std::unique_ptr<Analysis> Analyze(const std::string& path, const std::map<std::string, std::string>& memory_files,
                                  const Settings& settings, ManifestCache& cache);

}  // namespace ckmap::lsp
