// Names that two patterns have in common, with what was not decided reported. All searches of a program together
// have a budget.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/sema/overlap/languages.h"
#include "compiler/sema/overlap/names_of_pattern.h"

namespace ckmap {

class NameSearch {
 public:
  NameSearch(const Languages& languages, DiagnosticSink& sink) : languages_(languages), sink_(sink) {}

  struct Decision {
    std::optional<std::string> name;
    std::string undecided;  // why, if it was not decided whether there is one
  };
  // A name of both.
  Decision Find(const Language& a, const Language& b);
  // The same; nullopt: there is none, or it was not decided and reported as such.
  std::optional<std::string> Common(const Language& a, const Language& b);
  // Whether the budget allows work of this size; false from then on.
  bool Spend(size_t work) {
    work_ += work;
    return !TooMuch();
  }
  bool TooMuch() const;
  // A name of both for which the rules of both can apply. The automata of both have a name in common.
  std::optional<std::string> CommonWhereBothApply(const Language& a, const Language& b,
                                                  const std::vector<std::string>& first_tried);
  // A name of both where captures have these texts, as far as automata tell; it need not be one.
  std::optional<std::string> Candidate(const Language& a, const CaptureTexts& a_texts, const Language& b,
                                       const CaptureTexts& b_texts);
  // Whether every name of `inner` is one of `outer`, as far as a budget of its own allows: only statements that change
  // nothing are found so.
  bool Covers(const Language& outer, const Language& inner);
  // Whether each name of the language has one reading.
  bool HasOneReading(const Language& language);
  bool Has(const Language& language, const std::string& name);

  void Undecided(const Language& a, const Language* b, std::string why);
  // Reports those undecided questions that were not reported one by one.
  void Finish();

 private:
  Found Search(const Automaton& a, const Automaton& b);
  bool Exact(const Language& language) const;

  const Languages& languages_;
  DiagnosticSink& sink_;
  size_t work_ = 0, cover_work_ = 0;
  size_t undecided_ = 0;
  std::optional<Span> last_;
};

}  // namespace ckmap
