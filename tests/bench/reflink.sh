#!/bin/sh
# A rename of 2.5 GB on a file system that shares blocks (xfs, made in a file): its time, the bytes that it takes of the
# disk, and a comparison of all tensors' digests with those of the source. Needs root, mkfs.xfs and 8 GB.
#
#     tests/bench/reflink.sh [BIN] [FOLDER]
set -eu
bin=$(realpath "${1:-build/bin}")
bench=$(realpath "$(dirname "$0")")
folder=$(mktemp -d "${2:-/tmp}/ckmap-reflink-XXXXXX")
trap 'cd /; umount "$folder/mnt" 2>/dev/null || true; rm -r "$folder"' EXIT
cd "$folder"
truncate -s 8G disk
mkfs.xfs -q disk
mkdir mnt
mount -o loop disk mnt
cd mnt
PYTHONPATH=$bench python3 - <<'PY'
from table import CASES, DTYPES, product, square, write_safetensors, write_spec
tensors = square(2.5)
write_safetensors("in.safetensors", [(n, d, s, DTYPES[d][1] * product(s)) for n, d, s in tensors])
write_spec("spec.yaml", CASES["rename"].target(tensors))
PY
printf 'ckmap 1;\nrename layers -> blocks;\n' > rename.ckmap
"$bin/ckmapc" rename.ckmap -o rename.ckplan > /dev/null
sync
used() { df --output=used -k . | tail -1; }
before=$(used)
for round in 1 2 3; do
  rm -f out.safetensors
  start=$(date +%s%N)
  "$bin/ckmap" apply rename.ckplan in.safetensors --target spec.yaml -o out.safetensors --no-fsync -q
  echo "round $round: $(( ($(date +%s%N) - start) / 1000000 )) ms"
done
echo "disk: $(( ($(used) - before) / 1024 )) MiB more than the source takes"
"$bin/ckmap" verify out.safetensors --plan rename.ckplan --source in.safetensors
