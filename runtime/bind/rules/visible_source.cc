#include "runtime/bind/rules/visible_source.h"

#include <algorithm>
#include <set>
#include <utility>

namespace ckmap {

VisibleSource::VisibleSource(const Manifest& files, const SourceFacts& facts) : files_(files), facts_(facts) {
  for (const std::string& space : facts.spaces) spaces_.push_back(space + ":");
}

bool VisibleSource::InSpace(std::string_view name) const {
  return std::any_of(spaces_.begin(), spaces_.end(), [&](const std::string& space) { return name.starts_with(space); });
}

const std::string* VisibleSource::ContentsOf(std::string_view file) const {
  const auto found = facts_.contents.find(file);
  return found == facts_.contents.end() ? nullptr : &found->second;
}

PiecedTensor VisibleSource::Whole(size_t index) const {
  if (const DerivedSource* source = derived(index)) return source->value;
  const size_t file = entries_.empty() ? index : entries_[index].file;
  PiecedTensor whole;
  whole.value = WholeTensor(0, files_[file].shape);
  whole.dtype = files_[file].dtype;
  whole.inputs.push_back({file, {}});
  return whole;
}

const DerivedSource* VisibleSource::derived(size_t index) const {
  return entries_.empty() ? nullptr : entries_[index].derived.get();
}

std::vector<size_t> VisibleSource::FilesOf(size_t index) const {
  if (entries_.empty()) return {index};
  const Entry& entry = entries_[index];
  return entry.derived == nullptr ? std::vector<size_t>{entry.file} : entry.derived->files;
}

std::vector<size_t> VisibleSource::FilesOf(const std::vector<size_t>& indices) const {
  if (entries_.empty()) return indices;
  std::vector<size_t> files;
  std::set<size_t> seen;
  for (const size_t index : indices) {
    for (const size_t file : FilesOf(index)) {
      if (seen.insert(file).second) files.push_back(file);
    }
  }
  return files;
}

std::string VisibleSource::WhatHolds(std::string_view file) const {
  const auto found = holders_.find(file);
  return found == holders_.end() ? std::string() : found->second;
}

std::vector<std::string> VisibleSource::Replace(std::vector<Derivation> derivations) {
  const Manifest& before = manifest();
  std::vector<bool> read(before.size(), false);
  std::multimap<size_t, size_t> first_read;  // where each of them stands: where the first that it reads stood
  for (size_t i = 0; i < derivations.size(); ++i) {
    for (const size_t index : derivations[i].reads) read[index] = true;
    first_read.emplace(*std::min_element(derivations[i].reads.begin(), derivations[i].reads.end()), i);
  }
  auto after = std::make_unique<Manifest>();
  after->framework = before.framework;
  std::vector<Entry> entries;
  std::vector<std::string> taken;
  auto next = first_read.begin();
  for (size_t i = 0; i < before.size(); ++i) {
    for (; next != first_read.end() && next->first == i; ++next) {
      Derivation& derivation = derivations[next->second];
      if (!after->Add(derivation.info)) taken.push_back(derivation.info.name);
      entries.push_back({0, std::make_shared<const DerivedSource>(std::move(derivation.source))});
    }
    if (read[i]) continue;
    if (!after->Add(before[i])) taken.push_back(before[i].name);
    entries.push_back(entries_.empty() ? Entry{i} : entries_[i]);
  }
  if (!taken.empty()) return taken;
  for (const Derivation& derivation : derivations) {
    for (const size_t index : derivation.reads) holders_.emplace(before[index].name, derivation.info.name);
  }
  entries_ = std::move(entries);
  manifest_ = std::move(after);
  return {};
}

}  // namespace ckmap
