#include "runtime/bind/names/vocabulary.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "runtime/base/text.h"
#include "runtime/bind/names/norm_roles.h"

namespace ckmap {
namespace {

using Dictionary = std::map<std::string, std::string, std::less<>>;
struct Answer {
  const char* question;
  const char* role;
};
using Answers = std::map<std::string, Answer, std::less<>>;

// Single words that exclude others of the same question.
const Answers& WordAnswers() {
  static const Answers kAnswers = {
      {"q", {"projection", "query"}},
      {"query", {"projection", "query"}},
      {"queries", {"projection", "query"}},
      {"wq", {"projection", "query"}},
      {"k", {"projection", "key"}},
      {"key", {"projection", "key"}},
      {"keys", {"projection", "key"}},
      {"wk", {"projection", "key"}},
      {"v", {"projection", "value"}},
      {"value", {"projection", "value"}},
      {"values", {"projection", "value"}},
      {"wv", {"projection", "value"}},
      {"gate", {"branch", "gate"}},
      {"up", {"branch", "up"}},
      {"down", {"branch", "down"}},
      {"ih", {"recurrence", "input"}},
      {"hh", {"recurrence", "hidden"}},
      {"recurrent", {"recurrence", "hidden"}},
      {"encoder", {"side", "encoder"}},
      {"decoder", {"side", "decoder"}},
      {"text", {"tower", "text"}},
      {"vision", {"tower", "vision"}},
      {"visual", {"tower", "vision"}},
      {"image", {"tower", "vision"}},
      {"audio", {"tower", "audio"}},
      {"student", {"network", "student"}},
      {"teacher", {"network", "teacher"}},
      {"generator", {"network", "generator"}},
      {"discriminator", {"network", "discriminator"}},
      {"actor", {"network", "actor"}},
      {"critic", {"network", "critic"}},
      {"cross", {"attention", "cross"}},
      {"crossattention", {"attention", "cross"}},
      {"real", {"part", "real"}},
      {"imag", {"part", "imaginary"}},
      {"cos", {"table", "cosine"}},
      {"sin", {"table", "sine"}},
      {"left", {"hand", "left"}},
      {"right", {"hand", "right"}},
      {"row", {"line", "row"}},
      {"col", {"line", "column"}},
      {"column", {"line", "column"}},
      {"min", {"bound", "least"}},
      {"max", {"bound", "greatest"}},
      {"src", {"language", "source"}},
      {"tgt", {"language", "target"}},
  };
  return kAnswers;
}

// Whole segments.
const Answers& SegmentAnswers() {
  static const Answers kAnswers = {
      {"self_attn", {"attention", "self"}},
      {"self_attention", {"attention", "self"}},
      {"selfattention", {"attention", "self"}},
      {"encoder_attn", {"attention", "cross"}},
      {"encdecattention", {"attention", "cross"}},
      {"o_proj", {"projection", "output"}},
      {"out_proj", {"projection", "output"}},
      {"to_out", {"projection", "output"}},
      {"wo", {"projection", "output"}},
      {"out", {"projection", "output"}},
      {"lm_head", {"embedding", "output"}},
      {"wi_0", {"branch", "gate"}},  // T5's activation is on the first
      {"wi_1", {"branch", "up"}},
      {"lora_a", {"adapter", "A"}},
      {"lora_b", {"adapter", "B"}},
      {"cls_token", {"token", "class"}},
      {"dist_token", {"token", "distillation"}},
      {"word_embeddings", {"embedding", "token"}},
      {"word_embedding", {"embedding", "token"}},
      {"embed_tokens", {"embedding", "token"}},
      {"tok_embeddings", {"embedding", "token"}},
      {"wte", {"embedding", "token"}},
      {"position_embeddings", {"embedding", "position"}},
      {"position_embedding", {"embedding", "position"}},
      {"full_position_embedding", {"embedding", "position"}},
      {"embed_positions", {"embedding", "position"}},
      {"wpe", {"embedding", "position"}},
      {"token_type_embeddings", {"embedding", "type"}},
      {"token_type_embedding", {"embedding", "type"}},
  };
  return kAnswers;
}

// The last segment.
const Answers& LeafAnswers() {
  static const Answers kAnswers = {
      {"weight", {"leaf", "weight"}},
      {"gamma", {"leaf", "weight"}},
      {"kernel", {"leaf", "weight"}},
      {"scale", {"leaf", "weight"}},
      {"bias", {"leaf", "bias"}},
      {"beta", {"leaf", "bias"}},
      {"running_mean", {"leaf", "mean"}},
      {"moving_mean", {"leaf", "mean"}},
      {"mean", {"leaf", "mean"}},
      {"running_var", {"leaf", "variance"}},
      {"moving_variance", {"leaf", "variance"}},
      {"moving_var", {"leaf", "variance"}},
      {"var", {"leaf", "variance"}},
      {"variance", {"leaf", "variance"}},
      {"embedding_table", {"leaf", "weight"}},
  };
  return kAnswers;
}

std::string Lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// "wq1_proj" → {wq1, proj}: as WordsOfSegment, but a number stays with the word that it ends.
std::vector<std::string> WholeWords(std::string_view segment) {
  std::vector<std::string> words;
  bool glued = false;  // the word before ended right here
  for (size_t i = 0; i < segment.size(); ++i) {
    const auto c = static_cast<unsigned char>(segment[i]);
    if (std::isalnum(c) == 0) {
      glued = false;
      continue;
    }
    const bool upper = i > 0 && std::isupper(c) != 0 && std::islower(static_cast<unsigned char>(segment[i - 1])) != 0;
    if (!glued || upper) words.emplace_back();
    words.back() += static_cast<char>(std::tolower(c));
    glued = true;
  }
  return words;
}

// Names of which the next segment of a list of three tells q, k, v or gate, down, up.
std::string Numbered(const std::vector<std::string>& segments, size_t at, std::string_view separator,
                     const Manifest& manifest) {
  static const std::map<std::string, std::string, std::less<>> kTrios = {
      {"w1", "w"}, {"w2", "w"}, {"w3", "w"}, {"dense1", "dense"}, {"dense2", "dense"}, {"dense3", "dense"},
  };
  const auto trio = kTrios.find(segments[at]);
  if (trio == kTrios.end()) return "";
  for (const char* number : {"1", "2", "3"}) {
    std::string name;
    for (size_t i = 0; i < segments.size(); ++i) {
      if (i > 0) name += separator;
      name += i == at ? trio->second + number : segments[i];
    }
    if (!manifest.Find(name)) return "";
  }
  return trio->second;
}

}  // namespace

std::vector<std::string> SegmentsOf(std::string_view name, std::string_view separator) {
  std::vector<std::string> segments;
  while (true) {
    const size_t end = separator.empty() ? std::string_view::npos : name.find(separator);
    segments.emplace_back(name.substr(0, end));
    if (end == std::string_view::npos) return segments;
    name.remove_prefix(end + separator.size());
  }
}

std::vector<std::string> WordsOfSegment(std::string_view segment) {
  std::vector<std::string> words;
  for (const std::string& whole : WholeWords(segment)) {
    size_t begin = 0;
    for (size_t i = 1; i <= whole.size(); ++i) {
      if (i < whole.size() && IsDigit(whole[i]) == IsDigit(whole[i - 1])) continue;
      words.push_back(whole.substr(begin, i - begin));
      begin = i;
    }
  }
  return words;
}

std::string CanonicalWord(const std::string& word) {
  static const Dictionary kSame = {
      {"query", "q"},        {"queries", "q"},      {"wq", "q"},
      {"key", "k"},          {"keys", "k"},         {"wk", "k"},
      {"value", "v"},        {"values", "v"},       {"wv", "v"},
      {"attn", "attention"}, {"layernorm", "norm"}, {"layrnorm", "norm"},  // CLIP's spelling
      {"ln", "norm"},        {"rmsnorm", "norm"},   {"layers", "layer"},
      {"blocks", "layer"},   {"block", "layer"},    {"h", "layer"},
      {"gamma", "weight"},   {"beta", "bias"},      {"variance", "var"},
      {"running", "moving"}, {"visual", "vision"},  {"image", "vision"},
      {"ffn", "mlp"},        {"conv", "conv"},      {"fc", "linear"},
      {"dense", "linear"},   {"proj", "linear"},    {"projection", "linear"},
  };
  const auto found = kSame.find(word);
  return found == kSame.end() ? word : found->second;
}

NameRoles RolesOf(const std::string& name, std::string_view separator, const Manifest& manifest) {
  NameRoles roles;
  std::set<std::string, std::less<>> undecided;
  const auto add = [&](const Answer& answer, const std::string& token) {
    const auto [at, made] = roles.by_question.try_emplace(answer.question, NameRoles::Role{answer.role, token});
    if (!made && at->second.role != answer.role) undecided.insert(answer.question);
  };
  const std::vector<std::string> segments = SegmentsOf(name, separator);
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string segment = Lower(segments[i]);
    if (i + 1 == segments.size()) {
      if (const auto leaf = LeafAnswers().find(segment); leaf != LeafAnswers().end()) add(leaf->second, segments[i]);
    }
    const std::vector<NormAnswer> norms = NormAnswersOf(segments, i, separator, manifest);
    for (const NormAnswer& norm : norms) add({norm.question, norm.role}, norm.token);
    if (!norms.empty()) continue;
    if (const auto whole = SegmentAnswers().find(segment); whole != SegmentAnswers().end()) {
      add(whole->second, segments[i]);
      continue;
    }
    if (const std::string trio = Numbered(segments, i, separator, manifest); !trio.empty()) {
      const size_t number = static_cast<size_t>(segments[i].back() - '1');
      static const char* const kBranches[] = {"gate", "down", "up"};
      static const char* const kProjections[] = {"query", "key", "value"};
      if (trio == "w") add({"branch", kBranches[number]}, segments[i]);
      if (trio == "dense") add({"projection", kProjections[number]}, segments[i]);
      continue;
    }
    for (const std::string& word : WholeWords(segments[i])) {
      if (const auto said = WordAnswers().find(word); said != WordAnswers().end()) add(said->second, word);
    }
  }
  for (const std::string& question : undecided) roles.by_question.erase(question);
  return roles;
}

