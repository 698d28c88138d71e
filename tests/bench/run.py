#!/usr/bin/env python3
"""Conversion speed against `cp` of the same file, in interleaved rounds.

    tests/bench/run.py [--bin build/bin] [--dir /tmp] [--rounds 7] [--gib 2.5] [--only NAME]

Each round runs cp and the case one after the other, outputs are removed before each run, nothing is
flushed to the disk (as cp does not). Printed: the median of both, their ratio, and the peak of the
program's anonymous memory (RssAnon, sampled). Warm page cache; only ratios mean anything on a shared
machine. The files are made and removed again; the largest needs twice --gib on --dir.
Exit code 1 if a ratio is above its gate.
"""
import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time


def write_safetensors(path, tensors):
    """tensors: (name, dtype, shape, bytes)."""
    header, at = {}, 0
    for name, dtype, shape, size in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    # Values in [1, 2): every cast has something to round, none overflows.
    block = bytearray(os.urandom(1 << 22))
    block[3::4] = b"\x3f" * (1 << 20)
    block[2::4] = bytes(b | 0x80 for b in block[2::4])
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while at > 0:
            file.write(block[: min(at, len(block))])
            at -= min(at, len(block))


def write_spec(path, tensors):
    with open(path, "w") as file:
        file.write("tensors:\n")
        for name, dtype, shape in tensors:
            file.write(f'  - {{name: "{name}", dtype: {dtype}, shape: {shape}}}\n')


def peak_anon(pid, stop, peak):
    while not stop.is_set():
        try:
            for line in open(f"/proc/{pid}/status"):
                if line.startswith("RssAnon"):
                    peak[0] = max(peak[0], int(line.split()[1]))
        except OSError:
            return
        time.sleep(0.005)


def timed(command):
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stop, peak = threading.Event(), [0]
    watcher = threading.Thread(target=peak_anon, args=(process.pid, stop, peak))
    watcher.start()
    errors = process.communicate()[1]
    seconds = time.monotonic() - begin
    stop.set()
    watcher.join()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{errors.decode()}")
    return seconds, peak[0] / 1024


