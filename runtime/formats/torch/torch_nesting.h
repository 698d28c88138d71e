// Records, while the values of a torch pickle are listed by name, how they lie in one another. Internal to torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/tensor/nesting.h"

namespace ckmap {

// Where the parts of a container go.
struct NestingPlace {
  static constexpr size_t kOwnKeys = ~size_t{0};
  uint32_t node = 0;         // of the nesting: a dict, list or tuple
  size_t joined = kOwnKeys;  // else they are entries of the dict `node` under their names from this byte on
  bool inside = false;       // in the root
};

class NestingRecorder {
 public:
  // `root_name`: of the root; "": it is the outermost container.
  explicit NestingRecorder(std::string_view root_name);

  // `outer`: the container that it is a part of; null for the outermost. `name`: the keys joined with dots.
  NestingPlace Open(Nesting::Kind kind, const NestingPlace* outer, PlainValue key, std::string_view name, bool is_root);
  void AddTensor(const NestingPlace* outer, PlainValue key, const std::string& name);
  // A tensor that is a part of an entry; `name` with the part.
  void AddPart(const NestingPlace* outer, const PlainValue& key, const std::string& part, const std::string& name);
  // Nothing in an object that is written as a dict: what it holds besides tensors belongs to the object.
  void AddValue(const NestingPlace* outer, PlainValue key, const std::string& name, PlainValue value);
  void LeaveOut(const NestingPlace* outer, const std::string& name);
  void Converted(const std::string& name) { nesting_->converted.push_back(name); }

  // Null for one dict of tensors under their names, and if the root was not met.
  std::shared_ptr<const Nesting> Finish() &&;

 private:
  uint32_t Add(const NestingPlace& outer, Nesting::Node node);
  std::string Relative(const NestingPlace& outer, const std::string& name) const;

  std::shared_ptr<Nesting> nesting_ = std::make_shared<Nesting>();
  // Beyond, nothing is recorded: a torch file has at most kMaxTorchTensors tensors.
  static constexpr size_t kMaxNodes = size_t{1} << 21;
  bool has_root_;
  bool flat_ = true;
};

}  // namespace ckmap
