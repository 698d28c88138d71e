#!/usr/bin/env bash
# Demands that all C++ code has the form of .clang-format (version 16 of the tool: others break lines elsewhere).
#   tests/check_format.sh        lists the lines that differ
#   tests/check_format.sh --fix  rewrites the files
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
formatter=${CKMAP_CLANG_FORMAT:-clang-format-16}
if ! command -v "$formatter" >/dev/null; then
  echo "error: $formatter is not installed: apt-get install clang-format-16, or name it in CKMAP_CLANG_FORMAT" >&2
  exit 2
fi
files() { find compiler runtime grammar rules examples tests \( -name '*.cc' -o -name '*.h' \) -print0; }
if [ "${1:-}" = --fix ]; then
  files | xargs -0 -P "$(nproc)" -n 40 "$formatter" -i
else
  files | xargs -0 -P "$(nproc)" -n 40 "$formatter" --dry-run --Werror
fi
