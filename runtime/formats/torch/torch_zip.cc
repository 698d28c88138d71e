#include <string>
#include <utility>

#include "runtime/formats/torch/torch.h"
#include "runtime/formats/torch/torch_archive.h"

namespace ckmap {

bool LooksLikeTorchZip(std::span<const std::byte> head) {
  constexpr std::string_view kMagic("PK\3\4", 4);
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  return text.starts_with(kMagic);
}

Result<std::unique_ptr<Checkpoint>> OpenTorchZip(InputFile opened, const OpenOptions& options) {
  auto checkpoint = std::make_unique<TorchCheckpoint>("torch-zip");
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  const auto read = [&]() -> Result<void> {
    CKMAP_ASSIGN_OR_RETURN(const TorchArchive archive, ReadTorchArchive(file, 0, file.size(), *checkpoint, options));
    if (archive.script) checkpoint->set_format("torch-script");
    return checkpoint->AddPickle(archive.pickle, archive.objects, options);
  };
  if (auto status = read(); !status.ok()) return std::move(status).error().Context(file.path());
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
