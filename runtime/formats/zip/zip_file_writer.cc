#include "runtime/formats/zip/zip_file_writer.h"

namespace ckmap {

Result<std::unique_ptr<CheckpointWriter>> ZipFileWriter::Create(const std::string& path, Parts parts,
                                                                const WriteOptions& options,
                                                                std::vector<std::string> warnings) {
  std::unique_ptr<ZipFileWriter> writer(new ZipFileWriter(options));
  writer->warnings_ = std::move(warnings);
  writer->receipt_ = std::move(parts.receipt);
  for (auto& [name, content] : parts.before) writer->zip_.Add(std::move(name), std::move(content));
  for (ZipTensor& tensor : parts.tensors) {
    writer->bytes_.push_back(tensor.bytes);
    if (tensor.same_as) {
      writer->member_of_.push_back(writer->member_of_[*tensor.same_as]);
      continue;
    }
    const int64_t size = static_cast<int64_t>(tensor.header.size()) + tensor.bytes;
    writer->member_of_.push_back(writer->zip_.Add(std::move(tensor.member), std::move(tensor.header), size));
  }
  for (auto& [name, content] : parts.after) writer->zip_.Add(std::move(name), std::move(content));
  if (auto laid_out = writer->zip_.LayOut(); !laid_out) return std::move(laid_out).error().Context(path);
  CKMAP_ASSIGN_OR_RETURN(writer->file_, writer->set_.Add(path, writer->zip_.total_bytes(), options.force));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

std::vector<FileExtent> ZipFileWriter::extents(size_t tensor) const {
  if (bytes_[tensor] == 0) return {};
  return {{set_.fd(file_), zip_.body_offset(member_of_[tensor]), bytes_[tensor]}};
}

Result<std::vector<WrittenFile>> ZipFileWriter::Commit() {
  std::vector<WrittenFile> files = {{set_.path(file_), set_.size(file_)}};
  if (auto finished = zip_.Finish(set_.fd(file_)); !finished) {
    return std::move(finished).error().Context(set_.path(file_));
  }
  CKMAP_RETURN_IF_ERROR(set_.Publish({options_.force, options_.fsync}));
  return files;
}

}  // namespace ckmap
