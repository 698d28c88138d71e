// Random bytes as a pickle: read, interpret, flatten. Nothing may crash, hang or grow without
// bound.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_objects.h"
#include "runtime/formats/torch/torch_tree.h"

namespace ckmap {
namespace {

// A container in which every storage exists.
class AnyReferences : public TorchReferences {
 public:
  Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) override {
    CKMAP_ASSIGN_OR_RETURN(const TorchStorageId id, ParseTorchStorageId(pickle, value, 5));
    return TorchReference(id.ref);
  }
  uint32_t AddBytes(std::string /*bytes*/) override { return 0; }
};

void ReadOne(std::string_view bytes, TorchAllowList::Scope scope, bool skip_unknown = false) {
  const auto pickle = Pickle::Read(bytes, TorchAllowList(scope, skip_unknown));
  if (!pickle.ok()) return;
  AnyReferences references;
  const auto objects = TorchObjects::Interpret(*pickle, references);
  if (!objects.ok()) return;
  (void)FlattenTorch(*pickle, pickle->root(), *objects);
  (void)FindTorchRoot(*pickle, *objects, "a.b");
}

}  // namespace
}  // namespace ckmap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ckmap::ReadOne(bytes, ckmap::TorchAllowList::Scope::kCheckpoint);
  ckmap::ReadOne(bytes, ckmap::TorchAllowList::Scope::kScript);
  ckmap::ReadOne(bytes, ckmap::TorchAllowList::Scope::kCheckpoint, true);
  return 0;
}
