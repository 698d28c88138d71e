// Whether conditions can hold at once, decided over truth values, texts and integers. A set of
// conditions becomes cases; a case holds bounds of linear sums, and is out once they leave no value. What a sum
// stands for is not looked into: an answer "no" is a proof, an answer "yes" comes with an example to check.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/sema/overlap/automaton.h"
#include "compiler/sema/expr.h"
#include "compiler/sema/shapes/polynomial.h"

namespace ckmap {

// What a condition calls its captures elsewhere. A capture that is not listed is one of its own rule
// alone, and gets a prime: `{i'}`.
using CaptureNames = std::map<std::string, std::string, std::less<>>;

class Guards {
 public:
  explicit Guards(const VariableTable& variables) : variables_(variables), cases_(1) {}

  // `names` null: captures keep their names.
  void Require(const TypedExpr& condition, const CaptureNames* names = nullptr);
  // That the source holds this tensor.
  void RequireSource(const TypedPattern& name, const CaptureNames* names = nullptr);
  void RequireRange(const TypedRange& range, const CaptureNames* names = nullptr);

  // kNo: they exclude each other. kGaveUp: there were too many cases to tell.
  Answer Decide() const { return cases_.empty() ? Answer::kNo : gave_up_ ? Answer::kGaveUp : Answer::kYes; }
  // Of kYes: "`heads` is 8 and the source has `x`"; empty if nothing is required.
  std::string Example() const;

 private:
  struct Numbers {
    int64_t low, high;
    std::set<int64_t> without;
    Polynomial sum;
    bool told = true;  // false: goes without saying
    bool Empty();
  };
  struct Texts {
    std::string is;
    bool known = false;
    std::set<std::string> is_not;
  };
  struct Case {
    std::map<std::string, Numbers> numbers;
    std::map<std::string, Texts> texts;
    std::map<std::string, bool> truths;
  };
  using Cases = std::vector<Case>;

  Cases Expand(const TypedExpr& expr, bool positive, int depth);
  Cases Compare(const TypedExpr& expr, bool positive, int depth);
  Cases CompareSums(std::string_view op, const Polynomial& difference, bool positive);
  Cases CompareTexts(const TypedExpr& left, const TypedExpr& right, bool equal);
  Cases Truth(std::string key, bool value);
  Cases Bound(const Polynomial& sum, std::string_view op, int64_t value);
  Cases Both(const Cases& a, const Cases& b);
  Cases Either(Cases a, Cases b);
  static bool Merge(Case& into, const Case& other);
  static bool Propagate(Case& one);
  Polynomial Sum(const TypedExpr& expr, int depth);
  std::string Key(const TypedExpr& expr, int depth) const;
  std::string NameKey(const TypedPattern& name, int depth) const;
  std::string CaptureKey(const std::string& name) const;
  void Conclude(Cases cases);

  const VariableTable& variables_;
  Cases cases_;
  bool gave_up_ = false;
  bool too_many_ = false;                // in the condition that is being read
  const CaptureNames* names_ = nullptr;  // of the condition that is being read
};

}  // namespace ckmap
