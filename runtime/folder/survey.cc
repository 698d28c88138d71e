#include "runtime/folder/survey.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/folder.h"
#include "runtime/base/text.h"
#include "runtime/formats/sharded/shard_index.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 100'000;
constexpr std::string_view kIndexEnding = ".index.json";

// In the order in which transformers and diffusers look for them.
constexpr std::array<std::string_view, 8> kWeights = {"model.safetensors",
                                                      "model.safetensors.index.json",
                                                      "diffusion_pytorch_model.safetensors",
                                                      "diffusion_pytorch_model.safetensors.index.json",
                                                      "pytorch_model.bin",
                                                      "pytorch_model.bin.index.json",
                                                      "diffusion_pytorch_model.bin",
                                                      "diffusion_pytorch_model.bin.index.json"};

// What goes along. Whole names, or with `*` their beginnings.
constexpr std::array<std::string_view, 24> kCarried = {"generation_config.json",
                                                       "preprocessor_config.json",
                                                       "processor_config.json",
                                                       "video_preprocessor_config.json",
                                                       "image_processor_config.json",
                                                       "feature_extractor_config.json",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "tokenizer.model",
                                                       "spiece.model",
                                                       "sentencepiece.bpe.model",
                                                       "source.spm",
                                                       "target.spm",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "vocab.json",
                                                       "vocab.txt",
                                                       "merges.txt",
                                                       "chat_template.jinja",
                                                       "chat_template.json",
                                                       "README.md",
                                                       "LICENSE*",
                                                       "LICENCE*",
                                                       "NOTICE*"};

bool IsCarried(std::string_view name) {
  return std::any_of(kCarried.begin(), kCarried.end(), [&](std::string_view known) {
    if (!known.ends_with('*')) return name == known;
    known.remove_suffix(1);
    // LICENSE, LICENSE.txt, LICENSE-CODE; not LICENSE.py.
    return name.starts_with(known) && !name.ends_with(".py") && !name.ends_with(".sh") && !name.ends_with(".so");
  });
}

bool Lies(const fs::path& file, const fs::path& folder) {
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
  return end == folder.end();
}

class Survey {
 public:
  Survey(const std::string& path, bool with_code) : with_code_(with_code) { folder_.path = path; }

  Result<ModelFolder> Run() {
    std::error_code error;
    if (!fs::is_directory(folder_.path, error)) {
      return Error(error ? ErrorCode::kIo : ErrorCode::kUsage,
                   fmt::format("{}: not a folder: give the folder of the model, with its config.json",
                               EscapeText(folder_.path)));
    }
    root_ = fs::canonical(folder_.path, error);
    CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_.path));
    if (names.size() > kMaxEntries)
      return Error(ErrorCode::kLimit, fmt::format("{}: more than {} entries", EscapeText(folder_.path), kMaxEntries));
    for (const std::string& name : names) CKMAP_RETURN_IF_ERROR(Sort(name));
    CKMAP_RETURN_IF_ERROR(ChooseWeights());
    return std::move(folder_);
  }

 private:
  // Why an entry cannot be read; "" if it is a regular file of the folder.
  std::string WhyNotAFile(const std::string& name) const {
    std::error_code error;
    const fs::path path = fs::path(folder_.path) / name;
    const fs::file_status own = fs::symlink_status(path, error);
    if (fs::is_directory(own)) return "a folder";
    if (!fs::is_symlink(own)) return fs::is_regular_file(own) ? "" : "not a regular file";
    const fs::path real = fs::canonical(path, error);
    if (error || !fs::is_regular_file(real, error)) return "a link that leads to no file";
    const fs::path blobs =
        root_.parent_path().filename() == "snapshots" ? root_.parent_path().parent_path() / "blobs" : fs::path();
    if (Lies(real, root_) || (!blobs.empty() && Lies(real, blobs))) return "";
    return "a link that leads out of the folder";
  }

  Result<void> Sort(const std::string& name) {
    const std::string why = WhyNotAFile(name);
    const bool weights = IsWeightsName(name);
    if (name == "config.json" || weights || name.ends_with(kIndexEnding)) {
      // A part of a repository that is not read here may be a folder of that name.
      if (why.empty()) {
        if (name == "config.json") folder_.config = (fs::path(folder_.path) / name).string();
        if (weights || name.ends_with(kIndexEnding)) candidates_.insert(name);
        return {};
      }
      if (why != "a folder") {
        return Error(ErrorCode::kMalformed, fmt::format("{}/{}: {}", EscapeText(folder_.path), EscapeText(name), why));
      }
    }
    if (!why.empty()) {
      folder_.left_behind.emplace_back(name, why);
    } else if (IsCarried(name) || (with_code_ && name.ends_with(".py"))) {
      folder_.carried.push_back(name);
    } else {
      folder_.left_behind.emplace_back(
          name, name.ends_with(".py") ? "code, which --with-code carries" : "not one of the files that go along");
    }
    return {};
  }

  Result<void> ChooseWeights() {
    std::string chosen;
    for (const std::string_view known : kWeights) {
      if (chosen.empty() && candidates_.contains(std::string(known))) chosen = known;
    }
    if (chosen.empty()) {
      std::vector<std::string> indexes, files;
      for (const std::string& name : candidates_) (name.ends_with(kIndexEnding) ? indexes : files).push_back(name);
      const std::vector<std::string>& choices = indexes.empty() ? files : indexes;
      if (choices.empty())
        return Error(ErrorCode::kUsage, fmt::format("{}: there are no weights in it", EscapeText(folder_.path)));
      if (choices.size() > 1) {
        return Error(ErrorCode::kUsage,
                     fmt::format("{}: several checkpoints, and nothing says which is meant: {}",
                                 EscapeText(folder_.path), EscapeText(fmt::format("{}", fmt::join(choices, ", ")))));
      }
      chosen = choices.front();
    }
    folder_.weights = (fs::path(folder_.path) / chosen).string();
    folder_.stem = chosen.substr(0, chosen.find('.'));
    const bool sharded = chosen.ends_with(kIndexEnding);
    for (const std::string& name : candidates_) {
      if (name == chosen) continue;
      if (name.ends_with(kIndexEnding)) {
        folder_.left_behind.emplace_back(name, fmt::format("an index beside `{}`, which is what is read", chosen));
      } else if (!sharded || !name.starts_with(folder_.stem)) {
        folder_.left_behind.emplace_back(name, fmt::format("weights beside `{}`, which is what is read", chosen));
      }
    }
    return {};
  }

  const bool with_code_;
  ModelFolder folder_;
  fs::path root_;
  std::set<std::string> candidates_;  // checkpoints and indexes
};

}  // namespace

Result<ModelFolder> SurveyFolder(const std::string& path, bool with_code) { return Survey(path, with_code).Run(); }

}  // namespace ckmap
