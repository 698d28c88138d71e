#!/bin/sh
# Moves a network that PyTorch trained to MindSpore, from nothing: installs what is missing, builds the two
# programs, compiles the rules, shows the dry run, converts, checks the result; then shows what mistakes look like.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/setup.sh"

ckmap_install
ckmap_build "$root" OFF ckmap ckmapc ckmap_packs

PATH=$root/build/bin:$PATH
out=$root/build/quickstart
rm -rf "$out"
mkdir -p "$out"
cd "$root/examples/quickstart"

title() { printf '\n== %s\n' "$1"; }
# Shows a command, then runs it.
run() {
  printf '\n$ %s\n' "$*" | sed "s|$root/||g"
  "$@"
}
# The same for a command that must fail with the exit code given first.
run_failing() {
  wanted=$1
  shift
  status=0
  run "$@" || status=$?
  echo "(exit code $status)"
  [ "$status" -eq "$wanted" ] || {
    echo "error: exit code $wanted was expected" >&2
    exit 1
  }
}

title "1. What PyTorch saved"
run ckmap inspect digits.pth

title "2. Compile the rules"
run ckmapc torch2ms.ckmap -o "$out/torch2ms.ckplan"

title "3. The dry run: what becomes what, proved before any tensor is read"
run ckmap plan "$out/torch2ms.ckplan" digits.pth --target target.yaml

title "4. Convert"
run ckmap apply "$out/torch2ms.ckplan" digits.pth --target target.yaml -o "$out/digits.ckpt" --report "$out/report.json"
run ckmap inspect "$out/digits.ckpt"

title "5. Check: names, dtypes and shapes against the network, bytes against the report"
run ckmap load-check "$out/digits.ckpt" --target target.yaml
run ckmap verify "$out/digits.ckpt" --report "$out/report.json" --plan "$out/torch2ms.ckplan" --source digits.pth

title "6. What a mistake looks like"
echo "Without migration the checkpoint does not load:"
run_failing 1 ckmap load-check digits.pth --target target.yaml
echo
echo "Rules that cannot be right do not compile:"
run_failing 1 ckmapc mistakes/typo.ckmap -o "$out/typo.ckplan"
echo
echo "Rules that are well written, but wrong for this network, write nothing:"
run ckmapc mistakes/wrong_rules.ckmap -o "$out/wrong_rules.ckplan"
run_failing 1 ckmap apply "$out/wrong_rules.ckplan" digits.pth --target target.yaml -o "$out/wrong.ckpt"
echo
echo "Nor does a network of another shape:"
run_failing 1 ckmap apply "$out/torch2ms.ckplan" digits.pth --target mistakes/twelve_classes.yaml -o "$out/wrong.ckpt"
[ ! -e "$out/wrong.ckpt" ]

title "Done: build/quickstart/digits.ckpt loads into the MindSpore network (python mindspore_net.py check …)"
