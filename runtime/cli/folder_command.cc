// `ckmap migrate`: a model's folder in, a folder that another library loads out.
//
// Two processes do the work, one after the other, each in a sandbox of its own: the first reads the model and fills a
// folder with a temporary name, the second reads both and makes the elements again. This one only makes that folder,
// and gives it its name in the end, or removes it.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/file.h"
#include "runtime/base/output_names.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/sandboxed.h"
#include "runtime/cli/signals.h"
#include "runtime/folder/migrate_folder.h"
#include "runtime/migrate/paths.h"
#include "runtime/report/issues.h"
#include "runtime/report/migration_report.h"
#include "runtime/report/receipt.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

FolderRequest RequestOf(const FolderArgs& args) {
  FolderRequest request{.folder = args.folder,
                        .library = args.to,
                        .pack = args.pack,
                        .target = args.target,
                        .defines = args.defines,
                        .with_code = args.with_code,
                        .fsync = args.fsync};
  request.run.threads = args.threads;
  request.run.max_memory = args.max_memory;
  return request;
}

// Texts that a process hands to its parent: each with its length in front.
void Send(int pipe, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const std::string framed = fmt::format("{}\n{}", text.size(), text);
    size_t sent = 0;
    while (sent < framed.size()) {
      const ssize_t count = ::write(pipe, framed.data() + sent, framed.size() - sent);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      sent += static_cast<size_t>(count);
    }
  }
}

std::vector<std::string> Unpack(const std::string& bytes) {
  std::vector<std::string> texts;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t end = bytes.find('\n', at);
    if (end == std::string::npos) break;
    const size_t size = std::stoull(bytes.substr(at, end - at));
    texts.push_back(bytes.substr(end + 1, size));
    at = end + 1 + size;
  }
  return texts;
}

pid_t running_child = 0;  // that signals are passed on to
volatile sig_atomic_t caught_signal = 0;

void PassOn(int signal) {
  caught_signal = signal;
  if (running_child > 0) ::kill(running_child, signal);
}

