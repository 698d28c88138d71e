#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "runtime/base/text.h"
#include "runtime/formats/pickle/pickle_machine.h"
#include "runtime/formats/pickle/pickle_text.h"

namespace ckmap {

// ---- handlers: framing and the stack

Result<void> PickleMachine::Proto() {
  CKMAP_ASSIGN_OR_RETURN(const auto version, TakeNumber<uint8_t>());
  if (version > 5) return Fault(fmt::format("protocol {}; 0 to 5 are known", version));
  return {};
}

Result<void> PickleMachine::Frame() {
  if (frame_end_ != 0) return Fault("a frame inside a frame");
  CKMAP_ASSIGN_OR_RETURN(const auto length, TakeNumber<uint64_t>());
  if (length > bytes_.size() - position_) {
    cut_short_ = true;
    return Fault(fmt::format("a frame of {} bytes, {} are left", length, bytes_.size() - position_));
  }
  if (length != 0) frame_end_ = position_ + static_cast<size_t>(length);
  return {};
}

Result<void> PickleMachine::Stop() {
  if (!marks_.empty()) return Fault("a MARK is open");
  if (stack_.size() != 1) return Fault(fmt::format("{} values are on the stack, one is the result", stack_.size()));
  pickle_.root_ = stack_.back();
  stopped_ = true;
  return {};
}

Result<void> PickleMachine::Mark() {
  if (marks_.size() >= kMaxPickleMarks) return Fault(fmt::format("more than {} open MARKs", kMaxPickleMarks));
  marks_.push_back(stack_.size());
  return {};
}

Result<void> PickleMachine::PopOne() {
  if (stack_.size() > Floor()) {
    stack_.pop_back();
    return {};
  }
  CKMAP_RETURN_IF_ERROR(PopMark());
  return {};
}

Result<void> PickleMachine::PopToMark() {
  CKMAP_ASSIGN_OR_RETURN(const size_t first, PopMark());
  stack_.resize(first);
  return {};
}

Result<void> PickleMachine::Dup() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId top, Top());
  return Push(top);
}

// ---- handlers: plain values

Result<void> PickleMachine::None() { return PushNew(PickleKind::kNone); }

Result<void> PickleMachine::True() {
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kBool));
  pickle_.nodes_.back().integer = 1;
  return {};
}

Result<void> PickleMachine::False() { return PushNew(PickleKind::kBool); }

template <typename T>
Result<void> PickleMachine::Int() {
  CKMAP_ASSIGN_OR_RETURN(const T value, TakeNumber<T>());
  return PushInteger(int64_t{value});
}

Result<void> PickleMachine::IntLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  if (line == "00") return False();
  if (line == "01") return True();
  const auto bytes = ParsePickleInteger(line);
  if (!bytes) return Fault(fmt::format("no integer of at most {} digits", kMaxPickleDigits));
  return PushInteger(std::string_view(*bytes));
}

Result<void> PickleMachine::LongLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  const auto bytes = line.ends_with('L') ? ParsePickleInteger(line.substr(0, line.size() - 1)) : std::nullopt;
  if (!bytes) return Fault(fmt::format("no integer of at most {} digits and an L", kMaxPickleDigits));
  return PushInteger(std::string_view(*bytes));
}

template <typename T>
Result<void> PickleMachine::Long() {
  CKMAP_ASSIGN_OR_RETURN(const T length, TakeNumber<T>());
  if constexpr (std::is_signed_v<T>) {
    if (length < 0) return Fault("a negative length");
  }
  CKMAP_ASSIGN_OR_RETURN(const std::string_view bytes, Take(static_cast<uint64_t>(length)));
  return PushInteger(bytes);
}

Result<void> PickleMachine::FloatLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  const auto value = ParsePickleFloat(line);
  if (!value) return Fault("no number");
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kFloat));
  pickle_.nodes_.back().real = *value;
  return {};
}

