#include "runtime/formats/torch/torch_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/torch/torch_numpy.h"

namespace ckmap {
namespace {

std::string BytesOf(const void* value, size_t size) { return {static_cast<const char*>(value), size}; }

}  // namespace

Result<std::vector<int64_t>> TorchIntegers(const Pickle& pickle, PickleId id) {
  if (pickle.kind(id) == PickleKind::kObject && MeaningOf(pickle.callable(id)).thing == TorchThing::kSize) {
    const auto arguments = pickle.items(pickle.arguments(id));
    if (arguments.size() != 1) return Malformed("torch.Size wants one tuple");
    id = arguments[0];
  }
  if (pickle.kind(id) != PickleKind::kTuple && pickle.kind(id) != PickleKind::kList) {
    return Malformed(fmt::format("a {} where a tuple of integers should be", PickleKindName(pickle.kind(id))));
  }
  std::vector<int64_t> values;
  for (const PickleId item : pickle.items(id)) {
    if (pickle.kind(item) != PickleKind::kInt) {
      return Malformed(fmt::format("a {} where an integer should be", pickle.kind(item) == PickleKind::kBigInt
                                                                          ? "number beyond 64 bits"
                                                                          : PickleKindName(pickle.kind(item))));
    }
    values.push_back(pickle.integer(item));
  }
  return values;
}

std::string TorchObjectContext(const Pickle& pickle, PickleId id) {
  if (pickle.kind(id) != PickleKind::kObject) return fmt::format("pickle byte {}", pickle.offset(id));
  const PickleGlobal& callable = pickle.callable(id);
  return fmt::format("pickle byte {}, {}.{}", pickle.offset(id), EscapeText(callable.module),
                     EscapeText(callable.name));
}

Result<TorchStorageId> ParseTorchStorageId(const Pickle& pickle, PickleId value, size_t parts) {
  if (pickle.kind(value) != PickleKind::kTuple) {
    return Malformed(fmt::format("a persistent id that is a {}, not a tuple", PickleKindName(pickle.kind(value))));
  }
  const auto items = pickle.items(value);
  if (items.size() != parts || pickle.kind(items[0]) != PickleKind::kText) {
    return Malformed(fmt::format("a persistent id of {} parts; (\"storage\", class, key, location, elements) has {}",
                                 items.size(), parts));
  }
  if (pickle.text(items[0]) != "storage") {
    return Malformed(
        fmt::format("a persistent id of kind \"{}\"; only storages are read (a saved module must be saved anew "
                    "as its state_dict)",
                    EscapeText(pickle.text(items[0]).substr(0, 40))));
  }
  const TorchMeaning meaning =
      pickle.kind(items[1]) == PickleKind::kGlobal ? MeaningOf(pickle.global(items[1])) : TorchMeaning{};
  if (meaning.thing != TorchThing::kStorage && meaning.thing != TorchThing::kUntypedStorage &&
      meaning.thing != TorchThing::kPackedStorage) {
    return Malformed("a persistent id whose second part is no storage class");
  }
  if (pickle.kind(items[2]) != PickleKind::kText || pickle.text(items[2]).empty()) {
    return Malformed("a storage key that is no text");
  }
  if (pickle.kind(items[3]) != PickleKind::kText) return Malformed("a storage location that is no text");
  if (pickle.kind(items[4]) != PickleKind::kInt || pickle.integer(items[4]) < 0) {
    return Malformed("a storage whose number of elements is no integer from 0 on");
  }
  TorchStorageId id;
  id.key = pickle.text(items[2]);
  id.ref.dtype = meaning.dtype;
  id.ref.packed = meaning.thing == TorchThing::kPackedStorage;
  id.ref.numel = pickle.integer(items[4]);
  const auto bytes = NumBytes({id.ref.numel}, meaning.dtype == DType::kAny ? DType::kU8 : meaning.dtype);
  if (!bytes) return Malformed(fmt::format("a storage of {} elements", id.ref.numel));
  id.bytes = *bytes;
  if (parts > 5) id.view = items[5];
  return id;
}

const TorchTensor* TorchObjects::tensor(PickleId id) const {
  const auto found = tensors_.find(id);
  return found == tensors_.end() ? nullptr : &found->second;
}

const TorchParts* TorchObjects::parts(PickleId id) const {
  const auto found = parts_.find(id);
  return found == parts_.end() ? nullptr : &found->second;
}

bool TorchObjects::opaque(PickleId id) const { return opaque_.contains(id); }

PickleId TorchObjects::wrapped(PickleId id) const {
  const auto found = wrapped_.find(id);
  return found == wrapped_.end() ? kNoPickle : found->second;
}

// Goes over the nodes in the order in which they were made, so that arguments come before calls.
class TorchInterpreter {
 public:
  TorchInterpreter(const Pickle& pickle, TorchReferences& references) : pickle_(pickle), references_(references) {}
  Result<TorchObjects> Run();

