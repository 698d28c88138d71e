#!/usr/bin/env python3
"""What `ckmap inspect --digest` says of real and of hostile files, against what the frameworks read.

    check_data.py [--bin build/bin] [--data tests/data] [--launcher PROGRAM] [--sandbox on|off|require]

Beside each file or folder F of the data lies its oracle F.json. The hostile files are listed in hostile/*index.json, each with
what must happen: `refuse` (exit code 3), `accept` (exactly the oracle) or `either`. A signal, a run of
more than a second or of more than 256 MB is a failure whatever the file says. With --launcher every run goes through
a program that locks the process in first. Prints what holds; exit code 1 if anything does not.
"""
import argparse
import glob
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile

MAX_SECONDS = 1.0
MAX_BYTES = 256 << 20


class Runner:
    def __init__(self, program, launcher, sandbox):
        self.command = ([launcher] if launcher else []) + [program, "inspect", "--digest", "--format", "json", "--sandbox", sandbox]
        self.slowest = (0.0, "")
        self.largest = (0, "")
        self.runs = 0

    def inspect(self, path, key_hex=None, mode=None):
        """(exit code, output, error, complaint about time or memory or a signal)"""
        environment = dict(os.environ)
        options = []
        if key_hex:
            environment["CKMAP_KEY"] = "hex:" + key_hex
            options = ["--key-env", "CKMAP_KEY"]
        if mode:
            options += ["--dec-mode", mode]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = subprocess.Popen(self.command + options + ["--", path], stdout=out, stderr=err, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            seconds = usage.ru_utime + usage.ru_stime  # the machine may be busy with other things
            out.seek(0)
            err.seek(0)
            output, error = out.read(), err.read().decode(errors="replace")
        self.runs += 1
        size = usage.ru_maxrss * 1024
        self.slowest = max(self.slowest, (seconds, path))
        self.largest = max(self.largest, (size, path))
        complaint = ""
        if child.returncode < 0 or child.returncode > 5:
            complaint = f"ended by signal or with {child.returncode}: {error[-300:]}"
        elif seconds > MAX_SECONDS:
            complaint = f"took {seconds:.2f} s"
        elif size > MAX_BYTES:
            complaint = f"took {size >> 20} MiB"
        return child.returncode, output, error, complaint


def dtype_name(entry):
    name = entry["dtype"].lower()
    return {"int4x2": "i4"}.get(name, name)


def compare(output, oracle):
    """Differences between what was printed and the oracle, as lines."""
    found = {tensor["name"]: tensor for tensor in json.loads(output)["tensors"]}
    wanted = {tensor["name"]: tensor for tensor in oracle["tensors"]}
    lines = [f"no tensor {name!r}" for name in wanted if name not in found]
    lines += [f"a tensor {name!r} too many" for name in found
              if name not in wanted and "unreadable" not in found[name]]
    for name, want in wanted.items():
        have = found.get(name)
        if have is None:
            continue
        if "unreadable" in have:
            if oracle.get("refuse_scope") != "entry":
                lines.append(f"{name!r} is unreadable: {have['unreadable']}")
            continue
        shape = list(want["shape"])
        if want["dtype"] == "F4" and not want.get("native") and shape:
            shape[-1] //= 2  # here an element is a byte of two values
        if (have["dtype"], have["shape"]) != (dtype_name(want), shape):
            lines.append(f"{name!r} is {have['dtype']} {have['shape']}, not {dtype_name(want)} {shape}")
        elif have.get("sha256") != want["sha256"]:
            lines.append(f"{name!r} has other bytes")
    others = {other["name"]: other for other in json.loads(output)["others"]}
    leaves = oracle.get("leaves") or []
    if isinstance(leaves, dict):  # common.json of MindFormers
        for name, value in leaves.items():
            if name not in others or others[name].get("value") != value:
                lines.append(f"no entry {name!r} of value {value!r}")
        leaves = []
    for leaf in leaves:
        if leaf.get("kind") == "str" and others.get(leaf["name"], {}).get("value") != leaf["value"]:
            lines.append(f"no text {leaf['name']!r} of that value")
    return lines


def check_oracle(runner, path, oracle):
    """("read" | "refused" | "read, was to be refused", complaints)"""
    load = oracle.get("load") or {}
    code, output, error, complaint = runner.inspect(path, load.get("key_hex"), load.get("mode"))
    if complaint:
        return "", [complaint]
    to_refuse = oracle.get("refuse_scope") == "file" or (oracle.get("refuse") and not oracle["tensors"])
    # Where one entry must be refused and there is no other, the file as a whole may be.
    to_refuse = to_refuse or (len(oracle["tensors"]) == 1 and
                              bool(oracle.get("framework_refuses") or oracle.get("refuse_scope") == "entry"))
    if to_refuse and code == 3:
        return "refused", [] if path in error else ["the refusal does not name the file"]
    if code != 0:
        return "", [f"exit code {code}: {error.strip()[:300]}"]
    differences = compare(output, oracle) if oracle["tensors"] else []
    return "read, was to be refused" if to_refuse else "read", differences


def check_hostile(runner, folder, entry):
    path = os.path.join(folder, entry["file"])
    code, output, error, complaint = runner.inspect(path, entry.get("key_hex"), entry.get("mode"))
    if complaint:
        return "", [complaint]
    if code == 3:
        return "refused", ["must be read: " + error.strip()[:300]] if entry["must"] == "accept" else []
    if code != 0:
        return "", [f"exit code {code}: {error.strip()[:300]}"]
    unreadable = any("unreadable" in tensor for tensor in json.loads(output)["tensors"])
    if entry["must"] == "refuse":
        return "refused entry", [] if unreadable else ["must be refused, was read"]
    oracle = os.path.join(folder, entry["oracle"]) if "oracle" in entry else path + ".json"
    if os.path.exists(oracle):
        with open(oracle) as file:
            return "read", compare(output, json.load(file))
    return "read", ["there is no oracle"] if entry["must"] == "accept" else []


def tell(counts, failures, title):
    total = sum(counts.values()) + len(failures)
    parts = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{title}: {total - len(failures)} of {total} hold ({parts})")
    for path, lines in failures:
        print(f"FAIL {path}")
        for line in lines[:8]:
            print(f"     {line}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--data", default=os.path.join(here, "..", "data"))
    parser.add_argument("--launcher")
    parser.add_argument("--sandbox", default="on")
    args = parser.parse_args()
    if args.launcher:
        proof = subprocess.run([args.launcher, "/bin/sh", "-c", "exec true"])
        if proof.returncode != -signal.SIGSYS:
            sys.exit(f"{args.launcher} does not kill a program that starts another")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = os.path.normpath(args.data)
    runner = Runner(os.path.join(args.bin, "ckmap"), args.launcher, args.sandbox)
    failed = 0

    counts, failures = {}, []
    for top in ("ckpt", "safetensors", "torch", "mindir", "ckpt2"):
        for oracle_path in sorted(glob.glob(os.path.join(data, top, "**", "*.json"), recursive=True)):
            if os.path.join("ckpt2", "hostile") in oracle_path:
                continue
            path = oracle_path[:-len(".json")]
            if not os.path.exists(path):
                continue
            with open(oracle_path) as file:
                what, lines = check_oracle(runner, path, json.load(file))
            if lines:
                failures.append((path, lines))
            else:
                counts[what] = counts.get(what, 0) + 1
    tell(counts, failures, "oracles")
    failed += len(failures)

    counts, failures = {}, []
    for index in sorted(glob.glob(os.path.join(data, "hostile", "*index.json")) +
                        glob.glob(os.path.join(data, "ckpt2", "hostile", "index.json"))):
        with open(index) as file:
            entries = json.load(file)
        for entry in entries:
            what, lines = check_hostile(runner, os.path.dirname(index), entry)
            if lines:
                failures.append((entry["file"] + ": " + entry["why"], lines))
            else:
                counts[what] = counts.get(what, 0) + 1
    tell(counts, failures, "hostile files")
    failed += len(failures)
    print(f"{runner.runs} runs; slowest {runner.slowest[0]:.3f} s of processor time ({runner.slowest[1]}), "
          f"largest {runner.largest[0] / (1 << 20):.0f} MiB ({runner.largest[1]})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
