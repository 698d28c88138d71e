#!/usr/bin/env python3
"""Converts checkpoints to .npz and .gguf and reads them back with numpy and gguf.

    python tests/interop/write_arrays.py [--bin build/bin]

Sources: files made here, and every fixture of tests/data/{numpy,gguf,onnx,hdf5}. Needs Python with numpy and gguf; not
part of the default tests.
"""
import argparse
import glob
import hashlib
import json
import os
import subprocess
import tempfile

import gguf
import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
GGUF_DTYPES = {"f32", "f16", "bf16", "f64", "i8", "i16", "i32", "i64"}


def digest(raw):
    return hashlib.sha256(raw).hexdigest()


def read_npz(path):
    arrays = np.load(path)  # no pickles
    return {name: (list(arrays[name].shape), digest(np.ascontiguousarray(arrays[name]).tobytes())) for name in arrays.files}


def read_gguf(path):
    return {t.name: ([int(d) for d in reversed(t.shape)], digest(t.data.tobytes())) for t in gguf.GGUFReader(path).tensors}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/bin")
    args = parser.parse_args()
    checked = {"npz": 0, "gguf": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        rng = np.random.default_rng(1)
        np.savez(path("made.npz"), **{"empty": np.zeros((0, 3), "f4"), "scalar": np.array(2.5, "f4"),
                                      "large": rng.standard_normal((700, 1000)).astype("f4"),
                                      "fortran": np.asfortranarray(rng.standard_normal((300, 501)).astype(">f8")),
                                      "ünicode/name:0": np.arange(6, dtype="i8").reshape(2, 3)})
        sources = [path("made.npz")]
        for kind in ("numpy", "gguf", "onnx", "hdf5"):
            sources += sorted(f[:-5] for f in glob.glob(f"{DATA}/{kind}/**/*.json", recursive=True))
        for source in sources:
            found = subprocess.run([f"{args.bin}/ckmap", "inspect", source, "--digest", "--format", "json"],
                                   capture_output=True, check=True)
            tensors = [t for t in json.loads(found.stdout)["tensors"] if "sha256" in t]
            for kind, read in (("npz", read_npz), ("gguf", read_gguf)):
                def fits(t):
                    if kind == "gguf":
                        return t["dtype"] in GGUF_DTYPES and len(t["shape"]) <= 4 and 0 not in t["shape"]
                    return not t["dtype"].startswith(("bf16", "f8", "c32"))
                wanted = [t for t in tensors if fits(t)]
                if not wanted:
                    continue
                spec = [{"name": t["name"], "dtype": t["dtype"], "shape": t["shape"]} for t in wanted]
                with open(path("target.yaml"), "w") as file:
                    json.dump({"tensors": spec}, file)
                with open(path("r.ckmap"), "w") as file:
                    file.write("ckmap 1;\n")
                    for t in found_names(found):
                        if t not in {w["name"] for w in wanted}:
                            file.write(f"drop {json.dumps(t, ensure_ascii=False)} because \"not held by the format\";\n")
                subprocess.run([f"{args.bin}/ckmapc", path("r.ckmap"), "-o", path("r.ckplan")], check=True, capture_output=True)
                out = path(f"out.{kind}")
                done = subprocess.run([f"{args.bin}/ckmap", "apply", path("r.ckplan"), source, "--target", path("target.yaml"),
                                       "-o", out, "--force", "--quiet"], capture_output=True, text=True)
                assert done.returncode == 0, (source, kind, done.stderr)
                got = read(out)
                assert got == {t["name"]: (t["shape"], t["sha256"]) for t in wanted}, (source, kind)
                checked[kind] += len(wanted)
    for kind, count in checked.items():
        print(f"ok: {kind}: {count} tensors of {len(sources)} checkpoints read back equal")


def found_names(found):
    return [t["name"] for t in json.loads(found.stdout)["tensors"]]


if __name__ == "__main__":
    main()
