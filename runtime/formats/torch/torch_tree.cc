#include "runtime/formats/torch/torch_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/torch/torch_nesting.h"
#include "runtime/formats/torch/torch_numpy.h"

namespace ckmap {
namespace {

constexpr size_t kMaxNameBytes = size_t{64} << 10;

std::string Shown(std::string_view name) {
  constexpr size_t kShown = 120;
  if (name.size() <= kShown) return EscapeText(name);
  return EscapeText(name.substr(0, kShown)) + "…";
}

constexpr size_t kMaxKeyText = 200;

// A plain value inside of a key, as Python shows it; nullopt for others.
std::optional<std::string> PlainText(const Pickle& pickle, PickleId id, size_t depth = 0) {
  constexpr size_t kMaxDepth = 3;
  switch (pickle.kind(id)) {
    case PickleKind::kText:
      return fmt::format("'{}'", pickle.text(id).substr(0, kMaxKeyText));
    case PickleKind::kInt:
      return std::to_string(pickle.integer(id));
    case PickleKind::kBool:
      return pickle.boolean(id) ? "True" : "False";
    case PickleKind::kNone:
      return "None";
    case PickleKind::kFloat:
      return fmt::format("{}", pickle.real(id));
    case PickleKind::kGlobal:
      return fmt::format("{}.{}", pickle.global(id).module, pickle.global(id).name);
    case PickleKind::kTuple: {
      if (depth == kMaxDepth) return std::nullopt;
      std::string all = "(";
      for (const PickleId item : pickle.items(id)) {
        const auto text = PlainText(pickle, item, depth + 1);
        if (!text || all.size() + text->size() > kMaxKeyText) return std::nullopt;
        all += (all.size() > 1 ? ", " : "") + *text;
      }
      return all + ")";
    }
    default:
      return std::nullopt;
  }
}

// The key of a dict's entry `i` as part of a name. What has no spelling is named by its kind and place.
std::string KeyText(const Pickle& pickle, PickleId key, size_t i) {
  if (pickle.kind(key) == PickleKind::kText) return std::string(pickle.text(key));
  auto text = PlainText(pickle, key);
  return text ? *std::move(text) : fmt::format("{}#{}", PickleKindName(pickle.kind(key)), i);
}

struct NamedChild {
  std::string part;
  PickleId value;
  bool transparent = false;  // it is no part of a name
};

// Children of a node: of a dict by key, of a list or tuple by index, of an object by what it was given. Empty for a
// leaf.
struct Children {
  std::span<const PickleId> items;
  bool keyed = false;
  bool object = false;
  std::vector<NamedChild> named;  // of an object

  size_t size() const {
    if (object) return named.size();
    return keyed ? items.size() / 2 : items.size();
  }
  PickleId value(size_t i) const {
    if (object) return named[i].value;
    return keyed ? items[2 * i + 1] : items[i];
  }
  bool transparent(size_t i) const { return object && named[i].transparent; }
  std::string part(const Pickle& pickle, size_t i) const {
    if (object) return named[i].part;
    return keyed ? KeyText(pickle, items[2 * i], i) : std::to_string(i);
  }
};

bool IsContainer(const Pickle& pickle, PickleId id) {
  switch (pickle.kind(id)) {
    case PickleKind::kTuple:
    case PickleKind::kList:
    case PickleKind::kDict:
    case PickleKind::kSet:
      return !pickle.items(id).empty();
    case PickleKind::kObject:
    case PickleKind::kPersistentId:
      return true;
    default:
      return false;
  }
}

// Whether two leaves are one value, or two containers the same one.
bool SameValue(const Pickle& pickle, PickleId a, PickleId b) {
  if (a == b) return true;
  if (pickle.kind(a) != pickle.kind(b) || IsContainer(pickle, a)) return false;
  switch (pickle.kind(a)) {
    case PickleKind::kBool:
    case PickleKind::kInt:
      return pickle.integer(a) == pickle.integer(b);
    case PickleKind::kFloat:
      return pickle.real(a) == pickle.real(b);
    case PickleKind::kText:
      return pickle.text(a) == pickle.text(b);
    case PickleKind::kNone:
      return true;
    default:
      return false;
  }
}

// The parts of an object: what it holds as a list and as a dict, its attributes, and what it was made from.
class ObjectParts {
 public:
  ObjectParts(const Pickle& pickle, PickleId id) : pickle_(pickle), id_(id) {}

