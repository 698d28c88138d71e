#!/usr/bin/env python3
"""Loading into a live network beside the frameworks' own loaders: python_load.py [--gib 2] [--rounds 3].

Each case runs in a process of its own, and the cases of a round follow each other in a random order, so that what else the machine
does meets all of them. A case reads every page of the network after it has loaded, and compares samples with the source. Prints the
least and the median time of each, memory on top of the network, and the ratio to ckmap. Needs torch, mindspore and safetensors.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDE, HIGH = 1536, 1024  # a tensor has 6 MiB

CASES = {
    "mindspore": ["ckmap in place", "ckmap map", "load_checkpoint + rename + load_param_into_net", "load_checkpoint(.ckpt) + load_param_into_net",
                  "ckmap transposed", "load_checkpoint + .T + load_param_into_net"],
    "torch": ["ckmap in place", "ckmap map", "load_model (names right already)", "torch.load(mmap) + rename + load_state_dict", "ckmap transposed",
              "torch.load(mmap) + .t() + load_state_dict"],
}


def names(count):
    return [f"layers.{i}.weight" for i in range(count)]


def make(folder, count):
    """The same tensors as safetensors, .ckpt and .pth."""
    import mindspore as ms
    import torch
    from safetensors.numpy import save_file

    generator = np.random.default_rng(0)
    arrays = {name: generator.random((HIGH, WIDE), np.float32) for name in names(count)}
    save_file(arrays, folder / "s.safetensors")
    save_file({f"net.{name}": array for name, array in arrays.items()}, folder / "right.safetensors")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / "s.pth")
    ms.save_checkpoint([{"name": f"net.{name}", "data": ms.Tensor(array)} for name, array in arrays.items()], str(folder / "right.ckpt"))


def rules(turned):
    text = 'ckmap 1;\nmigration bench from any to any;\nrename layers -> net.layers;\n'
    return text if not turned else 'ckmap 1;\nmigration bench from any to any;\n"layers.{i}.weight" | transpose() -> "net.layers.{i}.weight";\n'


def run_mindspore(case, folder, count):
    import mindspore as ms

    import ckmap

    ms.set_device("CPU")
    turned = "transposed" in case or ".T" in case
    shape = (WIDE, HIGH) if turned else (HIGH, WIDE)

    class Layer(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.weight = ms.Parameter(ms.Tensor(np.zeros(shape, np.float32)), name="weight")

    class Inner(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.layers = ms.nn.CellList([Layer() for _ in range(count)])

    class Net(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.net = Inner()

    net = Net()
    before = peak()
    start = time.perf_counter()
    if case.startswith("ckmap"):
        ckmap.load_into(net, folder / "s.safetensors", rules(turned), mode="map" if "map" in case else "in_place")
    elif ".ckpt" in case:
        ms.load_param_into_net(net, ms.load_checkpoint(str(folder / "right.ckpt")))
    else:
        loaded = ms.load_checkpoint(str(folder / "s.safetensors"), format="safetensors")
        if turned:
            loaded = {name: ms.Parameter(ms.Tensor(np.ascontiguousarray(value.asnumpy().T))) for name, value in loaded.items()}
        ms.load_param_into_net(net, {f"net.{name}": value for name, value in loaded.items()})
    checksum = sum(int(p.asnumpy().reshape(-1).view(np.uint8)[::4096].sum(dtype=np.int64)) for p in net.get_parameters())
    seconds = time.perf_counter() - start
    return seconds, peak() - before, checksum, {p.name: p.asnumpy() for p in net.get_parameters()}, turned


def run_torch(case, folder, count):
    import torch

    import ckmap

    turned = "transposed" in case or ".t()" in case
    shape = (WIDE, HIGH) if turned else (HIGH, WIDE)
    net = torch.nn.Module()
    net.net = torch.nn.Module()
    net.net.layers = torch.nn.ModuleList([torch.nn.Module() for _ in range(count)])
    for layer in net.net.layers:
        layer.weight = torch.nn.Parameter(torch.zeros(shape))
    before = peak()
    start = time.perf_counter()
    if case.startswith("ckmap"):
        ckmap.load_into(net, folder / ("s.pth" if turned else "s.safetensors"), rules(turned), mode="map" if "map" in case else "in_place")
    elif "load_model" in case:
        from safetensors.torch import load_model

        load_model(net, folder / "right.safetensors")
    else:
        loaded = torch.load(folder / "s.pth", mmap=True)
        net.load_state_dict({f"net.{name}": value.t().contiguous() if turned else value for name, value in loaded.items()})
    checksum = sum(int(p.detach().numpy().reshape(-1).view(np.uint8)[::4096].sum(dtype=np.int64)) for p in net.parameters())
    seconds = time.perf_counter() - start
    return seconds, peak() - before, checksum, {name: p.detach().numpy() for name, p in net.named_parameters()}, turned


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # MiB


def one(framework, case, folder, count):
    seconds, memory, _, values, turned = (run_mindspore if framework == "mindspore" else run_torch)(case, folder, count)
    import ckmap

    source = ckmap.open(folder / "s.safetensors")
    for name in random.sample(names(count), 3):
        array = source[name]
        if not np.array_equal(values[f"net.{name}"], array.T if turned else array):
            sys.exit(f"{framework}, {case}: {name} is wrong")
    print(json.dumps([seconds, memory]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one otherwise")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count = max(1, round(arguments.gib * 1024 / (WIDE * HIGH * 4 / 2**20)))
    if arguments.one:
        one(*arguments.one, arguments.folder, count)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "right.ckpt").exists():
            make(folder, count)
        cases = [(framework, case) for framework, some in CASES.items() for case in some]
        results = {case: [] for case in cases}
        for _ in range(arguments.rounds):
            for framework, case in random.sample(cases, len(cases)):
                done = subprocess.run([sys.executable, __file__, "--gib", str(arguments.gib), "--folder", str(folder), "--one", framework, case],
                                      check=True, stdout=subprocess.PIPE, text=True)
                results[framework, case].append(json.loads(done.stdout.splitlines()[-1]))
        for framework, some in CASES.items():
            print(f"{framework}, {count} tensors of {WIDE * HIGH * 4 >> 20} MiB: least / median seconds, peak MiB on top, ratio to ckmap in place")
            for case in some:
                seconds = [run[0] for run in results[framework, case]]
                base = results[framework, "ckmap transposed" if "transposed" in case or ".T" in case or ".t()" in case else "ckmap in place"]
                ratio = statistics.median(seconds) / statistics.median(run[0] for run in base)
                print(f"  {case:50} {min(seconds):6.2f} / {statistics.median(seconds):6.2f}  {max(run[1] for run in results[framework, case]):6}  {ratio:5.1f}")


main()