 private:
  using Items = std::span<const PickleId>;

  Result<void> Charge(size_t work);
  Result<void> ChargeValues(Items values);
  Result<void> Reference(PickleId id);
  Result<void> Object(PickleId id);
  bool IsUnknown(PickleId id) const;
  bool TakesUnknown(PickleId id) const;
  Result<void> CheckMentions() const;
  Result<void> CheckPlain(PickleId id, TorchThing thing);
  Result<TorchTensor> Rebuild(PickleId id, TorchThing thing, Items arguments);
  Result<TorchTensor> Strided(Items arguments, size_t dtype_at, size_t metadata_at);
  Result<TorchTensor> FromType(PickleId id, Items arguments);
  Result<TorchTensor> FromDevice(Items arguments);
  Result<bool> Narrow(PickleId array, TorchTensor& tensor);
  Result<TorchTensor> Sparse(Items arguments);
  Result<TorchTensor> Listed(Items arguments, size_t dtype_at, size_t shape_at, std::string why);
  Result<TorchParts> Quantized(Items arguments);
  Result<void> ApplyBits(PickleId metadata, TorchTensor& tensor);
  Result<TorchTensor> TensorAt(PickleId id) const;
  Result<TorchStorageRef> StorageAt(PickleId id) const;
  Result<DType> DTypeAt(PickleId id) const;
  TorchTensor NumberTensor(DType dtype, std::string bytes);

