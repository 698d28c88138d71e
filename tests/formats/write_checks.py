"""Writes tests/data/checks/known.safetensors: tensors that are what rules say of them, and tensors that nearly are."""
import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent.parent / "data" / "checks"


def bf16(values):
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def tensors():
    wte = np.arange(8, dtype=np.float32).reshape(4, 2) / 4
    other = wte.copy()
    other[2, 1] = 7
    triangle = np.tril(np.ones((4, 4))).reshape(1, 1, 4, 4)
    wrong = triangle.copy()
    wrong[0, 0, 1, 3] = 1
    positions = np.arange(6, dtype=np.int64).reshape(1, 6)
    moved = positions.copy()
    moved[0, 4] = 9
    inv = lambda theta: (1 / theta ** (np.arange(0, 8, 2, dtype=np.float32) / 8)).astype(np.float32)
    yield "wte.weight", "F32", wte
    yield "head.weight", "F32", wte
    yield "other.weight", "F32", other
    yield "half.weight", "F16", wte.astype(np.float16)
    yield "mask", "BOOL", triangle.astype(bool)
    yield "mask_f32", "F32", triangle.astype(np.float32)
    yield "mask_wrong", "F32", wrong.astype(np.float32)
    yield "masked_bias", "F32", np.asarray(-10000, np.float32)
    yield "positions", "I64", positions
    yield "positions_f16", "F16", positions.astype(np.float16)
    yield "positions_moved", "I64", moved
    yield "zeros", "I64", np.zeros((2, 3), np.int64)
    yield "minus_zero", "F32", np.asarray([0, -0.0], np.float32)
    yield "inv_freq", "F32", inv(10000)
    yield "inv_freq_bf16", "BF16", bf16(inv(10000))
    yield "inv_freq_other", "F32", inv(1000000)
    yield "count_from_3", "U8", np.arange(3, 8, dtype=np.uint8)


def main():
    header, data = {}, b""
    for name, dtype, array in tensors():
        raw = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (HERE / "known.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
