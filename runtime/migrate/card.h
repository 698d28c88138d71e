// A verification card: what a pack's author measured, as an entry of `verified` in pack.yaml (its form:
// compiler/program/verification_card.h).
#pragma once

#include <map>
#include <string>

#include "runtime/base/result.h"

namespace ckmap {

struct CardRequest {
  std::string network;                         // its name
  std::string source_network, target_network;  // library, version, class; empty: of the source what its config says
  std::string output;                          // that was verified, all of it made again from the source
  std::string reference;                       // the same by another converter, which it is compared with; empty: none
  std::string config;                          // path of the config.json; empty: none
  std::map<std::string, std::string> defines;
  std::string date;     // 2026-11-29
  std::string command;  // that made and verified the output
};

// YAML, one entry of a list. Without a reference all elements count as equal: they were made twice.
// kMismatch if the reference has other names or shapes.
Result<std::string> MakeVerificationCard(const CardRequest& request);

}  // namespace ckmap
