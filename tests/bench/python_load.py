#!/usr/bin/env python3
"""Loading into a live network beside the frameworks' own loaders: python_load.py [--gib 2] [--rounds 3].

Each case runs in a process of its own, and the cases of a round follow each other in a random order, so that what else the machine
does meets all of them. A case reads every page of the network after it has loaded, and compares samples with the source. Prints the
least and the median time of each, the anonymous memory that it takes beside the network, the ratio to ckmap, and the load of the
machine. Needs torch, mindspore and safetensors.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

WIDE, HIGH = 1536, 1024  # a tensor has 6 MiB

# framework → groups of (case, how the tensors lie in the network), the first of a group is what the others are compared with.
CASES = {
    "mindspore": [
        ["ckmap in place", "safetensors.numpy + Parameter(Tensor(x)) + load_param_into_net", "load_checkpoint(.ckpt) + load_param_into_net",
         "load_checkpoint + rename + load_param_into_net"],
        ["ckmap map", "load_checkpoint + rename + load_param_into_net"],
        ["ckmap transposed", "safetensors.numpy + Parameter(Tensor(x.T)) + load_param_into_net", "load_checkpoint + .T + load_param_into_net"],
    ],
    "torch": [
        ["ckmap in place", "load_model (names right already)", "load_file + rename + load_state_dict"],
        ["ckmap in place (.pth)", "torch.load(mmap) + rename + load_state_dict"],
        ["ckmap transposed", "load_file + .t() + load_state_dict"],
        ["ckmap transposed (.pth)", "torch.load(mmap) + .t() + load_state_dict"],
    ],
}


def names(count):
    return [f"layers.{i}.weight" for i in range(count)]


def is_turned(case):
    return any(part in case for part in ("transposed", ".T", ".t()"))


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


def load_with_ckmap(net, case, folder):
    import ckmap

    rules = "rename layers -> net.layers;" if not is_turned(case) else '"layers.{i}.weight" | transpose() -> "net.layers.{i}.weight";'
    source = folder / ("s.pth" if ".pth" in case else "s.safetensors")
    ckmap.load_into(net, source, f"ckmap 1;\nmigration bench from any to any;\n{rules}\n", mode="map" if "map" in case.split() else "in_place")


def mindspore_net(shape, count):
    import mindspore as ms

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

    return Net()


def load_with_mindspore(net, case, folder):
    import mindspore as ms

    if ".ckpt" in case:
        ms.load_param_into_net(net, ms.load_checkpoint(str(folder / "right.ckpt")))
        return
    if "safetensors.numpy" in case:
        from safetensors.numpy import load_file

        loaded = {name: ms.Parameter(ms.Tensor(array.T if is_turned(case) else array)) for name, array in load_file(folder / "s.safetensors").items()}
    else:
        loaded = ms.load_checkpoint(str(folder / "s.safetensors"), format="safetensors")
        if is_turned(case):
            loaded = {name: ms.Parameter(ms.Tensor(np.ascontiguousarray(value.asnumpy().T))) for name, value in loaded.items()}
    ms.load_param_into_net(net, {f"net.{name}": value for name, value in loaded.items()})


def torch_net(shape, count):
    import torch

    net = torch.nn.Module()
    net.net = torch.nn.Module()
    net.net.layers = torch.nn.ModuleList([torch.nn.Module() for _ in range(count)])
    for layer in net.net.layers:
        layer.weight = torch.nn.Parameter(torch.zeros(shape))
    return net


def load_with_torch(net, case, folder):
    import torch
    from safetensors.torch import load_file, load_model

    if "load_model" in case:
        load_model(net, folder / "right.safetensors")
        return
    loaded = torch.load(folder / "s.pth", mmap=True) if "torch.load" in case else load_file(folder / "s.safetensors")
    net.load_state_dict({f"net.{name}": value.t().contiguous() if is_turned(case) else value for name, value in loaded.items()})


def anonymous(process="self"):
    """MiB of memory that no file stands behind."""
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:")) // 1024


def one(framework, case, folder, count):
    """A case. Prints its memory when it begins, its seconds when it has ended."""
    import ckmap

    shape = (WIDE, HIGH) if is_turned(case) else (HIGH, WIDE)
    net = (mindspore_net if framework == "mindspore" else torch_net)(shape, count)
    load = load_with_ckmap if case.startswith("ckmap") else load_with_mindspore if framework == "mindspore" else load_with_torch
    print(anonymous(), flush=True)
    start = time.perf_counter()
    load(net, case, folder)
    arrays = {p.name: p.asnumpy() for p in net.get_parameters()} if framework == "mindspore" else {n: p.detach().numpy() for n, p in net.named_parameters()}
    touched = sum(int(array.reshape(-1).view(np.uint8)[::4096].sum(dtype=np.int64)) for array in arrays.values())
    print(time.perf_counter() - start, flush=True)
    source = ckmap.open(folder / "s.safetensors")
    for name in random.sample(names(count), 3):
        array = source[name]
        if touched == 0 or not np.array_equal(arrays[f"net.{name}"], array.T if is_turned(case) else array):
            sys.exit(f"{framework}, {case}: {name} is wrong")


def run(framework, case, folder, gib):
    """(seconds, MiB on top of the network) of one case in a process of its own."""
    command = [sys.executable, __file__, "--gib", str(gib), "--folder", str(folder), "--one", framework, case]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base = int(process.stdout.readline() or sys.exit(f"{framework}, {case}: did not begin"))
        most, ended = [base], threading.Event()

        def watch():
            while not ended.wait(0.01):
                try:
                    most[0] = max(most[0], anonymous(process.pid))
                except (OSError, StopIteration):  # it has ended
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds = process.stdout.readline()
        ended.set()
        watcher.join()
        if process.wait() != 0:
            sys.exit(f"{framework}, {case}: ended with {process.returncode}")
    return float(seconds), most[0] - base


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one otherwise")
    parser.add_argument("--only", default="", help="a framework")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count = max(1, round(arguments.gib * 1024 / (WIDE * HIGH * 4 / 2**20)))
    if arguments.one:
        one(*arguments.one, arguments.folder, count)
        return
    frameworks = [name for name in CASES if arguments.only in ("", name)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "right.ckpt").exists():
            make(folder, count)
        cases = list(dict.fromkeys((framework, case) for framework in frameworks for group in CASES[framework] for case in group))
        results = {case: [] for case in cases}
        loads = []
        for _ in range(arguments.rounds):
            for framework, case in random.sample(cases, len(cases)):
                loads.append(os.getloadavg()[0])
                results[framework, case].append(run(framework, case, folder, arguments.gib))
        print(f"load of the machine: {min(loads):.1f} to {max(loads):.1f}; a case alone makes about 1")
        for framework in frameworks:
            print(f"{framework}, {count} tensors of {WIDE * HIGH * 4 >> 20} MiB: least / median seconds, anonymous MiB on top, ratio of the least / the medians")
            for group in CASES[framework]:
                base = [seconds for seconds, _ in results[framework, group[0]]]
                for case in group:
                    seconds = [seconds for seconds, _ in results[framework, case]]
                    memory = max(memory for _, memory in results[framework, case])
                    print(f"  {case:64} {min(seconds):6.2f} / {statistics.median(seconds):6.2f}  {memory:6}  {min(seconds) / min(base):5.1f} / "
                          f"{statistics.median(seconds) / statistics.median(base):5.1f}")


main()
