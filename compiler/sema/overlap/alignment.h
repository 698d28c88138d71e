// Where two patterns name one tensor: which of their captures have the same text then, which text captures
// have, and which computed numbers are equal. What is not known of a capture is left open.
#pragma once

#include <utility>
#include <vector>

#include "compiler/sema/overlap/guards.h"
#include "compiler/sema/overlap/languages.h"

namespace ckmap {

struct Alignment {
  CaptureNames first, second;                            // for the conditions of the two rules
  std::vector<std::pair<TypedExpr, TypedExpr>> numbers;  // equal ones: one of the first rule, one of the second
};

// `Both` names without a path in them are compared segment by segment, others up to their first path and from
// their last. `unique(language)`: whether each name of it can be read in one way only.
class Aligner {
 public:
  // `one_separator`: segments of the source are segments of these names too.
  Aligner(const std::string& separator, bool one_separator) : separator_(separator), one_separator_(one_separator) {}

  template <typename Unique>
  Alignment Align(const Language& first, const Language& second, Unique unique) const {
    Alignment alignment = BySegments(first, second);
    if (SameForm(*first.pattern, *second.pattern) && unique(first) && unique(second))
      AddByForm(first, second, alignment);
    if (first.literal || second.literal) AddByLiteral(first, second, alignment);
    return alignment;
  }

 private:
  struct Segment;
  std::vector<Segment> SegmentsOf(const Language& language) const;
  bool IsWide(const Language& language, const TypedPart& part) const;
  Alignment BySegments(const Language& first, const Language& second) const;
  static void AlignSegments(const Segment& first, const Segment& second, Alignment& alignment);
  static bool SameForm(const TypedPattern& first, const TypedPattern& second);
  static void AddByForm(const Language& first, const Language& second, Alignment& alignment);
  static void AddByLiteral(const Language& first, const Language& second, Alignment& alignment);

  std::string separator_;
  bool one_separator_;
};

}  // namespace ckmap
