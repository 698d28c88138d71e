#include "runtime/migrate/public.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/storage/named_checkpoints.h"
#include "runtime/migrate/public_options.h"
#include "runtime/plan/plan_names.h"

namespace ckmap::v1 {

Result<Checkpoint> Checkpoint::Open(const std::filesystem::path& path, const OpenOptions& options) {
  CKMAP_PUBLIC_OR_RETURN(const SourceOptions source, ToSourceOptions(options));
  auto state = std::make_shared<State>();
  const RunList::Scope scope(state->files);
  CKMAP_PUBLIC_OR_RETURN(std::unique_ptr<ckmap::Checkpoint> opened, ckmap::OpenSource(path.string(), source));
  state->path = path;
  state->checkpoint = std::move(opened);
  state->crc_check = options.crc_check;
  state->views = options.views;
  state->maps = std::make_shared<MappedFiles>(options.writable);
  return Access::Make(std::move(state));
}

Checkpoint Access::Make(std::shared_ptr<Checkpoint::State> state) {
  state->format = state->checkpoint->format();
  state->manifest = Access::Make(state->checkpoint->manifest());
  for (const OtherEntry& other : state->checkpoint->others())
    state->entries.push_back({other.name, other.kind, other.value});
  Checkpoint checkpoint;
  checkpoint.state_ = std::move(state);
  return checkpoint;
}

Result<Checkpoint> Checkpoint::Join(const std::vector<NamedCheckpoint>& checkpoints) {
  if (checkpoints.empty()) return Error(ErrorCode::kUsage, "no checkpoint is given");
  auto state = std::make_shared<State>();
  std::string first;
  std::vector<NamedPath> others;
  std::vector<ckmap::NamedCheckpoint> parts;
  state->views = true;
  for (const NamedCheckpoint& one : checkpoints) {
    const State& part = Access::StateOf(one.checkpoint);
    const bool is_first = one.name.empty() && parts.empty();
    if (!is_first && !IsSourceName(one.name)) {
      return Error(ErrorCode::kUsage,
                   fmt::format("\"{}\" is not a name of a source: it has letters, digits and underscores",
                               EscapeText(one.name)));
    }
    if (std::count(state->spaces.begin(), state->spaces.end(), one.name) > 0)
      return Error(ErrorCode::kUsage, fmt::format("two checkpoints have the name {}", one.name));
    if (!part.spaces.empty())
      return Error(ErrorCode::kUsage, fmt::format("{}: is joined already", EscapeText(part.path.string())));
    if (is_first) {
      first = part.path.string();
    } else {
      state->spaces.push_back(one.name);
      others.push_back({one.name, part.path.string()});
    }
    state->joined.push_back(one.checkpoint);
    state->views = state->views && part.views;
    state->crc_check = state->crc_check || part.crc_check;
    parts.push_back({one.name, part.checkpoint});
  }
  CKMAP_PUBLIC_OR_RETURN(state->checkpoint, JoinByName(std::move(parts)));
  state->path = DescribeSources(first, others);
  state->maps = Access::StateOf(checkpoints.front().checkpoint).maps;
  return Access::Make(std::move(state));
}

SourceScope::SourceScope(const Checkpoint& checkpoint)
    : own_(std::make_unique<RunList::Scope>(Access::StateOf(checkpoint).files)) {
  for (const Checkpoint& part : Access::StateOf(checkpoint).joined)
    joined_.push_back(std::make_unique<SourceScope>(part));
}

SourceScope::~SourceScope() {
  while (!joined_.empty()) joined_.pop_back();  // scopes end in the reverse order
}

const std::filesystem::path& Checkpoint::path() const { return state_->path; }
const std::string& Checkpoint::format() const { return state_->format; }
const Manifest& Checkpoint::manifest() const { return state_->manifest; }
const std::map<std::string, std::string>& Checkpoint::metadata() const { return state_->checkpoint->metadata(); }
const std::vector<Entry>& Checkpoint::entries() const { return state_->entries; }
const std::vector<std::string>& Checkpoint::warnings() const { return state_->checkpoint->warnings(); }

Result<void> Checkpoint::State::Verify(uint32_t storage) const {
  {
    const std::lock_guard lock(mutex);
    if (verified.contains(storage)) return {};
  }
  if (auto sound = checkpoint->VerifyStorage(storage); !sound) return ToPublic(std::move(sound).error());
  const std::lock_guard lock(mutex);
  verified.insert(storage);
  return {};
}

Result<Tensor> Checkpoint::Read(std::string_view name) const {
  const auto index = state_->manifest.Find(name);
  const std::string path = state_->path.string();
  if (!index) return Error(ErrorCode::kUsage, path + ": no tensor is called `" + std::string(name) + "`");
  // The alias keeps all of the checkpoint alive, the manifest too.
  const std::shared_ptr<const TensorInfo> info(state_, &state_->manifest.tensors()[*index]);
  if (!info->unreadable.empty())
    return Error(ErrorCode::kMalformed, path + ": tensor `" + info->name + "`: " + info->unreadable);
  const ckmap::Checkpoint& checkpoint = *state_->checkpoint;
  if (auto sound = state_->Verify(checkpoint.layout(*index).storage); !sound) return std::move(sound).error();
  CKMAP_PUBLIC_OR_RETURN(const auto reader, TensorReader::Make(checkpoint, *index));
  if (reader->bytes() == 0) return Access::Make(info, {}, nullptr, false);
  const auto run = state_->views ? AsStored(reader->layout()) : std::nullopt;
  if (const auto extent = run ? InFile(checkpoint, *run) : std::nullopt) {
    const auto bytes = MapElements(*state_->maps, *extent, checkpoint.manifest()[*index].dtype);
    if (bytes != nullptr) return Access::Make(info, {bytes.get(), static_cast<size_t>(reader->bytes())}, bytes, true);
  }
  const std::shared_ptr<std::byte> memory = AllocateElements(reader->bytes());
  if (memory == nullptr) return Error(ErrorCode::kLimit, path + ": tensor `" + info->name + "`: out of memory");
  const std::span<std::byte> bytes(memory.get(), static_cast<size_t>(reader->bytes()));
  if (auto read = reader->Read(0, bytes); !read) return ToPublic(std::move(read).error());
  return Access::Make(info, bytes, memory, false);
}

}  // namespace ckmap::v1
