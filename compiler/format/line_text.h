// The words of a statement on one line: which of them have a space between them, and how deep in brackets they
// stand. Private to compiler/format.
#pragma once

#include <string>
#include <vector>

#include "compiler/format/items.h"

namespace ckmap::format {

class LineText {
 public:
  explicit LineText(const std::vector<Word>& words);

  // Words [begin, end) with their spaces; comments are not printed.
  std::string Text(size_t begin, size_t end) const;
  // Brackets that are open in front of a word.
  int depth(size_t word) const { return depth_[word]; }

 private:
  bool SpaceBetween(size_t left, size_t right) const;
  bool IsUnaryMinus(size_t word) const;
  bool InUsePath(size_t word) const;

  const std::vector<Word>& words_;
  std::vector<int> depth_;
  size_t use_path_end_ = 0;  // of `use a/b`: its slashes and dashes are part of a name
  bool tight_assign_ = false;
};

}  // namespace ckmap::format
