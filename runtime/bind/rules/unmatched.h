// Statements of the file itself that name nothing: a slip of the pen, or rules for another model. Those of packs that
// it uses are for many models, and what is marked `?` may be absent.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/bind/issue.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

class UnmatchedStatements {
 public:
  explicit UnmatchedStatements(const BindContext& context) : context_(context) {}

  // What is known to name something need not be looked for.
  void Applied(const plan::Rule* rule) {
    if (rule != last_) applied_.insert(last_ = rule);
  }
  void Applied(const plan::Rename* rename) { applied_.insert(rename); }

  // A note for each of the others that names nothing, whatever its `when` says.
  Result<void> Report(std::vector<Issue>& issues);

 private:
  bool Ours(const plan::Location& loc) const { return context_.Level(loc) == 0; }
  Result<bool> RuleNamesSome(const plan::Rule& rule, const Manifest& source);
  // `declared`: captures of the other names of a rule, which its names may refer to.
  using Declared = std::map<std::string, const plan::Capture*>;
  Result<bool> NamesSome(const plan::Pattern& pattern, const Declared& declared, const Manifest& manifest,
                         const std::string& separator);
  bool Matches(const CompiledName& pattern, const Manifest& manifest);
  bool FindsSome(const RunRenamer& renamer, const RunRenamer::Entry& entry, const Manifest& manifest);
  // False once so much was looked through that the rest is taken to be there.
  bool Look() { return looked_++ < kMaxLooks; }
  void Add(std::string what, const plan::Location& loc, std::string_view where, std::vector<Issue>& issues) const;

  static constexpr size_t kMaxLooks = 4'000'000;  // names that a pattern is compared with, a second or so
  const BindContext& context_;
  std::unordered_set<const void*> applied_;
  const plan::Rule* last_ = nullptr;
  size_t looked_ = 0;
};

}  // namespace ckmap
