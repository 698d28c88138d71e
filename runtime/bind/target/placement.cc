#include "runtime/bind/target/placement.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plan.pb.h"

namespace ckmap {
namespace {

// A statement about target names. Of several that name one tensor the lowest file wins, then the
// one with the most literal text.
template <typename Statement>
struct DeviceClaim {
  const Statement* statement = nullptr;
  std::vector<CompiledName> names;
  uint32_t level = 0;
  size_t literal = 0;
  mutable bool used = false;
};

template <typename Statements>
auto ReadClaims(const BindContext& context, const Statements& statements)
    -> Result<std::vector<DeviceClaim<typename Statements::value_type>>> {
  std::vector<DeviceClaim<typename Statements::value_type>> claims;
  for (const auto& statement : statements) {
    DeviceClaim<typename Statements::value_type> claim{
        &statement, {}, context.Level(statement.loc()), LiteralSize(statement.pattern())};
    for (const std::vector<size_t>& choices : AllChoices(statement.pattern())) {
      CKMAP_ASSIGN_OR_RETURN(CompiledName name, CompiledName::Compile(Choose(statement.pattern(), choices),
                                                                      {context.target_separator, context.variables}));
      claim.names.push_back(std::move(name));
    }
    claims.push_back(std::move(claim));
  }
  std::stable_sort(claims.begin(), claims.end(), [](const auto& a, const auto& b) {
    return a.level != b.level ? a.level < b.level : a.literal > b.literal;
  });
  return claims;
}

// A device map's names: whole modules by hash, those with wildcards one by one.
class DeviceNames {
 public:
  static Result<DeviceNames> Read(const BindContext& context, const DeviceMap& map) {
    DeviceNames names;
    names.separator_ = context.target_separator;
    for (const DeviceMap::Entry& entry : map.entries) {
      if (entry.name.find('*') == std::string::npos) {
        names.modules_.emplace(entry.name, &entry);
        continue;
      }
      for (const bool below : {false, true}) {
        const plan::Pattern pattern = Parse(entry.name, below ? names.separator_ : "");
        CKMAP_ASSIGN_OR_RETURN(CompiledName name,
                               CompiledName::Compile(pattern, {names.separator_, context.variables}));
        names.patterns_.push_back({std::move(name), LiteralSize(pattern), &entry});
      }
    }
    return names;
  }

  const DeviceMap::Entry* Find(std::string_view name, const Scope& scope) const {
    const DeviceMap::Entry* found = nullptr;
    size_t literal = 0;
    const auto module = FindModule(name);
    if (module != nullptr) {
      found = module;
      literal = module->name.size() + 1;
    }
    for (const Wildcard& wildcard : patterns_) {
      Captures captures;
      if (wildcard.literal + 1 <= literal || !wildcard.name.Match(name, scope, captures)) continue;
      found = wildcard.entry;
      literal = wildcard.literal + 1;
    }
    return found;
  }

 private:
  struct Wildcard {
    CompiledName name;
    size_t literal;
    const DeviceMap::Entry* entry;
  };

  const DeviceMap::Entry* FindModule(std::string_view name) const {
    for (std::string_view path = name;;) {
      if (const auto found = modules_.find(path); found != modules_.end()) return found->second;
      if (path.empty()) return nullptr;
      const size_t cut = path.rfind(separator_);
      path = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
    }
  }

  // `text`, and behind it `below` with any path.
  static plan::Pattern Parse(std::string_view text, const std::string& below) {
    plan::Pattern pattern;
    pattern.set_text(std::string(text));
    int wildcards = 0;
    const auto add = [&](bool path) {
      plan::Capture& capture = *pattern.add_parts()->mutable_capture();
      capture.set_name(fmt::format("*{}", ++wildcards));
      capture.set_kind(path ? plan::Capture::PATH : plan::Capture::SEGMENT);
    };
    for (size_t at = 0; at < text.size();) {
      const size_t star = std::min(text.find('*', at), text.size());
      if (star > at) pattern.add_parts()->set_literal(std::string(text.substr(at, star - at)));
      at = star;
      if (at == text.size()) break;
      const bool path = text.substr(at).starts_with("**");
      add(path);
      at += path ? 2 : 1;
    }
    if (!below.empty()) {
      pattern.add_parts()->set_literal(below);
      add(true);
    }
    return pattern;
  }

  std::string separator_;
  std::map<std::string, const DeviceMap::Entry*, std::less<>> modules_;
  std::vector<Wildcard> patterns_;
};

class Placement {
 public:
  Placement(const BindContext& context, const PlacementOptions& options, BoundPlan& bound, std::vector<Issue>& issues)
      : context_(context), options_(options), bound_(bound), issues_(issues) {}

