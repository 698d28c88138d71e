#!/usr/bin/env python3
"""The whole table of conversions: each beside `cp` in interleaved rounds, peers beside it, and the machine's limits.

    tests/bench/table.py [--bin build/bin] [--dir /tmp] [--rounds 5] [--gib 2.5] [--only NAME,NAME]
                         [--python PYTHON] [--json table.json]

Each round runs `cp` and the case one after the other; an output is removed before each run; nothing is flushed to the disk,
as `cp` does not. The page cache is warm. A ratio is the median of the case over the median of `cp` of the same rounds: of the
source, or of the output where the line says so. Memory is the peak of RssAnon, sampled. PYTHON is one that has torch,
safetensors and mindspore: without it, the peers are left out and named. A case without a gate, or one that cannot run on this
machine, says so. Raw figures of every run go to --json. The exit code is 0: a timing is not a test.
"""
import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from run import timed, write_safetensors, write_spec

SIDE = 1664


def square(gib, dtype="F32", width=4):
    """Square and oblong matrices, as in a language model, of about `gib` GiB."""
    count = max(1, int(gib * (1 << 30) / (width * SIDE * SIDE)))
    return [(f"layers.{i}.weight", dtype, [SIDE, SIDE] if i % 2 else [SIDE * 2, SIDE // 2]) for i in range(count)]


def convolutions(gib):
    shape = [512, 512, 3, 3]
    return [(f"layers.{i}.weight", "F32", shape) for i in range(max(1, int(gib * (1 << 30) / (4 * 512 * 512 * 9))))]


def attention(gib):
    side = 2048
    count = max(1, int(gib * (1 << 30) / (4 * 3 * side * side)))
    return [(f"layers.{i}.{part}.weight", "F32", [side, side]) for i in range(count) for part in "qkv"]


def fp8_blocks(gib):
    side = 4096
    tensors = []
    for i in range(max(1, int(gib * (1 << 30) / (2 * side * side)))):
        tensors.append((f"layers.{i}.weight", "F8_E4M3", [side, side]))
        tensors.append((f"layers.{i}.weight_scale_inv", "F32", [side // 128, side // 128]))
    return tensors


DTYPES = {"F32": ("f32", 4), "BF16": ("bf16", 2), "F8_E4M3": ("f8_e4m3", 1), "F16": ("f16", 2)}


class Case:
    """`tensors` of the source, `rules`, and the target that they give: (name, dtype, shape) of each tensor."""

    def __init__(self, what, tensors, rules, target, gate=None, goal=None, source="safetensors", output="safetensors",
                 options=(), against="source"):
        self.what, self.tensors, self.rules, self.target = what, tensors, rules, target
        self.gate, self.goal, self.source, self.output = gate, goal, source, output
        self.options, self.against = list(options), against


def each(change):
    return lambda tensors: [change(*tensor) for tensor in tensors]


def renamed(dtype=None, shape=lambda s: s):
    return each(lambda name, own, s: (name.replace("layers", "blocks"), dtype or DTYPES[own][0], shape(s)))


def fused(tensors):
    layers = len(tensors) // 3
    return [(f"blocks.{i}.qkv.weight", "f32", [3 * 2048, 2048]) for i in range(layers)]


def dequantized(tensors):
    return [(n.replace("layers", "blocks"), "bf16", s) for n, d, s in tensors if d == "F8_E4M3"]


ALL = '"layers.{{i}}.weight" | {} -> "blocks.{{i}}.weight";'
CASES = {
    "rename": Case("rename, safetensors", square, "rename layers -> blocks;", renamed(), 0.6, 0.5),
    "torch": Case("torch zip (CRC verified) to safetensors", square, "rename layers -> blocks;", renamed(), 0.8, 0.55, source="pth"),
    "torch-ckpt": Case("torch zip to .ckpt with CRC", square, "rename layers -> blocks;", renamed(), 0.9, 0.7, source="pth",
                       output="ckpt", options=["--crc"]),
    "transpose-f32": Case("all 2-D transposed, f32", square, ALL.format("transpose()"), renamed(shape=lambda s: s[::-1]), 1.0, 0.8),
    "transpose-bf16": Case("all 2-D transposed, bf16", lambda g: square(g, "BF16", 2), ALL.format("transpose()"),
                           renamed(shape=lambda s: s[::-1]), 1.2, 1.0),
    "f32-f16": Case("f32 to f16", square, ALL.format("cast(f16)"), renamed("f16"), 0.6, 0.35),
    "f32-bf16": Case("f32 to bf16", square, ALL.format("cast(bf16)"), renamed("bf16"), 0.6, 0.35),
    "bf16-f32": Case("bf16 to f32", lambda g: square(g, "BF16", 2), ALL.format("cast(f32)"), renamed("f32"), 1.2, 1.0),
    "fp8-bf16": Case("FP8 with blocks of 128 x 128 to bf16", fp8_blocks,
                     '"layers.{i}.{weight,weight_scale_inv}" | dequantize(to=bf16, block=[128, 128]) -> "blocks.{i}.weight";',
                     dequantized, 1.3, 1.0, against="output"),
    "oihw-hwio": Case("OIHW to HWIO", convolutions, ALL.format("permute(2, 3, 1, 0)"),
                      renamed(shape=lambda s: [s[2], s[3], s[1], s[0]]), 1.5, 1.0),
    "qkv": Case("q, k, v fused in groups of heads", attention,
                '"layers.{i}.{q,k,v}.weight" | interleave(axis=0, block=128) -> "blocks.{i}.qkv.weight";', fused, 0.8, 0.6),
    "rope": Case("rope permutation", lambda g: [t for t in attention(g) if ".q." in t[0]],
                 '"layers.{i}.q.weight" | rearrange("(h two d) c -> (h d two) c", h=16, two=2) -> "blocks.{i}.q.weight";',
                 renamed(), 0.8, 0.6),
}

PEERS = {
    "torch.load + rename + torch.save": ("torch", 10, 15, """
state = torch.load(source, weights_only=True)
torch.save({name.replace('layers', 'blocks'): tensor for name, tensor in state.items()}, output)
"""),
    "torch.load + mindspore.save_checkpoint": ("torch-ckpt", 15, 20, """
state = torch.load(source, weights_only=True)
mindspore.save_checkpoint([{'name': name.replace('layers', 'blocks'), 'data': mindspore.Tensor(tensor.numpy())} for name, tensor in state.items()], output + '.ckpt')
"""),
    "mindspore load + save (safetensors to .ckpt)": ("rename-ckpt", 10, 20, """
state = mindspore.load_checkpoint(source, format='safetensors')
mindspore.save_checkpoint([{'name': name.replace('layers', 'blocks'), 'data': value} for name, value in state.items()], output + '.ckpt')
"""),
}
CASES["rename-ckpt"] = Case("rename, safetensors to .ckpt", square, "rename layers -> blocks;", renamed(), output="ckpt")


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder, self.rows, self.sources = args, folder, [], {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, name, rules):
        with open(self.path(f"{name}.ckmap"), "w") as file:
            file.write("ckmap 1;\n" + rules + "\n")
        subprocess.run([f"{self.args.bin}/ckmapc", self.path(f"{name}.ckmap"), "-o", self.path(f"{name}.ckplan")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.path(f"{name}.ckplan")

    def source(self, case):
        """The file of the case; those of other cases are removed, so that the disk holds one."""
        tensors = case.tensors(self.args.gib)
        key = (json.dumps(tensors), case.source)
        if key in self.sources:
            return self.sources[key], tensors
        plain = self.path("in.safetensors")
        for path in self.sources.values():
            remove(path)
        self.sources.clear()
        sized = [(n, d, s, DTYPES[d][1] * product(s)) for n, d, s in tensors]
        write_safetensors(plain, sized)
        self.sources[(key[0], "safetensors")] = plain
        if case.source != "safetensors":
            path = self.path(f"in.{case.source}")
            subprocess.run([f"{self.args.bin}/ckmap", "apply", self.compile("same", ""), plain, "--target", plain, "-o", path,
                            "--no-fsync", "-q"], check=True)
            self.sources[key] = path
        return self.sources[key], tensors

    def command(self, case, source, tensors, out):
        spec, plan = self.path("spec.yaml"), self.compile("case", case.rules)
        write_spec(spec, case.target(tensors))
        return [f"{self.args.bin}/ckmap", "apply", plan, source, "--target", spec, "-o", out, "--no-fsync", "-q", *case.options]

    def run(self, name, case):
        source, tensors = self.source(case)
        out, copied = self.path(f"out.{case.output}"), source
        command = self.command(case, source, tensors, out)
        if case.against == "output":
            copied = self.path(f"copied.{case.output}")
            subprocess.run(command, check=True)
            os.replace(out, copied)
        row = self.rounds(case.what, copied, out, command)
        row.update(name=name, gate=case.gate, goal=case.goal, against=case.against)
        if case.against == "output":
            remove(copied)
        return row

    def rounds(self, what, copied, out, command):
        copies, ours, peaks = [], [], []
        copy = self.path("copy")
        for _ in range(self.args.rounds):
            remove(copy)
            os.sync()  # what earlier runs left to be written would slow down one of the two
            copies.append(timed(["cp", copied, copy])[0])
            remove(copy)
            remove(out)
            os.sync()
            seconds, peak = timed(command)
            ours.append(seconds)
            peaks.append(peak)
            size = os.path.getsize(out)
            remove(out)
        return {"what": what, "cp_s": copies, "s": ours, "rss_anon_mib": max(peaks), "bytes": size,
                "ratio": statistics.median(ours) / statistics.median(copies)}

    def peer(self, what, case_name, gate, goal, code):
        case = CASES[case_name]
        source, tensors = self.source(case)
        out = self.path(f"out.{case.output}")
        ours = self.command(case, source, tensors, out)
        script = self.path("peer.py")
        imports = "import sys\nsource, output = sys.argv[1:]\n" + ("import torch\n" if "torch" in code else "") + (
            "import mindspore\n" if "mindspore" in code else "")
        with open(script, "w") as file:
            file.write(imports + "import time\nstart = time.monotonic()\n" + code + "\nprint(time.monotonic() - start)\n")
        theirs, mine = [], []
        for _ in range(max(2, self.args.rounds // 2)):
            remove(out)
            os.sync()
            mine.append(timed(ours)[0])
            remove(out)
            os.sync()
            # Without the time of its imports.
            done = subprocess.run([self.args.python, script, source, self.path("peer.out")], capture_output=True, text=True)
            if done.returncode != 0:
                return {"what": what, "left_out": done.stderr.strip().splitlines()[-1:] or ["it failed"]}
            theirs.append(float(done.stdout.split()[-1]))
            for left in ("peer.out", "peer.out.ckpt"):
                remove(self.path(left))
        return {"what": what, "s": mine, "peer_s": theirs, "gate": gate, "goal": goal,
                "times": statistics.median(theirs) / statistics.median(mine)}


def product(shape):
    out = 1
    for size in shape:
        out *= size
    return out


def versions(python):
    if not python:
        return {}
    code = ("import json\nout = {}\nfor name in ('torch', 'safetensors', 'mindspore', 'numpy'):\n    try:\n"
            "        out[name] = __import__(name).__version__\n    except Exception:\n        pass\nprint(json.dumps(out))")
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout else {}


def limits(folder):
    """What no conversion on this machine can beat: bytes per second of memory and of `cp`, files in the page cache."""
    block = bytearray(os.urandom(1 << 20)) * 256
    rates = []
    other = bytearray(len(block))
    for _ in range(5):
        start = time.monotonic()
        other[:] = block
        rates.append(len(block) / (time.monotonic() - start))
    path, copy = os.path.join(folder, "limit"), os.path.join(folder, "limit.copy")
    with open(path, "wb") as file:
        for _ in range(4):
            file.write(block)
    copies = []
    for _ in range(5):
        copies.append(timed(["cp", path, copy])[0])
        os.unlink(copy)
    size = os.path.getsize(path)
    start = time.monotonic()
    subprocess.run(["dd", f"if={path}", f"of={copy}", "bs=1M", "conv=fsync", "status=none"], check=True)
    disk = size / (time.monotonic() - start)
    os.unlink(path)
    os.unlink(copy)
    return {"memcpy_gb_s": max(rates) / 1e9, "cp_gb_s": size / statistics.median(copies) / 1e9, "dd_fsync_gb_s": disk / 1e9}


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def print_row(row):
    if "left_out" in row:
        print(f"| {row['what']} | left out: {'; '.join(row['left_out'])} | | | |", flush=True)
    elif "times" in row:
        print(f"| ckmap x {row['what']} | {row['times']:.1f} x | {row['gate']} x | {row['goal']} x | "
              f"{statistics.median(row['s']):.2f} s against {statistics.median(row['peer_s']):.2f} s |", flush=True)
    else:
        of = " of the output" if row["against"] == "output" else ""
        print(f"| {row['what']}, ÷ `cp`{of} | {row['ratio']:.2f} | {row['gate'] or ''} | {row['goal'] or ''} | "
              f"{statistics.median(row['s']):.2f} s, `cp` {statistics.median(row['cp_s']):.2f} s, {row['rss_anon_mib']:.0f} MiB |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--dir")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=float, default=2.5)
    parser.add_argument("--only", help="cases, separated by commas; without peers")
    parser.add_argument("--python", help="a python with torch, safetensors and mindspore")
    parser.add_argument("--json", help="writes the figures of every run")
    args = parser.parse_args()
    unknown = [n for n in (args.only or "").split(",") if n and n not in CASES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join(CASES)}")
    wanted = args.only.split(",") if args.only else [n for n, c in CASES.items() if c.gate]
    folder = tempfile.mkdtemp(prefix="ckmap-bench-", dir=args.dir)
    report = {"date": datetime.date.today().isoformat(), "machine": processor(), "system": platform.platform(),
              "command": " ".join(sys.argv), "gib": args.gib, "rounds": args.rounds, "versions": versions(args.python), "rows": []}
    try:
        report["limits"] = limits(folder)
        print(f"{report['date']}, {report['machine']}; {args.gib} GiB, {args.rounds} rounds; {report['versions']}")
        print("machine: " + ", ".join(f"{k} {v:.1f}" for k, v in report["limits"].items()) + "\n")
        print("| measure | reached | gate | goal | medians |\n|---|---|---|---|---|")
        bench = Bench(args, folder)
        for name in wanted:
            report["rows"].append(bench.run(name, CASES[name]))
            print_row(report["rows"][-1])
        if not args.only:
            for what, (case, gate, goal, code) in PEERS.items():
                row = bench.peer(what, case, gate, goal, code) if args.python else {
                    "what": what, "left_out": ["no --python"]}
                report["rows"].append(row)
                print_row(row)
    finally:
        shutil.rmtree(folder)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