  const Pickle& pickle_;
  TorchReferences& references_;
  TorchObjects objects_;
  std::unordered_map<PickleId, TorchStorageRef> storages_;
  std::unordered_set<PickleId> classes_;  // globals that a tensor or an array says it is of
  size_t work_ = 0;
};

Result<TorchObjects> TorchObjects::Interpret(const Pickle& pickle, TorchReferences& references) {
  return TorchInterpreter(pickle, references).Run();
}

Result<TorchObjects> TorchInterpreter::Run() {
  for (PickleId id = 0; id < pickle_.size(); ++id) {
    const PickleKind kind = pickle_.kind(id);
    if (kind != PickleKind::kPersistentId && kind != PickleKind::kObject) continue;
    auto status = kind == PickleKind::kPersistentId ? Reference(id) : Object(id);
    if (status.ok()) continue;
    if (kind == PickleKind::kObject && status.error().code() == ErrorCode::kMalformed && TakesUnknown(id)) {
      objects_.opaque_.insert(id);
      continue;
    }
    return std::move(status).error().Context(TorchObjectContext(pickle_, id));
  }
  CKMAP_RETURN_IF_ERROR(CheckMentions());
  return std::move(objects_);
}

bool TorchInterpreter::IsUnknown(PickleId id) const {
  const PickleKind kind = pickle_.kind(id);
  if (kind == PickleKind::kGlobal) return pickle_.global(id).role == PickleRole::kOpaque;
  return kind == PickleKind::kObject && (pickle_.callable(id).role == PickleRole::kOpaque || objects_.opaque(id));
}

// Whether anything that the call was given, or a tuple or list among it holds, is of an unknown class.
bool TorchInterpreter::TakesUnknown(PickleId id) const {
  const auto holds = [&](PickleId part) {
    if (IsUnknown(part)) return true;
    const PickleKind kind = pickle_.kind(part);
    if (kind != PickleKind::kTuple && kind != PickleKind::kList) return false;
    const Items items = pickle_.items(part);
    return std::any_of(items.begin(), items.end(), [&](PickleId item) { return IsUnknown(item); });
  };
  const Items arguments = pickle_.items(pickle_.arguments(id));
  return std::any_of(arguments.begin(), arguments.end(), holds) ||
         (pickle_.state(id) != kNoPickle && holds(pickle_.state(id)));
}

Result<void> TorchInterpreter::CheckMentions() const {
  for (PickleId id = 0; id < pickle_.size(); ++id) {
    if (pickle_.kind(id) == PickleKind::kGlobal && pickle_.global(id).role == PickleRole::kMention &&
        !classes_.contains(id)) {
      return RefusedPickleGlobal(pickle_, id, TorchAllowList());
    }
  }
  return {};
}

// The memo lets a few bytes call a function on a large argument once more. Honest files stay far
// below this.
Result<void> TorchInterpreter::Charge(size_t work) {
  constexpr size_t kFree = size_t{1} << 20;
  constexpr size_t kFactor = 8;
  work_ += work;
  if (work_ <= kFree + kFactor * pickle_.end()) return {};
  return Malformed("the pickle uses the same values over and over, as only hostile files do");
}

Result<void> TorchInterpreter::ChargeValues(Items values) {
  size_t work = 1;
  for (PickleId id : values) {
    if (pickle_.kind(id) == PickleKind::kObject) {  // torch.Size, _codecs.encode: what they were called with
      const Items inner = pickle_.items(pickle_.arguments(id));
      if (inner.empty()) continue;
      id = inner[0];
    }
    switch (pickle_.kind(id)) {
      case PickleKind::kTuple:
      case PickleKind::kList:
      case PickleKind::kDict:
        work += pickle_.items(id).size();
        break;
      case PickleKind::kText:
      case PickleKind::kBytes:
      case PickleKind::kByteArray:
        work += pickle_.text(id).size();
        break;
      default:
        ++work;
        break;
    }
  }
  return Charge(work);
}

Result<void> TorchInterpreter::Reference(PickleId id) {
  CKMAP_ASSIGN_OR_RETURN(TorchReference reference, references_.Resolve(pickle_, pickle_.persistent_id(id)));
  if (auto* tensor = std::get_if<TorchTensor>(&reference)) {
    objects_.tensors_.emplace(id, std::move(*tensor));
    return {};
  }
  const TorchStorageRef& ref = std::get<TorchStorageRef>(reference);
  if (storages_.size() >= kMaxTorchTensors) {
    return Error(ErrorCode::kLimit, fmt::format("more than {} storages", kMaxTorchTensors));
  }
  storages_.emplace(id, ref);
  // Seen only where a bare storage stands in the place of a tensor.
  TorchTensor bare =
      UnreadableTorchTensor(ref.dtype, {ref.numel}, "a bare storage, without a shape; save a tensor of it");
  bare.layout.storage = ref.storage;
  objects_.tensors_.emplace(id, std::move(bare));
  return {};
}

Result<void> TorchInterpreter::Object(PickleId id) {
  const TorchThing thing = MeaningOf(pickle_.callable(id)).thing;
  const Items arguments = pickle_.items(pickle_.arguments(id));
  CKMAP_RETURN_IF_ERROR(ChargeValues(arguments));
  const PickleId state = pickle_.state(id);
  if (state != kNoPickle && pickle_.kind(state) == PickleKind::kTuple) {
    CKMAP_RETURN_IF_ERROR(ChargeValues(pickle_.items(state)));
  }
  if (objects_.tensors_.size() + objects_.parts_.size() >= 2 * kMaxTorchTensors) {
    return Error(ErrorCode::kLimit, fmt::format("more than {} tensors", kMaxTorchTensors));
  }
  switch (thing) {
    case TorchThing::kNumpyReconstruct:
    case TorchThing::kNumpyFromBuffer: {
      const Items made = pickle_.items(pickle_.arguments(id));
      if (!made.empty() && pickle_.kind(made[0]) == PickleKind::kGlobal) classes_.insert(made[0]);
      CKMAP_ASSIGN_OR_RETURN(auto tensor, ReadNumpyArray(pickle_, id, references_));
      if (tensor) objects_.tensors_.emplace(id, *std::move(tensor));
      return {};
    }
    case TorchThing::kRebuildQuantized: {
      CKMAP_ASSIGN_OR_RETURN(TorchParts parts, Quantized(arguments));
      objects_.parts_.emplace(id, std::move(parts));
      return {};
    }
    case TorchThing::kSize:
    case TorchThing::kDevice:
    case TorchThing::kLayout:
    case TorchThing::kEncode:
    case TorchThing::kBytes:
    case TorchThing::kByteArray:
    case TorchThing::kComplex:
    case TorchThing::kSlice:
    case TorchThing::kRange:
    case TorchThing::kType:
    case TorchThing::kNpuFormat:
    case TorchThing::kNumpyScalar:
    case TorchThing::kNumpyDType:
    case TorchThing::kUnknown:
    case TorchThing::kModuleClass:
    case TorchThing::kPlanClass:
      return CheckPlain(id, thing);
    default: {
      CKMAP_ASSIGN_OR_RETURN(TorchTensor tensor, Rebuild(id, thing, arguments));
      objects_.tensors_.emplace(id, std::move(tensor));
      return {};
    }
  }
}

// Calls that make plain values: right in form, though nobody may want them.
Result<void> TorchInterpreter::CheckPlain(PickleId id, TorchThing thing) {
  const Items arguments = pickle_.items(pickle_.arguments(id));
  const auto kind = [&](size_t i) { return i < arguments.size() ? pickle_.kind(arguments[i]) : PickleKind::kNone; };
  switch (thing) {
    case TorchThing::kSize:
      CKMAP_RETURN_IF_ERROR(TorchIntegers(pickle_, id));
      return {};
    case TorchThing::kEncode:
      CKMAP_RETURN_IF_ERROR(PickledBytes(pickle_, id));
      return {};
    case TorchThing::kNumpyScalar:
      CKMAP_RETURN_IF_ERROR(ReadNumpyScalar(pickle_, id));
      return {};
    case TorchThing::kComplex:
      if (arguments.size() == 2 && kind(0) == PickleKind::kFloat && kind(1) == PickleKind::kFloat) return {};
      return Malformed("wants two floats");
    case TorchThing::kBytes:
    case TorchThing::kByteArray: {
      if (arguments.empty()) return {};
      const bool text = arguments.size() == 2 && kind(0) == PickleKind::kText && kind(1) == PickleKind::kText;
      if (!text && arguments.size() != 1) return Malformed("wants bytes");
      if (!text && kind(0) == PickleKind::kText) return Malformed("wants bytes");
      CKMAP_RETURN_IF_ERROR(PickledBytes(pickle_, arguments[0]));
      return {};
    }
    case TorchThing::kDevice:
      if (kind(0) != PickleKind::kText) return Malformed("wants a name");
      return {};
    case TorchThing::kSlice:
    case TorchThing::kRange:
      if (arguments.empty() || arguments.size() > 3) return Malformed("wants one to three numbers");
      return {};
    case TorchThing::kType:
      if (arguments.size() != 1) return Malformed("makes a class of what it is given");
      return {};
    case TorchThing::kLayout:
      if (kind(0) != PickleKind::kText || !IsTorchLayout(pickle_.text(arguments[0])))
        return Malformed("wants the name of a layout");
      return {};
    default:
      return {};
  }
}

Result<TorchTensor> TorchInterpreter::Rebuild(PickleId id, TorchThing thing, Items arguments) {
  const auto wants = [&](size_t least, size_t most) -> Result<void> {
    if (arguments.size() >= least && arguments.size() <= most) return {};
    return Malformed(fmt::format("{} arguments; it takes {}{}", arguments.size(), least,
                                 most > least ? fmt::format(" to {}", most) : ""));
  };
  switch (thing) {
    case TorchThing::kRebuildTensor:
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      return Strided(arguments, 4, 4);
    case TorchThing::kRebuildTensorV2:
      CKMAP_RETURN_IF_ERROR(wants(6, 7));
      return Strided(arguments, arguments.size(), 6);
    case TorchThing::kRebuildTensorV3:
      CKMAP_RETURN_IF_ERROR(wants(7, 8));
      return Strided(arguments, 6, 7);
    case TorchThing::kRebuildParameterWithState:
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      ++objects_.attributed_;
      return TensorAt(arguments[0]);
    case TorchThing::kRebuildParameter:
      CKMAP_RETURN_IF_ERROR(wants(3, 3));
      return TensorAt(arguments[0]);
    case TorchThing::kRebuildFromCpu:
    case TorchThing::kRebuildFromNumpy:
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      return FromDevice(arguments);
    case TorchThing::kRebuildNpu:
      CKMAP_RETURN_IF_ERROR(wants(6, 7));
      return Strided(arguments.first(6), 6, 6);
    case TorchThing::kRebuildFromType:
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      return FromType(id, arguments);
    case TorchThing::kRebuildSparse:
      CKMAP_RETURN_IF_ERROR(wants(2, 2));
      return Sparse(arguments);
    case TorchThing::kRebuildMeta:
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      return Listed(arguments, 0, 1, "a meta tensor, which has a shape and no data");
    case TorchThing::kRebuildWrapper:
      CKMAP_RETURN_IF_ERROR(wants(8, 8));
      if (pickle_.kind(arguments[0]) == PickleKind::kGlobal) classes_.insert(arguments[0]);
      return Listed(arguments, 1, 2, "a tensor of a class with its own code; save it as a plain tensor");
    case TorchThing::kRebuildNested: {
      CKMAP_RETURN_IF_ERROR(wants(4, 4));
      CKMAP_ASSIGN_OR_RETURN(const TorchTensor buffer, TensorAt(arguments[0]));
      return UnreadableTorchTensor(buffer.dtype, buffer.shape,
                                   "a nested tensor, which has no one shape; save its unbind() list");
    }
    default:
      return Malformed("makes nothing that is known");
  }
}

// (storage, offset, size, stride, …); positions past the end say that there is no such argument.
Result<TorchTensor> TorchInterpreter::Strided(Items arguments, size_t dtype_at, size_t metadata_at) {
  CKMAP_ASSIGN_OR_RETURN(const TorchStorageRef ref, StorageAt(arguments[0]));
  if (pickle_.kind(arguments[1]) != PickleKind::kInt) return Malformed("the storage offset is no 64-bit integer");
  CKMAP_ASSIGN_OR_RETURN(const Shape sizes, TorchIntegers(pickle_, arguments[2]));
  CKMAP_ASSIGN_OR_RETURN(const auto strides, TorchIntegers(pickle_, arguments[3]));
  DType dtype = ref.dtype;
  if (dtype_at < arguments.size()) {
    CKMAP_ASSIGN_OR_RETURN(dtype, DTypeAt(arguments[dtype_at]));
    if (dtype == DType::kAny) {
      const PickleGlobal& global = pickle_.global(arguments[dtype_at]);
      return UnreadableTorchTensor(DType::kAny, sizes,
                                   fmt::format("its type {}.{} has no counterpart", global.module, global.name));
    }
  }
  if (!ref.unreadable.empty()) return UnreadableTorchTensor(dtype, sizes, ref.unreadable);
  if (dtype == DType::kAny) return Malformed("an untyped storage without an element type");
  if (ref.packed) return UnreadableTorchTensor(dtype, sizes, "elements packed below a byte, without their scheme");
  CKMAP_ASSIGN_OR_RETURN(TorchTensor tensor, MakeTorchTensor(ref, dtype, sizes, strides, pickle_.integer(arguments[1]),
                                                             references_.byteswap()));
  if (metadata_at < arguments.size()) CKMAP_RETURN_IF_ERROR(ApplyBits(arguments[metadata_at], tensor));
  return tensor;
}

// What an Ascend device writes beside a tensor, one key for each fact: "npu_format_/FRACTAL_NZ", "base_sizes_/2/3/". It
// says how the device is to lay the tensor out; the bytes of the file are laid out as torch's.
bool IsNpuMetadata(std::string_view key) {
  constexpr std::array<std::string_view, 5> kFacts = {"base_sizes_/", "base_strides_/", "storage_sizes_/",
                                                      "origin_format_/", "npu_format_/"};
  return std::any_of(kFacts.begin(), kFacts.end(), [&](std::string_view fact) { return key.starts_with(fact); });
}

// {"conj": True, "neg": True}: the elements are to be conjugated or negated when they are read.
Result<void> TorchInterpreter::ApplyBits(PickleId metadata, TorchTensor& tensor) {
  if (pickle_.kind(metadata) == PickleKind::kNone) return {};
  if (pickle_.kind(metadata) != PickleKind::kDict) return Malformed("the tensor's metadata is no dict");
  const Items items = pickle_.items(metadata);
  for (size_t i = 0; i < items.size(); i += 2) {
    if (pickle_.kind(items[i]) != PickleKind::kText || pickle_.kind(items[i + 1]) != PickleKind::kBool) {
      tensor.unreadable = "it carries metadata of its backend, whose meaning is not known";
      return {};
    }
    const std::string_view key = pickle_.text(items[i]);
    if (IsNpuMetadata(key)) continue;
    if (key == "conj") {
      tensor.layout.conjugate = pickle_.boolean(items[i + 1]);
    } else if (key == "neg") {
      tensor.layout.negative = pickle_.boolean(items[i + 1]);
    } else {
      tensor.unreadable =
          fmt::format("it carries metadata \"{}\", whose meaning is not known", EscapeText(key.substr(0, 40)));
    }
  }
  if (tensor.layout.conjugate && !IsComplex(tensor.dtype)) return Malformed("a conjugate bit on a real tensor");
  return {};
}

// numpy has no bf16, so such tensors are written as arrays of f32. False if these are not the same numbers.
Result<bool> TorchInterpreter::Narrow(PickleId array, TorchTensor& tensor) {
  if (pickle_.kind(array) != PickleKind::kObject || tensor.layout.byteswap) return false;
  const TorchThing made_by = MeaningOf(pickle_.callable(array)).thing;
  if (made_by != TorchThing::kNumpyReconstruct && made_by != TorchThing::kNumpyFromBuffer) return false;
  CKMAP_ASSIGN_OR_RETURN(const std::string wide, NumpyArrayBytes(pickle_, array));
  CKMAP_RETURN_IF_ERROR(Charge(wide.size()));
  std::string narrow;
  narrow.reserve(wide.size() / 2);
  for (size_t i = 0; i + 4 <= wide.size(); i += 4) {
    if (wide[i] != 0 || wide[i + 1] != 0) return false;
    narrow.append(wide, i + 2, 2);
  }
  tensor.dtype = DType::kBF16;
  tensor.layout.storage = references_.AddBytes(std::move(narrow));
  for (int64_t& stride : tensor.layout.strides) stride /= 2;
  return true;
}

// (data, dtype, device, requires_grad): a tensor or an array of the host, of another type where the host had none
// for the device's.
Result<TorchTensor> TorchInterpreter::FromDevice(Items arguments) {
  CKMAP_ASSIGN_OR_RETURN(TorchTensor tensor, TensorAt(arguments[0]));
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, DTypeAt(arguments[1]));
  if (dtype == tensor.dtype || !tensor.unreadable.empty()) return tensor;
  if (dtype == DType::kBF16 && tensor.dtype == DType::kF32) {
    CKMAP_ASSIGN_OR_RETURN(const bool narrowed, Narrow(arguments[0], tensor));
    if (narrowed) return tensor;
  }
  return UnreadableTorchTensor(
      dtype, tensor.shape,
      fmt::format("it was {} on its device and is stored as {}; load it and save it anew from a CPU",
                  dtype == DType::kAny ? "of another type" : DTypeName(dtype), DTypeName(tensor.dtype)));
}

