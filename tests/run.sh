#!/bin/sh
# Installs what is missing, builds everything, runs every test. The last line is `N passed, N failed`; the
# exit code is 0 only if nothing failed. Further arguments go to ctest (`-R plan`).
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/tests/setup.sh"

results=$root/build/test-results.xml
fail() {
  echo "error: $1" >&2
  echo "0 passed, 1 failed"
  exit 1
}

ckmap_install || fail "the packages that ckmap needs could not be installed"
rm -f "$results"
ckmap_build "$root" ON all || fail "the build failed"

# All output is kept: doctest tells its counts in its last lines.
ctest --test-dir "$root/build" -j "$(nproc)" --output-on-failure --no-tests=error --output-junit "$results" \
  --test-output-size-passed 100000000 --test-output-size-failed 100000000 "$@"
status=$?
[ -f "$results" ] || fail "ctest gave no results"

# A doctest program counts by its cases, any other test as one.
echo "the ten slowest tests, in seconds:"
sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 \1/p' "$results" | sort -rn | head -10

awk -v status="$status" '
  function finish() {
    if (name == "") return
    if (cases) { passed += p; failed += f; if (bad && f == 0) failed++ }
    else if (bad) failed++
    else if (!skipped) passed++
  }
  /<testcase / {
    finish()
    name = $0; cases = 0; p = 0; f = 0
    bad = $0 ~ /status="fail"/; skipped = $0 ~ /status="(notrun|disabled)"/
  }
  /\[doctest\] test cases:/ {
    split($0, part, "|")
    cases = 1; p += part[2] + 0; f += part[3] + 0
  }
  END {
    finish()
    if (status != 0 && failed == 0) failed = 1
    printf "%d passed, %d failed\n", passed, failed
    exit failed > 0
  }' "$results"
