// The operations of a rule, undone: the same tensors from the result back to the sources, as text.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compiler/reverse/size.h"
#include "compiler/reverse/turned_text.h"

namespace ckmap {

// The tensors that flow through a rule: one, or a list.
struct Flow {
  bool list = false;
  Sizes sizes;              // of one tensor
  std::vector<Flow> items;  // of a list: all of them, or one that stands for all
  Size count;               // of a list

  bool uniform() const { return items.size() == 1; }
  size_t depth() const { return list ? 1 + items[0].depth() : 0; }
};

struct TurnedOps {
  std::vector<std::string> ops;  // in the order of the reversed rule
  Flow result;                   // what the operations give, in the direction in which they are written
  bool reversible = true;        // each of them can be undone again
  bool unread = false;           // they leave elements out: a padding
};

// Sizes that the reversed rule does not know when its operations run, and what to ask instead: the size of the tensor
// that is to come out (`target_size("…", 0)`). Empty: nothing can be asked.
using UnknownSizes = std::map<std::string, std::string>;

// What operations are to know of their rule.
struct RuleSizes {
  UnknownSizes unknown;
  Size named;                  // how many tensors the innermost list of the right side names
  Size::ExprText text;         // an expression as the reversed rule writes it
  bool one_is_tensor = false;  // a list of one counts as its tensor: the right side names it so
  // The sizes along an axis of the tensors that the left side lists, where no brackets say that they are equal, as the
  // reversed rule can ask for them. Empty: the list is another, or brackets say it.
  std::function<std::vector<std::string>(int64_t axis)> parts;
};

// `flow`: what the terms of the left side give. What cannot be undone is added to `refusals`.
TurnedOps TurnOps(const std::vector<ast::OpCall>& ops, Flow flow, const RuleSizes& rule, Refusals& refusals);

}  // namespace ckmap
