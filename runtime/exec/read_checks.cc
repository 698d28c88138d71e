#include "runtime/exec/read_checks.h"

#include <algorithm>
#include <tuple>

#include "runtime/base/file_crc.h"
#include "runtime/base/parallel.h"

namespace ckmap {
namespace {

constexpr int64_t kSmallRest = 4096;  // bytes that are read besides, rather than waited for
constexpr size_t kMostParts = 65536;  // of a run; more are not worth their memory

}  // namespace

ReadChecks::ReadChecks(const Checkpoint& source, const std::vector<uint32_t>& storages) : source_(source) {
  std::unordered_map<const ChecksumGroup*, Group*> known;
  for (const uint32_t storage : storages) {
    Storage entry{.storage = storage, .group = nullptr, .extents = {}};
    if (const auto checksums = source.checksums(storage); checksums != nullptr) {
      Group*& group = known[checksums.get()];
      if (group == nullptr) {
        group = groups_.emplace_back(std::make_unique<Group>()).get();
        group->checksums = checksums;
        for (const FileExtent& extent : checksums->runs) {
          Run& run = *runs_.emplace_back(std::make_unique<Run>());
          run.fd = extent.fd;
          run.begin = extent.offset;
          run.end = extent.offset + extent.length;
          group->runs.push_back(&run);
        }
      }
      entry.group = group;
      entry.extents = source.storage_extents(storage);
    }
    if (by_storage_.emplace(storage, storages_.size()).second) storages_.push_back(std::move(entry));
  }
  std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) {
    return std::tie(a->fd, a->begin, a->end) < std::tie(b->fd, b->begin, b->end);
  });
}

void ReadChecks::SawStorage(uint32_t storage, int64_t offset, std::span<const std::byte> bytes) {
  const auto found = by_storage_.find(storage);
  if (found == by_storage_.end()) return;
  for (const FileExtent& extent : storages_[found->second].extents) {
    if (bytes.empty()) return;
    if (offset < extent.length) {
      const auto part =
          bytes.first(static_cast<size_t>(std::min(extent.length - offset, static_cast<int64_t>(bytes.size()))));
      SawFile(extent.fd, extent.offset + offset, part);
      bytes = bytes.subspan(part.size());
      offset = 0;
    } else {
      offset -= extent.length;
    }
  }
}

void ReadChecks::SawFile(int fd, int64_t offset, std::span<const std::byte> bytes) {
  const int64_t end = offset + static_cast<int64_t>(bytes.size());
  // Runs do not overlap, so that those that end behind `offset` stand together.
  auto at = std::partition_point(runs_.begin(), runs_.end(), [&](const auto& run) {
    return run->fd < fd || (run->fd == fd && run->end <= offset);
  });
  for (; at != runs_.end() && (*at)->fd == fd && (*at)->begin < end; ++at) {
    const int64_t from = std::max(offset, (*at)->begin);
    const int64_t to = std::min(end, (*at)->end);
    See(**at, from, bytes.subspan(static_cast<size_t>(from - offset), static_cast<size_t>(to - from)));
  }
}

// Sums what is new of these bytes.
void ReadChecks::See(Run& run, int64_t offset, std::span<const std::byte> bytes) {
  const int64_t end = offset + static_cast<int64_t>(bytes.size());
  for (int64_t at = offset; at < end;) {
    std::map<int64_t, Part>::iterator part;
    int64_t until = end;
    {
      const std::lock_guard lock(run.mutex);
      if (run.scattered) return;
      auto next = run.parts.upper_bound(at);
      if (next != run.parts.begin() && std::prev(next)->second.end > at) {
        at = std::prev(next)->second.end;
        continue;
      }
      if (next != run.parts.end()) until = std::min(until, next->first);
      if (run.parts.size() >= kMostParts) {
        // Parts that a thread is summing at this moment stay until it is done: it holds an iterator.
        run.scattered = true;
        return;
      }
      part = run.parts.emplace_hint(next, at, Part{until, 0, false});
    }
    const uint32_t crc =
        ExtendCrc32(0, bytes.subspan(static_cast<size_t>(at - offset), static_cast<size_t>(until - at)));
    const std::lock_guard lock(run.mutex);
    part->second.crc = crc;
    part->second.summed = true;
    Join(run, part);
    at = until;
  }
}

