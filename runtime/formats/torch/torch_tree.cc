#include "runtime/formats/torch/torch_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr size_t kMaxNameBytes = size_t{64} << 10;

Error Bad(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }

std::string Shown(std::string_view name) {
  constexpr size_t kShown = 120;
  if (name.size() <= kShown) return EscapeText(name);
  return EscapeText(name.substr(0, kShown)) + "…";
}

// Children of a node: of a dict by key, of a list or tuple by index, of a TorchScript module or an object of
// an unknown class by attribute. Empty for a leaf.
struct Children {
  std::span<const PickleId> items;
  bool keyed = false;
  bool attributes = false;  // of an unknown class

  size_t size() const { return keyed ? items.size() / 2 : items.size(); }
  PickleId value(size_t i) const { return keyed ? items[2 * i + 1] : items[i]; }
};

Children ChildrenOf(const Pickle& pickle, PickleId id) {
  switch (pickle.kind(id)) {
    case PickleKind::kDict:
      return {pickle.items(id), true};
    case PickleKind::kList:
    case PickleKind::kTuple:
      return {pickle.items(id), false};
    case PickleKind::kObject: {
      const PickleId state = pickle.state(id);
      const TorchThing thing = MeaningOf(pickle.callable(id)).thing;
      if ((thing != TorchThing::kModuleClass && thing != TorchThing::kUnknown) || state == kNoPickle ||
          pickle.kind(state) != PickleKind::kDict) {
        return {};
      }
      return {pickle.items(state), true, thing == TorchThing::kUnknown};
    }
    default:
      return {};
  }
}

// A module of torch.nn keeps its tensors and its parts in these attributes, which are no part of a name.
bool IsTransparent(const Pickle& pickle, const Children& children, size_t i) {
  if (!children.attributes || pickle.kind(children.items[2 * i]) != PickleKind::kText) return false;
  const std::string_view name = pickle.text(children.items[2 * i]);
  return name == "_parameters" || name == "_buffers" || name == "_modules";
}

// A key or an index as part of a name; nullopt for keys that have no spelling.
std::optional<std::string> PartOfName(const Pickle& pickle, const Children& children, size_t i) {
  if (!children.keyed) return std::to_string(i);
  const PickleId key = children.items[2 * i];
  switch (pickle.kind(key)) {
    case PickleKind::kText:
      return std::string(pickle.text(key));
    case PickleKind::kInt:
      return std::to_string(pickle.integer(key));
    case PickleKind::kBool:
      return pickle.boolean(key) ? "True" : "False";
    case PickleKind::kNone:
      return "None";
    case PickleKind::kFloat:
      return fmt::format("{}", pickle.real(key));
    default:
      return std::nullopt;
  }
}

class Flattener {
 public:
  Flattener(const Pickle& pickle, const TorchObjects& objects)
      : pickle_(pickle), objects_(objects), on_path_(pickle.size(), false) {}

  Result<TorchEntries> Run(PickleId root);

 private:
  struct Level {
    PickleId id;
    Children children;
    size_t next = 0;
    size_t name_size = 0;  // of the container's own name
    int64_t tensors = 0;
    bool named = false;  // whether the container's name has a part: the root's has none
  };

  Result<void> Visit(PickleId id);
  Result<void> Enter(PickleId id, const Children& children);
  Result<void> CheckKeys(const Children& children) const;
  Result<void> AddTensor(std::string name, const TorchTensor& tensor);
  Result<void> AddOther(std::string name, OtherEntry entry);
  Result<void> Charge(size_t work);

  const Pickle& pickle_;
  const TorchObjects& objects_;
  TorchEntries entries_;
  std::vector<Level> path_;
  std::vector<bool> on_path_;
  std::unordered_set<std::string> other_names_;
  std::string name_;
  size_t work_ = 0;
  bool child_named_ = false;  // of the container that is entered next
};

