// The source as statements see it: the tensors of the files, and derived sources in place of those that they are made
// of.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/bind/source_facts.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

namespace plan {
class Rule;
}

// A tensor that a rule `-> source` makes.
struct DerivedSource {
  PiecedTensor value;            // its inputs count the files' tensors
  std::vector<std::string> ops;  // "dequantize(to=bf16, block=[128, 128])", as reports show it
  const plan::Rule* rule = nullptr;
  std::vector<size_t> files;  // tensors of the files that it is made of, each once
};

class VisibleSource {
 public:
  // Referred to. At first all of the files' tensors are visible, as they are.
  VisibleSource(const Manifest& files, const SourceFacts& facts);
  VisibleSource(const VisibleSource&) = delete;
  VisibleSource& operator=(const VisibleSource&) = delete;

  const Manifest& files() const { return files_; }
  // "NAME:" of each source beside the first one.
  const std::vector<std::string>& spaces() const { return spaces_; }
  bool InSpace(std::string_view name) const;
  // The bytes of a tensor of the files, where they are known.
  const std::string* ContentsOf(std::string_view file) const;
  const Manifest& manifest() const { return entries_.empty() ? files_ : *manifest_; }

  // Indices are those of manifest().
  PiecedTensor Whole(size_t index) const;
  const DerivedSource* derived(size_t index) const;  // null: a tensor of the files
  std::vector<size_t> FilesOf(size_t index) const;
  std::vector<size_t> FilesOf(const std::vector<size_t>& indices) const;

  // The derived source that a tensor of the files, which is not visible any more, went into; "" if there is none.
  std::string WhatHolds(std::string_view file) const;

  struct Derivation {
    TensorInfo info;
    DerivedSource source;
    std::vector<size_t> reads;  // indices of manifest(): these are not visible afterwards
  };
  // Puts derived sources in the place of what they are made of. Returns the names that are taken: nothing is changed
  // then.
  std::vector<std::string> Replace(std::vector<Derivation> derivations);

 private:
  struct Entry {
    size_t file = 0;
    std::shared_ptr<const DerivedSource> derived = nullptr;  // then `file` has no meaning
  };

  const Manifest& files_;
  const SourceFacts& facts_;
  std::vector<std::string> spaces_;
  std::unique_ptr<Manifest> manifest_;
  std::vector<Entry> entries_;  // of manifest_; empty: the files' tensors
  std::map<std::string, std::string, std::less<>> holders_;
};

}  // namespace ckmap
