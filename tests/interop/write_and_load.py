#!/usr/bin/env python3
"""Converts small checkpoints of every dtype and loads them with MindSpore, safetensors and torch.

    python tests/interop/write_and_load.py [--bin build/bin]

Needs Python with mindspore, numpy 1.26, safetensors and torch. Not part of the default tests.
"""
import argparse
import os
import subprocess
import tempfile

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

import mindspore as ms

TORCH = {"a.bool": torch.bool, "a.i8": torch.int8, "a.u8": torch.uint8, "a.i16": torch.int16,
         "a.i32": torch.int32, "a.i64": torch.int64, "a.f16": torch.float16, "a.f32": torch.float32,
         "a.f64": torch.float64, "a.bf16": torch.bfloat16}


def raw(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.ndim else \
        tensor.reshape(1).view(torch.uint8).numpy().tobytes()


def ms_raw(parameter):
    return parameter.asnumpy().tobytes()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/bin")
    args = parser.parse_args()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        tensors = {}
        for name, dtype in TORCH.items():
            tensors[name] = (torch.randn(3, 5, 7) * 50).abs().to(dtype)
            tensors[name + "_scalar"] = torch.tensor(3).to(dtype)
        safetensors.torch.save_file(tensors, path("in.safetensors"))
        with open(path("r.ckmap"), "w") as file:
            file.write("ckmap 1;\nrename a -> b;\n")
        subprocess.run([f"{args.bin}/ckmapc", path("r.ckmap"), "-o", path("r.ckplan")], check=True)
        expected = {name.replace("a.", "b."): tensor for name, tensor in tensors.items()}
        safetensors.torch.save_file(expected, path("target.safetensors"))

        def convert(out, *options):
            subprocess.run([f"{args.bin}/ckmap", "apply", path("r.ckplan"), path("in.safetensors"), "--target",
                            path("target.safetensors"), "-o", path(out), "--quiet", *options], check=True)

        def check(what, got, as_bytes):
            assert got.keys() == expected.keys(), (what, got.keys() ^ expected.keys())
            for name, tensor in expected.items():
                assert tuple(got[name].shape) == tuple(tensor.shape), (what, name, got[name].shape)
                assert as_bytes(got[name]) == raw(tensor), (what, name)
            print(f"ok: {what}: {len(expected)} tensors")

        convert("x.safetensors")
        check("safetensors, torch", safetensors.torch.load_file(path("x.safetensors")), raw)
        check("safetensors, MindSpore", ms.load_checkpoint(path("x.safetensors"), format="safetensors"), ms_raw)
        convert("x.ckpt")
        check(".ckpt, MindSpore", ms.load_checkpoint(path("x.ckpt")), ms_raw)
        convert("crc.ckpt", "--crc")
        check(".ckpt with CRC, MindSpore", ms.load_checkpoint(path("crc.ckpt"), crc_check=True), ms_raw)
        for name in [n for n in tensors if "bf16" in n]:  # whose CRC MindSpore cannot compute itself
            del tensors[name], expected[name.replace("a.", "b.")]
        safetensors.torch.save_file(tensors, path("in.safetensors"))
        safetensors.torch.save_file(expected, path("target.safetensors"))
        convert("crc.safetensors", "--crc")
        check("safetensors with CRC, MindSpore",
              ms.load_checkpoint(path("crc.safetensors"), format="safetensors", crc_check=True), ms_raw)


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