// While it lives, signals that would end this process go to its child, which ends in order.
class PassSignalsOn {
 public:
  PassSignalsOn() {
    struct sigaction action {};
    action.sa_handler = PassOn;
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  ~PassSignalsOn() { Restore(); }
  void Restore() const {
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> before_{};
};

// Runs `work` in a process of its own. Gives its exit code, and what it sent.
int RunApart(const PassSignalsOn& signals, const std::function<int(int pipe)>& work, std::string* sent) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) return static_cast<int>(ErrorCode::kIo);
  std::fflush(nullptr);
  running_child = ::fork();
  if (running_child == 0) {
    ::close(ends[0]);
    signals.Restore();
    const int code = work(ends[1]);
    std::fflush(nullptr);
    ::_exit(code);
  }
  ::close(ends[1]);
  std::array<char, 1 << 16> buffer;
  while (running_child > 0) {
    const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (sent != nullptr) sent->append(buffer.data(), static_cast<size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  while (running_child > 0 && ::waitpid(running_child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool started = running_child > 0;
  running_child = 0;
  if (!started) return static_cast<int>(ErrorCode::kIo);
  if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

// A folder beside `out` with a name of its own, which is removed with what is in it unless it gets the name.
class StagedFolder {
 public:
  static Result<StagedFolder> Make(const std::string& out) {
    std::string path = out;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    StagedFolder folder(path, TemporaryName(FolderOf(path), path, ".partial"));
    if (::mkdir(folder.path_.c_str(), 0777) == 0) return folder;
    const int error = errno;
    folder.path_.clear();
    return IoError(fmt::format("{}: cannot make the folder", out), error);
  }
  StagedFolder(StagedFolder&& other) noexcept : final_(std::move(other.final_)), path_(std::move(other.path_)) {
    other.path_.clear();
  }
  StagedFolder& operator=(StagedFolder&&) = delete;
  ~StagedFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

  // An empty folder of the name is replaced, anything else is not.
  Result<void> GiveName(bool fsync) {
    if (fsync) {
      CKMAP_RETURN_IF_ERROR(Sync(path_));
    }
    if (::rename(path_.c_str(), final_.c_str()) != 0)
      return IoError(fmt::format("{}: cannot give the folder its name", final_), errno);
    path_.clear();
    return fsync ? Sync(FolderOf(final_)) : Result<void>();
  }

 private:
  StagedFolder(std::string final, std::string path) : final_(std::move(final)), path_(std::move(path)) {}

  static Result<void> Sync(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return {};
    ::fsync(fd);
    ::close(fd);
    return {};
  }

  std::string final_, path_;
};

Result<void> CheckOutput(const FolderArgs& args) {
  std::error_code error;
  if (PathExists(args.output) && !(fs::is_directory(args.output, error) && fs::is_empty(args.output, error))) {
    return Error(ErrorCode::kUsage,
                 fmt::format("output `{}` exists already and is not an empty folder", EscapeText(args.output)));
  }
  return CheckOutputApart(args.output, {args.folder});
}

void Tell(const FolderResult& result, const Console& console) {
  console.Warn(result.warnings);
  console.Warn(result.report.warnings);
  console.Say(RenderIssues(result.report.issues, {.style = console.err()}));
  for (const auto& [name, why] : result.left_behind)
    console.Say(fmt::format("note: `{}` stays behind: {}\n", EscapeText(name), EscapeText(why)));
  for (const std::string& change : result.config_changes)
    console.Say(fmt::format("note: config.json: {}\n", EscapeText(change)));
}

// In the first process.
int Convert(const FolderArgs& args, const std::string& staged, const Console& console, int pipe) {
  std::optional<SignalGuard> signals;
  signals.emplace();
  if (auto entered = EnterSandboxFor(PathsOfConversion(args, staged), args.sandbox, console); !entered)
    return console.Fail(entered.error());
  FolderRequest request = RequestOf(args);
  request.run.stop = signals->stop();
  Result<FolderResult> result = [&] {
    ProgressBar bar(console, "converting");
    request.run.progress = [&bar](int64_t done, int64_t total) { bar.Update(done, total); };
    return MigrateFolder(request, staged);
  }();
  if (signals->signal() != 0) return 128 + signals->signal();
  if (!result) return console.Fail(result.error());
  Tell(*result, console);
  std::vector<std::string> texts = {result->pack, result->weights_in, result->weights_out, ReportJson(result->report)};
  for (std::string& command : CommandsFor(request, *result, args.output)) texts.push_back(std::move(command));
  for (const std::string& change : result->config_changes)
    texts.push_back(fmt::format("# then, in config.json: {}", EscapeText(change)));
  Send(pipe, texts);
  return 0;
}

// In the second.
int Verify(const FolderArgs& args, const std::string& staged, const FolderResult& result, const std::string& report,
           const Console& console, int pipe) {
  if (auto entered = EnterSandboxFor(PathsOfVerification(args, staged), args.sandbox, console); !entered)
    return console.Fail(entered.error());
  const Result<VerifyOutcome> outcome = VerifyFolder(RequestOf(args), result, staged, report);
  if (!outcome) return console.Fail(outcome.error());
  console.SayAlways(RenderIssues(outcome->issues, {.style = console.err()}));
  if (!outcome->issues.empty()) return static_cast<int>(ErrorCode::kMismatch);
  Send(pipe, {fmt::format("{}, {} of them made again from the source and compared", Plural(outcome->tensors, "tensor"),
                          outcome->recomputed)});
  return 0;
}

}  // namespace

int RunFolder(const FolderArgs& args, const Console& console) {
  if (auto free = CheckOutput(args); !free) return console.Fail(free.error());
  Result<StagedFolder> staged = StagedFolder::Make(args.output);
  if (!staged) return console.Fail(staged.error());
  const PassSignalsOn signals;
  const auto ended = [&](int code) {
    if (code > 128 || caught_signal != 0) console.SayAlways("interrupted; nothing was written\n");
    return caught_signal != 0 ? 128 + static_cast<int>(caught_signal) : code;
  };
  std::string sent;
  const std::string& folder = staged->path();
  if (const int code = RunApart(
          signals, [&](int pipe) { return Convert(args, folder, console, pipe); }, &sent);
      code != 0 || caught_signal != 0)
    return ended(code);
  const std::vector<std::string> texts = Unpack(sent);
  constexpr size_t kCommands = 4;  // what stands in front of them
  if (texts.size() < kCommands) return console.Fail({ErrorCode::kIo, "the conversion did not say how it ended"});
  FolderResult result;
  result.pack = texts[0];
  result.weights_in = texts[1];
  result.weights_out = texts[2];
  std::string verdict;
  if (const int code = RunApart(
          signals, [&](int pipe) { return Verify(args, folder, result, texts[3], console, pipe); }, &verdict);
      code != 0 || caught_signal != 0)
    return ended(code);
  if (auto named = staged->GiveName(args.fsync); !named) return console.Fail(named.error());
  const std::vector<std::string> verified = Unpack(verdict);
  console.Say(fmt::format("wrote {} by {}: {}\n", console.err().Bold(EscapeText(args.output)), result.pack,
                          verified.empty() ? "" : verified[0]));
  std::string commands;
  for (size_t i = kCommands; i < texts.size(); ++i) commands += texts[i] + "\n";
  return console.quiet() ? 0 : console.Write(commands);
}

}  // namespace ckmap
