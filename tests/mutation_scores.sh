#!/bin/bash
# How good the tests of packs are: changes each rule of a pack in small ways (`ckmapc pack test --mutate`) and prints the score of
# each pack. Fails under 90 %, and where a pack's MUTANTS.md does not list just the changes that no test notices.
#   tests/mutation_scores.sh CKMAPC [PACK…]     without names: every pack in rules/ that has migrations, about two minutes
set -u
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
ckmapc=$(realpath "$1")
shift
root=$(cd "$(dirname "$0")/.." && pwd)
packs=("$@")
if [ ${#packs[@]} -eq 0 ]; then
  for file in "$root"/rules/*/pack.yaml; do packs+=("$(basename "$(dirname "$file")")"); done
fi
bad=0
for pack in "${packs[@]}"; do
  out=$("$ckmapc" pack test --mutate --min-score 90 --manifests "$root/tests/data/families" -I "$root/rules" "$pack" 2>&1) || { bad=1; echo "$pack: under 90 %, or its tests fail:"; }
  tail -1 <<<"$out"
  # A survivor is known by its file and what was changed; lines move.
  found=$(sed -nE 's/^([^ :]+\/)?([^ :\/]+):[0-9]+: (survived|not reached): (.*)$/\2: \4/p' <<<"$out" | sort)
  told=$(sed -nE 's/^    ([^ ]+\.ckmap: .*)$/\1/p' "$root/rules/$pack/MUTANTS.md" 2>/dev/null | sort)
  [ "$found" = "$told" ] && continue
  bad=1
  echo "$pack: rules/$pack/MUTANTS.md (>) does not list just what survives (<):"
  diff <(echo "$found") <(echo "$told") | grep '^[<>]'
done
exit $bad
