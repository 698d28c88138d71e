#include <fmt/format.h>

#include <utility>

#include "runtime/base/text.h"
#include "runtime/formats/pickle/pickle_machine.h"

namespace ckmap {

// ---- handlers: globals and calls

namespace {

std::string RefusedText(std::string_view module, std::string_view name, const PickleAllowList& allow) {
  constexpr size_t kShown = 120;
  const std::string full = fmt::format("{}.{}", module.substr(0, kShown), name.substr(0, kShown));
  const std::string hint = allow.Hint(module, name);
  return fmt::format("refused: \"{}\" is not on the list of what a checkpoint may name; nothing was executed{}{}",
                     EscapeText(full), hint.empty() ? "" : ". ", hint);
}

}  // namespace

Error RefusedPickleGlobal(const Pickle& pickle, PickleId id, const PickleAllowList& allow) {
  const PickleGlobal& global = pickle.global(id);
  return {ErrorCode::kMalformed,
          fmt::format("pickle byte {}, GLOBAL: {}", pickle.offset(id), RefusedText(global.module, global.name, allow))};
}

Result<void> PickleMachine::PushGlobal(std::string_view module, std::string_view name) {
  const auto found = allow_.Find(module, name);
  if (!found) return Fault(RefusedText(module, name, allow_));
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kGlobal));
  pickle_.nodes_.back().parts.part = static_cast<uint32_t>(pickle_.globals_.size());
  pickle_.globals_.push_back(*found);
  return {};
}

Result<void> PickleMachine::GlobalLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view module, TakeLine());
  CKMAP_ASSIGN_OR_RETURN(const std::string_view name, TakeLine());
  return PushGlobal(module, name);
}

Result<void> PickleMachine::StackGlobal() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId name, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId module, Pop());
  if (pickle_.kind(name) != PickleKind::kText || pickle_.kind(module) != PickleKind::kText) {
    return Fault("wants two strings");
  }
  return PushGlobal(pickle_.text(module), pickle_.text(name));
}

Result<void> PickleMachine::PersistentId() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId value, Pop());
  if (pickle_.kind(value) == PickleKind::kTuple) {
    const auto parts = pickle_.items(value);
    if (parts.size() >= 2 && pickle_.kind(parts[0]) == PickleKind::kText &&
        pickle_.kind(parts[1]) == PickleKind::kGlobal && allow_.IsClassReference(pickle_.text(parts[0]))) {
      return Push(parts[1]);
    }
  }
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kPersistentId));
  pickle_.nodes_.back().parts.part = value;
  return {};
}

// A class of which nothing is known, or what a call of one made.
bool PickleMachine::IsOpaque(PickleId id) const {
  const PickleKind kind = pickle_.kind(id);
  if (kind == PickleKind::kGlobal) return pickle_.global(id).role == PickleRole::kOpaque;
  return kind == PickleKind::kObject && pickle_.callable(id).role == PickleRole::kOpaque;
}

Result<void> PickleMachine::Reduce() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId callable, Pop());
  if (pickle_.kind(callable) != PickleKind::kGlobal && !IsOpaque(callable)) {
    return Fault(fmt::format("a {} cannot be called", PickleKindName(pickle_.kind(callable))));
  }
  return Call(callable, arguments);
}

Result<void> PickleMachine::Instantiate(PickleId type, PickleId arguments) {
  const bool type_ok = IsOpaque(type) || (pickle_.kind(type) == PickleKind::kGlobal &&
                                          (pickle_.global(type).role == PickleRole::kClass ||
                                           pickle_.global(type).role == PickleRole::kDict ||
                                           pickle_.global(type).role == PickleRole::kMention));
  if (!type_ok) return Fault("wants a class that may be instantiated");
  return Call(type, arguments);
}

Result<void> PickleMachine::NewObj() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId type, Pop());
  return Instantiate(type, arguments);
}

// Class, arguments, keyword arguments: these become one argument more.
Result<void> PickleMachine::NewObjWithKeywords() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId keywords, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId type, Pop());
  if (pickle_.kind(arguments) != PickleKind::kTuple) return Fault("the arguments are no tuple");
  if (pickle_.kind(keywords) != PickleKind::kDict) return Fault("the keyword arguments are no dict");
  const size_t first = stack_.size();
  for (const PickleId argument : pickle_.items(arguments)) CKMAP_RETURN_IF_ERROR(Push(argument));
  CKMAP_RETURN_IF_ERROR(Push(keywords));
  CKMAP_RETURN_IF_ERROR(PushTuple(first));
  CKMAP_ASSIGN_OR_RETURN(const PickleId all, Pop());
  return Instantiate(type, all);
}

// Protocols 0 to 2 of Python 2: a class by name, its arguments from the MARK on.
Result<void> PickleMachine::Inst() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view module, TakeLine());
  CKMAP_ASSIGN_OR_RETURN(const std::string_view name, TakeLine());
  CKMAP_RETURN_IF_ERROR(PushGlobal(module, name));
  CKMAP_ASSIGN_OR_RETURN(const PickleId type, Pop());
  CKMAP_RETURN_IF_ERROR(TupleFromMark());
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  return Instantiate(type, arguments);
}

// The class itself is the first value above the MARK.
Result<void> PickleMachine::Obj() {
  CKMAP_ASSIGN_OR_RETURN(const size_t first, PopMark());
  if (stack_.size() <= first) return Fault("there is no class above the MARK");
  const PickleId type = stack_[first];
  CKMAP_RETURN_IF_ERROR(PushTuple(first + 1));
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId same_type, Pop());
  CKMAP_CHECK(type == same_type);
  return Instantiate(type, arguments);
}

