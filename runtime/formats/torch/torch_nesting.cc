#include "runtime/formats/torch/torch_nesting.h"

#include <utility>
#include <variant>

namespace ckmap {

NestingRecorder::NestingRecorder(std::string_view root_name) : has_root_(root_name.empty()) {
  nesting_->root_name = root_name;
}

// Names of the manifest begin at the root.
std::string NestingRecorder::Relative(const NestingPlace& outer, const std::string& name) const {
  const size_t skipped = nesting_->root_name.empty() ? 0 : nesting_->root_name.size() + 1;
  return outer.inside && name.size() >= skipped ? name.substr(skipped) : name;
}

uint32_t NestingRecorder::Add(const NestingPlace& outer, Nesting::Node node) {
  const auto index = static_cast<uint32_t>(nesting_->nodes.size());
  if (index >= kMaxNodes) return index;
  node.inside = outer.inside;
  node.name = Relative(outer, node.name);
  nesting_->nodes[outer.node].parts.push_back(index);
  nesting_->nodes.push_back(std::move(node));
  return index;
}

NestingPlace NestingRecorder::Open(Nesting::Kind kind, const NestingPlace* outer, PlainValue key, std::string_view name,
                                   bool is_root) {
  NestingPlace place;
  if (outer == nullptr) {
    nesting_->nodes.push_back({.kind = kind});
    place.inside = has_root_;
    if (kind != Nesting::Kind::kDict) flat_ = false;
    return place;
  }
  flat_ = false;
  place.node = Add(*outer, {.kind = kind, .key = std::move(key), .name = std::string(name)});
  if (place.node >= kMaxNodes) place.node = 0;
  place.inside = outer->inside;
  if (is_root && !has_root_) {
    has_root_ = place.inside = true;
    nesting_->root = place.node;
  }
  return place;
}

void NestingRecorder::AddTensor(const NestingPlace* outer, PlainValue key, const std::string& name) {
  if (outer == nullptr) return;
  if (!outer->inside) return LeaveOut(outer, name);
  const std::string* const text = std::get_if<std::string>(&key);
  if (text == nullptr || *text != name) flat_ = false;
  Add(*outer, {.kind = Nesting::Kind::kTensor, .key = std::move(key), .name = name});
}

void NestingRecorder::AddPart(const NestingPlace* outer, const PlainValue& key, const std::string& part,
                              const std::string& name) {
  if (outer == nullptr) return;
  const std::string* const text = std::get_if<std::string>(&key);
  AddTensor(outer, text == nullptr ? name : *text + "." + part, name);
}

void NestingRecorder::AddValue(const NestingPlace* outer, PlainValue key, const std::string& name, PlainValue value) {
  if (outer == nullptr || outer->joined != NestingPlace::kOwnKeys) return;
  flat_ = false;
  Add(*outer, {.kind = Nesting::Kind::kValue, .key = std::move(key), .value = std::move(value), .name = name});
}

void NestingRecorder::LeaveOut(const NestingPlace* outer, const std::string& name) {
  if (outer == nullptr || outer->joined != NestingPlace::kOwnKeys) return;
  flat_ = false;
  Add(*outer, {.kind = Nesting::Kind::kLeftOut, .name = name});
}

std::shared_ptr<const Nesting> NestingRecorder::Finish() && {
  if (nesting_->nodes.empty() || nesting_->nodes.size() >= kMaxNodes || !has_root_ || flat_) return nullptr;
  LeaveOutIncomplete(*nesting_);
  return std::move(nesting_);
}

}  // namespace ckmap