Result<TorchEntries> Flattener::Run(PickleId root) {
  CKMAP_RETURN_IF_ERROR(Visit(root));
  while (!path_.empty()) {
    Level& level = path_.back();
    if (level.next == level.children.size()) {
      on_path_[level.id] = false;
      name_.resize(level.name_size);
      if (level.tensors > 0 && level.children.keyed && path_.size() > 1) {
        entries_.dicts.emplace_back(name_, level.tensors);
      }
      path_.pop_back();
      continue;
    }
    const size_t i = level.next++;
    name_.resize(level.name_size);
    const auto part = PartOfName(pickle_, level.children, i);
    if (!part) {
      return Bad(fmt::format(
          "\"{}\": a key that is a {} has no place in a name; name the dict that holds the tensors "
          "(--root), if this is not in it",
          Shown(name_), PickleKindName(pickle_.kind(level.children.items[2 * i]))));
    }
    const bool transparent = IsTransparent(pickle_, level.children, i);
    if (transparent && ChildrenOf(pickle_, level.children.value(i)).size() == 0) continue;
    if (!transparent) {
      if (level.named) name_ += '.';
      name_ += *part;
    }
    child_named_ = level.named || !transparent;
    CKMAP_RETURN_IF_ERROR(Charge(name_.size()));
    CKMAP_RETURN_IF_ERROR(Visit(level.children.value(i)));
  }
  return std::move(entries_);
}

// The memo lets few bytes stand for many values; honest files stay far below this.
Result<void> Flattener::Charge(size_t work) {
  constexpr size_t kEach = 32;
  constexpr size_t kFree = size_t{1} << 20;
  constexpr size_t kFactor = 16;
  work_ += work + kEach;
  if (work_ <= kFree + kFactor * pickle_.end()) return {};
  return Bad(
      "the pickle repeats its values so often that they outgrow it, as only hostile files do");
}

Result<void> Flattener::Visit(PickleId id) {
  if (const TorchTensor* tensor = objects_.tensor(id)) return AddTensor(name_, *tensor);
  if (const TorchParts* parts = objects_.parts(id)) {
    const std::string prefix = name_.empty() && path_.empty() ? "" : name_ + ".";
    for (const auto& [part, tensor] : parts->tensors)
      CKMAP_RETURN_IF_ERROR(AddTensor(prefix + part, tensor));
    for (OtherEntry entry : parts->others) {
      std::string name = prefix + entry.name;
      CKMAP_RETURN_IF_ERROR(AddOther(std::move(name), std::move(entry)));
    }
    return {};
  }
  const Children children = ChildrenOf(pickle_, id);
  if (children.size() > 0) return Enter(id, children);
  OtherEntry entry = DescribeTorchLeaf(pickle_, id);
  if (const auto* text = std::get_if<std::string>(&entry.value))
    CKMAP_RETURN_IF_ERROR(Charge(text->size()));
  return AddOther(name_, std::move(entry));
}

Result<void> Flattener::Enter(PickleId id, const Children& children) {
  if (on_path_[id]) return Bad(fmt::format("\"{}\" holds itself", Shown(name_)));
  if (path_.size() >= kMaxPickleDepth)
    return Bad(fmt::format("values nested more than {} deep", kMaxPickleDepth));
  CKMAP_RETURN_IF_ERROR(CheckKeys(children));
  on_path_[id] = true;
  path_.push_back({id, children, 0, name_.size(), 0, child_named_});
  return {};
}

// One key twice: which value counts is Python's business, and another reader's may differ.
Result<void> Flattener::CheckKeys(const Children& children) const {
  if (!children.keyed) return {};
  std::unordered_set<std::string_view> texts;
  std::unordered_set<int64_t> integers;
  for (size_t i = 0; i < children.size(); ++i) {
    const PickleId key = children.items[2 * i];
    bool fresh = true;
    switch (pickle_.kind(key)) {
      case PickleKind::kText:
        fresh = texts.insert(pickle_.text(key)).second;
        break;
      case PickleKind::kInt:
        fresh = integers.insert(pickle_.integer(key)).second;
        break;
      case PickleKind::kBool:
        fresh = integers.insert(pickle_.boolean(key) ? 1 : 0).second;
        break;
      default:
        break;
    }
    if (!fresh) {
      return Bad(fmt::format("\"{}\": key \"{}\" is there twice", Shown(name_),
                             Shown(*PartOfName(pickle_, children, i))));
    }
  }
  return {};
}

