#!/usr/bin/env python3
"""Writes tests/data/{numpy,gguf,onnx,hdf5} with the libraries that define those formats, and beside each file F its
oracle F.json: what the library itself reads back.

    python tests/formats/make_fixtures.py [numpy] [gguf] [onnx] [hdf5]

Needs numpy 2, gguf, onnx, h5py, and (for the .keras files) keras and jax. Files are the same bytes each time but
for those of keras.
"""
import hashlib
import json
import os
import sys
import zipfile

import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
DTYPES = {"bool": "BOOL", "int8": "I8", "uint8": "U8", "int16": "I16", "uint16": "U16", "int32": "I32",
          "uint32": "U32", "int64": "I64", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64",
          "complex64": "C64", "complex128": "C128", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
          "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
          "float8_e8m0fnu": "F8_E8M0"}


def entry(name, array):
    array = np.asarray(array)
    little = array.astype(array.dtype.newbyteorder("<")) if array.dtype.kind in "iufcb" else array
    raw = np.ascontiguousarray(little).tobytes()
    return {"name": name, "dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "nbytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest()}


def oracle(path, tensors, why, made_by, leaves=(), refuse_entries=()):
    """tensors: name -> array, or a list of entries."""
    if isinstance(tensors, dict):
        tensors = [entry(name, array) for name, array in tensors.items()]
    out = {"file": os.path.relpath(path, DATA), "made_by": made_by, "why": why, "tensors": tensors,
           "leaves": [{"name": n, "type": k, "value": v} for n, k, v in leaves],
           "unreadable": list(refuse_entries)}
    with open(path + ".json", "w") as file:
        file.write(json.dumps(out, indent=1) + "\n")


def folder(name):
    path = os.path.join(DATA, name)
    os.makedirs(path, exist_ok=True)
    return path


def sample(dtype, shape, seed=1):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


NUMBERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
           "float64", "complex64", "complex128"]


# ---- numpy

def make_numpy():
    at = folder("numpy")
    made = f"numpy {np.__version__}"

    def npz(name, arrays, why, save=np.savez, leaves=(), unreadable=(), tensors=None):
        path = os.path.join(at, name)
        save(path, **arrays)
        loaded = np.load(path, allow_pickle=True)
        for key, array in arrays.items():
            assert loaded[key].dtype == array.dtype and loaded[key].shape == array.shape, key
        oracle(path, {k: loaded[k] for k in (tensors if tensors is not None else arrays)}, why, made, leaves, unreadable)

    def npy(name, array, why, version=None):
        path = os.path.join(at, name)
        with open(path, "wb") as file:
            np.lib.format.write_array(file, array, version=version)
        assert (np.load(path) == array).all()
        oracle(path, {name[:-4]: np.load(path)}, why, made)

    net = {"conv.weight": sample("f4", (4, 3, 3, 3)), "conv.bias": sample("f4", (4,)),
           "fc/kernel:0": sample("f4", (8, 5)), "W": sample("f4", (2, 2)), "w": sample("f4", (2, 3)),
           "step": np.array(7, "i8")}
    npz("net.npz", net, "np.savez; names with slashes and colons, and names that differ only in case")
    npz("net_deflated.npz", net, "np.savez_compressed", save=np.savez_compressed)
    npz("dtypes.npz", {d: sample(d, (3, 5)) for d in NUMBERS}, "every number type")
    npz("big_endian.npz", {d: sample(d, (3, 5)).astype(np.dtype(d).newbyteorder(">")) for d in NUMBERS}, "the same, big-endian")
    npz("shapes.npz", {"scalar": np.array(1.5, "f4"), "one": np.ones((1,), "f4"), "empty": np.zeros((0, 4), "f4"),
                       "deep": sample("i2", (1, 2, 1, 3, 1, 2, 1))}, "scalar, empty, seven axes")
    npz("fortran.npz", {"a": np.asfortranarray(sample("f4", (5, 7))), "b": np.asfortranarray(sample("f8", (2, 3, 4))),
                        "c": np.asfortranarray(sample(">i4", (3, 4)))}, "Fortran's order, one big-endian")
    mixed = {"weight": sample("f4", (2, 2)), "label": np.array("größe"), "raw": np.array(b"ab\x01"),
             "names": np.array(["a", "bc"]), "day": np.array("2020-01-01", "M8[D]"),
             "record": np.zeros(3, [("a", "<f4"), ("b", "<i2", (2,))]), "void": np.zeros(2, "V2"),
             "long": np.zeros(2, np.longdouble), "thing": np.array([{"a": 1}, None], dtype=object)}
    npz("mixed.npz", mixed, "text, bytes, dates, records, long doubles, pickled objects beside a tensor", tensors=["weight"],
        leaves=[("label", "str", "größe"), ("raw", "bytes", "616201"), ("names", "array of text", ""),
                ("day", "array of dates or durations", ""), ("thing", "array of Python objects", "")],
        unreadable=["record", "void", "long"])
    npy("fc.weight.npy", sample("f4", (3, 4)), "one array; its name is the file's")
    npy("v2.npy", sample("f4", (3, 4)), "version 2.0", (2, 0))
    npy("v3.npy", sample("f8", (2, 2)), "version 3.0", (3, 0))
    # As Python 2 wrote it: 3L, and no comma at the end.
    path = os.path.join(at, "python2.npy")
    array = sample("f4", (3, 4))
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L)}"
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + array.tobytes())
    assert (np.load(path) == array).all()
    oracle(path, {"python2": array}, "long integers of Python 2 in the shape", made)