// (function, type, arguments, attributes): one of the rebuild functions, called in place. The type is the class of
// the tensor; what its class adds is left out.
Result<TorchTensor> TorchInterpreter::FromType(PickleId id, Items arguments) {
  const auto meaning = [&](size_t i) {
    return pickle_.kind(arguments[i]) == PickleKind::kGlobal ? MeaningOf(pickle_.global(arguments[i])) : TorchMeaning{};
  };
  constexpr std::array<TorchThing, 11> kFunctions = {TorchThing::kRebuildTensor,
                                                     TorchThing::kRebuildTensorV2,
                                                     TorchThing::kRebuildTensorV3,
                                                     TorchThing::kRebuildParameter,
                                                     TorchThing::kRebuildParameterWithState,
                                                     TorchThing::kRebuildWrapper,
                                                     TorchThing::kRebuildSparse,
                                                     TorchThing::kRebuildMeta,
                                                     TorchThing::kRebuildFromCpu,
                                                     TorchThing::kRebuildFromNumpy,
                                                     TorchThing::kRebuildNpu};
  const TorchThing function = meaning(0).thing;
  if (std::find(kFunctions.begin(), kFunctions.end(), function) == kFunctions.end()) {
    return Malformed("its first argument is no function that makes a plain tensor");
  }
  const TorchThing type = meaning(1).thing;
  if (type != TorchThing::kTensorClass && type != TorchThing::kUnknown)
    return Malformed("its second argument is no tensor class");
  if (pickle_.kind(arguments[2]) != PickleKind::kTuple) return Malformed("its third argument is no tuple");
  const Items inner = pickle_.items(arguments[2]);
  CKMAP_RETURN_IF_ERROR(ChargeValues(inner));
  CKMAP_ASSIGN_OR_RETURN(TorchTensor tensor, Rebuild(id, function, inner));
  const PickleId state = arguments[3];
  const PickleKind kind = pickle_.kind(state);
  const bool empty = kind == PickleKind::kNone ||
                     ((kind == PickleKind::kDict || kind == PickleKind::kTuple) && pickle_.items(state).empty());
  if (type == TorchThing::kUnknown) {
    classes_.insert(arguments[1]);
    const PickleGlobal& global = pickle_.global(arguments[1]);
    if (function != TorchThing::kRebuildWrapper)
      ++objects_.subclasses_[fmt::format("{}.{}", global.module, global.name)];
  }
  if (function == TorchThing::kRebuildWrapper) {
    objects_.wrapped_.emplace(id, state);
  } else if (!empty) {
    ++objects_.attributed_;
  }
  return tensor;
}

