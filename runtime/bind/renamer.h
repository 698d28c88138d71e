// `rename` statements: runs of whole segments, wherever they stand in a name.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/bind/name_pattern.h"

namespace ckmap {

class Renamer {
 public:
  // Renames of lower levels (files) replace those of higher ones with the same left side.
  static Result<Renamer> Create(const plan::Plan& plan, const Scope& scope);

  // The target's name for a source name (or module path): scanned from left to right, the longest
  // run that a rename matches is rewritten, and what was written is not scanned again. Of two runs of
  // equal length the one with more literal text wins; if that is equal too, it is an Error.
  Result<std::string> Apply(std::string_view name) const;

  // As Apply; `used` gets the statements that took part.
  Result<std::string> Apply(std::string_view name, std::vector<const plan::Rename*>* used) const;

 private:
  struct Entry {
    const plan::Rename* rename;
    size_t segments;      // of the left side; renames match runs of fixed length
    size_t literal_size;  // characters outside captures
    CompiledName from;
  };
  std::vector<Entry> entries_;  // longest first, then most literal
  std::string source_separator_, target_separator_;
  const Scope* scope_ = nullptr;
};

}  // namespace ckmap
