#!/bin/sh
# Every include goes down the rooms or stays in its own: `check_layers.sh ROOT`. Rooms of one rank are siblings, which do not
# include each other. Tests may look anywhere.
set -eu
cd "$1"
find runtime compiler -name '*.h' -o -name '*.cc' | grep -v '_test\.cc$' | LC_ALL=C sort | xargs awk '
  function rooms(folder, order, names, group, i, j, n, m) {  # "a b,c": a, then the siblings b and c
    n = split(order, names, " ")
    for (i = 1; i <= n; i++) {
      m = split(names[i], group, ",")
      for (j = 1; j <= m; j++) rank[folder "/" group[j]] = ++steps
      for (j = 1; j <= m; j++) rank[folder "/" group[j]] = steps
    }
  }
  BEGIN {
    rooms("runtime", "base sandbox,tensor ops plan")
    # Formats and binding do not see each other. What each format is made of, from the containers up:
    rooms("runtime/formats", "face zip storage pickle,wire safetensors,sharded,torch,mindspore,gguf,onnx,numpy,hdf5,spec")
    rank["runtime/formats"] = ++steps
    rank["runtime/bind"] = steps
    rooms("runtime", "causes exec report detect migrate folder cli")
    rooms("compiler", "source diag explain syntax format program sema reverse lower")
    rank["compiler"] = ++steps                # compiler/compiler.h: from text to a plan
    rooms("compiler", "testing suggest,doc fix lsp cli")
    rank["runtime/python"] = rank["runtime/cli"]      # over the public headers alone
    rank["compiler/python"] = rank["compiler/cli"]
    # The public headers, for other projects.
    rank["runtime/include"] = rank["compiler/include"] = 0
    # The two interfaces that every format stands behind.
    face["runtime/formats/checkpoint.h"] = face["runtime/formats/checkpoint.cc"] = 1
    face["runtime/formats/writer.h"] = face["runtime/formats/writer.cc"] = 1
    face["runtime/formats/writer_checks.h"] = face["runtime/formats/writer_checks.cc"] = 1
    # A container that is written through the interface.
    storage["runtime/formats/zip/zip_file_writer.h"] = storage["runtime/formats/zip/zip_file_writer.cc"] = 1
  }
  function room(path, parts, n, name) {
    if (path in face) return "runtime/formats/face"
    if (path in storage) return "runtime/formats/storage"
    n = split(path, parts, "/")
    if (n <= 2) return parts[1]
    if (n > 3 && parts[2] == "formats") return parts[1] "/" parts[2] "/" parts[3]
    return parts[1] "/" parts[2]
  }
  function complain(text) { print FILENAME ":" FNR ": " text; bad = 1 }
  /^ *# *include/ {
    mine = room(FILENAME)
    if (!(mine in rank)) complain("folder " mine " is not a room; add it to tests/check_layers.sh")
    if ($0 ~ /antlr4|Ckmap(Lexer|Parser)/ && mine != "compiler/syntax") complain("ANTLR belongs in compiler/syntax")
    if (match($0, /"(runtime|compiler)\/[^"]*"/)) {
      path = substr($0, RSTART + 1, RLENGTH - 2)
      other = room(path)
      if (!(other in rank)) complain("folder " other " is not a room; add it to tests/check_layers.sh")
      if (rank[other] > rank[mine]) complain(mine " must not include " path ": it is a higher room")
      if (rank[other] == rank[mine] && other != mine && mine !~ /include$/ && mine != "runtime") complain(mine " must not include " path ": the rooms are siblings")
      if (other == "runtime/cli" && mine != other) complain("nothing includes the program " path)
    }
    if (match($0, /"tests\/[^"]*"/)) complain("only tests include tests/")
  }
  END { exit bad }'
