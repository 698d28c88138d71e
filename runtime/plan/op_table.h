// The one table of operations: the compiler checks calls against it, the binder evaluates by
// it, `ckmapc doc` and the language reference print it.
#pragma once

#include <span>
#include <string_view>

namespace ckmap {

// How an operation treats the (nested) list of tensors in a pipeline.
enum class OpArity {
  kMap,     // every tensor by itself
  kReduce,  // the innermost list becomes one tensor (concat, stack)
  kExpand,  // every tensor becomes an innermost list (split, unstack)
};

enum class ArgType {
  kInt,       // an integer expression
  kNumber,    // an integer or a number
  kIntList,   // several integers: `permute(1, 0)` or sizes=[a, b]
  kDims,      // several sizes, one of which may be -1: `reshape(heads, -1, 2)`
  kDType,     // a dtype name
  kWord,      // one of `choices`
  kText,      // a string
};

struct ArgSpec {
  std::string_view name;
  ArgType type;
  bool required;
  bool variadic;                 // takes all positional arguments
  std::string_view default_text; // as documented; empty: none
  std::string_view choices;      // of kWord: "error|saturate|inf"
};

struct OpSpec {
  std::string_view name;
  OpArity arity;
  std::span<const ArgSpec> args;  // positional arguments fill them in this order
  std::string_view inverse;       // how it is undone, for people; empty: cannot be undone
  std::string_view shapes;        // "[a, b] -> [b, a]", for people
  std::string_view doc;           // one or two sentences
};

std::span<const OpSpec> Ops();
const OpSpec* FindOp(std::string_view name);  // nullptr if there is none

// Functions of expressions (`min`, `target_rank`, …).
struct FunctionSpec {
  std::string_view name;
  int min_args;
  int max_args;
  bool takes_name;  // the first argument is a tensor name (a string, or a leaf name in a layer)
  std::string_view doc;
};
std::span<const FunctionSpec> Functions();
const FunctionSpec* FindFunction(std::string_view name);

}  // namespace ckmap