std::vector<Contradiction> ContradictionsOf(const NameRoles& left, const NameRoles& right) {
  std::vector<Contradiction> found;
  for (const auto& [question, role] : left.by_question) {
    const auto other = right.by_question.find(question);
    if (other == right.by_question.end() || other->second.role == role.role) continue;
    found.push_back({question, role.token, other->second.token});
  }
  return found;
}

std::vector<std::string> OrderOfParts(std::string_view name, std::string_view separator) {
  static const std::map<std::string, std::vector<std::string>, std::less<>> kKnown = {
      {"in_proj_weight", {"q", "k", "v"}},
      {"in_proj_bias", {"q", "k", "v"}},
      {"in_proj", {"q", "k", "v"}},
      {"c_attn", {"q", "k", "v"}},
      {"w_gate_hidden", {"gate", "up"}},
      {"linear_fc1", {"gate", "up"}},
      {"w13", {"gate", "up"}},
  };
  std::vector<std::string> order;
  for (const std::string& segment : SegmentsOf(name, separator)) {
    if (const auto known = kKnown.find(segment); known != kKnown.end()) return known->second;
    std::vector<std::string> here;
    for (const std::string& word : WholeWords(segment)) {
      std::string_view letters = word;
      if (letters.size() > 2 && letters[0] == 'w') letters.remove_prefix(1);
      if (letters.size() >= 2 && letters.find_first_not_of("qkv") == std::string_view::npos &&
          std::set<char>(letters.begin(), letters.end()).size() == letters.size()) {
        for (const char letter : letters) here.emplace_back(1, letter);
      } else {
        const std::string canonical = CanonicalWord(word);
        for (const char* part : {"q", "k", "v", "gate", "up"}) {
          if (canonical == part) here.push_back(canonical);
        }
      }
    }
    if (here.size() > 1) order = here;
  }
  return order;
}

