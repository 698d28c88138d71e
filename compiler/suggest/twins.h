// Tensors that hold the same values: zeros and ones, norms that nobody trained, copies. Values do not tell them apart;
// what stands beside them may, or their names. Private to compiler/suggest.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "compiler/suggest/values.h"
#include "runtime/tensor/manifest.h"

namespace ckmap::suggest {

class Twins {
 public:
  Twins(const Manifest& source, const Manifest& target, const Values& values);

  // Whether another tensor of its side holds what this one holds, in any order.
  bool OfSource(size_t tensor) const;
  bool OfTarget(size_t tensor) const;

  // Pairs of tensors that have no twins, and whose values are equal: what stands beside the others.
  void SetAnchors(const std::vector<std::pair<size_t, size_t>>& pairs);

  // Whether a source is the one of its twins that becomes this target: it is the only one in the module, block or
  // network whose other tensors become those beside the target; or the only one there whose name says the same.
  bool Decided(size_t source, size_t target) const;

 private:
  // Of one side: what a tensor holds, and how many tensors beneath a path hold it.
  struct Side {
    const Manifest* manifest = nullptr;
    std::vector<std::string> content;
    std::unordered_map<std::string, std::vector<size_t>> beneath;  // path and content → tensors
    std::unordered_map<std::string, std::string> partners;         // path → the path beneath which all partners are
  };
  static Side SideOf(const Manifest& manifest, const std::vector<Fingerprint>& prints);
  static void AddPartner(Side& side, const std::string& name, const std::string& partner);
  static const std::vector<size_t>& Beneath(const Side& side, const std::string& path, size_t tensor);
  bool OnlyByName(const std::string& from, size_t source, const std::string& to, size_t target) const;

  Side source_, target_;
};

}  // namespace ckmap::suggest
