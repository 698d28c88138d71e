// Several checkpoints as one.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct Shard {
  std::string file;  // as it is named in messages
  std::unique_ptr<Checkpoint> checkpoint;
};

// Tensors in the order of the shards. Metadata that all shards agree on are kept. kMalformed, naming them all,
// if shards hold tensors of one name.
Result<std::unique_ptr<Checkpoint>> JoinShards(std::vector<Shard> shards);

// A list of mistakes for one message: the first 20, and how many there are besides.
class MistakeList {
 public:
  void Add(std::string mistake);
  bool empty() const { return count_ == 0; }
  // "WHERE: FIRST" or "WHERE: N mistakes:\n  …".
  Error ToError(ErrorCode code, std::string_view where) const;

 private:
  std::vector<std::string> shown_;
  size_t count_ = 0;
};

}  // namespace ckmap
