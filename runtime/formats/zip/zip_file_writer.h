// The writer of checkpoints that are zip archives: torch's and npz. Internal to the writers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/output_file.h"
#include "runtime/formats/writer.h"
#include "runtime/formats/zip/zip_writer.h"

namespace ckmap {

// The member of one tensor: `header`, and then its bytes.
struct ZipTensor {
  std::string member;
  std::string header;
  int64_t bytes = 0;
  std::optional<size_t> same_as = std::nullopt;  // an earlier one whose member serves for both
};

class ZipFileWriter final : public CheckpointWriter {
 public:
  struct Parts {
    std::vector<std::pair<std::string, std::string>> before;  // small members: name, content
    std::vector<ZipTensor> tensors;
    std::vector<std::pair<std::string, std::string>> after;
    std::string receipt = {};  // the small member that ReplaceReceipt changes; empty: none
  };
  static Result<std::unique_ptr<CheckpointWriter>> Create(const std::string& path, Parts parts,
                                                          const WriteOptions& options,
                                                          std::vector<std::string> warnings);

  std::vector<FileExtent> extents(size_t tensor) const override;
  const std::string& path(size_t /*tensor*/) const override { return set_.path(file_); }
  int64_t total_bytes() const override { return set_.size(file_); }
  void ReplaceReceipt(std::string receipt) override {
    if (!receipt_.empty()) zip_.ReplaceContent(receipt_, std::move(receipt));
  }
  Result<std::vector<WrittenFile>> Commit() override;

 private:
  explicit ZipFileWriter(const WriteOptions& options) : options_(options) {}

  WriteOptions options_;
  ZipWriter zip_;
  std::vector<size_t> member_of_;  // of each tensor
  std::vector<int64_t> bytes_;     // of each tensor
  std::string receipt_;
  size_t file_ = 0;
};

}  // namespace ckmap
