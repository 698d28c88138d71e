// The whole of it is another one: source and target exchanged, another pack, layers of `std` that are not used.
#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include "runtime/base/folder.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

// Whether so much is wrong that it may be all wrong.
bool MostIsWrong(const Findings& findings) {
  const Situation& situation = findings.situation;
  return (findings.missing.size() + findings.shapes.size()) * 2 >= situation.target.size() ||
         findings.unused.size() * 2 >= situation.source.size();
}

// Makes the places of another plan's statements ones of its files behind those of this plan.
void MovePlaces(google::protobuf::Message& message, uint32_t files) {
  const auto* reflection = message.GetReflection();
  if (auto* loc = dynamic_cast<plan::Location*>(&message)) {
    loc->set_file(loc->file() + files);
    return;
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      MovePlaces(*reflection->MutableMessage(&message, field), files);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i)
      MovePlaces(*reflection->MutableRepeatedMessage(&message, field, i), files);
  }
}

// Adds the layers of a pack, as `use` does.
bool UseLayers(plan::Plan& plan, const plan::Plan& pack) {
  plan::Plan other = pack;
  const auto files = static_cast<uint32_t>(plan.files_size());
  MovePlaces(other, files);
  for (const plan::Variable& variable : other.variables()) {
    for (const plan::Variable& mine : plan.variables()) {
      if (mine.name() == variable.name()) return false;
    }
  }
  for (plan::SourceFile& file : *other.mutable_files()) file.set_level(file.level() + 1);
  plan.mutable_files()->MergeFrom(other.files());
  plan.mutable_variables()->MergeFrom(other.variables());
  plan.mutable_layers()->MergeFrom(other.layers());
  plan.mutable_inits()->MergeFrom(other.inits());
  return true;
}

struct InstalledPack {
  std::string name;
  plan::Plan plan;
};

std::vector<InstalledPack> InstalledPacks() {
  std::vector<InstalledPack> packs;
  for (const std::string& folder : PackFolders()) {
    const auto names = ListFolder(folder);
    if (!names) continue;
    for (const std::string& pack : *names) {
      const auto files = ListFolder((fs::path(folder) / pack).string());
      if (!files) continue;
      for (const std::string& file : *files) {
        if (!file.ends_with(".ckplan")) continue;
        const auto plan = LoadPlan((fs::path(folder) / pack / file).string());
        if (plan) packs.push_back({fmt::format("{}/{}", pack, fs::path(file).stem().string()), plan->proto()});
      }
    }
  }
  std::sort(packs.begin(), packs.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return packs;
}

bool UsesStd(const plan::Plan& plan) {
  return std::any_of(plan.files().begin(), plan.files().end(),
                     [](const plan::SourceFile& file) { return file.pack() == "std"; });
}

}  // namespace

void SuggestExchanged(const Findings& findings, Hypotheses& out) {
  if (!MostIsWrong(findings)) return;
  for (const TensorInfo& tensor : findings.situation.target.tensors()) {
    if (std::count(tensor.shape.begin(), tensor.shape.end(), -1) > 0) return;  // a source has no open sizes
  }
  out.push_back({.kind = "exchanged",
                 .message = "source and target are exchanged: the rules lead from what is given as the target to what "
                            "is given as the source",
                 .notes = {"exchange the two files; or, to go that way, reverse the rules: ckmapc --reverse"},
                 .apply = [](Situation& s) { std::swap(s.source, s.target); },
                 .edit = {.option = "SOURCE and --target exchanged"},
                 .order = 13,
                 .whole = true});
}

void SuggestPacks(const Findings& findings, Hypotheses& out) {
  const bool any_left = !findings.missing.empty() && !findings.unused.empty();
  const bool layers = any_left && !UsesStd(findings.situation.plan);
  if (!layers && !MostIsWrong(findings)) return;
  for (const InstalledPack& pack : InstalledPacks()) {
    if (layers && pack.name == "std/torch2mindspore") {
      out.push_back({.kind = "layers of std",
                     .message = "the names of norms, embeddings and the like differ between the frameworks, and no "
                                "layer of the rules says how",
                     .apply = [other = pack.plan](Situation& s) { UseLayers(s.plan, other); },
                     .edit = {.file = EditedFile(findings.situation.plan), .new_text = "use std;"},
                     .order = 12});
    }
    constexpr size_t kTelling = 10;  // of fewer tensors too many packs are right
    if (!MostIsWrong(findings) || findings.situation.source.size() < kTelling) continue;
    out.push_back({.kind = "pack",
                   .message = fmt::format("the rules are of other networks: the pack `{}` fits", pack.name),
                   .apply = [other = pack.plan](Situation& s) { s.plan = other; },
                   .edit = {.option = fmt::format("{} in place of the plan", pack.name)},
                   .evident = false,
                   .order = 60,
                   .whole = true});
  }
}

}  // namespace ckmap
