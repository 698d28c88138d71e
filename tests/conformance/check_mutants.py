#!/usr/bin/env python3
"""Asks the real frameworks about damaged files that ckmap reads.

    mutations --flips 200000 --accepted mutants.jsonl tests/data
    check_mutants.py [--bin build/bin] [--data tests/data] [--sample 500] mutants.jsonl

A change outside of the tensors' bytes (a name, a shape, a type, padding) may leave a file that is whole and says something else.
Each of a sample is made again, read by ckmap and by MindSpore, safetensors or torch, asked in the first way in which it reads the
file undamaged. What both read must be equal; what a framework refuses and ckmap reads is counted and shown by its kind. Needs Python with mindspore, safetensors and torch.
"""
import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch

import mindspore as ms
from mindspore.train import checkpoint_pb2

ms.set_context(mode=ms.PYNATIVE_MODE)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def torch_bytes(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    tensor = tensor.as_strided((tensor.numel(),), (1,))  # contiguous() leaves odd strides where sizes are 1
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
    elif isinstance(value, torch.Tensor) and (value.is_meta or value.is_nested or value.layout != torch.strided):
        found[name] = None  # no bytes of its own, or none that are a tensor's
    elif isinstance(value, np.ndarray):
        found[name] = (list(value.shape), digest(np.ascontiguousarray(value).tobytes()))
    elif isinstance(value, torch.Tensor):
        found[name] = (list(value.shape), digest(torch_bytes(value)))
    elif isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            flatten(inner, f"{name}.{i}" if name else str(i), found)


def kind_of(error):
    """What an error says, without what differs from file to file."""
    lines = [line for line in str(error).splitlines() if line.strip(" -")] or [""]
    return f"{type(error).__name__}: " + re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "…", lines[0])[:200]


def by_safetensors(path, key):
    return {n: (list(t.shape), digest(torch_bytes(t))) for n, t in safetensors.torch.load_file(path).items()}


def by_mindspore(path, key, **options):
    if key:
        options |= {"dec_key": bytes.fromhex(key[0]), "dec_mode": key[1]}
    loaded = ms.load_checkpoint(path, crc_check=True, **options)
    return {n: (list(p.shape), digest(p.asnumpy().tobytes())) for n, p in loaded.items() if isinstance(p, ms.Parameter)}


def by_mindspore_without_random_ops(path, key):
    return by_mindspore(path, key, choice_func=lambda name: name != "random_op")


def by_mindspore_messages(path, key):
    """What the messages of the file hold, of which load_checkpoint takes only some dtypes and names."""
    messages = checkpoint_pb2.Checkpoint()
    with open(path, "rb") as file:
        messages.ParseFromString(file.read())
    found = {}
    for entry in messages.value:
        if entry.HasField("tensor"):  # slices of one name follow each other
            dims, content = found.get(entry.tag, (None, b""))
            found[entry.tag] = (list(entry.tensor.dims), content + entry.tensor.tensor_content)
    return {name: ([] if dims == [0] else dims, digest(content)) for name, (dims, content) in found.items()}


def by_torch(path, key, weights_only=True):
    found = {}
    flatten(torch.load(path, weights_only=weights_only, map_location="cpu"), "", found)
    return found


def by_torch_trusting(path, key):
    return by_torch(path, key, weights_only=False)


def by_torch_jit(path, key):
    found = {}
    flatten(dict(torch.jit.load(path, map_location="cpu").state_dict()), "", found)
    return found


# The first that reads the file undamaged is asked about the damaged ones too. Trusting a pickle is no risk greater than the
# fixtures are: they differ from files of our own in one bit.
READERS = {
    ".safetensors": [by_safetensors],
    ".ckpt": [by_mindspore, by_mindspore_without_random_ops, by_mindspore_messages],
    ".pt": [by_torch, by_torch_trusting, by_torch_jit],
}


def reader_of(path, key):
    for reader in READERS[os.path.splitext(path)[1]]:
        try:
            if reader(path, key):
                return reader
        except BaseException:  # MindSpore raises all kinds
            continue
    return None


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
    refused, example = collections.Counter(), {}
    readers, unread = {}, set()
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
            if path not in readers:
                readers[path] = reader_of(path, key)
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
                if ours and all(value is None for value in ours.values()):
                    counts["refused by both"] += 1  # ckmap refuses each entry, and lists what is in the file
                    continue
                counts["refused by the framework alone"] += 1
                kind = (os.path.splitext(path)[1], kind_of(error))
                refused[kind] += 1
                example.setdefault(kind, f"{os.path.basename(path)} byte {byte} bit {bit}")
                continue
            # An entry that ckmap lists as unreadable is refused, whatever the framework makes of it.
            theirs = {name: value for name, value in theirs.items() if ours.get(name, ()) is not None}
            if {name: ours.get(name) for name in theirs} == theirs:
                counts["equal"] += 1
            else:
                different = [n for n in theirs if ours.get(n) != theirs[n]]
                failures.append(f"{path} byte {byte} bit {bit}: {different[:3]}")
    print(f"{len(sample[:args.sample])} of {len(mutants)} mutants: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    if unread:
        print("  no framework reads, undamaged: " + ", ".join(sorted(unread)))
    for (extension, what), number in refused.most_common():
        print(f"  refused by the framework alone: {number} × {extension}: {what}; as {example[extension, what]}")
    for failure in failures[:20]:
        print("DIFFERENT " + failure)
    print(f"{len(failures)} different")
    return 1 if failures else 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
