#include "runtime/bind/names/norm_roles.h"

#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr const char* kOfAttention = "in front of the attention";
constexpr const char* kOfCross = "in front of the cross-attention";
constexpr const char* kOfMlp = "in front of the MLP";

// A network whose norms stand behind its sublayers calls the one behind the attention `attention.output.LayerNorm`,
// which others call the one in front of the MLP: "sublayer" is a question of its own.
constexpr const char* kPlace = "norm";
constexpr const char* kSublayer = "sublayer";

using NormWords = std::map<std::string, const char*, std::less<>>;

const NormWords& Places() {
  static const NormWords kPlaces = {
      {"input_layernorm", kOfAttention},
      {"attention_norm", kOfAttention},
      {"attn_norm", kOfAttention},
      {"attn_ln", kOfAttention},
      {"ln_attn", kOfAttention},
      {"layernorm_before", kOfAttention},
      {"pre_attention_layernorm", kOfAttention},
      {"pre_attention_norm", kOfAttention},
      {"self_attn_layer_norm", kOfAttention},
      {"sa_layer_norm", kOfAttention},
      {"encoder_attn_layer_norm", kOfCross},
      {"cross_attn_layer_norm", kOfCross},
      {"cross_attention_norm", kOfCross},
      {"cross_attn_norm", kOfCross},
      {"cross_attn_ln", kOfCross},
      {"post_attention_layernorm", kOfMlp},
      {"pre_mlp_layernorm", kOfMlp},
      {"ffn_norm", kOfMlp},
      {"ffn_layer_norm", kOfMlp},
      {"mlp_norm", kOfMlp},
      {"mlp_layernorm", kOfMlp},
      {"mlp_ln", kOfMlp},
      {"ln_mlp", kOfMlp},
      {"layernorm_after", kOfMlp},
  };
  return kPlaces;
}

const NormWords& Sublayers() {
  static const NormWords kSublayers = {
      {"self_attn_layer_norm", "attention"},
      {"sa_layer_norm", "attention"},
      {"attn_layer_norm", "attention"},
      {"attention_layer_norm", "attention"},
      {"output_layer_norm", "MLP"},
      {"full_layer_layer_norm", "MLP"},
      {"ffn_layer_norm", "MLP"},
  };
  return kSublayers;
}

std::string Lowered(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool IsBlockNumber(std::string_view segment) {
  return !segment.empty() && segment.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsPlainNorm(const std::string& segment) {
  static const std::set<std::string, std::less<>> kPlain = {"norm", "layernorm", "layer_norm", "ln"};
  return kPlain.contains(segment);
}

class NormSegments {
 public:
  NormSegments(const std::vector<std::string>& segments, size_t at, std::string_view separator,
               const Manifest& manifest)
      : segments_(segments), at_(at), separator_(separator), manifest_(manifest) {}

  std::string At(size_t back) const { return back <= at_ ? Lowered(segments_[at_ - back]) : ""; }
  std::string Token(size_t segments) const {
    return fmt::format("{}", fmt::join(segments_.begin() + static_cast<std::ptrdiff_t>(at_ + 1 - segments),
                                       segments_.begin() + static_cast<std::ptrdiff_t>(at_ + 1), separator_));
  }
  // Whether there is a tensor of this name with another segment here, and everything behind it as well.
  bool HasSibling(const std::string& segment) const {
    return Has(segment, at_ + 1 < segments_.size() ? Joined(at_ + 1, segments_.size()) : "");
  }
  bool Has(const std::string& segment, const std::string& rest) const {
    std::string name = Joined(0, at_);
    if (at_ > 0) name += separator_;
    name += segment;
    if (!rest.empty()) name += std::string(separator_) + rest;
    return manifest_.Find(name).has_value();
  }

 private:
  std::string Joined(size_t begin, size_t end) const {
    return fmt::format("{}", fmt::join(segments_.begin() + static_cast<std::ptrdiff_t>(begin),
                                       segments_.begin() + static_cast<std::ptrdiff_t>(end), separator_));
  }

  const std::vector<std::string>& segments_;
  size_t at_;
  std::string_view separator_;
  const Manifest& manifest_;
};

// norm1 and norm2 of a block; where there is a norm3 as well, the second is the cross-attention's. A block that counts
// from zero says something else by them.
const char* PlaceOfNumbered(const std::string& segment, const NormSegments& name) {
  if (segment.size() < 3 || !IsDigit(segment.back())) return nullptr;
  std::string stem = segment.substr(0, segment.size() - 1);
  const std::string bare = stem.back() == '_' ? stem.substr(0, stem.size() - 1) : stem;
  if (!IsPlainNorm(bare)) return nullptr;
  const std::string own = name.Token(1);
  const auto sibling = [&](char number) { return name.HasSibling(own.substr(0, own.size() - 1) + number); };
  if (sibling('0') || sibling('4')) return nullptr;
  switch (segment.back()) {
    case '1':
      return kOfAttention;
    case '2':
      return sibling('3') ? kOfCross : kOfMlp;
    case '3':
      return kOfMlp;
    default:
      return nullptr;
  }
}

// T5 counts its sublayers, of which each has a norm: what stands beside the norm says which it is.
const char* PlaceInSublayer(const NormSegments& name) {
  if (!IsPlainNorm(name.At(0)) || !IsBlockNumber(name.At(1))) return nullptr;
  if (name.Has("SelfAttention", "q.weight")) return kOfAttention;
  if (name.Has("EncDecAttention", "q.weight")) return kOfCross;
  if (name.Has("DenseReluDense", "wo.weight")) return kOfMlp;
  return nullptr;
}

}  // namespace

std::vector<NormAnswer> NormAnswersOf(const std::vector<std::string>& segments, size_t at, std::string_view separator,
                                      const Manifest& manifest) {
  const NormSegments name(segments, at, separator, manifest);
  const std::string segment = name.At(0);
  std::vector<NormAnswer> answers;
  if (const auto place = Places().find(segment); place != Places().end())
    answers.push_back({kPlace, place->second, name.Token(1)});
  if (const auto sublayer = Sublayers().find(segment); sublayer != Sublayers().end())
    answers.push_back({kSublayer, sublayer->second, name.Token(1)});
  if (const char* place = PlaceOfNumbered(segment, name)) answers.push_back({kPlace, place, name.Token(1)});
  if (const char* place = PlaceInSublayer(name)) answers.push_back({kPlace, place, name.Token(3)});
  // BART, OPT and XGLM call the last norm of each block so; T5 and others the last of all.
  if (segment == "final_layer_norm" && name.HasSibling("self_attn_layer_norm")) {
    answers.push_back({kPlace, kOfMlp, name.Token(1)});
    answers.push_back({kSublayer, "MLP", name.Token(1)});
  }
  if (segment == "layernorm" && name.At(1) == "output") {
    if (name.At(2) == "attention") answers.push_back({kSublayer, "attention", name.Token(3)});
    if (IsBlockNumber(name.At(2))) answers.push_back({kSublayer, "MLP", name.Token(2)});
  }
  return answers;
}

}  // namespace ckmap
