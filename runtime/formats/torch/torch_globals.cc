#include "runtime/formats/torch/torch_globals.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>

namespace ckmap {
namespace {

using Role = PickleRole;
using Thing = TorchThing;

struct Row {
  std::string_view module;
  std::string_view name;
  Role role;
  Thing thing = Thing::kOther;
  DType dtype = DType::kAny;
};

constexpr Row kRows[] = {
    {"collections", "OrderedDict", Role::kDict},
    {"collections", "Counter", Role::kDict},
    {"collections", "defaultdict", Role::kDict},
    {"collections", "deque", Role::kList},
    {"builtins", "set", Role::kSet},
    {"builtins", "frozenset", Role::kSet},
    {"builtins", "bytes", Role::kFunction, Thing::kBytes},
    {"builtins", "bytearray", Role::kFunction, Thing::kByteArray},
    {"builtins", "slice", Role::kFunction, Thing::kSlice},
    {"builtins", "range", Role::kFunction, Thing::kRange},
    {"builtins", "type", Role::kFunction, Thing::kType},
    {"builtins", "complex", Role::kFunction, Thing::kComplex},
    {"_codecs", "encode", Role::kFunction, Thing::kEncode},
    // What a defaultdict may make.
    {"builtins", "int", Role::kValue},
    {"builtins", "long", Role::kValue},
    {"builtins", "float", Role::kValue},
    {"builtins", "bool", Role::kValue},
    {"builtins", "str", Role::kValue},
    {"builtins", "list", Role::kValue},
    {"builtins", "tuple", Role::kSame},  // how Paddle writes (name, array)
    {"builtins", "dict", Role::kValue},
    {"builtins", "unicode", Role::kValue},  // str in Python 2
    {"builtins", "object", Role::kValue},
    {"builtins", "Ellipsis", Role::kValue},
    {"builtins", "NotImplemented", Role::kValue},

    // TorchScript: a list or dict with what it holds, as text.
    {"torch.jit._pickle", "build_intlist", Role::kSame},
    {"torch.jit._pickle", "build_tensorlist", Role::kSame},
    {"torch.jit._pickle", "build_doublelist", Role::kSame},
    {"torch.jit._pickle", "build_boollist", Role::kSame},
    {"torch.jit._pickle", "build_tensor_from_id", Role::kSame},
    {"torch.jit._pickle", "restore_type_tag", Role::kSame},

    {"torch", "Tensor", Role::kValue, Thing::kTensorClass},
    {"torch.nn.parameter", "Parameter", Role::kValue, Thing::kTensorClass},
    {"torch.nn.parameter", "Buffer", Role::kValue, Thing::kTensorClass},
    {"torch", "Size", Role::kFunction, Thing::kSize},
    {"torch", "device", Role::kFunction, Thing::kDevice},
    {"torch.serialization", "_get_layout", Role::kFunction, Thing::kLayout},
    {"torch._utils", "_rebuild_tensor", Role::kFunction, Thing::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", Role::kFunction, Thing::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", Role::kFunction, Thing::kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", Role::kFunction, Thing::kRebuildParameter},
    {"torch._utils", "_rebuild_parameter_with_state", Role::kFunction, Thing::kRebuildParameterWithState},
    {"torch._tensor", "_rebuild_from_type", Role::kFunction, Thing::kRebuildFromType},
    {"torch._tensor", "_rebuild_from_type_v2", Role::kFunction, Thing::kRebuildFromType},
    {"torch._utils", "_rebuild_qtensor", Role::kFunction, Thing::kRebuildQuantized},
    {"torch._utils", "_rebuild_sparse_tensor", Role::kFunction, Thing::kRebuildSparse},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", Role::kFunction, Thing::kRebuildMeta},
    {"torch._utils", "_rebuild_nested_tensor", Role::kFunction, Thing::kRebuildNested},
    {"torch._utils", "_rebuild_wrapper_subclass", Role::kFunction, Thing::kRebuildWrapper},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Role::kFunction, Thing::kRebuildFromCpu},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", Role::kFunction, Thing::kRebuildFromNumpy},
    {"torch._utils", "_rebuild_xla_tensor", Role::kFunction, Thing::kRebuildFromNumpy},
    {"torch_npu.utils.storage", "_rebuild_npu_tensor", Role::kFunction, Thing::kRebuildNpu},
    {"torch_npu.npu._format", "Format", Role::kFunction, Thing::kNpuFormat},
    {"torch", "per_tensor_affine", Role::kValue, Thing::kPerTensor},
    {"torch", "per_tensor_symmetric", Role::kValue, Thing::kScheme},
    {"torch", "per_channel_affine", Role::kValue, Thing::kPerChannel},
    {"torch", "per_channel_symmetric", Role::kValue, Thing::kScheme},
    {"torch", "per_channel_affine_float_qparams", Role::kValue, Thing::kPerChannel},

    {"torch.storage", "UntypedStorage", Role::kValue, Thing::kUntypedStorage},
    {"torch", "UntypedStorage", Role::kValue, Thing::kUntypedStorage},
    {"torch", "FloatStorage", Role::kValue, Thing::kStorage, DType::kF32},
    {"torch", "DoubleStorage", Role::kValue, Thing::kStorage, DType::kF64},
    {"torch", "HalfStorage", Role::kValue, Thing::kStorage, DType::kF16},
    {"torch", "BFloat16Storage", Role::kValue, Thing::kStorage, DType::kBF16},
    {"torch", "ByteStorage", Role::kValue, Thing::kStorage, DType::kU8},
    {"torch", "CharStorage", Role::kValue, Thing::kStorage, DType::kI8},
    {"torch", "ShortStorage", Role::kValue, Thing::kStorage, DType::kI16},
    {"torch", "IntStorage", Role::kValue, Thing::kStorage, DType::kI32},
    {"torch", "LongStorage", Role::kValue, Thing::kStorage, DType::kI64},
    {"torch", "BoolStorage", Role::kValue, Thing::kStorage, DType::kBool},
    {"torch", "ComplexFloatStorage", Role::kValue, Thing::kStorage, DType::kC64},
    {"torch", "ComplexDoubleStorage", Role::kValue, Thing::kStorage, DType::kC128},
    {"torch", "QInt8Storage", Role::kValue, Thing::kStorage, DType::kI8},
    {"torch", "QUInt8Storage", Role::kValue, Thing::kStorage, DType::kU8},
    {"torch", "QInt32Storage", Role::kValue, Thing::kStorage, DType::kI32},
    {"torch", "QUInt4x2Storage", Role::kValue, Thing::kPackedStorage, DType::kU8},
    {"torch", "QUInt2x4Storage", Role::kValue, Thing::kPackedStorage, DType::kU8},

    {"torch", "FloatTensor", Role::kValue, Thing::kTensorType, DType::kF32},
    {"torch", "DoubleTensor", Role::kValue, Thing::kTensorType, DType::kF64},
    {"torch", "HalfTensor", Role::kValue, Thing::kTensorType, DType::kF16},
    {"torch", "BFloat16Tensor", Role::kValue, Thing::kTensorType, DType::kBF16},
    {"torch", "ByteTensor", Role::kValue, Thing::kTensorType, DType::kU8},
    {"torch", "CharTensor", Role::kValue, Thing::kTensorType, DType::kI8},
    {"torch", "ShortTensor", Role::kValue, Thing::kTensorType, DType::kI16},
    {"torch", "IntTensor", Role::kValue, Thing::kTensorType, DType::kI32},
    {"torch", "LongTensor", Role::kValue, Thing::kTensorType, DType::kI64},
    {"torch", "BoolTensor", Role::kValue, Thing::kTensorType, DType::kBool},

    {"torch", "float16", Role::kValue, Thing::kDType, DType::kF16},
    {"torch", "float32", Role::kValue, Thing::kDType, DType::kF32},
    {"torch", "float64", Role::kValue, Thing::kDType, DType::kF64},
    {"torch", "bfloat16", Role::kValue, Thing::kDType, DType::kBF16},
    {"torch", "bool", Role::kValue, Thing::kDType, DType::kBool},
    {"torch", "int8", Role::kValue, Thing::kDType, DType::kI8},
    {"torch", "uint8", Role::kValue, Thing::kDType, DType::kU8},
    {"torch", "int16", Role::kValue, Thing::kDType, DType::kI16},
    {"torch", "uint16", Role::kValue, Thing::kDType, DType::kU16},
    {"torch", "int32", Role::kValue, Thing::kDType, DType::kI32},
    {"torch", "uint32", Role::kValue, Thing::kDType, DType::kU32},
    {"torch", "int64", Role::kValue, Thing::kDType, DType::kI64},
    {"torch", "uint64", Role::kValue, Thing::kDType, DType::kU64},
    {"torch", "float8_e4m3fn", Role::kValue, Thing::kDType, DType::kF8E4M3},
    {"torch", "float8_e5m2", Role::kValue, Thing::kDType, DType::kF8E5M2},
    {"torch", "float8_e4m3fnuz", Role::kValue, Thing::kDType, DType::kF8E4M3Fnuz},
    {"torch", "float8_e5m2fnuz", Role::kValue, Thing::kDType, DType::kF8E5M2Fnuz},
    {"torch", "float8_e8m0fnu", Role::kValue, Thing::kDType, DType::kF8E8M0},
    {"torch", "float4_e2m1fn_x2", Role::kValue, Thing::kDType, DType::kF4},
    {"torch", "complex32", Role::kValue, Thing::kDType, DType::kC32},
    {"torch", "complex64", Role::kValue, Thing::kDType, DType::kC64},
    {"torch", "complex128", Role::kValue, Thing::kDType, DType::kC128},
    {"torch", "qint8", Role::kValue, Thing::kDType},
    {"torch", "quint8", Role::kValue, Thing::kDType},
    {"torch", "qint32", Role::kValue, Thing::kDType},
    {"torch", "quint4x2", Role::kValue, Thing::kDType},
    {"torch", "quint2x4", Role::kValue, Thing::kDType},
    {"torch", "bits8", Role::kValue, Thing::kDType},
    {"torch", "bits16", Role::kValue, Thing::kDType},
    {"torch", "bits1x8", Role::kValue, Thing::kDType},
    {"torch", "bits2x4", Role::kValue, Thing::kDType},
    {"torch", "bits4x2", Role::kValue, Thing::kDType},
    {"torch", "int1", Role::kValue, Thing::kDType},
    {"torch", "int2", Role::kValue, Thing::kDType},
    {"torch", "int3", Role::kValue, Thing::kDType},
    {"torch", "int4", Role::kValue, Thing::kDType},
    {"torch", "int5", Role::kValue, Thing::kDType},
    {"torch", "int6", Role::kValue, Thing::kDType},
    {"torch", "int7", Role::kValue, Thing::kDType},
    {"torch", "uint1", Role::kValue, Thing::kDType},
    {"torch", "uint2", Role::kValue, Thing::kDType},
    {"torch", "uint3", Role::kValue, Thing::kDType},
    {"torch", "uint4", Role::kValue, Thing::kDType},
    {"torch", "uint5", Role::kValue, Thing::kDType},
    {"torch", "uint6", Role::kValue, Thing::kDType},
    {"torch", "uint7", Role::kValue, Thing::kDType},

    {"numpy", "ndarray", Role::kValue, Thing::kNumpyArray},
    {"numpy", "dtype", Role::kStateful, Thing::kNumpyDType},
    {"numpy._core.multiarray", "_reconstruct", Role::kStateful, Thing::kNumpyReconstruct},
    {"numpy._core.multiarray", "scalar", Role::kFunction, Thing::kNumpyScalar},
    {"numpy._core.numeric", "_frombuffer", Role::kFunction, Thing::kNumpyFromBuffer},
};

constexpr std::string_view kPlanModule = "torch.distributed.checkpoint.metadata";
constexpr Row kPlanRows[] = {
    {kPlanModule, "Metadata", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "TensorStorageMetadata", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "BytesStorageMetadata", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "ChunkStorageMetadata", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "TensorProperties", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "MetadataIndex", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "StorageMeta", Role::kClass, Thing::kPlanClass},
    {kPlanModule, "_MEM_FORMAT_ENCODING", Role::kFunction, Thing::kPlanClass},
    {"torch.distributed.checkpoint.filesystem", "_StorageInfo", Role::kClass, Thing::kPlanClass},
    {"pathlib", "Path", Role::kFunction, Thing::kPlanClass},
    {"pathlib", "PosixPath", Role::kFunction, Thing::kPlanClass},
    {"pathlib._local", "PosixPath", Role::kFunction, Thing::kPlanClass},
};

// Modules that were called otherwise when older files were written.
std::string_view TodaysModule(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "numpy.core.multiarray") return "numpy._core.multiarray";
  if (module == "numpy.core.numeric") return "numpy._core.numeric";
  if (module == "torch.cuda" || module == "torch.npu" || module == "torch.hpu" || module == "torch.xpu") return "torch";
  if (module == "torch.tensor") return "torch._tensor";
  return module;
}

constexpr int kScriptTag = 1 << 20;
constexpr int kPlanTag = 1 << 21;
constexpr int kUnknownTag = 1 << 22;

// Modules that run code, whatever of them is named, and functions that do so of modules that do more.
bool RunsCode(std::string_view module, std::string_view name) {
  constexpr std::array<std::string_view, 14> kModules = {"os",     "posix",   "nt",         "sys",    "subprocess",
                                                         "pty",    "runpy",   "shutil",     "socket", "importlib",
                                                         "pickle", "_pickle", "webbrowser", "pip"};
  constexpr std::array<std::string_view, 9> kFunctions = {"eval", "exec",  "execfile", "compile",   "__import__",
                                                          "open", "input", "apply",    "breakpoint"};
  if (module == "builtins" || module == "__builtin__")
    return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end();
  return std::find(kModules.begin(), kModules.end(), module) != kModules.end();
}

using Index = std::map<std::pair<std::string_view, std::string_view>, int>;

template <size_t count>
Index MakeIndex(const Row (&rows)[count], int base) {
  Index index;
  for (size_t i = 0; i < count; ++i) index[{rows[i].module, rows[i].name}] = base + static_cast<int>(i);
  return index;
}

PickleGlobal FromRow(const Row& row, int tag) { return {row.module, row.name, row.role, tag}; }

}  // namespace

