#!/bin/sh
# Tests of the editor's extension (grammar/editor): `tests/editor.sh [BIN]`, BIN being the folder of ckmapc (build/bin).
# Needs node 18 or later and npm, which fetches what package-lock.json names; that is why it is a command of its own.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "${1:-$root/build/bin}" && pwd)
[ -x "$bin/ckmapc" ] || { echo "error: there is no $bin/ckmapc; build it first" >&2; exit 1; }
command -v npm >/dev/null || { echo "error: npm is missing: apt-get install nodejs npm" >&2; exit 1; }

# The packages go into a copy: the source tree stays clean.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/grammar"
cp -r "$root/grammar/editor" "$work/grammar/editor"
cp "$root/grammar/CkmapLexer.g4" "$work/grammar/"
ln -s "$root/rules" "$work/rules"
cd "$work/grammar/editor"
npm ci --no-audit --no-fund --silent
CKMAPC="$bin/ckmapc" npm test
