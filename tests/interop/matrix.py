#!/usr/bin/env python3
"""Every source format to every target format, with and without checksum and encryption; what comes out is read back with the
real MindSpore, safetensors, torch and numpy and compared byte for byte.

    python tests/interop/matrix.py [--bin build/bin]

Needs Python with mindspore, numpy 1.26, safetensors and torch. Not part of the default tests. Exit code 1 if a
combination fails.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp

import mindspore as ms

KEYS = {16: b"0123456789abcdef", 24: b"0123456789abcdef01234567", 32: b"0123456789abcdef0123456789abcdef"}
DTYPES = {"bool": torch.bool, "i8": torch.int8, "u8": torch.uint8, "i16": torch.int16, "i32": torch.int32,
          "i64": torch.int64, "u16": torch.uint16, "u32": torch.uint32, "u64": torch.uint64, "f16": torch.float16,
          "f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16}


def make_tensors():
    torch.manual_seed(1)
    tensors = {}
    for name, dtype in DTYPES.items():
        tensors[f"a.{name}"] = (torch.randn(3, 5, 7) * 50).abs().to(dtype)
        tensors[f"a.{name}_one"] = torch.tensor([7]).to(dtype)
        tensors[f"a.{name}_scalar"] = torch.tensor(3).to(dtype)
    tensors["b.special"] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45, 3.4e38])
    tensors["b.größe"] = torch.arange(6, dtype=torch.float32).reshape(1, 2, 3)
    return tensors


def raw(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def ms_raw(parameter):
    return parameter.asnumpy().tobytes()


def to_mindspore(tensor):
    if tensor.dtype == torch.bfloat16:
        return ms.Tensor(tensor.float().numpy(), ms.bfloat16)
    return ms.Tensor(tensor.numpy())


# ---- sources: name -> (makes the file at a path, options that reading it takes)

def save_ms(path, tensors, **options):
    ms.save_checkpoint([{"name": name, "data": to_mindspore(tensor)} for name, tensor in tensors.items()], path, **options)


def save_sharded(path, tensors):
    os.mkdir(path)
    names = list(tensors)
    halves = names[::2], names[1::2]
    index = {}
    for i, half in enumerate(halves):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        safetensors.torch.save_file({name: tensors[name] for name in half}, os.path.join(path, file))
        index.update({name: file for name in half})
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as out:
        out.write('{"metadata": {}, "weight_map": ' + repr(index).replace("'", '"') + "}")


def strided(tensors):
    """The same values, laid out in other ways and over shared storages."""
    result = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 3:
            tensor = tensor.transpose(0, 2).contiguous().transpose(0, 2)
        result[name] = tensor
    return result


def sources(workable):
    """Torch's old format knows no unsigned types beyond 8 bits (workable: without them)."""
    return {
        "safetensors": ("in.safetensors", lambda p, t: safetensors.torch.save_file(t, p), [], False),
        "safetensors, shards": ("in_shards", save_sharded, [], False),
        "safetensors, MindSpore": ("ms.safetensors", lambda p, t: save_ms(p, t, format="safetensors"), [], False),
        "ckpt": ("in.ckpt", save_ms, [], False),
        "ckpt, CRC": ("crc.ckpt", lambda p, t: save_ms(p, t, crc_check=True), [], False),
        "ckpt, AES-GCM": ("gcm.ckpt", lambda p, t: save_ms(p, t, enc_key=KEYS[32], enc_mode="AES-GCM"), [32], False),
        "ckpt, AES-CBC": ("cbc.ckpt", lambda p, t: save_ms(p, t, enc_key=KEYS[24], enc_mode="AES-CBC"), [24], False),
        "ckpt, SM4-CBC": ("sm4.ckpt", lambda p, t: save_ms(p, t, enc_key=KEYS[16], enc_mode="SM4-CBC"), [16], False),
        "torch zip": ("in.pt", lambda p, t: torch.save(t, p), [], False),
        "torch zip, strides": ("strides.pt", lambda p, t: torch.save(strided(t), p), [], False),
        "torch legacy": ("old.pt", lambda p, t: torch.save(t, p, _use_new_zipfile_serialization=False), [], True),
        "torch distributed": ("dcp", lambda p, t: dcp.save(t, checkpoint_id=p, no_dist=True), [], False),
    }


# ---- targets: name -> (output, options of `ckmap apply`, reads it back as {name: bytes}, whether bf16 is left out)