// (layout, (indices, values, size, …)) for COO, (layout, (indices, indices, values, size)) for the
// others.
Result<TorchTensor> TorchInterpreter::Sparse(Items arguments) {
  const std::string why = "a sparse tensor; save it .to_dense()";
  if (pickle_.kind(arguments[1]) != PickleKind::kTuple) return Malformed("its second argument is no tuple");
  const Items data = pickle_.items(arguments[1]);
  DType dtype = DType::kAny;
  Shape shape = {0};
  for (const PickleId part : data) {  // the last tensor holds the values, the last torch.Size the shape
    if (const TorchTensor* tensor = objects_.tensor(part)) dtype = tensor->dtype;
    if (pickle_.kind(part) == PickleKind::kObject && MeaningOf(pickle_.callable(part)).thing == TorchThing::kSize) {
      CKMAP_ASSIGN_OR_RETURN(shape, TorchIntegers(pickle_, part));
    }
  }
  return UnreadableTorchTensor(dtype, std::move(shape), why);
}

Result<TorchTensor> TorchInterpreter::Listed(Items arguments, size_t dtype_at, size_t shape_at, std::string why) {
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, DTypeAt(arguments[dtype_at]));
  CKMAP_ASSIGN_OR_RETURN(Shape shape, TorchIntegers(pickle_, arguments[shape_at]));
  return UnreadableTorchTensor(dtype, std::move(shape), std::move(why));
}

