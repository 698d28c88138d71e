// One rule from right to left.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "compiler/reverse/turned_text.h"

namespace ckmap {

// What the `within` blocks around a rule say.
struct RuleContext {
  CaptureTurns turns;
  std::map<std::string, bool> bound;  // captures that a block's left side binds
  std::string from_prefix;            // of the reversed rule's left side, as a pattern: "decoder.layers.{n:int}."
  std::string from_prefix_name;       // the same with its captures known: "decoder.layers.{n}."
  std::string prefix;  // of the left side's names, as the right side of the reversed rule: "model.layers.{n}."
  bool layer = false;  // names are leaves of a module
};

// ` exactly "reason"`, or nothing.
std::string ExactlyText(const std::optional<std::string>& reason);

// The text of the rule, or "" if something was refused. `variables`: names of params and lets. `overrides`: it goes
// before rules of packs that stand in the same text. `unread` gets the names of tensors of which it leaves a padding
// unread.
std::string TurnRule(const ast::Rule& rule, Span span, const RuleContext& context,
                     const std::set<std::string>& variables, bool overrides, std::set<std::string>& unread,
                     TextTurner& text, const SourceMap& sources, Refusals& refusals);

}  // namespace ckmap