def by_torch(path):
    return {name: (tuple(t.shape), raw(t)) for name, t in torch.load(path, weights_only=True, mmap=True).items()}


def by_safetensors(path):
    return {name: (tuple(t.shape), raw(t)) for name, t in safetensors.torch.load_file(path).items()}


def by_shards(path):
    found = {}
    for file in sorted(os.listdir(path)):
        if file.endswith(".safetensors"):
            found.update(by_safetensors(os.path.join(path, file)))
    return found


def by_numpy(path):
    with np.load(path, allow_pickle=False) as found:
        return {name: (found[name].shape, found[name].tobytes()) for name in found.files}


def by_mindspore(path, **options):
    return {name: (tuple(p.shape), ms_raw(p)) for name, p in ms.load_checkpoint(path, **options).items()}


def encrypted(mode, bits):
    return ["--encrypt", mode, "--output-key-file", f"key{bits}"], \
        lambda p: by_mindspore(p, dec_key=KEYS[bits], dec_mode=mode.upper())


def targets():
    found = {
        "safetensors → torch": ("out.safetensors", [], by_safetensors, False),
        "safetensors → MindSpore": ("outm.safetensors", [], lambda p: by_mindspore(p, format="safetensors"), False),
        "safetensors, CRC": ("outc.safetensors", ["--crc"],
                             lambda p: by_mindspore(p, format="safetensors", crc_check=True), True),
        "safetensors, shards": ("out_shards", ["--to", "safetensors", "--max-shard-size", "2KB"], by_shards, False),
        "ckpt": ("out.ckpt", [], by_mindspore, False),
        "ckpt, old scalars": ("outo.ckpt", ["--old-scalars"], by_mindspore, False),
        "ckpt, CRC": ("outc.ckpt", ["--crc"], lambda p: by_mindspore(p, crc_check=True), False),
        "torch": ("out.pt", [], by_torch, False),
        "safetensors, digests": ("outr.safetensors", ["--digest"], by_safetensors, False),
        "torch, digests": ("outr.pt", ["--digest"], by_torch, False),
        "npz": ("out.npz", [], by_numpy, True),
    }
    for mode, bits in (("aes-gcm", 16), ("aes-gcm", 24), ("aes-gcm", 32), ("aes-cbc", 16), ("aes-cbc", 24),
                       ("aes-cbc", 32), ("sm4-cbc", 16)):
        options, read = encrypted(mode, bits)
        found[f"ckpt, {mode} {bits * 8}"] = (f"{mode}{bits}.ckpt", options, read, False)
    return found


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr.strip()[:300]}"


def compare(found, expected):
    if found.keys() != expected.keys():
        return f"names differ: {sorted(found.keys() ^ expected.keys())[:5]}"
    for name, tensor in expected.items():
        shape, data = found[name]
        if shape != tuple(tensor.shape):
            return f"{name}: shape {shape}, not {tuple(tensor.shape)}"
        if data != raw(tensor):
            return f"{name}: other bytes"
    return ""


