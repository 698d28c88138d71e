#include "compiler/cli/converter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/formats/create.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownOfLog = 2000;  // bytes of what a command printed that an error shows

// ---- the command -----------------------------------------------------------------------------------------------

// Its words, as `sh` would take them apart: quotes and backslashes, and nothing else.
Result<std::vector<std::string>> WordsOf(const std::string& command) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word) word.emplace();
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && i + 1 < command.size()) {
      *word += command[++i];
    } else {
      *word += c;
    }
  }
  if (quote != 0) return Error(ErrorCode::kUsage, fmt::format("--from-converter: a quote ({}) is not closed", quote));
  if (word) words.push_back(*std::move(word));
  if (words.empty()) return Error(ErrorCode::kUsage, "--from-converter: the command is empty");
  return words;
}

// Where `{source}` or `{source:NAME}` stands in a word.
struct Placeholder {
  size_t at = 0, length = 0;
  std::string name;
};
std::optional<Placeholder> FindPlaceholder(const std::string& word, const std::string& what, size_t from) {
  for (size_t at = from; (at = word.find("{" + what, at)) != std::string::npos; ++at) {
    const size_t after = at + 1 + what.size(), end = word.find('}', after);
    if (end == after) return Placeholder{at, end + 1 - at, ""};
    if (end != std::string::npos && word[after] == ':')
      return Placeholder{at, end + 1 - at, word.substr(after + 1, end - after - 1)};
  }
  return std::nullopt;
}

struct Command {
  std::vector<std::string> words;
  std::string source_name, target_name;

  std::vector<std::string> With(const std::string& source, const std::string& target) const {
    std::vector<std::string> filled = words;
    for (std::string& word : filled) {
      for (const auto& [what, path] : {std::pair{"source", source}, std::pair{"target", target}}) {
        size_t from = 0;
        while (const auto found = FindPlaceholder(word, what, from)) {
          word.replace(found->at, found->length, path);
          from = found->at + path.size();
        }
      }
    }
    return filled;
  }
};

Result<Command> ReadCommand(const std::string& text, const std::string& source) {
  Command command;
  CKMAP_ASSIGN_OR_RETURN(command.words, WordsOf(text));
  const std::string ending = fs::path(source).extension().string();
  const bool writes = OutputFormatFromPath(source) && !ending.empty();
  command.source_name = "source" + (writes ? ending : std::string(".safetensors"));
  command.target_name = "target";
  for (const auto& [what, name] :
       {std::pair{"source", &command.source_name}, std::pair{"target", &command.target_name}}) {
    bool found = false;
    for (const std::string& word : command.words) {
      const auto placeholder = FindPlaceholder(word, what, 0);
      if (!placeholder) continue;
      found = true;
      if (!placeholder->name.empty()) *name = placeholder->name;
    }
    if (!found) {
      return Error(ErrorCode::kUsage,
                   fmt::format("--from-converter: the command has no {{{0}}}: write {{{0}}} where it "
                               "takes the path of its {1}",
                               what, what == std::string("source") ? "input" : "output"));
    }
    if (name->find('/') != std::string::npos || *name == "." || *name == "..")
      return Error(ErrorCode::kUsage,
                   fmt::format("--from-converter: {{{}:{}}}: write the name of a file, without a folder", what,
                               EscapeText(*name)));
  }
  if (!OutputFormatFromPath(command.source_name)) {
    return Error(ErrorCode::kUsage,
                 fmt::format("--from-converter: ckmap writes no file `{}`; the endings are those of {}",
                             EscapeText(command.source_name), OutputFormatNames()));
  }
  return command;
}

// ---- running it ------------------------------------------------------------------------------------------------

volatile sig_atomic_t caught_signal = 0;
volatile sig_atomic_t worker_process = 0;

void Catch(int signal) {
  caught_signal = signal;
  if (worker_process > 0) ::kill(static_cast<pid_t>(worker_process), SIGTERM);
}

