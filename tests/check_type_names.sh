#!/bin/sh
# One name, one type: `check_type_names.sh ROOT`. Two types of one name in one namespace, each in its own file, are
# undefined behaviour that no compiler and no linker tells of (the One Definition Rule). Types in unnamed
# namespaces are their file's own. Reads the layout that .clang-format gives: namespaces and their types are not indented.
set -eu
cd "$1"
find runtime compiler tests -name '*.h' -o -name '*.cc' | LC_ALL=C sort | xargs awk '
  FNR == 1 { depth = 0; hidden = 0 }
  /^namespace [A-Za-z0-9_:]+ *\{/ { spaces[++depth] = $2; next }
  /^namespace *\{/ { spaces[++depth] = "";  hidden++; next }
  /^\} *\/\/ *namespace/ { if (spaces[depth] == "") hidden--; depth--; next }
  !hidden && /^(struct|class|union|enum|enum class)[ ].*\{/ {
    line = $0
    sub(/^(enum class|struct|class|union|enum) /, "", line)
    gsub(/\[\[[^]]*\]\] */, "", line)
    sub(/ *(final *)?( : .*)?\{.*/, "", line)
    if (line == "" || line ~ /</) next         # unnamed, or a specialisation
    full = ""
    for (i = 1; i <= depth; i++) full = full spaces[i] "::"
    # A type inside of another is named by it: "Sha256::State".
    full = full line
    # Test programs are linked apart from each other and from the programs.
    if (FILENAME ~ /^tests\/|_test\.cc$/) full = FILENAME ":" full
    if (full in seen && seen[full] != FILENAME) {
      print FILENAME ":" FNR ": `" full "` is also a type of " seen[full]
      bad = 1
    }
    seen[full] = FILENAME
  }
  END { exit bad }'