Result<void> PickleMachine::Call(PickleId callable, PickleId arguments) {
  if (IsOpaque(callable)) return CallOpaque(callable, arguments);
  const PickleGlobal global = pickle_.global(callable);
  if (global.role == PickleRole::kMention) return RefusedPickleGlobal(pickle_, callable, allow_);
  if (global.role == PickleRole::kValue)
    return Fault(fmt::format("{}.{} cannot be called", global.module, global.name));
  if (pickle_.kind(arguments) != PickleKind::kTuple) return Fault("the arguments are no tuple");
  if (global.role == PickleRole::kDict) return CallDict(arguments);
  if (global.role == PickleRole::kList) return CallList(global, arguments);
  if (global.role == PickleRole::kSet) return CallSet(arguments);
  if (global.role == PickleRole::kSame) {
    if (pickle_.items(arguments).empty()) return Fault("wants an argument");
    return Push(pickle_.items(arguments)[0]);
  }
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kObject));
  pickle_.nodes_.back().parts = {callable, kNoPickle};
  pickle_.nodes_.back().count = arguments;
  return {};
}

// What is called may itself be what such a call made: it becomes a part of the new object.
Result<void> PickleMachine::CallOpaque(PickleId callable, PickleId arguments) {
  if (pickle_.kind(arguments) != PickleKind::kTuple) return Fault("the arguments are no tuple");
  const bool made = pickle_.kind(callable) == PickleKind::kObject;
  const PickleId global = made ? pickle_.nodes_[callable].parts.part : callable;
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kObject));
  pickle_.nodes_.back().parts = {global, kNoPickle};
  pickle_.nodes_.back().count = arguments;
  if (!made) return {};
  return ExtendObject(stack_.back(), PickleKind::kList, std::span(&callable, 1));
}

// OrderedDict(), OrderedDict([(key, value), …]), defaultdict(factory), Counter({…}).
Result<void> PickleMachine::CallDict(PickleId arguments) {
  const auto given = pickle_.items(arguments);
  std::vector<PickleId> items;
  if (given.size() > 1) return Fault(fmt::format("a dict of {} arguments", given.size()));
  if (given.size() == 1) {
    const PickleKind kind = pickle_.kind(given[0]);
    if (kind == PickleKind::kDict) {
      items.assign(pickle_.items(given[0]).begin(), pickle_.items(given[0]).end());
    } else if (kind == PickleKind::kList) {
      for (const PickleId pair : pickle_.items(given[0])) {
        const PickleKind pair_kind = pickle_.kind(pair);
        if ((pair_kind != PickleKind::kTuple && pair_kind != PickleKind::kList) || pickle_.items(pair).size() != 2) {
          return Fault("a dict of a list that does not hold pairs");
        }
        items.insert(items.end(), pickle_.items(pair).begin(), pickle_.items(pair).end());
      }
    } else if (kind != PickleKind::kGlobal && kind != PickleKind::kNone && !IsOpaque(given[0])) {
      return Fault(fmt::format("a dict of a {}", PickleKindName(kind)));
    }
  }
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(PickleKind::kDict, items));
  return Push(id);
}

// deque(), deque([1, 2]), deque([1, 2], 8): the last is how many it may hold.
Result<void> PickleMachine::CallList(const PickleGlobal& global, PickleId arguments) {
  const auto given = pickle_.items(arguments);
  std::vector<PickleId> items;
  if (given.size() > 2) return Fault(fmt::format("{} of {} arguments", global.name, given.size()));
  if (!given.empty()) {
    const PickleKind kind = pickle_.kind(given[0]);
    if (kind != PickleKind::kList && kind != PickleKind::kTuple)
      return Fault(fmt::format("{} of a {}", global.name, PickleKindName(kind)));
    items.assign(pickle_.items(given[0]).begin(), pickle_.items(given[0]).end());
  }
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(PickleKind::kList, items));
  return Push(id);
}

Result<void> PickleMachine::CallSet(PickleId arguments) {
  const auto given = pickle_.items(arguments);
  if (given.size() > 1 || (given.size() == 1 && pickle_.kind(given[0]) != PickleKind::kList)) {
    return Fault("a set is made of one list");
  }
  std::vector<PickleId> items;
  if (given.size() == 1) items.assign(pickle_.items(given[0]).begin(), pickle_.items(given[0]).end());
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(PickleKind::kSet, items));
  return Push(id);
}

Result<void> PickleMachine::Build() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId state, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId object, Top());
  const PickleKind kind = pickle_.kind(object);
  if (kind == PickleKind::kDict) {  // attributes of an OrderedDict, such as _metadata
    if (pickle_.kind(state) != PickleKind::kDict) return Fault("the attributes of a dict are no dict");
    return {};
  }
  if (kind != PickleKind::kObject) return Fault(fmt::format("a {} takes no state", PickleKindName(kind)));
  const PickleGlobal& made_by = pickle_.callable(object);
  const bool opaque = made_by.role == PickleRole::kOpaque;
  if (made_by.role != PickleRole::kClass && made_by.role != PickleRole::kStateful && !opaque) {
    return Fault(fmt::format("what {}.{} makes takes no state", made_by.module, made_by.name));
  }
  const PickleId before = pickle_.state(object);
  if (before != kNoPickle && !opaque) return Fault("a second state for one object");
  if (before != kNoPickle) return ExtendObject(object, PickleKind::kList, std::span(&state, 1));
  pickle_.nodes_[object].parts.state = state;
  return {};
}

}  // namespace ckmap
