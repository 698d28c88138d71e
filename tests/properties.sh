#!/bin/sh
# Runs the property tests with many random cases: tests/properties.sh [CASES], by default 100,000 of each property,
# and a fifth of that of whole rules, reversed as text and as a plan. Builds what is missing. RapidCheck prints how
# many passed, or the smallest case that fails.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/setup.sh"
ckmap_install
ckmap_build "$root" ON ops_properties_test shape_rules_test reversed_text_test
RC_PARAMS="max_success=${1:-100000}" "$root/build/test-bin/ops_properties_test"
RC_PARAMS="max_success=${1:-100000} max_discard_ratio=100" "$root/build/test-bin/shape_rules_test"
RC_PARAMS="max_success=$((${1:-100000} / 5)) max_discard_ratio=100" "$root/build/test-bin/reversed_text_test"
