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


# ---- ONNX

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed(number, value):
    return varint(number << 3 | (5 if len(value) == 4 else 1)) + value


FLOATS = np.arange(6, dtype="<f4").tobytes()


def proto(name="w", dims=(2, 3), kind=1, raw=FLOATS, extra=b""):
    out = b"".join(field(1, d) for d in dims)
    out += field(2, kind) if kind is not None else b""
    out += field(8, name) if name is not None else b""
    return out + (field(9, raw) if raw is not None else b"") + extra


def external(location, offset=None, length=None):
    out = b""
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            out += field(13, field(1, key) + field(2, str(value)))
    return out + field(14, 1)


def model(*initializers, graph=b"", front=field(1, 8), back=b""):
    return front + field(7, b"".join(field(5, i) for i in initializers) + graph) + back


def onnx_files():
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    ints = np.arange(6, dtype="<i4").reshape(2, 3)
    nested = b""
    for _ in range(300):
        nested = field(1, field(2, "y") + field(4, "If") + field(5, field(1, "b") + field(6, nested)))
    constant = lambda value, output="c": field(1, (field(2, output) if output else b"") + field(4, "Constant") +
                                               field(5, field(1, "value") + field(5, value)))
    bad = {
        "raw_short": ("raw_data one byte short", model(proto(raw=FLOATS[:-1]))),
        "raw_long": ("raw_data four bytes long", model(proto(raw=FLOATS + b"\0" * 4))),
        "raw_none": ("no data", model(proto(raw=None))),
        "raw_twice": ("two raw_data", model(proto(extra=field(9, FLOATS)))),
        "raw_and_numbers": ("raw_data and float_data", model(proto(extra=field(4, FLOATS)))),
        "raw_and_external": ("raw_data and external data", model(proto(extra=external("x.bin")))),
        "numbers_short": ("five floats for six elements", model(proto(raw=None, extra=field(4, FLOATS[:20])))),
        "numbers_long": ("seven floats for six elements", model(proto(raw=None, extra=field(4, FLOATS + b"\0" * 4)))),
        "numbers_cut": ("a packed run that ends within a float", model(proto(raw=None, extra=field(4, FLOATS[:22])))),
        "numbers_two": ("floats and integers", model(proto(raw=None, extra=field(4, FLOATS) + field(5, 1)))),
        "numbers_field": ("integers for a float tensor", model(proto(raw=None, extra=field(5, bytes(6))))),
        "numbers_wire": ("float_data as varints", model(proto(raw=None, extra=field(4, 1) * 6))),
        "range_u8": ("a u8 of 256", model(proto(kind=2, raw=None, extra=field(5, bytes(5) + varint(256))))),
        "range_i8": ("an i8 of -129", model(proto(kind=3, raw=None, extra=field(5, bytes(5) + varint(-129))))),
        "range_bool": ("a bool of 2", model(proto(kind=9, raw=None, extra=field(5, bytes(5) + varint(2))))),
        "range_f16": ("the bits of an f16 beyond 16", model(proto(kind=10, raw=None, extra=field(5, bytes(5) + varint(65536))))),
        "range_i32": ("an i32 of 2^31", model(proto(kind=6, raw=None, extra=field(5, bytes(5) + varint(1 << 31))))),
        "varint_long": ("a number of eleven bytes", model(proto(kind=7, raw=None, extra=field(7, b"\x80" * 10 + b"\1" + bytes(5))))),
        "varint_cut": ("a packed run that ends within a number", model(proto(kind=7, raw=None, extra=field(7, bytes(5) + b"\x80")))),
        "dims_negative": ("a negative axis", model(proto(dims=(-2, 3)))),
        "dims_huge": ("sizes whose product overflows", model(proto(dims=(1 << 40, 1 << 40)))),
        "dims_wrap": ("sizes whose bytes are 0 after overflow", model(proto(dims=(1 << 31, 1 << 31), raw=b""))),
        "dims_many": ("1,000 axes", model(proto(dims=(1,) * 1000))),
        "dims_wire": ("dims as fixed numbers", model(proto(dims=(), extra=fixed(1, b"\2\0\0\0")))),
        "promise": ("a promise of 2^40 numbers", model(proto(dims=(1 << 40,), raw=None, extra=field(4, FLOATS)))),
        "type_0": ("no element type", model(proto(kind=None))),
        "type_99": ("an unknown element type", model(proto(kind=99))),
        "type_twice": ("two element types", model(proto(extra=field(2, 6)))),
        "name_none": ("no name", model(proto(name=None))),
        "name_twice": ("two names in one tensor", model(proto(extra=field(8, "v")))),
        "name_same": ("two tensors of one name", model(proto(), proto())),
        "name_control": ("a name that steers a terminal", model(proto(name="w\x1b[2J"))),
        "name_utf8": ("a name that is no UTF-8", model(proto(name=b"\xff"))),
        "name_long": ("a name of 70,000 bytes", model(proto(name="w" * 70000))),
        "segment": ("a tensor in segments", model(proto(extra=field(3, b"")))),
        "location_2": ("data in the unknown place 2", model(proto(extra=field(14, 2)))),
        "graph_twice": ("two graphs", model(proto(), back=field(7, field(5, proto("v"))))),
        "graph_wire": ("a graph that is a number", field(1, 8) + field(7, b"") + field(7, 5)),
        "node_wire": ("a node that is a number", model(proto(), graph=field(1, 5))),
        "nested": ("300 graphs within graphs", model(proto(), graph=nested)),
        "constant_same": ("a constant of an initializer's name", model(proto("c"), graph=constant(proto()))),
        "constant_unnamed": ("a constant without an output", model(graph=constant(proto(), ""))),
        "cut": ("a graph longer than the file", model(proto())[:-3]),
        "group": ("a group without an end", model(proto(), graph=varint(99 << 3 | 3))),
        "external_none": ("external data without a file", model(proto(raw=None, extra=field(14, 1)))),
        "external_up": ("external data in the folder above", model(proto(raw=None, extra=external("../index.json")))),
        "external_down_up": ("external data in the folder above, the long way", model(proto(raw=None, extra=external("a/../../index.json")))),
        "external_abs": ("external data in /etc/passwd", model(proto(raw=None, extra=external("/etc/passwd")))),
        "external_proc": ("external data in /proc/self/environ, through ./", model(proto(raw=None, extra=external("./proc")))),
        "external_back": ("external data behind a backslash", model(proto(raw=None, extra=external("..\\index.json")))),
        "external_nul": ("a file's name with a zero byte", model(proto(raw=None, extra=external("a\0b")))),
        "external_self_long": ("external data beyond the end of the file", model(proto(raw=None, extra=external("external_good.bin", 8)))),
        "external_offset": ("an offset of 2^64", model(proto(raw=None, extra=external("external_good.bin", 1 << 64)))),
        "external_wraps": ("an offset that overflows with the length", model(proto(raw=None, extra=external("external_good.bin", (1 << 64) - 8)))),
        "external_minus": ("a negative offset", model(proto(raw=None, extra=external("external_good.bin", -4)))),
        "external_length": ("another length than the shape has", model(proto(raw=None, extra=external("external_good.bin", 0, 20)))),
        "external_twice": ("two locations", model(proto(raw=None, extra=external("external_good.bin") + external("v.bin")))),
        "external_missing": ("a file that is not there: the tensor is only listed", model(proto(raw=None, extra=external("missing.bin")))),
        "external_folder": ("a folder as the file", model(proto(raw=None, extra=external("folder")))),
    }
    for name, (why, data) in bad.items():
        put(f"onnx/{name}.onnx", data, why)
    put("onnx/folder/kept.txt", b"", "an empty file that is no checkpoint")
    with open(os.path.join(ROOT, "onnx", "external_good.bin"), "wb") as file:
        file.write(FLOATS)
    put("onnx/external_good.onnx", model(proto(raw=None, extra=external("external_good.bin", 0, 24))), "external data", "accept", {"w": array})
    put("onnx/unpacked.onnx", model(proto(raw=None, extra=b"".join(fixed(4, FLOATS[i:i + 4]) for i in range(0, 24, 4)))),
        "floats one by one", "accept", {"w": array})
    put("onnx/mixed.onnx", model(proto(kind=6, raw=None, extra=field(5, 0) + field(5, bytes([1, 2])) + field(5, b"") + field(5, 3) + field(5, bytes([4, 5])))),
        "integers one by one and packed", "accept", {"w": ints})
    put("onnx/packed_dims.onnx", model(proto(dims=(), extra=field(1, bytes([2, 3])))), "dims packed, behind the data", "accept", {"w": array})
    put("onnx/unknown.onnx", model(proto(extra=field(500, b"x")), graph=field(501, 3), back=field(502, b"y")),
        "fields of later versions", "accept", {"w": array})
    put("onnx/nested.onnx.ok", model(proto(), graph=constant(proto("inner"))), "a constant", "accept", {"w": array, "c": array})


