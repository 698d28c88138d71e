#!/usr/bin/env bash
# Runs clang-tidy 16 with .clang-tidy: on the files named, or on all C++ files that differ from the branch main.
#   tests/check_tidy.sh [FILE…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tidy=${CKMAP_CLANG_TIDY:-clang-tidy-16}
if ! command -v "$tidy" >/dev/null; then
  echo "error: $tidy is not installed: apt-get install clang-tidy-16, or name it in CKMAP_CLANG_TIDY" >&2
  exit 2
fi
# The commands of single files; generated headers must be there.
cmake -S . -B build/tidy -G Ninja -DCMAKE_BUILD_TYPE=Release -DCKMAP_BUILD_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
cmake --build build/tidy --target ckmap_plan_proto ckmap_grammar >/dev/null
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git diff --name-only --diff-filter=d main -- '*.cc')
[ ${#files[@]} -gt 0 ] || exit 0
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 1 "$tidy" -p build/tidy --quiet