  // Of an object of an unknown class.
  std::vector<NamedChild> All() {
    const auto list = pickle_.object_list(id_);
    for (size_t i = 0; i < list.size(); ++i) Add(std::to_string(i), list[i]);
    const auto dict = pickle_.object_dict(id_);
    for (size_t i = 0; i < dict.size(); i += 2) {
      if (pickle_.kind(dict[i]) == PickleKind::kText) items_.emplace(pickle_.text(dict[i]), dict[i + 1]);
      Add(KeyText(pickle_, dict[i], i / 2), dict[i + 1]);
    }
    State(pickle_.state(id_));
    const auto arguments = pickle_.items(pickle_.arguments(id_));
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (IsContainer(pickle_, arguments[i])) Add(fmt::format("__args__.{}", i), arguments[i]);
    }
    return std::move(children_);
  }

  // A dict of attributes; with __slots__, two of them.
  std::vector<NamedChild> OfState(PickleId state) {
    State(state);
    return std::move(children_);
  }

 private:
  void Add(std::string part, PickleId value) { children_.push_back({std::move(part), value}); }

  void State(PickleId state) {
    if (state == kNoPickle) return;
    const PickleKind kind = pickle_.kind(state);
    if (kind == PickleKind::kDict) return Attributes(pickle_.items(state));
    if (kind == PickleKind::kTuple && pickle_.items(state).size() == 2) {
      const auto parts = pickle_.items(state);
      const PickleKind first = pickle_.kind(parts[0]);
      if ((first == PickleKind::kNone || first == PickleKind::kDict) && pickle_.kind(parts[1]) == PickleKind::kDict) {
        if (first == PickleKind::kDict) Attributes(pickle_.items(parts[0]));
        return Attributes(pickle_.items(parts[1]));
      }
    }
    if (IsContainer(pickle_, state)) Add("__state__", state);
  }

  // A module of torch.nn keeps its tensors and its parts in attributes that are no part of a name. A dict that is
  // its own attributes too (EasyDict) is listed once.
  void Attributes(std::span<const PickleId> items) {
    for (size_t i = 0; i < items.size(); i += 2) {
      std::string part = KeyText(pickle_, items[i], i / 2);
      if (const auto item = items_.find(part); item != items_.end()) {
        if (SameValue(pickle_, item->second, items[i + 1])) continue;
        part = "__dict__." + part;
      }
      const bool transparent = part == "_parameters" || part == "_buffers" || part == "_modules";
      children_.push_back({std::move(part), items[i + 1], transparent});
    }
  }

  const Pickle& pickle_;
  const PickleId id_;
  std::vector<NamedChild> children_;
  std::unordered_map<std::string_view, PickleId> items_;  // of the dict that the object is, by their texts
};

bool IsUnknownObject(const Pickle& pickle, const TorchObjects& objects, PickleId id) {
  return pickle.kind(id) == PickleKind::kObject &&
         (pickle.callable(id).role == PickleRole::kOpaque || objects.opaque(id));
}

Children ChildrenOfObject(const Pickle& pickle, const TorchObjects& objects, PickleId id) {
  const TorchThing thing = MeaningOf(pickle.callable(id)).thing;
  if (objects.wrapped(id) != kNoPickle) {
    return {{}, true, true, ObjectParts(pickle, id).OfState(objects.wrapped(id))};
  }
  if (IsUnknownObject(pickle, objects, id)) return {{}, true, true, ObjectParts(pickle, id).All()};
  if (thing == TorchThing::kModuleClass) {
    const PickleId state = pickle.state(id);
    if (state == kNoPickle || pickle.kind(state) != PickleKind::kDict) return {};
    return {pickle.items(state), true};
  }
  if (thing == TorchThing::kNumpyReconstruct) {
    const PickleId values = NumpyArrayObjects(pickle, id);
    if (values != kNoPickle) return {pickle.items(values), false};
  }
  return {};
}

Children ChildrenOf(const Pickle& pickle, const TorchObjects& objects, PickleId id) {
  switch (pickle.kind(id)) {
    case PickleKind::kDict:
      return {pickle.items(id), true};
    case PickleKind::kList:
    case PickleKind::kTuple:
      return {pickle.items(id), false};
    case PickleKind::kSet: {
      const auto items = pickle.items(id);
      const bool plain =
          std::none_of(items.begin(), items.end(), [&](PickleId item) { return IsContainer(pickle, item); });
      return plain ? Children{} : Children{items, false};
    }
    case PickleKind::kObject:
      return ChildrenOfObject(pickle, objects, id);
    default:
      return {};
  }
}

class Flattener {
 public:
  Flattener(const Pickle& pickle, const TorchObjects& objects, const TorchRoot& inner)
      : pickle_(pickle), objects_(objects), inner_(inner), nesting_(inner.name), on_path_(pickle.size(), false) {}