class CatchSignals {
 public:
  CatchSignals() {
    struct sigaction action {};
    action.sa_handler = Catch;
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
    action.sa_handler = SIG_IGN;  // a worker that has ended reads no answer
    ::sigaction(SIGPIPE, &action, &pipe_before_);
  }
  ~CatchSignals() { Restore(); }
  void Restore() const {
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  }

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> before_{};
  struct sigaction pipe_before_ {};
};

std::string EndOfLog(const std::string& path) {
  const auto text = ReadTextFile(path, int64_t{1} << 26);
  if (!text || text->empty()) return "\n  it printed nothing";
  std::string shown = "\n  it printed:";
  const size_t from = text->size() > kShownOfLog ? text->size() - kShownOfLog : 0;
  size_t at = from;
  while (at < text->size()) {
    const size_t end = std::min(text->find('\n', at), text->size());
    if (end > at) shown += "\n    " + EscapeText(text->substr(at, end - at));
    at = end + 1;
  }
  return shown;
}

[[noreturn]] void Execute(const std::vector<std::string>& words, const std::string& log) {
  ::setpgid(0, 0);
  const int none = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (none < 0 || out < 0 || ::dup2(none, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) ::_exit(126);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const std::string why = fmt::format("{}: {}\n", words[0], std::strerror(errno));
  const ssize_t ignored = ::write(2, why.data(), why.size());
  static_cast<void>(ignored);
  ::_exit(127);
}

Result<void> RunOnce(const std::vector<std::string>& words, const std::string& log, int64_t seconds) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return IoError("--from-converter: cannot start a process", errno);
  if (child == 0) Execute(words, log);
  ::setpgid(child, child);  // whoever of the two comes first
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  int status = 0;
  bool late = false;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    late = std::chrono::steady_clock::now() > end;
    if (late || caught_signal != 0) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  ::kill(-child, SIGKILL);  // what it left running
  if (late) {
    return Error(ErrorCode::kLimit,
                 fmt::format("the converter did not end within {}: --converter-timeout gives it longer{}",
                             Plural(seconds, "second"), EndOfLog(log)));
  }
  if (WIFSIGNALED(status)) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("the converter was ended by signal {}{}", WTERMSIG(status), EndOfLog(log)));
  }
  if (WEXITSTATUS(status) != 0) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("the converter ended with exit code {}{}", WEXITSTATUS(status), EndOfLog(log)));
  }
  return {};
}

// ---- between the two -------------------------------------------------------------------------------------------

bool WriteAll(int fd, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::write(fd, at, size);
    if (count < 0 && errno == EINTR && caught_signal == 0) continue;
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

bool ReadAll(int fd, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = ::read(fd, at, size);
    if (count < 0 && errno == EINTR && caught_signal == 0) continue;
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

// An answer: the code of an error or 0, and its text.
struct AnswerHead {
  int32_t code = 0;
  uint32_t size = 0;
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    const char* set = std::getenv("TMPDIR");
    path_ = std::string(set != nullptr && *set != 0 ? set : "/tmp") + "/ckmapc-converter-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) {
      error_ = errno;
      failed_ = std::exchange(path_, "");
    }
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  Error error() const { return IoError(fmt::format("{}: cannot make the folder", EscapeText(failed_)), error_); }

 private:
  std::string path_, failed_;
  int error_ = 0;
};

std::string RunFolder(const std::string& folder, int run) { return fmt::format("{}/{}", folder, run); }

Result<void> Serve(const Command& command, const std::string& folder, int run, int64_t seconds) {
  const std::string own = RunFolder(folder, run), made = own + "/made";
  const std::string source = own + "/" + command.source_name;
  if (::mkdir(own.c_str(), 0700) != 0 || ::mkdir(made.c_str(), 0700) != 0 ||
      ::rename((folder + "/next/" + command.source_name).c_str(), source.c_str()) != 0)
    return IoError(fmt::format("{}: cannot be filled", EscapeText(own)), errno);
  return RunOnce(command.With(source, made + "/" + command.target_name), own + "/log", seconds);
}

}  // namespace

