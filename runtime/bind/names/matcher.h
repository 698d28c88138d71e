// Many patterns against many names at once: which patterns match a name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <re2/set.h>

#include "runtime/bind/names/name_pattern.h"

namespace ckmap {

class Matcher {
 public:
  Matcher();
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // Ids count up from 0 in the order of the calls. The pattern is referred to until the last Match.
  size_t Add(const CompiledName& pattern);
  void Compile();  // after the last Add

  // `ids`: the patterns that may match the name, ascending; CompiledName::Match decides (it knows of
  // repeated captures and computed indices). One object for many names saves its allocations.
  struct Candidates {
    std::vector<size_t> ids;
    std::string text;  // for the look-up
  };
  void Find(std::string_view name, Candidates& found) const;  // replaces what `found` holds

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Ids = std::unordered_map<std::string, std::vector<size_t>, Hash, std::equal_to<>>;

  bool AddByRuns(const CompiledName& pattern, size_t id);
  void AddFromSet(std::string_view name, std::vector<size_t>& ids) const;

  Ids literals_;
  // Patterns of literals and runs of digits, which most are, are found by name: with their captured runs taken out, a
  // pattern and all names that match it are one text. Bit i of a mask: run i is captured. One look-up for each of the
  // masks that patterns of as many runs have.
  std::map<size_t, std::vector<uint64_t>> masks_;  // by the number of runs
  Ids without_runs_;
  std::unique_ptr<re2::RE2::Set> set_;  // all other patterns
  std::vector<size_t> set_ids_;
  std::vector<const CompiledName*> patterns_;
};

}  // namespace ckmap
