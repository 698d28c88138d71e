// Whether conditions can hold at once, decided over truth values, texts and integers. A set of
// conditions becomes cases; a case holds bounds of linear sums, and is out once they leave no value. What a sum
// stands for is not looked into: an answer "no" is a proof, an answer "yes" comes with an example to check.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/sema/expr.h"
#include "compiler/sema/overlap/automaton.h"
#include "compiler/sema/shapes/polynomial.h"

namespace ckmap {

// What the captures of a condition stand for where two rules write one name.
struct CaptureNames {
  std::map<std::string, std::string, std::less<>> same;   // captures of the first rule that have the same text
  std::map<std::string, std::string, std::less<>> texts;  // of captures whose text is known
  CaptureValues values;                                   // the same, as a condition sees them
  bool second =
      false;  // this is the second rule: a capture that is not listed is its own alone, and gets a prime, `{i'}`
};

class Guards {
 public:
  explicit Guards(const VariableTable& variables) : variables_(variables), cases_(1) {}

  // `names` null: captures keep their names.
  void Require(const TypedExpr& condition, const CaptureNames* names = nullptr);
  // That the source holds this tensor.
  void RequireSource(const TypedPattern& name, const CaptureNames* names = nullptr);
  void RequireRange(const TypedRange& range, const CaptureNames* names = nullptr);
  // That two integers are equal, each with its own captures.
  void RequireEqual(const TypedExpr& left, const CaptureNames* left_names, const TypedExpr& right,
                    const CaptureNames* right_names);

  // kNo: they exclude each other. kGaveUp: there were too many cases to tell.
  size_t work() const { return work_; }  // cases that were put together
  Answer Decide() const { return cases_.empty() ? Answer::kNo : gave_up_ ? Answer::kGaveUp : Answer::kYes; }
  // Of kYes: "`heads` is 8 and the source has `x`"; empty if nothing is required.
  std::string Example() const;
  // Of kYes, in one of the cases(): captures and texts for them, by key: `i`, or `i'` for the second rule's.
  size_t cases() const { return cases_.size(); }
  std::map<std::string, std::string, std::less<>> CaptureTexts(size_t which) const;
  // What every case fixes, with the few values that the cases give it: those of two sets of conditions that have no
  // value in common exclude each other.
  std::map<std::string, std::set<std::string>> Facts() const;
  // Of the only case: captures that can have no other text.
  std::map<std::string, std::string, std::less<>> FixedTexts() const;

 private:
  struct Numbers {
    int64_t Value() const;  // one that is possible
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
  static bool IsCapture(const std::string& key) {
    return key.size() > 2 && key[0] == '{' && key.find('}') + 1 == key.size();
  }
  Polynomial Sum(const TypedExpr& expr, int depth);
  std::string Key(const TypedExpr& expr, int depth) const;
  std::string NameKey(const TypedPattern& name, int depth) const;
  std::string CaptureKey(const std::string& name) const;
  void Conclude(Cases cases);
  const CaptureValues* Values() const { return names_ == nullptr ? nullptr : &names_->values; }

  const VariableTable& variables_;
  Cases cases_;
  size_t work_ = 0;
  bool gave_up_ = false;
  bool too_many_ = false;                // in the condition that is being read
  const CaptureNames* names_ = nullptr;  // of the condition that is being read
};

}  // namespace ckmap