  Result<TorchEntries> Run(PickleId root);

 private:
  struct Level {
    PickleId id;
    Children children;
    size_t next = 0;
    size_t name_size = 0;  // of the container's own name
    int64_t tensors = 0;
    bool named = false;  // whether the container's name has a part: the root's has none
    bool transparent = false;
    NestingPlace place = {};  // of its parts
  };

  Result<void> Visit(PickleId id);
  bool IsKnownAlready(PickleId id) const;
  Result<void> AddReference(PickleId id);
  Result<void> Enter(PickleId id, Children children);
  Result<void> CheckKeys(std::span<const PickleId> items) const;
  Result<void> AddTensor(std::string name, const TorchTensor& tensor);
  Result<void> AddOther(std::string name, OtherEntry entry);
  void AddToNesting(PickleId id, const OtherEntry& entry);
  Result<void> Charge(size_t work);

  // In the nesting: the container that what is visited lies in, its key there, and where its own parts go.
  const NestingPlace* Outer() const { return path_.empty() ? nullptr : &path_.back().place; }
  PlainValue Key();
  NestingPlace PlaceOf(PickleId id);

  const Pickle& pickle_;
  const TorchObjects& objects_;
  const TorchRoot inner_;
  NestingRecorder nesting_;
  TorchEntries entries_;
  std::vector<Level> path_;
  std::vector<bool> on_path_;
  std::unordered_set<std::string> other_names_;
  std::string name_;
  size_t work_ = 0;
  bool child_named_ = false;  // of the container that is entered next
  bool child_transparent_ = false;
  std::unordered_map<PickleId, std::string> names_;  // of unknown objects that were entered
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
    const bool transparent = level.children.transparent(i);
    if (transparent && ChildrenOf(pickle_, objects_, level.children.value(i)).size() == 0) continue;
    if (!transparent) {
      if (level.named) name_ += '.';
      name_ += level.children.part(pickle_, i);
    }
    child_named_ = level.named || !transparent;
    child_transparent_ = transparent;
    CKMAP_RETURN_IF_ERROR(Charge(name_.size()));
    CKMAP_RETURN_IF_ERROR(Visit(level.children.value(i)));
  }
  entries_.nesting = std::move(nesting_).Finish();
  return std::move(entries_);
}

PlainValue Flattener::Key() {
  if (path_.empty()) return {};
  const Level& level = path_.back();
  if (level.place.joined != NestingPlace::kOwnKeys) return name_.substr(std::min(level.place.joined, name_.size()));
  if (!level.children.keyed) return {};
  const size_t i = level.next - 1;
  const PickleId key = level.children.items[2 * i];
  switch (pickle_.kind(key)) {
    case PickleKind::kText:
      return std::string(pickle_.text(key));
    case PickleKind::kInt:
      return pickle_.integer(key);
    case PickleKind::kBool:
      return pickle_.boolean(key);
    case PickleKind::kFloat:
      return pickle_.real(key);
    case PickleKind::kNone:
      return {};
    default:
      nesting_.Converted(name_);
      return KeyText(pickle_, key, i);
  }
}

// A dict, a list and a tuple are what they are; what is in any other object becomes entries of one dict.
NestingPlace Flattener::PlaceOf(PickleId id) {
  const NestingPlace* const outer = Outer();
  const bool is_root = id == inner_.id && name_ == inner_.name;
  if (outer == nullptr || outer->joined == NestingPlace::kOwnKeys) {
    switch (pickle_.kind(id)) {
      case PickleKind::kDict:
        return nesting_.Open(Nesting::Kind::kDict, outer, Key(), name_, is_root);
      case PickleKind::kList:
        return nesting_.Open(Nesting::Kind::kList, outer, Key(), name_, is_root);
      case PickleKind::kTuple:
        return nesting_.Open(Nesting::Kind::kTuple, outer, Key(), name_, is_root);
      default:
        break;
    }
  }
  // A tensor with parts is an entry itself: its parts are entries beside it.
  const bool tensor = objects_.tensor(id) != nullptr;
  if (outer != nullptr && (tensor || outer->joined != NestingPlace::kOwnKeys)) {
    NestingPlace place = *outer;
    if (place.joined == NestingPlace::kOwnKeys) place.joined = path_.back().name_size + (path_.back().named ? 1 : 0);
    return place;
  }
  if (outer != nullptr && !outer->inside && !is_root) {
    nesting_.LeaveOut(outer, name_);
    NestingPlace place = *outer;
    place.joined = 0;
    return place;
  }
  if (outer != nullptr) nesting_.Converted(name_);
  NestingPlace place = nesting_.Open(Nesting::Kind::kDict, outer, Key(), name_, is_root);
  place.joined = name_.empty() ? 0 : name_.size() + 1;
  return place;
}