TorchMeaning MeaningOf(const PickleGlobal& global) {
  if (global.tag == kUnknownTag) return {TorchThing::kUnknown, DType::kAny};
  if (global.tag == kScriptTag) return {TorchThing::kModuleClass, DType::kAny};
  const Row& row = global.tag >= kPlanTag ? kPlanRows[global.tag - kPlanTag] : kRows[global.tag];
  return {row.thing, row.dtype};
}

bool IsTorchLayout(std::string_view name) {
  constexpr std::string_view kLayouts[] = {"torch.strided",    "torch.sparse_coo", "torch.sparse_csr",
                                           "torch.sparse_csc", "torch.sparse_bsr", "torch.sparse_bsc",
                                           "torch._mkldnn",    "torch.jagged"};
  return std::find(std::begin(kLayouts), std::end(kLayouts), name) != std::end(kLayouts);
}

std::optional<PickleGlobal> TorchAllowList::Find(std::string_view module, std::string_view name) const {
  static const Index index = MakeIndex(kRows, 0);
  static const Index plan_index = MakeIndex(kPlanRows, kPlanTag);
  if (const auto found = index.find({TodaysModule(module), name}); found != index.end()) {
    return FromRow(kRows[found->second], found->second);
  }
  // Python 2's name of range.
  if (module == "__builtin__" && name == "xrange") return Find("builtins", "range");
  if (scope_ == Scope::kDistributed) {
    const auto found = plan_index.find({module, name});
    if (found != plan_index.end()) return FromRow(kPlanRows[found->second - kPlanTag], found->second);
  }
  if (scope_ == Scope::kScript && (module == "__torch__" || module.starts_with("__torch__."))) {
    return PickleGlobal{module, name, Role::kClass, kScriptTag};
  }
  if (skip_unknown_) return PickleGlobal{module, name, Role::kOpaque, kUnknownTag};
  if (scope_ == Scope::kDistributed || RunsCode(module, name)) return std::nullopt;
  return PickleGlobal{module, name, Role::kMention, kUnknownTag};
}

std::string TorchAllowList::Hint(std::string_view module, std::string_view name) const {
  if (RunsCode(module, name)) {
    return "Weights need nothing of this kind: the file tries to run code, do not load it with "
           "torch.load either";
  }
  if (module == "torch.storage" && name == "_load_from_bytes") {
    return "The file holds tensors that were pickled without torch.save: load it where it came from, and "
           "torch.save what it holds";
  }
  if (module.starts_with("torch.nn.modules") || module.starts_with("torchvision.models")) {
    return "The file holds a whole module, not its weights: where its code is, save "
           "module.state_dict() instead; or read its tensors with --skip-unknown-objects";
  }
  return "The file holds an object of some program: where it came from, save a dict of tensors (a "
         "state_dict) instead; or read around it with --skip-unknown-objects";
}

}  // namespace ckmap
