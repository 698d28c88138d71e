// Power loss, on paper: the calls of a run are recorded with their data, and what a disk may hold after the machine
// stopped is built up again from them. A file's bytes are safe from its fsync on, names from that of their folder on;
// of everything else any part may have reached the disk, in any order that keeps each name's own history.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <variant>

#include "tests/faults/loops.h"
#include "tests/faults/tracer.h"

namespace ckmap::faults {
namespace {

namespace fs = std::filesystem;

struct Write {
  size_t file = 0;
  size_t offset = 0;
  std::string data;  // empty: the file becomes `offset` bytes long
};
struct Flush {
  size_t file = 0;
};
struct FlushFolder {
  std::string folder;
};
struct Link {  // a name for a file, if it is free
  size_t file = 0;
  std::string name;
};
struct Rename {
  std::string from, to;
  bool exchange = false;
};
struct Remove {
  std::string name;
};
struct MakeFolder {
  std::string name;
};
using Event = std::variant<Write, Flush, FlushFolder, Link, Rename, Remove, MakeFolder>;

// What a run did to the files under one folder.
class Recorder {
 public:
  explicit Recorder(std::string folder) : folder_(std::move(folder)) {}

  void Done(const Call& call, int64_t result) {
    if (result < 0) return;
    const auto& a = call.arguments;
    switch (call.number) {
      case SYS_openat:
        Opened(call.Text(a[1]), a[2], result);
        break;
      case SYS_close:
        files_.erase(a[0]), folders_.erase(a[0]);
        break;
      case SYS_dup:
        if (files_.contains(a[0])) files_[static_cast<uint64_t>(result)] = files_[a[0]];
        break;
      case SYS_pwrite64:
        if (files_.contains(a[0])) Add(Write{files_[a[0]], a[3], call.Memory(a[1], static_cast<size_t>(result))});
        break;
      case SYS_fallocate:
        if (files_.contains(a[0])) Add(Write{files_[a[0]], a[2] + a[3], ""});
        break;
      case SYS_ftruncate:
        if (files_.contains(a[0])) Add(Write{files_[a[0]], a[1], ""});
        break;
      case SYS_fsync:
        if (files_.contains(a[0])) Add(Flush{files_[a[0]]});
        if (folders_.contains(a[0])) Add(FlushFolder{folders_[a[0]]});
        break;
      case SYS_linkat:
        Linked(call);
        break;
      case SYS_renameat2:
        Moved(call.Text(a[1]), call.Text(a[3]), (a[4] & 2) != 0);
        break;
#ifdef __x86_64__
      case SYS_rename:
        Moved(call.Text(a[0]), call.Text(a[1]), false);
        break;
      case SYS_unlink:
        if (Ours(call.Text(a[0]))) Add(Remove{Name(call.Text(a[0]))});
        break;
      case SYS_mkdir:
        if (Ours(call.Text(a[0]))) Add(MakeFolder{Name(call.Text(a[0]))});
        break;
#endif
      default:
        break;
    }
  }

  std::vector<Event> events;
  size_t file_count = 0;

 private:
  bool Ours(const std::string& path) const { return path.starts_with(folder_ + "/"); }
  std::string Name(const std::string& path) const {
    return fs::path(path.substr(folder_.size() + 1)).lexically_normal().string();
  }
  void Add(Event event) { events.push_back(std::move(event)); }

  void Opened(const std::string& path, uint64_t flags, int64_t fd) {
    if (path != folder_ && !Ours(path)) return;
    const auto key = static_cast<uint64_t>(fd);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
      files_[key] = file_count++;
    } else if ((flags & O_CREAT) != 0) {
      files_[key] = file_count;
      Add(Link{file_count++, Name(path)});
    } else if ((flags & O_DIRECTORY) != 0) {
      folders_[key] = path == folder_ ? "." : Name(path);
    }
  }

  // By an empty path and a descriptor, or by /proc/self/fd.
  void Linked(const Call& call) {
    const std::string from = call.Text(call.arguments[1]);
    const uint64_t fd = from.empty() ? call.arguments[0] : std::stoull(from.substr(from.rfind('/') + 1));
    const std::string to = call.Text(call.arguments[3]);
    if (files_.contains(fd) && Ours(to)) Add(Link{files_[fd], Name(to)});
  }

  void Moved(const std::string& from, const std::string& to, bool exchange) {
    if (Ours(from) && Ours(to)) Add(Rename{Name(from), Name(to), exchange});
  }

  std::string folder_;
  std::map<uint64_t, size_t> files_;
  std::map<uint64_t, std::string> folders_;
};

std::string FolderOfName(const std::string& name) {
  const std::string folder = fs::path(name).parent_path().string();
  return folder.empty() ? "." : folder;
}

// The disk after some of the events.
class Disk {
 public:
  Disk(const Files& before, size_t file_count) : contents_(file_count) {
    for (const auto& [name, content] : before) {
      if (content == "(a folder)") {
        folders_.insert(name);
      } else {
        names_[name] = contents_.size();
        contents_.push_back(content);
      }
    }
  }

