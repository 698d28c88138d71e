// The one table of operations. The compiler checks calls against it, the binder evaluates by it, and the
// language reference and `ckmapc doc` print it. Its rows stand in ops_structural.cc, ops_elementwise.cc
// and ops_computed.cc, one file for each kind.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/tensor/dtype.h"

namespace ckmap {

// What an operation is made of, and so what it costs (CostClass).
enum class OpKind {
  kStructural,   // index arithmetic: it melts into one strided copy, whatever stands around it
  kElementwise,  // each element by itself, on its way
  kComputed,     // elements of the result depend on several of the inputs
};

// How an operation treats the (nested) list of tensors in a pipeline.
enum class OpArity {
  kMap,     // every tensor by itself
  kReduce,  // the innermost list becomes one tensor (concat, stack)
  kExpand,  // every tensor becomes an innermost list (split, unstack)
};

enum class ArgType {
  kInt,      // an integer expression
  kNumber,   // an integer or a number
  kIntList,  // several integers: `permute(1, 0)` or sizes=[a, b]
  kDims,     // several sizes, one of which may be -1: `reshape(heads, -1, 2)`
  kDType,    // a dtype name
  kWord,     // one of `choices`
  kText,     // a string
  kBool,     // true or false
};

struct ArgSpec {
  std::string_view name;
  ArgType type;
  bool required;
  bool variadic;                  // takes all positional arguments
  std::string_view default_text;  // as documented; empty: none
  std::string_view choices;       // of kWord: "error|saturate|inf"
};

// The dtypes whose tensors an operation takes; another one is an error of the bind (CK1209).
enum class DTypes {
  kAny,
  kNumbers,      // integers, and floats of 8 bits or more
  kNumbersBool,  // those and bool
  kSigned,       // signed integers, and floats of 8 bits or more
  kFloats,       // floats of 8 bits or more
  kWholeBytes,   // all but packed and complex ones
};
bool Holds(DTypes set, DType dtype);
std::string_view Describe(DTypes set);  // "integers, and floats of 8 bits or more"

// Whether a call can be undone, so that a rule with it may be written `<->`.
enum class Inverse {
  kAlways,
  kSometimes,  // depends on the arguments: compiler/sema/reversible.cc decides
  kNever,
};

struct OpError {
  std::string_view code;  // "CK0405"; CK12xx are found when a plan is bound
  std::string_view when;
};

struct OpSpec {
  std::string_view name;
  OpKind kind = OpKind::kStructural;
  OpArity arity = OpArity::kMap;
  std::span<const ArgSpec> args;  // positional arguments fill them in this order
  bool named_sizes = false;       // besides `args`, any name=integer (`rearrange(…, h=heads)`)
  DTypes takes = DTypes::kAny;
  std::string_view gives = "the same";  // the dtype of the result, for people
  Inverse undone = Inverse::kNever;
  std::string_view inverse;         // how it is undone, or why it is not, for people
  std::string_view shapes;          // a call with what it does to a shape: "[a, b] | transpose() -> [b, a]"
  std::string_view doc;             // a sentence or two
  std::span<const OpError> errors;  // beside those of the call itself (CK0314 … CK0318, CK0409)
};

std::span<const OpSpec> Ops();
const OpSpec* FindOp(std::string_view name);  // nullptr if there is none
std::string_view CostClass(OpKind kind);      // "one strided copy"
// The call's arguments: "axis, parts=, sizes=", for people.
std::string Signature(const OpSpec& op);

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