Result<void> Flattener::AddTensor(std::string name, const TorchTensor& tensor) {
  CKMAP_RETURN_IF_ERROR(CheckTorchName(name));
  TensorInfo info;
  info.name = std::move(name);
  info.dtype = tensor.dtype;
  info.shape = tensor.shape;
  info.storage = tensor.unreadable.empty() ? int64_t{tensor.layout.storage} : -1;
  info.unreadable = tensor.unreadable;
  const bool fresh = !other_names_.contains(info.name);
  const std::string shown = Shown(info.name);
  if (!entries_.manifest.Add(std::move(info)) || !fresh) {
    return Bad(fmt::format("two values are named \"{}\" once keys are joined with dots", shown));
  }
  entries_.layouts.push_back(tensor.layout);
  if (!path_.empty()) ++path_.back().tensors;
  return {};
}

Result<void> Flattener::AddOther(std::string name, OtherEntry entry) {
  if (entries_.manifest.Find(name)) {
    return Bad(
        fmt::format("two values are named \"{}\" once keys are joined with dots", Shown(name)));
  }
  other_names_.insert(name);
  entry.name = std::move(name);
  entries_.others.push_back(std::move(entry));
  return {};
}

// "model" (11 tensors), "optimizer.state.0" (3 tensors), …
std::string RootCandidates(std::vector<std::pair<std::string, int64_t>> dicts) {
  std::stable_sort(dicts.begin(), dicts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr size_t kListed = 8;
  std::string text;
  for (size_t i = 0; i < std::min(dicts.size(), kListed); ++i) {
    text += fmt::format("{}\"{}\" ({})", i == 0 ? "" : ", ", Shown(dicts[i].first),
                        Plural(dicts[i].second, "tensor"));
  }
  return dicts.size() > kListed ? text + ", …" : text;
}

}  // namespace

Result<void> CheckTorchName(std::string_view name) {
  if (name.size() > kMaxNameBytes) {
    return Bad(fmt::format("a tensor name of {} bytes (\"{}\"); the limit is {}", name.size(),
                           Shown(name), kMaxNameBytes));
  }
  for (size_t i = 0; i < name.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(name, i, code);
    if (length == 0) return Bad(fmt::format("tensor name \"{}\" is not UTF-8", Shown(name)));
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      return Bad(fmt::format(
          "tensor name \"{}\" has a control character; rename it where the file came from",
          Shown(name)));
    }
    i += length;
  }
  return {};
}

Result<TorchEntries> FlattenTorch(const Pickle& pickle, PickleId root,
                                  const TorchObjects& objects) {
  return Flattener(pickle, objects).Run(root);
}

Result<PickleId> FindTorchRoot(const Pickle& pickle, const TorchObjects& objects,
                               std::string_view path) {
  PickleId at = pickle.root();
  std::string_view rest = path;
  bool found = true;
  for (size_t depth = 0; !rest.empty() && found && depth <= kMaxPickleDepth; ++depth) {
    found = false;
    const Children children = ChildrenOf(pickle, at);
    size_t best = 0;
    for (size_t i = 0; i < children.size(); ++i) {  // keys may hold dots: the longest that fits
      const auto part = PartOfName(pickle, children, i);
      if (!part || part->empty() || !rest.starts_with(*part) || part->size() <= best) continue;
      if (rest.size() != part->size() && rest[part->size()] != '.') continue;
      best = part->size();
      at = children.value(i);
      found = true;
    }
    rest.remove_prefix(std::min(rest.size(), best + 1));
  }
  if (found && ChildrenOf(pickle, at).size() > 0) return at;
  std::string candidates;
  if (const auto all = FlattenTorch(pickle, pickle.root(), objects); all.ok())
    candidates = RootCandidates(all->dicts);
  return Error(ErrorCode::kUsage,
               fmt::format("root \"{}\" names no dict of the file{}{}", EscapeText(path),
                           candidates.empty() ? "" : "; dicts with tensors: ", candidates));
}

}  // namespace ckmap
