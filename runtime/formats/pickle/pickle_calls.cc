#include <fmt/format.h>

#include <utility>

#include "runtime/base/text.h"
#include "runtime/formats/pickle/pickle_machine.h"

namespace ckmap {

// ---- handlers: globals and calls

Result<void> PickleMachine::PushGlobal(std::string_view module, std::string_view name) {
  const auto found = allow_.Find(module, name);
  if (!found) {
    constexpr size_t kShown = 120;
    const std::string full = fmt::format("{}.{}", module.substr(0, kShown), name.substr(0, kShown));
    const std::string hint = allow_.Hint(module, name);
    return Fault(
        fmt::format("refused: \"{}\" is not on the list of what a checkpoint may name; nothing was "
                    "executed{}{}",
                    EscapeText(full), hint.empty() ? "" : ". ", hint));
  }
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
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kPersistentId));
  pickle_.nodes_.back().parts.part = value;
  return {};
}

Result<void> PickleMachine::Reduce() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId callable, Pop());
  if (pickle_.kind(callable) != PickleKind::kGlobal) {
    return Fault(fmt::format("a {} cannot be called", PickleKindName(pickle_.kind(callable))));
  }
  return Call(callable, arguments);
}

Result<void> PickleMachine::NewObj() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId type, Pop());
  const bool type_ok = pickle_.kind(type) == PickleKind::kGlobal &&
                       (pickle_.global(type).role == PickleRole::kClass ||
                        pickle_.global(type).role == PickleRole::kDict);
  if (!type_ok) return Fault("wants a class that may be instantiated");
  return Call(type, arguments);
}

Result<void> PickleMachine::Call(PickleId callable, PickleId arguments) {
  const PickleGlobal global = pickle_.global(callable);
  if (global.role == PickleRole::kValue)
    return Fault(fmt::format("{}.{} cannot be called", global.module, global.name));
  if (pickle_.kind(arguments) != PickleKind::kTuple) return Fault("the arguments are no tuple");
  if (global.role == PickleRole::kDict) return CallDict(arguments);
  if (global.role == PickleRole::kSet) return CallSet(arguments);
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kObject));
  pickle_.nodes_.back().parts = {callable, kNoPickle};
  pickle_.nodes_.back().count = arguments;
  return {};
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
        if ((pair_kind != PickleKind::kTuple && pair_kind != PickleKind::kList) ||
            pickle_.items(pair).size() != 2) {
          return Fault("a dict of a list that does not hold pairs");
        }
        items.insert(items.end(), pickle_.items(pair).begin(), pickle_.items(pair).end());
      }
    } else if (kind != PickleKind::kGlobal && kind != PickleKind::kNone) {
      return Fault(fmt::format("a dict of a {}", PickleKindName(kind)));
    }
  }
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(PickleKind::kDict, items));
  return Push(id);
}

Result<void> PickleMachine::CallSet(PickleId arguments) {
  const auto given = pickle_.items(arguments);
  if (given.size() > 1 || (given.size() == 1 && pickle_.kind(given[0]) != PickleKind::kList)) {
    return Fault("a set is made of one list");
  }
  std::vector<PickleId> items;
  if (given.size() == 1)
    items.assign(pickle_.items(given[0]).begin(), pickle_.items(given[0]).end());
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(PickleKind::kSet, items));
  return Push(id);
}

Result<void> PickleMachine::Build() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId state, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId object, Top());
  const PickleKind kind = pickle_.kind(object);
  if (kind == PickleKind::kDict) {  // attributes of an OrderedDict, such as _metadata
    if (pickle_.kind(state) != PickleKind::kDict)
      return Fault("the attributes of a dict are no dict");
    return {};
  }
  if (kind != PickleKind::kObject)
    return Fault(fmt::format("a {} takes no state", PickleKindName(kind)));
  const PickleGlobal& made_by = pickle_.callable(object);
  if (made_by.role != PickleRole::kClass && made_by.role != PickleRole::kStateful) {
    return Fault(fmt::format("what {}.{} makes takes no state", made_by.module, made_by.name));
  }
  if (pickle_.state(object) != kNoPickle) return Fault("a second state for one object");
  pickle_.nodes_[object].parts.state = state;
  return {};
}

}  // namespace ckmap
