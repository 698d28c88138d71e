#include "runtime/formats/torch/torch_stacked.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ckmap {
namespace {

// Windows grow until the pickle fits, so that a small pickle before large storages costs little.
constexpr int64_t kFirstWindow = int64_t{16} << 10;
constexpr int64_t kGrowth = 16;

Error CutShort(std::string_view what, int64_t at, int64_t wanted, int64_t left) {
  return {ErrorCode::kMalformed, fmt::format("{} at byte {} needs {} bytes, {} are left", what, at, wanted, left)};
}

}  // namespace

Result<StackedPickle> StackedReader::Next(std::string_view what) {
  const int64_t most = std::min(left(), kMaxPickleBytes);
  for (int64_t window = std::min(most, kFirstWindow);; window = std::min(most, window * kGrowth)) {
    auto bytes = std::make_unique<std::string>(static_cast<size_t>(window), '\0');
    CKMAP_RETURN_IF_ERROR(file_.ReadAt(at_, std::as_writable_bytes(std::span(*bytes))));
    bool cut_short = false;
    auto pickle = Pickle::Read(*bytes, allow_, &cut_short);
    if (pickle.ok()) {
      at_ += static_cast<int64_t>(pickle->end());
      return StackedPickle{std::move(bytes), *std::move(pickle)};
    }
    if (!cut_short || window == most) {
      return std::move(pickle).error().Context(fmt::format("{} at byte {}", what, at_));
    }
  }
}

Result<void> StackedReader::Bytes(std::string_view what, std::span<std::byte> out) {
  const auto wanted = static_cast<int64_t>(out.size());
  if (wanted > left()) return CutShort(what, at_, wanted, left());
  CKMAP_RETURN_IF_ERROR(file_.ReadAt(at_, out));
  at_ += wanted;
  return {};
}

Result<std::vector<int64_t>> StackedReader::Numbers(std::string_view what, int64_t count) {
  constexpr int64_t kSize = sizeof(int64_t);
  if (count < 0 || count > left() / kSize) return CutShort(what, at_, count, left());
  std::vector<int64_t> values(static_cast<size_t>(count));
  CKMAP_RETURN_IF_ERROR(Bytes(what, std::as_writable_bytes(std::span(values))));
  return values;
}

Result<int64_t> StackedReader::Skip(std::string_view what, int64_t bytes) {
  if (bytes < 0 || bytes > left()) return CutShort(what, at_, bytes, left());
  const int64_t begin = at_;
  at_ += bytes;
  return begin;
}

}  // namespace ckmap
