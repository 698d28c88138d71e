#!/usr/bin/env python3
"""Writes tests/data/hostile_others: files that lie, made by hand from the formats' descriptions, and odd ones that are
right. index.json says of each what must come of it: "refuse", or "accept" (with an oracle beside it).

    python tests/formats/make_hostile.py

Needs numpy and the fixtures of make_fixtures.py.
"""
import io
import json
import os
import shutil
import struct
import sys
import zipfile

import numpy as np

from make_fixtures import DATA, oracle

ROOT = os.path.join(DATA, "hostile_others")
INDEX = []


def put(name, data, why, must="refuse", tensors=None):
    path = os.path.join(ROOT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    if tensors is not None:
        oracle(path, tensors, why, "make_hostile.py")
    INDEX.append({"file": name, "why": why, "must": must})


# ---- numpy

DATA12 = np.arange(12, dtype="<f4").tobytes()


def npy(text, data=DATA12, version=(1, 0), length=None, magic=b"\x93NUMPY", pad=True):
    text = text.encode("latin1")
    if pad:
        text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    length = len(text) if length is None else length
    size = struct.pack("<H" if version[0] == 1 else "<I", length)
    return magic + bytes(version) + size + text + data


def header(descr="'<f4'", order="False", shape="(3, 4)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def archive(members, compress=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, compress)
    return out.getvalue()


def numpy_files():
    good = npy(header())
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    bad = {
        "descr_missing": ("no descr", npy("{'fortran_order': False, 'shape': (3, 4), }")),
        "descr_twice": ("descr is there twice", npy("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }")),
        "key_unknown": ("a fourth key", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'x': 1, }")),
        "shape_negative": ("a negative axis", npy(header(shape="(-3, 4)"))),
        "shape_float": ("an axis that is no integer", npy(header(shape="(3.0, 4)"))),
        "shape_huge": ("sizes whose product overflows", npy(header(shape="(4294967296, 4294967296, 4294967296)"))),
        "shape_wraps": ("sizes whose product is 12 after overflow", npy(header(shape="(281474976710656, 281474976710656, 12)"))),
        "shape_list": ("the shape is a list", npy(header(shape="[3, 4]"))),
        "shape_number": ("the shape is a number", npy(header(shape="(12)"))),
        "shape_no_comma": ("no comma between axes", npy(header(shape="(3 4)"))),
        "shape_octal": ("a leading zero", npy(header(shape="(03, 4)"))),
        "shape_call": ("a call in place of the shape", npy(header(shape="tuple((3, 4))"))),
        "shape_axes": ("1000 axes", npy(header(shape="(" + "1, " * 1000 + ")"))),
        "order_number": ("fortran_order is 0", npy(header(order="0"))),
        "descr_number": ("descr is a number", npy(header(descr="4"))),
        "descr_unknown": ("an unknown type", npy(header(descr="'<q4'"))),
        "descr_no_order": ("no byte order", npy(header(descr="'f4'"))),
        "descr_bar": ("four bytes without an order", npy(header(descr="'|f4'"))),
        "descr_escape": ("an escape in a text", npy(header(descr=r"'\x3cf4'"))),
        "descr_open": ("a text without an end", npy("{'descr': '<f4", pad=False)),
        "record_open": ("a record without an end", npy("{'descr': [('a', '<f4'", pad=False)),
        "record_deep": ("2,000 brackets", npy("{'descr': " + "[" * 2000, version=(2, 0))),
        "record_close": ("a bracket of another kind", npy("{'descr': [('a', '<f4'], 'fortran_order': False, 'shape': (3, 4), }")),
        "after": ("something behind the literal", npy(header() + " + open('x')")),
        "comma": ("no comma between entries", npy("{'descr': '<f4' 'fortran_order': False, 'shape': (3, 4), }")),
        "binary": ("bytes in place of a literal", npy("\0\x01\x02\xff" * 10)),
        "version0": ("version 0.0", npy(header(), version=(0, 0))),
        "version4": ("version 4.0", npy(header(), version=(4, 0))),
        "version1_9": ("version 1.9", npy(header(), version=(1, 9))),
        "length_long": ("a header longer than the file", npy(header(), length=60000)),
        "length_4g": ("a header of 4 GB", npy(header(), version=(2, 0), length=0xffffffff)),
        "length_short": ("a header that ends within its literal", npy(header(), length=20)),
        "data_short": ("too few bytes", npy(header(), data=DATA12[:-1])),
        "data_long": ("a second array behind the first", npy(header()) + good),
        "data_none": ("no bytes", npy(header(), data=b"")),
        "promise": ("a promise of 2^40 elements", npy(header(shape="(1099511627776,)"))),
    }
    for name, (why, data) in bad.items():
        put(f"numpy/{name}.npy", data, why)
        if name in ("shape_huge", "data_short", "descr_unknown", "promise", "length_4g"):
            put(f"numpy/{name}.npz", archive([("w.npy", data)]), why + ", in an archive")
    put("numpy/member_stranger.npz", archive([("w.npy", good), ("data.pkl", b"\x80\x02.")]), "a member that is no array")
    put("numpy/member_torch.npz", archive([("w.npy", good), ("archive/data.pkl", b"\x80\x02}.")]), "an archive of torch too")
    put("numpy/member_twice.npz", archive([("w.npy", good), ("w.npy", good)]), "an array that is there twice")
    put("numpy/member_control.npz", archive([("w\x1b[2J.npy", good)]), "a name that steers a terminal")
    put("numpy/member_empty.npz", archive([("w.npy", b"")]), "an array of no bytes")
    put("numpy/bomb.npz", archive([("w.npy", npy(header(shape="(1099511627776,)"), b"\0" * 1000000))], zipfile.ZIP_DEFLATED),
        "a deflated array that promises 4 TB")
    whole = archive([("w.npy", good)])
    at = whole.index(DATA12)
    put("numpy/crc.npz", whole[:at] + b"\xff" + whole[at + 1:], "a byte that the checksum does not cover")
    put("numpy/tail.npz", whole + b"PK", "bytes behind the archive")
    put("numpy/cut.npz", whole[:-30], "no directory")
    flat = {"odd": array}
    put("numpy/odd.npy", npy("{ 'shape':(3,4) ,\"fortran_order\":False,'descr':\"<f4\"}", pad=False), "another order and no padding", "accept", flat)
    put("numpy/dots.npz", archive([("../w.npy", good), ("/abs.npy", good), ("C:w.npy", good)]),
        "names that would be paths elsewhere are only names here", "accept", {"../w": array, "/abs": array, "C:w": array})


# ---- GGUF

def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def tensor(name="w", dims=(4, 3), kind=0, offset=0, axes=None):
    return (text(name) + struct.pack("<I", len(dims) if axes is None else axes) + struct.pack(f"<{len(dims)}Q", *dims) +
            struct.pack("<IQ", kind, offset))


def gguf(tensors=(), pairs=(), data=DATA12 + b"\0" * 16, version=3, count=None, values=None, magic=b"GGUF", align=32):
    out = magic + struct.pack("<IQQ", version, len(tensors) if count is None else count, len(pairs) if values is None else values)
    out += b"".join(pairs) + b"".join(tensors)
    if tensors:
        out += b"\0" * (-len(out) % align)
    return out + (data if tensors else b"")


def gguf_files():
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    u32 = lambda v: struct.pack("<I", v)
    u64 = lambda v: struct.pack("<Q", v)
    bad = {
        "version1": ("version 1", gguf([tensor()], version=1)),
        "version0": ("version 0", gguf([tensor()], version=0)),
        "version9": ("version 9", gguf([tensor()], version=9)),
        "tensors_many": ("2^63 tensors", gguf([tensor()], count=1 << 63)),
        "tensors_more": ("two tensors promised, one there", gguf([tensor()], count=2)),
        "tensors_less": ("one tensor promised, two there", gguf([tensor(), tensor("v", offset=64)], count=1, data=b"\0" * 128)),
        "values_many": ("2^64 - 1 values", gguf([tensor()], values=(1 << 64) - 1)),
        "values_more": ("more values than there are", gguf([tensor()], values=3)),
        "key_long": ("a key of 2^64 - 1 bytes", gguf([tensor()], [u64((1 << 64) - 1) + b"k"])),
        "key_wraps": ("a key whose length overflows with the position", gguf([tensor()], [u64((1 << 63) - 8) + b"k"])),
        "key_empty": ("an empty key", gguf([tensor()], [pair("", 4, u32(1))])),
        "key_control": ("a key that steers a terminal", gguf([tensor()], [pair("a\x1b[2J", 4, u32(1))])),
        "key_twice": ("a key that is there twice", gguf([tensor()], [pair("k", 4, u32(1)), pair("k", 4, u32(2))])),
        "key_utf8": ("a key that is no UTF-8", gguf([tensor()], [pair(b"\xff\xfe", 4, u32(1))])),
        "kind_unknown": ("a value of type 13", gguf([tensor()], [pair("k", 13, u32(1))])),
        "bool_two": ("a bool that is 2", gguf([tensor()], [pair("k", 7, b"\2")])),
        "text_long": ("a text longer than the file", gguf([tensor()], [pair("k", 8, u64(1 << 40))])),
        "list_many": ("a list of 2^61 numbers", gguf([tensor()], [pair("k", 9, u32(10) + u64(1 << 61))])),
        "list_wraps": ("a list whose size in bytes is 2^64", gguf([tensor()], [pair("k", 9, u32(10) + u64(1 << 61) + b"\0" * 64)])),
        "list_texts": ("a list of texts, the second too long", gguf([tensor()], [pair("k", 9, u32(8) + u64(2) + text("a") + u64(1 << 50))])),
        "list_nested": ("lists in lists", gguf([tensor()], [pair("k", 9, u32(9) + u64(1) + u32(9) + u64(1) + u32(0) + u64(0))])),
        "alignment_0": ("alignment 0", gguf([tensor()], [pair("general.alignment", 4, u32(0))])),
        "alignment_3": ("alignment 3", gguf([tensor()], [pair("general.alignment", 4, u32(3))])),
        "alignment_2_31": ("alignment 2^31", gguf([tensor()], [pair("general.alignment", 4, u32(1 << 31))])),
        "alignment_u64": ("alignment of another type", gguf([tensor()], [pair("general.alignment", 10, u64(32))])),
        "alignment_text": ("alignment as text", gguf([tensor()], [pair("general.alignment", 8, text("32"))])),
        "axes_5": ("five axes", gguf([tensor(dims=(1, 1, 1, 4, 3))])),
        "axes_4g": ("2^32 - 1 axes", gguf([tensor(axes=0xffffffff)])),
        "dims_huge": ("an axis of 2^63", gguf([tensor(dims=(1 << 63, 3))])),
        "dims_wrap": ("sizes whose product is 12 after overflow", gguf([tensor(dims=(1 << 62, 4, 3))])),
        "dims_wrap_bytes": ("sizes whose bytes are 0 after overflow", gguf([tensor(dims=(1 << 31, 1 << 31))])),
        "kind_removed": ("the removed type Q4_2", gguf([tensor(kind=4)])),
        "kind_unknown_tensor": ("an unknown element type", gguf([tensor(kind=1000)])),
        "block_part": ("rows that are no whole blocks", gguf([tensor(dims=(33, 2), kind=8)])),
        "block_scalar": ("a scalar of blocks", gguf([tensor(dims=(), kind=2)])),
        "offset_far": ("an offset beyond the file", gguf([tensor(offset=1 << 40)])),
        "offset_wraps": ("an offset that overflows", gguf([tensor(offset=(1 << 64) - 32)])),
        "offset_odd": ("an offset that is not aligned", gguf([tensor(offset=4)])),
        "overlap": ("two tensors in one place", gguf([tensor(), tensor("v")], data=b"\0" * 128)),
        "name_twice": ("two tensors of one name", gguf([tensor(), tensor(offset=64)], data=b"\0" * 128)),
        "name_control": ("a name that steers a terminal", gguf([tensor("w\x9b")])),
        "name_nul": ("a name with a zero byte", gguf([tensor("w\0x")])),
        "data_short": ("too few bytes", gguf([tensor()], data=DATA12[:-1])),
        "data_none": ("no data", gguf([tensor()], data=b"")),
        "data_long": ("bytes behind the last tensor", gguf([tensor()], data=DATA12 + b"\0" * 64)),
    }
    for name, (why, data) in bad.items():
        put(f"gguf/{name}.gguf", data, why)
    put("gguf/scalar.gguf", gguf([tensor(dims=())], data=DATA12[:4] + b"\0" * 28), "a scalar", "accept", {"w": np.array(0, "f4")})
    put("gguf/no_padding.gguf", gguf([tensor()], data=DATA12), "no padding behind the last tensor", "accept", {"w": array})
    put("gguf/version2.gguf", gguf([tensor()], version=2), "version 2", "accept", {"w": array})
    put("gguf/empty_axis.gguf", gguf([tensor(dims=(0, 3)), tensor("v")]), "an empty tensor", "accept",
        {"w": np.zeros((3, 0), "f4"), "v": array})


MAKERS = {"numpy": numpy_files, "gguf": gguf_files}


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    for make in MAKERS.values():
        make()
    with open(os.path.join(ROOT, "index.json"), "w") as file:
        file.write("[\n " + ",\n ".join(json.dumps(item) for item in INDEX) + "\n]\n")
    print(len(INDEX), "files", file=sys.stderr)
