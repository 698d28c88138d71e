#include "runtime/formats/pickle/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/base/text.h"
#include "runtime/formats/pickle/pickle_machine.h"

namespace ckmap {

Error PickleMachine::Fault(std::string_view message) const {
  const std::string_view name = opcode_ == nullptr ? "" : opcode_->name;
  return {ErrorCode::kMalformed,
          fmt::format("pickle byte {}{}{}: {}", opcode_at_, name.empty() ? "" : ", ", name, message)};
}

Result<Pickle> PickleMachine::Run() {
  if (static_cast<int64_t>(bytes_.size()) > kMaxPickleBytes) {
    return Error(ErrorCode::kLimit,
                 fmt::format("a pickle of {}; the limit is {}", FormatBytes(static_cast<int64_t>(bytes_.size())),
                             FormatBytes(kMaxPickleBytes)));
  }
  while (!stopped_) {
    opcode_at_ = position_;
    opcode_ = nullptr;
    if (frame_end_ == position_) frame_end_ = 0;
    CKMAP_ASSIGN_OR_RETURN(const std::string_view code, Take(1));
    const auto byte = static_cast<unsigned char>(code.front());
    opcode_ = FindOpcode(byte);
    if (opcode_ == nullptr) return Fault(fmt::format("0x{:02x} is no opcode", byte));
    if (opcode_->handler == nullptr) return Fault(fmt::format("refused: {}", opcode_->why));
    ++opcodes_;
    CKMAP_RETURN_IF_ERROR((this->*opcode_->handler)());
  }
  pickle_.end_ = position_;
  pickle_.skips_unknown_ = allow_.skips_unknown();
  return std::move(pickle_);
}

// ---- the input

Result<std::string_view> PickleMachine::Take(uint64_t count) {
  const size_t end = frame_end_ != 0 ? frame_end_ : bytes_.size();
  if (count > end - position_) {
    cut_short_ = frame_end_ == 0;
    return Fault(fmt::format("needs {} more bytes, {} are left{}", count, end - position_,
                             frame_end_ != 0 ? " in this frame" : ""));
  }
  const std::string_view taken = bytes_.substr(position_, static_cast<size_t>(count));
  position_ += taken.size();
  return taken;
}

Result<std::string_view> PickleMachine::TakeLine() {
  const size_t end = frame_end_ != 0 ? frame_end_ : bytes_.size();
  const size_t stop = bytes_.substr(0, end).find('\n', position_);
  if (stop == std::string_view::npos) {
    cut_short_ = frame_end_ == 0;
    return Fault("the line has no end");
  }
  const std::string_view line = bytes_.substr(position_, stop - position_);
  position_ = stop + 1;
  return line;
}

// ---- the stack

Result<void> PickleMachine::Push(PickleId id) {
  if (stack_.size() >= kMaxPickleStack) return Fault(fmt::format("more than {} values on the stack", kMaxPickleStack));
  stack_.push_back(id);
  return {};
}

Result<PickleId> PickleMachine::Top() const {
  if (stack_.size() <= Floor()) return Fault("the stack is empty");
  return stack_.back();
}

Result<PickleId> PickleMachine::Pop() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId top, Top());
  stack_.pop_back();
  return top;
}

Result<size_t> PickleMachine::PopMark() {
  if (marks_.empty()) return Fault("there is no MARK");
  const size_t first = marks_.back();
  marks_.pop_back();
  return first;
}

// ---- the arena

Result<PickleId> PickleMachine::New(PickleKind kind) {
  if (pickle_.nodes_.size() >= kMaxPickleNodes) return Fault(fmt::format("more than {} values", kMaxPickleNodes));
  Pickle::Node node;
  node.kind = kind;
  node.offset = static_cast<uint32_t>(opcode_at_);
  pickle_.nodes_.push_back(node);
  return static_cast<PickleId>(pickle_.nodes_.size() - 1);
}

Result<void> PickleMachine::PushNew(PickleKind kind) {
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, New(kind));
  return Push(id);
}

Result<void> PickleMachine::PushInteger(int64_t value) {
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kInt));
  pickle_.nodes_.back().integer = value;
  return {};
}

Result<void> PickleMachine::PushInteger(std::string_view bytes) {
  while (bytes.size() > 1) {  // bytes that only repeat the sign
    const auto top = static_cast<unsigned char>(bytes.back());
    const bool negative = (static_cast<unsigned char>(bytes[bytes.size() - 2]) & 0x80) != 0;
    if (top != (negative ? 0xff : 0)) break;
    bytes.remove_suffix(1);
  }
  if (bytes.size() > sizeof(int64_t)) return PushOwned(PickleKind::kBigInt, std::string(bytes));
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  int64_t value = negative ? -1 : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return PushInteger(value);
}

Result<void> PickleMachine::PushText(PickleKind kind, std::string_view text) {
  CKMAP_RETURN_IF_ERROR(PushNew(kind));
  pickle_.nodes_.back().data = text.data();
  pickle_.nodes_.back().count = static_cast<uint32_t>(text.size());
  return {};
}