  Result<void> Run() {
    CKMAP_RETURN_IF_ERROR(CheckGroups());
    bound_.ranks = options_.ranks;
    CKMAP_ASSIGN_OR_RETURN(const auto places, ReadClaims(context_, context_.plan.places()));
    CKMAP_ASSIGN_OR_RETURN(const auto shards, ReadClaims(context_, context_.plan.shards()));
    CKMAP_ASSIGN_OR_RETURN(const DeviceNames devices, DeviceNames::Read(context_, options_.devices));
    std::set<const DeviceMap::Entry*> used;
    for (size_t i = 0; i < bound_.tensors.size(); ++i) {
      if (!places.empty() || !options_.devices.entries.empty()) PlaceTensor(i, places, devices, used);
      if (!shards.empty()) CKMAP_RETURN_IF_ERROR(CutTensor(i, shards));
    }
    for (const auto& claim : places) WarnUnused(claim, "place");
    for (const auto& claim : shards) WarnUnused(claim, "shard");
    for (const DeviceMap::Entry& entry : options_.devices.entries) {
      if (!used.contains(&entry)) Unused(fmt::format("`{}` of the device map", entry.name), entry.where);
    }
    return {};
  }

 private:
  Result<void> CheckGroups() const {
    std::set<std::string> groups;
    for (const plan::Shard& shard : context_.plan.shards()) groups.insert(shard.group());
    for (const auto& [group, rank] : options_.ranks) {
      if (groups.contains(group)) continue;
      return Error(
          ErrorCode::kUsage,
          fmt::format(
              "--rank {}={}/{}: the plan cuts nothing over `{}`; {}", group, rank.index, rank.count, group,
              groups.empty() ? "it has no `shard` at all" : fmt::format("its groups are {}", fmt::join(groups, ", "))));
    }
    return {};
  }

  // Whether a statement names the tensor and its `when` holds.
  template <typename Statement>
  bool Holds(const DeviceClaim<Statement>& claim, const std::string& name) {
    const NamePrefix prefix;
    for (const CompiledName& pattern : claim.names) {
      Captures captures;
      if (!pattern.Match(name, context_.variables, captures)) continue;
      claim.used = true;
      if (!claim.statement->has_when()) return true;
      const auto when = EvaluateBool(claim.statement->when(), ApplicationScope(context_, prefix, captures));
      if (when) return *when;
      Add("CK1216", name, fmt::format("`when` cannot be decided: {}", when.error().message()), claim,
          "correct the condition");
    }
    return false;
  }

  template <typename Statement>
  void Add(std::string code, const std::string& name, std::string message, const DeviceClaim<Statement>& claim,
           std::string help) {
    issues_.push_back({std::move(code),
                       IssueSeverity::kError,
                       name,
                       std::move(message),
                       {fmt::format("the statement is at {}", context_.Where(claim.statement->loc()))},
                       std::move(help)});
  }

  template <typename Statement>
  static bool SameRank(const DeviceClaim<Statement>& a, const DeviceClaim<Statement>& b) {
    return a.level == b.level && a.literal == b.literal;
  }

  void PlaceTensor(size_t index, const std::vector<DeviceClaim<plan::Place>>& places, const DeviceNames& devices,
                   std::set<const DeviceMap::Entry*>& used) {
    const std::string& name = bound_.tensors[index].name;
    const DeviceClaim<plan::Place>* best = nullptr;
    for (const DeviceClaim<plan::Place>& claim : places) {
      if (best != nullptr && !SameRank(*best, claim)) break;
      if (!Holds(claim, name)) continue;
      if (best == nullptr) {
        best = &claim;
      } else if (best->statement->device() != claim.statement->device()) {
        Add("CK1224", name,
            fmt::format("`{}` is placed on {} and on {}", name, best->statement->device(), claim.statement->device()),
            claim,
            fmt::format("the other statement is at {}; make one of the names narrower",
                        context_.Where(best->statement->loc())));
      }
    }
    if (const DeviceMap::Entry* entry = devices.Find(name, context_.variables)) {
      used.insert(entry);
      bound_.devices[index] = {entry->device, entry->where};
    } else if (best != nullptr) {
      bound_.devices[index] = {best->statement->device(), context_.Where(best->statement->loc())};
    }
  }