# ---- HDF5

def made_by_h5py(fill, **how):
    import h5py
    out = io.BytesIO()
    with h5py.File(out, "w", **how) as file:
        fill(file)
    return out.getvalue()


class Patched:
    """A file whose structures are found by their signatures, for changes at one place."""

    def __init__(self, data):
        self.data = data

    def put(self, at, value, form="<Q"):
        value = value if isinstance(value, bytes) else struct.pack(form, value)
        assert at + len(value) <= len(self.data)
        return self.data[:at] + value + self.data[at + len(value):]

    def at(self, pattern, nth=0):
        found = -1
        for _ in range(nth + 1):
            found = self.data.index(pattern, found + 1)
        return found


F4 = bytes.fromhex("11201f000400000000002000170800177f000000")


def hdf5_files():
    import h5py  # noqa: F401
    array = np.arange(12, dtype="<f4").reshape(3, 4)

    def one(file):
        file["w"] = array

    def cut_up(file):
        file.create_dataset("w", data=array, chunks=(2, 3))

    def packed(file):
        file.create_dataset("w", data=np.zeros((4, 64), "f4"), chunks=(2, 64), compression="gzip", shuffle=True, fletcher32=True)

    def vlen(file):
        file["w"] = array
        file.attrs["note"] = "hello"

    old = Patched(made_by_h5py(one, libver="earliest"))
    new = Patched(made_by_h5py(one, libver="latest"))
    chunked = Patched(made_by_h5py(cut_up, libver="earliest"))
    gzip = Patched(made_by_h5py(packed, libver="earliest"))
    noted = Patched(made_by_h5py(vlen, libver="earliest"))
    root = struct.unpack_from("<Q", old.data, 64)[0]
    tree, heap, snod = old.at(b"TREE"), old.at(b"HEAP"), old.at(b"SNOD")
    names = struct.unpack_from("<Q", old.data, heap + 24)[0]
    entry = snod + 8
    header = struct.unpack_from("<Q", old.data, entry + 8)[0]
    name_at = names + struct.unpack_from("<Q", old.data, entry)[0]
    type_at = old.at(F4)
    dims = old.at(struct.pack("<QQ", 3, 4))
    raw = old.at(array.tobytes())
    layout = old.at(struct.pack("<Q", raw)[:8] + struct.pack("<Q", 48))
    bad = {
        "superblock_9": ("superblock version 9", old.put(8, 9, "<B")),
        "offsets_4": ("addresses of 4 bytes", old.put(13, 4, "<B")),
        "base": ("a base address", old.put(24, 512)),
        "end_far": ("an end beyond the file", old.put(40, 1 << 40)),
        "root_far": ("a root group beyond the file", old.put(64, 1 << 40)),
        "root_wraps": ("a root group whose address overflows", old.put(64, (1 << 64) - 8)),
        "root_dataset": ("a dataset as the root", old.put(64, header)),
        "root_nowhere": ("a root group in the middle of data", old.put(64, raw)),
        "header_version": ("an object's header of version 7", old.put(header, 7, "<B")),
        "header_long": ("an object's header of 4 GB", old.put(header + 8, 0xffffffff, "<I")),
        "header_message": ("a message longer than its header", old.put(header + 16 + 2, 0xfff8, "<H")),
        "header_loop": ("an object's header that goes on in itself", old.put(header + 16, struct.pack("<HHBBBBQQ", 16, 16, 0, 0, 0, 0, header + 16, 200))),
        "header_onward": ("an object's header that goes on beyond the file", old.put(header + 16, struct.pack("<HHBBBBQQ", 16, 16, 0, 0, 0, 0, 1 << 50, 200))),
        "header_onward_0": ("an object's header that goes on for no bytes", old.put(header + 16, struct.pack("<HHBBBBQQ", 16, 16, 0, 0, 0, 0, header, 0))),
        "tree_kind": ("a group's tree that is one of chunks", old.put(tree + 4, 1, "<B")),
        "tree_level": ("a tree of 255 levels", old.put(tree + 5, 255, "<B")),
        "tree_many": ("a tree of 65,535 entries", old.put(tree + 6, 65535, "<H")),
        "tree_far": ("a tree whose child is beyond the file", old.put(tree + 32, 1 << 45)),
        "tree_self": ("a tree whose child is itself", Patched(old.put(tree + 32, tree)).put(tree + 5, 1, "<B")),
        "heap_magic": ("no local heap", old.put(heap, b"HEAT")),
        "heap_long": ("a local heap of 2^60 bytes", old.put(heap + 8, 1 << 60)),
        "heap_far": ("a local heap beyond the file", old.put(heap + 24, 1 << 44)),
        "members_many": ("65,535 members", old.put(snod + 6, 65535, "<H")),
        "member_name_far": ("a name beyond the heap", old.put(entry, 1 << 30)),
        "member_name_empty": ("an empty name", old.put(entry, 0)),
        "member_name_path": ("a name with a slash", old.put(name_at, b"/")),
        "member_name_control": ("a name that steers a terminal", old.put(name_at, b"\x1b")),
        "member_name_utf8": ("a name that is no UTF-8", old.put(name_at, b"\xff")),
        "member_far": ("a member beyond the file", old.put(entry + 8, 1 << 50)),
        "type_none": ("elements of no size", old.put(type_at + 4, 0, "<I")),
        "type_large": ("elements of 2^32 - 1 bytes", old.put(type_at + 4, 0xffffffff, "<I")),
        "type_time": ("elements that are times", old.put(type_at, 0x12, "<B")),
        "type_vax": ("floats of another layout", old.put(type_at + 16, 128, "<I")),
        "dims_large": ("an axis of 2^63", old.put(dims, 1 << 63)),
        "dims_product": ("sizes whose product overflows", Patched(old.put(dims, 1 << 40)).put(dims + 8, 1 << 40)),
        "dims_wrap": ("sizes whose product is 0 after overflow", Patched(old.put(dims, 1 << 32)).put(dims + 8, 1 << 32)),
        "dims_more": ("one row more than is stored", old.put(dims, 4)),
        "dims_less": ("one row less than is stored", old.put(dims, 2)),
        "layout_far": ("data beyond the file", old.put(layout, 1 << 40)),
        "layout_wraps": ("data whose address overflows", old.put(layout, (1 << 64) - 32)),
        "layout_size": ("another size than the shape has", old.put(layout + 8, 44)),
        "cut_48": ("only the superblock", old.data[:96]),
        "sum_superblock": ("a later superblock with a wrong checksum", new.put(44, 0, "<I")),
        "sum_header": ("a later header with a wrong checksum", new.put(new.at(F4) + 16, 126, "<B")),
        "header2_long": ("a later header longer than the file", new.put(new.at(b"OHDR") + 5, b"\x03")),
    }
    btree = chunked.at(b"TREE", 1)
    key = btree + 24
    bad |= {
        "chunk_far": ("a chunk beyond the file", chunked.put(key + 32, 1 << 40)),
        "chunk_long": ("a chunk of 4 GB", chunked.put(key, 0xffffffff, "<I")),
        "chunk_short": ("a chunk of 4 bytes", chunked.put(key, 4, "<I")),
        "chunk_outside": ("a chunk outside of its dataset", chunked.put(key + 8, 200)),
        "chunk_between": ("a chunk that begins within another", chunked.put(key + 8, 1)),
        "chunk_twice": ("two chunks in one place", chunked.put(key + 16, 3)),
        "chunk_element": ("a chunk that begins within an element", chunked.put(key + 24, 2)),
        "chunk_level": ("a tree of chunks of 9 levels", chunked.put(btree + 5, 9, "<B")),
        "chunk_many": ("a tree of 60,000 chunks", chunked.put(btree + 6, 60000, "<H")),
    }
    sizes = chunked.at(struct.pack("<III", 2, 3, 4))
    bad |= {
        "chunk_zero": ("chunks of no size", chunked.put(sizes, 0, "<I")),
        "chunk_huge": ("chunks of 2^64 elements", Patched(chunked.put(sizes, 0xffffffff, "<I")).put(sizes + 4, 0xffffffff, "<I")),
        "chunk_element_size": ("chunks of elements of another size", chunked.put(sizes + 8, 8, "<I")),
    }
    key = gzip.at(b"TREE", 1) + 24
    where = struct.unpack_from("<Q", gzip.data, key + 32)[0]
    bad |= {
        "gzip_damaged": ("deflated bytes that are none", gzip.put(where, b"\xff\xff")),
        "gzip_cut": ("deflated bytes cut short", gzip.put(key, struct.unpack_from("<I", gzip.data, key)[0] - 3, "<I")),
        "gzip_skipped": ("a chunk that says it is not deflated", gzip.put(key + 4, 2, "<I")),
        "all_skipped": ("a chunk that says it is not filtered", gzip.put(key + 4, 7, "<I")),
        "sum_skipped": ("a chunk that says it has no checksum", gzip.put(key + 4, 4, "<I")),
    }
    reference = noted.at(struct.pack("<I", 5) + struct.pack("<Q", noted.at(b"GCOL")))
    bad |= {
        "text_long": ("a text longer than its object", noted.put(reference, 1 << 20, "<I")),
        "text_heap": ("a text in a heap beyond the file", noted.put(reference + 4, 1 << 40)),
        "text_index": ("a text that its heap lacks", noted.put(reference + 12, 77, "<I")),
        "text_object": ("a heap with an object beyond its end", noted.put(noted.at(b"GCOL") + 24, 1 << 30)),
        "text_heap_long": ("a heap longer than the file", noted.put(noted.at(b"GCOL") + 8, 1 << 40)),
    }
    for name, (why, data) in bad.items():
        put(f"hdf5/{name}.h5", data, why)
    weights = [("metadata.json", b"{}"), ("config.json", b"{}"), ("model.weights.h5", old.data)]
    put("hdf5/none.keras", archive(weights[:2]), "an archive without weights")
    put("hdf5/deflated.keras", archive(weights, zipfile.ZIP_DEFLATED), "deflated weights")
    put("hdf5/cut.keras", archive(weights[:2] + [("model.weights.h5", old.data[:-4])]), "weights that are cut short")
    whole = archive(weights)
    put("hdf5/crc.keras", whole.replace(array.tobytes(), array.tobytes()[:-1] + b"\0"), "a byte that the checksum does not cover")
    put("hdf5/polyglot.keras", archive(weights + [("archive/data.pkl", b"\x80\x02}.")]), "an archive of torch too")
    put("hdf5/good.h5", old.data + b"more", "bytes behind the end of the file", "accept", {"w": array})


