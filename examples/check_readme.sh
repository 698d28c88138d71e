#!/bin/sh
# Holds a page (README.md, if none is named) to its word: every ```ckmap block compiles without a warning, every command of a ```console block
# prints what stands below it. A line `…` stands for any number of lines; an exit code other than 0 is said in the last
# line, as `(exit code 1)`.
#
#     examples/check_readme.sh BIN [PAGE]          BIN: the folder of ckmap and ckmapc
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "$1" && pwd)
readme=$(realpath "${2:-$root/README.md}")
PATH=$bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The commands of an example's page run in its folder, those of other pages in the quickstart.
example=$root/examples/quickstart
case $readme in "$root"/examples/*/README.md) example=$(dirname "$readme") ;; esac
cp -r "$example" "$work/example"

# One file for each block of rules; one .cmd and one .want for each command.
awk -v dir="$work" '
  /^ *```/ {
    if (inside) { inside = 0; next }
    match($0, /^ */); indent = RLENGTH       # a block inside of a list
    inside = 1; kind = substr($0, indent + 4); n++
    next
  }
  !inside { next }
  { $0 = substr($0, indent + 1) }
  kind == "ckmap" { print > sprintf("%s/rules_%02d.ckmap", dir, n) }
  kind == "console" && /^\$ / {
    c++
    base = sprintf("%s/%03d", dir, c)
    print substr($0, 3) > (base ".cmd")
    printf "" > (base ".want")
    next
  }
  kind == "console" { print > (base ".want") }
' "$readme"

failed=0
checked=0
for rules in "$work"/rules_*.ckmap; do
  [ -e "$rules" ] || continue
  checked=$((checked + 1))
  if ! ckmapc check -I "$root/rules" "$rules" >"$work/got" 2>&1 || grep -q warning "$work/got"; then
    echo "a block of rules does not compile clean:"
    cat "$work/got"
    failed=$((failed + 1))
  fi
done

cd "$work/example"
for command in "$work"/*.cmd; do
  [ -e "$command" ] || continue
  checked=$((checked + 1))
  want=${command%.cmd}.want
  status=0
  sh "$command" >"$work/got" 2>&1 || status=$?
  [ "$status" -eq 0 ] || echo "(exit code $status)" >>"$work/got"
  if ! awk '
    FNR == NR { want[++w] = $0; next }
    { got[++g] = $0 }
    # Greedy for the text after each `…`: the lines up to the next `…` are looked for as a block.
    END {
      at = 1; i = 1; loose = 0
      while (i <= w) {
        if (want[i] == "…") { loose = 1; i++; continue }
        n = 0
        while (i + n <= w && want[i + n] != "…") n++
        last = (i + n > w)
        from = (loose && last) ? g - n + 1 : at
        to = loose ? g - n + 1 : at
        if (loose && last && from < at) exit 1
        found = 0
        for (p = from; p <= to && !found; p++) {
          k = 0
          while (k < n && got[p + k] == want[i + k]) k++
          if (k == n) { found = 1; at = p + n }
        }
        if (!found) exit 1
        i += n; loose = 0
      }
      exit !(loose || at == g + 1)
    }' "$want" "$work/got"; then
    echo "\$ $(cat "$command")"
    echo "--- the page says"
    cat "$want"
    echo "--- it prints"
    cat "$work/got"
    failed=$((failed + 1))
  fi
done

[ "$checked" -gt 0 ] || { echo "nothing to check in $readme"; exit 1; }
echo "${readme#"$root"/}: $checked blocks and commands, $failed wrong"
[ "$failed" -eq 0 ]