Result<std::string> ConverterRuns::Output(const std::string& folder) const {
  std::error_code error;
  std::vector<std::string> entries;
  for (const auto& entry : fs::directory_iterator(folder, error)) entries.push_back(entry.path().string());
  if (entries.empty())
    return Error(ErrorCode::kMismatch,
                 "the converter ended with exit code 0 and wrote nothing at the path of {target}");
  if (entries.size() > 1) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("the converter wrote {} files at the path of {{target}}: it has to write one, or a folder "
                             "that is a checkpoint",
                             entries.size()));
  }
  return entries[0];  // of the name that was asked for, or with an ending more, as numpy.savez gives it
}

Result<ConverterRuns::Files> ConverterRuns::Run(int run) {
  const auto asked = static_cast<uint8_t>(run);
  AnswerHead head;
  std::string text;
  bool answered = WriteAll(ask_, &asked, 1) && ReadAll(answer_, &head, sizeof(head));
  if (answered) {
    text.resize(head.size);
    answered = ReadAll(answer_, text.data(), text.size());
  }
  if (!answered) return Error(ErrorCode::kIo, "interrupted");
  if (head.code != 0) return Error(static_cast<ErrorCode>(head.code), text);
  const std::string own = RunFolder(folder_, run);
  CKMAP_ASSIGN_OR_RETURN(std::string target, Output(own + "/made"));
  return Files{own + "/" + name_, std::move(target)};
}

int WithConverter(const ConverterArgs& args, const std::string& source,
                  const std::function<int(ConverterRuns& runs)>& work) {
  const Result<Command> command = ReadCommand(args.command, source);
  if (!command) return PrintError(command.error());
  const TemporaryFolder folder;
  if (folder.path().empty()) return PrintError(folder.error());
  if (::mkdir((folder.path() + "/next").c_str(), 0700) != 0)
    return PrintError(IoError(fmt::format("{}: cannot be filled", EscapeText(folder.path())), errno));
  std::array<int, 2> ask{-1, -1}, answer{-1, -1};
  if (::pipe2(ask.data(), O_CLOEXEC) != 0 || ::pipe2(answer.data(), O_CLOEXEC) != 0)
    return PrintError(IoError("--from-converter: no pipe", errno));
  const CatchSignals signals;
  std::fflush(nullptr);
  const pid_t worker = ::fork();
  if (worker < 0) return PrintError(IoError("--from-converter: cannot start a process", errno));
  if (worker == 0) {
    signals.Restore();
    ::close(ask[0]);
    ::close(answer[1]);
    ConverterRuns runs(folder.path(), command->source_name, ask[1], answer[0]);
    const int code = work(runs);
    std::fflush(nullptr);
    ::_exit(code);
  }
  worker_process = worker;
  ::close(ask[1]);
  ::close(answer[0]);
  uint8_t run = 0;
  while (caught_signal == 0 && ReadAll(ask[0], &run, 1)) {
    const Result<void> served = Serve(*command, folder.path(), run, args.seconds);
    const std::string text = served ? "" : served.error().message();
    const AnswerHead head{served ? 0 : static_cast<int32_t>(served.error().code()), static_cast<uint32_t>(text.size())};
    if (!WriteAll(answer[1], &head, sizeof(head)) || !WriteAll(answer[1], text.data(), text.size())) break;
  }
  ::close(ask[0]);
  ::close(answer[1]);
  int status = 0;
  while (::waitpid(worker, &status, 0) < 0 && errno == EINTR) {
  }
  worker_process = 0;
  if (caught_signal != 0) return 128 + static_cast<int>(caught_signal);
  if (WIFSIGNALED(status)) {
    fmt::print(stderr, "ckmapc: error: the process that reads the checkpoints was ended by signal {}\n",
               WTERMSIG(status));
    return 128 + WTERMSIG(status);
  }
  return WEXITSTATUS(status);
}

}  // namespace ckmap