// (storage, offset, size, stride, (scheme, …), requires_grad, hooks)
Result<TorchParts> TorchInterpreter::Quantized(Items arguments) {
  if (arguments.size() != 7) return Malformed(fmt::format("{} arguments; it takes 7", arguments.size()));
  if (pickle_.kind(arguments[4]) != PickleKind::kTuple) return Malformed("the quantisation scheme is no tuple");
  const Items scheme = pickle_.items(arguments[4]);
  const TorchThing thing = !scheme.empty() && pickle_.kind(scheme[0]) == PickleKind::kGlobal
                               ? MeaningOf(pickle_.global(scheme[0])).thing
                               : TorchThing::kOther;
  TorchParts parts;
  CKMAP_ASSIGN_OR_RETURN(TorchTensor elements, Strided(arguments.first(4), 4, 4));
  parts.tensors.emplace_back("int_repr", std::move(elements));
  if (thing == TorchThing::kPerTensor) {
    if (scheme.size() != 3 || pickle_.kind(scheme[1]) != PickleKind::kFloat ||
        pickle_.kind(scheme[2]) != PickleKind::kInt) {
      return Malformed("a scheme that is not (per_tensor_affine, scale, zero point)");
    }
    const double scale = pickle_.real(scheme[1]);
    const int64_t zero = pickle_.integer(scheme[2]);
    parts.tensors.emplace_back("scale", NumberTensor(DType::kF64, BytesOf(&scale, sizeof scale)));
    parts.tensors.emplace_back("zero_point", NumberTensor(DType::kI64, BytesOf(&zero, sizeof zero)));
    return parts;
  }
  if (thing != TorchThing::kPerChannel || scheme.size() != 4 || pickle_.kind(scheme[3]) != PickleKind::kInt) {
    return Malformed("a quantisation scheme that is not known");
  }
  CKMAP_ASSIGN_OR_RETURN(TorchTensor scales, TensorAt(scheme[1]));
  CKMAP_ASSIGN_OR_RETURN(TorchTensor zeros, TensorAt(scheme[2]));
  parts.tensors.emplace_back("scales", std::move(scales));
  parts.tensors.emplace_back("zero_points", std::move(zeros));
  parts.others.push_back({"axis", "int", pickle_.integer(scheme[3])});
  return parts;
}

