// pack.yaml: what a pack is, and which files it brings.
//
//   name: resnet                       # required; the folder's name
//   version: 1.0.0                     # required
//   edition: 1                         # required
//   summary: ResNet between …          # optional, as are family and license
//   frameworks: [pytorch, mindspore]
//   params:                            # documents the `param` statements of its files
//     heads: {type: int, default: 32, doc: number of heads}
//   library: std.ckmap                 # a pack of layers and renames for others to use, or
//   migrations:                        # the migrations that it offers
//     - file: torchvision2mindcv.ckmap
//       verified: [resnet18, resnet50]          # names of networks, or cards (verification_card.h)
//       source: {library: torchvision, tensors: [conv1.weight, "bn1.*", …]}     # so that `ckmap plan --detect` finds it
//       target: {library: mindcv, describes: true, layers: nn}
#pragma once

#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/program/verification_card.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// Which networks a migration leads from or to.
struct NetworkSide {
  std::string library;               // "transformers"
  std::vector<std::string> tensors;  // of a source: globs of all its names; `?` behind one: there may be none
  bool describes = false;            // of a target: the rules alone tell its names and shapes
  std::string layers;                // of a described target: "nn", the names of mindspore.nn; else those of the rules
};

struct PackMigration {
  std::string file;
  std::string name;                     // the file's stem
  std::vector<std::string> verified;    // names of networks, those of the cards too
  std::vector<VerificationCard> cards;  // of those that were measured
  NetworkSide source, target;
  Span span;
};

struct PackParam {
  std::string name;
  std::string type;
  std::string doc;
  Span span;
};

struct Pack {
  std::string name;
  std::string version;
  std::string summary;
  std::string library;  // file; empty: none
  std::vector<std::string> frameworks;
  std::vector<PackMigration> migrations;
  std::vector<PackParam> params;
  Span name_span;
  Span library_span;
  bool valid = true;  // false: something in it was reported
};

// Reads the text of a pack.yaml that `sources` holds. What is wrong is reported with its place.
Pack ReadPack(const SourceMap& sources, FileId file, DiagnosticSink& sink);

// "1.10" is newer than "1.9". nullopt-like: -2 if one of them is no version; else -1, 0, 1.
int CompareVersions(const std::string& a, const std::string& b);
bool IsVersion(const std::string& text);

}  // namespace ckmap
