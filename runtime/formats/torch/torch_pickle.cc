// A pickle that is a file by itself: dicts of numpy arrays, as detectron2 (.pkl) and Paddle (.pdparams) write them.
// Arrays that lie in the pickle as they are stay in the file; the protocols that have no bytes spell them as text,
// and those are kept in memory.
#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/base/text.h"
#include "runtime/formats/torch/torch.h"
#include "runtime/formats/torch/torch_checkpoint.h"

namespace ckmap {
namespace {

class PickleReferences : public TorchReferences {
 public:
  PickleReferences(const InputFile& file, std::string_view bytes, TorchCheckpoint& checkpoint)
      : file_(file), bytes_(bytes), checkpoint_(checkpoint) {}

  Result<TorchReference> Resolve(const Pickle& /*pickle*/, PickleId /*value*/) override {
    return Error(ErrorCode::kMalformed, "a persistent id: the storages that it refers to are not in this file");
  }
  uint32_t AddBytes(std::string bytes) override { return checkpoint_.AddSource(MemorySource(std::move(bytes))); }
  uint32_t AddPickledBytes(std::string_view bytes) override {
    const auto offset = bytes.data() - bytes_.data();
    return checkpoint_.AddSource(FileSource(file_, offset, static_cast<int64_t>(bytes.size())));
  }

 private:
  const InputFile& file_;
  const std::string_view bytes_;
  TorchCheckpoint& checkpoint_;
};

Result<void> ReadPickle(const InputFile& file, const OpenOptions& options, TorchCheckpoint& checkpoint) {
  if (file.size() > kMaxPickleBytes) {
    return Error(
        ErrorCode::kLimit,
        fmt::format("a pickle of {}; the limit is {}. Where the file is from a place that you trust, write its "
                    "arrays with numpy.savez and read the .npz",
                    FormatBytes(file.size()), FormatBytes(kMaxPickleBytes)));
  }
  std::string bytes(static_cast<size_t>(file.size()), '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(bytes))));
  const TorchAllowList allow(TorchAllowList::Scope::kCheckpoint, options.skip_unknown_objects);
  CKMAP_ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Read(bytes, allow));
  if (pickle.end() != bytes.size()) {
    return Error(ErrorCode::kMalformed, fmt::format("{} bytes follow the pickle", bytes.size() - pickle.end()));
  }
  PickleReferences references(file, bytes, checkpoint);
  CKMAP_ASSIGN_OR_RETURN(const TorchObjects objects, TorchObjects::Interpret(pickle, references));
  return checkpoint.AddPickle(pickle, objects, options);
}

}  // namespace

bool LooksLikePickle(std::span<const std::byte> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  // How the protocols without PROTO begin a dict.
  constexpr std::array<std::string_view, 4> kOld = {"(dp0\n", "(dp1\n", "ccollections\nOrderedDict\n", "}q"};
  for (const std::string_view start : kOld) {
    if (text.starts_with(start)) return true;
  }
  // What may begin the value: FRAME, a container, a global, a text.
  constexpr std::string_view kFirst = "\x95}]()c\x8cX\x8f";
  return text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5 &&
         kFirst.find(text[2]) != std::string_view::npos && !LooksLikeTorchLegacy(head);
}

Result<std::unique_ptr<Checkpoint>> OpenPickle(InputFile opened, const OpenOptions& options) {
  auto checkpoint = std::make_unique<TorchCheckpoint>("pickle");
  checkpoint->set_framework("");
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto status = ReadPickle(file, options, *checkpoint); !status.ok()) {
    return std::move(status).error().Context(file.path());
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