Result<void> PickleMachine::BinFloat() {  // the one big-endian number of the format
  CKMAP_ASSIGN_OR_RETURN(const auto bits, TakeNumber<uint64_t>());
  CKMAP_RETURN_IF_ERROR(PushNew(PickleKind::kFloat));
  pickle_.nodes_.back().real = std::bit_cast<double>(__builtin_bswap64(bits));
  return {};
}

// Python 2's str holds text or bytes; text if it can be.
Result<void> PickleMachine::StringLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  auto text = ParsePickleLiteral(line);
  if (!text) return Fault("no string literal");
  const PickleKind kind = IsValidUtf8(*text) ? PickleKind::kText : PickleKind::kBytes;
  return PushOwned(kind, *std::move(text));
}

template <typename T>
Result<void> PickleMachine::String() {
  CKMAP_ASSIGN_OR_RETURN(const T length, TakeNumber<T>());
  if constexpr (std::is_signed_v<T>) {
    if (length < 0) return Fault("a negative length");
  }
  CKMAP_ASSIGN_OR_RETURN(const std::string_view text, Take(static_cast<uint64_t>(length)));
  return PushText(IsValidUtf8(text) ? PickleKind::kText : PickleKind::kBytes, text);
}

Result<void> PickleMachine::UnicodeLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  auto text = ParsePickleUnicode(line);
  if (!text) return Fault("an escape that is no code point");
  return PushOwned(PickleKind::kText, *std::move(text));
}

template <typename T>
Result<void> PickleMachine::Unicode() {
  CKMAP_ASSIGN_OR_RETURN(const T length, TakeNumber<T>());
  CKMAP_ASSIGN_OR_RETURN(const std::string_view text, Take(length));
  if (!IsValidUtf8(text)) return Fault("a text that is not UTF-8");
  return PushText(PickleKind::kText, text);
}

template <typename T, PickleKind kind>
Result<void> PickleMachine::Bytes() {
  CKMAP_ASSIGN_OR_RETURN(const T length, TakeNumber<T>());
  CKMAP_ASSIGN_OR_RETURN(const std::string_view bytes, Take(length));
  return PushText(kind, bytes);
}

// ---- handlers: containers

template <PickleKind kind>
Result<void> PickleMachine::Empty() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(kind, {}));
  return Push(id);
}

template <size_t count>
Result<void> PickleMachine::SmallTuple() {
  if (stack_.size() - Floor() < count) return Fault(fmt::format("wants {} values above the MARK", count));
  return PushTuple(stack_.size() - count);
}

Result<void> PickleMachine::TupleFromMark() {
  CKMAP_ASSIGN_OR_RETURN(const size_t first, PopMark());
  return PushTuple(first);
}

template <PickleKind kind>
Result<void> PickleMachine::FromMark() {
  CKMAP_ASSIGN_OR_RETURN(const size_t first, PopMark());
  CKMAP_ASSIGN_OR_RETURN(const PickleId id, NewContainer(kind, std::span(stack_).subspan(first)));
  stack_.resize(first);
  return Push(id);
}

Result<void> PickleMachine::Append() {
  CKMAP_ASSIGN_OR_RETURN(const PickleId value, Pop());
  CKMAP_ASSIGN_OR_RETURN(const PickleId list, Top());
  return Extend(list, PickleKind::kList, std::span(&value, 1));
}

template <PickleKind kind>
Result<void> PickleMachine::ExtendFromMark() {
  CKMAP_ASSIGN_OR_RETURN(const size_t first, PopMark());
  const size_t below = Floor();
  if (first <= below) return Fault("there is no container below the MARK");
  CKMAP_RETURN_IF_ERROR(Extend(stack_[first - 1], kind, std::span(stack_).subspan(first)));
  stack_.resize(first);
  return {};
}

Result<void> PickleMachine::SetItem() {
  if (stack_.size() - Floor() < 3) return Fault("wants a dict, a key and a value");
  const size_t first = stack_.size() - 2;
  CKMAP_RETURN_IF_ERROR(Extend(stack_[first - 1], PickleKind::kDict, std::span(stack_).subspan(first)));
  stack_.resize(first);
  return {};
}

// ---- handlers: the memo

