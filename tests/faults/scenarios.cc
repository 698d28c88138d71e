#include "tests/faults/scenarios.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace ckmap::faults {
namespace {

namespace fs = std::filesystem;

// Of tests/data.
constexpr const char* kLegacy = "torch/legacy_views.pt";
constexpr const char* kTar = "torch/legacy_tar.pt";
constexpr const char* kHdf5 = "hdf5/net.weights.h5";
constexpr const char* kOnnx = "onnx/net.onnx";
constexpr const char* kGguf = "gguf/quantised.gguf";
constexpr const char* kMindir = "mindir/relu.mindir";

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool IsTemporary(const std::string& path) {
  return path.find(".ckmap-") != std::string::npos && fs::path(path).filename().string().starts_with('.');
}

// Size and times of each file in a folder: cheaper to compare than the contents.
std::map<std::string, std::string> Stamps(const std::string& folder) {
  std::map<std::string, std::string> stamps;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat status {};
    ::stat(entry.path().c_str(), &status);
    std::string& stamp = stamps[entry.path().string()];
    for (const int64_t number :
         {static_cast<int64_t>(status.st_ino), static_cast<int64_t>(status.st_size),
          static_cast<int64_t>(status.st_ctim.tv_sec), static_cast<int64_t>(status.st_ctim.tv_nsec)}) {
      stamp += std::to_string(number) + " ";
    }
  }
  return stamps;
}

std::string FirstDifference(const Files& found, const Files& expected) {
  for (const auto& [path, content] : found) {
    const auto it = expected.find(path);
    if (it == expected.end()) return "`" + path + "` should not be there";
    if (it->second != content) return "`" + path + "` has other bytes";
  }
  for (const auto& [path, content] : expected) {
    if (!found.contains(path)) return "`" + path + "` is missing";
  }
  return "";
}

}  // namespace

Files ReadFolder(const std::string& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = fs::relative(entry.path(), folder).string();
    files[path] = entry.is_directory() ? "(a folder)" : ReadFile(entry.path());
  }
  return files;
}

bool RedirectOutput(const std::string& log) {
  const std::string error_log = log + ".err";
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  const int err = ::open(error_log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  if (out < 0 || err < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(err, STDERR_FILENO) < 0) return false;
  if (out > STDERR_FILENO) ::close(out);
  if (err > STDERR_FILENO) ::close(err);
  return true;
}

int Run(const std::vector<std::string>& command, const std::string& log) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!RedirectOutput(log)) ::_exit(126);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Scenario::Scenario(Description description, const std::string& programs, const std::string& base)
    : description_(std::move(description)), programs_(programs), folder_(base + "/" + description_.name) {
  fs::create_directories(folder_ + "/out");
  fs::copy(base + "/in", folder_ + "/in", fs::copy_options::recursive);
  const auto make = [&](const std::string& source, const std::vector<std::string>& options) {
    std::vector<std::string> words = CommandWith(options);
    if (description_.replaces) words[3] = source;
    if (Run(words, log()) != 0) {
      std::fprintf(stderr, "%s does not run without faults:\n%s", name().c_str(), ReadFile(log() + ".err").c_str());
      std::abort();
    }
  };
  const std::string source = folder_ + "/in/" + description_.source;
  inputs_ = ReadFolder(folder_ + "/in");
  if (description_.replaces) {
    make(folder_ + "/in/other.safetensors", description_.older.empty() ? description_.options : description_.older);
    before_ = ReadFolder(folder_ + "/out");
  }
  make(source, description_.options);
  complete_ = ReadFolder(folder_ + "/out");
  printed_ = ReadFile(log());
  stamps_ = Stamps(folder_ + "/in");
  Reset();
}

std::vector<std::string> Scenario::command() const { return CommandWith(description_.options); }

