#!/usr/bin/env python3
"""Asks the real frameworks about damaged files that ckmap reads.

    mutations --flips 200000 --accepted mutants.jsonl tests/data
    check_mutants.py mutants.jsonl [--bin build/bin] [--data tests/data] [--sample 500] [--formats .h5 .onnx …]

A change outside of the tensors' bytes (a name, a shape, a type, padding) may leave a file that is whole and says something else.
Each of a sample is made again, read by ckmap and by the framework of its format (framework_readers.py, which says what Python
needs for it), asked in the first way in which it reads the file undamaged. What both read must be equal; what a framework refuses
and ckmap reads is counted and shown by its kind: with the tensors of the undamaged file, damage is in what ckmap does not use.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from framework_readers import READERS, reader_of


def kind_of(error):
    """What an error says, without what differs from file to file."""
    lines = [line for line in str(error).splitlines() if line.strip(" -")] or [""]
    return f"{type(error).__name__}: " + re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "…", lines[0])[:200]


def by_ckmap(program, path, key):
    environment = dict(os.environ)
    command = [program, "inspect", "--digest", "--format", "json", "-q"]
    if key:
        environment["CKMAP_KEY"] = "hex:" + key[0]
        command += ["--key-env", "CKMAP_KEY"]
    done = subprocess.run(command + ["--", path], capture_output=True, env=environment)
    if done.returncode != 0:
        return None
    return {t["name"]: None if "unreadable" in t else (t["shape"], t["sha256"])
            for t in json.loads(done.stdout)["tensors"]}


def key_of(path):
    if not os.path.exists(path + ".json"):
        return None
    with open(path + ".json") as file:
        load = json.load(file).get("load") or {}
    return (load["key_hex"], load["mode"]) if "key_hex" in load else None


def more_than(theirs, ours):
    """Names of tensors that ckmap reads and the framework does not have: parts of map parameters, constants of graphs."""
    return [name for name, value in (ours or {}).items() if value is not None and name not in theirs]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--data", default=os.path.join(here, "..", "data"))
    parser.add_argument("--formats", nargs="+", default=list(READERS), metavar="EXTENSION")
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("mutants")
    args = parser.parse_args()
    program = os.path.join(args.bin, "ckmap")
    with open(args.mutants) as file:
        mutants = [json.loads(line) for line in file]
    # One file, next to its oracle: frameworks are asked about those.
    usable = []
    for mutant in mutants:
        relative = "/".join(mutant["file"].split("/")[-2:])
        path = os.path.join(args.data, relative)
        if os.path.isfile(path) and  path.endswith(tuple(args.formats)):
            usable.append((path, mutant["byte"], mutant["bit"]))
    by_file = collections.defaultdict(list)
    for item in usable:
        by_file[item[0]].append(item)
    random.seed(1)
    for items in by_file.values():
        random.shuffle(items)
    sample = []  # the files by turns, so that none dominates
    while len(sample) < min(args.sample, len(usable)):
        sample += [items.pop() for items in by_file.values() if items]
    counts = collections.Counter()
    refused, example = collections.Counter(), {}
    readers, complete, undamaged, unread = {}, {}, {}, set()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for path, byte, bit in sample[:args.sample]:
            work = os.path.join(folder, os.path.basename(path))
            shutil.copyfile(path, work)
            if os.path.exists(path + ".data"):  # ONNX's tensors beside their file
                shutil.copyfile(path + ".data", work + ".data")
            with open(work, "r+b") as file:
                file.seek(byte)
                old = file.read(1)[0]
                file.seek(byte)
                file.write(bytes([old ^ (1 << bit)]))
            key = key_of(path)
            if path not in readers:
                readers[path] = reader_of(path, key)
                undamaged[path] = by_ckmap(program, path, key)
                complete[path] = readers[path] is not None and not more_than(readers[path](path, key), undamaged[path])
            reader = readers[path]
            if reader is None:
                counts["of files that no framework reads undamaged"] += 1
                unread.add(os.path.basename(path))
                continue
            ours = by_ckmap(program, work, key)
            if ours is None:
                counts["refused by ckmap"] += 1  # a checksum that only a whole read sees
                continue
            try:
                theirs = reader(work, key)
            except BaseException as error:
                kept = [name for name, value in ours.items() if value is not None]
                if not kept or any(value is None and undamaged[path].get(name, ()) is not None for name, value in ours.items()):
                    counts["refused by both"] += 1  # ckmap refuses the damaged entry, and lists what is in the file
                    continue
                what = "the undamaged tensors" if ours == undamaged[path] else "other tensors"
                counts[f"refused by the framework where ckmap reads {what}"] += 1
                kind = (f"{what} of {os.path.splitext(path)[1]}", kind_of(error))
                refused[kind] += 1
                example.setdefault(kind, f"{os.path.basename(path)} byte {byte} bit {bit}")
                continue
            # An entry that ckmap lists as unreadable is refused, whatever the framework makes of it.
            theirs = {name: value for name, value in theirs.items() if ours.get(name, ()) is not None}
            different = [n for n in theirs if ours.get(n) != theirs[n]]
            if complete[path]:
                different += more_than(theirs, ours)
            if not different:
                counts["equal"] += 1
            else:
                failures.append(f"{path} byte {byte} bit {bit}: {different[:3]}")
    print(f"{len(sample[:args.sample])} of {len(mutants)} mutants: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    if unread:
        print("  no framework reads, undamaged: " + ", ".join(sorted(unread)))
    for (what, error), number in refused.most_common():
        print(f"  refused by the framework where ckmap reads {what}: {number} × {error}; as {example[what, error]}")
    for failure in failures[:20]:
        print("DIFFERENT " + failure)
    print(f"{len(failures)} different")
    return 1 if failures else 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
