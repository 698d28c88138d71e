#include "runtime/formats/zip/zip_inflate.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

namespace ckmap {
namespace {

constexpr size_t kInputBuffer = size_t{64} << 10;
constexpr size_t kSkipBuffer = size_t{64} << 10;
constexpr int64_t kMinSpacing = int64_t{8} << 20;

Error Broken(std::string_view what) { return {ErrorCode::kMalformed, fmt::format("deflated data {}", what)}; }

}  // namespace

// A zlib stream and where it stands. `packed` counts the bytes that zlib has taken.
struct ZipInflater::State {
  z_stream stream{};
  bool live = false;
  bool ended = false;
  int64_t packed = 0;
  int64_t plain = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (live) inflateEnd(&stream);
  }

  static std::unique_ptr<State> New() {
    auto state = std::make_unique<State>();
    CKMAP_CHECK(inflateInit2(&state->stream, -MAX_WBITS) == Z_OK);
    state->live = true;
    return state;
  }

  std::unique_ptr<State> Copy() {
    auto copy = std::make_unique<State>();
    CKMAP_CHECK(inflateCopy(&copy->stream, &stream) == Z_OK);
    copy->live = true;
    copy->ended = ended;
    copy->packed = packed;
    copy->plain = plain;
    return copy;
  }
};

ZipInflater::ZipInflater(const InputFile& file, int64_t packed_begin, int64_t packed_size, int64_t size)
    : file_(file),
      packed_begin_(packed_begin),
      packed_size_(packed_size),
      size_(size),
      spacing_(std::max(kMinSpacing, size / kMaxRestartPoints)),
      current_(State::New()),
      input_(kInputBuffer) {}

ZipInflater::~ZipInflater() = default;

Result<void> ZipInflater::Read(int64_t offset, std::span<std::byte> out) {
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= size_ - offset);
  Rewind(offset);
  std::vector<std::byte> skipped(static_cast<size_t>(std::min<int64_t>(kSkipBuffer, offset - current_->plain)));
  while (current_->plain < offset) {
    const auto count =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(skipped.size()), offset - current_->plain));
    CKMAP_RETURN_IF_ERROR(Produce(std::span(skipped).first(count)));
  }
  return Produce(out);
}

// Puts `current_` at the latest known position that is not behind `offset`.
void ZipInflater::Rewind(int64_t offset) {
  const auto after =
      std::upper_bound(restarts_.begin(), restarts_.end(), offset,
                       [](int64_t position, const std::unique_ptr<State>& state) { return position < state->plain; });
  State* const best = after == restarts_.begin() ? nullptr : std::prev(after)->get();
  const int64_t reached = best == nullptr ? 0 : best->plain;
  if (current_->plain <= offset && current_->plain >= reached) return;
  current_ = best == nullptr ? State::New() : best->Copy();
}

// Inflates the next out.size() bytes.
Result<void> ZipInflater::Produce(std::span<std::byte> out) {
  while (!out.empty()) {
    State& state = *current_;
    const int64_t known = restarts_.empty() ? 0 : restarts_.back()->plain;
    if (state.plain >= known + spacing_) restarts_.push_back(state.Copy());
    if (state.ended) return Broken(fmt::format("ends after {} of {} bytes", state.plain, size_));

    const auto want =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(input_.size()), packed_size_ - state.packed));
    CKMAP_RETURN_IF_ERROR(file_.ReadAt(packed_begin_ + state.packed, std::span(input_).first(want)));
    state.stream.next_in = reinterpret_cast<Bytef*>(input_.data());
    state.stream.avail_in = static_cast<uInt>(want);
    const size_t room = std::min(out.size(), static_cast<size_t>(kMinSpacing));
    state.stream.next_out = reinterpret_cast<Bytef*>(out.data());
    state.stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&state.stream, Z_NO_FLUSH);
    const size_t taken = want - state.stream.avail_in;
    const size_t made = room - state.stream.avail_out;
    state.packed += static_cast<int64_t>(taken);
    state.plain += static_cast<int64_t>(made);
    out = out.subspan(made);
    if (code == Z_STREAM_END) {
      state.ended = true;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      return Broken(fmt::format("is damaged near its byte {} ({})", state.packed,
                                state.stream.msg != nullptr ? state.stream.msg : "no deflate stream"));
    } else if (taken == 0 && made == 0) {
      return Broken(fmt::format("is cut short: {} of {} bytes", state.plain, size_));
    }
  }
  return current_->plain == size_ ? CheckEnd() : Result<void>();
}

// All plain bytes are there: the stream must end here, and the packed bytes with it.
Result<void> ZipInflater::CheckEnd() {
  State& state = *current_;
  while (!state.ended) {
    const auto want =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(input_.size()), packed_size_ - state.packed));
    CKMAP_RETURN_IF_ERROR(file_.ReadAt(packed_begin_ + state.packed, std::span(input_).first(want)));
    state.stream.next_in = reinterpret_cast<Bytef*>(input_.data());
    state.stream.avail_in = static_cast<uInt>(want);
    Bytef surplus = 0;
    state.stream.next_out = &surplus;
    state.stream.avail_out = 1;
    const int code = inflate(&state.stream, Z_NO_FLUSH);
    const size_t taken = want - state.stream.avail_in;
    state.packed += static_cast<int64_t>(taken);
    if (state.stream.avail_out == 0) {
      return Broken(fmt::format("is longer than the {} bytes that the directory says", size_));
    }
    if (code == Z_STREAM_END) {
      state.ended = true;
    } else if (code != Z_OK || taken == 0) {
      return Broken("has no end");
    }
  }
  if (state.packed != packed_size_) {
    return Broken(fmt::format("ends {} bytes before the member does", packed_size_ - state.packed));
  }
  return {};
}

}  // namespace ckmap