bool IsPlainlyFused(std::string_view name, std::string_view separator) {
  const std::vector<std::string> segments = SegmentsOf(name, separator);
  return std::any_of(segments.begin(), segments.end(), [](const std::string& segment) {
    return segment == "in_proj_weight" || segment == "in_proj_bias" || segment == "c_attn";
  });
}

bool IsVocabulary(std::string_view name) {
  for (const std::string& segment : SegmentsOf(name, ".")) {
    for (const std::string& word : WholeWords(segment)) {
      static const std::set<std::string, std::less<>> kWords = {
          "wte",    "vocab", "vocabulary", "word",      "words",      "tok", "token",
          "tokens", "embed", "emb",        "embedding", "embeddings", "lm"};
      if (kWords.contains(word)) return true;
    }
  }
  return false;
}

bool IsLinearWeight(std::string_view name, std::string_view separator) {
  const std::vector<std::string> segments = SegmentsOf(name, separator);
  for (const std::string& segment : segments) {
    for (const std::string& word : WholeWords(segment)) {
      if (word.starts_with("embed") || word == "emb" || word == "wte" || word == "wpe" || word == "table" ||
          word == "position" || word == "positions" || word == "lora")
        return false;
    }
  }
  return true;
}

bool IsInOut(std::string_view name, std::string_view separator) {
  const std::vector<std::string> segments = SegmentsOf(name, separator);
  if (segments.back() == "kernel") return true;
  if (segments.size() < 2 || segments.back() != "weight") return false;
  const std::string& module = segments[segments.size() - 2];
  return module == "c_attn" || module == "c_proj" || module == "c_fc";
}

bool IsReverse(std::string_view name, std::string_view separator) {
  for (const std::string& segment : SegmentsOf(name, separator)) {
    for (const std::string& word : WholeWords(segment)) {
      if (word == "reverse" || word == "backward" || word == "bw") return true;
    }
  }
  return false;
}

bool IsTorchRecurrent(std::string_view name, std::string_view separator) {
  for (const std::string& segment : SegmentsOf(name, separator)) {
    for (const std::string& word : WholeWords(segment)) {
      if (word == "ih" || word == "hh") return true;
    }
  }
  return false;
}

NameTemplate TemplateOf(std::string_view name) {
  NameTemplate result;
  for (size_t i = 0; i < name.size();) {
    size_t end = i;
    while (end < name.size() && IsDigit(name[end])) ++end;
    if (end == i) {
      result.stem += name[i++];
      continue;
    }
    int64_t value = 0;
    for (size_t k = i; k < end && k < i + 15; ++k) value = value * 10 + (name[k] - '0');
    result.stem += '#';
    result.numbers.push_back(value);
    i = end;
  }
  return result;
}

}  // namespace ckmap
