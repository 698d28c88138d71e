// The command line of `ckmap`.
#pragma once

namespace ckmap {

// Runs the program; gives its exit code: 0 done, 1 the rules or the target do not fit, 2 usage,
// 3 malformed or hostile input, 4 I/O, 5 a limit was reached, 128 + n a signal.
int RunCkmap(int argc, const char* const* argv);

}  // namespace ckmap