// Writers number their puts, so an index beyond the opcodes so far is a lie about memory.
Result<void> PickleMachine::PutAt(uint64_t index) {
  CKMAP_ASSIGN_OR_RETURN(const PickleId top, Top());
  if (index > opcodes_) return Fault(fmt::format("memo index {} after {} opcodes", index, opcodes_));
  if (index >= memo_.size()) memo_.resize(static_cast<size_t>(index) + 1, kNoPickle);
  memo_[static_cast<size_t>(index)] = top;
  return {};
}

Result<void> PickleMachine::GetAt(uint64_t index) {
  if (index >= memo_.size() || memo_[static_cast<size_t>(index)] == kNoPickle) {
    return Fault(fmt::format("memo index {} was never put", index));
  }
  return Push(memo_[static_cast<size_t>(index)]);
}

Result<uint64_t> PickleMachine::TakeIndexLine() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  const auto bytes = ParsePickleInteger(line);
  if (!bytes || bytes->size() > 5 || (static_cast<unsigned char>(bytes->back()) & 0x80) != 0) {
    return Fault("no memo index");
  }
  uint64_t index = 0;
  std::memcpy(&index, bytes->data(), bytes->size());
  return index;
}

template <typename T>
Result<void> PickleMachine::Put() {
  CKMAP_ASSIGN_OR_RETURN(const T index, TakeNumber<T>());
  return PutAt(index);
}

Result<void> PickleMachine::PutLine() {
  CKMAP_ASSIGN_OR_RETURN(const uint64_t index, TakeIndexLine());
  return PutAt(index);
}

Result<void> PickleMachine::Memoize() { return PutAt(memo_.size()); }

template <typename T>
Result<void> PickleMachine::Get() {
  CKMAP_ASSIGN_OR_RETURN(const T index, TakeNumber<T>());
  return GetAt(index);
}

Result<void> PickleMachine::GetLine() {
  CKMAP_ASSIGN_OR_RETURN(const uint64_t index, TakeIndexLine());
  return GetAt(index);
}

// ---- the table

constexpr std::string_view kNeedsBuffers = "its data would lie outside of the pickle";
constexpr std::string_view kNeedsRegistry = "it refers to a registry of the program that wrote it";