std::vector<std::string> Scenario::CommandWith(const std::vector<std::string>& options) const {
  std::vector<std::string> words = {programs_ + "/ckmap", description_.command, folder_ + "/in/same.ckplan",
                                    folder_ + "/in/" + description_.source};
  if (description_.command == "inspect") return {words[0], "inspect", words[3], "--digest"};
  if (description_.command == "compile")
    return {programs_ + "/ckmapc", words[3], "-o", folder_ + "/out/" + description_.output};
  words.insert(words.end(), {"--target", folder_ + "/in/a.safetensors", "-q"});
  if (description_.command == "apply") words.insert(words.end(), {"-o", folder_ + "/out/" + description_.output});
  if (std::find(options.begin(), options.end(), "-j2") == options.end()) words.emplace_back("-j1");
  for (std::string option : options) {
    for (size_t at = 0; (at = option.find("@", at)) != std::string::npos;) option.replace(at, 1, folder_);
    words.push_back(std::move(option));
  }
  return words;
}

bool Scenario::flushes() const {
  const auto& options = description_.options;
  return std::find(options.begin(), options.end(), "--no-fsync") == options.end();
}

void Scenario::Reset() const {
  const std::string out = folder_ + "/out";
  fs::remove_all(out);
  fs::create_directory(out);
  for (const auto& [path, content] : before_) {
    if (content == "(a folder)") {
      fs::create_directory(out + "/" + path);
    } else {
      std::ofstream(out + "/" + path, std::ios::binary) << content;
    }
  }
}

std::string Scenario::Judge(int status) const {
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  if (Stamps(folder_ + "/in") != stamps_)
    return "sources: " + FirstDifference(ReadFolder(folder_ + "/in"), inputs_) + " (or a time)";
  const Files out = ReadFolder(folder_ + "/out");
  const int code = WEXITSTATUS(status);
  if (code == 0 && only_prints() && ReadFile(log()) != printed_) return "prints something else";
  if (code == 0) return FirstDifference(out, complete_);
  if (code > 5) return "exit code " + std::to_string(code);
  // A run that could not print, or not write its report, may have done its work before.
  const std::string not_before = FirstDifference(out, before_);
  if (not_before.empty()) return "";
  Files without_report = complete_;
  std::erase_if(without_report, [](const auto& file) { return file.first.ends_with("report.json"); });
  return out == complete_ || out == without_report ? "" : "after exit code " + std::to_string(code) + ": " + not_before;
}

std::string Scenario::JudgeKilled(size_t& left) const {
  if (std::string difference = FirstDifference(ReadFolder(folder_ + "/in"), inputs_); !difference.empty()) {
    return "sources: " + difference;
  }
  Files out = ReadFolder(folder_ + "/out");
  left += std::erase_if(out, [](const auto& file) { return IsTemporary(file.first); });
  return JudgeNames(out);
}

std::string Scenario::JudgeNames(const Files& out) const {
  if (out == before_ || out == complete_) return "";
  bool index = false;
  for (const auto& [path, content] : out) {
    const auto is = [&](const Files& files) { return files.contains(path) && files.at(path) == content; };
    if (!is(complete_) && !is(before_)) return "`" + path + "` is neither as before nor complete";
    index = index || path.ends_with(".index.json");
  }
  if (!index) return "";  // no record of completeness: shards alone are an incomplete set to every reader
  // With an index, all that it stands for is of one kind.
  const auto holds_all = [&](const Files& files) {
    return std::all_of(files.begin(), files.end(), [&](const auto& file) {
      return file.first.ends_with("report.json") || (out.contains(file.first) && out.at(file.first) == file.second);
    });
  };
  if (holds_all(complete_) || (!before_.empty() && holds_all(before_))) return "";
  return "the index is there, but not all of its set";
}