// Joins a part with its neighbours. The lock is held.
void ReadChecks::Join(Run& run, std::map<int64_t, Part>::iterator part) {
  const auto absorb = [&run](std::map<int64_t, Part>::iterator left) {
    const auto right = std::next(left);
    if (right == run.parts.end() || left->second.end != right->first || !left->second.summed || !right->second.summed)
      return;
    left->second.crc = JoinCrc32(left->second.crc, right->second.crc, right->second.end - right->first);
    left->second.end = right->second.end;
    run.parts.erase(right);
  };
  absorb(part);
  if (part != run.parts.begin()) absorb(std::prev(part));
}

// All but what nobody may ask for, such as the header of an array inside a member.
bool ReadChecks::SeenWhole(Run& run) {
  const std::lock_guard lock(run.mutex);
  if (run.scattered) return false;
  int64_t seen = 0;
  for (const auto& [begin, part] : run.parts) {
    if (!part.summed) return false;
    seen += part.end - begin;
  }
  return run.end - run.begin - seen <= kSmallRest;
}

// The CRC of the whole run. What a thread is summing at this moment is read like what nobody has seen.
Result<uint32_t> ReadChecks::SumRest(Run& run, int threads) {
  const std::lock_guard lock(run.mutex);
  if (run.scattered) return FileCrc32(run.fd, run.begin, run.end - run.begin, threads);
  uint32_t crc = 0;
  int64_t at = run.begin;
  const auto add = [&](uint32_t next, int64_t length) {
    crc = JoinCrc32(crc, next, length);
    at += length;
  };
  for (const auto& [begin, part] : run.parts) {
    if (!part.summed) continue;
    if (begin > at) {
      CKMAP_ASSIGN_OR_RETURN(const uint32_t gap, FileCrc32(run.fd, at, begin - at, threads));
      add(gap, begin - at);
    }
    add(part.crc, part.end - begin);
  }
  if (at < run.end) {
    CKMAP_ASSIGN_OR_RETURN(const uint32_t gap, FileCrc32(run.fd, at, run.end - at, threads));
    add(gap, run.end - at);
  }
  return crc;
}

Result<void> ReadChecks::Check(Group& group, int threads) {
  std::call_once(group.once, [&] {
    group.verdict = [&]() -> Result<void> {
      std::vector<uint32_t> crcs;
      for (Run* run : group.runs) {
        CKMAP_ASSIGN_OR_RETURN(const uint32_t crc, SumRest(*run, threads));
        crcs.push_back(crc);
      }
      return group.checksums->check(crcs);
    }();
  });
  return group.verdict;
}

Result<void> ReadChecks::CheckIfSeen(uint32_t storage) {
  const auto found = by_storage_.find(storage);
  if (found == by_storage_.end()) return {};
  Group* const group = storages_[found->second].group;
  if (group == nullptr ||
      !std::all_of(group->runs.begin(), group->runs.end(), [](Run* run) { return SeenWhole(*run); }))
    return {};
  return Check(*group, 1);
}

Result<void> ReadChecks::Finish(int threads) {
  // Few large groups are read by all threads each, many small ones by one thread each.
  const int each = groups_.size() < static_cast<size_t>(std::max(threads, 1)) ? threads : 1;
  return ForEachInParallel(each > 1 ? 1 : threads, storages_.size(), [&]() -> ItemBody {
    return [&](size_t i) {
      const Storage& storage = storages_[i];
      return storage.group != nullptr ? Check(*storage.group, each) : source_.VerifyStorage(storage.storage);
    };
  });
}

}  // namespace ckmap
