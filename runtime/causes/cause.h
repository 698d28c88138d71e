// A cause of issues, and edits that mend it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/bind/issue.h"

namespace ckmap {

// A change of the rules, or an option, that leaves fewer errors.
struct CauseEdit {
  std::string option = {};    // "-D heads=8"; empty: the rules are edited
  std::string file = {};      // of the rules, as the plan names it
  uint32_t line = 0;          // 1-based, of the statement that is changed; 0: new_text is added to the file
  uint32_t column = 0;        // 1-based, in bytes
  std::string old_text = {};  // what new_text replaces, from the statement's place on; empty: it is added
  std::string new_text = {};  // one statement a line
  std::string why = {};       // why it may be right, or what speaks against it
  bool proved = false;        // it is the only one that fits; else a likely one
  size_t errors_left = 0;     // of a bind with this edit and those of the causes before it
};

struct Cause {
  std::string kind;                   // "prefix", "rename", "parameter", …
  std::string message;                // one line
  std::vector<std::string> notes;     // facts
  std::vector<CauseEdit> edits = {};  // alternatives, the likeliest first; may be empty: the rules cannot mend it
  size_t explains = 0;                // errors that it explains
  size_t errors_left = 0;             // when its first edit is made, or what it says is mended elsewhere
};

struct Causes {
  std::vector<Cause> causes;  // in the order in which they were found: each one beside those before it
  std::vector<Issue> rest;    // errors that no cause explains
  size_t errors = 0;          // of the bind without any edit
};

}  // namespace ckmap