bool PrepareInputs(const std::string& programs, const std::string& source_tree, const std::string& folder) {
  const std::string in = folder + "/in";
  const std::string quickstart = source_tree + "/examples/quickstart/";
  fs::create_directories(in);
  const std::string data = source_tree + "/tests/data/";
  for (const char* file : {kLegacy, kTar, kHdf5, kOnnx, kGguf, kMindir}) {
    fs::copy_file(data + file, in + "/" + fs::path(file).filename().string());
  }
  fs::copy_file(quickstart + "torch2ms.ckmap", in + "/torch2ms.ckmap");
  std::ofstream(in + "/same.ckmap") << "ckmap 1;\nmigration same from mindspore to mindspore;\n";
  std::ofstream(in + "/key") << "0123456789abcdef";
  const std::string target = quickstart + "target.yaml";
  const auto run = [&](std::vector<std::string> words) {
    words[0] = programs + "/" + words[0];
    if (Run(words, folder + "/log") == 0) return true;
    std::fprintf(stderr, "%s", ReadFile(folder + "/log.err").c_str());
    return false;
  };
  const auto make = [&](const std::string& plan, const std::string& source, const std::string& output,
                        const std::vector<std::string>& options) {
    std::vector<std::string> words = {"ckmap", "apply",           plan, source, "--target", target,
                                      "-o",    in + "/" + output, "-q"};
    words.insert(words.end(), options.begin(), options.end());
    return run(std::move(words));
  };
  const std::string same = in + "/same.ckplan";
  const std::string first = folder + "/torch2ms.ckplan";
  bool ok = run({"ckmapc", quickstart + "torch2ms.ckmap", "-o", first}) &&
            run({"ckmapc", in + "/same.ckmap", "-o", same}) &&
            make(first, quickstart + "digits.pth", "a.safetensors", {}) &&
            make(same, in + "/a.safetensors", "a.ckpt", {"--crc"}) && make(same, in + "/a.safetensors", "a.pth", {}) &&
            make(same, in + "/a.safetensors", "a.npz", {}) &&
            make(same, in + "/a.safetensors", "e.ckpt", {"--encrypt", "aes-gcm", "--key-file", in + "/key"}) &&
            make(same, in + "/a.safetensors", "shards", {"--to", "safetensors", "--max-shard-size", "64KiB"});
  // The same tensors with other values: the last bit of each float is another.
  std::string other = ReadFile(in + "/a.safetensors");
  const size_t header = static_cast<unsigned char>(other[0]) + 256U * static_cast<unsigned char>(other[1]);
  for (size_t i = 8 + header; i < other.size(); i += 4) other[i] = static_cast<char>(other[i] ^ 1);
  std::ofstream(in + "/other.safetensors", std::ios::binary) << other;
  return ok;
}

std::vector<std::unique_ptr<Scenario>> AllScenarios(const std::string& programs, const std::string& base) {
  using Description = Scenario::Description;
  const std::vector<std::string> shards = {"--to", "safetensors", "--max-shard-size", "64KiB"};
  std::vector<std::string> forced_shards = shards;
  forced_shards.emplace_back("--force");
  const std::vector<std::string> one_file = {"--to", "safetensors", "--max-shard-size", "64MiB", "--force"};
  std::vector<Description> descriptions = {
      {"safetensors_to_ckpt_crc", "a.safetensors", {"--crc"}, "x.ckpt"},
      {"ckpt_to_safetensors_report", "a.ckpt", {"--report", "@/out/report.json"}, "x.safetensors"},
      {"torch_to_new_folder_of_shards", "a.pth", shards, "new"},
      {"shards_to_torch", "shards", {}, "x.pth"},
      {"torch_to_ckpt_forced", "a.pth", {"--force"}, "x.ckpt", true},
      {"safetensors_to_shards_forced", "a.safetensors", forced_shards, "set", true},
      {"one_file_replaces_shards", "a.safetensors", one_file, "set", true, "apply", shards},
      {"shards_replace_one_file", "a.safetensors", forced_shards, "set", true, "apply", one_file},
      {"safetensors_to_torch_no_fsync", "a.safetensors", {"--no-fsync"}, "x.pt"},
      {"ckpt_to_safetensors_two_threads", "a.ckpt", {"--crc", "-j2"}, "x.safetensors"},
      {"encrypted_ckpt_to_npz", "e.ckpt", {"--key-file", "@/in/key"}, "x.npz"},
      {"npz_to_gguf", "a.npz", {}, "x.gguf"},
      {"compile", "torch2ms.ckmap", {}, "x.ckplan", false, "compile"},
      {"plan_torch", "a.pth", {}, "", false, "plan"},
  };
  for (const char* file : {"a.ckpt", "shards", kLegacy, kTar, kHdf5, kOnnx, kGguf, kMindir}) {
    const std::string name = fs::path(file).filename().string();
    descriptions.push_back({"inspect_" + name, name, {}, "", false, "inspect"});
  }
  std::vector<std::unique_ptr<Scenario>> scenarios;
  for (const Description& description : descriptions) {
    scenarios.push_back(std::make_unique<Scenario>(description, programs, base));
  }
  return scenarios;
}

}  // namespace ckmap::faults
