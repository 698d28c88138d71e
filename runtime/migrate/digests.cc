#include "runtime/migrate/digests.h"

#include <set>

#include "runtime/exec/tensor_reader.h"

namespace ckmap {

Result<std::vector<std::string>> DigestTensors(const Checkpoint& checkpoint,
                                               const std::function<void(int64_t done, int64_t total)>& progress) {
  const Manifest& manifest = checkpoint.manifest();
  int64_t total = 0;
  for (const TensorInfo& tensor : manifest.tensors()) total += NumBytes(tensor.shape, tensor.dtype).value_or(0);
  std::vector<std::string> digests(manifest.size());
  int64_t done = 0;
  std::set<uint32_t> verified;
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (!manifest[i].unreadable.empty()) continue;
    if (progress) progress(done, total);
    const uint32_t storage = checkpoint.layout(i).storage;
    if (verified.insert(storage).second) CKMAP_RETURN_IF_ERROR(checkpoint.VerifyStorage(storage));
    CKMAP_ASSIGN_OR_RETURN(digests[i], DigestTensor(checkpoint, i));
    done += NumBytes(manifest[i].shape, manifest[i].dtype).value_or(0);
  }
  return digests;
}

}  // namespace ckmap
