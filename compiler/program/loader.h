// The files of a program: reads a file and, through its `use` statements, all that it needs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/program/pack.h"
#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

struct LoadOptions {
  std::vector<std::string> pack_path;               // folders that hold packs, first wins
  std::map<std::string, std::string> memory_files;  // path → text, asked before the disk
};

struct UseEdge {
  size_t unit = 0;                // the used one
  const ast::Use* use = nullptr;  // in the using unit's tree
  Span span;
};

struct Unit {
  FileId file;
  ast::File tree;
  std::string path;   // on disk, or in memory_files
  std::string name;   // as reports show it: "resnet/torchvision2mindcv.ckmap"
  std::string scope;  // prefix of its variables: "" for the compiled file, "llama"
  std::string pack;   // empty outside packs
  std::string pack_version;
  std::string pack_folder;  // what the unit uses by path lies in it
  uint32_t level = 0;       // 0: the compiled file; more than the level of all that use it
  std::vector<UseEdge> uses;
};

struct Program {
  std::vector<Unit> units;  // 0: the compiled file; then in the order of their first use
};

// Reads through `sources`; every mistake on the way is a diagnostic, and what was found so far is
// returned. `units` is empty iff `path` itself cannot be read.
Program LoadProgram(const std::string& path, const LoadOptions& options, SourceMap& sources, DiagnosticSink& sink);

// A pack on the path. `folder` is empty if there is none.
struct FoundPack {
  std::string folder;
  Pack pack;
};
FoundPack FindPack(const std::string& name, const LoadOptions& options, SourceMap& sources, DiagnosticSink& sink);
// Names of all packs on the path, sorted, each once.
std::vector<std::string> ListPacks(const LoadOptions& options);

}  // namespace ckmap
