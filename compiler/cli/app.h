// The program `ckmapc`: compiles and checks rules.
#pragma once

namespace ckmap {

// Everything of main; returns the exit code (runtime/base/result.h).
int RunCkmapc(int argc, char** argv);

}  // namespace ckmap
