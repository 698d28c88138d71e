#include "runtime/detect/pack_search.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/detect/described_network.h"

namespace ckmap {
namespace {

constexpr size_t kMinLiteral = 3;  // characters of a name that say something
constexpr size_t kMinLiterals = 2;
constexpr const char* kMissingParameter = "CK1301";
constexpr const char* kUnmatchedStatement = "CK1231";
constexpr const char* kSameName = "same name";

// Segments of names, each once.
std::unordered_set<std::string> Segments(const Manifest& manifest) {
  std::unordered_set<std::string> segments;
  for (const TensorInfo& tensor : manifest.tensors()) {
    std::string_view rest = tensor.name;
    while (true) {
      const size_t dot = rest.find('.');
      segments.emplace(rest.substr(0, dot));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
  }
  return segments;
}

// Runs of letters, digits and underscores in a pattern's text that are long enough to say something. Names of captures
// and regular expressions are left out.
std::vector<std::string> Literals(const std::string& pattern) {
  std::vector<std::string> all;
  std::string word;
  int depth = 0;
  for (const char c : pattern + ".") {
    if (c == '{' || c == '}') depth += c == '{' ? 1 : -1;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '_';
    if (letter && depth == 0) {
      word += c;
      continue;
    }
    if (word.size() >= kMinLiteral) all.push_back(word);
    word.clear();
  }
  return all;
}

// The literals of one side of a plan's rules and renames.
class LiteralsOfSide {
 public:
  explicit LiteralsOfSide(const std::unordered_set<std::string>& segments) : segments_(segments) {}

  void Add(const std::string& pattern) {
    for (const std::string& literal : Literals(pattern)) {
      if (seen_.insert(literal).second) found_ += Occurs(literal) ? 1 : 0;
    }
  }
  void Add(const plan::Pipeline& pipeline) {
    for (const plan::Term& term : pipeline.terms()) {
      if (term.has_pattern()) Add(term.pattern().text());
      if (term.has_pipeline()) Add(term.pipeline());
    }
  }
  bool enough() const { return found_ >= std::min(kMinLiterals, seen_.size()); }

 private:
  bool Occurs(const std::string& literal) const {
    return std::any_of(segments_.begin(), segments_.end(),
                       [&](const std::string& segment) { return segment.find(literal) != std::string::npos; });
  }

  const std::unordered_set<std::string>& segments_;
  std::unordered_set<std::string> seen_;
  size_t found_ = 0;
};

// Statements of the migration's own file that must name something.
size_t OwnStatements(const plan::Plan& plan) {
  const auto own = [&](const plan::Location& loc) { return plan.files(static_cast<int>(loc.file())).level() == 0; };
  size_t count = 0;
  for (const plan::Rename& rename : plan.renames()) count += own(rename.loc()) && !rename.optional() ? 1 : 0;
  for (const plan::Rule& rule : plan.rules()) count += own(rule.loc()) ? 1 : 0;
  for (const plan::Rule& rule : plan.derived()) count += own(rule.loc()) ? 1 : 0;
  for (const plan::Drop& drop : plan.drops()) count += own(drop.loc()) && !drop.optional() ? 1 : 0;
  return count;
}

size_t UnmatchedStatements(const std::vector<Issue>& issues) {
  return static_cast<size_t>(std::count_if(issues.begin(), issues.end(),
                                           [](const Issue& issue) { return issue.code == kUnmatchedStatement; }));
}

class Search {
 public:
  Search(const Manifest& source, const std::optional<Manifest>& target, const SearchOptions& options)
      : source_(source),
        target_(target),
        options_(options),
        source_segments_(Segments(source)),
        target_segments_(target ? Segments(*target) : std::unordered_set<std::string>()) {}

  PackSearch Run(const std::vector<PackCandidate>& candidates) {
    for (const PackCandidate& candidate : candidates) {
      if (!options_.library.empty() && candidate.facts.target_library != options_.library) continue;
      std::string reason = Try(candidate);
      if (!reason.empty()) search_.others.push_back({candidate.name, std::move(reason), std::exchange(lacks_, "")});
    }
    LeaveOutStrangersToDefines();
    std::stable_sort(ranked_.begin(), ranked_.end(), [](const Ranked& a, const Ranked& b) {
      return std::tie(a.rank, a.fit.name) < std::tie(b.rank, b.fit.name);
    });
    for (Ranked& ranked : ranked_) search_.fitting.push_back(std::move(ranked.fit));
    Compare();
    return std::move(search_);
  }

 private:
  struct Ranked {
    // Recognised first, and packs for models of a hub only where there is a config.json; then by statements that name
    // nothing, and by tensors that only pass.
    std::tuple<bool, bool, size_t, size_t> rank;
    PackFit fit;
    std::string unknown;  // a define that the pack has no parameter for; empty: none
  };

  // Where a pack fits that has a parameter for each value given with -D, those that lack one are not meant.
  void LeaveOutStrangersToDefines() {
    const auto knows_all = [](const Ranked& ranked) { return ranked.unknown.empty(); };
    if (std::none_of(ranked_.begin(), ranked_.end(), knows_all)) return;
    for (const Ranked& ranked : ranked_) {
      if (!knows_all(ranked))
        search_.others.push_back(
            {ranked.fit.name, fmt::format("it has no parameter `{}`, whose value is given", ranked.unknown), ""});
    }
    std::erase_if(ranked_, std::not_fn(knows_all));
    std::stable_sort(search_.others.begin(), search_.others.end(),
                     [](const PackMisfit& a, const PackMisfit& b) { return a.name < b.name; });
  }

  std::string FirstUnknownDefine(const BindOptions& known) const {
    for (const auto& [name, value] : options_.bind.defines) {
      if (!known.defines.contains(name)) return name;
    }
    return {};
  }

  // "" if it fits, else why not.
  std::string Try(const PackCandidate& candidate) {
    const plan::Plan& proto = candidate.plan.proto();
    if (const std::string absent = AbsentSource(proto); !absent.empty())
      return fmt::format("it reads a source beside this one, `{}`, which is not given", absent);
    const std::string stranger = WhyNotRecognised(candidate.facts, source_);
    const bool recognised = stranger.empty() && !candidate.facts.source_tensors.empty();
    if (!target_ && !candidate.facts.describes)
      return "it does not describe its target; give the network with --target";
    if (!target_ && candidate.facts.source_tensors.empty())
      return "it does not list its source's names, so that only a target shows whether it fits; give --target";
    if (!stranger.empty() && (!target_ || OwnStatements(proto) == 0)) return stranger;
    if (!NamesOccur(proto)) return "the names that its rules speak of do not occur";
    const BindOptions bind = OptionsOf(candidate.plan, options_.bind);
    const Manifest* target = target_ ? &*target_ : nullptr;
    DescribedNetwork network;
    if (target == nullptr) {
      auto described = DescribeNetwork(candidate.plan, candidate.facts, source_, bind);
      if (!described) return described.error().message();
      network = *std::move(described);
      if (!network.target) return Reason(network.issues);
      target = &*network.target;
    }
    Result<BindResult> bound = Bind(candidate.plan, source_, *target, bind);
    if (!bound) return bound.error().message();
    if (!bound->plan) return Reason(bound->issues);
    const size_t passed = CountPassed(*bound->plan);
    const bool changes = passed < bound->plan->tensors.size();
    if (options_.only_changes && !changes) return "all tensors keep their names and elements";
    const size_t unmatched = UnmatchedStatements(bound->issues);
    if (OwnStatements(proto) > 0 && unmatched >= OwnStatements(proto)) return "none of its statements names a tensor";
    PackFit fit{.name = candidate.name,
                .library = candidate.facts.target_library,
                .plan = *std::move(bound->plan),
                .described = !target_.has_value(),
                .recognised = recognised};
    AskParameters(candidate.plan, *target, bind, fit);
    const bool no_hub = candidate.facts.source_library == "transformers" && options_.bind.config_json.empty();
    ranked_.push_back({{!recognised, no_hub, unmatched, passed}, std::move(fit), FirstUnknownDefine(bind)});
    return {};
  }

  // A source that the rules need beside the first one, and nobody gave; "" if there is none.
  std::string AbsentSource(const plan::Plan& plan) const {
    const std::vector<std::string>& given = options_.bind.source.spaces;
    for (const plan::NamedSource& source : plan.named_sources()) {
      if (!source.optional() && std::find(given.begin(), given.end(), source.name()) == given.end())
        return source.name();
    }
    return {};
  }

  // Whether names of the pack's occur, so that a pack of something else is not bound for nothing. A pack that says
  // nothing of names fits any.
  bool NamesOccur(const plan::Plan& plan) const {
    LiteralsOfSide left(source_segments_), right(target_segments_);
    for (const plan::Rename& rename : plan.renames()) {
      left.Add(rename.of_target() ? rename.to().text() : rename.from().text());
      right.Add(rename.of_target() ? rename.from().text() : rename.to().text());
    }
    for (const plan::Rule& rule : plan.rules()) {
      left.Add(rule.source());
      right.Add(rule.target());
    }
    return left.enough() && (!target_ || right.enough());
  }

  // The first error, and how many more there are.
  std::string Reason(const std::vector<Issue>& issues) {
    std::vector<const Issue*> errors;
    for (const Issue& issue : issues) {
      if (issue.severity == IssueSeverity::kError) errors.push_back(&issue);
    }
    const bool missing = !errors.empty() && std::all_of(errors.begin(), errors.end(), [](const Issue* issue) {
      return issue->code == kMissingParameter;
    });
    if (missing) lacks_ = errors.front()->message;
    if (errors.empty()) return "it does not fit";
    std::string reason = fmt::format("{}: {}", errors.front()->code, errors.front()->message);
    if (errors.size() > 1)
      reason += fmt::format(" (and {} more)", Plural(static_cast<int64_t>(errors.size() - 1), "error"));
    return reason;
  }

  static size_t CountPassed(const BoundPlan& plan) {
    return static_cast<size_t>(std::count_if(plan.tensors.begin(), plan.tensors.end(),
                                             [](const BoundTensor& tensor) { return tensor.rule == kSameName; }));
  }

  // Whether another value of a parameter that nobody gave would bind as well, and differently.
  void AskParameters(const Plan& plan, const Manifest& target, const BindOptions& bind, PackFit& fit) const {
    for (const plan::Variable& variable : plan.proto().variables()) {
      const auto value = fit.plan.params.find(variable.name());
      if (!variable.is_param() || bind.defines.contains(variable.name()) || value == fit.plan.params.end()) continue;
      if (value->second != "true" && value->second != "false") continue;
      const bool from_config = !variable.config_key().empty() &&
                               bind.config_json.find('"' + variable.config_key() + '"') != std::string::npos;
      if (from_config) continue;
      BindOptions other = bind;
      other.defines[variable.name()] = value->second == "true" ? "false" : "true";
      const Result<BindResult> bound = Bind(plan, source_, target, other);
      if (!bound || !bound->plan || ContentsOf(*bound->plan) == ContentsOf(fit.plan)) continue;
      fit.decisions.push_back(fmt::format("{} = {}, or {}: both fit; give it with -D", variable.name(), value->second,
                                          other.defines[variable.name()]));
    }
  }

  void Compare() {
    if (search_.fitting.size() < 2 || !target_) return;
    const std::vector<std::string> first = ContentsOf(search_.fitting.front().plan);
    for (size_t i = 1; i < search_.fitting.size(); ++i)
      search_.fitting[i].differs = ContentsOf(search_.fitting[i].plan) != first;
  }

  const Manifest& source_;
  const std::optional<Manifest>& target_;
  const SearchOptions& options_;
  const std::unordered_set<std::string> source_segments_, target_segments_;
  std::vector<Ranked> ranked_;
  std::string lacks_;
  PackSearch search_;
};

}  // namespace

BindOptions OptionsOf(const Plan& plan, const BindOptions& options) {
  BindOptions bind = options;
  bind.remarks = false;
  const auto& variables = plan.proto().variables();
  std::erase_if(bind.defines, [&](const auto& define) {
    return std::none_of(variables.begin(), variables.end(), [&](const plan::Variable& variable) {
      return variable.is_param() && (variable.name() == define.first || variable.name().ends_with("." + define.first));
    });
  });
  return bind;
}

std::vector<std::string> ContentsOf(const BoundPlan& plan) {
  std::vector<std::string> contents;
  for (const BoundTensor& tensor : plan.tensors) {
    std::vector<std::string> pieces;
    for (const Piece& piece : tensor.value.pieces) {
      std::string text = "fill";
      if (piece.input != kFillInput) {
        const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
        text = input.node != nullptr ? "computed" : plan.source[input.source].name;
      }
      text += fmt::format("+{}>{}", piece.src_offset, piece.dst_offset);
      for (const PieceAxis& axis : piece.axes)
        text += fmt::format(" {}:{}:{}", axis.size, axis.src_stride, axis.dst_stride);
      pieces.push_back(std::move(text));
    }
    std::sort(pieces.begin(), pieces.end());
    contents.push_back(fmt::format("{}: {}", tensor.name, fmt::join(pieces, "; ")));
  }
  std::sort(contents.begin(), contents.end());
  return contents;
}

PackSearch SearchPacks(const std::vector<PackCandidate>& candidates, const Manifest& source,
                       const std::optional<Manifest>& target, const SearchOptions& options) {
  return Search(source, target, options).Run(candidates);
}

}  // namespace ckmap
