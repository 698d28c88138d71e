#!/usr/bin/env python3
"""Asks the real frameworks about damaged files that ckmap reads.

    mutations --flips 200000 --accepted mutants.jsonl tests/data
    check_mutants.py [--bin build/bin] [--data tests/data] [--sample 500] mutants.jsonl

A change outside of the tensors' bytes (a name, a shape, a type, padding) may leave a file that is whole and says something else.
Each of a sample is made again, read by ckmap and by MindSpore, safetensors or torch. What both read must be equal; what a framework
refuses and ckmap reads is counted and shown by its kind. Needs Python with mindspore, safetensors and torch.
"""
import argparse
import collections
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch

import mindspore as ms

ms.set_context(mode=ms.PYNATIVE_MODE)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def torch_bytes(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def flatten(value, name, found):
    if isinstance(value, torch.Tensor) and value.is_quantized:  # read as its parts
        parts = {"int_repr": value.int_repr()}
        if value.qscheme() == torch.per_tensor_affine:
            parts |= {"scale": torch.tensor(value.q_scale(), dtype=torch.float64), "zero_point": torch.tensor(value.q_zero_point())}
        else:
            parts |= {"scales": value.q_per_channel_scales(), "zero_points": value.q_per_channel_zero_points()}
        for part, tensor in parts.items():
            flatten(tensor, f"{name}.{part}", found)
    elif isinstance(value, torch.Tensor):
        found[name] = (list(value.shape), digest(torch_bytes(value)))
    elif isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            flatten(inner, f"{name}.{i}" if name else str(i), found)


def by_framework(path, key):
    """{name: (shape, sha256)}, or raises what the framework raises."""
    if path.endswith(".safetensors"):
        return {n: (list(t.shape), digest(torch_bytes(t))) for n, t in safetensors.torch.load_file(path).items()}
    if path.endswith(".ckpt"):
        options = {"dec_key": bytes.fromhex(key[0]), "dec_mode": key[1]} if key else {}
        loaded = ms.load_checkpoint(path, crc_check=True, **options)
        return {n: (list(p.shape), digest(p.asnumpy().tobytes())) for n, p in loaded.items() if isinstance(p, ms.Parameter)}
    found = {}
    flatten(torch.load(path, weights_only=True, map_location="cpu"), "", found)
    return found


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


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--data", default=os.path.join(here, "..", "data"))
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
        if os.path.isfile(path) and os.path.exists(path + ".json") and path.endswith((".safetensors", ".ckpt", ".pt")):
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
    refused = collections.Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for path, byte, bit in sample[:args.sample]:
            work = os.path.join(folder, os.path.basename(path))
            shutil.copyfile(path, work)
            with open(work, "r+b") as file:
                file.seek(byte)
                old = file.read(1)[0]
                file.seek(byte)
                file.write(bytes([old ^ (1 << bit)]))
            with open(path + ".json") as file:
                load = json.load(file).get("load") or {}
            key = (load["key_hex"], load["mode"]) if "key_hex" in load else None
            ours = by_ckmap(program, work, key)
            if ours is None:
                counts["refused by ckmap"] += 1  # a checksum that only a whole read sees
                continue
            try:
                theirs = by_framework(work, key)
            except BaseException as error:  # MindSpore raises all kinds
                counts["refused by the framework alone"] += 1
                refused[f"{os.path.basename(path)}: {type(error).__name__}"] += 1
                continue
            # An entry that ckmap lists as unreadable is refused, whatever the framework makes of it.
            theirs = {name: value for name, value in theirs.items() if ours.get(name, ()) is not None}
            if {name: ours.get(name) for name in theirs} == theirs:
                counts["equal"] += 1
            else:
                different = [n for n in theirs if ours.get(n) != theirs[n]]
                failures.append(f"{path} byte {byte} bit {bit}: {different[:3]}")
    print(f"{len(sample[:args.sample])} of {len(mutants)} mutants: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    for what, number in refused.most_common(20):
        print(f"  refused by the framework alone: {number} × {what}")
    for failure in failures[:20]:
        print("DIFFERENT " + failure)
    print(f"{len(failures)} different")
    return 1 if failures else 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
