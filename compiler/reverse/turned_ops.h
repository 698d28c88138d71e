// The operations of a rule, undone: the same tensors from the result back to the sources, as text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/reverse/size.h"
#include "compiler/reverse/turned_text.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// The tensors that flow through a rule: one, or a list.
struct Flow {
  bool list = false;
  Sizes sizes;              // of one tensor
  std::vector<Flow> items;  // of a list: all of them, or one that stands for all
  Size count;               // of a list

  bool uniform() const { return items.size() == 1; }
};

struct TurnedOps {
  std::vector<std::string> ops;  // in the order of the reversed rule
  bool reversible = true;        // each of them can be undone again
  bool unread = false;           // they leave elements out: a padding
};

// Sizes that the reversed rule does not know when its operations run, and what to ask instead: the size of the tensor
// that is to come out (`target_size("…", 0)`). Empty: nothing can be asked.
using UnknownSizes = std::map<std::string, std::string>;

// `flow`: what the terms of the left side give. What cannot be undone is added to `refusals`.
TurnedOps TurnOps(const std::vector<ast::OpCall>& ops, Flow flow, const UnknownSizes& unknown,
                  const SourceMap& sources, Refusals& refusals);

}  // namespace ckmap
