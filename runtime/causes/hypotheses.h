// What can be wrong, one function for each kind. Each adds what it would try.
#pragma once

#include <vector>

#include "runtime/causes/find_causes.h"
#include "runtime/causes/findings.h"

namespace ckmap {

using Hypotheses = std::vector<Hypothesis>;

void SuggestExchanged(const Findings& findings, Hypotheses& out);  // source and target
void SuggestPacks(const Findings& findings, Hypotheses& out);      // another pack, or the layers of `std`
void SuggestPrefixes(const Findings& findings, bool source_has_roots, Hypotheses& out);
void SuggestRenames(const Findings& findings, Hypotheses& out);  // and layers that are numbered otherwise
void SuggestParameters(const Findings& findings, Hypotheses& out);
void SuggestLayouts(const Findings& findings, Hypotheses& out);    // transposed, permuted, axes of size 1
void SuggestJoins(const Findings& findings, Hypotheses& out);      // fused against split
void SuggestSizes(const Findings& findings, Hypotheses& out);      // classes, vocabulary, width, slices of ranks
void SuggestLeftovers(const Findings& findings, Hypotheses& out);  // optimizer state, buffers, ties, biases, layers
void SuggestParts(const Findings& findings, Hypotheses& out);      // norms, experts, branches, adapters
void SuggestDTypes(const Findings& findings, Hypotheses& out);     // casts, quantised weights

}  // namespace ckmap
