#!/usr/bin/env python3
"""Writes data/: for each hard case the manifests of the real sizes, and a tiny network with the values that numpy gives.

    python3 make.py [CASE …]        needs numpy and safetensors

A case is a class of cases.py with its sizes (FULL, TINY), the two manifests as templates, and `convert`: the mathematics
of the migration in plain numpy, written without a look at the rules. hard_cases_test.cc compiles CASE.ckmap,
binds it to the full manifests, runs it on the tiny source and compares with the tiny target, byte by byte; where the
case says `reversible`, it goes back too.

A template is `name dtype [shape]`. {0..31} in a name stands for the numbers 0 to 31, {q,k,v} for the words; several are
a product. data/CASE/full.{source,target}.txt are such templates.
"""
import inspect
import itertools
import json
import pathlib
import re
import sys

import numpy as np
from safetensors.numpy import save_file

import cases

HERE = pathlib.Path(__file__).parent
DTYPES = {"f32": np.float32, "f16": np.float16, "i64": np.int64, "bool": np.bool_, "u8": np.uint8}


def expand(template):
    """'a.{0..1}.w f32 [2, 3]' -> ('a.0.w', 'f32', [2, 3]), ('a.1.w', …)"""
    name, dtype, shape = re.fullmatch(r"(\S+) (\w+) (\[.*\])", template).groups()
    parts = re.split(r"\{([^}]*)\}", name)
    choices = []
    for i, part in enumerate(parts):
        if i % 2 == 0:
            choices.append([part])
        elif ".." in part:
            first, last = map(int, part.split(".."))
            choices.append([str(n) for n in range(first, last + 1)])
        else:
            choices.append(part.split(","))
    return [("".join(c), dtype, json.loads(shape)) for c in itertools.product(*choices)]


def fill(names, seed):
    """Values that no two elements of a tensor share, and that every dtype holds exactly."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, dtype, shape in names:
        count = int(np.prod(shape, dtype=np.int64))
        values = rng.permutation(count) + rng.integers(1, 100)
        if dtype == "bool":
            values = values % 2
        out[name] = (values.astype(DTYPES[dtype]) if dtype != "f32" else
                     (values / 8 - 5).astype(np.float32)).reshape(shape)
    return out


def make(name, case):
    out = HERE / "data" / name
    out.mkdir(parents=True, exist_ok=True)
    full, tiny = case.FULL, case.TINY
    (out / "full.source.txt").write_text("\n".join(case.source(**full)) + "\n")
    (out / "full.target.txt").write_text("\n".join(case.target(**full)) + "\n")
    config = getattr(case, "config", None)
    if config:
        (out / "full.config.json").write_text(json.dumps(config(**full)) + "\n")
        (out / "tiny.config.json").write_text(json.dumps(config(**tiny)) + "\n")
    sources = [t for line in case.source(**tiny) for t in expand(line)]
    targets = [t for line in case.target(**tiny) for t in expand(line)]
    have = fill(sources, sum(map(ord, name)))
    if hasattr(case, "prepare"):
        have = case.prepare(have)
    want = case.convert(dict(have), **tiny)
    spec = {n: (d, s) for n, d, s in targets}
    assert spec.keys() == want.keys(), (name, set(spec) ^ set(want))
    for n, (dtype, shape) in spec.items():
        assert list(want[n].shape) == shape and want[n].dtype == DTYPES[dtype], (name, n, want[n].shape, shape)
    save_file({k: np.ascontiguousarray(v) for k, v in have.items()}, out / "tiny.source.safetensors")
    save_file({k: np.ascontiguousarray(v) for k, v in want.items()}, out / "tiny.target.safetensors")
    print(f"{name}: {sum(len(expand(t)) for t in case.source(**full))} -> "
          f"{sum(len(expand(t)) for t in case.target(**full))} tensors")


if __name__ == "__main__":
    for name, case in inspect.getmembers(cases, inspect.isclass):
        if not name.startswith("_") and (len(sys.argv) < 2 or name in sys.argv[1:]):
            make(name, case)
