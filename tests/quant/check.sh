#!/bin/sh
# Every fixture of data/ through its pack: what comes out is, bit for bit, what the library that wrote it decodes. Then
# every code of every format by codes.ckmap, and the packs that write: what they make of written.safetensors is, bit for
# bit, what the libraries make of it, whatever the threads and the memory.
# `check.sh BIN ROOT`. Each line of fixtures.txt and written.txt: fixture, pack, and options of `ckmap apply`.
set -euf
bin=$1 root=$2 data=$2/tests/quant/data bad=0 count=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
while read -r name pack options; do
  [ -n "$name" ] || continue
  count=$((count + 1))
  extra=
  [ "$pack" = goldenstick ] && extra='"{m:path}._layer.weight" -> "weight.f32";'
  cat >"$folder/rules.ckmap" <<END
ckmap 1;
use quant/$pack;
"{m:path}.{w:weight|gate_up_proj|down_proj}" -> "{m}.{w}"?;
"{m:path}.{w:weight|gate_up_proj|down_proj}" -> "{m}.{w}.f32"?;
"{m:path}.{w:weight|gate_up_proj|down_proj}" -> "{m}.{w}.f16"?;
$extra
target {
  allow unused "**{_bias,.router.weight}";
  cast f32 -> bf16;
  cast f32 -> f16;
  cast f16 -> f32;
  cast bf16 -> f32;
}
END
  if "$bin/ckmapc" -I "$root/rules" "$folder/rules.ckmap" -o "$folder/rules.ckplan" >"$folder/log" 2>&1 &&
    # shellcheck disable=SC2086
    "$bin/ckmap" apply "$folder/rules.ckplan" "$data/$name.safetensors" --target "$data/$name.oracle.safetensors" \
      --config "$data/$name.config.json" $options --force -o "$folder/out.safetensors" >"$folder/log" 2>&1 &&
    "$bin/ckmap" diff "$folder/out.safetensors" "$data/$name.oracle.safetensors" >"$folder/log" 2>&1; then
    :
  else
    bad=$((bad + 1))
    echo "$name ($pack $options):"
    sed 's/^/    /' "$folder/log" | head -12
  fi
done <"$root/tests/quant/fixtures.txt"
if ! { "$bin/ckmapc" "$root/tests/quant/codes.ckmap" -o "$folder/codes.ckplan" &&
  "$bin/ckmap" apply "$folder/codes.ckplan" "$data/codes.safetensors" --target "$data/codes.oracle.safetensors" \
    -o "$folder/codes.safetensors" &&
  "$bin/ckmap" diff "$folder/codes.safetensors" "$data/codes.oracle.safetensors"; } >"$folder/log" 2>&1; then
  bad=$((bad + 1))
  echo "codes:"
  sed 's/^/    /' "$folder/log"
fi
written=0
while read -r name pack options; do
  [ -n "$name" ] || continue
  written=$((written + 1))
  printf 'ckmap 1;\nuse quant/%s;\n' "$pack" >"$folder/rules.ckmap"
  if ! "$bin/ckmapc" -I "$root/rules" "$folder/rules.ckmap" -o "$folder/rules.ckplan" >"$folder/log" 2>&1; then
    bad=$((bad + 1))
    sed 's/^/    /' "$folder/log"
    continue
  fi
  for run in '-j 1' '-j 3 --max-memory 1MiB'; do
    # shellcheck disable=SC2086
    if "$bin/ckmap" apply "$folder/rules.ckplan" "$data/written.safetensors" $options $run --force \
      -o "$folder/out.safetensors" >"$folder/log" 2>&1 &&
      "$bin/ckmap" diff "$folder/out.safetensors" "$data/written_$name.oracle.safetensors" >"$folder/log" 2>&1; then
      continue
    fi
    bad=$((bad + 1))
    echo "written $name ($pack $options $run):"
    sed 's/^/    /' "$folder/log" | head -12
  done
done <"$root/tests/quant/written.txt"
echo "$count fixtures, the tables of codes and $written layouts that are written: $bad differ"
[ "$bad" -eq 0 ] && [ "$count" -gt 60 ] && [ "$written" -gt 9 ]
