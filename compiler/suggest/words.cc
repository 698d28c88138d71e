#include "compiler/suggest/words.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "runtime/base/text.h"
#include "runtime/bind/names/vocabulary.h"

namespace ckmap::suggest {
namespace {

using Dictionary = std::map<std::string, std::string, std::less<>>;

// Whole segments that mean more than their parts say.
const Dictionary& Segments() {
  static const Dictionary kSegments = {
      // Not of the attention: in most networks it stands in front of the MLP.
      {"post_attention_layernorm", "post norm"},
      {"input_layernorm", "input norm"},
      {"pre_mlp_layernorm", "mlp norm"},
      {"attention_norm", "attention norm"},
      {"ffn_norm", "mlp norm"},
      {"encoder_attn", "cross attention"},
      {"EncDecAttention", "cross attention"},
      {"crossattention", "cross attention"},
      {"cross_attention", "cross attention"},
      {"lm_head", "head out"},
      {"output_layer", "head out"},
      {"norm_out", "norm"},
      {"ln_f", "norm"},
      {"final_layernorm", "norm"},
      {"in_proj", "qkv projection"},
      {"qkv", "qkv"},
      {"query_key_value", "qkv"},
      {"linear_qkv", "qkv linear"},
      {"c_attn", "qkv linear"},
  };
  return kSegments;
}

// What segments mean in most networks, and not in all: enough for a guess.
const Dictionary& Guesses() {
  static const Dictionary kGuesses = {
      {"downsample", "down projection"},
      {"shortcut", "down projection"},
      {"post_attention_layernorm", "mlp norm"},
      {"input_layernorm", "attention norm"},
      {"w1", "gate projection"},
      {"w2", "down projection"},
      {"w3", "up projection"},
  };
  return kGuesses;
}

// Words that mean the same, and words that say nothing.
std::string Meaning(const std::string& word) {
  static const Dictionary kMeanings = {
      {"layernorm", "norm"},
      {"ln", "norm"},
      {"rmsnorm", "norm"},
      {"bn", "norm"},
      {"attn", "attention"},
      {"embeddings", "embedding"},
      {"embed", "embedding"},
      {"emb", "embedding"},
      {"tok", "token"},
      {"layrnorm", "norm"},
      {"tokens", "token"},
      {"word", "token"},
      {"query", "q"},
      {"key", "k"},
      {"value", "v"},
      {"wq", "q"},
      {"wk", "k"},
      {"wv", "v"},
      {"wo", "out"},
      {"o", "out"},
      {"output", "out"},
      {"ffn", "mlp"},
      {"fc", "linear"},
      {"dense", "linear"},
      {"classifier", "head"},
      {"proj", "projection"},
      {"pos", "position"},
      {"positional", "position"},
      {"downsample", "down"},
      {"sample", ""},
      {"cls", "class"},
      {"blocks", "layer"},
      {"layers", "layer"},
      {"block", "layer"},
      {"resblocks", "layer"},
      {"h", "layer"},
      {"model", ""},
      {"self", ""},
      {"module", ""},
      {"gamma", ""},
      {"beta", "bias"},
      {"variance", "var"},
      {"final", ""},
      {"features", "feature"},
      {"visual", "vision"},
      {"image", "vision"},
      {"img", "vision"},
      {"txt", "text"},
      {"feedforward", "mlp"},
      {"mixer", "mlp"},
      {"expert", "experts"},
  };
  const auto found = kMeanings.find(word);
  return found == kMeanings.end() ? word : found->second;
}

// "c_attnProj1" → c, attn, proj, 1.
std::vector<std::string> Pieces(std::string_view segment) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < segment.size(); ++i) {
    const auto c = static_cast<unsigned char>(segment[i]);
    const bool upper = std::isupper(c) != 0 && i > 0 && std::islower(static_cast<unsigned char>(segment[i - 1])) != 0;
    const bool digit = IsDigit(segment[i]) && i > 0 && !IsDigit(segment[i - 1]);
    if (segment[i] == '_' || segment[i] == '-' || segment[i] == '#') {
      words.emplace_back();
      continue;
    }
    if (upper || digit) words.emplace_back();
    words.back() += static_cast<char>(std::tolower(c));
  }
  return words;
}

const Dictionary& RoleWords() {
  // word → class
  static const Dictionary kRoles = {
      {"q", "0"},       {"k", "0"},         {"v", "0"},
      {"qkv", "0"},     {"gate", "0"},      {"up", "0"},
      {"down", "0"},    {"text", "1"},      {"vision", "1"},
      {"audio", "1"},   {"speech", "1"},    {"encoder", "2"},
      {"decoder", "2"}, {"attention", "3"}, {"mlp", "3"},
      {"token", "4"},   {"position", "4"},  {"type", "4"},
      {"class", "4"},   {"norm", "5"},      {"embedding", "5"},
      {"ih", "6"},      {"hh", "6"},        {"weight", "7"},
      {"bias", "7"},    {"mean", "7"},      {"var", "7"},
      {"forward", "8"}, {"fw", "8"},        {"backward", "8"},
      {"bw", "8"},      {"reverse", "8"},   {"student", "9"},
      {"teacher", "9"}, {"ema", "9"},       {"actor", "9"},
      {"critic", "9"},  {"generator", "9"}, {"discriminator", "9"},
  };
  return kRoles;
}