def wrong_bits():
    """Fixtures with one bit changed, which the libraries refuse and ckmap once read."""
    for source, byte, bit, name, why in [
            ("hdf5/dtypes.h5", 6608, 1, "hdf5/layout_lost.h5", "a dataset without a layout, whose message became another"),
            ("hdf5/many.h5", 14496, 1, "hdf5/space_lost.h5", "a dataset without a dataspace, whose message became another"),
            ("hdf5/many.h5", 17122, 2, "hdf5/unaligned.h5", "a message of an odd length, and what follows it lost"),
            ("hdf5/dtypes.h5", 8225, 4, "hdf5/name_order.h5", "a member whose name is out of order: by its name it is not found"),
            ("hdf5/dtypes.h5", 6884, 6, "hdf5/shareable.h5", "a message that may not be shared and says it is"),
            ("hdf5/shapes.h5", 4701, 6, "hdf5/heap_free.h5", "a local heap whose free blocks are not in it"),
            ("hdf5/many.h5", 8842, 4, "hdf5/symbol_kind.h5", "a member of an unknown kind"),
            ("hdf5/attributes.h5", 36, 4, "hdf5/free_space.h5", "a superblock with free space that its version has not"),
            ("hdf5/net.weights.h5", 50, 2, "hdf5/driver.h5", "a superblock with a driver's block"),
            ("hdf5/net.weights.h5", 7821, 4, "hdf5/sibling.h5", "a tree's node with a neighbour that is not there"),
            ("hdf5/odd.h5", 1786, 7, "hdf5/message_count.h5", "a header that counts more messages than it has"),
            ("hdf5/chunks.h5", 6208, 5, "hdf5/deflate_level.h5", "a filter that deflates at the level 36"),
            ("hdf5/odd.h5", 6570, 7, "hdf5/type_float.h5", "a member of a record that is a float with its fraction beyond its bits"),
            ("hdf5/odd.h5", 6254, 3, "hdf5/type_member.h5", "a record with a member beyond its end"),
            ("hdf5/dtypes.h5", 887, 4, "hdf5/type_width.h5", "8 bits in 256 MiB"),
            ("hdf5/chunks.h5", 16008, 7, "hdf5/type_version.h5", "a datatype of version 9"),
            ("hdf5/many.h5", 24064, 1, "hdf5/type_text.h5", "text of an unknown encoding"),
            ("hdf5/chunks.h5", 11104, 5, "hdf5/fill_version.h5", "a fill value of version 34"),
            ("hdf5/dtypes.h5", 10000, 0, "hdf5/fill_old.h5", "an old fill value that is cut short"),
            ("hdf5/many.h5", 4452, 1, "hdf5/shared_fill.h5", "a fill value that is kept elsewhere, and does not say where"),
            ("hdf5/many.h5", 11776, 1, "hdf5/group_dataset.h5", "a dataset that is a group too"),
            ("hdf5/chunks.h5", 26676, 0, "hdf5/chunk_key.h5", "a key behind the last chunk that is no chunk's begin"),
            ("hdf5/chunks.h5", 37836, 4, "hdf5/chunk_sibling.h5", "a tree of chunks with a neighbour that is not there"),
            ("hdf5/attributes.h5", 19, 6, "hdf5/tree_rank.h5", "trees whose nodes have room for 32,800 children, and are not in the file"),
            ("hdf5/packed_latest.h5", 2026, 0, "hdf5/refused_index.h5", "the index of a dataset that is refused"),
            ("onnx/dtypes_raw.onnx", 754, 5, "onnx/initializer_lost.onnx", "an initializer whose field became another"),
            ("onnx/nodes.onnx", 38, 7, "onnx/node_text.onnx", "a node whose type is not UTF-8")]:
        with open(os.path.join(ROOT, "..", source), "rb") as file:
            data = bytearray(file.read())
        data[byte] ^= 1 << bit
        put(name, bytes(data), why)


MAKERS = {"numpy": numpy_files, "gguf": gguf_files, "onnx": onnx_files, "hdf5": hdf5_files, "wrong bits": wrong_bits}


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    for make in MAKERS.values():
        make()
    with open(os.path.join(ROOT, "index.json"), "w") as file:
        file.write("[\n " + ",\n ".join(json.dumps(item) for item in INDEX) + "\n]\n")
    print(len(INDEX), "files", file=sys.stderr)
