// The stack machine that reads a pickle. Internal to pickle: pickle.cc has the input, the stack and
// the arena, pickle_opcodes.cc the opcodes for values, pickle_calls.cc those for globals and calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/little_endian.h"
#include "runtime/base/result.h"
#include "runtime/formats/pickle/pickle.h"

namespace ckmap {

// Runs the opcodes. Each handler checks what it takes from the stack; a mark hides what lies below.
class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, const PickleAllowList& allow) : bytes_(bytes), allow_(allow) {}
  Result<Pickle> Run();
  bool cut_short() const { return cut_short_; }

 private:
  using Handler = Result<void> (PickleMachine::*)();
  struct Opcode {
    unsigned char code;
    std::string_view name;
    Handler handler;         // nullptr: refused
    std::string_view why{};  // of a refused one
  };
  static const Opcode kOpcodes[];
  static const Opcode* FindOpcode(unsigned char code);

  Error Fault(std::string_view message) const;

  // The input.
  Result<std::string_view> Take(uint64_t count);
  Result<std::string_view> TakeLine();
  template <typename T>
  Result<T> TakeNumber();

  // The stack.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Result<void> Push(PickleId id);
  Result<PickleId> Pop();
  Result<PickleId> Top() const;
  Result<size_t> PopMark();  // index of the first value above it

  // The arena.
  Result<PickleId> New(PickleKind kind);
  Result<void> PushNew(PickleKind kind);
  Result<void> PushInteger(int64_t value);
  Result<void> PushInteger(std::string_view bytes);  // two's complement
  Result<void> PushText(PickleKind kind, std::string_view text);
  Result<void> PushOwned(PickleKind kind, std::string text);
  Result<void> PushTuple(size_t first);
  Result<PickleId> NewContainer(PickleKind kind, std::span<const PickleId> items);
  Result<void> Charge(size_t items);
  Result<void> Extend(PickleId container, PickleKind kind, std::span<const PickleId> items);
  Result<void> ExtendObject(PickleId object, PickleKind kind, std::span<const PickleId> items);
  Result<void> CheckKeys(std::span<const PickleId> items) const;

  // Handlers, in the order of the table.
  Result<void> Proto();
  Result<void> Frame();
  Result<void> Stop();
  Result<void> Mark();
  Result<void> PopOne();
  Result<void> PopToMark();
  Result<void> Dup();
  Result<void> None();
  Result<void> True();
  Result<void> False();
  template <typename T>
  Result<void> Int();
  Result<void> IntLine();
  Result<void> LongLine();
  template <typename T>
  Result<void> Long();
  Result<void> FloatLine();
  Result<void> BinFloat();
  Result<void> StringLine();
  template <typename T>
  Result<void> String();
  Result<void> UnicodeLine();
  template <typename T>
  Result<void> Unicode();
  template <typename T, PickleKind kind>
  Result<void> Bytes();
  template <PickleKind kind>
  Result<void> Empty();
  template <size_t count>
  Result<void> SmallTuple();
  Result<void> TupleFromMark();
  template <PickleKind kind>
  Result<void> FromMark();
  Result<void> Append();
  template <PickleKind kind>
  Result<void> ExtendFromMark();
  Result<void> SetItem();
  template <typename T>
  Result<void> Put();
  Result<void> PutLine();
  Result<void> Memoize();
  template <typename T>
  Result<void> Get();
  Result<void> GetLine();
  Result<void> GlobalLine();
  Result<void> StackGlobal();
  Result<void> PersistentId();
  Result<void> Reduce();
  Result<void> NewObj();
  Result<void> NewObjWithKeywords();
  Result<void> Inst();
  Result<void> Obj();
  Result<void> Build();

  Result<void> PutAt(uint64_t index);
  Result<void> GetAt(uint64_t index);
  Result<uint64_t> TakeIndexLine();
  Result<void> PushGlobal(std::string_view module, std::string_view name);
  Result<void> Call(PickleId callable, PickleId arguments);
  Result<void> CallOpaque(PickleId callable, PickleId arguments);
  Result<void> CallDict(PickleId arguments);
  Result<void> CallList(const PickleGlobal& global, PickleId arguments);
  Result<void> CallSet(PickleId arguments);
  Result<void> Instantiate(PickleId type, PickleId arguments);
  bool IsOpaque(PickleId id) const;

  const std::string_view bytes_;
  const PickleAllowList& allow_;
  Pickle pickle_;
  size_t position_ = 0;
  size_t opcode_at_ = 0;
  const Opcode* opcode_ = nullptr;
  size_t frame_end_ = 0;  // 0: outside of frames
  bool stopped_ = false;
  bool cut_short_ = false;
  size_t opcodes_ = 0;
  size_t items_ = 0;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::vector<PickleId> memo_;
};

template <typename T>
Result<T> PickleMachine::TakeNumber() {
  CKMAP_ASSIGN_OR_RETURN(const std::string_view bytes, Take(sizeof(T)));
  return LoadLittle<T>(bytes.data());
}

}  // namespace ckmap
