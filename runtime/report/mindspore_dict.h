// What mindspore.load_checkpoint (2.10) would make of a file: its dict of parameters, in its order, or the reason why it
// raises. load_param_into_net starts from there (runtime/report/load_check.h).
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/formats/selection.h"

namespace ckmap {

class MindSporeDict {
 public:
  struct Entry {
    TensorInfo tensor;
    bool text = false;  // a string: it has a name, and no dtype and shape
  };

  // A dict of these tensors in their order, wherever they come from.
  explicit MindSporeDict(const Manifest& manifest);

  // What load_checkpoint makes of the file at `path` with these options. `file` is all of it. MindSpore knows prefixes
  // for .ckpt alone, where they overrule choice_func (`only` and `drop`).
  MindSporeDict(const Checkpoint& file, const std::string& path, const Selection& selection);

  // Why load_checkpoint raises; empty: it does not.
  const std::string& raises() const { return raises_; }
  // Options that MindSpore does not regard.
  const std::vector<std::string>& ignored() const { return ignored_; }

  const std::vector<Entry>& entries() const { return entries_; }
  // Null: there is none of this name.
  const Entry* Find(const std::string& name) const;

 private:
  void Add(Entry entry);
  void CheckEntries(const Checkpoint& file, bool safetensors);

  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
  std::string raises_;
  std::vector<std::string> ignored_;
};

}  // namespace ckmap
