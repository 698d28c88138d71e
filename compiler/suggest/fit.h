// Whether two modules can be the same one, by the shapes of their tensors. Private to compiler/suggest.
#pragma once

#include <string>

#include "compiler/suggest/match.h"
#include "compiler/suggest/network.h"

namespace ckmap::suggest {

Shape WithoutOnes(const Shape& shape);

// The same kinds of tensors, in shapes that fit. `lacking`: the target may lack some of the source's tensors.
bool Fits(const Network& source, const Module& a, const Network& target, const Module& b, bool lacking = false);

// Modules that fit have one content: their kinds with their sizes in order.
std::string ContentOf(const Network& network, const Module& module);

// Some tensor of the module has values that no other is likely to have.
bool HasValues(const Network& network, const Module& module);

// Of the modules' weights.
bool Transposed(const Network& source, const Module& a, const Network& target, const Module& b);
bool Square(const Network& network, const Module& module);

}  // namespace ckmap::suggest