def check_extras(ckmap, plan, data, folder):
    """What only MindSpore has: Int4, texts, tied parameters; torch's shared storages."""
    failures = []

    def expect(what, problem):
        print(f"{'ok' if not problem else 'FAIL'}: {what}{': ' + problem if problem else ''}")
        if problem:
            failures.append(what)

    source = os.path.join(data, "ckpt", "int4.ckpt")
    wanted = by_mindspore(source)
    for out, options in (("int4.ckpt", {}), ("int4.safetensors", {"format": "safetensors"})):
        problem = run([ckmap, "apply", plan, source, "--target", source, "-o", out, "-q"])
        expect(f"Int4 as {out}", problem or ("" if by_mindspore(out, **options) == wanted else "other bytes"))
    source = os.path.join(data, "ckpt", "append_dict.ckpt")
    loaded = ms.load_checkpoint(source)
    for via in ("texts.ckpt", "texts.safetensors"):
        problem = run([ckmap, "apply", plan, source, "--target", source, "-o", via, "-q"])
        if not problem and via.endswith(".safetensors"):
            problem = run([ckmap, "apply", plan, via, "--target", via, "-o", "back.ckpt", "-q"])
        if not problem:
            back = ms.load_checkpoint("back.ckpt" if via.endswith(".safetensors") else via)
            texts = lambda d: {k: v for k, v in d.items() if isinstance(v, str)}
            problem = "" if texts(back) == texts(loaded) and back.keys() == loaded.keys() else "texts differ"
        expect(f"append_dict through {via}", problem)
    source = os.path.join(data, "ckpt", "map_parameter.ckpt")
    parts = lambda path, **options: {name: [np.asarray(part).tolist() for part in value] if isinstance(value, list) else ms_raw(value)
                                     for name, value in ms.load_checkpoint(path, **options).items()}
    problem = run([ckmap, "apply", plan, source, "--target", source, "-o", "maps.ckpt", "-q", "--crc"])
    expect("map parameters", problem or ("" if parts("maps.ckpt", crc_check=True) == parts(source) else "other parts"))
    shared = torch.arange(12.0).reshape(3, 4)
    torch.save({"embed.weight": shared, "lm_head.weight": shared, "other": shared.clone()}, "tied.pt")
    with open("tied.yaml", "w") as out:
        out.write("tensors:\n  - {name: embed.weight, dtype: f32, shape: [3, 4]}\n"
                  "  - {name: lm_head.weight, dtype: f32, shape: [3, 4], tied_to: embed.weight}\n"
                  "  - {name: other, dtype: f32, shape: [3, 4]}\n")
    problem = run([ckmap, "apply", plan, "tied.pt", "--target", "tied.yaml", "-o", "tied_out.pt", "-q"])
    if not problem:
        got = torch.load("tied_out.pt", weights_only=True)
        same = lambda a, b: got[a].untyped_storage().data_ptr() == got[b].untyped_storage().data_ptr()
        if not same("embed.weight", "lm_head.weight"):
            problem = "tied tensors came apart"
        elif same("embed.weight", "other"):
            problem = "tensors that are not tied share bytes"
        elif not all(torch.equal(got[name], shared) for name in got):
            problem = "other values"
    expect("tied tensors stay tied in a .pt", problem)
    return failures


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    args = parser.parse_args()
    programs = os.path.abspath(args.bin)
    program = lambda name: os.path.join(programs, name)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for bits, key in KEYS.items():
            with open(f"key{bits}", "wb") as out:
                out.write(key)
        with open("r.ckmap", "w") as out:
            out.write("ckmap 1;\n")
        subprocess.run([program("ckmapc"), "r.ckmap", "-o", "r.ckplan"], check=True, stdout=subprocess.DEVNULL)
        tensors = make_tensors()
        old = {name: t for name, t in tensors.items() if t.dtype not in (torch.uint16, torch.uint32, torch.uint64)}
        count = 0
        columns = targets()
        print("columns: " + "; ".join(f"{i + 1} {name}" for i, name in enumerate(columns)))
        for source, (file, save, bits, is_old) in sources(old).items():
            expected = old if is_old else tensors
            save(file, expected)
            row = []
            for target, (out, options, read, no_bf16) in columns.items():
                want = {n: t for n, t in expected.items() if not (no_bf16 and t.dtype == torch.bfloat16)}
                safetensors.torch.save_file(want, "target.safetensors")
                for leftover in (out,):
                    shutil.rmtree(leftover, ignore_errors=True) if os.path.isdir(leftover) else \
                        os.path.exists(leftover) and os.chmod(leftover, 0o600) is None and os.remove(leftover)
                command = [program("ckmap"), "apply", "r.ckplan", file, "--target", "target.safetensors", "-o", out, "-q",
                           *options]
                command += ["--drop", "**bf16**"] if no_bf16 else []
                command += ["--key-file", f"key{bits[0]}"] if bits else []
                problem = run(command)
                if not problem:
                    try:
                        problem = compare(read(out), want)
                    except Exception as error:  # what a framework says of our file is the finding
                        problem = f"{type(error).__name__}: {str(error)[:300]}"
                row.append("ok" if not problem else "FAIL")
                count += 1
                if problem:
                    failures.append(f"{source} to {target}: {problem}")
            print(f"{source:24} " + " ".join(f"{i + 1}:{cell}" for i, cell in enumerate(row)), flush=True)
        extras = check_extras(program("ckmap"), "r.ckplan", os.path.join(here, "..", "data"), folder)
    for failure in failures:
        print("FAIL " + failure)
    print(f"{count - len(failures)} of {count} combinations ok, {len(extras)} of the extras fail")
    return 1 if failures or extras else 0


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main())
