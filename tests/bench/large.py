#!/usr/bin/env python3
"""A checkpoint of 6 GB with one tensor of 4.5 GB, converted there and back: time against `cp`, and memory.

    large.py BIN [--folder DIR] [--gigabytes 6]

BIN holds ckmap and ckmapc. Makes DIR/large (needs three times the size), and removes it. Memory is the peak of RssAnon
in /proc/PID/status, polled every 10 ms: what the program allocates, without the pages of files that the kernel keeps for it.
The last line is `ok` if no run took more than 128 MiB. Where `ckmap apply --encrypt` is known, the same with AES-GCM.
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import time

LIMIT = 128 << 20


def make_source(path, gigabytes):
    """float32, three quarters of it in one matrix, the rest in 64 small tensors."""
    total = int(gigabytes * 10**9) // 4
    rows = total * 3 // 4 // 4096
    rest = (total - rows * 4096) // 64
    shapes = {"big": [rows, 4096], **{f"small.{i:02}": [rest] for i in range(64)}}
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4
        for n in shape:
            size *= n
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = os.urandom(1 << 20)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for done in range(0, at, len(block)):
            # Blocks that differ, so that one in the wrong place is seen.
            out.write((struct.pack("<Q", done) + block[8:])[: at - done])


def peak_anonymous(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon"):
                    return int(line.split()[1]) << 10
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def run(command):
    os.sync()
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_anonymous(process.pid))
        time.sleep(0.01)
    seconds = time.monotonic() - start
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: {process.stderr.read().decode()}")
    return seconds, peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--gigabytes", type=float, default=6)
    args = parser.parse_args()
    folder = os.path.join(args.folder, "large")
    os.mkdir(folder)
    try:
        ok = measure(args.bin, folder, args.gigabytes)
    finally:
        shutil.rmtree(folder)
    print("ok" if ok else "more than 128 MiB of anonymous memory")
    return 0 if ok else 1


def measure(programs, folder, gigabytes):
    def path(name):
        return os.path.join(folder, name)

    with open(path("same.ckmap"), "w") as rules:
        rules.write("ckmap 1;\nmigration same from mindspore to mindspore;\n")
    subprocess.run([f"{programs}/ckmapc", path("same.ckmap"), "-o", path("same.ckplan")], check=True, stdout=subprocess.DEVNULL)
    make_source(path("a.safetensors"), gigabytes)
    key = path("key")
    with open(key, "wb") as out:
        out.write(b"0123456789abcdef")

    def convert(source, output, *options):
        return run([f"{programs}/ckmap", "apply", path("same.ckplan"), path(source), "--target", path(source), "-o",
                    path(output), "-q", *options])

    copy, _ = run(["sh", "-c", f"cp {path('a.safetensors')} {path('copy')} && sync {path('copy')}"])
    os.remove(path("copy"))
    print(f"cp and sync: {copy:.1f} s", flush=True)
    worst = 0

    def tell(what, figures):
        nonlocal worst
        seconds, peak = figures
        worst = max(worst, peak)
        print(f"{what}: {seconds:.1f} s, {seconds / copy:.2f} of cp, {peak / (1 << 20):.1f} MiB", flush=True)

    tell("safetensors -> ckpt", convert("a.safetensors", "a.ckpt"))
    tell("ckpt -> safetensors", convert("a.ckpt", "b.safetensors"))
    tell("ckpt -> safetensors --crc --digest", convert("a.ckpt", "b.safetensors", "--crc", "--digest", "--force"))
    tell("diff", run([f"{programs}/ckmap", "diff", path("a.safetensors"), path("b.safetensors"), "-q"]))
    os.remove(path("b.safetensors"))
    os.remove(path("a.ckpt"))
    knows = subprocess.run([f"{programs}/ckmap", "apply", "--help"], capture_output=True, text=True, check=True)
    if "--encrypt" not in knows.stdout:
        print("AES-GCM: not measured, this ckmap does not write it")
        return worst <= LIMIT
    tell("safetensors -> ckpt, AES-GCM", convert("a.safetensors", "e.ckpt", "--encrypt", "aes-gcm", "--key-file", key))
    tell("ckpt, AES-GCM -> safetensors", run([f"{programs}/ckmap", "apply", path("same.ckplan"), path("e.ckpt"), "--target",
                                              path("a.safetensors"), "-o", path("c.safetensors"), "-q", "--key-file", key]))
    tell("diff", run([f"{programs}/ckmap", "diff", path("a.safetensors"), path("c.safetensors"), "-q"]))
    return worst <= LIMIT


if __name__ == "__main__":
    sys.exit(main())
