#!/bin/sh
# Runs every fuzz target for some seconds each, as many at once as there are cores, seeded with the real and the hostile
# files of tests/data and with what earlier runs found (tests/fuzz/corpus/NAME). Installs its compiler if it is missing.
#
#     tests/fuzz/run.sh SECONDS [TARGET…]
#
# New inputs stay in build/fuzz-corpus/NAME. The exit code is 1 if a target found something; what it found lies in
# build/fuzz-findings. CKMAP_FUZZ_SEED makes runs that try the same inputs.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
data=$root/tests/data
cd "$root" || exit 1

# The seeds of a target: folders and files.
seeds() {
  case $1 in
    safetensors_fuzz) ls "$data"/safetensors/*.safetensors "$data"/hostile/st_*.safetensors ;;
    ckpt_fuzz) ls "$data"/ckpt/*.ckpt "$data"/hostile/ms_*.ckpt ;;
    cipher_fuzz) ls "$data"/ckpt/enc_*.ckpt "$data"/hostile/enc_*.ckpt ;;
    mindir_fuzz) ls "$data"/mindir/*.mindir ;;
    strategy_fuzz) ls "$data"/ckpt/*/strategy.* "$data"/ckpt/strategy_not_weights.ckpt ;;
    mf_metadata_fuzz) find "$data"/ckpt2 -name metadata.json ;;
    index_fuzz) find "$data"/safetensors "$data"/hostile -name '*.index.json' -o -name param_name_map.json ;;
    legacy_fuzz) ls "$data"/torch/legacy_*.pt "$data"/hostile/legacy_*.pt ;;
    tar_fuzz) ls "$data"/torch/legacy_tar.pt "$data"/hostile/tar_*.pt ;;
    zip_fuzz | pickle_fuzz) ls "$data"/torch/*.pt "$data"/hostile/zip_*.pt "$data"/hostile/pkl_*.pt "$data"/archives/*.pkl "$data"/archives/*.pdparams ;;
    dcp_fuzz) find "$data"/torch -name .metadata ;;
    npz_fuzz) ls "$data"/numpy/*.np? "$data"/hostile_others/numpy/*.np? ;;
    gguf_fuzz) ls "$data"/gguf/*.gguf "$data"/hostile_others/gguf/*.gguf ;;
    onnx_fuzz) ls "$data"/onnx/*.onnx "$data"/hostile_others/onnx/*.onnx ;;
    hdf5_fuzz) ls "$data"/hdf5/*.h5 "$data"/hdf5/*.keras "$data"/hostile_others/hdf5/* ;;
    spec_fuzz) find "$root"/examples "$data" -name '*.yaml' ;;
    parse_fuzz | compile_fuzz | format_fuzz) find "$root"/rules "$root"/examples -name '*.ckmap' -size -4k ;;
    *) true ;;
  esac
}

# Runs one target; its figures go to standard output.
run_target() {
  seconds=$1 target=$2
  corpus=build/fuzz-corpus/$target
  mkdir -p "$corpus" build/fuzz-findings
  seeds "$target" | while read -r file; do
    # A name of its own for each: files of several folders share names.
    [ "$(wc -c <"$file")" -le 65536 ] && cp "$file" "$corpus/$(echo "$file" | tr / _)" && chmod u+w "$corpus"/*
  done 2>/dev/null
  [ -d "tests/fuzz/corpus/$target" ] && cp "tests/fuzz/corpus/$target"/* "$corpus"/
  dictionary=tests/fuzz/$target.dict
  options=-max_len=65536
  case $target in parse_fuzz | compile_fuzz | bind_fuzz | format_fuzz | lsp_fuzz)
    # Rules: short ones say as much, and what entropic scheduling keeps of so many features takes longer than a run.
    options='-max_len=4096 -entropic=0'
    dictionary=tests/fuzz/ckmap.dict
    ;;
  esac
  [ -f "$dictionary" ] && options="$options -dict=$dictionary"
  log=build/fuzz-findings/$target.log
  if ! "build/fuzz/fuzz-bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 $options \
    -seed="${CKMAP_FUZZ_SEED:-0}" -artifact_prefix="build/fuzz-findings/$target-" "$corpus" >"$log" 2>&1; then
    echo "$target: FOUND $(grep -a -m 3 -E 'ERROR|SUMMARY|runtime error|check failed' "$log")"
    return 1
  fi
  echo "$target: $seconds s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
}

if [ "${1:-}" = --one ]; then
  run_target "$2" "$3"
  exit
fi
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET…]}
shift
. "$root/tests/setup.sh"
ckmap_install clang-16 libclang-rt-16-dev || exit 1
[ $# -gt 0 ] || set -- $(find runtime compiler \( -name CMakeLists.txt -o -name '*.cmake' \) -exec sed -n 's/^ckmap_fuzz(\([a-z0-9_]*\) .*/\1/p' {} +)
cmake --preset fuzz >&2 && cmake --build build/fuzz --target "$@" >&2 || exit 1
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh tests/fuzz/run.sh --one "$seconds" || exit 1
