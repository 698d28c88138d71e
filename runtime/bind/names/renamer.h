// `rename` statements: runs of whole segments, wherever they stand in a name. Those of `rename target` change the
// target's names; a source tensor goes to the target tensor whose name, so changed, is its own.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/bind/names/name_pattern.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// The renames of one side's names.
class RunRenamer {
 public:
  // Renames of lower levels (files) replace those of higher ones with the same left side. Names come with the separator
  // `from`, right sides of renames are written with `to`, and names go out with `out`.
  static Result<RunRenamer> Create(const plan::Plan& plan, const Scope& scope, bool of_target, const std::string& from,
                                   const std::string& to, const std::string& out);

  // Scanned from left to right, the longest run that a rename matches is rewritten, and what was written is not scanned
  // again. Of two runs of equal length the one with more literal text wins; if that is equal too, it is an Error.
  // `used` gets the statements that took part, unless it is null.
  Result<std::string> Apply(std::string_view name, std::vector<const plan::Rename*>* used) const;

  // Those that apply at all, each with what it looks for, a run of so many segments.
  struct Entry {
    const plan::Rename* rename;
    size_t segments;      // of the left side; renames match runs of fixed length
    size_t literal_size;  // characters outside captures
    CompiledName from;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  const std::string& from_separator() const { return from_separator_; }

 private:
  std::vector<Entry> entries_;  // longest first, then most literal
  std::string from_separator_, to_separator_, out_separator_;
  const plan::Plan* plan_ = nullptr;
  const Scope* scope_ = nullptr;
};

struct Renamed {
  std::string name;
  // False: `rename target` gives nothing in the target this name, so that the target has nothing for it.
  bool met = true;
};

class Renamer {
 public:
  // `target`: what `rename target` is about; it is not kept.
  static Result<Renamer> Create(const plan::Plan& plan, const Scope& scope, const Manifest& target);

  // The target's name for a source name (or module path). An Error if renames leave it two.
  Result<Renamed> Apply(std::string_view name, std::vector<const plan::Rename*>* used = nullptr) const;

  const RunRenamer& of_source() const { return source_; }
  const RunRenamer& of_target() const { return target_; }

 private:
  struct Meeting {
    std::string name;   // the target's
    std::string other;  // another one that its renames give the same name; empty: none
    std::vector<const plan::Rename*> used;
  };
  Result<void> Meet(std::string_view name);

  RunRenamer source_, target_;
  bool meets_ = false;                                 // there are renames of the target's names
  std::unordered_map<std::string, Meeting> meetings_;  // what the target's names, and those of its modules, become
};

}  // namespace ckmap
