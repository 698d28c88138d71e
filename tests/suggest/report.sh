#!/bin/sh
# How good the drafts of `ckmapc suggest` are, network by network: `tests/suggest/report.sh [BUILD] [FOLDER]`. BUILD is
# the build's folder; the drafts themselves go into FOLDER, if it is given.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/build}
if [ $# -gt 1 ]; then
  mkdir -p "$2"
  CKMAP_SUGGEST_FOLDER=$(cd "$2" && pwd)
  export CKMAP_SUGGEST_FOLDER
fi
CKMAP_SUGGEST_REPORT=1 exec "$build/test-bin/suggest_test_networks"