// The memo lets few bytes stand for many values; honest files stay far below this.
Result<void> Flattener::Charge(size_t work) {
  constexpr size_t kEach = 32;
  constexpr size_t kFree = size_t{1} << 20;
  constexpr size_t kFactor = 16;
  work_ += work + kEach;
  if (work_ <= kFree + kFactor * pickle_.end()) return {};
  return Malformed("the pickle repeats its values so often that they outgrow it, as only hostile files do");
}

Result<void> Flattener::Visit(PickleId id) {
  if (const TorchTensor* tensor = objects_.tensor(id)) {
    nesting_.AddTensor(Outer(), Key(), name_);
    CKMAP_RETURN_IF_ERROR(AddTensor(name_, *tensor));
    Children parts = objects_.wrapped(id) == kNoPickle ? Children{} : ChildrenOf(pickle_, objects_, id);
    return parts.size() > 0 ? Enter(id, std::move(parts)) : Result<void>();
  }
  if (const TorchParts* parts = objects_.parts(id)) {
    const std::string prefix = name_.empty() && path_.empty() ? "" : name_ + ".";
    for (const auto& [part, tensor] : parts->tensors) {
      nesting_.AddPart(Outer(), Key(), part, prefix + part);
      CKMAP_RETURN_IF_ERROR(AddTensor(prefix + part, tensor));
    }
    for (OtherEntry entry : parts->others) {
      std::string name = prefix + entry.name;
      CKMAP_RETURN_IF_ERROR(AddOther(std::move(name), std::move(entry)));
    }
    return {};
  }
  Children children = ChildrenOf(pickle_, objects_, id);
  if (children.size() > 0) return IsKnownAlready(id) ? AddReference(id) : Enter(id, std::move(children));
  OtherEntry entry = DescribeTorchLeaf(pickle_, id);
  if (const auto* text = std::get_if<std::string>(&entry.value)) CKMAP_RETURN_IF_ERROR(Charge(text->size()));
  AddToNesting(id, entry);
  return AddOther(name_, std::move(entry));
}

void Flattener::AddToNesting(PickleId id, const OtherEntry& entry) {
  const PickleKind kind = pickle_.kind(id);
  switch (kind) {
    case PickleKind::kNone:
    case PickleKind::kBool:
    case PickleKind::kInt:
    case PickleKind::kFloat:
      return nesting_.AddValue(Outer(), Key(), name_, entry.value);
    case PickleKind::kText:  // very long ones have no value
      if (!std::holds_alternative<std::string>(entry.value)) return nesting_.LeaveOut(Outer(), name_);
      return nesting_.AddValue(Outer(), Key(), name_, entry.value);
    case PickleKind::kDict:
    case PickleKind::kList:
    case PickleKind::kTuple:  // an empty one
      if (Outer() != nullptr && Outer()->joined == NestingPlace::kOwnKeys) (void)PlaceOf(id);
      return;
    default:
      return nesting_.LeaveOut(Outer(), name_);
  }
}

// Whether the object's parts are listed elsewhere: it is being listed, or it was. What a program points to, it may
// point to from many places; a module that is part of two modules has its tensors under both names, as in a state dict.
bool Flattener::IsKnownAlready(PickleId id) const {
  if (!pickle_.skips_unknown()) return false;
  if (on_path_[id]) return true;
  const bool module = !path_.empty() && path_.back().transparent;
  return names_.contains(id) && !module;
}

Result<void> Flattener::AddReference(PickleId id) {
  nesting_.LeaveOut(Outer(), name_);
  std::string name = names_.contains(id) ? names_.at(id) : std::string();
  for (const Level& level : path_) {
    if (level.id == id) name = name_.substr(0, level.name_size);
  }
  return AddOther(name_, {"", "reference", name.empty() ? "the whole file" : std::move(name)});
}

Result<void> Flattener::Enter(PickleId id, Children children) {
  if (on_path_[id]) {
    return Malformed(fmt::format("\"{}\" holds itself; --skip-unknown-objects lists where", Shown(name_)));
  }
  if (path_.size() >= kMaxPickleDepth)
    return Malformed(fmt::format("values nested more than {} deep", kMaxPickleDepth));
  if (children.keyed && !children.object) CKMAP_RETURN_IF_ERROR(CheckKeys(children.items));
  if (IsUnknownObject(pickle_, objects_, id)) {
    CKMAP_RETURN_IF_ERROR(CheckKeys(pickle_.object_dict(id)));
    names_.emplace(id, name_);
  }
  on_path_[id] = true;
  const NestingPlace place = PlaceOf(id);
  path_.push_back({id, std::move(children), 0, name_.size(), 0, child_named_, child_transparent_, place});
  return {};
}

