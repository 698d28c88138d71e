// What the words of names say, as the field uses them. Private to compiler/suggest.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap::suggest {

// Words of a form: "self_attn.q_proj" and "attention.wq" both hold {attention, q}.
std::vector<std::string> WordsOf(std::string_view form);
// 0 to 1: how alike two forms are, the last segments counting most.
double Similarity(std::string_view a, std::string_view b);

// Words of which a name holds one of several that exclude each other: encoder or decoder, q or k or v, text or vision.
struct Roles {
  static constexpr size_t kClasses = 10;
  std::array<std::set<std::string>, kClasses> words;
};
Roles RolesOf(std::string_view form);
// Some class has words in both names, and none in common.
bool Contradict(const Roles& a, const Roles& b);
// Of how many classes both names hold a common word.
int Agreements(const Roles& a, const Roles& b);

// Momenta and the like, which are not the weights that they have the shapes of.
bool IsOptimizerState(std::string_view name);

}  // namespace ckmap::suggest