  void Apply(const Event& event) {
    if (const auto* write = std::get_if<Write>(&event)) {
      std::string& content = contents_[write->file];
      if (write->data.empty()) {
        content.resize(std::max(content.size(), write->offset), '\0');
      } else {
        content.resize(std::max(content.size(), write->offset + write->data.size()), '\0');
        content.replace(write->offset, write->data.size(), write->data);
      }
    } else if (const auto* link = std::get_if<Link>(&event)) {
      names_.emplace(link->name, link->file);
    } else if (const auto* rename = std::get_if<Rename>(&event)) {
      const auto from = names_.find(rename->from);
      if (from == names_.end()) return;
      const size_t file = from->second;
      const auto to = names_.find(rename->to);
      if (rename->exchange && to != names_.end()) {
        from->second = to->second;
      } else {
        names_.erase(from);
      }
      names_[rename->to] = file;
    } else if (const auto* remove = std::get_if<Remove>(&event)) {
      names_.erase(remove->name);
    } else if (const auto* folder = std::get_if<MakeFolder>(&event)) {
      folders_.insert(folder->name);
    }
  }

  Files Visible() const {
    Files files;
    for (const auto& [name, file] : names_) {
      if (name.find(".ckmap-") == std::string::npos) files[name] = contents_[file];
    }
    for (const std::string& folder : folders_) files[folder] = "(a folder)";
    return files;
  }

 private:
  std::vector<std::string> contents_;
  std::map<std::string, size_t> names_;
  std::set<std::string> folders_;
};

// Folders whose names an event changes.
std::vector<std::string> FoldersOf(const Event& event) {
  if (const auto* link = std::get_if<Link>(&event)) return {FolderOfName(link->name)};
  if (const auto* remove = std::get_if<Remove>(&event)) return {FolderOfName(remove->name)};
  if (const auto* folder = std::get_if<MakeFolder>(&event)) return {FolderOfName(folder->name)};
  if (const auto* rename = std::get_if<Rename>(&event)) return {FolderOfName(rename->from), FolderOfName(rename->to)};
  return {};
}

// Whether event `i` is on the disk for certain when the machine stops before event `end`.
bool IsSafe(const std::vector<Event>& events, size_t i, size_t end) {
  const auto* write = std::get_if<Write>(&events[i]);
  std::vector<std::string> folders = FoldersOf(events[i]);
  for (size_t k = i + 1; k < end; ++k) {
    const auto* flush = std::get_if<Flush>(&events[k]);
    if (write != nullptr && flush != nullptr && flush->file == write->file) return true;
    if (const auto* folder = std::get_if<FlushFolder>(&events[k])) std::erase(folders, folder->folder);
    if (write == nullptr && folders.empty()) return true;
  }
  return false;
}

}  // namespace

Tally PowerLoss(const Scenario& scenario, size_t samples, uint64_t seed) {
  Tally tally;
  if (scenario.only_prints() || !scenario.flushes()) return tally;
  Recorder recorder(scenario.folder() + "/out");
  scenario.Reset();
  TraceOptions options{scenario.folder(), scenario.log(), [](const Call&) { return Verdict{}; }};
  options.done = [&](const Call& call, int64_t result) { recorder.Done(call, result); };
  const TraceResult result = Trace(scenario.command(), options);
  const std::vector<Event>& events = recorder.events;
  Disk all(scenario.before(), recorder.file_count);
  for (const Event& event : events) all.Apply(event);
  tally.Add(result.status);
  if (all.Visible() != scenario.complete()) tally.Wrong("the recording", "does not give the output");
  std::mt19937_64 random(seed);
  for (size_t end = 0; end <= events.size(); ++end) {
    std::vector<bool> safe;
    for (size_t i = 0; i < end; ++i) safe.push_back(IsSafe(events, i, end));
    for (size_t sample = 0; sample < samples; ++sample) {
      // Nothing, all, or each with some probability.
      const uint64_t share = sample == 0 ? 0 : sample == 1 ? 100 : random() % 101;
      Disk disk(scenario.before(), recorder.file_count);
      for (size_t i = 0; i < end; ++i) {
        if (safe[i] || random() % 100 < share) disk.Apply(events[i]);
      }
      tally.Add(0);
      if (std::string what = scenario.JudgeNames(disk.Visible()); !what.empty()) {
        tally.Wrong("power lost before event " + std::to_string(end) + " of " + std::to_string(events.size()), what);
      }
    }
  }
  return tally;
}

}  // namespace ckmap::faults