std::vector<std::string> Words(std::string_view form, bool guess) {
  std::vector<std::string> words;
  for (const std::string& segment : SegmentsOf(form, ".")) {
    if (const auto meant = Guesses().find(segment); guess && meant != Guesses().end()) {
      for (std::string& word : SegmentsOf(meant->second, " ")) words.push_back(std::move(word));
      continue;
    }
    if (const auto whole = Segments().find(segment); whole != Segments().end()) {
      for (std::string& word : SegmentsOf(whole->second, " ")) words.push_back(std::move(word));
      continue;
    }
    const std::vector<std::string> pieces = Pieces(segment);
    if (std::all_of(pieces.begin(), pieces.end(),
                    [](const std::string& piece) { return piece == "feed" || piece == "forward"; }) &&
        pieces.size() == 2) {
      words.emplace_back("mlp");
      continue;
    }
    for (const std::string& piece : pieces) {
      std::string word = Meaning(piece);
      if (!word.empty()) words.push_back(std::move(word));
    }
  }
  return words;
}

std::vector<std::string> LastWords(std::string_view form) {
  constexpr size_t kCharacters = 160, kWords = 24;
  if (form.size() > kCharacters) {
    form.remove_prefix(form.size() - kCharacters);
    const size_t dot = form.find('.');
    form.remove_prefix(dot == std::string_view::npos ? 0 : dot + 1);
  }
  std::vector<std::string> words = Words(form, true);
  if (words.size() > kWords) words.erase(words.begin(), words.end() - kWords);
  return words;
}

}  // namespace

std::vector<std::string> WordsOf(std::string_view form) { return Words(form, false); }

double Similarity(std::string_view a, std::string_view b) {
  if (a == b) return 1.0;
  // Ends of names say most; without a bound the time would grow with the fourth power of their depth.
  const std::vector<std::string> left = LastWords(a), right = LastWords(b);
  const auto weight = [](size_t from_end) { return from_end < 2 ? 3.0 : from_end < 4 ? 1.5 : 1.0; };
  double common = 0, total = 0;
  std::vector<bool> taken(right.size(), false);
  for (size_t i = left.size(); i-- > 0;) {
    const double own = weight(left.size() - 1 - i);
    total += own;
    for (size_t k = right.size(); k-- > 0;) {
      if (taken[k] || right[k] != left[i]) continue;
      taken[k] = true;
      common += own + weight(right.size() - 1 - k);
      break;
    }
  }
  for (size_t k = 0; k < right.size(); ++k) total += weight(right.size() - 1 - k);
  return total > 0 ? 0.99 * common / total : 0;
}

Roles RolesOf(std::string_view form) {
  Roles roles;
  for (const std::string& word : WordsOf(form)) {
    const auto found = RoleWords().find(word);
    if (found != RoleWords().end()) roles.words[static_cast<size_t>(found->second[0] - '0')].insert(word);
  }
  return roles;
}

bool Contradict(const Roles& a, const Roles& b) {
  for (size_t i = 0; i < Roles::kClasses; ++i) {
    const auto &left = a.words[i], &right = b.words[i];
    if (left.empty() || right.empty()) continue;
    if (std::none_of(left.begin(), left.end(), [&](const std::string& word) { return right.contains(word); }))
      return true;
  }
  return false;
}

int Agreements(const Roles& a, const Roles& b) {
  int count = 0;
  for (size_t i = 0; i < Roles::kClasses; ++i) {
    const auto &left = a.words[i], &right = b.words[i];
    count +=
        std::any_of(left.begin(), left.end(), [&](const std::string& word) { return right.contains(word); }) ? 1 : 0;
  }
  return count;
}

bool IsOptimizerState(std::string_view name) {
  static const std::set<std::string, std::less<>> kStates = {"optimizer",       "optimizer_state_dict",
                                                             "optim",           "exp_avg",
                                                             "exp_avg_sq",      "max_exp_avg_sq",
                                                             "momentum_buffer", "moment1",
                                                             "moment2",         "moments",
                                                             "adam_m",          "adam_v",
                                                             "accum",           "optimizer_states"};
  const std::vector<std::string> segments = SegmentsOf(name, ".");
  return std::any_of(segments.begin(), segments.end(),
                     [](const std::string& segment) { return kStates.contains(segment); });
}

}  // namespace ckmap::suggest