def model(gib):
    """A source of about `gib` GiB: square and oblong matrices as in a language model."""
    side, tensors = 1664, []
    for i in range(max(1, int(gib * (1 << 30) / (4 * side * side)))):
        tensors.append((f"layers.{i}.weight", [side, side] if i % 2 else [side * 2, side // 2]))
    return tensors


CASES = {
    # name: (rules, target dtype, transposed, gate as a multiple of cp)
    "rename": ("rename layers -> blocks;", "f32", False, 1.3),
    "transpose": ('"layers.{i}.weight" | transpose() -> "blocks.{i}.weight";', "f32", True, 1.6),
    "cast-f8": ('"layers.{i}.weight" | cast(f8_e4m3) -> "blocks.{i}.weight";', "f8_e4m3", False, 1.3),
    # From other formats; cp is of the file in that format.
    "npz": ("", "f32", False, 1.5),
    "gguf": ("", "f32", False, 1.3),
    "onnx": ("", "f32", False, 1.3),
    "h5": ("", "f32", False, 1.3),
    "cast-f16": ('"layers.{i}.weight" | cast(f16) -> "blocks.{i}.weight";', "f16", False, 1.3),
    "cast-bf16": ('"layers.{i}.weight" | cast(bf16) -> "blocks.{i}.weight";', "bf16", False, 1.3),
}


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def write_onnx(path, tensors, source):
    """A model of initializers only, with the bytes of a safetensors file."""
    def field(number, payload_size):
        return varint(number << 3 | 2) + varint(payload_size)

    heads = []
    for name, _, shape, size in tensors:
        head = b"".join(b"\x08" + varint(n) for n in shape) + b"\x10\x01" + field(8, len(name)) + name.encode() + field(9, size)
        heads.append(field(5, len(head) + size) + head)
    graph = sum(len(h) for h in heads) + sum(t[3] for t in tensors)
    with open(path, "wb") as out, open(source, "rb") as data:
        data.seek(8 + struct.unpack("<Q", data.read(8))[0])
        out.write(b"\x08\x08" + field(7, graph))
        for head, tensor in zip(heads, tensors):
            out.write(head + data.read(tensor[3]))


def write_hdf5(path, tensors, source):
    import h5py
    import numpy as np
    with h5py.File(path, "w") as out, open(source, "rb") as data:
        data.seek(8 + struct.unpack("<Q", data.read(8))[0])
        for name, _, shape, size in tensors:
            out.create_dataset(name, data=np.frombuffer(data.read(size), "f4").reshape(shape))


def make_source(args, folder, name, tensors, safetensors, spec):
    """The same tensors in another format; None where it cannot be made here."""
    path = os.path.join(folder, f"in.{name}")
    if name in ("npz", "gguf"):
        rules, plan = os.path.join(folder, "same.ckmap"), os.path.join(folder, "same.ckplan")
        with open(rules, "w") as file:
            file.write("ckmap 1;\n")
        subprocess.run([f"{args.bin}/ckmapc", rules, "-o", plan], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([f"{args.bin}/ckmap", "apply", plan, safetensors, "--target", spec, "-o", path, "--no-fsync", "-q"], check=True)
        return path
    try:
        {"onnx": write_onnx, "h5": write_hdf5}[name](path, tensors, safetensors)
    except ImportError as error:
        print(f"{name:12} left out: {error}")
        return None
    return path


def run_case(args, folder, name, source, rules, spec, gate):
    rule_file, plan, out = (os.path.join(folder, f) for f in ("r.ckmap", "r.ckplan", "out.safetensors"))
    with open(rule_file, "w") as file:
        file.write("ckmap 1;\n" + rules + "\n")
    subprocess.run([f"{args.bin}/ckmapc", rule_file, "-o", plan], check=True)
    ours, cps, peak = [], [], 0
    for _ in range(args.rounds):
        for kind in ("cp", "ckmap"):
            if os.path.exists(out):
                os.unlink(out)
            if kind == "cp":
                cps.append(timed(["cp", source, out])[0])
            else:
                seconds, anon = timed([f"{args.bin}/ckmap", "apply", plan, source, "--target", spec,
                                       "-o", out, "--no-fsync", "--quiet"])
                ours.append(seconds)
                peak = max(peak, anon)
    os.unlink(out)
    ratio = statistics.median(ours) / statistics.median(cps)
    print(f"{name:12} ckmap {statistics.median(ours):6.2f} s (least {min(ours):5.2f})   cp "
          f"{statistics.median(cps):6.2f} s (least {min(cps):5.2f})   ratio {ratio:5.2f}"
          f"{f' (gate {gate})' if gate else ''}   RssAnon {peak:5.0f} MiB", flush=True)
    return gate is None or ratio <= gate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--dir", default=None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gib", type=float, default=2.5)
    parser.add_argument("--only")
    parser.add_argument("--tiny", type=int, default=1_000_000, help="tensors of 256 bytes in case `tiny`")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="ckmap-bench-", dir=args.dir)
    good = True
    try:
        source, spec = os.path.join(folder, "in.safetensors"), os.path.join(folder, "spec.yaml")
        wanted = [n for n in [*CASES, "tiny"] if args.only in (None, n)]
        if wanted != ["tiny"]:
            tensors = model(args.gib)
            write_safetensors(source, [(n, "F32", s, 4 * s[0] * s[1]) for n, s in tensors])
        for name in wanted:
            if name == "tiny":
                continue
            rules, dtype, turned, gate = CASES[name]
            write_spec(spec, [(n.replace("layers", "blocks") if rules else n, dtype, s[::-1] if turned else s)
                              for n, s in tensors])
            from_file = source
            if not rules:
                from_file = make_source(args, folder, name, [(n, "F32", s, 4 * s[0] * s[1]) for n, s in tensors], source, spec)
            if from_file is None:
                continue
            good &= run_case(args, folder, name, from_file, rules, spec, gate)
            if from_file != source:
                os.unlink(from_file)
        if "tiny" in wanted:
            names = [f"a.{i}.w" for i in range(args.tiny)]
            write_safetensors(source, [(n, "F32", [64], 256) for n in names])
            target = os.path.join(folder, "target.safetensors")
            write_safetensors(target, [(n.replace("a.", "b."), "F32", [64], 256) for n in names])
            good &= run_case(args, folder, "tiny", source, "rename a -> b;", target, None)
    finally:
        shutil.rmtree(folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
