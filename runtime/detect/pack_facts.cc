#include "runtime/detect/pack_facts.h"

#include <algorithm>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "runtime/base/text.h"
#include "runtime/formats/selection.h"

namespace ckmap {
namespace {

std::string ScalarOf(const YAML::Node& node) { return node && node.IsScalar() ? node.Scalar() : std::string(); }

void ReadMigration(const YAML::Node& migration, PackFacts& facts) {
  if (const YAML::Node source = migration["source"]; source && source.IsMap()) {
    facts.source_library = ScalarOf(source["library"]);
    if (const YAML::Node tensors = source["tensors"]; tensors && tensors.IsSequence()) {
      for (const YAML::Node& glob : tensors) facts.source_tensors.push_back(ScalarOf(glob));
    }
  }
  if (const YAML::Node target = migration["target"]; target && target.IsMap()) {
    facts.target_library = ScalarOf(target["library"]);
    facts.describes = ScalarOf(target["describes"]) == "true";
    facts.nn_layers = ScalarOf(target["layers"]) == "nn";
  }
}

}  // namespace

std::string WhyNotRecognised(const PackFacts& facts, const Manifest& source) {
  struct Glob {
    std::string text;
    bool optional = false, found = false;
  };
  std::vector<Glob> globs;
  for (const std::string& text : facts.source_tensors) {
    const bool optional = text.ends_with('?');
    globs.push_back({optional ? text.substr(0, text.size() - 1) : text, optional});
  }
  if (globs.empty()) return {};
  for (const TensorInfo& tensor : source.tensors()) {
    bool known = false;
    for (Glob& glob : globs) {
      if (!GlobMatches(glob.text, tensor.name)) continue;
      known = glob.found = true;
      break;
    }
    if (!known) return fmt::format("{} is not a tensor of its source network", QuoteName(tensor.name));
  }
  const auto missing = std::find_if(globs.begin(), globs.end(), [&](const Glob& glob) {
    if (glob.optional || glob.found) return false;
    return std::none_of(source.tensors().begin(), source.tensors().end(),
                        [&](const TensorInfo& tensor) { return GlobMatches(glob.text, tensor.name); });
  });
  if (missing == globs.end()) return {};
  return fmt::format("the source has no {}", QuoteName(missing->text));
}

PackFacts ReadPackFacts(const std::string& yaml, const std::string& name) {
  PackFacts facts;
  try {
    const YAML::Node root = YAML::Load(yaml);
    const YAML::Node migrations = root.IsMap() ? root["migrations"] : YAML::Node();
    if (!migrations || !migrations.IsSequence()) return facts;
    for (const YAML::Node& migration : migrations) {
      if (migration.IsMap() && ScalarOf(migration["file"]) == name + ".ckmap") ReadMigration(migration, facts);
    }
  } catch (const YAML::Exception&) {
    return {};
  }
  return facts;
}

}  // namespace ckmap
