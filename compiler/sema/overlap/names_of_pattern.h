// Single names against a pattern: what its captures are in a name, and some names that it has. For what automata
// cannot say: captures that stand twice, numbers that are computed, conditions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/sema/overlap/languages.h"

namespace ckmap {

using CaptureTexts = std::map<std::string, std::string, std::less<>>;

// The ways in which a rule (or a statement) gives this name; those that were found within a bounded search. A raw
// regular expression has no captures here.
std::vector<CaptureTexts> Readings(const Languages& languages, const Language& language, std::string_view name);

// Some names of a pattern: small numbers, short texts, and the words of `seeds`. Each is one that Readings() reads.
std::vector<std::string> SampleNames(const Languages& languages, const Language& language,
                                     const std::vector<std::string>& seeds);

// The texts as conditions see them: integers where a capture is one.
CaptureValues ValuesOf(const TypedRule* rule, const CaptureTexts& texts);

// Whether a rule is applied where its captures are these, as far as its `when` and its ranges tell. nullopt: they do
// not.
std::optional<bool> Applies(const TypedRule& rule, const CaptureTexts& texts, const VariableTable& variables);

}  // namespace ckmap
