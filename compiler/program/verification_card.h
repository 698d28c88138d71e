// A verification card: one proof that a migration is right, with what was measured. `ckmap verify … --card` writes them,
// pack.yaml keeps them:
//
//   verified:
//     - network: qwen3_mcore                                    # required, as are tensors to command
//       source: transformers 4.57.1 Qwen3ForCausalLM
//       target: mindformers 1.7.0 TrainingQwen3ForCausalLM
//       config: sha256:5f0c…                                    # of config.json
//       defines: {interleaved_mlp: false}                       # what was given with -D
//       tensors: 19                                             # of the output
//       elements: 82304
//       equal: 82304                                            # bit for bit what the reference is
//       max_difference: 0                                       # from the reference, as is cosine
//       cosine: 1
//       date: 2026-11-29
//       command: ckmap verify out.ckpt --plan qwen/hf2mcore --source model.safetensors
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <yaml-cpp/yaml.h>

namespace ckmap {

struct VerificationCard {
  std::string network;
  std::string source, target;                  // library, version, class
  std::string config;                          // "sha256:…"; empty: there is none
  std::map<std::string, std::string> defines;  // parameters that nothing in the files tells
  int64_t tensors = 0, elements = 0, equal = 0;
  std::optional<double> max_difference, cosine;
  std::string date, command;
};

// Where, what is wrong, and what would be right.
using CardProblem = std::function<void(const YAML::Node& node, std::string message, std::string help)>;

// Reads a mapping. nullopt after a report of what is wrong.
std::optional<VerificationCard> ReadVerificationCard(const YAML::Node& node, const CardProblem& report);

}  // namespace ckmap