# ---- GGUF

def make_gguf():
    import gguf
    at = folder("gguf")
    made = f"gguf {gguf.__version__ if hasattr(gguf, '__version__') else ''}".strip()
    types = gguf.GGMLQuantizationType

    def write(name, tensors, why, endian=gguf.GGUFEndian.LITTLE, extra=None, leaves=(), alignment=None, unreadable=()):
        path = os.path.join(at, name)
        writer = gguf.GGUFWriter(path, "llama", endianess=endian)
        if alignment:
            writer.add_custom_alignment(alignment)
        if extra:
            extra(writer)
        expected = {}
        for key, (array, kind) in tensors.items():
            writer.add_tensor(key, array, raw_dtype=kind)
            if kind is not None and key not in unreadable:
                array = gguf.quants.dequantize(array, kind)
                expected[key] = array
            elif kind is None:
                expected[key] = array
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = gguf.GGUFReader(path)
        assert [t.name for t in found.tensors] == list(tensors)
        oracle(path, expected, why, made, leaves, unreadable)

    def values(writer):
        writer.add_name("größe")
        writer.add_uint8("v.u8", 200)
        writer.add_int8("v.i8", -7)
        writer.add_uint16("v.u16", 65535)
        writer.add_int16("v.i16", -300)
        writer.add_uint32("v.u32", 4000000000)
        writer.add_int32("v.i32", -70000)
        writer.add_uint64("v.u64", 2**63 + 1)
        writer.add_int64("v.i64", -2**40)
        writer.add_float32("v.f32", 0.5)
        writer.add_float64("v.f64", 0.25)
        writer.add_bool("v.bool", True)
        writer.add_array("tokenizer.ggml.tokens", ["<s>", "a", "größe"])
        writer.add_array("v.numbers", [1, 2, 3])

    number = lambda d, shape: (sample(d, shape), None)
    numbers = {f"t.{d}": number(d, (3, 5)) for d in ("float16", "float32", "float64", "int8", "int16", "int32", "int64")}
    leaves = [("v.u8", "int", 200), ("v.i8", "int", -7), ("v.u16", "int", 65535), ("v.i16", "int", -300),
              ("v.u32", "int", 4000000000), ("v.i32", "int", -70000), ("v.u64", "int", str(2**63 + 1)),
              ("v.i64", "int", -2**40), ("v.f32", "float", 0.5), ("v.f64", "float", 0.25), ("v.bool", "bool", True),
              ("tokenizer.ggml.tokens", "list", None), ("v.numbers", "list", None)]
    shapes = {"a": number("float32", (1,)), "b": number("float32", (2, 3)), "c": number("int32", (2, 3, 4)),
              "d": number("float16", (2, 1, 3, 2))}
    write("numbers.gguf", numbers, "every number type and every kind of value", extra=values, leaves=leaves)
    write("big_endian.gguf", numbers, "the same, big-endian", endian=gguf.GGUFEndian.BIG, extra=values, leaves=leaves)
    write("shapes.gguf", shapes, "one to four axes, alignment 64", alignment=64,
          leaves=[("general.alignment", "int", 64)])
    write("empty.gguf", {}, "no tensors")

    rng = np.random.default_rng(5)
    quantised = {}
    for kind in (types.Q4_0, types.Q4_1, types.Q5_0, types.Q5_1, types.Q8_0, types.Q2_K, types.Q3_K, types.Q4_K,
                 types.Q5_K, types.Q6_K, types.IQ4_NL, types.IQ4_XS, types.TQ1_0, types.TQ2_0, types.MXFP4):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        rows = rng.integers(0, 256, (3, 2 * size), dtype=np.uint8)
        # Random blocks, but the halves in them (scales and minima) are ordinary numbers.
        halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
                  "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
                  "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": []}[kind.name]
        for first in range(0, rows.shape[1], size):
            for half in halves:
                value = rng.standard_normal(3).astype("<f2").view(np.uint8).reshape(3, 2)
                if first == 0:
                    value[0] = np.array([6e-6], "<f2").view(np.uint8)  # below the normal halves
                rows[:, first + half:first + half + 2] = value
        if kind == types.MXFP4:
            rows[:, 0] = [0, 1, 127]  # the scales below the normal ones, and 1
        quantised["w." + kind.name] = (rows, kind)
    real = sample("float32", (2, 64), 9)
    for kind in (types.Q4_0, types.Q8_0):
        quantised["real." + kind.name] = (gguf.quants.quantize(real, kind), kind)
    write("quantised.gguf", quantised, "blocks of every kind that is decoded, against gguf.quants.dequantize")
    bf16 = {"w": (gguf.quants.quantize(sample("float32", (2, 6)), types.BF16), types.BF16)}
    path = os.path.join(at, "bf16.gguf")
    write("bf16.gguf", bf16, "bfloat16")
    with open(path + ".json") as file:
        text = json.load(file)
    raw = bf16["w"][0].tobytes()
    text["tensors"] = [{"name": "w", "dtype": "BF16", "shape": [2, 6], "nbytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}]
    with open(path + ".json", "w") as file:
        file.write(json.dumps(text, indent=1) + "\n")
    size = gguf.GGML_QUANT_SIZES[types.IQ2_XXS][1]
    write("undecoded.gguf", {"w": number("float32", (2, 2)), "q": (np.zeros((2, size), np.uint8), types.IQ2_XXS)},
          "a kind of blocks that is only listed", unreadable=["q"])


# ---- ONNX

def make_onnx():
    import onnx
    import ml_dtypes
    from onnx import TensorProto, helper, numpy_helper
    at = folder("onnx")
    made = f"onnx {onnx.__version__}"

    def graph_of(initializers, nodes=(), inputs=(), sparse=()):
        graph = helper.make_graph(list(nodes), "net", list(inputs), [], initializer=list(initializers))
        graph.sparse_initializer.extend(sparse)
        return graph

    def save(name, graph, expected, why, unreadable=(), model=None, leaves=(), **how):
        path = os.path.join(at, name)
        model = model or helper.make_model(graph, producer_name="fixtures", producer_version="1")
        onnx.save_model(model, path, **how)
        loaded = onnx.load(path)
        del loaded
        oracle(path, expected, why, made, leaves, unreadable)

    net = {"conv.weight": sample("f4", (4, 3, 3, 3)), "conv.bias": sample("f4", (4,)), "scale": np.array(2.5, "f4"),
           "shape": np.array([1, -1], "i8"), "none": np.zeros((0,), "f4")}
    proto = lambda tensors: [numpy_helper.from_array(a, n) for n, a in tensors.items()]
    save("net.onnx", graph_of(proto(net)), net, "raw_data")

    kinds = {"bool": "bool", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32",
             "uint32": "uint32", "int64": "int64", "uint64": "uint64", "float16": "float16", "float32": "float32",
             "float64": "float64", "complex64": "complex64", "complex128": "complex128", "bfloat16": ml_dtypes.bfloat16,
             "float8_e4m3fn": ml_dtypes.float8_e4m3fn, "float8_e5m2": ml_dtypes.float8_e5m2,
             "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz}
    arrays = {}
    for name, kind in kinds.items():
        dtype = np.dtype(kind)
        arrays[name] = sample(dtype, (2, 3)) if dtype.kind != "V" and name in NUMBERS else sample("f4", (2, 3)).astype(dtype)
    save("dtypes_raw.onnx", graph_of(proto(arrays)), arrays, "every element type as raw_data")
    typed = []
    for name, array in arrays.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        if name.startswith("float8"):
            tensor = TensorProto(name=name, data_type=kind, dims=array.shape)
            tensor.int32_data.extend(int(v) for v in array.view(np.uint8).flatten())
        else:
            tensor = helper.make_tensor(name, kind, array.shape, array.flatten())
        assert not tensor.HasField("raw_data")
        back = numpy_helper.to_array(tensor)
        assert back.tobytes() == array.tobytes(), name
        typed.append(tensor)
    save("dtypes_typed.onnx", graph_of(typed), arrays, "every element type in float_data, int32_data and so on")

    constant = helper.make_node("Constant", [], ["shape_of"], value=numpy_helper.from_array(sample("f4", (2, 2)), "inner"))
    floats = helper.make_node("Constant", [], ["eps"], value_float=0.5)
    ints = helper.make_node("Constant", [], ["axes"], value_ints=[1, 2])
    branch = helper.make_graph([helper.make_node("Identity", ["sub.w"], ["y"])], "branch", [], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])], initializer=proto({"sub.w": sample("f4", (2,))}))
    nested = helper.make_node("If", ["cond"], ["z"], then_branch=branch, else_branch=branch)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
    save("nodes.onnx", graph_of(proto({"w": sample("f4", (3, 2))}), [constant, floats, ints, nested], [x]),
         {"w": sample("f4", (3, 2)), "shape_of": sample("f4", (2, 2)), "z/then_branch/sub.w": sample("f4", (2,)),
          "z/else_branch/sub.w": sample("f4", (2,))},
         "Constant nodes, a graph inside of a node, inputs")

    weight = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2])
    save("inputs.onnx", graph_of([], [], [x, weight]), {}, "no initializers: parameters are inputs", unreadable=["w"])
    model = helper.make_model(graph_of(proto({"w": sample("f4", (3, 2))})), producer_name="fixtures")
    helper.set_model_props(model, {"task": "größe"})
    save("metadata.onnx", None, {"w": sample("f4", (3, 2))}, "metadata", model=model)

    dense = numpy_helper.from_array(sample("f4", (2, 2)), "dense")
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("sparse_idx", TensorProto.INT64, [2], [0, 3])
    sparse = helper.make_sparse_tensor(values, indices, [2, 3])
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"a", b"b"])
    four = helper.make_tensor("four", TensorProto.INT4, [4], [1, 2, -3, 4])
    save("refused.onnx", graph_of([dense, words, four], sparse=[sparse]), {"dense": sample("f4", (2, 2))},
         "a sparse tensor, strings and 4-bit elements beside a dense one", unreadable=["sparse", "words", "four"])

    big = {"a.weight": sample("f4", (64, 5)), "b.weight": sample("f2", (7, 40)), "small": np.array([3], "i8")}
    save("external.onnx", graph_of(proto(big)), big, "external data in one file beside it", save_as_external_data=True,
         all_tensors_to_one_file=True, location="external.onnx.data", size_threshold=64)
    os.makedirs(os.path.join(at, "parts"), exist_ok=True)
    for stale in os.listdir(os.path.join(at, "parts")):
        os.remove(os.path.join(at, "parts", stale))
    model = helper.make_model(graph_of(proto(big)))
    save("parts/model.onnx", None, big, "external data, a file for each tensor", model=model, save_as_external_data=True,
         all_tensors_to_one_file=False, size_threshold=64)