TorchTensor TorchInterpreter::NumberTensor(DType dtype, std::string bytes) {
  TorchTensor tensor;
  tensor.dtype = dtype;
  tensor.layout.storage = references_.AddBytes(std::move(bytes));
  return tensor;
}

Result<TorchTensor> TorchInterpreter::TensorAt(PickleId id) const {
  const TorchTensor* tensor = objects_.tensor(id);
  if (tensor == nullptr || storages_.contains(id)) {
    return Malformed(fmt::format("a {} where a tensor should be", PickleKindName(pickle_.kind(id))));
  }
  return *tensor;
}

Result<TorchStorageRef> TorchInterpreter::StorageAt(PickleId id) const {
  const auto found = storages_.find(id);
  if (found == storages_.end())
    return Malformed(fmt::format("a {} where a storage should be", PickleKindName(pickle_.kind(id))));
  return found->second;
}

Result<DType> TorchInterpreter::DTypeAt(PickleId id) const {
  if (pickle_.kind(id) == PickleKind::kGlobal) {
    const TorchMeaning meaning = MeaningOf(pickle_.global(id));
    if (meaning.thing == TorchThing::kDType) return meaning.dtype;
  }
  return Malformed(fmt::format("a {} where an element type should be", PickleKindName(pickle_.kind(id))));
}

}  // namespace ckmap