// One key twice: which value counts is Python's business, and another reader's may differ.
Result<void> Flattener::CheckKeys(std::span<const PickleId> items) const {
  std::unordered_set<std::string_view> texts;
  std::unordered_set<int64_t> integers;
  for (size_t i = 0; i < items.size(); i += 2) {
    const PickleId key = items[i];
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
      return Malformed(
          fmt::format("\"{}\": key \"{}\" is there twice", Shown(name_), Shown(KeyText(pickle_, key, i / 2))));
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
    return Malformed(fmt::format("two values are named \"{}\" once keys are joined with dots", shown));
  }
  entries_.layouts.push_back(tensor.layout);
  if (!path_.empty()) ++path_.back().tensors;
  return {};
}

Result<void> Flattener::AddOther(std::string name, OtherEntry entry) {
  if (entries_.manifest.Find(name)) {
    return Malformed(fmt::format("two values are named \"{}\" once keys are joined with dots", Shown(name)));
  }
  other_names_.insert(name);
  entry.name = std::move(name);
  entries_.others.push_back(std::move(entry));
  return {};
}

// "model" (11 tensors), "optimizer.state.0" (3 tensors), …
std::string RootCandidates(std::vector<std::pair<std::string, int64_t>> dicts) {
  std::stable_sort(dicts.begin(), dicts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr size_t kListed = 8;
  std::string text;
  for (size_t i = 0; i < std::min(dicts.size(), kListed); ++i) {
    text += fmt::format("{}\"{}\" ({})", i == 0 ? "" : ", ", Shown(dicts[i].first), Plural(dicts[i].second, "tensor"));
  }
  return dicts.size() > kListed ? text + ", …" : text;
}

}  // namespace

Result<void> CheckTorchName(std::string_view name) {
  if (name.size() > kMaxNameBytes) {
    return Malformed(
        fmt::format("a tensor name of {} bytes (\"{}\"); the limit is {}", name.size(), Shown(name), kMaxNameBytes));
  }
  for (size_t i = 0; i < name.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(name, i, code);
    if (length == 0) return Malformed(fmt::format("tensor name \"{}\" is not UTF-8", Shown(name)));
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      return Malformed(
          fmt::format("tensor name \"{}\" has a control character; rename it where the file came from", Shown(name)));
    }
    i += length;
  }
  return {};
}

Result<TorchEntries> FlattenTorch(const Pickle& pickle, PickleId root, const TorchObjects& objects,
                                  const TorchRoot& inner) {
  return Flattener(pickle, objects, inner).Run(root);
}

Result<PickleId> FindTorchRoot(const Pickle& pickle, const TorchObjects& objects, std::string_view path) {
  PickleId at = pickle.root();
  std::string_view rest = path;
  bool found = true;
  for (size_t depth = 0; !rest.empty() && found && depth <= kMaxPickleDepth; ++depth) {
    found = false;
    size_t best = 0;
    PickleId next = at;
    const auto look = [&](const Children& children, size_t i) {  // keys may hold dots: the longest that fits
      const std::string part = children.part(pickle, i);
      if (part.empty() || !rest.starts_with(part) || part.size() <= best) return;
      if (rest.size() != part.size() && rest[part.size()] != '.') return;
      best = part.size();
      next = children.value(i);
      found = true;
    };
    const Children children = ChildrenOf(pickle, objects, at);
    for (size_t i = 0; i < children.size(); ++i) {
      if (!children.transparent(i)) {
        look(children, i);
        continue;
      }
      const Children inner = ChildrenOf(pickle, objects, children.value(i));
      for (size_t j = 0; j < inner.size(); ++j) look(inner, j);
    }
    at = next;
    rest.remove_prefix(std::min(rest.size(), best + 1));
  }
  if (found && ChildrenOf(pickle, objects, at).size() > 0) return at;
  std::string candidates;
  if (const auto all = FlattenTorch(pickle, pickle.root(), objects); all.ok()) candidates = RootCandidates(all->dicts);
  return Error(ErrorCode::kUsage, fmt::format("root \"{}\" names no dict of the file{}{}", EscapeText(path),
                                              candidates.empty() ? "" : "; dicts with tensors: ", candidates));
}

}  // namespace ckmap
