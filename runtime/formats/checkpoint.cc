#include "runtime/formats/checkpoint.h"

namespace ckmap {

Result<void> Checkpoint::VerifyStorage(uint32_t /*storage*/) const { return {}; }

}  // namespace ckmap
