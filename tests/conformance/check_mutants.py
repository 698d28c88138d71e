#!/usr/bin/env python3
"""Asks the real frameworks about damaged files that ckmap reads.

    mutations --flips 200000 --prefixes-of 16384 --accepted mutants.jsonl tests/data
    check_mutants.py mutants.jsonl [--bin build/bin] [--data tests/data] [--sample 500] [--formats .h5 .onnx … folder]

A change outside of the tensors' bytes (a name, a shape, a type, padding) may leave a file that is whole and says something else,
and so may a cut.
Each of a sample is made again, read by ckmap and by the framework of its format (framework_readers.py, which says what Python
needs for it), asked in the first way in which it reads the file undamaged. What both read must be equal; what a framework refuses
and ckmap reads is counted and shown by its kind: with the tensors of the undamaged file, damage is in what ckmap does not use.
"""
import argparse
import collections
import itertools
import json
import os
import random
import re
import shutil
import sys
import tempfile

import numpy as np

from check_data import Runner
from framework_readers import READERS, reader_of


def kind_of(error):
    """What an error says, without what differs from file to file."""
    lines = [line for line in str(error).splitlines() if line.strip(" -")] or [""]
    return f"{type(error).__name__}: " + re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "…", lines[0])[:200]


def by_ckmap(runner, path, key):
    """As a reader of framework_readers.py; None where the file is refused."""
    code, output, _, _ = runner.inspect(path, *(key or ()))
    if code != 0:
        return None
    return {t["name"]: None if "unreadable" in t else (t["shape"], t["sha256"]) for t in json.loads(output)["tensors"]}


def key_of(path):
    if not os.path.exists(path + ".json"):
        return None
    with open(path + ".json") as file:
        load = json.load(file).get("load") or {}
    return (load["key_hex"], load["mode"]) if "key_hex" in load else None


def more_than(theirs, ours):
    """Names of tensors that ckmap reads and the framework does not have: parts of map parameters, constants of graphs."""
    return [name for name, value in ours.items() if value is not None and name not in theirs]


class Undamaged:
    """A file as it was: who reads it, and what ckmap reads of it."""

    def __init__(self, runner, path):
        self.key = key_of(path)
        self.reader = reader_of(path, self.key)
        self.ours = by_ckmap(runner, path, self.key) or {}
        self.complete = self.reader is not None and not more_than(self.reader(path, self.key), self.ours)


def choose(args):
    """(path, file, damage) of a sample: the files by turns, so that none dominates. `path` is what is read; the file the same, or
    one of its folder; the damage a mutant as `mutations` writes it."""
    with open(args.mutants) as file:
        mutants = [json.loads(line) for line in file]
    by_file = collections.defaultdict(list)
    for mutant in mutants:
        parts = mutant["file"].split("/")
        parts = parts[max(i for i, part in enumerate(parts) if part.startswith("ckmap-mutations-")) + 1:]
        path, changed = os.path.join(args.data, *parts[:2]), os.path.join(args.data, *parts)
        if "folder" in args.formats if os.path.isdir(path) else path.endswith(tuple(args.formats)):
            by_file[changed].append((path, changed, mutant))
    random.seed(1)
    for items in by_file.values():
        random.shuffle(items)
    turns = itertools.zip_longest(*(reversed(items) for items in by_file.values()))
    sample = [item for turn in turns for item in turn if item]
    return sample[:args.sample], len(mutants)


def text_of(changed, mutant):
    what = f"cut to {mutant['length']} bytes" if "length" in mutant else f"byte {mutant['byte']} bit {mutant['bit']}"
    return f"{os.path.basename(changed)} {what}"


def damage(path, changed, mutant, folder):
    """The path of a copy with one other bit, or cut."""
    work = os.path.join(folder, os.path.basename(path))
    if os.path.isdir(path):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(path, work)
    else:
        shutil.copyfile(path, work)
    if os.path.exists(path + ".data"):  # ONNX's tensors beside their file
        shutil.copyfile(path + ".data", work + ".data")
    with open(os.path.join(folder, os.path.relpath(changed, os.path.dirname(path))), "r+b") as file:
        if "length" in mutant:
            file.truncate(mutant["length"])
        else:
            file.seek(mutant["byte"])
            old = file.read(1)[0]
            file.seek(mutant["byte"])
            file.write(bytes([old ^ (1 << mutant["bit"])]))
    return work


def compare(runner, undamaged, work):
    """(what came of it, names that differ, what the framework said)"""
    if undamaged.reader is None:
        return "of files that no framework reads undamaged", [], None
    ours = by_ckmap(runner, work, undamaged.key)
    if ours is None:
        return "refused by ckmap", [], None  # a checksum that only a whole read sees
    try:
        theirs = undamaged.reader(work, undamaged.key)
        # An entry that ckmap lists as unreadable is refused, whatever the framework makes of it.
        theirs = {name: value for name, value in theirs.items() if ours.get(name, ()) is not None}
        for value in theirs.values():
            if isinstance(value, Exception):
                raise value
    except BaseException as error:
        kept = [name for name, value in ours.items() if value is not None]
        if not kept or any(value is None and undamaged.ours.get(name, ()) is not None for name, value in ours.items()):
            return "refused by both", [], None  # ckmap refuses the damaged entry, and lists what is in the file
        what = "the undamaged tensors" if ours == undamaged.ours else "other tensors"
        return f"refused by the framework where ckmap reads {what}", [], kind_of(error)
    different = [name for name in theirs if ours.get(name) != theirs[name]]
    if undamaged.complete:
        different += more_than(theirs, ours)
    return "different" if different else "equal", different, None


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--data", default=os.path.join(here, "..", "data"))
    parser.add_argument("--formats", nargs="+", default=[*READERS, "folder"], metavar="EXTENSION")
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("mutants")
    args = parser.parse_args()
    runner = Runner(os.path.join(args.bin, "ckmap"), None, "on")
    sample, count = choose(args)
    counts, refused = collections.Counter(), collections.Counter()
    known, example, failures = {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        for path, changed, mutant in sample:
            if path not in known:
                known[path] = Undamaged(runner, path)
            outcome, different, said = compare(runner, known[path], damage(path, changed, mutant, folder))
            counts[outcome] += 1
            if said:
                kind = (outcome, os.path.splitext(changed)[1], said)
                refused[kind] += 1
                example.setdefault(kind, text_of(changed, mutant))
            if different:
                failures.append(f"{text_of(changed, mutant)}: {different[:3]}")
    print(f"{len(sample)} of {count} mutants: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
    unread = sorted(os.path.basename(path) for path, undamaged in known.items() if undamaged.reader is None)
    if unread:
        print("  no framework reads, undamaged: " + ", ".join(unread))
    for kind, number in refused.most_common():
        print("  {}: {} × {}: {}; as {}".format(kind[0], number, *kind[1:], example[kind]))
    for failure in failures[:20]:
        print("DIFFERENT " + failure)
    print(f"{len(failures)} different")
    return 1 if failures else 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
