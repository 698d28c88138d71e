// A random migration: small source tensors, rules that hold every operation of the language, and what they must give.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/differential/meaning.h"

namespace ckmap::testing {

struct Named {
  std::string name;
  Tensor tensor;
};

struct Target {
  std::string name;
  Tensor tensor;
  std::string tied_to;  // an earlier target that the network shares this one's bytes with; they may differ here
};

struct Case {
  std::vector<Named> sources;       // one of a further source has its name in front: "b:s2"
  std::vector<std::string> spaces;  // names of the further sources
  std::string rules;                // with ARROW where an arrow stands
  std::string pack;                 // "": there is none; else the file "pack.ckmap", which the rules use
  bool refused = false;             // an error is what is right, before or while bytes are moved
  std::vector<Target> targets;      // otherwise these
  bool reads_all = false;           // no operation that loses elements: the way back must be right, where there is one
  // Slices along axis 0 of the first target over `ranks` ranks; 0: none.
  int64_t ranks = 0;
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  // Both included.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int64_t n) { return Between(1, n) == 1; }
  uint64_t Bits() { return engine_(); }
  template <typename T>
  const T& OneOf(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(Between(0, static_cast<int64_t>(choices.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;  // the same numbers on every machine
};

Case DrawCase(uint64_t seed);

}  // namespace ckmap::testing