# ---- HDF5

def walk(path):
    import h5py
    tensors = {}
    with h5py.File(path, "r") as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "biufc":
                tensors[name] = item[()]
        file.visititems(visit)
    return tensors


def make_hdf5():
    import h5py
    at = folder("hdf5")
    made = f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"

    def save(name, fill, why, unreadable=(), leaves=(), metadata=None, **how):
        path = os.path.join(at, name)
        with h5py.File(path, "w", **how) as file:
            fill(file)
        tensors = walk(path)
        for key in unreadable:
            tensors.pop(key, None)
        oracle(path, tensors, why, made, leaves, unreadable)
        if metadata:
            with open(path + ".json") as file:
                text = json.load(file)
            text["metadata"] = metadata
            with open(path + ".json", "w") as file:
                file.write(json.dumps(text, indent=1) + "\n")

    def dtypes(file):
        for d in NUMBERS[:12]:
            file[d] = sample(d, (3, 5))
            if np.dtype(d).itemsize > 1:
                file["big_" + d] = sample(d, (3, 5)).astype(np.dtype(d).newbyteorder(">"))

    def shapes(file):
        file["scalar"] = np.array(1.5, "f4")
        file["empty"] = np.zeros((0, 4), "f4")
        file["deep"] = sample("i2", (1, 2, 1, 3, 1, 2))
        group = file.create_group("a/b/c")
        group["d"] = sample("f4", (2, 2))
        group.create_group("nothing")

    def chunks(file):
        x = sample("f4", (23, 17))
        file.create_dataset("chunked", data=x, chunks=(5, 6))
        file.create_dataset("gzip", data=x, chunks=(8, 17), compression="gzip")
        file.create_dataset("shuffle", data=x, chunks=(7, 7), compression="gzip", shuffle=True)
        file.create_dataset("fletcher", data=x, chunks=(23, 4), fletcher32=True)
        file.create_dataset("all", data=sample("f8", (9, 5, 4)), chunks=(4, 5, 3), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("single", data=x, chunks=(23, 17), compression="gzip")
        file.create_dataset("grown", data=x[:5], chunks=(2, 17), maxshape=(None, 17))
        file.create_dataset("both", data=x[:5], chunks=(2, 5), maxshape=(None, None))
        filled = file.create_dataset("filled", (6, 4), "f4", chunks=(2, 4), fillvalue=1.5)
        filled[:2] = x[:2, :4]
        file.create_dataset("late", (3, 4), "f4", fillvalue=-2)
        file.create_dataset("nothing", (3, 4), "i4")

    def many(file):
        for i in range(60):
            file[f"w{i:03}"] = np.full((2,), i, "f4")

    def growing(file):
        x = sample("f4", (23, 17))
        shrunk = file.create_dataset("shrunk", data=x, chunks=(4, 5), maxshape=(46, 18))
        shrunk.resize((9, 11))
        longer = file.create_dataset("longer", data=np.arange(800, dtype="u1").reshape(400, 2), chunks=(3, 1), maxshape=(None, 4))
        longer.resize((371, 2))
        file.create_dataset("wider", data=x, chunks=(5, 2), maxshape=(30, None), compression="gzip", shuffle=True)
        both = file.create_dataset("both_gzip", data=sample("f4", (40, 21)), chunks=(3, 2), maxshape=(None, None), compression="gzip")
        both.resize((33, 30))

    def odd(file):
        file["w"] = sample("f4", (2, 2))
        file["text"] = "größe"
        file["texts"] = np.array([b"a", b"bc"])
        file["record"] = np.zeros(2, [("a", "<f4"), ("b", "<i4")])
        file["complex"] = sample("c8", (2,))
        file["long"] = np.zeros(2, np.longdouble)
        file.create_dataset("lzf", data=sample("f4", (8, 8)), chunks=(4, 8), compression="lzf")
        file["ref"] = np.array([file["w"].ref], dtype=h5py.ref_dtype)
        file["soft"] = h5py.SoftLink("/w")
        file["away"] = h5py.ExternalLink("other.h5", "/w")

    def packed(file):
        runs = np.repeat(np.arange(60, dtype="f4"), 50).reshape(50, 60)
        for name, how in {"lzf": {}, "shuffled": {"shuffle": True}, "summed": {"fletcher32": True}, "both": {"shuffle": True, "fletcher32": True}}.items():
            file.create_dataset(name, data=runs, chunks=(17, 60), compression="lzf", **how)
        file.create_dataset("noise", data=sample("u1", (40, 40)), chunks=(40, 16), compression="lzf")  # does not shrink
        file.create_dataset("zeros", data=np.zeros((100, 100), "i8"), chunks=(100, 100), compression="lzf")
        file.create_dataset("scaled", data=np.arange(64, dtype="i4").reshape(8, 8), chunks=(4, 8), scaleoffset=True)

    def committed(file):
        file["half"] = np.dtype("<f2")
        file["pair"] = np.dtype([("a", "<f4"), ("b", "<i4")])
        file.create_dataset("w", data=sample("f2", (3, 4)), dtype=file["half"])
        file.create_dataset("chunked", data=sample("f2", (9, 4)), dtype=file["half"], chunks=(4, 4), compression="gzip")
        file.create_dataset("pairs", (2,), dtype=file["pair"])
        file["number"] = np.dtype("<i4")
        file["w"].attrs.create("count", np.int32(12), dtype=file["number"])

    def attributes(file):
        file.attrs["keras_version"] = "2.9.0"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["layer_names"] = [b"dense", b"dense_1"]
        group = file.create_group("dense")
        group.attrs["weight_names"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
        group.attrs["numbers"] = np.array([1, 2, 3], "i4")
        group.attrs["one"] = 0.5
        file["dense/dense/kernel:0"] = sample("f4", (3, 2))
        file["dense/dense/bias:0"] = sample("f4", (2,))

    def attributes_dense(file):
        for i in range(40):
            file.attrs[f"name_{i:02}"] = f"value {i}"
        file["w"] = sample("f4", (2, 2))
        file["w"].attrs["history"] = np.arange(3000, dtype="i8")  # more than a header holds
        for i in range(9):
            file["w"].attrs[f"n{i}"] = i
        file["w"].attrs["long"] = "x" * 5000

    metadata = {"keras_version": "2.9.0", "backend": "tensorflow", "layer_names": '["dense","dense_1"]',
                "dense@weight_names": '["dense/kernel:0","dense/bias:0"]', "dense@numbers": "[1,2,3]", "dense@one": "0.5"}
    refused = ["record", "complex", "long", "ref"]
    for libver, suffix in (("earliest", ""), ("latest", "_latest"), ("v108", "_v108")):
        how = {"libver": libver if libver != "v108" else ("v108", "v108")}
        save(f"dtypes{suffix}.h5", dtypes, "every number type, both byte orders", **how)
        save(f"shapes{suffix}.h5", shapes, "scalar, empty, nested groups", **how)
        if libver == "v108":
            continue
        save(f"chunks{suffix}.h5", chunks, "chunks, filters, values that are not stored", **how)
        save(f"odd{suffix}.h5", odd, "what is no tensor, and links", unreadable=refused,
             leaves=[("text", "str", "größe"), ("texts", "array of text", None), ("soft", "link", None), ("away", "link", None)], **how)
        save(f"committed{suffix}.h5", committed, "datatypes that are objects of their own", unreadable=["pairs"],
             leaves=[(name, "type", None) for name in ("half", "number", "pair")], metadata={"w@count": "12"}, **how)
        save(f"packed{suffix}.h5", packed, "chunks that lzf packed, and a filter that is not undone", unreadable=["scaled"], **how)
        save(f"attributes{suffix}.h5", attributes, "as Keras 2 names its weights", metadata=metadata, **how)
    save("attributes_dense.h5", attributes_dense, "attributes in fractal heaps", libver="latest",
         metadata={f"name_{i:02}": f"value {i}" for i in range(40)} | {f"w@n{i}": str(i) for i in range(9)}
         | {"w@long": "x" * 5000, "w@history": json.dumps(list(range(3000)), separators=(",", ":"))})
    save("growing.h5", growing, "chunks whose number can change, and did", libver="latest")
    save("many.h5", many, "a group whose B-tree has several nodes")

    def dense(file):
        for i in range(12):
            file[f"w{i}"] = np.full((2,), i, "f4")
    save("dense.h5", dense, "a group whose links lie in a fractal heap", libver="latest")

    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization(),
                              keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile(optimizer="sgd", loss="mse")
    made = f"keras {keras.__version__}"
    for name in ("net.keras", "net.weights.h5", "net_legacy.h5"):
        path = os.path.join(at, name)
        model.save_weights(path) if ".weights." in name else model.save(path)
        if name.endswith(".keras"):
            with zipfile.ZipFile(path) as archive, open(path + ".tmp", "wb") as file:
                file.write(archive.read("model.weights.h5"))
            tensors = walk(path + ".tmp")
            os.remove(path + ".tmp")
        else:
            tensors = walk(path)
        oracle(path, tensors, "a network of Keras 3", made)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["numpy", "gguf", "onnx", "hdf5"]:
        {"numpy": make_numpy, "gguf": make_gguf, "onnx": make_onnx, "hdf5": make_hdf5}[name]()
