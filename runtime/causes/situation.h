// What a hypothesis changes, and what a bind then says.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan.pb.h"
#include "runtime/bind/bind.h"
#include "runtime/causes/cause.h"

namespace ckmap {

struct Situation {
  plan::Plan plan;
  Manifest source, target;
  BindOptions bind;
  std::vector<size_t> source_ids = {};  // of each source: its index before any hypothesis; empty: the same

  // Changes the names of sources; one that becomes empty leaves out its tensor. False, and nothing is changed: two
  // tensors would get one name.
  bool RenameSources(const std::function<std::string(const std::string&)>& rename);
};

struct Trial {
  std::vector<Issue> errors;
  bool stopped = false;  // parameters are wrong: nothing else was looked at
  std::string result;    // of a bind without errors: equal texts mean equal conversions
};

// nullopt: the plan is not valid, or its bind failed.
std::optional<Trial> Try(const Situation& situation);

struct Hypothesis {
  std::string kind;
  std::string message;
  std::vector<std::string> notes = {};
  std::function<void(Situation&)> apply;
  CauseEdit edit = {};  // neither an option nor text: what is wrong lies outside of the rules
  // Whether names and sizes leave no other reading. An edit that is not evident is never proved.
  bool evident = true;
  int order = 0;           // of two that leave as many errors the lower one comes first
  std::string group = {};  // hypotheses of one group are alternatives, whatever they leave
  bool whole = false;      // it counts only if it leaves no error
};

// The manifest without those tensors.
Manifest Without(const Manifest& manifest, const std::set<std::string>& names);

}  // namespace ckmap
