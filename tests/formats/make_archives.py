#!/usr/bin/env python3
"""Writes tests/data/archives: archives around checkpoints, and plain pickles of arrays.

    make_archives.py OUT        (Python with torch 2.13 and numpy)
"""
import gzip
import os
import pickle
import sys
import tarfile
import zipfile

import numpy as np
import torch

os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
torch.save({"encoder.w": torch.ones(2, 3)}, "model_weights.ckpt")
open("model_config.yaml", "w").write("target: x\n")
for name, mode in (("a.nemo", "w"), ("gz.nemo", "w:gz")):
    with tarfile.open(name, mode) as archive:
        for member in ("model_config.yaml", "model_weights.ckpt"):
            archive.add(member, "./" + member)
with zipfile.ZipFile("zipped.zip", "w") as archive:
    archive.write("model_weights.ckpt")
with gzip.open("w.pt.gz", "wb") as packed:
    packed.write(open("model_weights.ckpt", "rb").read())
os.remove("model_weights.ckpt")
os.remove("model_config.yaml")

arrays = {
    "conv.w": np.arange(6, dtype="f4").reshape(2, 3),
    "fc.b": np.zeros(2),
    "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}
for protocol in (0, 2, 4):  # detectron2
    value = {"model": {**arrays, "n": np.int64(3)}, "__author__": "x", "matching_heuristics": True}
    pickle.dump(value, open(f"det_p{protocol}.pkl", "wb"), protocol=protocol)
# Paddle: paddle.save of a state dict, and of a dict with tensors in it
pickle.dump({**arrays, "StructuredToParameterName@@": {"conv.w": "conv2d_0.w_0"}}, open("p4.pdparams", "wb"), protocol=4)


class PaddleTensor:
    def __reduce__(self):
        return tuple, (("linear_0.w_0", np.ones((2, 2), "f4")),)


pickle.dump({"w": PaddleTensor()}, open("nested.pdparams", "wb"), protocol=4)
pickle.dump({"w": torch.ones(2)}, open("tensors.pkl", "wb"))
