// The renames of a program from right to left. All of them apply at once, so they are turned round one by one only if
// that is the inverse of each; else the text renames the target's names as the way there renamed the source's.
#pragma once

#include <string>

#include "compiler/program/loader.h"
#include "compiler/reverse/turned_text.h"

namespace ckmap {

class TurnedRenames {
 public:
  TurnedRenames(const Program& program, const SourceMap& sources);

  // One by one: no two give the same, each number can be had back from every name, and no name that a rename gives is
  // part of what another one looks for (after `downsample.bn -> bn` a `bn` may have been one before).
  bool AreTurned() const { return turned_; }
  // "B -> A"
  std::string Turned(const ast::RenamePair& pair);

 private:
  Refusals refused_;
  TextTurner text_;
  bool turned_ = true;
};

}  // namespace ckmap
