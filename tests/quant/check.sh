#!/bin/sh
# Every fixture of data/ through its pack: what comes out is, bit for bit, what the library that wrote it decodes. Then
# every code of every format by codes.ckmap.
# `check.sh BIN ROOT`. Each line: fixture, pack, and options of `ckmap apply`.
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
echo "$count fixtures and the tables of codes, $bad differ"
[ "$bad" -eq 0 ] && [ "$count" -gt 60 ]
