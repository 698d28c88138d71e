// The globals that a torch checkpoint may name, and what each stands for. Internal to torch.
//
// The list is that of torch.load(weights_only=True), with what real files hold beside it: numpy
// arrays and scalars, defaultdict, nested tensors. All of it is data here; nothing is called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/formats/pickle/pickle.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {

enum class TorchThing : uint8_t {
  kOther,           // allowed, of no interest: OrderedDict, a quantisation scheme's relatives
  kStorage,         // torch.FloatStorage: dtype
  kUntypedStorage,  // counted in bytes
  kPackedStorage,   // elements below a byte
  kDType,           // torch.float32: dtype, kAny for one that has no spelling here
  kTensorType,      // torch.FloatTensor: dtype
  kTensorClass,     // torch.Tensor, torch.nn.Parameter
  kPerTensor,       // quantisation with one scale
  kPerChannel,      // quantisation with a scale for each index of an axis
  kScheme,          // another quantisation scheme
  kRebuildTensor,   // torch._utils._rebuild_tensor, and so on: a tensor from its arguments
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kRebuildParameterWithState,
  kRebuildFromType,
  kRebuildQuantized,
  kRebuildSparse,
  kRebuildMeta,
  kRebuildNested,
  kRebuildWrapper,
  kRebuildFromCpu,  // tensors of other devices, saved as CPU tensors or numpy arrays
  kRebuildFromNumpy,
  kRebuildNpu,  // a tensor of an Ascend device, saved with a CPU storage
  kNpuFormat,   // how an Ascend device lays its tensors out; the file's bytes are as torch's
  kSize,
  kDevice,
  kLayout,
  kEncode,  // _codecs.encode: bytes in the protocols that have none
  kBytes,
  kByteArray,
  kComplex,
  kSlice,
  kRange,
  kType,              // type(None) and its like
  kNumpyReconstruct,  // an empty array, to be given a state
  kNumpyFromBuffer,
  kNumpyScalar,
  kNumpyDType,
  kNumpyArray,   // numpy.ndarray
  kUnknown,      // no global that is known: skipped, or the class that a tensor says it is of
  kModuleClass,  // __torch__.…: a class of a TorchScript archive
  kPlanClass,    // torch.distributed.checkpoint.…: told apart by its name
};

struct TorchMeaning {
  TorchThing thing = TorchThing::kOther;
  DType dtype = DType::kAny;
};

// What a global on the list stands for.
TorchMeaning MeaningOf(const PickleGlobal& global);

// Whether a layout of tensors has this name: torch.strided, torch.sparse_coo and their relatives.
bool IsTorchLayout(std::string_view name);

class TorchAllowList : public PickleAllowList {
 public:
  enum class Scope : uint8_t {
    kCheckpoint,   // torch.save
    kScript,       // data.pkl of TorchScript: classes of the archive's own code too
    kDistributed,  // .metadata of a distributed checkpoint
  };
  // `skip_unknown`: globals that are not on the list pass as kUnknown; what they make stays an object. Without
  // it a checkpoint may mention them (PickleRole::kMention), and TorchObjects refuses it unless a tensor does so
  // as its class.
  explicit TorchAllowList(Scope scope = Scope::kCheckpoint, bool skip_unknown = false)
      : scope_(scope), skip_unknown_(skip_unknown) {}

  std::optional<PickleGlobal> Find(std::string_view module, std::string_view name) const override;
  std::string Hint(std::string_view module, std::string_view name) const override;
  // The old container writes the class of a module as ("module", class, file, source).
  bool IsClassReference(std::string_view kind) const override { return kind == "module"; }
  bool skips_unknown() const override { return skip_unknown_; }

 private:
  Scope scope_;
  bool skip_unknown_;
};

}  // namespace ckmap
