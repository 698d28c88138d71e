#include "compiler/suggest/packs.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/program/loader.h"
#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/bind/bind.h"

namespace ckmap::suggest {
namespace {

constexpr const char* kPackDraftFile = "suggested.ckmap";
constexpr size_t kMinWords = 2;  // of a pack's names, on each side

// The elements that each target is made of, as text.
std::map<std::string, std::string> Contents(const BoundPlan& plan) {
  std::map<std::string, std::string> contents;
  for (const BoundTensor& tensor : plan.tensors) {
    std::vector<std::string> pieces;
    for (const Piece& piece : tensor.value.pieces) {
      std::string text =
          piece.input == kFillInput ? "fill" : plan.source[tensor.inputs[static_cast<size_t>(piece.input)].source].name;
      text += fmt::format("+{}>{}", piece.src_offset, piece.dst_offset);
      for (const PieceAxis& axis : piece.axes)
        text += fmt::format(" {}:{}:{}", axis.size, axis.src_stride, axis.dst_stride);
      pieces.push_back(std::move(text));
    }
    std::sort(pieces.begin(), pieces.end());
    std::string& all = contents[tensor.name];
    for (const std::string& piece : pieces) all += piece + ";";
  }
  return contents;
}

// Words of names, between dots.
std::unordered_set<std::string> Words(const Manifest& manifest) {
  std::unordered_set<std::string> words;
  for (const TensorInfo& tensor : manifest.tensors()) {
    std::string word;
    for (const char c : tensor.name + ".") {
      if (c != '.') {
        word += c;
        continue;
      }
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

// Literal segments of a pattern's text that are long enough to say something.
std::vector<std::string> Literals(const std::string& pattern) {
  std::vector<std::string> all;
  std::string word;
  for (const char c : pattern + ".") {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '_';
    if (letter) {
      word += c;
      continue;
    }
    if (c == '.' && word.size() >= 3) all.push_back(word);
    word.clear();
  }
  return all;
}

class Search {
 public:
  Search(const Manifest& source, const Manifest& target, const SuggestOptions& options)
      : source_(source),
        target_(target),
        options_(options),
        source_words_(Words(source)),
        target_words_(Words(target)) {}

  PackSearch Run() {
    for (const std::string& name : ListPacks({options_.pack_path, {}})) {
      SourceMap sources;
      DiagnosticSink ignored;
      const Pack pack = FindPack(name, {options_.pack_path, {}}, sources, ignored).pack;
      for (const PackMigration& migration : pack.migrations) Try(name + "/" + migration.name);
    }
    Compare();
    return std::move(search_);
  }

 private:
  void Try(const std::string& name) {
    CompileOptions compile;
    compile.pack_path = options_.pack_path;
    compile.memory_files[kPackDraftFile] = fmt::format("ckmap 1;\nuse {};\n", name);
    const CompileResult compiled = Compile(kPackDraftFile, compile);
    if (!compiled.plan || !MaySpeakOf(compiled.plan->proto())) return;
    BindOptions bind{.defines = options_.defines,
                     .config_json = options_.config_json,
                     .config_path = options_.config_path,
                     .placement = {}};
    // A parameter that the pack does not have is another's.
    std::erase_if(bind.defines, [&](const auto& define) {
      const auto& variables = compiled.plan->proto().variables();
      return std::none_of(variables.begin(), variables.end(),
                          [&](const auto& variable) { return variable.is_param() && variable.name() == define.first; });
    });
    Result<BindResult> bound = Bind(*compiled.plan, source_, target_, bind);
    if (!bound) return;
    if (!bound->plan) {
      for (const Issue& issue : bound->issues) {
        if (issue.severity == IssueSeverity::kError && issue.code != "CK1301") return;
      }
      search_.needing.push_back(name);
      return;
    }
    // Names that pass as they are are no merit of the pack.
    const bool speaks = std::any_of(bound->plan->tensors.begin(), bound->plan->tensors.end(),
                                    [](const BoundTensor& tensor) { return tensor.rule != "same name"; });
    if (!speaks) return;
    FittingPack fitting{name, *std::move(bound->plan), {}};
    AskParameters(*compiled.plan, bind, fitting);
    all_.push_back(std::move(fitting));
  }

  // Whether names of the pack's occur, so that a pack of something else is not bound for nothing.
  bool MaySpeakOf(const plan::Plan& plan) const {
    size_t left = 0, right = 0;
    const auto count = [](const std::unordered_set<std::string>& words, const std::string& pattern, size_t& found) {
      for (const std::string& word : Literals(pattern)) found += words.contains(word) ? 1 : 0;
    };
    for (const plan::Rename& rename : plan.renames()) {
      count(source_words_, rename.from().text(), left);
      count(target_words_, rename.to().text(), right);
    }
    const auto count_terms = [&](const auto& self, const plan::Pipeline& pipeline,
                                 const std::unordered_set<std::string>& words, size_t& found) -> void {
      for (const plan::Term& term : pipeline.terms()) {
        if (term.has_pattern()) count(words, term.pattern().text(), found);
        if (term.has_pipeline()) self(self, term.pipeline(), words, found);
      }
    };
    for (const plan::Rule& rule : plan.rules()) {
      count_terms(count_terms, rule.source(), source_words_, left);
      count_terms(count_terms, rule.target(), target_words_, right);
    }
    return left >= kMinWords && right >= kMinWords;
  }

  // Whether another value of a parameter that nobody gave would bind as well, and differently.
  void AskParameters(const Plan& plan, const BindOptions& bind, FittingPack& fitting) const {
    for (const plan::Variable& variable : plan.proto().variables()) {
      const auto value = fitting.plan.params.find(variable.name());
      if (!variable.is_param() || bind.defines.contains(variable.name()) || value == fitting.plan.params.end())
        continue;
      if (value->second != "true" && value->second != "false") continue;
      const bool from_config = !variable.config_key().empty() &&
                               options_.config_json.find('"' + variable.config_key() + '"') != std::string::npos;
      if (from_config) continue;
      BindOptions other = bind;
      other.defines[variable.name()] = value->second == "true" ? "false" : "true";
      const Result<BindResult> bound = Bind(plan, source_, target_, other);
      if (!bound || !bound->plan || Contents(*bound->plan) == Contents(fitting.plan)) continue;
      fitting.decisions.push_back(fmt::format("{} = {}, or {}: both fit; give it with -D", variable.name(),
                                              value->second, other.defines[variable.name()]));
    }
  }

  // Of several that fit one, and the others as what is to be decided, if they do something else.
  void Compare() {
    if (all_.empty()) return;
    FittingPack& first = all_.front();
    const auto contents = Contents(first.plan);
    for (size_t i = 1; i < all_.size(); ++i) {
      if (Contents(all_[i].plan) != contents)
        first.decisions.push_back(fmt::format("or use {}: it fits, too, and does something else", all_[i].name));
    }
    search_.fitting.push_back(std::move(first));
  }

  const Manifest& source_;
  const Manifest& target_;
  const SuggestOptions& options_;
  const std::unordered_set<std::string> source_words_, target_words_;
  std::vector<FittingPack> all_;
  PackSearch search_;
};

}  // namespace

PackSearch FindFittingPack(const Manifest& source, const Manifest& target, const SuggestOptions& options) {
  return Search(source, target, options).Run();
}

}  // namespace ckmap::suggest
