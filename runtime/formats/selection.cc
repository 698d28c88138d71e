#include "runtime/formats/selection.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/formats/selected_checkpoint.h"

namespace ckmap {
namespace {

// One choice and whether any name was concerned.
struct Choice {
  std::string_view option;
  std::string_view text;
  bool keeps = false;  // what it fits is kept, not left out
  bool glob = false;
  bool used = false;

  bool Fits(std::string_view name) {
    const bool fits = glob ? GlobMatches(text, name) : name.starts_with(text);
    used = used || fits;
    return fits;
  }
};

std::vector<Choice> ChoicesOf(const Selection& selection) {
  std::vector<Choice> choices;
  const auto add = [&choices](const std::vector<std::string>& texts, std::string_view option, bool keeps, bool glob) {
    for (const std::string& text : texts) choices.push_back({option, text, keeps, glob});
  };
  add(selection.specify_prefix, "--specify-prefix", true, false);
  add(selection.filter_prefix, "--filter-prefix", false, false);
  add(selection.only, "--only", true, true);
  add(selection.drop, "--drop", false, true);
  return choices;
}

// Kinds of choices that keep must each find the name; one that leaves out is enough.
bool Keeps(std::vector<Choice>& choices, std::string_view name) {
  bool kept = true;
  for (const std::string_view option : {"--specify-prefix", "--only"}) {
    bool asked = false;
    bool fits = false;
    for (Choice& choice : choices) {
      if (choice.option != option) continue;
      asked = true;
      if (choice.Fits(name)) fits = true;
    }
    kept = kept && (!asked || fits);
  }
  for (Choice& choice : choices) {
    if (!choice.keeps && choice.Fits(name)) kept = false;
  }
  return kept;
}

// "--only" as the caller's options begin.
std::string OptionName(const Choice& choice, const std::string& begin) {
  return begin + std::string(choice.option.substr(2));
}

Result<void> CheckUsed(const std::vector<Choice>& choices, const std::string& begin) {
  std::string unused;
  for (const Choice& choice : choices) {
    if (!choice.used)
      unused += fmt::format("{}{} {}", unused.empty() ? "" : ", ", OptionName(choice, begin), EscapeText(choice.text));
  }
  if (unused.empty()) return {};
  return Error(ErrorCode::kMismatch,
               fmt::format("no tensor has such a name: {}; `ckmap inspect` lists the names", unused));
}

Result<void> CheckTexts(const std::vector<Choice>& choices, const std::string& begin) {
  for (const Choice& choice : choices) {
    if (choice.text.empty())
      return Error(ErrorCode::kUsage, fmt::format("{}: must not be empty", OptionName(choice, begin)));
  }
  return {};
}

}  // namespace

SelectedCheckpoint::SelectedCheckpoint(std::unique_ptr<Checkpoint> whole, const std::vector<size_t>& tensors,
                                       std::vector<OtherEntry> others, std::string warning)
    : whole_(std::move(whole)) {
  manifest_.framework = whole_->manifest().framework;
  for (const size_t i : tensors) {
    manifest_.Add(whole_->manifest()[i]);
    layouts_.push_back(whole_->layout(i));
  }
  metadata_ = whole_->metadata();
  others_ = std::move(others);
  warnings_ = whole_->warnings();
  warnings_.push_back(std::move(warning));
}

bool Keeps(const Selection& selection, std::string_view name) {
  std::vector<Choice> choices = ChoicesOf(selection);
  return Keeps(choices, name);
}

bool GlobMatches(std::string_view glob, std::string_view name) {
  // reached[i]: whether the glob so far matches the first i bytes of the name.
  std::vector<bool> reached(name.size() + 1, false);
  reached[0] = true;
  for (size_t at = 0; at < glob.size(); ++at) {
    std::vector<bool> next(name.size() + 1, false);
    if (glob[at] != '*') {
      for (size_t i = 0; i < name.size(); ++i) next[i + 1] = reached[i] && name[i] == glob[at];
    } else {
      const bool dots = at + 1 < glob.size() && glob[at + 1] == '*';
      if (dots) ++at;
      for (size_t i = 0; i <= name.size(); ++i) {
        next[i] = reached[i] || (i > 0 && next[i - 1] && (dots || name[i - 1] != '.'));
      }
    }
    reached = std::move(next);
  }
  return reached.back();
}

Result<std::unique_ptr<Checkpoint>> Select(std::unique_ptr<Checkpoint> checkpoint, const Selection& selection) {
  if (selection.empty()) return checkpoint;
  std::vector<Choice> choices = ChoicesOf(selection);
  CKMAP_RETURN_IF_ERROR(CheckTexts(choices, "--"));
  std::vector<size_t> kept;
  std::vector<std::string> left_out;
  for (size_t i = 0; i < checkpoint->manifest().size(); ++i) {
    const std::string& name = checkpoint->manifest()[i].name;
    if (Keeps(choices, name)) {
      kept.push_back(i);
    } else {
      left_out.push_back(name);
    }
  }
  std::vector<OtherEntry> others;
  for (const OtherEntry& other : checkpoint->others()) {
    if (Keeps(choices, other.name)) others.push_back(other);
  }
  CKMAP_RETURN_IF_ERROR(CheckUsed(choices, "--"));
  if (kept.empty()) return Error(ErrorCode::kMismatch, "the choice of names leaves no tensor");
  if (left_out.empty() && others.size() == checkpoint->others().size()) return checkpoint;
  std::string warning = fmt::format("left out, as asked: {} of {}", left_out.size(),
                                    Plural(static_cast<int64_t>(checkpoint->manifest().size()), "tensor"));
  constexpr size_t kShown = 3;
  for (size_t i = 0; i < left_out.size() && i < kShown; ++i) {
    warning += fmt::format("{}`{}`", i == 0 ? " (" : ", ", EscapeText(left_out[i]));
  }
  if (!left_out.empty()) warning += left_out.size() > kShown ? ", …)" : ")";
  return std::unique_ptr<Checkpoint>(
      std::make_unique<SelectedCheckpoint>(std::move(checkpoint), kept, std::move(others), std::move(warning)));
}

Result<Manifest> Select(Manifest manifest, const Selection& selection, const std::string& begin) {
  if (selection.empty()) return manifest;
  std::vector<Choice> choices = ChoicesOf(selection);
  CKMAP_RETURN_IF_ERROR(CheckTexts(choices, begin));
  Manifest kept;
  kept.framework = manifest.framework;
  for (const TensorInfo& tensor : manifest.tensors()) {
    if (Keeps(choices, tensor.name)) kept.Add(tensor);
  }
  CKMAP_RETURN_IF_ERROR(CheckUsed(choices, begin));
  if (kept.size() == 0) return Error(ErrorCode::kMismatch, "the choice of names leaves no tensor");
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i].tied_to.empty() && !kept.Find(kept[i].tied_to)) kept.at(i).tied_to.clear();
  }
  return kept;
}

}  // namespace ckmap
