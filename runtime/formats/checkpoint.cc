#include "runtime/formats/checkpoint.h"

namespace ckmap {

Result<void> Checkpoint::VerifyStorage(uint32_t /*storage*/) const { return {}; }

std::shared_ptr<const ChecksumGroup> Checkpoint::checksums(uint32_t /*storage*/) const { return nullptr; }

}  // namespace ckmap