const PickleMachine::Opcode PickleMachine::kOpcodes[] = {
    {0x80, "PROTO", &PickleMachine::Proto},
    {0x95, "FRAME", &PickleMachine::Frame},
    {'.', "STOP", &PickleMachine::Stop},
    {'(', "MARK", &PickleMachine::Mark},
    {'0', "POP", &PickleMachine::PopOne},
    {'1', "POP_MARK", &PickleMachine::PopToMark},
    {'2', "DUP", &PickleMachine::Dup},
    {'N', "NONE", &PickleMachine::None},
    {0x88, "NEWTRUE", &PickleMachine::True},
    {0x89, "NEWFALSE", &PickleMachine::False},
    {'J', "BININT", &PickleMachine::Int<int32_t>},
    {'K', "BININT1", &PickleMachine::Int<uint8_t>},
    {'M', "BININT2", &PickleMachine::Int<uint16_t>},
    {'I', "INT", &PickleMachine::IntLine},
    {'L', "LONG", &PickleMachine::LongLine},
    {0x8a, "LONG1", &PickleMachine::Long<uint8_t>},
    {0x8b, "LONG4", &PickleMachine::Long<int32_t>},
    {'F', "FLOAT", &PickleMachine::FloatLine},
    {'G', "BINFLOAT", &PickleMachine::BinFloat},
    {'S', "STRING", &PickleMachine::StringLine},
    {'T', "BINSTRING", &PickleMachine::String<int32_t>},
    {'U', "SHORT_BINSTRING", &PickleMachine::String<uint8_t>},
    {'V', "UNICODE", &PickleMachine::UnicodeLine},
    {'X', "BINUNICODE", &PickleMachine::Unicode<uint32_t>},
    {0x8c, "SHORT_BINUNICODE", &PickleMachine::Unicode<uint8_t>},
    {0x8d, "BINUNICODE8", &PickleMachine::Unicode<uint64_t>},
    {'B', "BINBYTES", &PickleMachine::Bytes<uint32_t, PickleKind::kBytes>},
    {'C', "SHORT_BINBYTES", &PickleMachine::Bytes<uint8_t, PickleKind::kBytes>},
    {0x8e, "BINBYTES8", &PickleMachine::Bytes<uint64_t, PickleKind::kBytes>},
    {0x96, "BYTEARRAY8", &PickleMachine::Bytes<uint64_t, PickleKind::kByteArray>},
    {']', "EMPTY_LIST", &PickleMachine::Empty<PickleKind::kList>},
    {'}', "EMPTY_DICT", &PickleMachine::Empty<PickleKind::kDict>},
    {0x8f, "EMPTY_SET", &PickleMachine::Empty<PickleKind::kSet>},
    {')', "EMPTY_TUPLE", &PickleMachine::SmallTuple<0>},
    {0x85, "TUPLE1", &PickleMachine::SmallTuple<1>},
    {0x86, "TUPLE2", &PickleMachine::SmallTuple<2>},
    {0x87, "TUPLE3", &PickleMachine::SmallTuple<3>},
    {'t', "TUPLE", &PickleMachine::TupleFromMark},
    {'l', "LIST", &PickleMachine::FromMark<PickleKind::kList>},
    {'d', "DICT", &PickleMachine::FromMark<PickleKind::kDict>},
    {0x91, "FROZENSET", &PickleMachine::FromMark<PickleKind::kSet>},
    {'a', "APPEND", &PickleMachine::Append},
    {'e', "APPENDS", &PickleMachine::ExtendFromMark<PickleKind::kList>},
    {'s', "SETITEM", &PickleMachine::SetItem},
    {'u', "SETITEMS", &PickleMachine::ExtendFromMark<PickleKind::kDict>},
    {0x90, "ADDITEMS", &PickleMachine::ExtendFromMark<PickleKind::kSet>},
    {'p', "PUT", &PickleMachine::PutLine},
    {'q', "BINPUT", &PickleMachine::Put<uint8_t>},
    {'r', "LONG_BINPUT", &PickleMachine::Put<uint32_t>},
    {0x94, "MEMOIZE", &PickleMachine::Memoize},
    {'g', "GET", &PickleMachine::GetLine},
    {'h', "BINGET", &PickleMachine::Get<uint8_t>},
    {'j', "LONG_BINGET", &PickleMachine::Get<uint32_t>},
    {'c', "GLOBAL", &PickleMachine::GlobalLine},
    {0x93, "STACK_GLOBAL", &PickleMachine::StackGlobal},
    {'Q', "BINPERSID", &PickleMachine::PersistentId},
    {'R', "REDUCE", &PickleMachine::Reduce},
    {0x81, "NEWOBJ", &PickleMachine::NewObj},
    {'b', "BUILD", &PickleMachine::Build},
    {'P', "PERSID", nullptr,
     "the text form of a persistent id holds no storage; torch cannot read such a file either: "
     "save it anew "
     "with pickle_protocol=2"},
    {'i', "INST", &PickleMachine::Inst},
    {'o', "OBJ", &PickleMachine::Obj},
    {0x92, "NEWOBJ_EX", &PickleMachine::NewObjWithKeywords},
    {0x82, "EXT1", nullptr, kNeedsRegistry},
    {0x83, "EXT2", nullptr, kNeedsRegistry},
    {0x84, "EXT4", nullptr, kNeedsRegistry},
    {0x97, "NEXT_BUFFER", nullptr, kNeedsBuffers},
    {0x98, "READONLY_BUFFER", nullptr, kNeedsBuffers},
};

const PickleMachine::Opcode* PickleMachine::FindOpcode(unsigned char code) {
  static const auto table = [] {
    std::array<const Opcode*, 256> made{};
    for (const Opcode& opcode : kOpcodes) made[opcode.code] = &opcode;
    return made;
  }();
  return table[code];
}

}  // namespace ckmap
