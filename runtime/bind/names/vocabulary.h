// What the words of tensor names say, as the field uses them: which words exclude each other, in which order fused
// tensors name their parts, which layers hold their matrices as [in, out]. Names are evidence and not proof: what is
// derived from them is remarked upon and decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap {

// "encoder.layer.0.ln_1.weight" → {encoder, layer, 0, ln_1, weight}; "/" and other separators are given.
std::vector<std::string> SegmentsOf(std::string_view name, std::string_view separator);

// The words of a segment in small letters, numbers apart: "c_attnProj1" → {c, attn, proj, 1}.
std::vector<std::string> WordsOfSegment(std::string_view segment);

// One spelling for words that mean the same: query and wq become q, layernorm becomes norm, gamma becomes weight.
std::string CanonicalWord(const std::string& word);

// What a name says of itself. Of each question it gives at most one answer: a name that holds query and key says neither.
struct NameRoles {
  struct Role {
    std::string role;   // "query"
    std::string token;  // as the name spells it: "wq"
  };
  std::map<std::string, Role, std::less<>> by_question;  // "which projection" → query
};
// `manifest` holds the name's siblings: w1, w2 and w3 say gate, down and up where all three are there.
NameRoles RolesOf(const std::string& name, std::string_view separator, const Manifest& manifest);

// A question to which two names give different answers.
struct Contradiction {
  std::string question;
  std::string left, right;  // the tokens
};
std::vector<Contradiction> ContradictionsOf(const NameRoles& left, const NameRoles& right);

// In which order a fused tensor's name tells its parts, as canonical words: "attn.qkv.weight" → {q, k, v},
// "gate_up_proj" → {gate, up}; empty: the name does not tell.
std::vector<std::string> OrderOfParts(std::string_view name, std::string_view separator);

// Whether the tensors that frameworks call so are known to hold their parts plainly one after another, not group by
// group: torch's in_proj_weight, GPT-2's c_attn.
bool IsPlainlyFused(std::string_view name, std::string_view separator);

// The matrix of an embedding or of a classifier over a vocabulary: it is padded and cut at its end.
bool IsVocabulary(std::string_view name);
// The matrix of a linear layer, as far as its name tells: not an embedding.
bool IsLinearWeight(std::string_view name, std::string_view separator);
// The matrix of a layer that is [in, out] by its name: GPT-2's Conv1D, the kernel of Keras and Flax.
bool IsInOut(std::string_view name, std::string_view separator);

// Whether a name says that its layer runs backwards: torch's weight_ih_l0_reverse.
bool IsReverse(std::string_view name, std::string_view separator);
// The matrix of a recurrent layer by torch's names, whose gates other frameworks have in other orders.
bool IsTorchRecurrent(std::string_view name, std::string_view separator);

// The name without its numbers, and these in order: "layer1.0.conv" → "layer#.#.conv", {1, 0}.
struct NameTemplate {
  std::string stem;
  std::vector<int64_t> numbers;
};
NameTemplate TemplateOf(std::string_view name);

}  // namespace ckmap
