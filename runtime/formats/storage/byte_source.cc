#include "runtime/formats/storage/byte_source.h"

#include <utility>

namespace ckmap {
namespace {

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(InputFile file) : ByteSource(std::move(file)) {}
  int64_t size() const override { return file().size(); }
  bool plain() const override { return true; }
  Result<void> ReadAt(int64_t offset, std::span<std::byte> out) const override { return file().ReadAt(offset, out); }
};

}  // namespace

std::unique_ptr<ByteSource> MakePlainSource(InputFile file) { return std::make_unique<PlainSource>(std::move(file)); }

}  // namespace ckmap
