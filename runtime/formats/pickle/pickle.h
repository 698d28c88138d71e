// Python pickles, protocols 0 to 5, read as data: nothing is imported, called or constructed.
//
// What a pickle would build becomes nodes of one arena, in the order in which they were made, so a
// node's parts come before it (only lists, dicts and sets can gain later ones). A call stays a
// node: which function, which arguments. What it means is the caller's business (torch_objects.h).
//
// Every global must be on the caller's list, also one that is never used; the list decides what may
// be called, instantiated or given a state. Opcodes that refer to anything outside of the pickle
// (EXT, NEXT_BUFFER, …) are refused. Errors are kMalformed and name the opcode, the global and the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// What a pickle may do with a global.
enum class PickleRole : uint8_t {
  kValue,     // mention it
  kFunction,  // call it (REDUCE): an object node
  kStateful,  // call it, and give the result a state (BUILD)
  kClass,     // instantiate it (NEWOBJ or REDUCE) and give the instance a state
  kDict,      // call or instantiate it: a dict node (OrderedDict, defaultdict, Counter)
  kList,      // call it with nothing or an iterable: a list node (deque)
  kSet,       // call it with a list: a set node
  kSame,      // call it: the value is its first argument
  kMention,   // mention it where the caller allows it; calling it is refused
  kOpaque,    // anything: what it makes stays an object, with the parts that it is given
};

struct PickleGlobal {
  std::string_view module;
  std::string_view name;
  PickleRole role = PickleRole::kValue;
  int tag = 0;  // the caller's
};

class PickleAllowList {
 public:
  virtual ~PickleAllowList() = default;
  // The global as it is called today, or nullopt to refuse the pickle. The views of the result must
  // live as long as the pickle's bytes (the arguments do).
  virtual std::optional<PickleGlobal> Find(std::string_view module, std::string_view name) const = 0;
  // What a person can do about a refused global; "" if there is nothing to add.
  virtual std::string Hint(std::string_view module, std::string_view name) const = 0;
  // Whether a persistent id (`kind`, class, …) stands for the class itself.
  virtual bool IsClassReference(std::string_view /*kind*/) const { return false; }
  // Whether what nobody knows passes as an object without a meaning (kOpaque).
  virtual bool skips_unknown() const { return false; }
};

// Stated limits; beyond them a pickle is refused as hostile.
inline constexpr int64_t kMaxPickleBytes = int64_t{256} << 20;
inline constexpr size_t kMaxPickleNodes = size_t{1} << 24;
inline constexpr size_t kMaxPickleItems = size_t{1} << 25;  // over all containers
inline constexpr size_t kMaxPickleStack = size_t{1} << 20;
inline constexpr size_t kMaxPickleMarks = 4096;
inline constexpr size_t kMaxPickleDigits = 38;   // of an integer in text
inline constexpr size_t kMaxPickleDepth = 1000;  // for whoever walks the nodes

using PickleId = uint32_t;
inline constexpr PickleId kNoPickle = ~PickleId{0};

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInt,
  kBigInt,
  kFloat,
  kText,
  kBytes,
  kByteArray,
  kTuple,
  kList,
  kDict,
  kSet,
  kGlobal,
  kObject,
  kPersistentId,
};

// "int", "str", "dict", …; an object is "object".
std::string_view PickleKindName(PickleKind kind);

class Pickle {
 public:
  // Reads one pickle from the start of `bytes`, which must outlive the result. `cut_short`, if
  // given, is set to whether an error was only that the bytes ended.
  static Result<Pickle> Read(std::string_view bytes, const PickleAllowList& allow, bool* cut_short = nullptr);

  PickleId root() const { return root_; }
  size_t end() const { return end_; }  // bytes that were read, STOP included
  size_t size() const { return nodes_.size(); }
  bool skips_unknown() const { return skips_unknown_; }  // as the allow-list it was read with

  PickleKind kind(PickleId id) const { return nodes_[id].kind; }
  size_t offset(PickleId id) const { return nodes_[id].offset; }  // byte of the opcode that made it

  bool boolean(PickleId id) const { return nodes_[id].integer != 0; }  // kBool
  int64_t integer(PickleId id) const { return nodes_[id].integer; }    // kInt
  double real(PickleId id) const { return nodes_[id].real; }           // kFloat
  // kText: UTF-8. kBytes, kByteArray: as they are. kBigInt: two's complement, little-endian,
  // outside int64.
  std::string_view text(PickleId id) const { return {nodes_[id].data, nodes_[id].count}; }
  // Elements of a kTuple, kList, kSet; of a kDict, keys and values by turns.
  std::span<const PickleId> items(PickleId id) const;

  const PickleGlobal& global(PickleId id) const { return globals_[nodes_[id].parts.part]; }  // kGlobal
  // kObject: what was called or instantiated, with which tuple, and the state it was given.
  const PickleGlobal& callable(PickleId id) const { return global(nodes_[id].parts.part); }
  // What a call of an object made is an object of the same callable.
  PickleId arguments(PickleId id) const { return nodes_[id].count; }
  PickleId state(PickleId id) const { return nodes_[id].parts.state; }  // kNoPickle without one
  // What was appended to a kObject as to a list or set, and what was stored in it as in a dict (keys and
  // values by turns). Empty for most.
  std::span<const PickleId> object_list(PickleId id) const;
  std::span<const PickleId> object_dict(PickleId id) const;
  PickleId persistent_id(PickleId id) const { return nodes_[id].parts.part; }  // kPersistentId

 private:
  friend class PickleMachine;

  struct Parts {
    uint32_t part;   // index of the first item, container or global; id of the callable or persistent id
    PickleId state;  // of a tuple: how deep tuples nest in it
  };
  struct Node {
    PickleKind kind = PickleKind::kNone;
    uint32_t offset = 0;
    union {
      int64_t integer = 0;
      double real;
      const char* data;  // text
      Parts parts;
    };
    uint32_t count = 0;  // bytes of text, items of a tuple, arguments
  };

  std::vector<Node> nodes_;
  std::vector<PickleId> tuple_items_;
  std::vector<std::vector<PickleId>> containers_;
  struct ObjectItems {
    std::vector<PickleId> list;
    std::vector<PickleId> dict;
  };
  std::unordered_map<PickleId, ObjectItems> object_items_;
  std::vector<PickleGlobal> globals_;
  std::deque<std::string> owned_;  // texts that do not lie in the input as they are
  PickleId root_ = kNoPickle;
  size_t end_ = 0;
  bool skips_unknown_ = false;
};

// The error for a global that is not on the list, as Read gives it.
Error RefusedPickleGlobal(const Pickle& pickle, PickleId id, const PickleAllowList& allow);

}  // namespace ckmap
