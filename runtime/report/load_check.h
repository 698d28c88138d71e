// Would a checkpoint load into a network as it is? Decided from names, dtypes and shapes alone, by
// MindSpore's rules (mindspore.load_param_into_net of 2.10) and by strict ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/bind/issue.h"
#include "runtime/report/mindspore_dict.h"
#include "runtime/report/style.h"
#include "runtime/tensor/manifest.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {

struct LoadVerdict {
  std::string rules;    // "load_param_into_net", "load_param_into_net, strict_load=True", "strict"
  bool fits = false;    // nothing raises; for the strict rules: nothing differs at all
  int64_t loaded = 0;   // tensors of the network that get a value
  int64_t missing = 0;  // those that keep their own
  int64_t unused = 0;   // tensors of the checkpoint that go nowhere
  // The lists that load_param_into_net returns; MindSpore's second one also holds what was filled by the end of its name.
  std::vector<std::string> param_not_load, ckpt_not_load;
  std::vector<Issue> issues;
};

// The three, in the order above. `dict`: what load_checkpoint makes of the file that `checkpoint` was read from.
std::vector<LoadVerdict> CheckLoad(const MindSporeDict& dict, const Manifest& checkpoint, const Manifest& network);
// The same for names and shapes alone. In a spec a dtype `any` and a size -1 fit everything.
std::vector<LoadVerdict> CheckLoad(const Manifest& checkpoint, const Manifest& network);

// Of two torch files whose names fit: adds to the strict verdict where they lie in other dicts, as torch finds no key
// then. Null: one dict of tensors.
void CheckNesting(const Manifest& checkpoint, const Nesting* checkpoint_nesting, const Manifest& network,
                  const Nesting* network_nesting, std::vector<LoadVerdict>& verdicts);

std::string LoadCheckJson(const std::string& source, const std::string& target,
                          const std::vector<LoadVerdict>& verdicts);
// One line a verdict; issues are rendered apart (runtime/report/issues.h).
std::string LoadCheckText(const std::vector<LoadVerdict>& verdicts, const Style& style);

}  // namespace ckmap