Result<void> PickleMachine::PushOwned(PickleKind kind, std::string text) {
  return PushText(kind, pickle_.owned_.emplace_back(std::move(text)));
}

Result<void> PickleMachine::Charge(size_t items) {
  if (items > kMaxPickleItems - items_) return Fault(fmt::format("more than {} items in containers", kMaxPickleItems));
  items_ += items;
  return {};
}

// A tuple of the values from `first` on, which leave the stack.
Result<void> PickleMachine::PushTuple(size_t first) {
  const size_t count = stack_.size() - first;
  CKMAP_RETURN_IF_ERROR(Charge(count));
  uint32_t depth = 0;  // a tuple's parts are there before it, so its depth is known for good
  for (size_t i = first; i < stack_.size(); ++i) {
    if (pickle_.kind(stack_[i]) == PickleKind::kTuple) depth = std::max(depth, pickle_.nodes_[stack_[i]].parts.state);
  }
  if (++depth > kMaxPickleDepth) return Fault(fmt::format("tuples nested more than {} deep", kMaxPickleDepth));
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, New(PickleKind::kTuple));
  pickle_.nodes_[id].parts = {static_cast<uint32_t>(pickle_.tuple_items_.size()), depth};
  pickle_.nodes_[id].count = static_cast<uint32_t>(count);
  pickle_.tuple_items_.insert(pickle_.tuple_items_.end(), stack_.begin() + static_cast<std::ptrdiff_t>(first),
                              stack_.end());
  stack_.resize(first);
  return Push(id);
}

Result<PickleId> PickleMachine::NewContainer(PickleKind kind, std::span<const PickleId> items) {
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, New(kind));
  pickle_.nodes_[id].parts.part = static_cast<uint32_t>(pickle_.containers_.size());
  pickle_.containers_.emplace_back();
  CKMAP_RETURN_IF_ERROR(Extend(id, kind, items));
  return id;
}

Result<void> PickleMachine::Extend(PickleId container, PickleKind kind, std::span<const PickleId> items) {
  if (IsOpaque(container) && pickle_.kind(container) == PickleKind::kObject) {
    return ExtendObject(container, kind, items);
  }
  if (pickle_.kind(container) != kind) {
    return Fault(
        fmt::format("wants a {}, the stack holds a {}", PickleKindName(kind), PickleKindName(pickle_.kind(container))));
  }
  CKMAP_RETURN_IF_ERROR(Charge(items.size()));
  if (kind == PickleKind::kDict) CKMAP_RETURN_IF_ERROR(CheckKeys(items));
  auto& list = pickle_.containers_[pickle_.nodes_[container].parts.part];
  list.insert(list.end(), items.begin(), items.end());
  return {};
}

Result<void> PickleMachine::ExtendObject(PickleId object, PickleKind kind, std::span<const PickleId> items) {
  CKMAP_RETURN_IF_ERROR(Charge(items.size()));
  auto& parts = pickle_.object_items_[object];
  if (kind == PickleKind::kDict) CKMAP_RETURN_IF_ERROR(CheckKeys(items));
  auto& list = kind == PickleKind::kDict ? parts.dict : parts.list;
  list.insert(list.end(), items.begin(), items.end());
  return {};
}

Result<void> PickleMachine::CheckKeys(std::span<const PickleId> items) const {
  if (items.size() % 2 != 0) return Fault("a key has no value");
  for (size_t i = 0; i < items.size(); i += 2) {
    const PickleKind kind = pickle_.kind(items[i]);
    // Sets pass: a frozenset is one.
    if (kind == PickleKind::kList || kind == PickleKind::kDict || kind == PickleKind::kByteArray) {
      return Fault(fmt::format("a {} cannot be a key", PickleKindName(kind)));
    }
  }
  return {};
}

// ---- the result

Result<Pickle> Pickle::Read(std::string_view bytes, const PickleAllowList& allow, bool* cut_short) {
  PickleMachine machine(bytes, allow);
  auto pickle = machine.Run();
  if (cut_short != nullptr) *cut_short = machine.cut_short();
  return pickle;
}

std::span<const PickleId> Pickle::items(PickleId id) const {
  const Node& node = nodes_[id];
  if (node.kind == PickleKind::kTuple) return std::span(tuple_items_).subspan(node.parts.part, node.count);
  CKMAP_CHECK(node.kind == PickleKind::kList || node.kind == PickleKind::kDict || node.kind == PickleKind::kSet);
  return containers_[node.parts.part];
}

std::span<const PickleId> Pickle::object_list(PickleId id) const {
  const auto found = object_items_.find(id);
  return found == object_items_.end() ? std::span<const PickleId>() : found->second.list;
}

std::span<const PickleId> Pickle::object_dict(PickleId id) const {
  const auto found = object_items_.find(id);
  return found == object_items_.end() ? std::span<const PickleId>() : found->second.dict;
}

std::string_view PickleKindName(PickleKind kind) {
  constexpr std::string_view kNames[] = {"none", "bool",  "int",       "int",    "float",
                                         "str",  "bytes", "bytearray", "tuple",  "list",
                                         "dict", "set",   "global",    "object", "persistent id"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace ckmap
