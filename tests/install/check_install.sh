#!/bin/sh
# Installs a finished build into a folder of its own, and uses it as others would: the programs with the installed
# packs, and the libraries from a small project. `check_install.sh SOURCE BUILD [subdirectory]`: with the last word
# also from a project that has ckmap's sources inside.
set -eu
source=$1 build=$2 way=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
quickstart=$source/examples/quickstart
cmake --install "$build" --prefix "$folder/prefix" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
PATH=$folder/prefix/bin:$PATH
unset CKMAP_PACKS

cd "$folder"
mkdir elsewhere && mv prefix elsewhere/prefix   # it can be moved
PATH=$folder/elsewhere/prefix/bin:$PATH
ckmapc "$quickstart/torch2ms.ckmap" -o digits.ckplan
printf 'ckmap 1;\nmigration t from pytorch to mindspore;\nuse std;\n' >uses_std.ckmap
ckmapc uses_std.ckmap -o uses_std.ckplan        # the rules of installed packs
pack=$(basename "$(dirname "$(find elsewhere/prefix/share/ckmap/packs -name '*.ckplan' | sort | head -1)")")
status=0                                        # an installed pack is found by its name, whatever it says of this source
ckmap plan "$pack" "$quickstart/digits.pth" --target "$quickstart/target.yaml" >plan.txt 2>&1 || status=$?
if grep -q "nor an installed pack" plan.txt; then cat plan.txt; exit 1; fi
echo "pack $pack found (exit code $status)"

use() {
  cmake -S "$source/tests/install/consumer" -B "$folder/$1" -G Ninja "$2" >"$folder/log" 2>&1 &&
    cmake --build "$folder/$1" --target convert compile >>"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
  "$folder/$1/convert" digits.ckplan "$quickstart/digits.pth" "$quickstart/target.yaml" "$1.ckpt"
  "$folder/$1/compile" uses_std.ckmap "$folder/elsewhere/prefix/share/ckmap/packs"
  ckmap apply digits.ckplan "$quickstart/digits.pth" --target "$quickstart/target.yaml" -o "$1.program.ckpt" -q
  ckmap diff "$1.ckpt" "$1.program.ckpt"
}
use installed "-DCMAKE_PREFIX_PATH=$folder/elsewhere/prefix"
[ "$way" != subdirectory ] || use inside "-DCKMAP_SOURCE=$source"
