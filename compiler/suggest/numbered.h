// Checkpoints whose elements are numbers that say where they come from. Somebody's own converter is run on them, and
// its outputs tell what it moves where (values.h). Private to compiler/suggest and the programs.
//
// A number has more digits than an element can hold exactly, so that each run writes one digit of it. Two numberings are
// used: run 0 writes digits of the one, the others all digits of the other. What a converter computes from numbers may
// look like an element that was moved in one of them, and does not in both.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap::suggest {

class Numbering {
 public:
  static constexpr int kMaxRuns = 12;

  // `target`: what the converter made in run 0; where it holds wide floats only, digits are large, and runs are few.
  // nullptr: before that run.
  Numbering(const Manifest& source, const Manifest* target);

  // How many there are, run 0 included.
  int runs() const { return runs_; }

  // The source with the digits of a run. The format follows the ending of the path.
  Result<void> Write(const Manifest& source, const std::string& path, int run) const;

 private:
  int64_t Digit(int run, uint64_t number, DType dtype) const;
  int BitsOf(DType dtype) const;

  bool wide_ = false;  // elements keep 20 bits on their way
  int runs_ = 1;
};

}  // namespace ckmap::suggest
