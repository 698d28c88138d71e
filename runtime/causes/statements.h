// Statements that edits add, as text and in the plan at once: what is tried is what is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan.pb.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

// The pattern that a quoted name means: literals, `{n:int}`, `{n}`, `{n+1}`, `{n-1}`, `{a,b}`, `*` and `**`.
plan::Pattern PatternOf(std::string_view text);

// A name as it stands in rules: in quotes. nullopt for one that a pattern would have to escape.
std::optional<std::string> Quoted(std::string_view name);

// `name | operation(arguments)`; integers alone, or a dtype.
struct OpText {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> numbers = {};             // by argument
  std::vector<std::pair<std::string, std::vector<int64_t>>> lists = {};  // by argument
  std::vector<std::pair<std::string, std::string>> words = {};           // by argument

  std::string Text() const;
  plan::Op Op() const;
};

struct RuleText {
  std::vector<std::string> sources;  // patterns
  std::vector<OpText> ops;
  std::vector<std::string> targets;
  bool both_ways = true;
  std::string exactly;

  std::string Text() const;
};

std::string RenameText(std::string_view from, std::string_view to, bool of_target = false);

void AddRename(plan::Plan& plan, std::string_view from, std::string_view to, bool of_target = false);
void AddRule(plan::Plan& plan, const RuleText& rule);
void AddDrop(plan::Plan& plan, std::string_view pattern, std::string_view equals = "");
void AddInit(plan::Plan& plan, std::string_view pattern, plan::Init::Kind kind);
void AddPolicy(plan::Plan& plan, plan::TargetPolicy::Kind kind, std::string_view pattern, std::string_view from = "",
               std::string_view to = "");

// The file that added statements go to.
std::string EditedFile(const plan::Plan& plan);

}  // namespace ckmap