  Result<void> CutTensor(size_t index, const std::vector<DeviceClaim<plan::Shard>>& shards) {
    const std::string name = bound_.tensors[index].name;
    std::map<std::string, const DeviceClaim<plan::Shard>*> best;  // of each group
    for (const DeviceClaim<plan::Shard>& claim : shards) {
      const std::string& group = claim.statement->group();
      const auto known = best.find(group);
      if (known != best.end() && !SameRank(*known->second, claim)) continue;
      if (!Holds(claim, name)) continue;
      if (known == best.end()) {
        best.emplace(group, &claim);
      } else {
        Add("CK1224", name, fmt::format("`{}` is cut twice over `{}`", name, group), claim,
            fmt::format("the other statement is at {}; make one of the names narrower",
                        context_.Where(known->second->statement->loc())));
      }
    }
    std::map<int64_t, std::string> cut_axes;
    for (const auto& [group, claim] : best) CKMAP_RETURN_IF_ERROR(Cut(index, *claim, cut_axes));
    return {};
  }

  Result<void> Cut(size_t index, const DeviceClaim<plan::Shard>& claim, std::map<int64_t, std::string>& cut_axes) {
    BoundTensor& tensor = bound_.tensors[index];
    const std::string& group = claim.statement->group();
    const auto given = EvaluateInt(claim.statement->axis(), context_.variables);
    const auto rank = static_cast<int64_t>(tensor.shape.size());
    if (!given || *given < -rank || *given >= rank) {
      Add("CK1225", tensor.name,
          given ? fmt::format("`{}` has shape {}: it has no axis {}", tensor.name, FormatShape(tensor.shape), *given)
                : fmt::format("`{}`: the axis cannot be computed: {}", tensor.name, given.error().message()),
          claim, "correct the axis of the `shard`");
      return {};
    }
    const int64_t axis = *given < 0 ? *given + rank : *given;
    const auto found = options_.ranks.find(group);
    if (found == options_.ranks.end()) return {};
    if (const auto [first, fresh] = cut_axes.emplace(axis, group); !fresh) {
      Add("CK1224", tensor.name,
          fmt::format("axis {} of `{}` is cut over `{}` and over `{}`", axis, tensor.name, first->second, group), claim,
          "cut along another axis, or over one group of all these ranks");
      return {};
    }
    const Rank& of = found->second;
    const int64_t whole = tensor.shape[static_cast<size_t>(axis)];
    if (whole % of.count != 0) {
      Add("CK1225", tensor.name,
          fmt::format("`{}`: axis {} of {} cannot be cut in {} equal slices", tensor.name, axis,
                      FormatShape(tensor.shape), of.count),
          claim, "choose a number of ranks that divides it, or leave the tensor whole");
      return {};
    }
    const int64_t size = whole / of.count;
    CKMAP_ASSIGN_OR_RETURN(tensor.value,
                           Slice(tensor.value, static_cast<size_t>(axis), of.index * size, (of.index + 1) * size));
    Normalize(tensor.value);
    tensor.shape = tensor.value.shape;
    tensor.ops.push_back(fmt::format("shard(axis={}, {}={}/{})", axis, group, of.index, of.count));
    DropUnreadInputs(tensor);
    bound_.slices[index].push_back({group, axis, of.index * size, (of.index + 1) * size, whole});
    return {};
  }

  // What another rank reads is no input of this one.
  static void DropUnreadInputs(BoundTensor& tensor) {
    std::vector<int32_t> moved(tensor.inputs.size(), -1);
    std::vector<BoundInput> inputs;
    for (Piece& piece : tensor.value.pieces) {
      if (piece.input == kFillInput) continue;
      int32_t& to = moved[static_cast<size_t>(piece.input)];
      if (to < 0) {
        to = static_cast<int32_t>(inputs.size());
        inputs.push_back(std::move(tensor.inputs[static_cast<size_t>(piece.input)]));
      }
      piece.input = to;
    }
    tensor.inputs = std::move(inputs);
  }

  template <typename Statement>
  void WarnUnused(const DeviceClaim<Statement>& claim, std::string_view word) {
    if (!claim.used)
      Unused(fmt::format("`{} \"{}\"`", word, claim.statement->pattern().text()),
             context_.Where(claim.statement->loc()));
  }
  void Unused(const std::string& what, const std::string& where) {
    issues_.push_back({"CK1226",
                       IssueSeverity::kWarning,
                       "",
                       fmt::format("{} names no tensor that is written", what),
                       {fmt::format("it stands at {}", where)},
                       "correct the name, or take it away"});
  }

  const BindContext& context_;
  const PlacementOptions& options_;
  BoundPlan& bound_;
  std::vector<Issue>& issues_;
};

}  // namespace

Result<void> ApplyPlacement(const BindContext& context, const PlacementOptions& options, BoundPlan& bound,
                            std::vector<Issue>& issues) {
  return Placement(context, options, bound, issues).Run();
}

}  // namespace ckmap
