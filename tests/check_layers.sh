#!/bin/sh
# Every include goes down the layers or stays in its own: `check_layers.sh ROOT`. Tests may look anywhere.
set -eu
cd "$1"
find runtime compiler -name '*.h' -o -name '*.cc' | grep -v '_test\.cc$' | LC_ALL=C sort | xargs awk '
  BEGIN {
    split("base tensor plan formats bind exec report cli", runtime)
    for (i in runtime) rank["runtime/" runtime[i]] = i + 0
    split("source diag explain syntax format sema reverse lower", compiler)
    for (i in compiler) rank["compiler/" compiler[i]] = 100 + i
    rank["runtime"] = 50     # runtime/runtime.h: all of the library
    rank["compiler"] = 110   # compiler/compiler.h: from text to a plan
    split("testing suggest doc lsp", tools)  # what an author uses beside the compiler
    for (i in tools) rank["compiler/" tools[i]] = 110 + i
    rank["compiler/cli"] = 120
    # <ckmap/runtime.h> and <ckmap/compiler.h>, for other projects
    rank["runtime/include"] = 50
    rank["compiler/include"] = 110
  }
  function layer(path, parts, n) {
    n = split(path, parts, "/")
    return n > 2 ? parts[1] "/" parts[2] : parts[1]
  }
  function complain(text) { print FILENAME ":" FNR ": " text; bad = 1 }
  /^ *# *include/ {
    mine = layer(FILENAME)
    if (!(mine in rank)) complain("folder " mine " is no layer; add it to tests/check_layers.sh")
    if ($0 ~ /antlr4|Ckmap(Lexer|Parser)/ && mine != "compiler/syntax") complain("ANTLR belongs in compiler/syntax")
    if (match($0, /"(runtime|compiler)\/[^"]*"/)) {
      path = substr($0, RSTART + 1, RLENGTH - 2)
      other = layer(path)
      if (!(other in rank)) complain("folder " other " is no layer; add it to tests/check_layers.sh")
      if (rank[other] > rank[mine]) complain(mine " must not include " path ": it is a higher layer")
      if (other == "runtime/cli" && mine != other) complain("nothing includes the program " path)
    }
    if (match($0, /"tests\/[^"]*"/)) complain("only tests include tests/")
  }
  END { exit bad }'
